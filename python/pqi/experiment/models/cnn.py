"""A plain convolutional network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from pqi.experiment.models.pooling import GlobalAverage

WIDTHS = (64, 128, 256, 512)


def cnn(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Return four 3x3 convolutions with bias, batch normalisation and ReLU, pooled by 2 between them, and a classifier.

    Inputs have at least 8 pixels a side.
    """
    layers: dict[str, nn.Module] = {}
    channels = input_shape[0]
    for number, width in enumerate(WIDTHS, start=1):
        layers[f"conv{number}"] = nn.Conv2d(channels, width, 3, padding=1)
        layers[f"norm{number}"] = nn.BatchNorm2d(width)
        layers[f"relu{number}"] = nn.ReLU()
        if number < len(WIDTHS):
            layers[f"pool{number}"] = nn.MaxPool2d(2)
        channels = width
    layers["average"] = GlobalAverage()
    layers["classifier"] = nn.Linear(channels, classes)
    return nn.Sequential(OrderedDict(layers))
