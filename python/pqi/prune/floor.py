"""What a pruning step leaves in place, whatever the amount asks."""

from __future__ import annotations

import fractions
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pqi.prune.amount import exact
from pqi.prune.scope import Batch


@dataclass(frozen=True)
class Floor:
    """The least that a group or a weight tensor keeps: the larger of a number and a share of its weights.

    Parameters
    ----------
    count : int
        Weights, at least 0; more than there are means all.
    share : float, decimal.Decimal, fractions.Fraction or str
        Share in [0, 1] of the weights, pruned ones included, taken as the exact decimal it prints as, rounded up.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> Floor(count=5, share=0.07).of(100), Floor(count=5, share=0.07).of(3)
    (7, 3)
    """

    count: int = 0
    share: float | str | fractions.Fraction = 0

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count must be >= 0, got {self.count}")
        if not 0 <= exact(self.share) <= 1:
            raise ValueError(f"share must satisfy 0 <= share <= 1, got {self.share}")

    def of(self, total: int) -> int:
        """How many of `total` weights are kept at least."""
        return min(max(self.count, math.ceil(exact(self.share) * total)), total)


Floors = Floor | Mapping[str, Floor]
"""One floor for everything, or floors by patterns (`fnmatch`) of group and tensor names; the first that fits counts."""

NONE = Floor()


def floor_of(floors: Floors, name: str) -> Floor:
    """Return the floor of the group or tensor `name`; no floor where no pattern fits."""
    if isinstance(floors, Floor):
        return floors
    return next((floor for pattern, floor in floors.items() if name == pattern or fnmatchcase(name, pattern)), NONE)


def check_floors(floors: Floors, batches: Sequence[Batch]) -> None:
    """Raise ValueError if a pattern of `floors` fits no group, and no tensor of a group of several."""
    names = [name for batch in batches for name in batch.names]
    names += [name for batch in batches if len(batch.members) > 1 for name in batch.members]
    for pattern in () if isinstance(floors, Floor) else floors:
        if not any(name == pattern or fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"floor must name groups or tensors of a group, got {pattern!r}, which fits none")
