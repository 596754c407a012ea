"""Residual networks of 18 and 50 layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from pqi.experiment.models.bottleneck import BottleneckNetwork
from pqi.experiment.models.pre_activation import PreActivationNetwork


def resnet18(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Return the pre-activation network of 18 layers with a 3x3 stem, as is usual for small images."""
    return PreActivationNetwork(input_shape[0], stem=64, widths=(64, 128, 256, 512), depth=2, classes=classes)


def resnet50(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Return the network of 50 layers as it is used on ImageNet: 7x7 stem of stride 2, max-pooling, bottlenecks."""
    return BottleneckNetwork(input_shape[0], depths=(3, 4, 6, 3), classes=classes)
