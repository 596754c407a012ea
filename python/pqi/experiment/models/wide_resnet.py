"""The wide residual network of 28 layers (Zagoruyko & Komodakis 2016), without dropout."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from pqi.experiment.models.pre_activation import PreActivationNetwork


def wresnet28x8(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Return WRN-28-8: 28 = 3 stages of 4 blocks of two layers, and four more; stages 8 times as wide as 16, 32, 64."""
    return PreActivationNetwork(input_shape[0], stem=16, widths=(128, 256, 512), depth=4, classes=classes)
