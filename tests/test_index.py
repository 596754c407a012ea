"""`index` and `index_grid` against the reference, closed forms, and the rules for zero, NaN and inf."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pqi
import reference
from cases import DISTRIBUTIONS, DTYPES, EXPONENTS, draw, sample, with_closed_form
from strategies import any_vectors, exponent_pairs

SPECIAL = {0.5, 1.0, 2.0}


def tolerance(p: float, q: float) -> float:
    """Return how far from the reference the index may be."""
    return 1e-12 if {p, q} <= SPECIAL else 1e-10 if p >= 0.05 else 1e-11 / p


def check_accuracy(distribution: str, n: int) -> None:
    """Compare every pair of exponents on n entries of a distribution."""
    x = draw(distribution, n)
    for p, q in (*EXPONENTS, (0.05, 1.0), (0.01, 0.7)):
        assert pqi.index(x, p, q) == pytest.approx(reference.index(x, p, q), rel=0, abs=tolerance(p, q)), (p, q)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_accuracy(distribution: str) -> None:
    check_accuracy(distribution, 300_007)


@pytest.mark.slow
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_accuracy_at_1e7(distribution: str) -> None:
    check_accuracy(distribution, 10_000_000)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 255, 4095, 4096, 4097, 70_000])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype: np.dtype[Any], n: int) -> None:
    x = sample(dtype, n, seed=n)
    x[0] = 1
    for p, q in EXPONENTS:
        assert pqi.index(x, p, q) == pytest.approx(reference.index(x, p, q), rel=0, abs=1e-12)


@given(w=st.one_of(any_vectors(np.float64), any_vectors(np.float32), any_vectors(np.float16)), pq=exponent_pairs())
def test_any_vector(w: np.ndarray, pq: tuple[float, float]) -> None:
    assert pqi.index(w, *pq) == pytest.approx(reference.index(w, *pq), rel=0, abs=1e-12)


@given(w=st.one_of(any_vectors(np.float64), any_vectors(np.float32)), pq=exponent_pairs(0.05, 8))
def test_theorem_1_range(w: np.ndarray, pq: tuple[float, float]) -> None:
    assert 0 <= pqi.index(w, *pq) <= reference.index_range(w.size, *pq) + 1e-15


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("p", "q"), [*EXPONENTS, (0.05, 0.3), (1.5, 4.0), (2.0, 30.0)])
def test_float_extremes(dtype: type[np.floating[Any]], p: float, q: float) -> None:
    """The largest, the smallest normal and the smallest subnormal numbers, alone and side by side."""
    limits = np.finfo(dtype)
    values = [limits.max, limits.tiny, limits.smallest_subnormal]
    for x in ([values[0]] * 5, [values[2], 3 * values[2]], values, [values[0], *[values[2]] * 1000]):
        w = np.array(x, dtype=dtype)
        assert pqi.index(w, p, q) == pytest.approx(reference.index(w, p, q), rel=0, abs=1e-12)


HALF_NORMAL = {p: math.sqrt(2) * (math.gamma((p + 1) / 2) / math.sqrt(math.pi)) ** (1 / p) for p in (0.1, 0.5, 1, 2)}


@pytest.mark.parametrize(
    ("name", "p", "q", "expected"),
    [
        ("normal", 0.5, 1, 0.15280),
        ("normal", 1, 2, 1 - math.sqrt(2 / math.pi)),
        ("normal", 0.1, 1, 1 - HALF_NORMAL[0.1] / HALF_NORMAL[1]),
        ("exponential", 0.5, 1, 1 - math.pi / 4),
        ("exponential", 1, 2, 1 - 1 / math.sqrt(2)),
        ("uniform", 0.5, 1, 1 / 9),
        ("uniform", 1, 2, 1 - math.sqrt(3) / 2),
    ],
)
def test_closed_forms(name: str, p: float, q: float, expected: float) -> None:
    assert pqi.index(with_closed_form(name), p, q) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("p", "q"), EXPONENTS)
@pytest.mark.parametrize("d", [1, 2, 10, 12_345])
def test_ends_of_the_range(d: int, p: float, q: float) -> None:
    hot = np.zeros(d)
    hot[d // 2] = -4.2
    assert pqi.index(hot, p, q) == pytest.approx(reference.index_range(d, p, q), rel=0, abs=1e-13)
    assert 0 <= pqi.index(np.full(d, 0.3), p, q) <= (1e-15 if {p, q} <= SPECIAL else 1e-12)


def test_hoyer() -> None:
    w = sample(np.dtype(np.float64), 1000)
    hoyer = (math.sqrt(w.size) - np.abs(w).sum() / np.linalg.norm(w)) / (math.sqrt(w.size) - 1)
    assert pqi.index(w, 1, 2) * math.sqrt(w.size) / (math.sqrt(w.size) - 1) == pytest.approx(hoyer, abs=1e-14)


@pytest.mark.parametrize("x", [[], [0.0], [0.0, -0.0], [1.0, math.nan], [math.inf, 1.0], [-math.inf, math.nan]])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_undefined_is_nan(x: list[float], dtype: type[np.floating[Any]]) -> None:
    for p, q in EXPONENTS:
        assert math.isnan(pqi.index(np.array(x, dtype=dtype), p, q))


def test_signs_do_not_matter() -> None:
    w = sample(np.dtype(np.float32), 5000)
    assert pqi.index(w) == pqi.index(-w) == pqi.index(np.abs(w))


def test_default_exponents() -> None:
    w = sample(np.dtype(np.float64), 100)
    assert pqi.index(w) == pqi.index(w, 0.5, 1.0) == pqi.index(w, p=0.5, q=1.0)


def test_grid() -> None:
    w = sample(np.dtype(np.float32), (3, 2000))
    p, q = [0.1, 0.5, 1.0, 1.5], [0.5, 1.0, 2.0]
    grid = pqi.index_grid(w, p, q)
    rows = pqi.index_grid(w, p=p, q=q, axis=1)
    assert grid.shape == (4, 3)
    assert rows.shape == (3, 4, 3)
    for i, first in enumerate(p):
        for j, second in enumerate(q):
            if first >= second:
                assert math.isnan(grid[i, j])
                assert np.isnan(rows[:, i, j]).all()
            else:
                assert grid[i, j] == pytest.approx(pqi.index(w, first, second), abs=1e-15)
                np.testing.assert_allclose(rows[:, i, j], pqi.index(w, first, second, axis=1), rtol=0, atol=1e-15)


def test_grid_of_the_paper() -> None:
    """All p in .1 … 1 by q in 1 … 2: 20 distinct power sums."""
    w = draw("normal", 10_000)
    p, q = [round(0.1 * i, 1) for i in range(1, 11)], [round(1 + 0.1 * i, 1) for i in range(11)]
    grid = np.asarray(pqi.index_grid(w, p, q))
    expected = [[reference.index(w, a, b) if a < b else math.nan for b in q] for a in p]
    np.testing.assert_allclose(grid, expected, rtol=0, atol=1e-11)
