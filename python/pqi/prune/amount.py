"""How many weights a group loses: SAP's rule from the PQ Index, or a fixed fraction.

Everything past the bound, which is the float64 that the array layer returns, is rational arithmetic: in binary floating
point ⌊d·P⌋ is wrong for some d, as in ⌊100 × .57⌋ = 56. A float stands for the decimal number it prints as.
"""

from __future__ import annotations

import fractions
import functools
import math
from dataclasses import dataclass
from typing import Protocol

from pqi.prune.records import GroupStats


@dataclass(frozen=True)
class Quota:
    """What an amount asks of one group.

    Attributes
    ----------
    count : int
        Live weights to prune, in [0, live].
    ratio : float
        Suggested share of the live weights before any clamp; nan when nothing could be suggested.
    clamped : bool
        Whether the suggested share exceeded the largest one allowed.
    """

    count: int
    ratio: float
    clamped: bool


class Amount(Protocol):
    """How much of a group to prune; `p`, `q` and `eta` say which index and bound the group is measured by."""

    @property
    def p(self) -> float:
        """Smaller exponent of the index."""

    @property
    def q(self) -> float:
        """Larger exponent of the index."""

    @property
    def eta(self) -> float:
        """η of the bound."""

    def quota(self, group: GroupStats) -> Quota:
        """Decide how many weights `group` loses in one pruning step."""


@dataclass(frozen=True)
class SAP:
    """Sparsity-informed adaptive pruning: c = ⌊d · min(γ(1 − r/d), β)⌋ of d live weights.

    r = d (1 + η)^(−q/(q−p)) (1 − I)^(pq/(q−p)) is the PQI-bound, the least number of weights to keep (Theorem 2,
    Algorithm 1 of the paper). A larger η, smaller r, prunes more.

    Parameters
    ----------
    p, q : float
        Exponents of the index I, 0 < p < q.
    eta : float
        η ≥ 0 of the bound.
    gamma : float
        Scale γ ≥ 0 of the suggested share.
    beta : float
        Largest share β in [0, 1] that a step may take.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> group = GroupStats(name="fc.weight", total=100, live=100, zeros=0, index=0.25, gini=0.4, bound=75.0)
    >>> SAP().quota(group)
    Quota(count=25, ratio=0.25, clamped=False)
    >>> SAP(gamma=5, beta=0.9).quota(group)
    Quota(count=90, ratio=1.25, clamped=True)
    """

    p: float = 0.5
    q: float = 1.0
    eta: float = 0.0
    gamma: float = 1.0
    beta: float = 0.9

    def __post_init__(self) -> None:
        check_measures(self.p, self.q, self.eta)
        _check_scale("gamma", self.gamma)
        if not 0 <= self.beta <= 1:
            raise ValueError(f"beta must satisfy 0 <= beta <= 1, got {self.beta}")

    def quota(self, group: GroupStats) -> Quota:
        """⌊min(γ(d − r), βd)⌋, with r clamped to [0, d]; nothing where r is nan (no live weight is non-zero)."""
        d = group.live
        if d == 0 or math.isnan(group.bound):
            return Quota(0, math.nan, clamped=False)
        bound = min(max(group.bound, 0.0), float(d))
        gamma, beta, (r, unit) = exact(self.gamma), exact(self.beta), bound.as_integer_ratio()
        # γ(d − r) and βd over their common denominator: integers, as there may be thousands of groups.
        suggested = gamma.numerator * (d * unit - r) * beta.denominator
        allowed = beta.numerator * d * gamma.denominator * unit
        count = min(suggested, allowed) // (gamma.denominator * unit * beta.denominator)
        return Quota(count, self.gamma * (1 - bound / d), clamped=suggested > allowed)


@dataclass(frozen=True)
class Fraction:
    """A fixed share of the remaining weights: c = ⌊d · P⌋ of d live weights (Lottery Ticket, One Shot).

    Parameters
    ----------
    share : float, decimal.Decimal, fractions.Fraction or str
        P in [0, 1], taken as the exact decimal it prints as.
    p, q, eta : float
        Index and bound that the reports show; they decide nothing.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> group = GroupStats(name="fc.weight", total=100, live=100, zeros=0, index=0.25, gini=0.4, bound=75.0)
    >>> Fraction(0.57).quota(group).count
    57
    """

    share: float | str | fractions.Fraction = 0.2
    p: float = 0.5
    q: float = 1.0
    eta: float = 0.0

    def __post_init__(self) -> None:
        check_measures(self.p, self.q, self.eta)
        if not 0 <= exact(self.share) <= 1:
            raise ValueError(f"share must satisfy 0 <= share <= 1, got {self.share}")

    def quota(self, group: GroupStats) -> Quota:
        """⌊d · P⌋, exactly; nothing where no live weight is non-zero (the bound is nan)."""
        if group.live == 0 or math.isnan(group.bound):
            return Quota(0, math.nan, clamped=False)
        share = exact(self.share)
        count = share.numerator * group.live // share.denominator
        return Quota(count, share.numerator / share.denominator, clamped=False)


@functools.lru_cache
def exact(value: object) -> fractions.Fraction:
    """Return the rational number that `value` prints as.

    Raises
    ------
    ValueError
        If it prints as no finite number.

    Examples
    --------
    >>> exact(0.57)
    Fraction(57, 100)
    """
    try:
        return fractions.Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"a share must be a finite number, got {value}") from None


def check_exponents(p: float, q: float) -> None:
    """Raise ValueError unless 0 < p < q < inf."""
    if not 0 < p < q < math.inf:
        raise ValueError(f"p must satisfy 0 < p < q < inf, got p={p}, q={q}")


def check_measures(p: float, q: float, eta: float) -> None:
    """Raise ValueError unless an index and a bound are defined: 0 < p < q < inf and 0 <= eta < inf."""
    check_exponents(p, q)
    _check_scale("eta", eta)


def _check_scale(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be >= 0 and finite, got {value}")
