"""What the runs say about the paper's claims: counts, whichever way they come out.

- its hypothesis: the index falls, rises when under-fitting starts, and falls again when the network collapses;
- its remark that the inflection point of the accuracy curve meets the peak of the index;
- its sanity check that pruning lowers the index of the pruned weights (no theorem: keeping 11 of ten equal and one
  large weight can raise it);
- what SAP saves: retrainings until few weights are left at an accuracy near the dense network's.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pqi.experiment.quantities import PAIRS, accuracy, index, pruned, remaining, retrained, unpruned
from pqi.experiment.series import Result, Series
from pqi.experiment.summary import TOLERANCE
from pqi.experiment.turns import advice

FALL = 10.0
"""Points of test accuracy that a run has to lose between its best and its last iteration to have an inflection."""
TARGETS = (20.0, 10.0, 5.0, 2.0, 1.0)
"""Percent of the weights to go below."""


@dataclass(frozen=True)
class Turns:
    """How many runs show the hypothesis' turning points, and where accuracy falls steepest beside the index's peak.

    Attributes
    ----------
    runs, troughs, peaks : int
        All runs, those whose index stops falling, and those whose index rises and falls again.
    collapsed : int
        Runs that lose `FALL` points of accuracy.
    pairs : tuple of (int, int)
        Inflection of the accuracy and peak of the index of the collapsed runs that have both.
    """

    runs: int
    troughs: int
    peaks: int
    collapsed: int
    pairs: tuple[tuple[int, int], ...]

    def within(self, iterations: int) -> int:
        """Count the pairs that are at most this far apart."""
        return sum(abs(inflection - peak) <= iterations for inflection, peak in self.pairs)


@dataclass(frozen=True)
class Lowered:
    """Pruning steps that took something, and how many of them lowered the index of the weights, by (p, q)."""

    steps: int
    lowered: tuple[int, ...]


@dataclass(frozen=True)
class Reached:
    """Retrainings until a run has less than a target of its weights, within the tolerance of its dense accuracy.

    Attributes
    ----------
    retrainings : tuple of int
        One for each run that got there.
    runs : int
    """

    retrainings: tuple[int, ...]
    runs: int

    @property
    def mean(self) -> float | None:
        """Mean over the runs, None unless all of them got there."""
        return statistics.fmean(self.retrainings) if len(self.retrainings) == self.runs else None


def turns(results: Sequence[Result]) -> Turns:
    """Count turning points, by `pqi.prune.advise` on the index at the method's own exponents."""
    advised = [advice(result) for result in results]
    fallen = [(inflection(result), one.peak) for result, one in zip(results, advised, strict=True)]
    collapsed = [(at, peak) for at, peak in fallen if at is not None]
    return Turns(
        runs=len(results),
        troughs=sum(one.trough is not None for one in advised),
        peaks=sum(one.trough is not None and one.peak is not None for one in advised),
        collapsed=len(collapsed),
        pairs=tuple((at, peak.at) for at, peak in collapsed if peak is not None),
    )


def inflection(result: Result) -> int | None:
    """Return where test accuracy falls steepest, by central differences; None if it falls by less than `FALL`."""
    values = [accuracy(retrained)(record) for record in result.records]
    if len(values) < 3 or max(values) - values[-1] < FALL:
        return None
    return max(range(1, len(values) - 1), key=lambda t: (values[t - 1] - values[t + 1], -t))


def lowered(results: Sequence[Result]) -> Lowered:
    """Count pruning steps after which the index of the weights is lower than before, with no training between."""
    records = [record for result in results for record in result.records if record.step and record.step.pruned]
    counts = (sum(index(pruned, pair)(one) < index(unpruned, pair)(one) for one in records) for pair in PAIRS)
    return Lowered(len(records), tuple(counts))


def reached(series: Series, target: float) -> Reached:
    """Return when each seed first has less than `target` percent of its weights within `TOLERANCE` points."""
    found = (_first_below(result, target) for result in series.results)
    return Reached(tuple(t for t in found if t is not None), len(series.results))


def _first_below(result: Result, target: float) -> int | None:
    dense = accuracy(retrained)(result.records[0])
    for t, record in enumerate(result.records):
        if remaining(retrained)(record) < target and accuracy(retrained)(record) >= dense - TOLERANCE:
            return t
    return None
