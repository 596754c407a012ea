"""The CUDA module's sketches, run on the CPU, against the core's: the same counts, and intervals of the same bits."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import blocks
from blocks import Data, check_interval, check_sketch
from cases import BFLOAT16, DISTRIBUTIONS, DTYPES, Array, draw, fortran, sample, strided
from pqi import _core

LARGE = (1 << 18) + 1001  # the least groups that are sketched have 2^18 entries
LIMIT = 163 * 1024
WIDE = [dtype for dtype in DTYPES if dtype.itemsize > 2]


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


@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_types_and_sizes(dtype: np.dtype[Any]) -> None:
    for n in (0, 1, 33, 1025, 40_000):
        check_sketch(Data(sample(dtype, n)), 1e-6)
    x = sample(dtype, 9000)
    check_sketch(Data(x, some(x.shape)), 1e-8)
    check_sketch(Data(fortran(x.reshape(90, 100))), 1e-6)
    check_sketch(Data(strided(x), some(x.shape)), 1e-6)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions(name: str) -> None:
    for x in (draw(name, 150_000), draw(name, 40_000).astype(np.float64)):
        check_sketch(Data(x), 1e-6)
    check_sketch(Data(draw(name, 20_000)), 0.0)


@pytest.mark.parametrize("limit", [48 * 1024, 99 * 1024, LIMIT])
def test_magnitudes_that_shared_memory_does_not_reach(limit: int, seed: int) -> None:
    """Those far below, and far above, what the first elements are: each has another way into the table."""
    blocks.module().set_machine(seed, 3, limit)
    rng = np.random.default_rng(4)
    x = (rng.standard_normal(50_000) * 10.0 ** rng.integers(-44, 38, 50_000)).astype(np.float32)
    check_sketch(Data(x), 1e-8)
    x[:5000] = 0
    check_sketch(Data(x), 1e-6)
    check_sketch(Data(rng.standard_normal(20_000) * 10.0 ** rng.integers(-300, 300, 20_000)), 1e-6)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_infinities_and_nan(value: float, dtype: str) -> None:
    x = draw("normal", 3000).astype(dtype)
    x[[7, 2000]] = value
    check_sketch(Data(x), 1e-6)
    check_interval(Data(np.tile(x, 90)), 1e-6)


def test_pools_of_several_types() -> None:
    parts = [sample(dtype, 5000, i) for i, dtype in enumerate([BFLOAT16, np.dtype("f4"), np.dtype("i1")])]
    check_sketch(Data(parts), 1e-6)
    check_sketch(Data([*parts, sample(np.dtype("i4"), 3000)], [some(5000)] * 3 + [some(3000)]), 1e-6)
    check_sketch(Data([sample(np.dtype("i1"), 4000), sample(np.dtype("u2"), 3000)]), 1e-6)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
@pytest.mark.parametrize("unbiased", [False, True])
def test_intervals(dtype: str, unbiased: bool) -> None:
    x = (draw("normal", LARGE) * np.float32(1e6)).astype(dtype)
    for tol in (1e-3, 1e-6):
        assert check_interval(Data(x), tol, unbiased)
    assert check_interval(Data(x, some(x.shape)), 1e-6, unbiased)
    assert not check_interval(Data(x), 1e-12, unbiased)


def test_more_bits() -> None:
    for tol in (1e-7, 2e-8):
        assert check_interval(Data(draw("lognormal", LARGE)), tol)


def test_rows_and_groups_that_are_chosen() -> None:
    x = draw("normal", 3 * LARGE).reshape(3, LARGE)
    x[1] = np.round(x[1] * 4)
    data = Data(x, axes=(1,))
    assert check_interval(data, 1e-3)
    whole, some_of_them = np.zeros((5, 3)), np.full((5, 3), 7.0)
    view, module = blocks.module().View.of_numpy, blocks.module()
    assert module.gini_intervals(*data.blocks, None, 10, False, view(whole, "out"), 0)
    assert module.gini_intervals(*data.blocks, [2, 0], 10, False, view(some_of_them, "out"), 0)
    blocks.same(np.ascontiguousarray(some_of_them[:, [0, 2]]), np.ascontiguousarray(whole[:, [0, 2]]))
    assert (some_of_them[:, 1] == 7.0).all()
    assert not module.gini_intervals(*data.blocks, [1], 0, False, view(some_of_them, "out"), 0)
    exact = np.stack(_core.gini_within(*data.core, 0.0, False))
    blocks.same(np.ascontiguousarray(some_of_them[:3, 1]), np.ascontiguousarray(exact[:, 1]))
    with pytest.raises(ValueError, match="chosen must be numbers of groups"):
        module.gini_intervals(*data.blocks, [3], 0, False, view(whole, "out"), 0)


def test_what_is_cheap_to_rank_is_exact() -> None:
    for data in (
        Data(draw("normal", 3000)),
        Data(sample(BFLOAT16, 5000)),
        Data(draw("normal", 600).reshape(6, 100), axes=(1,)),
    ):
        for unbiased in (False, True):
            assert not check_interval(data, 1e-6, unbiased)
    for x in ([], [0.0], [2.0], [0.0, 0.0]):
        check_interval(Data(np.array(x)), 1e-6, unbiased=True)


def test_arguments_are_checked() -> None:
    module, view = blocks.module(), blocks.module().View.of_numpy
    data, narrow = Data(np.ones(10, np.float32)), Data(np.ones(10, np.int8))
    head, rows = view(np.zeros(6, np.uint64), "head"), view(np.zeros((10, 4), np.uint64), "rows")
    for bits in (8, 13, -1):
        with pytest.raises(ValueError, match="bits must be those of a sketch"):
            module.gini_sketch(*data.blocks[:2], bits, head, rows, 0)
    assert module.sketch_rows(data.blocks[0], 9) == 10
    assert module.sketch_rows(narrow.blocks[0], 9) is None
    with pytest.raises(TypeError, match="histogram counts it"):
        module.gini_sketch(*narrow.blocks[:2], 9, head, rows, 0)
    with pytest.raises(ValueError, match="head must be contiguous and hold 6 64-bit integers"):
        module.gini_sketch(*data.blocks[:2], 9, rows, rows, 0)
    with pytest.raises(ValueError, match="out must be contiguous and hold 5 float64 numbers"):
        module.gini_intervals(*data.blocks, None, 9, False, rows, 0)
