"""Scopes side by side: accuracy against what remains, and SAP(½, 1) layer by layer (Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence

from pqi.experiment import quantities as of
from pqi.experiment.figures.comparison import curves
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
    shrinking_scale,
)
from pqi.experiment.quantities import pruned, retrained
from pqi.experiment.series import Series, Study
from pqi.experiment.theme import Theme, ramp


def tradeoff(studies: Sequence[Study], theme: Theme) -> Sheet:
    """Draw accuracy against the weights that remain, a column per scope, retrained above pruned."""
    count = len(studies)
    sheet = Sheet.create(2, count, width=4.2, height=2.9, share_rows=True)
    rows = ((retrained, RETRAINED, sheet.axes[:count]), (pruned, PRUNED, sheet.axes[count:]))
    for state, title, row in rows:
        for study, axes in zip(studies, row, strict=True):
            curves(sheet, axes, study, theme, of.accuracy(state), against=of.remaining(state))
            shrinking_scale(axes)
            first = axes is row[0]
            name_panel(axes, f"{study.scope.capitalize()}: {title.lower()}", REMAINING, ACCURACY if first else "")
        accuracy_scale(row[0])
    sheet.legend(max(zip(studies, sheet.axes, strict=False), key=lambda pair: len(pair[0].series))[1])
    return sheet


def layers(series: Sequence[Series], titles: Sequence[str], theme: Theme) -> Sheet:
    """Draw what remains of each layer, and its PQ Index, a column per series."""
    count = len(series)
    sheet = Sheet.create(2, count, width=2.9 if count > 3 else 3.8, height=2.6, share_rows=True)
    for one, title, upper, lower in zip(series, titles, sheet.axes[:count], sheet.axes[count:], strict=True):
        names = [layer.name for layer in one.results[0].records[0].retrained.layers]
        for number, (name, style) in enumerate(zip(names, ramp(len(names), theme), strict=True)):
            sheet.curve(upper, one, style, of.layer_remaining(number), label=name)
            sheet.curve(lower, one, style, of.layer_index(number), label=name)
        percent_scale(upper, "y")
        first = one is series[0]
        p, q = one.exponents
        name_panel(upper, title, ITERATION, REMAINING if first else "")
        name_panel(lower, "", ITERATION, "PQ Index" if first else "")
        lower.set_title(f"p = {p:g}, q = {q:g}", loc="left", fontweight="normal")
    sheet.axes[count].set_ylim(bottom=0)
    sheet.legend()
    return sheet
