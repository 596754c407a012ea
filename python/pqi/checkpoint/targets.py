"""Where the files of a pruned checkpoint go, and which files beside the weights go with them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pqi.checkpoint.stored import Checkpoint, shown

WEIGHTS = {
    ".bin",
    ".ckpt",
    ".gguf",
    ".h5",
    ".index",
    ".msgpack",
    ".npy",
    ".npz",
    ".onnx",
    ".ot",
    ".pt",
    ".pth",
    ".safetensors",
    ".tflite",
}
"""How files of weights and of training states end: a copy of them would hold what was pruned."""
LARGEST_COPIED = 64 << 20
"""Bytes up to which other files are copied: room for the vocabulary of every known tokenizer."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Where files go."""

    weights: Mapping[Path, Path]
    """Each file of the checkpoint, pruned, by its source."""
    copies: Mapping[Path, Path]
    """The list of shards, and with a folder its small files, copied once the weights are there."""
    left: tuple[Path, ...]
    """What a folder holds besides and is not copied: folders, large files, and weights in other forms."""

    def copy(self) -> None:
        """Copy what goes with the weights, the list of shards last."""
        for source, target in self.copies.items():
            partial = target.with_name(f".{target.name}.partial")
            try:
                partial.write_bytes(source.read_bytes())
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)


def plan_targets(checkpoint: Checkpoint, out: Path, *, folder: bool, overwrite: bool) -> Targets:
    """Return where each file goes; the folder is made if need be.

    Raises
    ------
    OSError
        If the folder around `out` does not exist, a folder is a file, or a file exists and must not be overwritten.
    ValueError
        If an output is an input.
    """
    if not out.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(out.parent))
    into = folder or out.is_dir() or checkpoint.path.is_dir() or len(checkpoint.files) > 1
    if into and out.exists() and not out.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(out))
    if not into:
        found = Targets({checkpoint.files[0]: out}, {}, ())
    else:
        beside, left = _beside(checkpoint)
        found = Targets(
            {file: out / file.name for file in checkpoint.files}, {file: out / file.name for file in beside}, left
        )
        out.mkdir(exist_ok=True)
    for source, target in (*found.weights.items(), *found.copies.items()):
        if target.exists() and target.samefile(source):
            raise ValueError(f"the output must not be the input, got {shown(target, 400)}")
        if target.exists() and not overwrite:
            raise FileExistsError(errno.EEXIST, "file exists, and overwriting was not asked for", str(target))
    return found


def _beside(checkpoint: Checkpoint) -> tuple[list[Path], tuple[Path, ...]]:
    """Return the files that are copied with the weights, and what else lies in the folder."""
    copied, left = list[Path](), list[Path]()
    for path in _others(checkpoint):
        lists_weights = path.name.endswith(".index.json")
        small = path.is_file() and path.stat().st_size <= LARGEST_COPIED
        (copied if small and path.suffix.lower() not in WEIGHTS and not lists_weights else left).append(path)
    return copied + ([] if checkpoint.index is None else [checkpoint.index]), tuple(left)


def _others(checkpoint: Checkpoint) -> Iterator[Path]:
    """Yield what a folder holds besides the checkpoint's files, hidden files aside."""
    known = {*checkpoint.files, checkpoint.index}
    for path in sorted(checkpoint.path.iterdir()) if checkpoint.path.is_dir() else ():
        if path not in known and not path.name.startswith("."):
            yield path
