"""The CUDA module on segments, its block programs run on the CPU, against the core: the same bits."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import blocks
from blocks import Data, check_counts, check_gini, check_interval, check_many_exponents, check_sums, check_topk
from cases import BFLOAT16, DTYPES, Array, draw, reversed_memory, sample, strided
from test_segments import MIXED, ragged


@pytest.fixture(autouse=True)
def seed(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run every test in an order of its own and on a number of processors of its own."""
    chosen = zlib.crc32(request.node.nodeid.encode()) + 1
    blocks.module().set_machine(chosen, 2 + chosen % 4, 163 * 1024)
    yield chosen
    blocks.module().set_machine(1, 3, 163 * 1024)


def check_selection(data: Data, layout: Any = lambda mask: mask) -> None:
    """Compare masks and thresholds, with a count for each group and with one for all."""
    assert isinstance(data.axes, np.ndarray)
    sizes = np.diff(data.axes).astype(np.int64)
    check_topk(data, np.random.default_rng(2).integers(0, sizes, endpoint=True).astype(np.uint64), layout)
    check_topk(data, 3, layout)


def some(n: int) -> Array:
    """Return a mask with about half of its entries True."""
    return np.asarray(np.random.default_rng(1).random(n) < 0.5)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type(dtype: np.dtype[Any]) -> None:
    n, offsets = ragged(MIXED)
    x = sample(dtype, n)
    data, live = Data(x, axes=offsets), Data(x, some(n), offsets)
    check_counts(data)
    check_gini(data)
    check_selection(data)
    check_counts(live)
    check_selection(live)
    short = np.clip(offsets, None, 5000)
    check_sums(Data(x, axes=short))
    check_gini(Data(x, some(n), short))


@pytest.mark.parametrize("dtype", [np.dtype("f4"), np.dtype("f8")], ids=str)
def test_segments_larger_than_a_block(dtype: np.dtype[Any]) -> None:
    n, offsets = ragged([300_000, 70_000, 263_000, 12_000, 0, 5])
    x = sample(dtype, n)
    check_sums(Data(x, axes=offsets))
    check_gini(Data(x, axes=offsets))
    check_selection(Data(x, axes=offsets))
    assert check_interval(Data(x, axes=offsets), 1e-3, unbiased=True)


def test_segments_that_are_counted() -> None:
    """Only those of 2^20 entries and more, which is up to their own size and not their class's."""
    n, offsets = ragged([(1 << 20) + 5, (1 << 20) - 1, 30_000, 7])
    data = Data(sample(BFLOAT16, n), axes=offsets)
    check_sums(data)
    check_gini(data)


@pytest.mark.parametrize("layout", [strided, reversed_memory])
def test_layouts(layout: Any) -> None:
    n, offsets = ragged([0, 1, 40, 700, 1500, 4097, 6000])
    x = draw("int4", n)
    check_sums(Data(layout(x), layout(some(n)), offsets))
    check_gini(Data(layout(x), axes=offsets))
    check_selection(Data(layout(x), axes=offsets), layout)


def test_scales_and_exponents() -> None:
    n, offsets = ragged([9_000, 30, 4_500])
    rng = np.random.default_rng(3)
    x = (rng.standard_normal(n) * 10.0 ** rng.integers(-44, 38, n)).astype(np.float32)
    check_sums(Data(x, axes=offsets))
    check_many_exponents(Data(x, axes=offsets))
    x[: n // 2] = 0
    check_sums(Data(x.astype(np.float64), axes=offsets))


def test_no_groups_and_no_values() -> None:
    for x, offsets in ((np.ones(4), [2]), (np.zeros(0), [0]), (np.zeros(0), [0, 0, 0]), (np.ones(1), [1, 1])):
        data = Data(x, axes=np.array(offsets))
        check_counts(data)
        check_gini(data)
        check_sums(data)
        check_selection(data)
        check_interval(data, 1e-6)


def test_many_segments() -> None:
    """More offsets than travel with launches."""
    sizes = np.random.default_rng(4).integers(0, 6, 13_000)
    check_counts(Data(draw("normal", int(sizes.sum())), axes=np.concatenate([[0], np.cumsum(sizes)])))


def test_offsets_are_checked() -> None:
    module, view = blocks.module(), blocks.module().View.of_numpy
    out = view(np.zeros(2), "out")
    for offsets, message in (
        ([0, 3, 2], "offsets must not decrease"),
        ([0, 3, 5], "offsets must be within x"),
        ([-1, 3, 4], "offsets must not decrease"),
        ([[0, 1, 2]], "offsets must be a vector"),
    ):
        with pytest.raises(ValueError, match=message):
            module.gini([view(np.ones(4), "x")], [], np.array(offsets), out, 0)
    with pytest.raises(ValueError, match="offsets go with one array, a vector"):
        module.gini([view(np.ones((2, 2)), "x")], [], np.array([0, 1, 2]), out, 0)
