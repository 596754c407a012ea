"""`histogram`: measures from counts, and counts that add."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import pqi

RNG = np.random.default_rng(5)
NARROW = [np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, np.int8, np.uint8, np.int16]


def large(dtype: Any) -> np.ndarray:
    values = RNG.standard_normal(1 << 20) * 20
    return values.astype(np.int64).astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype)


@pytest.mark.parametrize("dtype", NARROW, ids=lambda dtype: np.dtype(dtype).name)
def test_has_the_bits_of_the_functions(dtype: Any) -> None:
    x = large(dtype)
    h = pqi.histogram(x)
    summary = pqi.summary(x)
    assert (h.live, h.zeros, h.max, h.mean) == (x.size, summary.zeros, summary.max, summary.mean)
    assert h.gini() == pqi.gini(x)
    assert h.retained_bound(0.7, 1.5, eta=0.1) == pqi.retained_bound(x, 0.7, 1.5, eta=0.1)
    exponents = [0.3, 0.5, 1, 1.7, 2]
    np.testing.assert_array_equal(h.power_means(exponents), pqi.power_means(x, exponents))
    np.testing.assert_array_equal(h.index_grid([0.3, 0.5, 1], [1, 2]), pqi.index_grid(x, [0.3, 0.5, 1], [1, 2]))


@pytest.mark.parametrize(("dtype", "q"), [(ml_dtypes.bfloat16, 10), (np.int16, 100)])
def test_high_powers_of_wide_ranges(dtype: Any, q: float) -> None:
    """Relative to the smallest magnitude the largest one's power left float64, and the index was nan."""
    x = (RNG.random(1 << 20) * 30_000).astype(dtype)
    x[5] = 1 if np.dtype(dtype).kind == "i" else 1e-38
    assert pqi.index(x, 1, q) == pytest.approx(pqi.index(x.astype(np.float64), 1, q), rel=1e-12)
    only_infinite = np.full(1 << 20, math.inf, dtype=np.float16)
    assert (pqi.power_means(only_infinite, [0.5, 1, 3]) == math.inf).all()


def test_adds_like_a_pool() -> None:
    x = large(np.float16)
    parts = np.split(x, [1000, 77_777])
    total = pqi.histogram(parts[0]) + pqi.histogram(parts[1]) + pqi.histogram(parts[2])
    assert total.gini() == pqi.gini(pqi.pooled(parts)) == pqi.histogram(pqi.pooled(parts)).gini()
    assert total.live == x.size


def test_counts_live_entries_only() -> None:
    x = np.array([1, 2, 3, -4, 0], dtype=np.int8)
    h = pqi.histogram(x, where=np.array([True, True, False, True, False]))
    assert (h.live, h.zeros, h.max) == (3, 0, 4.0)
    assert h.mean == pytest.approx(7 / 3)


def test_nothing_and_what_is_no_number() -> None:
    empty = pqi.histogram(np.zeros(0, dtype=np.float16))
    assert (empty.live, empty.zeros) == (0, 0)
    assert math.isnan(empty.max)
    assert math.isnan(empty.gini())
    wrong = pqi.histogram(np.array([1.0, np.nan], dtype=np.float16))
    assert math.isnan(wrong.max)
    assert math.isnan(wrong.gini())
    assert np.isnan(wrong.index_grid([0.5], [1])).all()


def test_refuses_wide_and_mixed_types() -> None:
    with pytest.raises(TypeError, match="one- or two-byte type"):
        pqi.histogram(np.zeros(3, dtype=np.float32))
    with pytest.raises(TypeError, match="one- or two-byte type"):
        pqi.histogram(pqi.pooled([np.zeros(3, dtype=np.int8), np.zeros(3, dtype=np.uint8)]))
    with pytest.raises(TypeError, match="one element type"):
        pqi.histogram(np.zeros(3, dtype=np.int8)) + pqi.histogram(np.zeros(3, dtype=np.uint8))


def test_counters_do_not_overflow() -> None:
    """1e10 equal entries, more than 32 bits can count, by a stride of zero."""
    x = np.broadcast_to(np.array(2, dtype=np.uint8), (100_000, 100_000))
    h = pqi.histogram(x)
    assert h.live == x.size
    assert h.mean == 2.0
    assert h.gini() == 0.0
    assert h.above(1) == (x.size, 0)
    assert h.topk_threshold(x.size) == 2.0


@pytest.mark.parametrize("dtype", NARROW, ids=lambda dtype: np.dtype(dtype).name)
def test_thresholds_and_what_lies_above(dtype: Any) -> None:
    x = large(dtype)[:50_001]
    h = pqi.histogram(x)
    magnitudes = np.abs(x.astype(np.float64))
    for k in (1, 2, 500, 40_000, x.size):
        threshold = h.topk_threshold(k)
        assert threshold == pqi.topk_threshold(x, k)
        above, equal = h.above(threshold)
        assert above == np.count_nonzero(magnitudes > threshold)
        assert equal == np.count_nonzero(magnitudes == threshold)
        assert above < k <= above + equal
    between = float(np.unique(magnitudes)[:2].mean())
    assert h.above(between) == (int(np.count_nonzero(magnitudes > between)), 0)
    assert h.above(-1) == (x.size, 0)
    assert math.isnan(h.topk_threshold(0))


def test_nan_lies_above_all_numbers() -> None:
    h = pqi.histogram(np.array([1.0, np.nan, np.inf, -2.0, np.nan], dtype=np.float16))
    assert math.isnan(h.topk_threshold(2))
    assert h.topk_threshold(3) == math.inf
    assert h.above(math.inf) == (2, 1)
    assert h.above(math.nan) == (0, 2)
    assert h.above(1) == (4, 1)


def test_thresholds_are_checked() -> None:
    h = pqi.histogram(np.zeros(3, dtype=np.int8))
    with pytest.raises(ValueError, match="k must satisfy 0 <= k <= 3"):
        h.topk_threshold(4)
    with pytest.raises(TypeError, match="k must be an integer"):
        h.topk_threshold(1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="magnitude must be a real number"):
        h.above("1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dtype", "codes"),
    [
        (np.float16, 0x7C02),
        (ml_dtypes.bfloat16, 0x7F82),
        (ml_dtypes.float8_e4m3fn, 0x80),
        (ml_dtypes.float8_e5m2, 0x7E),
        (np.int8, 129),
        (np.uint8, 256),
        (np.int16, 32769),
        (np.uint16, 65536),
    ],
)
def test_states_hold_the_codes_of_their_type(dtype: Any, codes: int) -> None:
    state = pqi.histogram(np.arange(5).astype(dtype)).state
    state["counts"][codes - 1] += 3
    assert pqi.Histogram.from_state(state).live == 8
    if codes < state["counts"].size:
        state["counts"][codes] = 1
        with pytest.raises(ValueError, match=f"first {codes} codes"):
            pqi.Histogram.from_state(state)
