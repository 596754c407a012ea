"""A run as a figure: a line per job, every library's time in read passes, and the bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

from bars import BARS, Case, Unit
from measured import LIBRARIES, Run

mpl.use("Agg")

# Colours told apart with any kind of colour vision.
STYLES = {"pqi": ("#0072b2", "o"), "numpy": ("#d55e00", "s"), "torch": ("#009e73", "^"), "numba": ("#8c6bb1", "D")}
TEXT, GRID = "#24292f", "#d8dee4"


class Row(NamedTuple):
    """A job's label, its case, and its bar in read passes."""

    label: str
    case: Case
    bar: float | None


def rows(run: Run) -> list[Row]:
    """Return the jobs of the bars at the run's largest size, each once."""
    found: dict[Case, Row] = {}
    for bar in BARS:
        for case in bar.cases:
            if case.n is None and case not in found and run.at(case, "pqi"):
                away = [value for value in (case.dtype, case.distribution) if value not in ("float32", "normal")]
                label = ", ".join([case.job, *away])
                found[case] = Row(label, case, bar.bar if bar.unit is Unit.PASSES else None)
    return list(found.values())


def draw_row(axes: Any, run: Run, y: int, row: Row) -> None:
    """Draw one job's libraries and its bar."""
    if row.bar is not None:
        axes.plot([row.bar, row.bar], [y - 0.38, y + 0.38], color=TEXT, linewidth=1.6, zorder=2)
    for library in reversed(LIBRARIES):
        timing = run.at(row.case, library)
        if timing is not None:
            color, marker = STYLES[library]
            size = 44 if library == "pqi" else 26
            axes.scatter(timing.passes, y, s=size, color=color, marker=marker, linewidths=0, zorder=3)


def legend(axes: Any) -> None:
    """Name the markers, above the drawing."""
    handles = [
        mpl.lines.Line2D([], [], color=color, marker=marker, linestyle="", markersize=6, label=library)
        for library, (color, marker) in STYLES.items()
    ]
    handles.append(mpl.lines.Line2D([], [], color=TEXT, marker="|", linestyle="", markersize=11, mew=1.6, label="bar"))
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False, fontsize=10
    )


def draw(run: Run, path: Path) -> None:
    """Write the figure, as SVG or PNG by the path's suffix."""
    from matplotlib.figure import Figure

    jobs, centre = rows(run), run.centre
    with mpl.rc_context({"svg.hashsalt": "pqindex", "font.size": 10, "text.color": TEXT, "axes.edgecolor": GRID}):
        figure = Figure(figsize=(9, 1.2 + 0.27 * len(jobs)), layout="constrained")
        axes = figure.add_subplot()
        for y, row in enumerate(jobs):
            draw_row(axes, run, y, row)
        axes.set_yticks(range(len(jobs)), [row.label for row in jobs])
        axes.set_ylim(len(jobs) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _position: f"{value:g}")
        axes.set_xlabel(f"× read pass, {centre.n:,} elements, {centre.threads} threads (logarithmic; less is faster)")
        axes.grid(color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, colors=TEXT)
        axes.spines[["top", "right", "left"]].set_visible(False)
        legend(axes)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=120)
