"""Settings to start from, by name; every one can be overridden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pqi.experiment.config import Training
from pqi.experiment.method_spec import MethodSpec


@dataclass(frozen=True)
class Preset:
    """A data set with the settings that its runs start from, and the models that fit it."""

    dataset: str
    models: tuple[str, ...]
    model: str
    iterations: int
    training: Training


PRESETS: Mapping[str, Preset] = {
    "digits": Preset(
        dataset="digits",
        models=("linear", "mlp"),
        model="mlp",
        iterations=15,
        training=Training(epochs=40, batch=100, weight_decay=5e-3),
    ),
}

METHODS = tuple(map(MethodSpec.parse, ("sap:0.5,1", "sap:1,2", "lottery", "one-shot")))
"""The methods that the paper compares in its Figures 2 to 4."""
