"""The report as a table in the terminal, as wide as the terminal is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from pqi.checkpoint.columns import Column, column_named, columns, sorted_rows, total_name
from pqi.checkpoint.report import Report, TensorReport
from pqi.checkpoint.stored import plural, shown

SHORTEST_NAME = 36
GAP = 3
EDGES = 3


class _Terminal(Console):
    """A console that leaves it to the caller what becomes of output that nobody reads."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def terminal() -> Console:
    """Return standard output as a console; it raises BrokenPipeError when its reader has gone."""
    return _Terminal()


def print_report(
    report: Report, console: Console, *, sort: str | None = None, top: int | None = None, reverse: bool = False
) -> None:
    """Print one row for each tensor, and one for all prunable ones as one vector.

    Raises
    ------
    ValueError
        If there is no column named `sort`.
    """
    every = columns(report.pairs)
    rows = sorted_rows(report, column_named(report.pairs, sort), top, reverse=reverse)
    widths = {column.key: _width(column, rows, report) for column in every}
    chosen = _that_fit(every, widths, console.width)
    others = sum(widths[column.key] + GAP for column in chosen[1:])
    widths["name"] = min(widths["name"], max(SHORTEST_NAME, console.width - others - EDGES))
    title = Text(f"{shown(report.path, 200)} ({report.format}, {plural(len(report.tensors), 'tensor')})", style="bold")
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in chosen:
        justify: JustifyMethod = "right" if column.numeric else "left"
        table.add_column(Text(column.heading), justify=justify, no_wrap=True, width=widths[column.key])
    for row in rows:
        name, *cells = (column.cell(row) for column in chosen)
        table.add_row(Text(_cut(name, widths["name"])), *map(Text, cells), style=None if row.prunable else "dim")
    if report.total.measures is not None:
        table.add_section()
        table.add_row(total_name(report), *(Text(column.cell(report.total)) for column in chosen[1:]), style="bold")
    console.print(table)
    _print_notes(report, rows, console)


def _that_fit(every: Sequence[Column], widths: Mapping[str, int], available: int) -> list[Column]:
    """Drop the least important columns until the rest fit beside names of some length."""
    chosen = list(every)
    needed = sum(widths[column.key] + GAP for column in chosen[1:]) + min(widths["name"], SHORTEST_NAME) + EDGES
    while len(chosen) > 2 and needed > available:
        least = min(chosen, key=lambda column: column.importance)
        chosen.remove(least)
        needed -= widths[least.key] + GAP
    return chosen


def _width(column: Column, rows: Sequence[TensorReport], report: Report) -> int:
    total = total_name(report) if column.key == "name" else column.cell(report.total)
    return max(cell_len(text) for text in (column.heading, total, *(column.cell(row) for row in rows)))


def _cut(text: str, width: int) -> str:
    """Return a text with its middle left out where it takes more than `width` columns; some characters take two."""
    if cell_len(text) <= width:
        return text
    begin = set_cell_size(text, width // 2).rstrip()
    end, room = "", width - cell_len(begin) - 1
    for character in reversed(text):
        if cell_len(character + end) > room:
            break
        end = character + end
    return f"{begin}…{end}"


def _print_notes(report: Report, rows: Sequence[TensorReport], console: Console) -> None:
    if len(rows) < len(report.tensors):
        hidden = plural(len(report.tensors) - len(rows), "more tensor")
        console.print(Text(f"{hidden} not shown", style="dim"))
    notes: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            notes.setdefault(row.note, []).append(shown(row.name, 40))
    for note, names in notes.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        console.print(Text(f"{', '.join(names[:3])}{more}: {note}", style="dim"))
    if report.total.note:
        console.print(Text(f"{total_name(report)}: {report.total.note}", style="dim"))
