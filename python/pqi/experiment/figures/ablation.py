"""One number of SAP varied: what remains, the size of the steps, accuracy and indices (Figures 5 and 6)."""

from __future__ import annotations

from pqi.experiment import quantities as of
from pqi.experiment.ablations import Ablation
from pqi.experiment.figures.comparison import mark_turns, ring_clamped
from pqi.experiment.figures.sheet import (
    ACCURACY,
    ITERATION,
    REMAINING,
    Sheet,
    accuracy_scale,
    name_panel,
    percent_scale,
    share_scale,
    shrinking_scale,
)
from pqi.experiment.quantities import retrained
from pqi.experiment.theme import Theme, ramp


def ablation(of_one: Ablation, theme: Theme) -> Sheet:
    """Draw six panels with one curve per value: darker is smaller on a light page, larger on a dark one."""
    sheet = Sheet.create(2, 3, width=3.9, height=2.8)
    left, size, accuracy, tradeoff, index, gini = sheet.axes
    for one, label, style in zip(of_one.series, of_one.labels, ramp(len(of_one.series), theme), strict=True):
        sheet.curve(left, one, style, of.remaining(retrained), label=label)
        sheet.curve(size, one, style, of.share_pruned, label=label)
        sheet.curve(accuracy, one, style, of.accuracy(retrained), label=label)
        sheet.curve(tradeoff, one, style, of.accuracy(retrained), against=of.remaining(retrained), label=label)
        sheet.curve(index, one, style, of.own_index, label=label)
        sheet.curve(gini, one, style, of.gini(retrained), label=label)
    mark_turns(index, of_one.series, ramp(len(of_one.series), theme), of.own_index, theme)
    ring_clamped(size, of_one.series, theme)
    share_scale(size)
    percent_scale(left, "y")
    shrinking_scale(tradeoff)
    name_panel(left, "Weights remaining", ITERATION, REMAINING)
    name_panel(size, "Size of each pruning step", ITERATION, "Pruned (% of live weights)")
    name_panel(accuracy, "Accuracy, retrained", ITERATION, ACCURACY)
    name_panel(tradeoff, "Accuracy against weights", REMAINING, ACCURACY)
    name_panel(index, "PQ Index at its own p and q, retrained", ITERATION, "PQ Index")
    name_panel(gini, "Gini index, retrained", ITERATION, "Gini index")
    for axes in (accuracy, tradeoff):
        accuracy_scale(axes)
    for axes in (index, gini):
        axes.set_ylim(bottom=0)
    sheet.legend(columns=6)
    return sheet
