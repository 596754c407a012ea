"""The block programs of the CUDA module, run on the CPU, against the core: the same bits.

The executor runs the threads of a block in random order between barriers, over shared memory that starts as garbage; so
every comparison here also holds the barriers to account. A GPU is not needed, and nothing here shows what one does.
"""

from __future__ import annotations

import ast
import re
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import blocks
import pqi
from blocks import Data, check_counts, check_gini, check_many_exponents, check_sums, check_topk
from cases import BFLOAT16, DISTRIBUTIONS, DTYPES, Array, draw, fortran, reversed_memory, sample, strided
from pqi import _core

SIZES = (0, 1, 33, 1025, 4096, 9_000)
LIMIT = 163 * 1024
OF_THE_EXECUTOR = {"set_machine", "allocated"}


@pytest.fixture(autouse=True)
def seed(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run every test in an order of its own and on a number of processors of its own."""
    chosen = zlib.crc32(request.node.nodeid.encode()) + 1
    blocks.module().set_machine(chosen, 2 + chosen % 4, LIMIT)
    yield chosen
    blocks.module().set_machine(1, 3, LIMIT)


def some(shape: Any, seed: int = 0) -> Array:
    """Return a mask with about half of its entries True."""
    return np.asarray(np.random.default_rng(seed).random(shape) < 0.5)


def check_all(data: Data) -> None:
    """Compare every function but top-k."""
    check_sums(data)
    check_counts(data)
    check_gini(data)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_types_and_sizes(dtype: np.dtype[Any], n: int) -> None:
    x = sample(dtype, n)
    check_all(Data(x))
    for k in (0, 1, n // 2, n):
        check_topk(Data(x), k)
    check_topk(Data(x, some(n)), n // 3)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions(name: str) -> None:
    for n in (1000, 40_000):
        for x in (draw(name, n), draw(name, n).astype(np.float64)):
            check_all(Data(x))
            for k in (1, n // 10, n // 2, n - 1):
                check_topk(Data(x), k)


@pytest.mark.parametrize("repeat", range(2))
def test_groups_of_several_blocks(repeat: int) -> None:
    """Past 2^18 elements sums are merged block by block."""
    x = draw("lognormal", 600_001, repeat)
    check_sums(Data(x))
    check_many_exponents(Data(x[:30_000]))
    check_sums(Data(x[:600_000].reshape(2, 300_000).astype(np.float64) ** 3, axes=(1,)))
    check_gini(Data(x[:300_000]))
    check_topk(Data(x), 60_000)


def test_groups_by_batches() -> None:
    """Scratch memory holds the sums of so many groups at once; the others follow."""
    x = draw("normal", 25_000)
    check_all(Data(x.reshape(5_000, 5), axes=(1,)))
    check_sums(Data(x.reshape(5, 5_000), axes=(0,)))
    check_many_exponents(Data(x.reshape(500, 50), axes=(1,)))
    check_sums(Data(x, axes=np.arange(0, 25_001, 5)))
    check_gini(Data(x.reshape(5, 5_000), axes=(1,)))


def test_scales_far_apart() -> None:
    """Chunks whose magnitudes lie far from the pivot, leading zeros, subnormals."""
    rng = np.random.default_rng(3)
    x = np.zeros(50_000)
    x[9_000:] = rng.standard_normal(41_000) * 10.0 ** rng.integers(-300, 300, 41_000).repeat(1)
    check_all(Data(x))
    y = np.zeros(50_000, np.float32)
    y[4_099:] = (rng.standard_normal(45_901) * 10.0 ** rng.integers(-44, 38, 45_901)).astype(np.float32)
    check_all(Data(y))
    check_many_exponents(Data(y))
    check_sums(Data(np.repeat([1e-30, 1e30, 5e-324, 1.0], 9_000)))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_infinities_and_nan(value: float, dtype: str) -> None:
    for n in (300, 30_000):
        x = draw("normal", n).astype(dtype)
        x[[7, n // 2]] = value
        check_all(Data(x))
        check_all(Data(x.reshape(-1, 100), axes=(1,)))
        for k in (1, 2, 3, n // 4):
            check_topk(Data(x), k)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_axes_masks_and_strides(dtype: np.dtype[Any]) -> None:
    x = sample(dtype, (3, 4, 20))
    for layout, axes in ((strided, (0,)), (fortran, (2,)), (reversed_memory, (0, 2)), (strided, (1,))):
        check_counts(Data(layout(x), some(x.shape), axes))
        check_gini(Data(layout(x), some(x.shape), axes))
        check_topk(Data(layout(x), some(x.shape), axes), 3, layout)
    check_sums(Data(fortran(x), some(x.shape), (1, 2)))
    broadcast = np.broadcast_to(some(20), x.shape)
    check_all(Data(x, broadcast, (0, 2)))


@pytest.mark.parametrize("dtype", [np.dtype("f4"), np.dtype("f8"), BFLOAT16, np.dtype("i4")], ids=str)
def test_long_rows(dtype: np.dtype[Any]) -> None:
    x = sample(dtype, (3, 5000))
    k = np.array([0, 17, 4999], np.uint64)
    for data in (Data(x, axes=(1,)), Data(x.T, axes=(0,)), Data(x, some(x.shape), (1,))):
        check_all(data)
        check_topk(data, k)
    check_topk(Data(x[:, :700], axes=(1,)), np.array([700, 5, 0], np.uint64))


@pytest.mark.parametrize("dtype", [np.dtype("f4"), np.dtype("f8"), BFLOAT16, np.dtype("i1"), np.dtype("i4")], ids=str)
def test_memory_that_no_wide_load_may_touch(dtype: np.dtype[Any]) -> None:
    """Views that begin in the middle of 16 bytes, rows of odd lengths, masks whose True is not 1."""
    x, live = sample(dtype, 20_003), some(20_004)
    odd = (live * np.uint8(0x82)).view(np.bool_)
    for data in (Data(x[1:]), Data(x[3:], live[3:-1]), Data(x, odd[1:]), Data([x[1:1000], x[1000:], x[:5]])):
        check_sums(data)
        check_counts(data)
        check_topk(data, 5_000)
    rows = sample(dtype, (5, 4_099))
    for data in (Data(rows, axes=(1,)), Data(rows, some(rows.shape), (1,)), Data(rows[:, 1:4_097], axes=(1,))):
        check_sums(data)
        check_topk(data, np.array([1, 0, 4_000, 99, 2_000], np.uint64))


def test_exponents_beyond_what_shared_memory_holds(seed: int) -> None:
    """One read takes as many as fit; ½, 1 and 2 go with the first."""
    blocks.module().set_machine(seed, 3, 48 * 1024)
    x = draw("lognormal", 9_000)
    check_many_exponents(Data(x))
    check_many_exponents(Data(x.astype(np.float64) ** 9))
    check_sums(Data(x))


def test_pooled_types() -> None:
    rng = np.random.default_rng(5)
    for _ in range(4):
        chosen = [DTYPES[i] for i in rng.integers(0, len(DTYPES), 5)]
        parts = [sample(dtype, int(rng.integers(0, 1500)), int(rng.integers(99))) for dtype in chosen]
        for count in range(1, 6):
            masks: list[Array] | None = [some(x.shape) for x in parts[:count]] if count % 2 else None
            data = Data(parts[:count], masks)
            check_all(data)
            check_topk(data, sum(x.size for x in parts[:count]) // 3)


def test_many_pieces() -> None:
    """More than travel with a program's arguments; strided and in rows of awkward sizes."""
    x = draw("normal", 60_000)
    cuts = np.sort(np.random.default_rng(6).integers(0, x.size, 120))
    parts = [strided(part) if i % 3 == 0 else part for i, part in enumerate(np.split(x, cuts))]
    check_all(Data(parts))
    blocks.same(Data(parts).call("norms", 0.5, 1.0, shape=(2, 1)), np.stack(_core.norms(*Data(x).core, 0.5, 1.0)))
    check_topk(Data(parts), 6_000)


def test_ties_are_cut_by_flat_index() -> None:
    """Constant data overflows what is collected; ties end within a tile and at the end of one."""
    x = np.full(40_000, 0.5, np.float32)
    x[::7] = -0.5
    for k in (1, 16_384, 16_385, 32_768, 39_999, 40_000):
        check_topk(Data(x), k)
        check_topk(Data(x, some(x.shape)), k)
    check_topk(Data(np.tile([1.0, 2.0, 2.0, 3.0], 6_000)), 9_001)


@pytest.mark.parametrize(
    ("dtype", "limit"),
    [
        ("f2", LIMIT),
        (BFLOAT16, LIMIT),
        (BFLOAT16, 99 * 1024),
        ("i2", LIMIT),
        ("u2", LIMIT),
        ("u2", 48 * 1024),
        ("i1", LIMIT),
    ],
    ids=str,
)
def test_histograms(dtype: Any, limit: int, seed: int) -> None:
    """Large groups of narrow types are counted; in parts where shared memory is short."""
    blocks.module().set_machine(seed, 3, limit)
    x = sample(np.dtype(dtype), (1 << 20) + 1234)
    data = Data(x, some(x.shape) if dtype == "i2" else None)
    check_sums(data)
    check_gini(data)
    found = np.zeros(65536, np.int64)
    number = blocks.module().histogram(*data.blocks[:2], blocks.module().View.of_numpy(found, "out"), 0)
    assert number == _core.histogram(*data.core[:2])[0]
    blocks.same(found, _core.histogram(*data.core[:2])[1])


@pytest.mark.parametrize(
    "values", [[0.0], [np.inf, 1.0], [np.nan, np.inf, 0.0], [2.0**100, 2.0**47, 2.0**-100]], ids=str
)
def test_histograms_of_few_values(values: list[float]) -> None:
    """Nothing but zeros, what is no number, and a sum that is a tie but for its smallest entry."""
    x = np.zeros(1 << 20, BFLOAT16)
    x[100 : 100 + len(values)] = values
    check_sums(Data(x))
    assert np.isnan(pqi.index(x, 1, 2)) == (values[0] != 2.0**100)


def test_bounds() -> None:
    index, d = np.array([0.0, 0.3, 0.99, np.nan, -1e-17]), np.array([10.0, 1000.0, 7.0, 5.0, 3.0])
    out, view = np.zeros(5), blocks.module().View.of_numpy
    blocks.module().retained_bound_from_index(view(index, "index"), view(d, "d"), 0.5, 1.2, 0.01, view(out, "out"), 0)
    blocks.same(out, _core.retained_bound_from_index(index, d, 0.5, 1.2, 0.01))


def test_outputs_are_checked() -> None:
    x = np.ones((2, 3))
    view, data = blocks.module().View.of_numpy, Data(x, axes=(1,))
    for out, message in (
        (np.zeros(3), "hold 2 float64 numbers"),
        (np.zeros(2, np.float32), "hold 2 float64 numbers"),
        (np.zeros(4)[::2], "must be contiguous"),
    ):
        with pytest.raises(ValueError, match=message):
            blocks.module().gini(*data.blocks, view(out, "out"), 0)
    with pytest.raises(ValueError, match="hold 2 64-bit integers"):
        blocks.module().topk_threshold(*data.blocks, view(np.zeros(1, np.int64), "k"), view(np.zeros(2), "out"), 0)
    with pytest.raises(ValueError, match="have its array's shape"):
        blocks.module().topk_mask(*data.blocks, 1, [view(np.zeros(6, np.bool_), "out")], 0)
    with pytest.raises(ValueError, match="axes go with one array"):
        blocks.module().gini([], [], (0,), view(np.zeros(1), "out"), 0)


def test_the_module_where_a_compiler_made_one() -> None:
    """It imports and counts no devices without a driver; what it refuses, it refuses with a reason."""
    cuda = pytest.importorskip("pqi._cuda", reason="pqi was built without a CUDA compiler", exc_type=ImportError)
    assert cuda.architectures()
    with pytest.raises(TypeError, match="must lie in the memory of a CUDA device"):
        cuda.View.of_dlpack(np.zeros(3).__dlpack__(), "x")
    if cuda.device_count() == 0:
        assert cuda.device_names() == []


def test_the_stub_is_that_of_the_programs() -> None:
    """Where the module was not built, its stub is held to account all the same."""
    stub = ast.parse((Path(pqi.__file__).parent / "_cuda.pyi").read_text())
    told = {node.name: [a.arg for a in node.args.args] for node in stub.body if isinstance(node, ast.FunctionDef)}
    module = blocks.module()
    found = {
        name: re.findall(r"(\w+): ", str(value.__doc__).splitlines()[0])
        for name, value in vars(module).items()
        if callable(value) and not isinstance(value, type) and name not in OF_THE_EXECUTOR
    }
    assert found == told
    (view,) = (node for node in stub.body if isinstance(node, ast.ClassDef))
    members = {node.name for node in view.body if isinstance(node, ast.FunctionDef)}
    assert members == {name for name in dir(module.View) if not name.startswith("_")} - {"of_numpy"}


def test_a_compiler_on_the_path_makes_the_module() -> None:
    """`make` builds it wherever nvcc is found."""
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc on the path: the CUDA module was not compiled")
    if "site-packages" not in pqi.__file__:
        pytest.skip("pqi was not installed but taken from its sources, which leaves the CUDA module out")
    assert list(Path(pqi.__file__).parent.glob("_cuda*"))
