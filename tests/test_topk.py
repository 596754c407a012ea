"""`topk_mask` and `topk_threshold` against a stable argsort."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pqi
import reference
from cases import DTYPES, FLOATS, draw, sample
from strategies import any_vectors

KINDS = ["normal", "constant", "int4", "all-zero"]


def of_kind(kind: str, dtype: np.dtype[Any], n: int) -> np.ndarray:
    """Return n values of a kind in a dtype."""
    values = np.zeros(n) if kind == "all-zero" else draw(kind, n)
    return values.astype(dtype)


@pytest.mark.parametrize("n", [1, 10, 4097, 200_003])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_masks_equal_a_stable_argsort(dtype: np.dtype[Any], kind: str, n: int) -> None:
    x = of_kind(kind, dtype, n)
    for k in sorted({0, 1, n // 10, n // 2, n - 1, n}):
        mask = pqi.topk_mask(x, k)
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask, reference.topk_mask(x, k))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_masks_at_1e7(dtype: np.dtype[Any], kind: str) -> None:
    n = 10_000_000
    x = of_kind(kind, dtype, n)
    order = reference.descending(x)
    for k in (0, 1, n // 10, n // 2, n - 1, n):
        expected = np.zeros(n, dtype=np.bool_)
        expected[order[:k]] = True
        np.testing.assert_array_equal(pqi.topk_mask(x, k), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype: np.dtype[Any]) -> None:
    x = sample(dtype, (20, 30))
    for k in (0, 1, 60, 300, 599, 600):
        np.testing.assert_array_equal(pqi.topk_mask(x, k), reference.topk_mask(x, k))
        assert pqi.topk_threshold(x, k) == pytest.approx(reference.topk_threshold(x, k), rel=1e-15, nan_ok=True)


@given(w=st.one_of(any_vectors(np.float64), any_vectors(np.float32), any_vectors(np.float16)), data=st.data())
def test_any_vector(w: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, w.size))
    np.testing.assert_array_equal(pqi.topk_mask(w, k), reference.topk_mask(w, k))
    np.testing.assert_equal(float(pqi.topk_threshold(w, k)), reference.topk_threshold(w, k))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("axis", "shape"), [(1, (7,)), (-1, (7,)), (0, (300,))])
def test_rows_with_k_per_row(dtype: np.dtype[Any], axis: int, shape: tuple[int]) -> None:
    for kind in KINDS:
        x = of_kind(kind, dtype, 2100).reshape(7, 300)
        k = np.random.default_rng(3).integers(0, 2100 // shape[0], shape, endpoint=True)
        np.testing.assert_array_equal(pqi.topk_mask(x, k, axis=axis), reference.topk_mask_by_group(x, k, axis))
        np.testing.assert_array_equal(pqi.topk_mask(x, k, axis=axis).sum(axis=axis), k)
        np.testing.assert_array_equal(pqi.topk_mask(x, 5, axis=axis), reference.topk_mask_by_group(x, 5, axis))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, (0, 1), (0, 2), (2, 1), (0, 1, 2)])
def test_axes_with_k_per_group(axis: int | tuple[int, ...]) -> None:
    x = of_kind("int4", np.dtype(np.float32), 60).reshape(3, 4, 5)
    kept = [n for a, n in enumerate(x.shape) if a not in {b % 3 for b in np.atleast_1d(axis).tolist()}]
    k = np.random.default_rng(5).integers(0, x.size // math.prod(kept), kept, endpoint=True)
    np.testing.assert_array_equal(pqi.topk_mask(x, k, axis=axis), reference.topk_mask_by_group(x, k, axis))
    thresholds = pqi.topk_threshold(x, k, axis=axis, keepdims=True)
    smaller_is_out = np.where(np.isnan(thresholds), math.inf, thresholds)
    assert (np.abs(x) >= smaller_is_out)[pqi.topk_mask(x, k, axis=axis)].all()
    assert (np.abs(x) <= smaller_is_out)[~pqi.topk_mask(x, k, axis=axis)].all()


def test_masked_entries_are_never_taken() -> None:
    x = of_kind("int4", np.dtype(np.float32), 600).reshape(20, 30)
    live = np.random.default_rng(2).random(x.shape) < 0.6
    k = live.sum(axis=1) // 2
    np.testing.assert_array_equal(
        pqi.topk_mask(x, k, axis=1, where=live), reference.topk_mask_by_group(x, k, 1, where=live)
    )
    everything = pqi.topk_mask(x, int(live.sum()), where=live)
    np.testing.assert_array_equal(everything, live)
    assert not pqi.topk_mask(x, 0, where=live).any()
    expected = reference.by_group(lambda v: reference.topk_threshold(v, 3), x, 1, where=live)
    np.testing.assert_array_equal(pqi.topk_threshold(x, 3, axis=1, where=live), expected)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_not_finite_values_are_the_largest(dtype: np.dtype[Any]) -> None:
    x = np.array([1, -np.inf, np.nan, 3, np.inf, -np.nan, 0, -3]).astype(dtype)
    for k in range(x.size + 1):
        np.testing.assert_array_equal(pqi.topk_mask(x, k), reference.topk_mask(x, k))
    thresholds = [pqi.topk_threshold(x, k) for k in range(x.size + 1)]
    np.testing.assert_array_equal(thresholds, [np.nan, np.nan, np.nan, np.inf, np.inf, 3, 3, 1, 0])


def test_minus_zero_ties_with_zero() -> None:
    x = np.array([-0.0, 0.0, -0.0, 0.0])
    assert pqi.topk_mask(x, 3).tolist() == [True, True, True, False]
    assert pqi.topk_threshold(x, 2) == 0


def test_most_negative_integers_are_the_largest() -> None:
    for width in (8, 16, 32, 64):
        x = np.array([2 ** (width - 1) - 1, -(2 ** (width - 1)), 5], dtype=f"i{width // 8}")
        assert pqi.topk_mask(x, 1).tolist() == [False, True, False]
        assert pqi.topk_threshold(x, 1) == 2.0 ** (width - 1)


def test_neighbouring_large_integers_are_told_apart() -> None:
    """2^53 and 2^53 + 1 are one float64, but two magnitudes."""
    x = np.array([2**53, 2**53 + 1, 2**53 - 1], dtype=np.int64)
    assert pqi.topk_mask(x, 1).tolist() == [False, True, False]
    assert pqi.topk_mask(x.astype(np.uint64), 2).tolist() == [True, True, False]


def test_empty() -> None:
    assert pqi.topk_mask(np.zeros((0, 3)), 0).shape == (0, 3)
    assert math.isnan(pqi.topk_threshold(np.zeros(0), 0))
    assert pqi.topk_mask(np.zeros((4, 0)), 0, axis=1).shape == (4, 0)
    assert np.isnan(pqi.topk_threshold(np.zeros((4, 0)), 0, axis=1)).all()


def test_no_groups_with_a_mask() -> None:
    """Live entries were counted for a group that does not exist."""
    x, where = np.zeros((0, 5)), np.ones((0, 5), dtype=np.bool_)
    assert pqi.topk_mask(x, 1, axis=1, where=where).shape == (0, 5)
    assert pqi.topk_threshold(x, np.zeros(0, dtype=int), axis=1, where=where).shape == (0,)
    assert pqi.summary(x, axis=1, where=where).live.shape == (0,)


@pytest.mark.parametrize("shape", [(5_000,), (50, 100), (3, 4_000)])
def test_masks_of_other_bytes_than_0_and_1(shape: tuple[int, ...]) -> None:
    """A bool view of other bytes is a mask as any other; what comes back is 0 and 1."""
    x = draw("int4", math.prod(shape)).reshape(shape)
    raw = np.random.default_rng(4).integers(0, 4, shape).astype(np.uint8) * np.uint8(85)
    odd, live = raw.view(np.bool_), raw != 0
    counts = live.sum(axis=-1)
    for k in (0 * counts, counts // 3, counts):
        mask = pqi.topk_mask(x, k, axis=-1, where=odd)
        assert mask.view(np.uint8).max(initial=0) <= 1
        np.testing.assert_array_equal(mask, pqi.topk_mask(x, k, axis=-1, where=live))
    assert pqi.index(x, where=odd) == pqi.index(x, where=live)
    assert pqi.gini(x, where=odd) == pqi.gini(x, where=live)
    assert pqi.summary(x, where=odd) == pqi.summary(x, where=live)
