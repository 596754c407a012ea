"""`gini_sketch` and `gini(tol=...)`: the interval holds the reference on whatever data, and adds to the bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pqi
import reference
from cases import BFLOAT16, DISTRIBUTIONS, DTYPES, Array, bits, draw, sample, strided, to_torch
from strategies import any_vectors

LARGE = (1 << 18) + 1001  # the least groups that are sketched have 2^18 entries
TOLERANCES = [1e-3, 1e-6, 1e-8]
EXACT = 1e-14  # width of an interval that is rounding error


def holds(found: pqi.GiniInterval, exact: float) -> bool:
    """Return whether an interval and its value are in order around the exact value."""
    return bool(found.low <= exact <= found.high and found.low <= found.value <= found.high)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_holds_the_reference(distribution: str, dtype: type[Any]) -> None:
    x = draw(distribution, LARGE).astype(dtype)
    exact = reference.gini(x)
    for tol in TOLERANCES:
        assert holds(pqi.gini_sketch(x, tol=tol).gini(), exact)
        found = pqi.gini(x, tol=tol)
        assert holds(found, exact)
        assert found.high - found.low <= tol


@given(w=st.one_of(any_vectors(np.float64), any_vectors(np.float32), any_vectors(np.float16)))
def test_holds_any_vector(w: Array) -> None:
    exact = reference.gini(w)
    for tol in (1e-6, 1e-8):
        assert holds(pqi.gini_sketch(w, tol=tol).gini(), exact)
    assert holds(pqi.gini(w, tol=1e-6), exact)


@given(
    magnitudes=st.lists(st.sampled_from([1.0, 1.0 + 2**-23, 1.0 + 2**-10, 1.5, 1.5 + 2**-9, 2.0, 3.0]), min_size=1),
    repeats=st.integers(1, 50),
)
def test_holds_heavy_ties(magnitudes: list[float], repeats: int) -> None:
    """Buckets of few distinct magnitudes, at their ends and inside: the widest differences are attained."""
    w = np.repeat(np.array(magnitudes, dtype=np.float32), repeats)
    exact = reference.gini(w)
    assert holds(pqi.gini_sketch(w).gini(), exact)


def test_the_interval_is_attained_by_two_points() -> None:
    """Half at either end of a bucket beside a larger magnitude: the upper end is the exact value."""
    low, high = np.float32(1.0), np.nextafter(np.float32(1 + 2**-9), np.float32(0))
    w = np.concatenate([np.full(500, low), np.full(500, high), np.full(10, 4, np.float32)])
    value, least, most = pqi.gini_sketch(w).gini()
    assert most == pytest.approx(reference.gini(w), rel=0, abs=1e-15)
    assert least < value < most


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype: np.dtype[Any]) -> None:
    for n in (1, 3, 1000, LARGE):
        x = sample(dtype, n, seed=n)
        x[0] = 1
        sketch, summary = pqi.gini_sketch(x), pqi.summary(x)
        assert (sketch.live, sketch.zeros, sketch.max) == (summary.live, summary.zeros, summary.max)
        assert sketch.mean == pytest.approx(float(summary.mean), rel=1e-14)
        assert holds(sketch.gini(), reference.gini(x))
        assert holds(pqi.gini(x, tol=1e-6), reference.gini(x))


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16, np.int8, np.uint16, np.bool_], ids=lambda d: np.dtype(d).name)
def test_narrow_types_are_exact(dtype: Any) -> None:
    x = sample(np.dtype(dtype), 70_000)
    value, low, high = pqi.gini_sketch(x).gini()
    assert value == pqi.gini(x)
    assert high - low < EXACT


@pytest.mark.parametrize("name", ["normal", "lognormal", "half-zero"])
def test_the_value_is_far_better_than_the_interval(name: str) -> None:
    x = draw(name, 1_000_003)
    value, low, high = pqi.gini_sketch(x).gini()
    assert high - low < 4e-7
    assert value == pytest.approx(pqi.gini(x), rel=0, abs=2e-9)


def test_wide_intervals_turn_to_the_exact_algorithm() -> None:
    x = draw("int4", LARGE)
    sketch = pqi.gini_sketch(x).gini()
    assert sketch.high - sketch.low > 1e-6
    found = pqi.gini(x, tol=1e-6)
    assert found.value == pqi.gini(x)
    assert 0 < found.high - found.low < EXACT
    kept = pqi.gini(x, tol=1e-3)
    assert kept == sketch


def test_a_finer_sketch_comes_before_the_exact_algorithm() -> None:
    """Smooth data within one power of two: too wide with the fewest buckets, not with a few bits more."""
    x = np.random.default_rng(0).uniform(1, 1.5, LARGE).astype(np.float32)
    first = pqi.gini_sketch(x, tol=1e-6).gini()
    assert first.high - first.low > 1e-6
    found = pqi.gini(x, tol=1e-6)
    assert EXACT < found.high - found.low < 1e-6
    assert holds(found, reference.gini(x))


@pytest.mark.parametrize("x", [[], [0.0], [0.0, -0.0], [1.0, math.nan], [math.inf, 1.0], [-math.inf, math.nan]])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_undefined_is_nan(x: list[float], dtype: type[np.floating[Any]]) -> None:
    w = np.array(x, dtype=dtype)
    for array in (w, np.tile(w, LARGE)):
        assert np.isnan(pqi.gini(array, tol=1e-6)).all()
        assert np.isnan(pqi.gini_sketch(array).gini()).all()
        np.testing.assert_equal(pqi.gini_sketch(array).max, float(pqi.summary(array).max))
        np.testing.assert_equal(pqi.gini_sketch(array).mean, float(pqi.power_means(array, [1])[0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_extremes(dtype: type[np.floating[Any]]) -> None:
    limits = np.finfo(dtype)
    values = [limits.max, limits.tiny, limits.smallest_subnormal]
    for x in ([values[0]] * 5, [values[2], 3 * values[2]], values, [values[0], *[values[2]] * 1000]):
        w = np.array(x, dtype=dtype)
        assert holds(pqi.gini_sketch(w).gini(), reference.gini(w))
        assert pqi.gini_sketch(w).max == w.max()
    assert pqi.gini_sketch(np.full(5, limits.max)).mean == limits.max


def test_axes_masks_and_the_unbiased_form() -> None:
    x = draw("normal", 3 * LARGE).reshape(3, LARGE)
    where = np.arange(x.size).reshape(x.shape) % 7 > 2
    found = pqi.gini(x, tol=1e-6, axis=1, where=where, keepdims=True, unbiased=True)
    expected = pqi.gini(x, axis=1, where=where, keepdims=True, unbiased=True)
    assert [end.shape for end in found] == [(3, 1)] * 3
    assert ((found.low <= expected) & (expected <= found.high) & (found.high - found.low < 1e-6)).all()
    rows = pqi.gini(x[:, :300], tol=1e-6, axis=1, unbiased=True)
    np.testing.assert_array_equal(rows.value, pqi.gini(x[:, :300], axis=1, unbiased=True))
    assert (rows.high - rows.low < EXACT).all()
    few = np.zeros(LARGE, dtype=bool)
    assert np.isnan(pqi.gini(x[0], tol=1e-6, where=few, unbiased=True)).all()
    few[[5, 70]] = True
    assert holds(pqi.gini(x[0], tol=1e-6, where=few, unbiased=True), reference.gini(x[0][few], unbiased=True))
    assert pqi.gini_sketch(x[0], where=few).live == 2


def test_segments_of_all_sizes() -> None:
    """Small ones are exact, large ones sketched, discrete ones exact again."""
    x = np.concatenate([draw("normal", 700), draw("int4", LARGE), draw("normal", LARGE)])
    ragged = pqi.segments(x, [0, 700, 700, 700 + LARGE, x.size])
    found, exact = pqi.gini(ragged, tol=1e-6), pqi.gini(ragged)
    np.testing.assert_array_equal(found.value[:3], exact[:3])
    assert found.low[3] < exact[3] < found.high[3]
    assert found.value[3] == pqi.gini(x[-LARGE:], tol=1e-6).value


def test_answers_in_the_callers_kind() -> None:
    pytest.importorskip("torch")
    x = draw("normal", LARGE)
    found = pqi.gini(to_torch(x), tol=1e-6)
    assert [type(end).__name__ for end in found] == ["Tensor"] * 3
    assert [float(end) for end in found] == list(pqi.gini(x, tol=1e-6))
    assert [type(end) for end in pqi.gini([1.0, 2.0], tol=1e-6)] == [float] * 3


@pytest.mark.usefixtures("restore_settings")
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_instruction_sets_threads_strides_and_splits(dtype: Any) -> None:
    x = (draw("normal", LARGE) * np.float32(1e6)).astype(dtype)
    expected = pqi.gini_sketch(x)
    pieces = np.split(x, [1, 4096, 4097, 60_000])
    pool = pqi.pooled([strided(piece) if i % 3 == 1 else piece for i, piece in enumerate(pieces)])
    for isa in pqi.info()["isas"]:
        pqi.use_isa(isa)
        for threads in (1, 2, 7):
            pqi.set_num_threads(threads)
            for same in (x, strided(x), x[::-1], -x, pool):
                assert pqi.gini_sketch(same) == expected
            assert bits(pqi.gini_sketch(x).gini()) == bits(expected.gini())
            assert bits(pqi.gini(pool, tol=1e-6)) == bits(pqi.gini(x, tol=1e-6))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int8])
def test_sums_have_the_bits_of_the_whole(dtype: Any) -> None:
    x = sample(np.dtype(dtype), 90_001)
    a, b, c = (pqi.gini_sketch(part) for part in np.split(x, [10, 50_000]))
    whole = pqi.gini_sketch(x)
    assert (a + b) + c == a + (b + c) == c + a + b == whole
    assert bits((a + b + c).gini()) == bits(whole.gini())
    assert a != b


def test_sums_of_different_kinds() -> None:
    """The fewer buckets of the two; narrow types go with float32 and with one another."""
    x, y = draw("normal", 50_000), draw("normal", 30_000, seed=1)
    fine, coarse = pqi.gini_sketch(x, tol=1e-9), pqi.gini_sketch(x)
    nothing = np.zeros(0, dtype=np.float32)
    assert fine + pqi.gini_sketch(nothing) == pqi.gini_sketch(nothing) + fine == coarse
    half, integer = x.astype(np.float16), (20 * y).astype(np.int8)
    values = np.concatenate([half.astype(np.float32), integer.astype(np.float32)])
    exact = pqi.gini_sketch(half) + pqi.gini_sketch(integer)
    assert exact.gini().value == pqi.gini(values)
    assert exact.gini().high - exact.gini().low < EXACT
    mixed = pqi.gini_sketch(half) + pqi.gini_sketch(y)
    assert holds(mixed.gini(), reference.gini(np.concatenate([half.astype(np.float32), y])))
    with pytest.raises(TypeError, match="one key type to be added, got float32 and float64"):
        pqi.gini_sketch(x) + pqi.gini_sketch(x.astype(np.float64))


def test_counters_do_not_overflow() -> None:
    """More entries of one bucket than a counter holds, by a stride of zero."""
    n = 3 << 24
    for value in (np.float32(1.999), np.float64(1.999)):
        pair = np.array([value, 0], dtype=value.dtype)
        x = np.lib.stride_tricks.as_strided(pair, (2, n), (pair.itemsize, 0))
        sketch = pqi.gini_sketch(x)
        assert (sketch.live, sketch.zeros, sketch.max, sketch.mean) == (2 * n, n, value, float(value) / 2)
        assert holds(sketch.gini(), 0.5)


@pytest.mark.parametrize("tol", [-1e-9, math.inf, math.nan, "1", None, True])
def test_tol_is_checked(tol: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="tol must be"):
        pqi.gini_sketch([1.0], tol=tol)
    if tol is not None:
        with pytest.raises((TypeError, ValueError), match="tol must be"):
            pqi.gini([1.0], tol=tol)
