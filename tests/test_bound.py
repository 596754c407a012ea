"""`retained_bound` and `retained_bound_from_index`: Theorem 2."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pqi
import reference
from cases import DISTRIBUTIONS, EXPONENTS, draw, sample
from strategies import any_vectors, exponent_pairs

Pair = tuple[float, float]


def slack(p: float, q: float) -> float:
    """Return the relative error that is admitted: roots and powers of rounded sums, and nothing that cancels."""
    return 2e-14 * (1 + 1 / p) * (1 + p * q / (q - p))


def slack_of_index(index: float, p: float, q: float) -> float:
    """Return the relative error that the index's own rounding leaves in (1 - I)^(pq/(q-p))."""
    return 1e-10 + 1e-15 * p * q / (q - p) / max(1 - index, 1e-16)


def check_theorem_2(w: np.ndarray, p: float, q: float) -> None:
    """Assert that for every r with its true eta the bound asks for no more than r entries."""
    allowed = 1 + slack(p, q)
    for r in range(1, w.size + 1):
        eta = reference.true_eta(w, r, p)
        assert pqi.retained_bound(w, p, q, eta=eta) <= r * allowed, (r, eta)


@given(w=any_vectors(), pq=exponent_pairs())
def test_theorem_2_on_any_vector(w: np.ndarray, pq: Pair) -> None:
    check_theorem_2(w, *pq)


ADVERSARIAL = {
    "r equal entries among zeros": np.repeat([0.0, 3.0], [25, 12]),
    "one hot": np.eye(1, 30, 4)[0],
    "all equal": np.full(30, 0.1),
    "geometric": 0.5 ** np.arange(30.0),
    "harmonic": 1 / np.arange(1.0, 31),
    "two levels": np.repeat([1.0, 1e-3], [5, 30]),
    "one large among many small": np.repeat([1e6, 1.0], [1, 35]),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize(("p", "q"), [*EXPONENTS, (0.9, 0.95), (0.2, 3.0), (1.5, 2.5)])
def test_theorem_2_on_adversarial_vectors(name: str, p: float, q: float) -> None:
    check_theorem_2(ADVERSARIAL[name], p, q)


@pytest.mark.parametrize(("p", "q"), EXPONENTS)
def test_the_bound_is_reached(p: float, q: float) -> None:
    """Theorem 2 holds with equality for r equal entries among zeros."""
    w = ADVERSARIAL["r equal entries among zeros"]
    assert pqi.retained_bound(w, p, q) == pytest.approx(12, rel=1e-13)


@pytest.mark.parametrize(("p", "q"), [(0.5, 1), (0.25, 1), (0.1, 1), (0.1, 0.2), (0.05, 2), (0.02, 1), (0.9, 0.95)])
@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_few_entries_among_many_zeros_keep_all_digits(p: float, q: float, scale: float) -> None:
    """Their index is near 1 and has lost the digits of M_p/M_q; the bound came out up to 1e-4 too large, or as 0."""
    for kept in (1, 3):
        w = np.zeros(1_000_003)
        w[::400_000][:kept] = scale
        assert pqi.retained_bound(w, p, q) == pytest.approx(kept, rel=slack(p, q))
        assert pqi.summary(w, p, q).bound == pqi.retained_bound(w, p, q)
        assert pqi.retained_bound(w, p, q, eta=0.5) == pytest.approx(kept * 1.5 ** (-q / (q - p)), rel=slack(p, q))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_reference(distribution: str) -> None:
    x = draw(distribution, 20_000)
    for p, q in EXPONENTS:
        for eta in (0, 0.01, 1.0):
            expected = reference.retained_bound(x, p, q, eta=eta)
            assert pqi.retained_bound(x, p, q, eta=eta) == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_special_cases_without_eta() -> None:
    x = draw("normal", 5000)
    assert pqi.retained_bound(x) == pytest.approx(5000 * (1 - pqi.index(x)), rel=1e-14)
    assert pqi.retained_bound(x, 1, 2) == pytest.approx(5000 * (1 - pqi.index(x, 1, 2)) ** 2, rel=1e-14)


@given(w=any_vectors(), pq=exponent_pairs(0.05, 8), eta=st.floats(0, 1e6))
def test_the_bound_lies_in_its_range(w: np.ndarray, pq: Pair, eta: float) -> None:
    bound = pqi.retained_bound(w, *pq, eta=eta)
    assert 0 <= bound <= w.size
    assert bound <= pqi.retained_bound(w, *pq)
    index = float(pqi.index(w, *pq))
    from_index = pqi.retained_bound_from_index(index, w.size, *pq, eta=eta)
    assert 0 <= from_index <= w.size
    if index < 0.999:
        assert bound == pytest.approx(from_index, rel=slack_of_index(index, *pq))


def test_larger_eta_keeps_fewer() -> None:
    """The exponent of (1 + eta) is negative."""
    x = draw("normal", 1000)
    bounds = [pqi.retained_bound(x, eta=eta) for eta in (0, 0.001, 0.01, 0.1, 1)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] == pytest.approx(bounds[0] / 4, rel=1e-14)


def test_axis_where_and_keepdims() -> None:
    x = sample(np.dtype(np.float32), (3, 4, 50))
    live = np.random.default_rng(1).random(x.shape) < 0.7
    expected = reference.by_group(lambda v: reference.retained_bound(v, 1, 2, eta=0.1), x, (0, 2), where=live)
    bound = pqi.retained_bound(x, 1, 2, eta=0.1, axis=(0, 2), where=live, keepdims=True)
    np.testing.assert_allclose(bound, expected.reshape(1, 4, 1), rtol=1e-12)


def test_from_index_works_elementwise() -> None:
    indices, d = np.array([[0.1, math.nan, 0.0], [0.7, 1.0, 0.3]]), np.array([10, 20, 30])
    bound = pqi.retained_bound_from_index(indices, d, 1, 2, eta=0.5)
    expected = [
        [reference.retained_bound_from_index(i, int(n), 1, 2, eta=0.5) for i, n in zip(row, d, strict=True)]
        for row in indices.tolist()
    ]
    assert bound.dtype == np.float64
    np.testing.assert_allclose(bound, expected, rtol=1e-14)


def test_undefined_is_nan() -> None:
    assert math.isnan(pqi.retained_bound(np.zeros(4)))
    assert math.isnan(pqi.retained_bound(np.zeros(0)))
    assert math.isnan(pqi.retained_bound([1.0, math.nan]))
    assert math.isnan(pqi.retained_bound_from_index(math.nan, 10))


def test_constant_vectors_keep_everything() -> None:
    """Rounding must not make the index negative, nor the bound pass d."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        w = np.full(rng.integers(1, 400), rng.random(), dtype=np.float32)
        assert pqi.index(w) >= 0
        assert w.size * (1 - 1e-12) <= pqi.retained_bound(w) <= w.size
