"""One path in, one checkpoint out: the format is told by the content, not the name."""

from __future__ import annotations

from pathlib import Path

from pqi.checkpoint.archive import open_archive
from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.numpy_file import MAGIC, read_npy, read_npz
from pqi.checkpoint.safetensors_file import read_safetensors
from pqi.checkpoint.shards import read_folder, read_index
from pqi.checkpoint.stored import Checkpoint, refuse
from pqi.checkpoint.torch_file import read_torch

LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of ``torch.save`` began before PyTorch 1.6."""


def open_checkpoint(path: Path) -> Checkpoint:
    """Read the headers of a checkpoint: a file, an ``index.json`` or a model folder; no tensor is read.

    Raises
    ------
    OSError
        If a file cannot be opened.
    ValueError
        If it is of no known format, damaged or hostile; one line that names the file.
    """
    if path.is_dir():
        return read_folder(path, _read_file_or_index)
    return _read_file_or_index(path)


def _read_file_or_index(path: Path) -> Checkpoint:
    return read_index(path, _read_file) if path.name.endswith(".json") else _read_file(path)


def _read_file(path: Path) -> Checkpoint:
    start = map_file(path)[:16].tobytes()
    if start.startswith(MAGIC):
        return read_npy(path)
    if start.startswith(b"PK"):
        return _read_archive(path)
    if start.startswith(LEGACY):
        refuse(path, "written by PyTorch before 1.6: load it there and save it anew, or as safetensors")
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        return read_safetensors(path)
    return refuse(path, "must be a safetensors, PyTorch zip, .npy or .npz file")


def _read_archive(path: Path) -> Checkpoint:
    names = open_archive(path).members
    return read_torch(path) if any(name.endswith("data.pkl") for name in names) else read_npz(path)
