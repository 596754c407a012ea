"""A perceptron with two hidden layers."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn


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
