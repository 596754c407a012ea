"""The networks of the experiments by name, initialised as in the paper.

Convolutions are Kaiming-normal by their fan-out, biases of linear layers 0, everything else is as torch makes it. The
numbers of parameters are the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from pqi.experiment.models.cnn import cnn
from pqi.experiment.models.linear import linear
from pqi.experiment.models.mlp import mlp
from pqi.experiment.models.resnet import resnet18, resnet50
from pqi.experiment.models.wide_resnet import wresnet28x8

MODELS: dict[str, Callable[[Sequence[int], int], nn.Module]] = {
    "linear": linear,
    "mlp": mlp,
    "cnn": cnn,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "wresnet28x8": wresnet28x8,
}
"""Functions of the shape of one input, channels first, and the number of classes."""


def build(name: str, input_shape: Sequence[int], classes: int, *, seed: int) -> nn.Module:
    """Return model `name` with the initial weights of `seed`; the global random state is left untouched.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    if name not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, got {name!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS[name](input_shape, classes)
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
    return model
