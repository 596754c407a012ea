"""`segments`: stretches of a vector are groups with the bits of the stretches alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pqi
import reference
from cases import BFLOAT16, DTYPES, LAYOUTS, bits, draw, sample, to_torch

Array = np.ndarray
MEASURES: dict[str, Callable[..., Any]] = {
    "index": pqi.index,
    "index of general exponents": lambda x, **rest: pqi.index(x, 0.7, 1.3, **rest),
    "index_grid": lambda x, **rest: pqi.index_grid(x, [0.2, 1.0], [1.0, 2.0], **rest),
    "norms": lambda x, **rest: np.stack(pqi.norms(x, 1, 2, **rest), axis=-1),
    "power_means": lambda x, **rest: pqi.power_means(x, [0.5, 3.0], **rest),
    "gini": pqi.gini,
    "unbiased gini": lambda x, **rest: pqi.gini(x, unbiased=True, **rest),
    "retained_bound": lambda x, **rest: pqi.retained_bound(x, eta=0.1, **rest),
}
FIELDS = ("count", "live", "zeros", "max", "mean", "index", "gini", "bound")


def stretches(x: Array, offsets: Array) -> list[Array]:
    """Return what lies between the offsets."""
    return [x[a:b] for a, b in itertools.pairwise(offsets)]


def ragged(sizes: list[int], seed: int = 0, before: int = 3, after: int = 5) -> tuple[int, Array]:
    """Return how long a vector must be for segments of these sizes in random order, and their offsets."""
    order = np.random.default_rng(seed).permutation(np.array(sizes, dtype=np.int64))
    offsets = before + np.concatenate([[0], np.cumsum(order)])
    return int(offsets[-1]) + after, offsets


# Short ones for the tiles, some of a size, some of no elements; some that a thread handles alone; one of many blocks.
MIXED = [0, 0, 0, 1, 1, 2, 3, 5, *[9] * 40, 15, 16, 17, 33, 64, 100, 100, 1000, 1024, 1025, 3000, 4096, 4097, 9000]
LARGE = [1_200_000, 270_000, 70_000, *MIXED]


def check(x: Array, offsets: Array) -> None:
    """Assert that every measure of segments has the bits of the stretches'."""
    groups, parts = pqi.segments(x, offsets), stretches(x, offsets)
    for measure in MEASURES.values():
        assert bits(measure(groups)) == bits(np.array([measure(part) for part in parts]))
    found, alone = pqi.summary(groups), [pqi.summary(part) for part in parts]
    for field in FIELDS:
        assert bits(getattr(found, field)) == bits(np.array([getattr(one, field) for one in alone]))
    rng = np.random.default_rng(2)
    k = np.array([rng.integers(0, part.size, endpoint=True) for part in parts])
    expected = np.zeros(x.size, dtype=np.bool_)
    for a, b, count in zip(offsets[:-1], offsets[1:], k, strict=True):
        expected[a:b] = pqi.topk_mask(x[a:b], int(count))
    np.testing.assert_array_equal(pqi.topk_mask(groups, k), expected)
    thresholds = [pqi.topk_threshold(part, int(count)) for part, count in zip(parts, k, strict=True)]
    assert bits(pqi.topk_threshold(groups, k)) == bits(np.array(thresholds))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type_has_the_bits_of_the_stretches(dtype: np.dtype[Any]) -> None:
    n, offsets = ragged(MIXED)
    check(sample(dtype, n), offsets)


@pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float64), BFLOAT16], ids=str)
def test_segments_larger_than_a_block(dtype: np.dtype[Any]) -> None:
    n, offsets = ragged(LARGE)
    check(sample(dtype, n), offsets)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    n, offsets = ragged(MIXED)
    check(LAYOUTS[layout](draw("int4", n)), offsets)


@given(sizes=st.lists(st.integers(0, 40), max_size=60), data=st.data())
def test_any_cut(sizes: list[int], data: st.DataObject) -> None:
    n, offsets = ragged(sizes)
    x = draw(data.draw(st.sampled_from(["normal", "int4", "one-hot", "subnormal"])), n)
    parts = stretches(x, offsets)
    assert bits(pqi.index(pqi.segments(x, offsets))) == bits(np.array([pqi.index(part) for part in parts], dtype="f8"))
    assert bits(pqi.gini(pqi.segments(x, offsets))) == bits(np.array([pqi.gini(part) for part in parts], dtype="f8"))
    k = np.array([data.draw(st.integers(0, part.size)) for part in parts], dtype=np.int64)
    mask = pqi.topk_mask(pqi.segments(x, offsets), k)
    for part, found, count in zip(parts, stretches(mask, offsets), k, strict=True):
        np.testing.assert_array_equal(found, reference.topk_mask(part, int(count)))
    assert mask.sum() == k.sum()


def test_masks() -> None:
    n, offsets = ragged(LARGE)
    x, live = sample(np.dtype(np.float32), n), np.random.default_rng(1).random(n) < 0.7
    groups, parts = pqi.segments(x, offsets), list(zip(stretches(x, offsets), stretches(live, offsets), strict=True))
    for measure in MEASURES.values():
        assert bits(measure(groups, where=live)) == bits(np.array([measure(part, where=m) for part, m in parts]))
    found = pqi.summary(groups, where=live)
    np.testing.assert_array_equal(found.live, [m.sum() for _, m in parts])
    np.testing.assert_array_equal(found.count, np.diff(offsets))
    k = found.live // 2
    mask = pqi.topk_mask(groups, k, where=live)
    assert not mask[~live].any()
    for (part, m), got, count in zip(parts, stretches(mask, offsets), k, strict=True):
        np.testing.assert_array_equal(got, pqi.topk_mask(part, int(count), where=m))
    assert not mask[: offsets[0]].any()
    assert not mask[offsets[-1] :].any()


def test_the_reference_agrees() -> None:
    n, offsets = ragged(MIXED)
    x = draw("lognormal", n)
    for part, index, gini in zip(
        stretches(x, offsets), pqi.index(pqi.segments(x, offsets)), pqi.gini(pqi.segments(x, offsets)), strict=True
    ):
        assert index == pytest.approx(reference.index(part), abs=1e-12, nan_ok=True)
        assert gini == pytest.approx(reference.gini(part), rel=1e-15, nan_ok=True)


def test_rows_as_segments_have_the_bits_of_rows() -> None:
    rows = draw("normal", 60_000).reshape(300, 200)
    groups = pqi.segments(rows.ravel(), np.arange(301) * 200)
    assert bits(pqi.index(groups, 0.7, 1.3)) == bits(pqi.index(rows, 0.7, 1.3, axis=1))
    assert bits(pqi.gini(groups)) == bits(pqi.gini(rows, axis=1))
    np.testing.assert_array_equal(pqi.topk_mask(groups, 20).reshape(rows.shape), pqi.topk_mask(rows, 20, axis=1))


def test_threads_and_instruction_sets() -> None:
    n, offsets = ragged(LARGE)
    x, before = draw("normal", n), pqi.info()
    found = set()
    try:
        for isa in before["isas"]:
            for threads in (1, 2, 7):
                pqi.use_isa(isa)
                pqi.set_num_threads(threads)
                groups = pqi.segments(x, offsets)
                results = [pqi.index(groups, 0.7, 1.3), pqi.gini(groups), pqi.topk_mask(groups, np.diff(offsets) // 3)]
                found.add(b"".join(map(bits, results)))
    finally:
        pqi.use_isa(before["isa"])
        pqi.set_num_threads(before["num_threads"])
    assert len(found) == 1


def test_no_groups_and_no_values() -> None:
    for values, offsets in ((np.ones(4), [2]), (np.zeros(0), [0])):
        groups = pqi.segments(values, offsets)
        assert pqi.index(groups).shape == (0,)
        assert pqi.index_grid(groups, [0.5], [1, 2]).shape == (0, 1, 2)
        assert pqi.summary(groups).gini.shape == (0,)
        assert not pqi.topk_mask(groups, 0).any()
        assert pqi.topk_mask(groups, 0).shape == values.shape
    assert np.isnan(pqi.index(pqi.segments(np.zeros(0), [0, 0, 0]))).tolist() == [True, True]


def test_millions_of_empty_segments() -> None:
    groups = pqi.segments(np.ones(3), np.repeat([0, 3], [1_000_000, 1_000_001]))
    found = pqi.gini(groups)
    assert np.flatnonzero(~np.isnan(found)).tolist() == [999_999]
    assert pqi.topk_mask(groups, np.where(np.isnan(found), 0, 2)).tolist() == [True, True, False]


def test_sequences_and_torch() -> None:
    groups = pqi.segments([3.0, 0.0, 0.0, -1.0, 2.0], [0, 4, 5])
    assert pqi.gini(groups).tolist() == [0.625, 0.0]
    torch = pytest.importorskip("torch")
    x = draw("normal", 1000)
    offsets = [0, 300, 300, 950]
    groups = pqi.segments(to_torch(x), torch.tensor(offsets))
    found = pqi.index(groups)
    assert isinstance(found, torch.Tensor)
    assert bits(found.numpy()) == bits(pqi.index(pqi.segments(x, offsets)))
    mask = pqi.topk_mask(groups, torch.tensor([3, 0, 5]))
    assert mask.dtype is torch.bool
    np.testing.assert_array_equal(mask.numpy(), pqi.topk_mask(pqi.segments(x, offsets), [3, 0, 5]))


def test_offsets_are_copied() -> None:
    offsets = np.array([0, 2, 4])
    groups = pqi.segments([3.0, 0.0, 1.0, 1.0], offsets)
    offsets[:] = 0
    assert pqi.index(groups, 1, 2).tolist() == pytest.approx([1 - math.sqrt(0.5), 0.0], abs=1e-15)


@pytest.mark.parametrize(
    ("values", "offsets", "error", "message"),
    [
        (np.ones(4), [0, 3, 2], ValueError, "offsets must not decrease, got 3 before 2 at 2"),
        (np.ones(4), [0, 5], ValueError, r"offsets must lie within \[0, 4\], got 0 to 5"),
        (np.ones(4), [-1, 4], ValueError, r"offsets must lie within \[0, 4\], got -1 to 4"),
        (np.ones(4), [], TypeError, "offsets must be integers"),
        (np.ones(4), np.zeros(0, dtype=int), ValueError, "offsets must be one-dimensional with at least one entry"),
        (np.ones(4), [[0, 4]], ValueError, "offsets must be one-dimensional"),
        (np.ones(4), 3, ValueError, "offsets must be one-dimensional"),
        (np.ones(4), [0.0, 4.0], TypeError, "offsets must be integers"),
        (np.ones(4), "04", TypeError, "offsets must be integers"),
        (np.ones((2, 2)), [0, 4], ValueError, r"values must be one-dimensional, got shape \(2, 2\)"),
        (3.0, [0, 1], ValueError, r"values must be one-dimensional, got shape \(\)"),
    ],
)
def test_wrong_segments(values: Any, offsets: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pqi.segments(values, offsets)


def test_wrong_uses() -> None:
    groups = pqi.segments(np.ones(4), [0, 1, 4])
    with pytest.raises(ValueError, match="axis must be None and keepdims False for segments, got axis=0"):
        pqi.index(groups, axis=0)
    with pytest.raises(ValueError, match="keepdims False for segments"):
        pqi.gini(groups, keepdims=True)
    with pytest.raises(ValueError, match=r"where must broadcast to x's shape \(4,\)"):
        pqi.gini(groups, where=np.ones(3, dtype=np.bool_))
    with pytest.raises(ValueError, match=r"k must satisfy 0 <= k <= 1 \(live entries\), got 2 in group 0"):
        pqi.topk_mask(groups, 2)
    with pytest.raises(ValueError, match=r"k must be an integer or have one entry per group, shape \(2,\)"):
        pqi.topk_mask(groups, [1, 1, 1])
    with pytest.raises(TypeError, match="x must be one array or pooled arrays, got segments"):
        pqi.histogram(pqi.segments(np.ones(4, dtype=np.int8), [0, 1, 4]))
    with pytest.raises(TypeError, match="values must hold real numbers"):
        pqi.index(pqi.segments(np.ones(4, dtype=complex), [0, 4]))
