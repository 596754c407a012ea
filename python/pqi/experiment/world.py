"""Processes that train one network together: each a part of every batch, and all the same network.

Gradients are averaged by torch's `DistributedDataParallel`. Batch normalisation sees its own process's part of a batch;
its running statistics are averaged after each training. One process writes, and every process reads what it wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from pqi.experiment.device import device_of
from pqi.experiment.launch import Launch
from pqi.prune import IterationRecord, LoopState, Storage


@dataclass(frozen=True)
class World:
    """The group of this process; alone, nothing here does anything."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> World:
        """Return the group that `joined` made, or this process alone."""
        if distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def parallel(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return what to call in training, so that gradients become those of the whole batch."""
        if self.size == 1:
            return model
        devices = [device] if device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)

    def summed(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def settle(self, model: nn.Module) -> None:
        """Average the running statistics, and make sure that all processes have the same network.

        Raises
        ------
        RuntimeError
            If they differ.
        """
        if self.size == 1:
            return
        for buffer in model.buffers():
            if buffer.is_floating_point():
                self.summed(buffer.div_(self.size))
        own = _fingerprint(model)
        if self.shared(own) != own:
            raise RuntimeError(f"all processes must have the same network, got another one in process {self.rank}")

    def shared(self, value: Any) -> Any:
        """Return the first process's value, in every process."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]


@contextmanager
def joined(launch: Launch, device: str) -> Iterator[World]:
    """Join the processes of a launch for as long as the context lasts.

    Raises
    ------
    ValueError
        If there is no device for this process.
    """
    if launch.size == 1:
        yield World()
        return
    if device == "cuda":
        torch.cuda.set_device(device_of(device, launch.local_rank))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
    try:
        yield World.current()
    finally:
        distributed.destroy_process_group()


@dataclass(frozen=True)
class SharedStorage:
    """A `Storage` that the first process keeps, and that all read; the others have None."""

    world: World
    storage: Storage | None

    def load_last(self) -> LoopState | None:
        """Return the first process's state."""
        state: LoopState | None = self.world.shared(None if self.storage is None else self.storage.load_last())
        return state

    def save(self, record: IterationRecord, state: LoopState) -> None:
        """Keep record and state in the first process; the others wait until they are kept."""
        if self.storage is not None:
            self.storage.save(record, state)
        self.world.shared(None)

    def load_tensors(self, name: str) -> Mapping[str, Tensor]:
        """Return the first process's tensors."""
        tensors: Mapping[str, Tensor] = self.world.shared(
            None if self.storage is None else dict(self.storage.load_tensors(name))
        )
        return tensors

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep tensors in the first process."""
        if self.storage is not None:
            self.storage.save_tensors(name, tensors)


def _fingerprint(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for _, tensor in sorted(model.state_dict().items()):
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
