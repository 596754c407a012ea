"""A sparsity to reach in a given number of steps, exactly."""

from __future__ import annotations

import fractions
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pqi.prune.amount import Quota, check_measures, exact
from pqi.prune.records import GroupStats

Course = Literal["geometric", "linear", "cubic"]


@dataclass(frozen=True)
class Target:
    """A final sparsity, reached exactly: after the last of the steps, ⌊S · N⌋ of all N weights are pruned.

    Counts of the steps between are integers on one of three courses, with t of T steps taken and s the sparsity:

    - ``"geometric"``: 1 − s = (1 − S)^(t/T), the same share of the remaining weights every time, as Lottery Ticket
      takes (S = 1 prunes everything in the first step);
    - ``"linear"``: s = S · t/T;
    - ``"cubic"``: s = S · (1 − (1 − t/T)³), which takes most of it early (Zhu & Gupta).

    All arithmetic is rational, the root of the geometric course included. Every group of the scope gets its share of
    the count in proportion to its size, to within one weight, and the shares add up: the whole is exact, whatever the
    scope. Where floors or earlier masks leave a group too little to give, the others make up for it; if all floors
    together hold back more than the target allows, the floors win. Groups of zeros are pruned like any other. Further
    steps prune nothing.

    Parameters
    ----------
    sparsity : float, decimal.Decimal, fractions.Fraction or str
        S in [0, 1], taken as the exact decimal it prints as.
    steps : int
        T ≥ 1.
    course : {"geometric", "linear", "cubic"}
    p, q, eta : float
        Index and bound that the reports show; they decide nothing.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> group = GroupStats(name="global", total=1000, live=1000, zeros=0, index=0.25, gini=0.4, bound=75.0)
    >>> [Target(0.9, steps=3).pruned(1000, step) for step in range(5)]
    [0, 535, 784, 900, 900]
    >>> [Target(0.9, steps=3, course="cubic").pruned(1000, step) for step in range(5)]
    [0, 633, 866, 900, 900]
    >>> Target(0.9, steps=3).quotas([group], 0, [1000])
    [Quota(count=535, ratio=0.535, clamped=False)]
    """

    sparsity: float | str | fractions.Fraction
    steps: int
    course: Course = "geometric"
    p: float = 0.5
    q: float = 1.0
    eta: float = 0.0

    def __post_init__(self) -> None:
        check_measures(self.p, self.q, self.eta)
        if not 0 <= exact(self.sparsity) <= 1:
            raise ValueError(f"sparsity must satisfy 0 <= sparsity <= 1, got {self.sparsity}")
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if self.course not in ("geometric", "linear", "cubic"):
            raise ValueError(f"course must be 'geometric', 'linear' or 'cubic', got {self.course!r}")

    def pruned(self, total: int, step: int) -> int:
        """How many of `total` weights are pruned after `step` steps, in integers throughout."""
        t, sparsity = min(step, self.steps), exact(self.sparsity)
        if self.course == "geometric":
            final = total - math.floor(sparsity * total)
            return total - _geometric_mean(total, final, fractions.Fraction(t, self.steps))
        done = fractions.Fraction(t, self.steps)
        if self.course == "cubic":
            done = 1 - (1 - done) ** 3
        return math.floor(done * math.floor(sparsity * total))

    def quota(self, group: GroupStats) -> Quota:
        """What `group`, if it is the whole, loses in the last step: all that it takes to be at the target."""
        return self.quotas([group], self.steps - 1, [group.live])[0]

    def quotas(self, groups: Sequence[GroupStats], step: int, room: Sequence[int]) -> list[Quota]:
        """Decide what each group loses in step `step` = 0, 1, …, at most `room` each."""
        total = sum(group.total for group in groups)
        wanted = self.pruned(total, step + 1)
        gone = [group.total - group.live for group in groups]
        shares = [(wanted * group.total, max(total, 1)) for group in groups]
        counts = _apportion([(a - b * n, b) for (a, b), n in zip(shares, gone, strict=True)], wanted - sum(gone), room)
        ratios = [
            max(a / b - n, 0) / group.live if group.live else math.nan
            for (a, b), n, group in zip(shares, gone, groups, strict=True)
        ]
        return [Quota(count, ratio, clamped=False) for count, ratio in zip(counts, ratios, strict=True)]


def _geometric_mean(start: int, end: int, weight: fractions.Fraction) -> int:
    """⌈start^(1−weight) · end^weight⌉ by bisection: the least k with k^T ≥ start^(T−t) · end^t."""
    t, steps = weight.numerator, weight.denominator
    power = start ** (steps - t) * end**t
    low, high = end, start
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if middle**steps >= power else (middle + 1, high)
    return low


def _apportion(wanted: Sequence[tuple[int, int]], total: int, room: Sequence[int]) -> list[int]:
    """Integers in [0, room] that add up to `total`, or as near as `room` allows, each as near as can be to its wish.

    A wish is a numerator and a denominator, the same for all. Among equal claims the first group comes first.
    """
    counts = [min(max(a // b, 0), limit) for (a, b), limit in zip(wanted, room, strict=True)]
    missing = min(max(total, 0), sum(room)) - sum(counts)
    while missing:
        sign = 1 if missing > 0 else -1
        open_ = [i for i, count in enumerate(counts) if (count < room[i] if sign > 0 else count > 0)]
        claims = sorted(open_, key=lambda i: sign * (wanted[i][1] * counts[i] - wanted[i][0]))
        each = max(abs(missing) // len(open_), 1) if abs(missing) > len(open_) else 1
        for i in claims[: abs(missing)]:
            moved = min(each, room[i] - counts[i] if sign > 0 else counts[i])
            counts[i] += sign * moved
            missing -= sign * moved
    return counts
