"""A pruner's state in one safetensors file: packed masks, initial values and the number of steps."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from pqi.prune.pruner import Pruner

FORMAT = "pqi.pruner.1"


def save_pruner(pruner: Pruner, path: str | os.PathLike[str], *, initial: bool = True) -> None:
    """Write ``pruner.state_dict()`` to a safetensors file, all or nothing.

    Masks take one bit per weight. The file replaces one of the same name only when it is complete.

    Parameters
    ----------
    pruner : Pruner
    path : str or os.PathLike
    initial : bool
        Whether to keep the initial values for `Pruner.rewind`, which take as much as the model.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    """
    library = _library()
    state: Mapping[str, Mapping[str, Tensor]] = pruner.state_dict(initial=initial)
    tensors = {f"{part}/{name}": t.contiguous() for part, named in state.items() for name, t in named.items()}
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        library.save_file(tensors, unfinished, metadata={"format": FORMAT})
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def load_pruner(pruner: Pruner, path: str | os.PathLike[str]) -> None:
    """Take over what `save_pruner` wrote, see `Pruner.load_state_dict`.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    ValueError
        If the file is not of that kind or not of this model; nothing changes then.
    """
    state: dict[str, dict[str, Tensor]] = {}
    for key, tensor in _library().load_file(Path(path)).items():
        part, separator, name = key.partition("/")
        if not separator or part not in ("masks", "initial", "progress"):
            raise ValueError(f"{path} must be a pruner's state, got a tensor {key!r}")
        state.setdefault(part, {})[name] = tensor
    pruner.load_state_dict(state)


def _library() -> ModuleType:
    try:
        return importlib.import_module("safetensors.torch")
    except ImportError:
        raise ImportError("safetensors must be installed to read or write its files, got no such package") from None
