"""What a data set is: three splits of inputs and labels, and how stored pixels become the inputs of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

COUNTED = 1000
"""Images counted at once, which bounds the memory that it takes."""
VALIDATION = 10
"""One training image in so many is set apart for validation."""


@dataclass(frozen=True)
class Normalisation:
    """(x / 255 − mean) / deviation of uint8 images, channel by channel."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, images: NDArray[np.uint8]) -> Normalisation:
        """Return the statistics of these images (N, C, H, W), from exact integer sums.

        A constant channel is left with a deviation of 1.
        """
        counts = np.zeros((images.shape[1], 256), np.int64)
        for begin in range(0, len(images), COUNTED):
            for channel in range(len(counts)):
                counts[channel] += np.bincount(images[begin : begin + COUNTED, channel].reshape(-1), minlength=256)
        mean, deviation = [], []
        for levels in counts.tolist():
            n, total = sum(levels), sum(level * times for level, times in enumerate(levels))
            squares = sum(level * level * times for level, times in enumerate(levels))
            mean.append(total / n / 255)
            deviation.append(math.sqrt(n * squares - total * total) / n / 255 or 1.0)
        return cls(tuple(mean), tuple(deviation))

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 inputs on the images' device."""
        mean, deviation = (
            torch.tensor(values, device=images.device).view(-1, 1, 1) for values in (self.mean, self.deviation)
        )
        return (images.float() / 255 - mean) / deviation


@dataclass(frozen=True)
class Split:
    """Inputs and integer class labels of one split.

    Attributes
    ----------
    inputs : torch.Tensor
        uint8 images (N, C, H, W) with a normalisation, float32 inputs of any shape without one.
    labels : torch.Tensor
        int64.
    normalisation : Normalisation or None
    """

    inputs: Tensor
    labels: Tensor
    normalisation: Normalisation | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def ready(self, inputs: Tensor) -> Tensor:
        """Return inputs of this split, on whatever device, as a network takes them."""
        return inputs if self.normalisation is None else self.normalisation(inputs)


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits: weights see `train`, choices see `validation`, only reports see `test`."""

    train: Split
    validation: Split
    test: Split
    classes: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch axis."""
        return tuple(self.train.inputs.shape[1:])

    def split(self, name: str) -> Split:
        """Return the split called `name`: train, validation or test."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if name not in splits:
            raise ValueError(f"split must be one of {', '.join(splits)}, got {name!r}")
        return splits[name]


@dataclass(frozen=True)
class Images:
    """What a file, or several, hold: uint8 images (N, C, H, W) and their int64 labels."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence[Images]) -> Images:
        """Return the images of all parts, in their order."""
        return cls(np.concatenate([part.pixels for part in parts]), np.concatenate([part.labels for part in parts]))

    def split(self, normalisation: Normalisation) -> Split:
        """Return them as a split."""
        return Split(torch.from_numpy(self.pixels), torch.from_numpy(self.labels), normalisation)

    def __getitem__(self, rows: NDArray[np.int64]) -> Images:
        return Images(self.pixels[rows], self.labels[rows])


def hold_out(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the row numbers of training and validation images among `count` images for training.

    One in `VALIDATION`, at least one, is drawn for validation. The draw does not depend on a run's seed, so every run
    is compared on the same images. `RandomState` is used because numpy guarantees its stream forever; the newer
    `Generator` may change between versions.
    """
    if count < 2:
        raise ValueError(f"a data set must have at least 2 training images, got {count}")
    order = np.random.RandomState(0).permutation(count)
    validation = max(1, count // VALIDATION)
    return np.sort(order[validation:]), np.sort(order[:validation])


def assemble(training: Images, test: Images, classes: int, normalisation: Normalisation | None = None) -> Dataset:
    """Return the data set of these images, its validation split drawn from those for training.

    Without a `normalisation`, it is that of the training split.
    """
    train_rows, validation_rows = hold_out(len(training.labels))
    train, validation = training[train_rows], training[validation_rows]
    chosen = Normalisation.of(train.pixels) if normalisation is None else normalisation
    return Dataset(train.split(chosen), validation.split(chosen), test.split(chosen), classes)
