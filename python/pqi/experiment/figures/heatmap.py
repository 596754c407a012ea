"""The PQ Index of the retrained weights at every pair of exponents, at several iterations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from pqi.experiment.figures.sheet import Points, Sheet
from pqi.experiment.series import Series, Study
from pqi.experiment.theme import Theme
from pqi.prune import IndexGrid

COLUMNS = 5


def gridded(study: Study) -> tuple[Series, ...]:
    """Return the series whose runs recorded the index at a grid of exponents."""
    return tuple(one for one in study.series if all(result.records[0].retrained.grid for result in one.results))


def heat_map(series: Sequence[Series], theme: Theme) -> Sheet:
    """Draw a row per series and a column per iteration, all on one scale of colours."""
    shown = [_iterations(one.finished) for one in series]
    columns = max(map(len, shown))
    sheet = Sheet.create(len(series), columns, width=2.3, height=2.1)
    means = [[_mean(one, t) for t in iterations] for one, iterations in zip(series, shown, strict=True)]
    top = max((float(np.nanmax(grid)) for row in means for grid in row if not np.isnan(grid).all()), default=1.0)
    image = None
    for number, (one, iterations, grids) in enumerate(zip(series, shown, means, strict=True)):
        row = sheet.axes[number * columns : (number + 1) * columns]
        for axes, t, grid in zip(row, iterations, grids, strict=False):
            image = axes.imshow(grid, origin="lower", aspect="auto", cmap=theme.depth, norm=PowerNorm(0.5, 0, top))
            exponents = _grid(one, t)
            _name_cells(axes, exponents, outer=(axes is row[0], number == len(series) - 1))
            axes.set_title(f"{one.label}\nt = {t}" if axes is row[0] else f"\nt = {t}", loc="left", fontsize=9)
            sheet.points.extend(_cells(axes, exponents, grid, f"{one.label}, t = {t}"))
        for axes in row[len(iterations) :]:
            axes.set_visible(False)
    if image is not None:
        sheet.figure.colorbar(image, ax=list(sheet.axes), label="PQ Index", fraction=0.02, pad=0.01)
    return sheet


def _iterations(finished: int) -> list[int]:
    """Return the first, the last, and evenly spaced iterations between."""
    return sorted({round(float(t)) for t in np.linspace(0, finished - 1, min(COLUMNS, finished))})


def _grid(one: Series, t: int) -> IndexGrid:
    grid = one.results[0].records[t].retrained.grid
    if grid is None:
        raise ValueError(f"{one.label} must have recorded its grid of indices, got none")
    return grid


def _mean(one: Series, t: int) -> npt.NDArray[np.float64]:
    grids = [result.records[t].retrained.grid for result in one.results]
    values = np.array([grid.index for grid in grids if grid is not None], dtype=np.float64)
    return np.asarray(values.mean(axis=0))


def _name_cells(axes: Axes, grid: IndexGrid, outer: tuple[bool, bool]) -> None:
    """Write exponents on the outer axes of the figure only."""
    first_column, last_row = outer
    axes.grid(visible=False)
    for ticks, labels, exponents, shown in (
        (axes.set_xticks, axes.set_xlabel, grid.q, last_row),
        (axes.set_yticks, axes.set_ylabel, grid.p, first_column),
    ):
        at = [number for number, value in enumerate(exponents) if math.isclose(value * 2 % 1, 0, abs_tol=1e-9)]
        ticks(at, [f"{exponents[number]:g}" if shown else "" for number in at])
        labels(("q" if exponents is grid.q else "p") if shown else "")


def _cells(axes: Axes, exponents: IndexGrid, grid: npt.NDArray[np.float64], label: str) -> list[Points]:
    rows, columns = np.indices(grid.shape).reshape(2, -1).astype(np.float64)
    valid = ~np.isnan(grid).ravel()
    pairs = [(p, q) for p in exponents.p for q in exponents.q]
    cells = zip(pairs, grid.ravel(), valid, strict=True)
    texts = [f"p = {p:g}, q = {q:g}: {value:.4f}" for (p, q), value, shown in cells if shown]
    return [Points(axes, label, columns[valid], rows[valid], texts)]
