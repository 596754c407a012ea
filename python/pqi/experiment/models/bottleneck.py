"""Residual networks of bottlenecks (He et al. 2016, first paper), the stride in the 3x3 convolution."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import relu

from pqi.experiment.models.pooling import GlobalAverage

EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; normalisation after each, and on a convolved shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = EXPANSION * width
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(out)
        changes = stride != 1 or channels != out
        projection = (nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if changes else ()
        self.shortcut = nn.Sequential(*projection)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both ways after ReLU."""
        residual = relu(self.norm1(self.conv1(x)))
        residual = relu(self.norm2(self.conv2(residual)))
        return relu(self.norm3(self.conv3(residual)) + self.shortcut(x))


class BottleneckNetwork(nn.Module):
    """A 7x7 stem of stride 2, max-pooling, four stages of bottlenecks of width 64, 128, … and a linear classifier.

    Parameters
    ----------
    channels : int
        Of the input.
    depths : sequence of int
        Bottlenecks per stage; the resolution halves from the second stage on.
    classes : int
    """

    def __init__(self, channels: int, depths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        stages, before = [], 64
        for stage, depth in enumerate(depths):
            width = 64 * 2**stage
            first = Bottleneck(before, width, stride=1 if stage == 0 else 2)
            before = EXPANSION * width
            stages.append(nn.Sequential(first, *(Bottleneck(before, width, 1) for _ in range(depth - 1))))
        self.stages = nn.Sequential(*stages)
        self.average = GlobalAverage()
        self.classifier = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        features = self.stages(self.pool(relu(self.norm(self.stem(x)))))
        logits: Tensor = self.classifier(self.average(features))
        return logits
