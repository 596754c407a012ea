"""The figures of a study: what each method does per iteration, and accuracy against what remains."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from pqi.experiment import quantities
from pqi.experiment.quantities import PAIRS, Quantity, pruned, retrained
from pqi.experiment.runs import write_atomically
from pqi.experiment.series import Series, Study
from pqi.experiment.theme import LIGHT, Theme, drawing, styles

ITERATION = "Pruning iteration t"
ACCURACY = "Test accuracy (%)"
REMAINING = "Weights remaining (%)"
RETRAINED = "Retrained"
PRUNED = "Pruned, not yet retrained"
SPAN = 3.0


@dataclass(frozen=True)
class Drawing:
    """One figure of the report: its name in file names, its heading, what it shows, and the function that draws it."""

    name: str
    title: str
    caption: str
    draw: Callable[[Study, Theme], Figure]


def accuracy(study: Study, theme: Theme) -> Figure:
    """Draw accuracy per iteration, retrained and pruned."""
    figure, (left, right) = _panels(1, 2)
    for axes, state, title in ((left, retrained, RETRAINED), (right, pruned, PRUNED)):
        _curves(axes, study, theme, quantities.accuracy(state))
        _accuracy_scale(axes)
        _label(axes, title, ITERATION, ACCURACY)
    return _with_legend(figure, left)


def remaining(study: Study, theme: Theme) -> Figure:
    """Draw the weights that remain and the share of them that each step takes."""
    figure, (left, right) = _panels(1, 2)
    _curves(left, study, theme, quantities.remaining(retrained))
    _curves(right, study, theme, quantities.share_pruned)
    _ring_clamped(right, study, theme)
    _percent_scale(left, "y")
    _label(left, "Weights remaining", ITERATION, REMAINING)
    _label(right, "Size of each pruning step", ITERATION, "Pruned (% of live weights)")
    return _with_legend(figure, left)


def pq_index(study: Study, theme: Theme) -> Figure:
    """Draw the PQ Index per iteration, retrained and pruned, one row per pair of exponents."""
    figure, axes = _panels(len(PAIRS), 2, share_rows=True)
    for pair, left, right in zip(PAIRS, axes[::2], axes[1::2], strict=True):
        _curves(left, study, theme, quantities.index(retrained, pair))
        _curves(right, study, theme, quantities.index(pruned, pair))
        left.set_ylim(bottom=0)
        _label(left, RETRAINED, ITERATION, f"PQ Index, p = {pair[0]:g}, q = {pair[1]:g}")
        _label(right, PRUNED, ITERATION, "")
    return _with_legend(figure, axes[0])


def gini(study: Study, theme: Theme) -> Figure:
    """Draw the Gini index per iteration, retrained and pruned."""
    figure, (left, right) = _panels(1, 2, share_rows=True)
    _curves(left, study, theme, quantities.gini(retrained))
    _curves(right, study, theme, quantities.gini(pruned))
    left.set_ylim(bottom=0)
    _label(left, RETRAINED, ITERATION, "Gini index")
    _label(right, PRUNED, ITERATION, "")
    return _with_legend(figure, left)


def tradeoff(study: Study, theme: Theme) -> Figure:
    """Draw accuracy against the weights that remain, retrained and pruned."""
    figure, panels = _panels(1, 2)
    for axes, state, title in zip(panels, (retrained, pruned), (RETRAINED, PRUNED), strict=True):
        _curves(axes, study, theme, quantities.accuracy(state), against=quantities.remaining(state))
        _accuracy_scale(axes)
        _percent_scale(axes, "x")
        axes.invert_xaxis()
        _label(axes, title, REMAINING, ACCURACY)
    return _with_legend(figure, panels[0])


def layers(study: Study, theme: Theme) -> Figure:
    """Draw what remains of each layer, and its PQ Index, one column per quantities."""
    count = len(study.series)
    figure, axes = _panels(2, count, width=2.9, height=2.6, share_rows=True)
    for one, upper, lower in zip(study.series, axes[:count], axes[count:], strict=True):
        names = [layer.name for layer in one.results[0].records[0].retrained.layers]
        colors = colormaps[theme.depth](np.linspace(*theme.depth_range, len(names)))
        for number, (name, color) in enumerate(zip(names, colors, strict=True)):
            style = {"label": name, "color": color, "marker": "o", "markersize": 3}
            _curve(upper, one, quantities.layer_remaining(number), **style)
            _curve(lower, one, quantities.layer_index(number), **style)
        _percent_scale(upper, "y")
        first = one is study.series[0]
        p, q = one.exponents
        _label(upper, one.label, ITERATION, REMAINING if first else "")
        _label(lower, "", ITERATION, "PQ Index" if first else "")
        lower.set_title(f"p = {p:g}, q = {q:g}", loc="left", fontweight="normal")
    axes[count].set_ylim(bottom=0)
    return _with_legend(figure, axes[0])


DRAWINGS = (
    Drawing(
        "tradeoff",
        "Accuracy against weights remaining",
        "Further right is smaller, further up is better. Points are pruning iterations.",
        tradeoff,
    ),
    Drawing(
        "accuracy",
        "Accuracy",
        "Left: after training under the mask. Right: after pruning to the next mask, before any retraining.",
        accuracy,
    ),
    Drawing(
        "remaining",
        "Weights remaining",
        "SAP sets the size of each step from the weights, up to β; the others prune a fixed share of what is left.",
        remaining,
    ),
    Drawing(
        "pqi",
        "PQ Index",
        "Of all live weights as one vector: 0 when all magnitudes are equal, higher when few dominate.",
        pq_index,
    ),
    Drawing("gini", "Gini index", "Of all live weights as one vector.", gini),
    Drawing(
        "layers",
        "Layer by layer",
        "Retrained networks: what remains of each weight tensor, and its PQ Index at the exponents above it.",
        layers,
    ),
)


def save_png(drawn: Drawing, study: Study, path: Path) -> None:
    """Draw for a light page and write a PNG file, all or nothing."""
    write_atomically(path, _render(drawn, study, LIGHT, "png"))


def to_svg(drawn: Drawing, study: Study, theme: Theme) -> bytes:
    """Draw for a page of this theme and return an SVG file without metadata."""
    return _render(drawn, study, theme, "svg")


def _render(drawn: Drawing, study: Study, theme: Theme, kind: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None, "Format": None, "Type": None}
    with drawing(theme):
        drawn.draw(study, theme).savefig(buffer, format=kind, dpi=160, metadata=metadata)
    return buffer.getvalue()


def _panels(
    rows: int, columns: int, *, width: float = 4.6, height: float = 3.2, share_rows: bool = False
) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * columns, height * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey="row" if share_rows else False)
    return figure, list(axes.flat)


def _curves(axes: Axes, study: Study, theme: Theme, quantity: Quantity, *, against: Quantity | None = None) -> None:
    """Draw every series; methods that rank by the dense weights are dashed."""
    for one, style in zip(study.series, styles(len(study.series), theme), strict=True):
        dash = "--" if one.config.method.ranks_dense else "-"
        _curve(axes, one, quantity, against, label=one.label, color=style.color, marker=style.marker, linestyle=dash)


def _curve(axes: Axes, one: Series, quantity: Quantity, against: Quantity | None = None, **style: Any) -> None:
    """Draw the mean over seeds, and a band of one standard deviation either side."""
    curve = one.curve(quantity)
    x = np.arange(one.finished) if against is None else one.curve(against).mean
    axes.plot(x, curve.mean, **style)
    if len(one.results) > 1:
        low, high = curve.mean - curve.deviation, curve.mean + curve.deviation
        axes.fill_between(x, low, high, color=style["color"], alpha=0.15, linewidth=0)


def _ring_clamped(axes: Axes, study: Study, theme: Theme) -> None:
    """Mark the steps that would have been larger without the method's maximum."""
    steps = [
        (one.curve(quantities.share_pruned).mean, one.curve(quantities.share_clamped).mean) for one in study.series
    ]
    x, y = np.array([(t, size) for sizes, cut in steps for t, size in enumerate(sizes) if cut[t] > 0]).reshape(-1, 2).T
    if x.size:
        rings = axes.scatter(x, y, s=70, facecolors="none", edgecolors=theme.text, label="cut at β", zorder=3)
        axes.legend(handles=[rings])


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if x == ITERATION:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 5, 10]))


def _accuracy_scale(axes: Axes) -> None:
    """Show at least `SPAN` points, so that a difference of an image or two looks as small as it is."""
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, high - SPAN), high)


def _percent_scale(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make one axis logarithmic, with percentages as plain numbers."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _with_legend(figure: Figure, axes: Axes) -> Figure:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4))
    return figure
