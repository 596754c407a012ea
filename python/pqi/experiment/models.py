"""The networks of the experiments, initialised as in the paper: torch's weights, linear biases 0."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import nn


def linear(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Return a linear classifier: flatten, then one layer."""
    return mlp(input_shape, classes, hidden=())


def mlp(input_shape: Sequence[int], classes: int, hidden: Sequence[int] = (128, 256)) -> nn.Module:
    """Return a perceptron with ReLU between its layers: flatten, `hidden` widths, classes."""
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    width = math.prod(input_shape)
    for number, units in enumerate(hidden, start=1):
        layers[f"fc{number}"] = nn.Linear(width, units)
        layers[f"relu{number}"] = nn.ReLU()
        width = units
    layers["classifier"] = nn.Linear(width, classes)
    return nn.Sequential(OrderedDict(layers))


MODELS: dict[str, Callable[[Sequence[int], int], nn.Module]] = {"linear": linear, "mlp": mlp}


def build(name: str, input_shape: Sequence[int], classes: int, *, seed: int) -> nn.Module:
    """Return model `name` with the initial weights of `seed`; the global random state is left untouched."""
    if name not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, got {name!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS[name](input_shape, classes)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return model
