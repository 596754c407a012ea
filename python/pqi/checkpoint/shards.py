"""Folders and index files: many files as one checkpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pqi.checkpoint import strict_json
from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.stored import MOST_TENSORS, Checkpoint, natural, refuse, shown

LARGEST_INDEX = 100_000_000

PREFERRED = (
    "model*.safetensors.index.json",
    "*.safetensors.index.json",
    "model*.safetensors",
    "*.safetensors",
    "pytorch_model*.bin.index.json",
    "*.bin.index.json",
    "pytorch_model*.bin",
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.npz",
    "*.npy",
)
"""A folder is read as what comes first here; the rest of its files are other copies of the same weights."""

TRAINING = re.compile(r"(training_args|optimizer|scheduler|scaler|rng_state|random_states)([_.-].*)?\.(bin|pt|pth)")
"""Files that trainers write beside the weights, as they are named whole."""

Reader = Callable[[Path], Checkpoint]


def read_folder(folder: Path, read: Reader) -> Checkpoint:
    """Read the checkpoint files of a model folder as one checkpoint.

    Raises
    ------
    OSError, ValueError
        If there is none, or one of them is damaged.
    """
    pattern, found = _weights(folder)
    if found:
        return _union(folder, f"folder of {pattern}", [read(path) for path in found], {})
    below = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and _weights(path)[1]]
    what = "a pipeline of several models" if (folder / "model_index.json").exists() else "a folder without weights"
    if below:
        refuse(folder, f"{what}; pass one of its folders that hold some: {', '.join(map(shown, below))}")
    return refuse(folder, "the folder must hold safetensors, PyTorch or numpy files, got none")


def _weights(folder: Path) -> tuple[str, list[Path]]:
    """Return the files that a folder is read as, and their pattern."""
    for pattern in PREFERRED:
        found = sorted(path for path in folder.glob(pattern) if not TRAINING.fullmatch(path.name))
        if found:
            return pattern, found
    return "", []


def read_index(path: Path, read: Reader) -> Checkpoint:
    """Read the shards that an ``index.json`` lists; they must lie beside it.

    Raises
    ------
    OSError, ValueError
        If the index is damaged, names a shard elsewhere, or a tensor is not in its shard.
    """
    where = _weight_map(path)
    shards = {name: read(path.parent / name) for name in sorted(set(where.values()))}
    held = {name: {tensor.name for tensor in shard.tensors} for name, shard in shards.items()}
    for tensor, shard in where.items():
        if tensor not in held[shard]:
            refuse(path, f"tensor {shown(tensor)} must be in {shown(shard)}, but is not")
    whole = _union(path, "sharded", list(shards.values()), {})
    return replace(whole, index=path, tensors=tuple(sorted(whole.tensors, key=lambda tensor: natural(tensor.name))))


def _weight_map(path: Path) -> dict[str, str]:
    memory = map_file(path)
    if memory.size > LARGEST_INDEX:
        refuse(path, f"an index must have at most {LARGEST_INDEX} bytes, got {memory.size}")
    try:
        index = strict_json.parse(memory.tobytes())
    except ValueError as error:
        refuse(path, str(error))
    where: Any = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(where, dict) or not where or not all(isinstance(shard, str) for shard in where.values()):
        refuse(path, "weight_map must map tensor names to file names")
    if len(where) > MOST_TENSORS:
        refuse(path, f"weight_map must have at most {MOST_TENSORS} tensors, got {len(where)}")
    for shard in set(where.values()):
        if not _stays(shard):
            refuse(path, f"shards must be files beside the index, got {shown(shard)}")
    return where


def _stays(name: str) -> bool:
    """Whether a shard's name leads to the folder of its index: a plain file name, and no index in turn."""
    plain = name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0", ":"}
    return plain and name.isprintable() and not name.endswith(".json")


def _union(path: Path, form: str, parts: Sequence[Checkpoint], metadata: dict[str, str]) -> Checkpoint:
    if len(parts) == 1 and not metadata:
        only = parts[0]
        return replace(only, path=path)
    owner: dict[str, Path] = {}
    for part in parts:
        metadata |= part.metadata
        for tensor in part.tensors:
            if tensor.name in owner:
                one, other = shown(owner[tensor.name].name), shown(part.path.name)
                refuse(path, f"tensor {shown(tensor.name)} is in {one} and in {other}: pass the file that is meant")
            owner[tensor.name] = part.path
    return Checkpoint(
        path,
        form,
        tuple(tensor for part in parts for tensor in part.tensors),
        tuple(file for part in parts for file in part.files),
        metadata,
    )
