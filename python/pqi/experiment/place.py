"""Where a network is trained, by whom, and from what."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

import pqi
from pqi.experiment.config import RunConfig
from pqi.experiment.device import CPU, device_of
from pqi.experiment.world import World


@dataclass(frozen=True)
class Place:
    """A device, the processes that load batches for it, and the group of processes that share the training."""

    device: torch.device = CPU
    workers: int = 0
    world: World = field(default_factory=World)


@contextmanager
def placed(config: RunConfig, workers: int) -> Iterator[Place]:
    """Prepare this process for a run, for as long as the context lasts: device, threads, deterministic algorithms.

    Only torch's results may depend on the number of threads, not pqi's.

    Raises
    ------
    ValueError
        If there is no such device, or not the number of processes that the run was configured for.
    """
    world = World.current()
    if config.processes != world.size:
        raise ValueError(f"processes must be {config.processes} as configured, got {world.size} (see torchrun)")
    device = device_of(config.device)
    with _threads(config.threads), _deterministic(device):
        yield Place(device, workers, world)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    pqi.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        pqi.set_num_threads(0)


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Ask CUDA's libraries for algorithms that give the same bits every time; a CPU's do so anyway."""
    if device.type == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
