"""Methods side by side in one scope: what each does per iteration, and accuracy against what remains (Figures 2, 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from pqi.experiment import quantities as of
from pqi.experiment.figures.sheet import (
    ACCURACY,
    ITERATION,
    PRUNED,
    REMAINING,
    RETRAINED,
    Sheet,
    accuracy_scale,
    name_panel,
    percent_scale,
    share_scale,
    shrinking_scale,
)
from pqi.experiment.quantities import PAIRS, Quantity, pruned, retrained
from pqi.experiment.series import Series, Study
from pqi.experiment.theme import Style, Theme, styles
from pqi.experiment.turns import advice

TURNS = (("trough", "v", "under-fitting starts"), ("peak", "^", "collapse starts"))
"""What is marked on a curve: the attribute of `pqi.prune.Advice`, the marker, and its name."""


def styles_of(study: Study, theme: Theme) -> list[Style]:
    """Return how each series is drawn; methods that rank by the dense weights are dashed."""
    return styles(len(study.series), theme, dashed=[one.config.method.ranks_dense for one in study.series])


def curves(
    sheet: Sheet, axes: Axes, study: Study, theme: Theme, quantity: Quantity, *, against: Quantity | None = None
) -> None:
    """Draw every series of the study."""
    for one, style in zip(study.series, styles_of(study, theme), strict=True):
        sheet.curve(axes, one, style, quantity, against=against)


def accuracy(study: Study, theme: Theme) -> Sheet:
    """Draw accuracy per iteration, retrained and pruned."""
    sheet = Sheet.create(1, 2)
    for axes, state, title in zip(sheet.axes, (retrained, pruned), (RETRAINED, PRUNED), strict=True):
        curves(sheet, axes, study, theme, of.accuracy(state))
        accuracy_scale(axes)
        name_panel(axes, title, ITERATION, ACCURACY)
    mark_turns(sheet.axes[0], study.series, styles_of(study, theme), of.accuracy(retrained), theme)
    sheet.legend()
    return sheet


def running_mean(study: Study, theme: Theme) -> Sheet:
    """Draw what the published code would have plotted: at t, the mean of the accuracies up to t."""
    sheet = Sheet.create(1, 2)
    for axes, state, title in zip(sheet.axes, (retrained, pruned), (RETRAINED, PRUNED), strict=True):
        for one, style in zip(study.series, styles_of(study, theme), strict=True):
            sheet.curve(axes, one.averaged(), style, of.accuracy(state))
        accuracy_scale(axes)
        name_panel(axes, title, ITERATION, f"{ACCURACY}, mean of iterations 0 to t")
    sheet.legend()
    return sheet


def remaining(study: Study, theme: Theme) -> Sheet:
    """Draw the weights that remain and the share of them that each step takes."""
    sheet = Sheet.create(1, 2)
    left, right = sheet.axes
    curves(sheet, left, study, theme, of.remaining(retrained))
    curves(sheet, right, study, theme, of.share_pruned)
    ring_clamped(right, study.series, theme)
    share_scale(right)
    percent_scale(left, "y")
    name_panel(left, "Weights remaining", ITERATION, REMAINING)
    name_panel(right, "Size of each pruning step", ITERATION, "Pruned (% of live weights)")
    sheet.legend()
    return sheet


def pq_index(study: Study, theme: Theme) -> Sheet:
    """Draw the PQ Index per iteration, retrained and pruned, one row per pair of exponents."""
    sheet = Sheet.create(len(PAIRS), 2, share_rows=True)
    looks = styles_of(study, theme)
    for pair, left, right in zip(PAIRS, sheet.axes[::2], sheet.axes[1::2], strict=True):
        curves(sheet, left, study, theme, of.index(retrained, pair))
        curves(sheet, right, study, theme, of.index(pruned, pair))
        own = [(one, style) for one, style in zip(study.series, looks, strict=True) if one.exponents == pair]
        mark_turns(left, [one for one, _ in own], [style for _, style in own], of.index(retrained, pair), theme)
        left.set_ylim(bottom=0)
        name_panel(left, RETRAINED, ITERATION, f"PQ Index, p = {pair[0]:g}, q = {pair[1]:g}")
        name_panel(right, PRUNED, ITERATION, "")
    sheet.legend()
    return sheet


def gini(study: Study, theme: Theme) -> Sheet:
    """Draw the Gini index per iteration, retrained and pruned."""
    sheet = Sheet.create(1, 2, share_rows=True)
    for axes, state, title in zip(sheet.axes, (retrained, pruned), (RETRAINED, PRUNED), strict=True):
        curves(sheet, axes, study, theme, of.gini(state))
        axes.set_ylim(bottom=0)
        name_panel(axes, title, ITERATION, "Gini index" if state is retrained else "")
    sheet.legend()
    return sheet


def tradeoff(study: Study, theme: Theme) -> Sheet:
    """Draw accuracy against the weights that remain, retrained and pruned."""
    sheet = Sheet.create(1, 2)
    for axes, state, title in zip(sheet.axes, (retrained, pruned), (RETRAINED, PRUNED), strict=True):
        curves(sheet, axes, study, theme, of.accuracy(state), against=of.remaining(state))
        accuracy_scale(axes)
        shrinking_scale(axes)
        name_panel(axes, title, REMAINING, ACCURACY)
    sheet.legend()
    return sheet


def mark_turns(axes: Axes, series: Sequence[Series], looks: Sequence[Style], quantity: Quantity, theme: Theme) -> None:
    """Mark, on the curve of every seed, the turning points that the stop advice finds in its PQ Index."""
    marked = []
    for attribute, marker, name in TURNS:
        for one, style in zip(series, looks, strict=True):
            turns = [(result, getattr(advice(result), attribute)) for result in one.results]
            at = [(turn.at, quantity(result.records[turn.at])) for result, turn in turns if turn and turn.at >= 0]
            if at:
                x, y = np.array(at).T
                axes.scatter(
                    x, y, s=64, marker=marker, facecolors="none", edgecolors=style.color, linewidths=1.1, zorder=4
                )
                marked.append((marker, name))
    handles = [
        Line2D(
            [], [], linestyle="none", marker=marker, markersize=8, markerfacecolor="none", color=theme.text, label=name
        )
        for marker, name in dict.fromkeys(marked)
    ]
    if handles:
        axes.legend(handles=handles, fontsize=8.5)


def ring_clamped(axes: Axes, series: Sequence[Series], theme: Theme) -> None:
    """Mark the steps that would have been larger without the method's maximum."""
    steps = [(one.curve(of.share_pruned).mean, one.curve(of.share_clamped).mean) for one in series]
    x, y = np.array([(t, size) for sizes, cut in steps for t, size in enumerate(sizes) if cut[t] > 0]).reshape(-1, 2).T
    if x.size:
        rings = axes.scatter(x, y, s=70, facecolors="none", edgecolors=theme.text, label="cut at β", zorder=3)
        axes.legend(handles=[rings])
