"""A figure, and the points on it that a reader may ask about: written as PNG, or as SVG with those points."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pqi.experiment.quantities import Quantity
from pqi.experiment.runs import write_atomically
from pqi.experiment.series import Curve, Series
from pqi.experiment.theme import LIGHT, Style, Theme, drawing

ITERATION = "Pruning iteration t"
ACCURACY = "Test accuracy (%)"
REMAINING = "Weights remaining (%)"
RETRAINED = "Retrained"
PRUNED = "Pruned, not yet retrained"
SPAN = 3.0


@dataclass(frozen=True)
class Points:
    """Points of one curve: its name, where they are in its panel, and what is to be read at each."""

    axes: Axes
    label: str
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    texts: Sequence[str]


@dataclass(frozen=True)
class Sheet:
    """Panels of a figure in reading order, and the points drawn on them."""

    figure: Figure
    axes: tuple[Axes, ...]
    points: list[Points] = field(default_factory=list)

    @classmethod
    def create(
        cls, rows: int, columns: int, *, width: float = 4.6, height: float = 3.2, share_rows: bool = False
    ) -> Sheet:
        """Return empty panels of this width and height in inches; `share_rows` gives each row one scale."""
        figure = Figure(figsize=(width * columns, height * rows + 0.4), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharey="row" if share_rows else False)
        return cls(figure, tuple(axes.flat))

    def curve(
        self,
        axes: Axes,
        one: Series,
        style: Style,
        quantity: Quantity,
        *,
        against: Quantity | None = None,
        label: str = "",
    ) -> None:
        """Draw the mean over seeds, and a band of one standard deviation either side, per iteration or `against`."""
        curve = one.curve(quantity)
        label = label or one.label
        iterations = range(one.finished)
        x = iterations if against is None else one.curve(against).mean
        axes.plot(
            x,
            curve.mean,
            label=label,
            color=style.color,
            marker=style.marker,
            linestyle=style.dash,
            markersize=style.size,
        )
        if len(one.results) > 1:
            low, high = curve.mean - curve.deviation, curve.mean + curve.deviation
            axes.fill_between(x, low, high, color=style.color, alpha=0.15, linewidth=0)
        texts = [
            f"t = {t}" + ("" if against is None else f", {x[t]:.4g}") + f": {_value(curve, t)}" for t in iterations
        ]
        self.points.append(Points(axes, label, np.asarray(x, dtype=np.float64), curve.mean, texts))

    def legend(self, axes: Axes | None = None, columns: int = 4) -> None:
        """Name the series of a panel, the first by default, above the whole figure."""
        handles, labels = (self.axes[0] if axes is None else axes).get_legend_handles_labels()
        self.figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), columns))

    def located(self) -> list[dict[str, Any]]:
        """Return the points of every curve in thousandths of the figure's width and height, from its upper left."""
        size = np.array([self.figure.bbox.width, self.figure.bbox.height])
        found = []
        for curve in self.points:
            at = curve.axes.transData.transform(np.column_stack([curve.x, curve.y])) / size
            shown = np.flatnonzero(np.isfinite(at).all(axis=1))
            places = np.rint(1000 * np.column_stack([at[shown, 0], 1 - at[shown, 1]])).astype(int)
            texts = [curve.texts[number] for number in shown.tolist()]
            found.append({"label": curve.label, "at": places.ravel().tolist(), "texts": texts})
        return found


@dataclass(frozen=True)
class Picture:
    """A figure as files, by format, and where its points are, see `Sheet.located`."""

    files: Mapping[str, bytes]
    points: list[dict[str, Any]]


@dataclass(frozen=True)
class Drawing:
    """One figure of the report: its name in file names, its heading, what it shows, and the function that draws it."""

    name: str
    title: str
    caption: str
    draw: Callable[[Theme], Sheet]

    def save_png(self, path: Path) -> None:
        """Draw for a light page and write a PNG file, all or nothing."""
        write_atomically(path, self.render(LIGHT, "png").files["png"])

    def render(self, theme: Theme, *kinds: Literal["png", "svg"]) -> Picture:
        """Draw for a page of this theme, in one or several file formats."""
        with drawing(theme):
            sheet = self.draw(theme)
            files: dict[str, bytes] = {kind: _saved(sheet.figure, kind) for kind in kinds}
            return Picture(files, sheet.located())


def _saved(figure: Figure, kind: str) -> bytes:
    """Return the figure as a file without metadata; the panels stay where the first file has put them."""
    buffer = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
    figure.set_layout_engine("none")
    return buffer.getvalue()


def name_panel(axes: Axes, title: str, x: str, y: str) -> None:
    """Set title and axis names of a panel."""
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if x == ITERATION:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 5, 10]))


def accuracy_scale(axes: Axes) -> None:
    """Show at least `SPAN` points, so that a difference of an image or two looks as small as it is."""
    low, high = axes.get_ylim()
    high = min(high, 101.0)
    axes.set_ylim(max(min(low, high - SPAN), -1.0), high)


def share_scale(axes: Axes) -> None:
    """Show shares from 0 to at most 100 percent."""
    axes.set_ylim(0, min(axes.get_ylim()[1], 101.0))


def percent_scale(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make one axis logarithmic, with percentages as plain numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    points = np.concatenate([np.empty((0, 2)), *(line.get_xydata() for line in axes.get_lines())])
    points = points[np.isfinite(points).all(axis=1)]
    if not (points[:, "xy".index(which)] > 0).any():
        axes.set(**{f"{which}lim": (1.0, 100.0)})  # no logarithm takes the limits of nothing, or of zeros alone
    axes.set(**{f"{which}scale": "log"})
    low, high = sorted(axes.get_xlim() if which == "x" else axes.get_ylim())
    decades = np.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def shrinking_scale(axes: Axes) -> None:
    """Let the weights remaining run from all of them on the left to few on the right, on a logarithmic scale."""
    percent_scale(axes, "x")
    axes.invert_xaxis()


def _value(curve: Curve, t: int) -> str:
    spread = curve.deviation[t]
    return f"{curve.mean[t]:.4g}" + ("" if np.isnan(spread) else f" ± {spread:.2g}")
