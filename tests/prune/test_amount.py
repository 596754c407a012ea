"""Counts against exact rational arithmetic, clamps, degenerate groups."""

import decimal
import fractions
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pqi.prune import METHODS, SAP, Fraction, GroupStats
from pqi.prune.amount import exact


def group(live, bound=1.0, *, index=0.2):
    return GroupStats(name="g", total=live, live=live, zeros=0, index=index, gini=0.3, bound=bound)


@pytest.mark.parametrize("percent", [1, 5, 7, 10, 14, 20, 28, 29, 30, 55, 56, 57, 58, 70, 80, 90, 99, 100])
def test_fraction_is_the_exact_floor(percent):
    amount = Fraction(percent / 100)
    assert [amount.quota(group(d)).count for d in range(1, 5001)] == [d * percent // 100 for d in range(1, 5001)]


def test_binary_floating_point_would_be_wrong():
    assert sum(math.floor(d * 0.57) != d * 57 // 100 for d in range(1, 5001)) == 29
    assert math.floor(5 * (1 - 0.8)) == 0


def test_a_group_of_five_can_lose_exactly_one():
    assert Fraction(0.2).quota(group(5)).count == 1
    assert SAP(beta=0.2).quota(group(5, 0.0)).count == 1


@pytest.mark.parametrize("beta", [0.9, 0.57, 0.1])
def test_beta_is_an_exact_decimal(beta):
    amount, percent = SAP(beta=beta), round(100 * beta)
    counts = [amount.quota(group(d, 0.0)).count for d in range(1, 5001)]
    assert counts == [d * percent // 100 for d in range(1, 5001)]


@pytest.mark.parametrize("gamma", [0.1, 0.3, 0.7])
def test_gamma_is_an_exact_decimal(gamma):
    amount, tenths = SAP(gamma=gamma, beta=1), round(10 * gamma)
    assert [amount.quota(group(d, 0.0)).count for d in range(1, 2001)] == [d * tenths // 10 for d in range(1, 2001)]


@given(
    st.integers(1, 10**9),
    st.floats(0, 1),
    st.decimals(0, 9, places=2).map(float),
    st.integers(0, 100).map(lambda percent: percent / 100),
)
def test_sap_is_the_exact_floor(d, share, gamma, beta):
    r = min(share * d, float(d))
    suggested = fractions.Fraction(decimal.Decimal(repr(gamma))) * (1 - fractions.Fraction(r) / d)
    allowed = fractions.Fraction(decimal.Decimal(repr(beta)))
    quota = SAP(gamma=gamma, beta=beta).quota(group(d, r))
    assert quota.count == math.floor(d * min(suggested, allowed))
    assert quota.clamped == (suggested > allowed)
    assert quota.ratio == pytest.approx(float(suggested))
    assert 0 <= quota.count <= d


@pytest.mark.parametrize(("bound", "count"), [(11.0, 0), (10.0, 0), (math.nextafter(10, 11), 0), (-1.0, 9), (0.0, 9)])
def test_the_bound_is_clamped(bound, count):
    assert SAP().quota(group(10, bound)).count == count


def test_the_clamp_is_reported():
    assert not SAP().quota(group(100, 80.0)).clamped
    for gamma in (3, 5, 7, 9):
        quota = SAP(gamma=gamma).quota(group(100, 60.0))
        assert (quota.count, quota.clamped) == (90, True)
        assert quota.ratio == pytest.approx(gamma * 0.4)


@pytest.mark.parametrize("amount", [SAP(), Fraction(0.2)])
@pytest.mark.parametrize("live", [0, 7])
def test_a_group_without_a_non_zero_live_weight_loses_nothing(amount, live):
    quota = amount.quota(group(live, math.nan, index=math.nan))
    assert quota.count == 0
    assert math.isnan(quota.ratio)
    assert not quota.clamped


@pytest.mark.parametrize(
    "share",
    [0.2, "0.2", "1/5", decimal.Decimal("0.2"), fractions.Fraction(1, 5), np.float64(0.2), np.float32(0.2)],
    ids=lambda share: type(share).__name__,
)
def test_a_share_is_the_decimal_it_prints_as(share):
    assert exact(share) == fractions.Fraction(1, 5)
    assert Fraction(share).quota(group(10)).count == 2


def test_all_or_nothing():
    assert Fraction(1).quota(group(7)).count == 7
    assert Fraction(0).quota(group(7)).count == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SAP(p=1.0, q=0.5), r"p must satisfy 0 < p < q < inf, got p=1.0, q=0.5"),
        (lambda: SAP(p=0.0), r"p must satisfy 0 < p < q < inf, got p=0.0, q=1.0"),
        (lambda: SAP(q=math.inf), r"p must satisfy 0 < p < q < inf, got p=0.5, q=inf"),
        (lambda: SAP(eta=-1), r"eta must be >= 0 and finite, got -1"),
        (lambda: SAP(eta=math.nan), r"eta must be >= 0 and finite, got nan"),
        (lambda: SAP(gamma=-0.1), r"gamma must be >= 0 and finite, got -0.1"),
        (lambda: SAP(beta=1.5), r"beta must satisfy 0 <= beta <= 1, got 1.5"),
        (lambda: SAP(beta=math.nan), r"beta must satisfy 0 <= beta <= 1, got nan"),
        (lambda: Fraction(-0.2), r"share must satisfy 0 <= share <= 1, got -0.2"),
        (lambda: Fraction(1.01), r"share must satisfy 0 <= share <= 1, got 1.01"),
        (lambda: Fraction(math.nan), r"a share must be a finite number, got nan"),
        (lambda: Fraction("half"), r"a share must be a finite number, got half"),
        (lambda: Fraction("1/0"), r"a share must be a finite number, got 1/0"),
        (lambda: Fraction(0.2, p=2.0), r"p must satisfy 0 < p < q < inf, got p=2.0, q=1.0"),
        (lambda: Fraction(0.2, eta=-1), r"eta must be >= 0 and finite, got -1"),
    ],
)
def test_errors_name_value_and_rule(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


def test_amounts_are_values():
    assert SAP() == SAP(0.5, 1.0, 0.0, 1.0, 0.9) == METHODS["sap-0.5-1"].amount
    assert len({SAP(), SAP(), Fraction(0.2), Fraction(0.2)}) == 2
