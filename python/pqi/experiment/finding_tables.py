"""Tables of the findings, a row per method and scope."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pqi.experiment import findings
from pqi.experiment.findings import FALL, TARGETS
from pqi.experiment.quantities import PAIRS
from pqi.experiment.series import Result, Series, Study
from pqi.experiment.summary import TOLERANCE
from pqi.experiment.tables import ABSENT, Cell, Heading, Table

ALL = "all"

Row = tuple[Cell, ...]


def turning_points(studies: Sequence[Study]) -> Table:
    """Return how many runs show the turns of the index, and where accuracy falls steepest beside them."""
    near = f"Runs that lose {FALL:g} points"
    headings = (
        Heading("", "method, scope"),
        Heading("Runs", "all"),
        Heading("Runs", "index rises again"),
        Heading("Runs", "rises and falls"),
        Heading(near, "all"),
        Heading(near, "with a peak"),
        Heading(near, "inflection within 1"),
        Heading(near, "within 2"),
        Heading(near, "inflection / peak at t"),
    )

    def row(results: Sequence[Result]) -> tuple[Cell, ...]:
        found = findings.turns(results)
        counts = (found.runs, found.troughs, found.peaks, found.collapsed, len(found.pairs))
        where = ", ".join(f"{at}/{peak}" for at, peak in found.pairs) if len(results) <= 8 else ""
        return *_counts(counts), *_counts([found.within(1), found.within(2)]), Cell(where or ABSENT)

    return Table(headings, _rows(studies, row))


def lowered(studies: Sequence[Study]) -> Table:
    """Return how many pruning steps lowered the index of the weights that they pruned."""
    names = [Heading("Lowered the index", f"p = {p:g}, q = {q:g}") for p, q in PAIRS]

    def row(results: Sequence[Result]) -> tuple[Cell, ...]:
        found = findings.lowered(results)
        return _counts([found.steps, *found.lowered])

    return Table((Heading("", "method, scope"), Heading("Pruning", "steps"), *names), _rows(studies, row))


def retrainings(studies: Sequence[Study]) -> Table:
    """Return the mean number of retrainings until fewer than each target of the weights are left."""
    group = f"Retrainings until fewer remain, within {TOLERANCE:g} points of the dense network"
    headings = [Heading("", "method, scope"), *(Heading(group, f"{target:g} %") for target in TARGETS)]
    rows = [
        (Cell(_name(study, one)), *(_reached(one, target) for target in TARGETS))
        for study in studies
        for one in study.series
    ]
    return Table(tuple(headings), tuple(rows))


def _reached(one: Series, target: float) -> Cell:
    found = findings.reached(one, target)
    if found.mean is not None:
        return Cell(f"{found.mean:.1f}")
    return Cell(f"{len(found.retrainings)} of {found.runs} runs" if found.retrainings else ABSENT)


def _rows(studies: Sequence[Study], row: Callable[[Sequence[Result]], Row]) -> tuple[Row, ...]:
    named = [(_name(study, one), one.results) for study in studies for one in study.series]
    everything = [result for _, results in named for result in results]
    return tuple((Cell(name), *row(results)) for name, results in [*named, (ALL, everything)])


def _counts(values: Sequence[int]) -> tuple[Cell, ...]:
    return tuple(Cell(f"{value:,}") for value in values)


def _name(study: Study, one: Series) -> str:
    return f"{one.label}, {study.scope}"
