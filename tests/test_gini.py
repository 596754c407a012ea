"""`gini` against the reference, closed forms, and the rules for zero, NaN and inf."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pqi
import reference
from cases import DISTRIBUTIONS, DTYPES, bits, draw, sample, with_closed_form
from strategies import any_vectors


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [1000, 1_000_003])
def test_accuracy(distribution: str, n: int) -> None:
    x = draw(distribution, n)
    expected = reference.gini(x)
    assert pqi.gini(x) == pytest.approx(expected, rel=0, abs=max(math.ulp(expected), 1e-18))


@pytest.mark.slow
@pytest.mark.parametrize("distribution", ["normal", "constant", "int4"])
def test_one_ulp_at_1e8(distribution: str) -> None:
    """Sorted as float32 and summed in extended precision a part at a time, for the memory's sake."""
    d = 100_000_000
    x = np.abs(draw(distribution, d))
    found = pqi.gini(x)
    x.sort()
    ranked, total = np.longdouble(0), np.longdouble(0)
    for start in range(0, d, 1 << 20):
        part = x[start : start + (1 << 20)].astype(np.longdouble)
        ranks = np.arange(2 * start + 1 - d, 2 * (start + part.size) - d, 2).astype(np.longdouble)
        ranked, total = ranked + (ranks * part).sum(), total + part.sum()
    expected = float(ranked / (d * total))
    assert found == pytest.approx(expected, rel=0, abs=max(math.ulp(expected), 1e-18))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("low", "spread"), [(1.0, 2**-4), (1.0, 2**-8), (1.0, 2**-40), (0.1, 0.0)])
def test_crowded_magnitudes(low: float, spread: float, dtype: type[np.floating[Any]]) -> None:
    """All in a few of the partition's ranges: counted rather than sorted, by all threads where one range holds most; or
    sorted by digits that many of them share.
    """
    rng = np.random.default_rng(3)
    x = (low + spread * rng.random(2_300_001)).astype(dtype)
    x[::1000] = 0
    expected = reference.gini(x)
    assert pqi.gini(x) == pytest.approx(expected, rel=0, abs=math.ulp(expected))


@pytest.mark.parametrize("repeats", [255, 256, 257, 512])
def test_values_as_frequent_as_a_byte_counts(repeats: int) -> None:
    """Counters of a range's values are bytes; one that overflows, even to where it began, is seen."""
    rng = np.random.default_rng(6)
    x = (1 + 2.0**-23 * np.arange(1 << 16)).astype(np.float32)[rng.permutation(1 << 16)]
    x = np.concatenate([x, x[:9], np.repeat(x[:9], repeats - 2), np.full(1 << 18, 2.0, np.float32)])
    expected = reference.gini(x)
    assert pqi.gini(x) == pytest.approx(expected, rel=0, abs=math.ulp(expected))


@pytest.mark.slow
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_accuracy_at_1e7(distribution: str) -> None:
    x = draw(distribution, 10_000_000)
    assert pqi.gini(x) == pytest.approx(reference.gini(x), rel=0, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 17, 4097, 70_000])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype: np.dtype[Any], n: int) -> None:
    x = sample(dtype, n, seed=n)
    x[0] = 1
    assert pqi.gini(x) == pytest.approx(reference.gini(x), rel=0, abs=1e-14)


@given(w=st.one_of(any_vectors(np.float64), any_vectors(np.float32), any_vectors(np.float16)))
def test_any_vector(w: np.ndarray) -> None:
    assert pqi.gini(w) == pytest.approx(reference.gini(w), rel=0, abs=1e-14)
    assert 0 <= pqi.gini(w) <= 1 - 1 / w.size + 1e-15


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_extremes(dtype: type[np.floating[Any]]) -> None:
    limits = np.finfo(dtype)
    values = [limits.max, limits.tiny, limits.smallest_subnormal]
    for x in ([values[0]] * 5, [values[2], 3 * values[2]], values, [values[0], *[values[2]] * 1000]):
        w = np.array(x, dtype=dtype)
        assert pqi.gini(w) == pytest.approx(reference.gini(w), rel=0, abs=1e-14)


@pytest.mark.parametrize(
    ("name", "expected"), [("normal", math.sqrt(2) - 1), ("exponential", 1 / 2), ("uniform", 1 / 3)]
)
def test_closed_forms(name: str, expected: float) -> None:
    assert pqi.gini(with_closed_form(name)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("d", [1, 2, 10, 12_345])
def test_ends_of_the_range(d: int) -> None:
    hot = np.zeros(d)
    hot[d // 2] = -4.2
    assert pqi.gini(hot) == pytest.approx(1 - 1 / d, abs=1e-15)
    assert 0 <= pqi.gini(np.full(d, 0.3)) <= 1e-16


def test_integer_ramp() -> None:
    """The Gini index of 1 … d is (d − 1) / (3 d)."""
    for d in (2, 5, 100, 30_000):
        assert pqi.gini(np.arange(1, d + 1)) == pytest.approx((d - 1) / (3 * d), abs=1e-15)


def test_unbiased() -> None:
    w = sample(np.dtype(np.float32), (4, 50))
    assert pqi.gini(w, unbiased=True) == pytest.approx(reference.gini(w) * 200 / 199, abs=1e-14)
    np.testing.assert_allclose(pqi.gini(w, unbiased=True, axis=1), pqi.gini(w, axis=1) * 50 / 49, rtol=1e-15)
    assert pqi.gini([0.0, 0.0, 7.0], unbiased=True) == pytest.approx(1, abs=1e-15)


def test_unbiased_of_single_entries_is_the_one_nan() -> None:
    """Whatever sign a processor gives to 0/0: bits are the same everywhere."""
    expected = 3 * np.array(math.nan).tobytes()
    found = pqi.gini(np.array([[3.0], [-2.0], [0.0]]), unbiased=True, axis=1)
    assert np.asarray(found).tobytes() == expected
    live = np.array([[True, False], [False, True], [False, False]])
    assert np.asarray(pqi.gini(np.ones((3, 2)), unbiased=True, axis=1, where=live)).tobytes() == expected
    assert np.array([pqi.gini([w], unbiased=True) for w in (3.0, -2.0, 0.0)]).tobytes() == expected


@pytest.mark.parametrize("x", [[], [0.0], [0.0, -0.0], [1.0, math.nan], [math.inf, 1.0], [-math.inf, math.nan]])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_undefined_is_nan(x: list[float], dtype: type[np.floating[Any]]) -> None:
    assert math.isnan(pqi.gini(np.array(x, dtype=dtype)))


@pytest.mark.parametrize("isa", pqi.info()["isas"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "u8"])
def test_algorithms_have_the_same_bits(isa: str, dtype: str) -> None:
    """One group in a tile of its own, sixteen in one tile, and the sort of larger groups, of which few entries live."""
    before = pqi.info()["isa"]
    pqi.use_isa(isa)
    for n in (1, 2, 15, 17, 255, 256, 257, 511, 513, 700, 1000, 1024, 1025, 3000, 4096, 4097, 9830, 16_384, 30_000):
        x = sample(np.dtype(dtype), n)
        padded, live = sample(np.dtype(dtype), 70_000), np.zeros(70_000, dtype=bool)
        live[1000 : 1000 + n] = True
        padded[live] = x
        expected = bits(pqi.gini(padded, where=live))
        assert bits(pqi.gini(x)) == expected, n
        if n <= 4096:
            assert {bits(found) for found in pqi.gini(np.tile(x, (17, 1)), axis=1)} == {expected}, n
    pqi.use_isa(before)


@pytest.mark.parametrize("isa", pqi.info()["isas"])
@pytest.mark.parametrize("spread", [0.0, 8.0, 12.0, 20.0, 250.0])
def test_rows_of_any_spread(isa: str, spread: float) -> None:
    """A row's sixteen neighbours in order are summed in one double where that is exact, or else in two."""
    rng = np.random.default_rng(8)
    before = pqi.info()["isa"]
    pqi.use_isa(isa)
    try:
        for count, width in ((20, 7), (20, 40), (35, 64), (16, 250), (3, 256), (12, 1024), (17, 4000)):
            x = np.exp2(rng.uniform(-spread / 2, spread / 2, (count, width))).astype(np.float32)
            x[::2] *= rng.random((count, width))[::2] < 0.7
            x[5:6, 1:] = 0
            found = pqi.gini(x, axis=1)
            packed = np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)
            assert np.array_equal(bits(found), bits(pqi.gini(packed, axis=1)))
            for row, value in zip(x, found, strict=True):
                expected = reference.gini(row)
                assert value == pytest.approx(expected, rel=0, abs=max(math.ulp(expected), 1e-18))
                assert value == pqi.gini(row)
    finally:
        pqi.use_isa(before)


def test_order_and_signs_do_not_matter() -> None:
    w = sample(np.dtype(np.float32), 5000)
    shuffled = np.random.default_rng(1).permutation(w)
    assert pqi.gini(w) == pqi.gini(-w) == pqi.gini(shuffled) == pqi.gini(np.sort(w))


def test_weights_that_change_meanwhile_cost_the_result_but_no_memory() -> None:
    """Calls release the interpreter; keys counted in one read and placed in the next were written past the end."""
    first = np.random.default_rng(0).standard_normal(1 << 19)
    second = np.full(first.size, 1e-3)
    weights, done = first.copy(), threading.Event()

    def train() -> None:
        while not done.is_set():
            weights[:] = second
            weights[:] = first

    trainer = threading.Thread(target=train)
    trainer.start()
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        pqi.gini(weights)
        assert pqi.topk_mask(weights, 1000).shape == weights.shape
    done.set()
    trainer.join()
    np.copyto(weights, first)
    assert pqi.gini(weights) == pqi.gini(first)
