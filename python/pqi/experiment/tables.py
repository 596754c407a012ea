"""The tables of the report: every number that the figures draw, and the milestones by which methods are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from pqi.experiment import quantities as of
from pqi.experiment import turns
from pqi.experiment.quantities import PAIRS, Quantity, pruned, retrained
from pqi.experiment.series import Series, Study
from pqi.experiment.summary import TARGET, TOLERANCE, Point, Summary, summarise

ABSENT = "–"


@dataclass(frozen=True)
class Cell:
    """A value and, where there are several seeds, its spread; both ready to be shown."""

    value: str
    spread: str = ""

    def __str__(self) -> str:
        """Return value and spread as text."""
        return f"{self.value} ± {self.spread}" if self.spread else self.value


@dataclass(frozen=True)
class Heading:
    """Heading of a column, and of the group of neighbouring columns that it belongs to."""

    group: str
    name: str


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings; the first column names the row."""

    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Groups of headings and how many columns each spans."""
        return [(name, len(list(members))) for name, members in groupby(self.headings, lambda heading: heading.group)]


@dataclass(frozen=True)
class Column:
    """A quantity with its heading and the number of decimals that it is shown with."""

    heading: Heading
    quantity: Quantity
    decimals: int


RETRAINED = "Retrained"
STEP = "Pruning step"
PRUNED = "Pruned, not yet retrained"

COLUMNS = (
    Column(Heading(RETRAINED, "left (%)"), of.remaining(retrained), 2),
    Column(Heading(RETRAINED, "test accuracy (%)"), of.accuracy(retrained), 2),
    Column(Heading(RETRAINED, "validation accuracy (%)"), of.accuracy(retrained, "validation"), 2),
    Column(Heading(RETRAINED, "test loss"), of.loss(retrained), 4),
    *(Column(Heading(RETRAINED, f"PQI({p:g}, {q:g})"), of.index(retrained, (p, q)), 4) for p, q in PAIRS),
    Column(Heading(RETRAINED, "Gini"), of.gini(retrained), 4),
    Column(Heading(STEP, "bound r/d (%)"), of.share_bound, 2),
    Column(Heading(STEP, "suggested (%)"), of.share_suggested, 2),
    Column(Heading(STEP, "groups cut at β (%)"), of.share_clamped, 0),
    Column(Heading(STEP, "pruned (%)"), of.share_pruned, 2),
    Column(Heading(STEP, "pruned (count)"), of.count_pruned, 0),
    Column(Heading(PRUNED, "test accuracy (%)"), of.accuracy(pruned), 2),
    Column(Heading(PRUNED, "change (points)"), of.accuracy_change, 2),
    Column(Heading(PRUNED, "test loss"), of.loss(pruned), 4),
    *(Column(Heading(PRUNED, f"PQI({p:g}, {q:g})"), of.index(pruned, (p, q)), 4) for p, q in PAIRS),
    Column(Heading(PRUNED, "Gini"), of.gini(pruned), 4),
)


def milestones(study: Study) -> Table:
    """Return one row per series: what `summarise` says about it, and how many pruning steps were cut at β."""
    point = ("t", "left (%)", "accuracy (%)")
    headings = [
        Heading("", "method"),
        Heading("Dense", "accuracy (%)"),
        *(Heading(f"First below {TARGET:g} % within {TOLERANCE:g} points", name) for name in point),
        *(Heading(f"Smallest within {TOLERANCE:g} points", name) for name in point),
        *(Heading("Last", name) for name in point),
        Heading("Steps", "cut at β"),
        *(Heading("Stop advice: last t before, by seed", name) for name in ("under-fitting", "collapse")),
    ]
    return Table(tuple(headings), tuple(_milestones(summarise(series)) for series in study.series))


def brief(study: Study) -> Table:
    """Return the milestones in as few columns as fit a terminal of 80 characters."""
    headings = [
        Heading("", "method"),
        Heading("dense", "accuracy"),
        *(Heading(f"< {TARGET:g} %", name) for name in ("at t", "left", "accuracy")),
        *(Heading("last", name) for name in ("left", "accuracy")),
    ]
    rows = []
    for summary in map(summarise, study.series):
        points = (*_point(summary.target, 1), *_point(summary.last, 1)[1:])
        rows.append((Cell(summary.series.label), _point(summary.dense, 1)[2], *points))
    return Table(tuple(headings), tuple(rows))


def iterations(series: Series) -> Table:
    """Return one row per iteration with every quantity of `COLUMNS`, and the phase that the stop advice sees."""
    table = _by_iteration(series, COLUMNS)
    rows = zip(table.rows, turns.phases(series), strict=True)
    return Table((*table.headings, Heading("Advice", "phase")), tuple((*row, Cell(phase)) for row, phase in rows))


def layers(series: Series) -> Table:
    """Return one row per iteration with what remains of every layer, its PQ Index and its Gini index, retrained."""
    columns = []
    for number, layer in enumerate(series.results[0].records[0].retrained.layers):
        columns.append(Column(Heading(layer.name, "left (%)"), of.layer_remaining(number), 2))
        columns.append(Column(Heading(layer.name, "PQI"), of.layer_index(number), 4))
        columns.append(Column(Heading(layer.name, "Gini"), of.layer_gini(number), 4))
    return _by_iteration(series, columns)


def _by_iteration(series: Series, columns: Sequence[Column]) -> Table:
    cells = [_cells(series, column) for column in columns]
    rows = tuple((Cell(str(t)), *(of_column[t] for of_column in cells)) for t in range(series.finished))
    return Table((Heading("", "t"), *(column.heading for column in columns)), rows)


def _cells(series: Series, column: Column) -> list[Cell]:
    curve = series.curve(column.quantity)
    values = zip(curve.mean.tolist(), curve.deviation.tolist(), strict=True)
    return [_cell(mean, column.decimals, spread) for mean, spread in values]


def _cell(mean: float, decimals: int, spread: float = math.nan) -> Cell:
    if math.isnan(mean):
        return Cell(ABSENT)
    return Cell(f"{mean:,.{decimals}f}", "" if math.isnan(spread) else f"{spread:.{decimals}f}")


def _milestones(summary: Summary) -> tuple[Cell, ...]:
    steps = [record.step for result in summary.series.results for record in result.records if record.step is not None]
    clamped = sum(any(group.clamped for group in step.groups) for step in steps)
    return (
        Cell(summary.series.label),
        _point(summary.dense)[2],
        *_point(summary.target),
        *_point(summary.smallest),
        *_point(summary.last),
        Cell(f"{clamped} of {len(steps)}"),
        Cell(turns.troughs(summary.series)),
        Cell(turns.peaks(summary.series)),
    )


def _point(point: Point | None, decimals: int = 2) -> tuple[Cell, Cell, Cell]:
    if point is None:
        return Cell(ABSENT), Cell(ABSENT), Cell(ABSENT)
    accuracy = _cell(point.accuracy, decimals, point.deviation)
    return Cell(str(point.retrainings)), _cell(point.remaining, decimals), accuracy
