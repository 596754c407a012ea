"""The columns of tables: what they show of a tensor, how it is written, and by what it is sorted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pqi.checkpoint.measure import Measures, Pair, Spread
from pqi.checkpoint.report import Report, TensorReport, Total
from pqi.checkpoint.stored import natural, plural, shown

ABSENT = "–"
HALF = "½"

Row = TensorReport | Total


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    key: str
    """Name on the command line and in the page."""
    heading: str
    explanation: str
    value: Callable[[Row], Any]
    """What rows are sorted by; None where there is nothing."""
    text: Callable[[Any], str]
    importance: int
    """A narrow terminal shows the columns of greatest importance."""
    numeric: bool = True
    ascending: bool = False
    """Whether the smallest come first when rows are sorted by it."""
    prunable_first: bool = False
    """Whether what cannot be pruned comes after what can, when rows are sorted by it."""

    def cell(self, row: Row) -> str:
        """Return the text of a row's cell."""
        value = self.value(row)
        return ABSENT if is_absent(value) else self.text(value)


def columns(pairs: Sequence[Pair]) -> list[Column]:
    """Return all columns for these exponents, in their order."""
    found = [
        Column("name", "tensor", "Name in the file", _name, shown, 100, numeric=False, ascending=True),
        Column("dtype", "dtype", "Element type", _dtype, str, 40, numeric=False, ascending=True),
        Column("shape", "shape", "Dimensions", _shape, _times, 60, numeric=False, ascending=True),
        Column("d", "d", "Number of entries", lambda row: row.d, lambda d: f"{d:,}", 50),
        Column("zeros", "zeros", "Entries that are zero already", _zero_share, _percent, 70),
    ]
    for place, pair in enumerate(pairs):
        exponents = label(pair)
        keep = f"Share of the entries that the bound at η = 0 says to keep at least, from I({exponents})"
        found += [
            Column(
                f"index({pair[0]:g},{pair[1]:g})",
                f"I({exponents})",
                "PQ Index: 0 where all magnitudes are equal, towards 1 the sparser",
                _of_pair(place, "index"),
                _fraction,
                90 - place,
            ),
            Column(
                f"keep({pair[0]:g},{pair[1]:g})",
                f"keep({exponents})",
                keep,
                _of_pair(place, "keep"),
                _percent,
                95 - place,
                ascending=True,
                prunable_first=True,
            ),
        ]
    return [
        *found,
        Column("gini", "Gini", "Gini index of the magnitudes; ± its proven interval", _gini, _with_interval, 80),
        Column("units", "units", f"I({label(pairs[0])}) of output units: least, median, largest", _spread, _range, 55),
        Column("max", "max", "Largest magnitude", _measure("max"), _number, 30),
        Column("mean", "mean", "Mean magnitude", _measure("mean"), _number, 20),
    ]


def column_named(pairs: Sequence[Pair], key: str | None) -> Column | None:
    """Return the column to sort by; None for none.

    Raises
    ------
    ValueError
        If there is no column of this name.
    """
    if key is None:
        return None
    every = columns(pairs)
    meant = [column for column in every if column.key == key or column.key.partition("(")[0] == key]
    if not meant:
        raise ValueError(f"sort must be one of {', '.join(column.key for column in every)}, got {shown(key)!r}")
    return meant[0]


def label(pair: Pair) -> str:
    """Return exponents as they are written in headings.

    Examples
    --------
    >>> label((0.5, 1.0))
    '½, 1'
    """
    return ", ".join(HALF if exponent == 0.5 else f"{exponent:g}" for exponent in pair)


def total_name(report: Report) -> str:
    """Return what the last row is called."""
    kind, count = "prunable floating" if report.total.left_out else "prunable", report.total.tensors
    return f"all {plural(count, f'{kind} tensor')}" if count != 1 else f"the {kind} tensor"


def sorted_rows(report: Report, by: Column | None, top: int | None, *, reverse: bool = False) -> list[TensorReport]:
    """Return the rows to show: in the file's order, or in that of a column's values; rows without a value last."""
    rows = list(report.tensors)
    if by is None:
        return rows[::-1][:top] if reverse else rows[:top]
    valued = [row for row in rows if not is_absent(by.value(row))]
    valued.sort(key=lambda row: _order(by.value(row)), reverse=by.ascending == reverse)
    if by.prunable_first:
        valued.sort(key=lambda row: not row.prunable)
    return (valued + [row for row in rows if is_absent(by.value(row))])[:top]


def is_absent(value: Any) -> bool:
    """Whether there is nothing to show: None or nan."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _order(value: Any) -> Any:
    return natural(value) if isinstance(value, str) else value


def _name(row: Row) -> Any:
    return row.name if isinstance(row, TensorReport) else None


def _dtype(row: Row) -> Any:
    return row.dtype if isinstance(row, TensorReport) else None


def _shape(row: Row) -> Any:
    return row.shape if isinstance(row, TensorReport) else None


def _spread(row: Row) -> Any:
    found: Spread | None = row.spread if isinstance(row, TensorReport) else None
    return None if found is None else (found.median, found.min, found.max)


def _zero_share(row: Row) -> float | None:
    return None if row.measures is None else row.measures.zeros / row.d


def _measure(name: str) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        found: Measures | None = row.measures
        return None if found is None else getattr(found, name)

    return value


def _gini(row: Row) -> tuple[float, float, float] | None:
    found = row.measures
    return None if found is None or math.isnan(found.gini) else (found.gini, found.gini_low, found.gini_high)


def _of_pair(place: int, name: str) -> Callable[[Row], Any]:
    return lambda row: None if row.measures is None else getattr(row.measures.pairs[place], name)


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def _fraction(value: float) -> str:
    return f"{value:.4f}"


def _with_interval(values: tuple[float, float, float]) -> str:
    value, low, high = values
    if low == high:
        return _fraction(value)
    digit, exponent = f"{max(value - low, high - value):.0e}".split("e")
    return f"{_fraction(value)}±{digit}e{int(exponent)}"


def _number(value: float) -> str:
    return f"{value:.3g}"


def _range(values: tuple[float, float, float]) -> str:
    median, low, high = values
    return f"{low:.2f} · {median:.2f} · {high:.2f}"
