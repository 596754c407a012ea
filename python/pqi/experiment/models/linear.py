"""A linear classifier."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from pqi.experiment.models.mlp import mlp


def linear(input_shape: Sequence[int], classes: int) -> nn.Module:
    """Return a linear classifier: flatten, then one layer."""
    return mlp(input_shape, classes, hidden=())
