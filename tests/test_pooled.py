"""`pooled`: many arrays are one vector to every function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pqi
import reference
from cases import DTYPES, FLOATS, bits, draw, sample, strided, to_torch
from strategies import splits

X = draw("int4", 20_000)


def cut(x: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    """Return the pieces of x between the cut points."""
    return np.split(x, cuts)


@pytest.mark.parametrize("distribution", ["normal", "int4", "lognormal"])
@given(cuts=splits(9_001), k=st.integers(0, 9_001))
def test_any_split_has_the_bits_of_the_whole(distribution: str, cuts: list[int], k: int) -> None:
    x = draw(distribution, 9_001)
    pieces = pqi.pooled(cut(x, cuts))
    for p, q in ((0.5, 1.0), (0.7, 1.3)):
        assert bits(pqi.index(pieces, p, q)) == bits(pqi.index(x, p, q))
        assert bits(pqi.norms(pieces, p, q)) == bits(pqi.norms(x, p, q))
    assert bits(pqi.gini(pieces)) == bits(pqi.gini(x))
    assert bits(pqi.topk_threshold(pieces, k)) == bits(pqi.topk_threshold(x, k))
    np.testing.assert_array_equal(np.concatenate(pqi.topk_mask(pieces, k)), pqi.topk_mask(x, k))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes_and_shapes(dtype: np.dtype[Any]) -> None:
    whole = sample(dtype, 12_000)
    pieces = [
        whole[:10_000].reshape(10, 20, 50),
        whole[10_000:10_001].reshape(()),
        whole[10_001:10_001],
        whole[10_001:],
    ]
    together = pqi.pooled([pieces[0], pieces[1], pieces[2].reshape(0, 7), strided(pieces[3])])
    assert bits(pqi.index(together)) == bits(pqi.index(whole))
    assert bits(pqi.gini(together)) == bits(pqi.gini(whole))
    masks = pqi.topk_mask(together, 5_000)
    assert [m.shape for m in masks] == [(10, 20, 50), (), (0, 7), (1_999,)]
    np.testing.assert_array_equal(np.concatenate([m.ravel() for m in masks]), reference.topk_mask(whole, 5_000))


def test_floating_dtypes_can_be_mixed() -> None:
    pieces = [sample(dtype, 700, seed=i) for i, dtype in enumerate(FLOATS)]
    whole = np.concatenate([piece.astype(np.float64) for piece in pieces])
    together = pqi.pooled(pieces)
    assert pqi.index(together) == pytest.approx(reference.index(whole), abs=1e-13)
    assert pqi.gini(together) == pytest.approx(reference.gini(whole), abs=1e-13)
    masks = pqi.topk_mask(together, 1000)
    np.testing.assert_array_equal(np.concatenate(masks), reference.topk_mask(whole, 1000))
    assert pqi.topk_threshold(together, 1000) == reference.topk_threshold(whole, 1000)


def test_every_reduction_takes_a_pool() -> None:
    pieces = pqi.pooled(cut(X, [7, 5000]))
    assert bits(pqi.retained_bound(pieces, 1, 2, eta=0.1)) == bits(pqi.retained_bound(X, 1, 2, eta=0.1))
    assert bits(pqi.power_means(pieces, [0.5, 3.0])) == bits(pqi.power_means(X, [0.5, 3.0]))
    assert bits(pqi.index_grid(pieces, [0.5, 1.0], [1.0, 2.0])) == bits(pqi.index_grid(X, [0.5, 1.0], [1.0, 2.0]))
    for field in ("count", "live", "zeros", "max", "mean", "index", "gini", "bound"):
        assert getattr(pqi.summary(pieces), field) == getattr(pqi.summary(X), field), field


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_an_empty_array_of_another_type(dtype: np.dtype[Any]) -> None:
    for n in (50, 5_000):
        x = sample(dtype, n)
        live = np.random.default_rng(0).random(n) < 0.5
        for other in (np.float32, np.float64, np.int32):
            pool, masks = pqi.pooled([x, np.zeros(0, other)]), [live, np.zeros(0, np.bool_)]
            for found, expected in (
                (pqi.norms(pool, 1, 2), pqi.norms(x, 1, 2)),
                (pqi.norms(pool, 1, 2, where=masks), pqi.norms(x, 1, 2, where=live)),
                (pqi.gini(pool), pqi.gini(x)),
                (pqi.gini(pool, where=masks), pqi.gini(x, where=live)),
                (pqi.topk_threshold(pool, n // 5), pqi.topk_threshold(x, n // 5)),
            ):
                np.testing.assert_allclose(np.asarray(found, np.float64), np.asarray(expected, np.float64), 1e-12)
            np.testing.assert_array_equal(pqi.topk_mask(pool, n // 5)[0], pqi.topk_mask(x, n // 5))


def test_where_is_a_list_of_masks() -> None:
    live = np.random.default_rng(8).random(X.size) < 0.4
    cuts = [100, 9_000]
    pieces, masks = pqi.pooled(cut(X, cuts)), cut(live, cuts)
    assert bits(pqi.index(pieces, where=masks)) == bits(pqi.index(X, where=live))
    assert pqi.index(pieces, where=masks) == pytest.approx(reference.index(X[live]), abs=1e-13)
    assert pqi.gini(pieces, where=masks) == pytest.approx(reference.gini(X[live]), abs=1e-13)
    taken = np.concatenate(pqi.topk_mask(pieces, 500, where=masks))
    np.testing.assert_array_equal(taken, pqi.topk_mask(X, 500, where=live))
    assert not taken[~live].any()


def test_torch_pieces_answer_in_torch() -> None:
    torch = pytest.importorskip("torch")
    weights = [to_torch(piece) for piece in cut(X, [7, 5000])]
    weights[1].requires_grad_()
    together = pqi.pooled(weights)
    index = pqi.index(together)
    assert isinstance(index, torch.Tensor)
    assert index.dtype == torch.float64
    assert bits(index.detach()) == bits(pqi.index(X))
    masks = pqi.topk_mask(together, 900)
    assert all(m.dtype == torch.bool for m in masks)
    assert [m.shape for m in masks] == [w.shape for w in weights]
    np.testing.assert_array_equal(torch.cat(masks).numpy(), pqi.topk_mask(X, 900))


def test_a_pool_of_one_and_of_nothing() -> None:
    assert bits(pqi.index(pqi.pooled([X]))) == bits(pqi.index(X))
    for nothing, shapes in ((pqi.pooled([]), []), (pqi.pooled([np.zeros(0), np.zeros((3, 0))]), [(0,), (3, 0)])):
        assert math.isnan(pqi.index(nothing))
        assert math.isnan(pqi.gini(nothing))
        assert [m.shape for m in pqi.topk_mask(nothing, 0)] == shapes


def test_the_arrays_are_read_where_they_lie() -> None:
    """A pool sees what is written into its arrays afterwards: nothing was copied."""
    pieces = [np.ones(1000), np.ones(1000)]
    together = pqi.pooled(pieces)
    pieces[1][:] = 0
    assert pqi.index(together, 1, 2) == pytest.approx(1 - math.sqrt(0.5), abs=1e-15)


def test_not_finite_values() -> None:
    assert math.isnan(pqi.index(pqi.pooled([np.ones(3), np.array([np.nan])])))
    masks = pqi.topk_mask(pqi.pooled([np.ones(3), np.array([np.inf, np.nan])]), 1)
    assert [m.tolist() for m in masks] == [[False] * 3, [False, True]]


def test_ties_are_cut_across_arrays() -> None:
    masks = pqi.topk_mask(pqi.pooled([np.full((2, 2), 3.0), np.full(5, -3.0), np.full(5, 3.0)]), 6)
    assert [int(m.sum()) for m in masks] == [4, 2, 0]
    assert masks[1].tolist() == [True, True, False, False, False]


def test_unsigned_64_bit_integers_among_floats_are_compared_as_numbers() -> None:
    """Their bits were taken for a float's."""
    parts = [np.array([3, 1 << 40, 0], dtype=np.uint64), np.array([2.5, -7.0]), np.array([4.0], dtype=np.float32)]
    whole = np.concatenate([part.astype(np.float64) for part in parts])
    assert pqi.gini(pqi.pooled(parts)) == pqi.gini(whole)
    assert pqi.summary(pqi.pooled(parts)).max == 2.0**40
    for k in range(7):
        np.testing.assert_array_equal(np.concatenate(pqi.topk_mask(pqi.pooled(parts), k)), pqi.topk_mask(whole, k))
    assert pqi.topk_threshold(pqi.pooled(parts), 3) == 4.0
