"""`PowerSums`: the bits of one call for any cuts; sums within 4 ulp after merges."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pqi
import reference
from cases import DISTRIBUTIONS, Array, bits, draw, sample, strided

EXPONENTS = [0.1, 0.5, 0.7, 1.0, 1.3, 2.0, 5.0]
N = 700_001  # several blocks of the reduction, with a ragged end


def sums_of(parts: list[Any], exponents: list[float] = EXPONENTS, **rest: Any) -> pqi.PowerSums:
    """Return the sums after an update with each part."""
    sums = pqi.PowerSums(exponents)
    for part in parts:
        sums.update(part, **rest)
    return sums


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_cuts_give_the_bits_of_one_call(distribution: str, dtype: type[Any]) -> None:
    x = draw(distribution, N).astype(dtype)
    expected = bits(pqi.power_means(x, EXPONENTS))
    cuts = [[], [4096], [262_144, 524_288], [1, 2, 4095, 4096, 4097], [262_143], [300_000, 300_001, 300_002, 699_999]]
    for cut in cuts:
        assert bits(sums_of(np.split(x, cut)).power_means()) == expected


@given(cuts=st.lists(st.integers(0, 20_000), max_size=8))
def test_cuts_that_hypothesis_finds(cuts: list[int]) -> None:
    x = draw("lognormal", 20_000)
    assert bits(sums_of(np.split(x, sorted(cuts))).power_means()) == bits(pqi.power_means(x, EXPONENTS))


def test_what_follows_has_the_bits_of_the_functions() -> None:
    x = draw("normal", 50_000)
    for p, q in ((0.5, 1.0), (1.0, 2.0), (0.1, 5.0)):
        sums = sums_of(np.split(x, [77, 30_000]), [p, q])
        assert bits(sums.index(p, q)) == bits(float(pqi.index(x, p, q)))
        assert bits(sums.retained_bound(p, q, eta=0.01)) == bits(float(pqi.retained_bound(x, p, q, eta=0.01)))
        assert bits(sums.norms(p, q)) == bits(np.array(pqi.norms(x, p, q)))
    assert sums.exponents == (0.1, 5.0)


@pytest.mark.usefixtures("restore_settings")
def test_instruction_sets_and_threads() -> None:
    x = draw("lognormal", N)
    found = set()
    for isa in pqi.info()["isas"]:
        pqi.use_isa(isa)
        for threads in (1, 2, 7):
            pqi.set_num_threads(threads)
            sums = sums_of([x[:300_001], strided(x[300_001:])])
            found.add(bits(sums.power_means()))
    assert found == {bits(pqi.power_means(x, EXPONENTS))}


def test_masks_and_pools() -> None:
    x = draw("normal", 60_000)
    where = np.arange(x.size) % 5 > 1
    sums = pqi.PowerSums(EXPONENTS)
    sums.update(x[:10_001], where=where[:10_001])
    sums.update(pqi.pooled([x[10_001:20_000], x[20_000:]]), where=[where[10_001:20_000], where[20_000:]])
    assert sums.live == np.count_nonzero(where)
    assert bits(sums.power_means()) == bits(pqi.power_means(x, EXPONENTS, where=where))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.int8, np.int64, np.uint32])
def test_dtypes(dtype: Any) -> None:
    x = sample(np.dtype(dtype), 30_000)
    assert bits(sums_of(np.split(x, [5000])).power_means()) == bits(pqi.power_means(x, EXPONENTS))


def test_mixed_widths() -> None:
    """From the first wide part on everything travels as float64, as in a pool."""
    x, y = draw("normal", 10_000), draw("lognormal", 5_000).astype(np.float64)
    sums = sums_of([x, y, x])
    expected = pqi.power_means(pqi.pooled([x, y, x]), EXPONENTS)
    np.testing.assert_array_max_ulp(sums.power_means(), expected, maxulp=40)
    whole = [float(r) for r in (reference.power_mean(np.concatenate([x, y, x]), r) for r in EXPONENTS)]
    np.testing.assert_allclose(sums.power_means(), whole, rtol=1e-12)


@pytest.mark.parametrize("distribution", ["normal", "lognormal", "1e30", "half-zero"])
def test_sums_of_merges_are_within_4_ulp(distribution: str) -> None:
    x = draw(distribution, N)
    exponents = [0.5, 1.0, 2.0]
    for cuts in ([1], [100_000, 100_001, 500_000], [4096, 262_144 + 5]):
        parts = [sums_of([part], exponents) for part in np.split(x, cuts)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        for r, mean, expected in zip(exponents, total.power_means(), pqi.power_means(x, exponents), strict=True):
            np.testing.assert_array_max_ulp(mean, expected, maxulp=math.ceil(4 / r) + 1)
        assert total.live == x.size


def test_merging_in_place_and_going_on() -> None:
    x = draw("normal", 40_000)
    first, second = sums_of([x[:10_000]]), sums_of([x[10_000:20_000]])
    kept = second.power_means()
    first.merge(second)
    first.update(x[20_000:])
    assert first.live == x.size
    np.testing.assert_array_max_ulp(first.power_means(), pqi.power_means(x, EXPONENTS), maxulp=40)
    assert bits(second.power_means()) == bits(kept)
    total = sums_of([x]) + pqi.PowerSums(EXPONENTS)
    assert bits(total.power_means()) == bits(pqi.power_means(x, EXPONENTS))


def test_a_state_goes_on_with_the_same_bits() -> None:
    x = draw("lognormal", N)
    sums = sums_of([x[:300_007]])
    resumed = pqi.PowerSums.from_state(sums.state)
    resumed.update(x[300_007:])
    assert bits(resumed.power_means()) == bits(pqi.power_means(x, EXPONENTS))


def test_nothing_zeros_and_what_is_no_number() -> None:
    sums = pqi.PowerSums([0.5, 1])
    assert sums.live == 0
    assert np.isnan(sums.power_means()).all()
    assert sums.norms() == (0, 0)
    assert math.isnan(sums.index())
    sums.update(np.zeros(5000))
    assert (sums.power_means() == 0).all()
    assert math.isnan(sums.index())
    sums.update([3.0, 0.0])
    assert sums.index() == pqi.index([*np.zeros(5000), 3.0, 0.0])
    for value, mean in ((math.inf, math.inf), (math.nan, math.nan)):
        broken = sums_of([np.ones(9), np.full(4096, value), [1.0]], [0.5, 1.0])
        np.testing.assert_equal(broken.power_means(), [mean, mean])
        assert math.isnan(broken.index())


def test_refuses_what_it_was_not_made_for() -> None:
    sums = pqi.PowerSums([0.5, 1])
    with pytest.raises(ValueError, match=r"q must be one of the exponents \[0.5, 1.0\], got 2.0"):
        sums.index(0.5, 2)
    with pytest.raises(ValueError, match="same exponents"):
        sums + pqi.PowerSums([0.5, 2])
    with pytest.raises(TypeError, match="other must be PowerSums, got int"):
        sums.merge(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="segments"):
        sums.update(pqi.segments(np.zeros(3), [0, 3]))
    with pytest.raises(ValueError, match="at least one"):
        pqi.PowerSums([])
    assert sums.live == 0


def test_sequences_and_shapes() -> None:
    x: Array = sample(np.dtype(np.float32), (30, 40))
    assert bits(sums_of([x[:7], x[7:].tolist()]).power_means()) == bits(pqi.power_means(x.astype(float), EXPONENTS))
