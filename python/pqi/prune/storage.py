"""What a resumable run keeps, and the protocol of the place where it keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypedDict

from torch import Tensor

from pqi.prune.advice import StopAt
from pqi.prune.records import IterationRecord
from pqi.prune.rng import RngState


class LoopState(TypedDict):
    """What the next iteration needs, small: tensors, numbers, strings, lists and tuples only.

    ``torch.save`` and ``torch.load(..., weights_only=True)`` keep it exactly.
    """

    iteration: int
    """Next iteration; `iterations` + 1 when the run is finished, less when it was stopped early."""
    iterations: int
    """Number of prunings of the whole run."""
    masks: dict[str, Tensor]
    """Masks of the next iteration, eight weights a byte (uint8)."""
    rng: RngState
    indices: list[float]
    """PQ Index of the retrained weights of every finished iteration."""
    stopped: StopAt | None
    """The phase for which the run was stopped early; None while it was not."""


class Storage(Protocol):
    """Where a run keeps its state. Each save is all or nothing, also when the process is killed inside it."""

    def load_last(self) -> LoopState | None:
        """Return the state of the last `save` that completed, or None for a fresh run.

        Records of saves that did not complete must be gone by then: their iterations are repeated.
        """

    def save(self, record: IterationRecord, state: LoopState) -> None:
        """Keep the record of a finished iteration together with the state after it; replaces the previous state."""

    def load_tensors(self, name: str) -> Mapping[str, Tensor]:
        """Return what `save_tensors` kept under this name."""

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep parameters and buffers by name, once per run each.

        ``"initial"`` before the first iteration, ``"dense"`` (methods that rank by the dense weights) after the first
        training, ``"final"`` after the last; always before the `save` that refers to them.
        """


class Memory:
    """A `Storage` that keeps everything in this process."""

    def __init__(self) -> None:
        self.records: list[IterationRecord] = []
        self.tensors: dict[str, Mapping[str, Tensor]] = {}
        self.state: LoopState | None = None

    def load_last(self) -> LoopState | None:
        """Return the last saved state."""
        return self.state

    def save(self, record: IterationRecord, state: LoopState) -> None:
        """Append the record and replace the state."""
        self.records.append(record)
        self.state = state

    def load_tensors(self, name: str) -> Mapping[str, Tensor]:
        """Return the kept tensors."""
        return self.tensors[name]

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep the tensors: the loop never writes to them."""
        self.tensors[name] = tensors
