"""Large groups of one- and two-byte types: sums of |x|^r with r = ½, 1, 2 are rounded once, however added up."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import pqi
from cases import BFLOAT16, DISTRIBUTIONS, Array, draw, strided

N = (1 << 20) + 4_321  # counted from 2^20 entries on; a ragged end
FLOAT16 = np.dtype(np.float16)
OTHERS = [np.dtype(name) for name in ("int8", "uint16", "int16")] + [np.dtype(ml_dtypes.float8_e5m2)]


pytestmark = pytest.mark.usefixtures("restore_settings")


def wide(dtype: np.dtype[Any]) -> Array:
    """Return values of every magnitude that a floating type has, in parts of which some are wide and some narrow."""
    rng = np.random.default_rng(3)
    exponents = rng.uniform(*((-24, 15.9) if dtype == FLOAT16 else (-133, 127.9)), N)
    exponents[: N // 2] = np.repeat(exponents[: N // 2 : 5_000], 5_000)[: N // 2]
    return np.asarray(np.exp2(exponents) * rng.choice([-1.0, 1.0], N)).astype(dtype)


def inputs(dtype: np.dtype[Any], name: str) -> Array:
    """Return N finite values of a type."""
    if name == "wide":
        return wide(dtype)
    with np.errstate(over="ignore"):
        x = draw(name, N).astype(dtype)
    return np.where(np.isfinite(x.astype(np.float64)), x, np.ones_like(x))


def float32(x: Fraction) -> Fraction:
    """Round a number to the 24 digits of a float32, ties to even."""
    unit = Fraction(2) ** (math.frexp(float(x))[1] - 24)
    return round(x / unit) * unit


def reciprocal(interval: int) -> Fraction:
    """Return 1/√m of the middle of an interval of m."""
    place = (16 + interval % 16 + 0.5) / 32 * (1 + interval // 16)
    return Fraction(float(np.float32(2.0**-24 / math.sqrt(place))))


@functools.cache
def root_of(m: Fraction) -> Fraction:
    """Return √m for m from [2^47, 2^49): its float32 root s, and half of (m − s²)/s in units of 2^-22."""
    octave = int(m >= 2**48)
    near = reciprocal(16 * octave + int(m / 2 ** (43 + octave)) - 16)
    root = Fraction(float(np.sqrt(np.float32(float(m)))))
    rest, first = float32(1 - root * near), float32((m - root * root) * near)
    return root + Fraction(round(float32(first * rest + first) * float32(rest * rest + 1) * 2**21), 2**22)


def float16_root(x: float) -> Fraction:
    """Return √x as the sums of float16 add it up."""
    if x == 0:
        return Fraction()
    half = (math.frexp(x)[1] - 48) // 2
    return root_of(Fraction(x) / Fraction(4) ** half) * Fraction(2) ** half


Means = tuple[float, float, float]


def means(x: Array) -> Means:
    """Return M_½, M_1 and M_2 from sums of powers that are rounded once."""
    values, counts = np.unique(np.abs(x.astype(np.float64)), return_counts=True)

    def mean(powers: list[Any]) -> float:
        terms = zip(powers, counts.tolist(), strict=True)
        return float(sum((Fraction(power) * count for power, count in terms), Fraction())) / x.size

    roots = [float16_root(value) for value in values.tolist()] if x.dtype == FLOAT16 else np.sqrt(values).tolist()
    half = mean(roots)  # squared by a product: a power may be rounded otherwise
    return half * half, mean(values.tolist()), math.sqrt(mean((values**2).tolist()))


def test_roots_of_float16_are_within_their_bound() -> None:
    for m in range(2**10, 2**11):
        for x in (Fraction(m, 2**9), Fraction(m, 2**10)):
            assert abs(float(float16_root(float(x)) ** 2 / x - 1)) < 2 * 1.2e-14


def test_single_roots_of_float16() -> None:
    """Of equal numbers a unit in the last place of one root shows in the sum; two are of corrections that are ties."""
    for code in (*range(0x3C00, 0x4400, 31), 0x3CA0, 0x4120):
        x = np.broadcast_to(np.uint16(code).view(np.float16), N)
        for isa in pqi.info()["isas"]:
            pqi.use_isa(isa)
            assert pqi.power_means(x, [0.5]).item() == means(x)[0]


@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=str)
def test_equal_numbers(dtype: np.dtype[Any]) -> None:
    for number in np.linspace(1, 4, 33).astype(dtype):
        x = np.full(N, number)
        assert pqi.index(x) <= 3e-14
        assert pqi.power_means(x, [0.5]).item() == pytest.approx(float(number), rel=3e-14)
        assert pqi.retained_bound(x) == pytest.approx(N, rel=3e-14)


def everyone(x: Any, **where: Any) -> set[Means]:
    """Return the means by every instruction set, on one thread and on three, added up together and beside others."""
    found = set()
    for isa in pqi.info()["isas"]:
        pqi.use_isa(isa)
        for threads in (1, 3):
            pqi.set_num_threads(threads)
            half, one = pqi.power_means(x, [0.5, 1], **where).tolist()
            found.add((half, *pqi.power_means(x, [1, 2], **where).tolist()))
            found.add((pqi.power_means(x, [0.5], **where).item(), one, pqi.power_means(x, [2], **where).item()))
            half, two = pqi.power_means(x, [0.5, 2], **where).tolist()
            found.add((half, one, two))
            found.add(tuple(pqi.power_means(x, [0.5, 1, 2], **where).tolist()))
            found.add(tuple(pqi.power_means(x, [0.5, 1, 2, 0.7], **where).tolist()[:3]))
    return found


@pytest.mark.parametrize("name", [*DISTRIBUTIONS, "wide"])
@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=str)
def test_sums_are_rounded_once(dtype: np.dtype[Any], name: str) -> None:
    x = inputs(dtype, name)
    expected = means(x)
    assert everyone(x) == {expected}
    assert tuple(pqi.histogram(x).power_means([0.5, 1, 2]).tolist()) == expected


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_sums_of_other_types_are_rounded_once(dtype: np.dtype[Any]) -> None:
    x = np.random.default_rng(1).integers(0, 256, (N, dtype.itemsize), dtype=np.uint8).view(dtype).ravel()
    x = np.where(np.isfinite(x.astype(np.float64)), x, np.zeros_like(x))
    assert everyone(x) == {means(x)}


@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=str)
def test_layouts_and_masks(dtype: np.dtype[Any]) -> None:
    x = wide(dtype)
    whole = everyone(x)
    assert everyone(strided(x)) == everyone(pqi.pooled(np.split(x, [1, 5_000, 700_000]))) == whole
    for share in (0.6, 0.01, 0.002):
        live = np.random.default_rng(5).random(N) < share
        assert everyone(x, where=live) == {means(x[live])}


@pytest.mark.parametrize(("dtype", "far", "near"), [(BFLOAT16, 1e30, 2.0**-40), (FLOAT16, 2.0**13, 2.0**-11)], ids=str)
def test_a_few_numbers_far_above_the_others(dtype: np.dtype[Any], far: float, near: float) -> None:
    x = inputs(dtype, "normal")
    for places, factor in (
        (slice(None, None, 50_000), far),
        (slice(4_000, 900_000), near),
        (slice(0, 9_000), 0.0),
        (slice(None, None, 2), 0.0),
    ):
        x[places] *= np.asarray(factor, dtype)
        assert everyone(x) == {means(x)}
    x[30_000:400_000] = 0.75  # where neighbours are equal they take turns in being counted
    assert everyone(x) == {means(x)}


@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=str)
def test_scaling_by_a_power_of_two(dtype: np.dtype[Any]) -> None:
    """An odd one makes other roots, which are rounded otherwise: all else keeps its bits."""
    x = inputs(dtype, "normal").clip(-8, 8)
    x[np.abs(x.astype(np.float64)) < 0.01] = 0
    for factor in (0.25, 0.5, 2.0, 4.0):
        scaled = x * np.asarray(factor, dtype)
        assert pqi.index(scaled) == pytest.approx(pqi.index(x), abs=0 if factor in (0.25, 4) else 3e-14, rel=0)
        assert pqi.index(scaled, 1, 2) == pqi.index(x, 1, 2)
        assert pqi.index(scaled, 0.7, 1.3) == pqi.index(x, 0.7, 1.3)


@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=str)
def test_what_is_no_number(dtype: np.dtype[Any]) -> None:
    x = inputs(dtype, "normal")
    x[77_777] = -math.inf
    assert everyone(x) == {(math.inf, math.inf, math.inf)}
    x[N - 1] = math.nan
    for isa in pqi.info()["isas"]:
        pqi.use_isa(isa)
        for exponents in ([0.5, 1], [1, 2], [0.5, 2]):
            assert np.isnan(pqi.power_means(x, exponents)).all()
    assert everyone(np.zeros(N, dtype)) == {(0.0, 0.0, 0.0)}


def test_a_tie_that_the_smallest_element_breaks() -> None:
    x = np.zeros(N, dtype=BFLOAT16)
    x[[5, 600_000, N - 2]] = 2.0**-100, 2.0**47, -(2.0**100)
    assert everyone(x) == {means(x)}
    assert pqi.norms(x, 1, 2)[0] == 2.0**100 + 2.0**48


@pytest.mark.parametrize(("dtype", "largest"), [(BFLOAT16, 2.0**128 - 2.0**120), (FLOAT16, 2.0**16 - 2.0**5)], ids=str)
def test_more_elements_than_memory_holds(dtype: np.dtype[Any], largest: float) -> None:
    """2^32 powers of the largest number, by a stride of zero."""
    x = np.broadcast_to(np.array(largest, dtype=dtype), (1 << 16, 1 << 16))
    root = float(float16_root(largest)) if dtype == FLOAT16 else math.sqrt(largest)
    assert pqi.power_means(x, [1, 2]).tolist() == [largest, largest]
    assert pqi.power_means(x, [0.5, 1]).tolist() == [root * root, largest]
