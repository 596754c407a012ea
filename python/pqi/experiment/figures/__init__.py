"""The figures of the report, by what they are about: methods in one scope, scopes, ablations, the grid of indices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pqi.experiment.ablations import Ablation
from pqi.experiment.figures import comparison, heatmap, scopes
from pqi.experiment.figures.ablation import ablation
from pqi.experiment.figures.sheet import Drawing, Sheet
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.series import Study

__all__ = ["Drawing", "Sheet", "of_ablation", "of_methods", "of_scopes"]

LAYERED = MethodSpec.create("sap", p=0.5, q=1.0)
"""The method that the paper shows layer by layer."""


def of_methods(study: Study, *, running_mean: bool = False) -> list[Drawing]:
    """Return the figures that compare the series of one study; the published running mean only when asked for."""
    found = [
        Drawing(
            "tradeoff",
            "Accuracy against weights remaining",
            "Further right is smaller, further up is better. Points are pruning iterations.",
            partial(comparison.tradeoff, study),
        ),
        Drawing(
            "accuracy",
            "Accuracy",
            "Left: after training under the mask. Right: after pruning to the next mask, before any retraining.",
            partial(comparison.accuracy, study),
        ),
        Drawing(
            "remaining",
            "Weights remaining",
            "SAP sets the size of each step from the weights, up to β; the others prune a fixed share of what is left.",
            partial(comparison.remaining, study),
        ),
        Drawing(
            "pqi",
            "PQ Index",
            "Of all live weights as one vector: 0 when all magnitudes are equal, higher when few dominate. Triangles, "
            "one for each seed, are the turning points of the stop advice, at the exponents that the method goes by.",
            partial(comparison.pq_index, study),
        ),
        Drawing("gini", "Gini index", "Of all live weights as one vector.", partial(comparison.gini, study)),
        Drawing(
            "layers",
            "Layer by layer",
            "Retrained networks: what remains of each weight tensor, and its PQ Index at the exponents above it.",
            partial(scopes.layers, study.series, [one.label for one in study.series]),
        ),
    ]
    if series := heatmap.gridded(study):
        caption = "Retrained networks, mean over seeds, on one scale; all pairs come from one read of the weights."
        found.append(Drawing("heatmap", "PQ Index at every p and q", caption, partial(heatmap.heat_map, series)))
    if running_mean:
        caption = (
            "Not the accuracy of an iteration: the mean of the accuracies up to it, which is what the published code "
            "plotted."
        )
        title = "Accuracy, running mean as published"
        found.append(Drawing("running-mean", title, caption, partial(comparison.running_mean, study)))
    return found


def of_scopes(studies: Sequence[Study]) -> list[Drawing]:
    """Return the figures that compare the scopes of one model on one data set."""
    found = [
        Drawing(
            "tradeoff",
            "Accuracy against weights remaining, by scope",
            "Above: after training under the mask. Below: after pruning to the next mask, before any retraining.",
            partial(scopes.tradeoff, studies),
        )
    ]
    layered = [(study, one) for study in studies for one in study.series if one.config.method == LAYERED]
    if layered:
        titles = [f"{study.scope.capitalize()} scope" for study, _ in layered]
        found.append(
            Drawing(
                "layers",
                f"{LAYERED.label} layer by layer, by scope",
                "Retrained networks: what remains of each weight tensor, and its PQ Index.",
                partial(scopes.layers, [one for _, one in layered], titles),
            )
        )
    return found


def of_ablation(varied: Ablation) -> list[Drawing]:
    """Return the figure of one ablation."""
    caption = (
        "Rings mark steps that were cut at β, the largest share that a step may take: where they are, the figure says "
        "more about β than about the number that is varied."
    )
    return [Drawing("curves", f"Ablation: {varied.title}", caption, partial(ablation, varied))]
