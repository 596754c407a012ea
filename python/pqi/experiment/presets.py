"""Settings to start from, by name; every one can be overridden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pqi.experiment.config import Training
from pqi.experiment.method_spec import MethodSpec

MODELS = ("linear", "mlp", "cnn", "resnet18", "resnet50", "wresnet28x8")
"""All networks that there are, see `pqi.experiment.models`."""


@dataclass(frozen=True)
class Preset:
    """A data set with the settings that its runs start from, and the models that fit it."""

    dataset: str
    models: tuple[str, ...]
    model: str
    iterations: int
    training: Training
    seeds: tuple[int, ...]


DIGITS = Preset(
    dataset="digits",
    models=MODELS,
    model="mlp",
    iterations=15,
    training=Training(epochs=40, batch=100, weight_decay=5e-3),
    seeds=(0,),
)
"""Weight decay and epochs are what it takes for training itself to make these weights sparse."""

PAPER: Mapping[str, Training] = {
    "fashionmnist": Training(),
    "cifar10": Training(augment=True),
    "cifar100": Training(augment=True),
    "tinyimagenet": Training(batch=500, augment=True),
}
"""How the paper trains on each data set; what is not said here is the default of `Training`."""

PRUNINGS: Mapping[str, int] = {"linear": 30, "mlp": 30, "cnn": 30, "resnet18": 15, "resnet50": 15, "wresnet28x8": 15}
"""How often the paper prunes each network."""

SEEDS = (0, 1, 2, 3)
"""The paper runs each configuration four times."""

PRESETS: Mapping[str, Preset] = {
    "digits": DIGITS,
    **{
        f"paper-{dataset}-{model}": Preset(dataset, (model,), model, PRUNINGS[model], training, SEEDS)
        for dataset, training in PAPER.items()
        for model in MODELS
    },
}

DATASETS = tuple(dict.fromkeys(preset.dataset for preset in PRESETS.values()))
"""Data sets that there are presets for."""

METHODS = tuple(map(MethodSpec.parse, ("sap:0.5,1", "sap:1,2", "lottery", "one-shot")))
"""The methods that the paper compares in its Figures 2 to 4."""


def related(name: str, *, dataset: str | None = None, model: str | None = None) -> str:
    """Return the preset like `name` for this data set and network: `name` itself where it has them.

    Examples
    --------
    >>> related("paper-cifar10-resnet18", model="cnn")
    'paper-cifar10-cnn'

    Raises
    ------
    ValueError
        If there is none.
    """
    asked = dataset or PRESETS[name].dataset
    for other in (name, *PRESETS):
        preset = PRESETS[other]
        if preset.dataset == asked and (model is None or model in preset.models):
            return other
    raise ValueError(f"a network on a data set must have a preset, got {model!r} on {asked!r}")


def in_families(setting: str) -> str:
    """Return what the presets start from, family by family, for a help text; ``training.lr`` is a setting's name.

    Examples
    --------
    >>> in_families("training.batch")
    'digits: 100, paper: 250 or 500'
    """
    families: dict[str, dict[str, None]] = {}
    for name, preset in PRESETS.items():
        flat = {**vars(preset), **{f"training.{key}": value for key, value in vars(preset.training).items()}}
        value = " ".join(map(str, flat[setting])) if isinstance(flat[setting], tuple) else str(flat[setting])
        families.setdefault(name.partition("-")[0], {})[value] = None
    return ", ".join(f"{family}: {' or '.join(values)}" for family, values in families.items())
