"""Residual networks whose normalisation and ReLU come before each convolution (He et al. 2016, second paper)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import relu

from pqi.experiment.models.pooling import GlobalAverage


class PreActivationBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Where width or resolution change, the shortcut is a 1x1 convolution without normalisation, taken after the first
    normalisation and ReLU; elsewhere it is the input itself.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        changes = stride != 1 or channels != width
        self.shortcut = nn.Conv2d(channels, width, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways."""
        active = relu(self.norm1(x))
        straight = x if self.shortcut is None else self.shortcut(active)
        residual: Tensor = self.conv2(relu(self.norm2(self.conv1(active))))
        return residual + straight


class PreActivationNetwork(nn.Module):
    """A 3x3 stem, stages of `depth` blocks that halve the resolution from the second on, and a linear classifier.

    Parameters
    ----------
    channels : int
        Of the input.
    stem : int
        Width of the stem.
    widths : sequence of int
        One stage each.
    depth : int
        Blocks per stage.
    classes : int
    """

    def __init__(self, channels: int, stem: int, widths: Sequence[int], depth: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, stem, 3, padding=1, bias=False)
        stages, before = [], stem
        for stage, width in enumerate(widths):
            first = PreActivationBlock(before, width, stride=1 if stage == 0 else 2)
            stages.append(nn.Sequential(first, *(PreActivationBlock(width, width, 1) for _ in range(depth - 1))))
            before = width
        self.stages = nn.Sequential(*stages)
        self.norm = nn.BatchNorm2d(before)
        self.average = GlobalAverage()
        self.classifier = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.classifier(self.average(relu(self.norm(self.stages(self.stem(x))))))
        return logits
