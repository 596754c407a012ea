"""A run on disk: one directory per configuration, resumable at its last finished iteration.

=====================  ==============================================================================================
``config.json``        the configuration, whose hash is part of the directory's name
``environment.json``   versions that the run was started with
``records.jsonl``      one `IterationRecord` per line; only ever appended to
``state.pt``           what the next iteration needs; replaced as a whole, and only after its record is on disk
``*.pt``               initial, dense (One Shot) and final parameters and buffers
=====================  ==============================================================================================

The state decides: a record whose state was not saved belongs to an iteration that will be repeated, and is cut off when
the run is opened again.
"""

from __future__ import annotations

import io
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pqi.experiment import records
from pqi.experiment.config import RunConfig
from pqi.prune import IterationRecord, LoopState, StopAt

try:
    import fcntl
except ImportError:  # Windows: two processes in one run are not kept apart there
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class RunDirectory:
    """The `Storage` of `pqi.prune.run_loop` in a directory of its own."""

    path: Path

    @classmethod
    def create(cls, root: Path, config: RunConfig) -> RunDirectory:
        """Return the directory of this configuration under `root`, made if there is none.

        Raises
        ------
        ValueError
            If the directory belongs to another configuration.
        """
        path = root / config.name
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        if not (path / "config.json").exists():
            write_json(path / "environment.json", environment())
            write_json(path / "config.json", config.to_dict())
        elif run.config() != config:
            raise ValueError(f"{path} must hold the configuration of its name, got another one in config.json")
        return run

    def config(self) -> RunConfig:
        """Return the configuration.

        Raises
        ------
        ValueError
            If ``config.json`` is not one.
        """
        path = self.path / "config.json"
        try:
            return RunConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} must hold the configuration of a run: {error}") from error

    def environment(self) -> dict[str, str]:
        """Return the versions that the run was started with."""
        versions: dict[str, str] = json.loads((self.path / "environment.json").read_text(encoding="utf-8"))
        return versions

    def records(self) -> list[IterationRecord]:
        """Return the records of all finished iterations; leaves the files alone.

        Raises
        ------
        ValueError
            If they are not those of iterations 0, 1, 2, … up to the state.
        """
        return [records.from_line(line) for line in self._finished(self._state())]

    def finished(self) -> int:
        """Return the number of finished iterations, 0 where there is no run yet."""
        state = self._state()
        return 0 if state is None else state["iteration"]

    def stopped(self) -> StopAt | None:
        """Return the phase at which the run ended early, None where it goes on or went to its end."""
        state = self._state()
        return None if state is None else state["stopped"]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from advancing this run; the lock ends with the process, however it ends.

        Raises
        ------
        BlockingIOError
            If another process is at it.
        """
        with (self.path / "lock").open("w") as file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise BlockingIOError(f"another process is running {self.path}") from None
            yield

    def load_last(self) -> LoopState | None:
        """Return the state after the last finished iteration; cuts off what an interrupted save left behind it."""
        state = self._state()
        path = self.path / "records.jsonl"
        kept = "".join(f"{line}\n" for line in self._finished(state)).encode()
        if path.exists() and path.read_bytes() != kept:
            write_atomically(path, kept)
        return state

    def save(self, record: IterationRecord, state: LoopState) -> None:
        """Append the record, and only then replace the state."""
        with (self.path / "records.jsonl").open("a", encoding="utf-8") as file:
            file.write(records.to_line(record))
            file.flush()
            os.fsync(file.fileno())
        write_tensors(self.path / "state.pt", state)

    def load_tensors(self, name: str) -> Mapping[str, Tensor]:
        """Return what `save_tensors` kept under this name."""
        tensors: dict[str, Tensor] = torch.load(self.path / f"{name}.pt", weights_only=True, map_location="cpu")
        return tensors

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep parameters and buffers by name."""
        write_tensors(self.path / f"{name}.pt", dict(tensors))

    def _state(self) -> LoopState | None:
        path = self.path / "state.pt"
        if not path.exists():
            return None
        state: LoopState = torch.load(path, weights_only=True, map_location="cpu")
        return state

    def _finished(self, state: LoopState | None) -> list[str]:
        path = self.path / "records.jsonl"
        count = 0 if state is None else state["iteration"]
        lines = path.read_text(encoding="utf-8").splitlines()[:count] if path.exists() else []
        if [records.from_line(line).iteration for line in lines] != list(range(count)):
            raise ValueError(f"{path} must hold one record for each of the {count} finished iterations")
        return lines


def find_runs(root: Path) -> list[RunDirectory]:
    """Return the runs in `root`, or `root` itself if it is one, by name.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    found = [RunDirectory(path.parent) for path in sorted([*root.glob("config.json"), *root.glob("*/config.json")])]
    if not found:
        raise FileNotFoundError(f"no run in {root}: a run is a directory with a config.json")
    return found


def environment() -> dict[str, str]:
    """Return the versions that a run's results may depend on."""
    import numpy as np

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
    }


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` for people and programs, all or nothing."""
    write_atomically(path, (json.dumps(values, indent=2, allow_nan=False) + "\n").encode())


def write_tensors(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` as ``torch.load(..., weights_only=True)`` reads them, all or nothing."""
    buffer = io.BytesIO()
    torch.save(values, buffer)
    write_atomically(path, buffer.getvalue())


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file at `path`: whoever reads it, also after a crash, finds all of the old or all of the new.

    One writer at a time; what a killed one left behind is overwritten by the next.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
