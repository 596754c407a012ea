"""`norms` and `power_means` against the reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pqi
import reference
from cases import DISTRIBUTIONS, DTYPES, draw, sample
from strategies import any_vectors

EXPONENTS = [0.1, 0.5, 0.7, 1.0, 1.3, 2.0, 3.0]


def relative_tolerance(r: float) -> float:
    """Return the error that 1e-12 in the mean power becomes after the 1/r root."""
    return 1e-12 * max(1, 1 / r)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_accuracy(distribution: str) -> None:
    x = draw(distribution, 100_003)
    means = pqi.power_means(x, EXPONENTS)
    for r, mean in zip(EXPONENTS, means, strict=True):
        assert mean == pytest.approx(reference.power_mean(x, r), rel=relative_tolerance(r))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype: np.dtype[Any]) -> None:
    x = sample(dtype, 5000)
    for p, q in ((0.5, 1.0), (1.0, 2.0), (0.7, 1.3)):
        norm_p, norm_q = pqi.norms(x, p, q)
        assert norm_p == pytest.approx(reference.norm(x, p), rel=relative_tolerance(p))
        assert norm_q == pytest.approx(reference.norm(x, q), rel=relative_tolerance(q))
    np.testing.assert_allclose(
        pqi.power_means(x, EXPONENTS), [reference.power_mean(x, r) for r in EXPONENTS], rtol=1e-11
    )


@given(w=st.one_of(any_vectors(np.float64), any_vectors(np.float32)), r=st.sampled_from(EXPONENTS))
def test_any_vector(w: np.ndarray, r: float) -> None:
    expected = reference.power_mean(w, r)
    assert pqi.power_means(w, [r])[0] == pytest.approx(expected, rel=relative_tolerance(r), abs=5e-324)


def edges_of_intervals() -> np.ndarray:
    """Return float32 numbers around every edge of the intervals of the logarithm's table, and around 1."""
    first = np.float32(float.fromhex("0x1.6abp-1")).view(np.uint32)
    edges = first + np.arange(9, dtype=np.uint32) * np.uint32(1 << 20)
    near = np.append(edges, np.float32(1).view(np.uint32))[:, np.newaxis] + np.arange(-3, 4)
    return near.astype(np.uint32).view(np.float32).ravel()


@pytest.mark.parametrize("r", [0.05, 0.3, 0.7, 1.3, 3.5])
def test_general_powers_of_float32(r: float) -> None:
    """Each power by itself, on all intervals of the tables and at every edge; powers of two are exact."""
    x = np.concatenate([edges_of_intervals(), np.linspace(0.7, 1.42, 10_007, dtype=np.float32)])
    alone = pqi.power_means(x[:, np.newaxis], [r], axis=1)[:, 0]
    np.testing.assert_allclose(alone, x, rtol=1e-14 * max(1, 1 / r))
    high = x.astype(np.longdouble) * 2.0**50
    beside_one = pqi.power_means(np.stack([np.ones_like(x), high.astype(np.float32)], axis=1), [r], axis=1)[:, 0]
    expected = ((1 + high ** np.longdouble(r)) / 2) ** (1 / np.longdouble(r))
    np.testing.assert_allclose(beside_one, expected.astype(np.float64), rtol=5e-14 * max(1, 1 / r))
    twos = np.ldexp(np.float32(1), np.arange(-149, 128))
    assert (pqi.power_means(twos[:, np.newaxis], [r], axis=1)[:, 0] == twos).all()


def test_many_exponents_have_the_bits_of_one() -> None:
    x = draw("normal", 5000)
    x[2000:2100] = 0
    exponents = list(np.linspace(0.1, 3.4, 71))
    assert [float(m) for m in pqi.power_means(x, exponents)] == [float(pqi.power_means(x, [r])[0]) for r in exponents]


def test_worked_example() -> None:
    norm_1, norm_2 = pqi.norms([3.0, 0.0, -4.0], 1, 2)
    assert norm_1 == pytest.approx(7, rel=1e-15)
    assert norm_2 == pytest.approx(5, rel=1e-15)
    assert list(pqi.power_means([3.0, 0.0, -4.0], [1.0])) == pytest.approx([7 / 3], rel=1e-15)


def test_order_and_repeats_of_exponents_are_kept() -> None:
    w = draw("normal", 1000)
    means = pqi.power_means(w, [2.0, 0.5, 2.0, 0.3])
    assert [float(m) for m in means] == [float(pqi.power_means(w, [r])[0]) for r in (2.0, 0.5, 2.0, 0.3)]


def test_axis_gives_one_row_of_means_per_group() -> None:
    w = draw("normal", 6000).reshape(4, 5, 300)
    means = pqi.power_means(w, [0.5, 2.0], axis=(0, 2))
    assert means.shape == (5, 2)
    for i in range(5):
        for j, r in enumerate((0.5, 2.0)):
            assert means[i, j] == pytest.approx(reference.power_mean(w[:, i], r), rel=1e-12)
    norm_p, norm_q = pqi.norms(w, 1, 2, axis=-1, keepdims=True)
    assert norm_p.shape == norm_q.shape == (4, 5, 1)
    np.testing.assert_allclose(norm_q, np.linalg.norm(w.astype(np.float64), axis=-1, keepdims=True), rtol=1e-12)


def test_zero_and_not_finite() -> None:
    assert pqi.norms(np.zeros(5), 0.5, 1) == (0, 0)
    assert list(pqi.power_means(np.zeros(5), [0.5, 2])) == [0, 0]
    assert all(math.isnan(v) for v in pqi.norms([1.0, math.nan], 0.5, 1))
    assert all(v == math.inf for v in pqi.norms([1.0, math.inf], 0.5, 1))


def test_no_norm_overflows_on_the_way_to_a_mean() -> None:
    """||w||_.1 of 1e5 ones is 1e50 and of 1e5 entries of 1e300 beyond float64; the means are 1 and 1e300."""
    assert pqi.power_means(np.ones(100_000, dtype=np.float32), [0.1])[0] == pytest.approx(1, rel=1e-11)
    assert pqi.power_means(np.full(100_000, 1e300), [0.1])[0] == pytest.approx(1e300, rel=1e-11)
    assert pqi.norms(np.full(100_000, 1e300), 0.1, 1)[0] == math.inf
    assert pqi.norms(np.ones(100_000, dtype=np.float32), 0.1, 1)[0] == pytest.approx(1e50, rel=1e-11)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64], ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("first", [math.inf, 1.1])
def test_infinity_anywhere_gives_infinity(dtype: type, first: float) -> None:
    """An infinite pivot left float32's powers no scale, and they became nan."""
    x: np.ndarray = np.full(10_000, 1.1, dtype=dtype)
    x[0], x[7_000] = first, math.inf
    exponents = [0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 3.5, 10.0]
    assert (pqi.power_means(x, exponents) == math.inf).all()
    x[3_000] = math.nan
    assert np.isnan(pqi.power_means(x, exponents)).all()


@pytest.mark.parametrize("first", [1e-38, 1e-25, 1e-20, 1e20, 1e38])
def test_a_first_entry_far_from_the_others_costs_no_accuracy(first: float) -> None:
    """Roots of float32 2^100 above the pivot lost their low parts."""
    x = draw("normal", 100_003)
    x[0] = first
    for r, mean in zip(EXPONENTS, pqi.power_means(x, EXPONENTS), strict=True):
        assert mean == pytest.approx(reference.power_mean(x, r), rel=relative_tolerance(r))


def test_a_root_beyond_float64_times_a_tiny_scale() -> None:
    w = np.full(1_000_000, 1e-200)
    assert pqi.norms(w, 0.018, 1)[0] == pytest.approx(reference.norm(w, 0.018), rel=1e-10)
    spike = np.zeros(1_000_000)
    spike[0] = 1e300
    assert pqi.power_means(spike, [0.01])[0] == pytest.approx(1e-300, rel=1e-9)


def test_the_widest_exponent_over_many_entries() -> None:
    """2^27 powers of 2^998 are beyond float64 unless they have a scale of their own."""
    many = np.broadcast_to(np.float64(3.99), (1 << 27,))
    assert pqi.power_means(pqi.pooled([np.ones(1), many]), [500.0])[0] == pytest.approx(3.99, rel=1e-9)


@pytest.mark.slow
def test_ten_billion_elements() -> None:
    """By a stride of zero."""
    x = np.broadcast_to(np.float32(2), (100_000, 100_000))
    assert pqi.norms(x, 0.5, 1) == pytest.approx((2e20, 2e10), rel=1e-12)
    assert pqi.index(x) == pytest.approx(0, abs=1e-12)
