"""Counts of the magnitudes of many tensors of a one- or two-byte type, kept small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import pqi
from pqi import Histogram
from pqi.checkpoint.magnitude import Cut
from pqi.checkpoint.stored import StoredTensor


@dataclass(frozen=True, slots=True)
class Tally:
    """A tensor's histogram without its empty places."""

    keys: NDArray[np.intp]
    counts: NDArray[np.uint64]

    @classmethod
    def of(cls, histogram: Histogram) -> Tally:
        """Return the tally of a histogram."""
        counts = histogram.state["counts"]
        places = np.flatnonzero(counts)
        return cls(places, counts[places])

    def above(self, where: Cut) -> tuple[int, int]:
        """Return how many elements exceed a threshold, and how many equal it."""
        at, above = np.searchsorted(self.keys, (where.at, where.above))
        return int(self.counts[above:].sum()), int(self.counts[at:above].sum())


def count(tensors: Sequence[StoredTensor]) -> tuple[Histogram, tuple[Tally, ...]]:
    """Read tensors of one such type once: the histogram of all as one vector, and a tally for each."""
    total = pqi.histogram(tensors[0].array())
    tallies = [Tally.of(total)]
    for tensor in tensors[1:]:
        histogram = pqi.histogram(tensor.array())
        tallies.append(Tally.of(histogram))
        total += histogram
    return total, tuple(tallies)
