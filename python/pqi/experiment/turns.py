"""What the stop advice says about a run, and in how many words a series of runs."""

from __future__ import annotations

from collections.abc import Iterable

from pqi.experiment.series import Result, Series
from pqi.prune import Advice, Turn, advise

PHASES = {"regularised": "r", "under-fitting": "u", "collapse": "c"}
ABSENT = "–"


def advice(result: Result) -> Advice:
    """Return the advice on the finished iterations, from the PQ Index at the method's own exponents, as the loop's."""
    return advise([record.retrained.weights.index for record in result.records])


def phases(series: Series) -> list[str]:
    """Return for each iteration how many seeds are in which phase, such as ``"r"`` or ``"3r 1u"``."""
    of_seeds = [advice(result).phases for result in series.results]
    return [_counted([of_seed[t] for of_seed in of_seeds]) for t in range(series.finished)]


def troughs(series: Series) -> str:
    """Return the last regularised iteration of each seed."""
    return _listed(advice(result).trough for result in series.results)


def peaks(series: Series) -> str:
    """Return the last iteration before the collapse of each seed."""
    return _listed(advice(result).peak for result in series.results)


def _listed(turns: Iterable[Turn | None]) -> str:
    return ", ".join(ABSENT if turn is None else str(turn.at) for turn in turns)


def _counted(names: list[str]) -> str:
    counts = {letter: names.count(name) for name, letter in PHASES.items() if name in names}
    if len(counts) == 1:
        return next(iter(counts))
    return " ".join(f"{count}{letter}" for letter, count in counts.items())
