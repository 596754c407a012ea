"""Batches: which images are in each, how they are moved, and who loads them.

All that is random about an epoch is drawn beforehand, by one generator, in the process that trains. Loading is then a
function of what was drawn: the same images, whether loaders run beside the training or not, and however many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from pqi.experiment.data.augment import PAD, moved
from pqi.experiment.data.dataset import Split


class Draw(NamedTuple):
    """One batch: rows of the split, and for each image whether it is flipped and where it is cropped, if at all."""

    rows: NDArray[np.int64]
    moves: NDArray[np.int64] | None

    def part(self, number: int, parts: int) -> Draw:
        """Return one of so many parts, whose sizes differ by at most one."""
        share = np.array_split(np.arange(len(self.rows)), parts)[number]
        return Draw(self.rows[share], None if self.moves is None else self.moves[share])


def draw_epoch(count: int, batch: int, generator: Generator, *, augment: bool = False, least: int = 1) -> list[Draw]:
    """Return the batches of one pass over `count` images in a new order.

    A last batch of fewer than `least` images is joined to the one before it.
    """
    order = torch.randperm(count, generator=generator).numpy()
    moves = None
    if augment:
        flips = torch.randint(2, (count, 1), generator=generator)
        corners = torch.randint(2 * PAD + 1, (count, 2), generator=generator)
        moves = torch.cat([flips, corners], dim=1).numpy()
    starts = list(range(0, count, batch))
    if len(starts) > 1 and count - starts[-1] < least:
        starts.pop()
    ends = [*starts[1:], count]
    places = [slice(*bounds) for bounds in zip(starts, ends, strict=True)]
    return [Draw(order[place], None if moves is None else moves[place]) for place in places]


class Loader:
    """Yields inputs and labels of drawn batches, in their order.

    Parameters
    ----------
    split : Split
    workers : int
        Processes that load ahead of the training; with 0 it loads for itself.
    pinned : bool
        Whether batches are put where a GPU can fetch them.
    """

    def __init__(self, split: Split, workers: int = 0, *, pinned: bool = False) -> None:
        self._fetch = Fetch(split)
        self._draws: list[Draw] = []
        self._loader: DataLoader[tuple[Tensor, Tensor]] | None = None
        if workers:
            self._loader = DataLoader(
                self._fetch,
                batch_size=None,
                sampler=self._draws,
                num_workers=workers,
                persistent_workers=True,
                pin_memory=pinned,
                generator=Generator(),  # the global one is part of the run's state
            )

    def epoch(self, draws: Sequence[Draw]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (inputs, labels) of each batch, inputs as they are stored."""
        if self._loader is None:
            yield from map(self._fetch.__getitem__, draws)
        else:
            self._draws[:] = draws
            yield from self._loader


class Fetch(TorchDataset[tuple[Tensor, Tensor]]):
    """Inputs and labels of a drawn batch, moved as was drawn."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """Load one batch."""
        rows = torch.from_numpy(draw.rows)
        inputs = self._split.inputs[rows]
        if draw.moves is not None:
            inputs = torch.from_numpy(moved(inputs.numpy(), draw.moves))
        return inputs, self._split.labels[rows]
