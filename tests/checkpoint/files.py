"""Small checkpoint files, written by hand so that every byte can be wrong."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Header = Mapping[str, Any]

WEIGHTS = np.array([[0.5, -2.0, 0.0], [1.0, 0.25, -0.125]], np.float32)


def safetensors(header: Header | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """Return a file with this header, its length as said or as it is."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    """Return a tensor's entry in the header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def good_safetensors() -> bytes:
    """Return a file with a matrix, a vector and metadata."""
    header = {
        "__metadata__": {"made": "by hand"},
        "fc.weight": entry("F32", [2, 3], 0, 24),
        "fc.bias": entry("BF16", [2], 24, 28),
    }
    return safetensors(header, WEIGHTS.tobytes() + b"\x80\x3f\x00\x40")


def good_npy() -> bytes:
    """Return a file with a matrix."""
    file = io.BytesIO()
    np.save(file, WEIGHTS)
    return file.getvalue()


def good_npz(*, compressed: bool = False) -> bytes:
    """Return an archive with two arrays."""
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, a=WEIGHTS, b=np.arange(3))
    return file.getvalue()


# {"w": a float32 matrix over storage "0"}: protocol 2, as torch.save writes it.
PICKLE = (
    b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02((X\x07\x00\x00\x00storageq\x03"
    b"ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K\x06tq\x07QK\x00K\x02K\x03\x86q\x08"
    b"K\x03K\x01\x86q\t\x89ccollections\nOrderedDict\nq\n)Rq\x0btq\x0cRq\rs."
)


def torch_zip(pickle: bytes = PICKLE, storage: bytes = WEIGHTS.tobytes()) -> bytes:
    """Return an archive as torch.save lays it out."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("m/data.pkl", pickle)
        archive.writestr("m/byteorder", b"little")
        archive.writestr("m/data/0", storage)
        archive.writestr("m/version", b"3\n")
    return file.getvalue()


GOOD = {
    "good.safetensors": good_safetensors(),
    "good.npy": good_npy(),
    "good.npz": good_npz(),
    "deflated.npz": good_npz(compressed=True),
    "good.pt": torch_zip(),
}
"""One file of each kind by its name."""


def put(folder: Path, name: str, content: bytes) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content)
    return path


def is_a_line_about(message: str, folder: Path) -> bool:
    """Whether an error names a file in the folder and is one line."""
    return message.startswith(str(folder)) and "\n" not in message


def refusal(path: Path) -> str:
    """Return why a file cannot be scanned; it must be one line that names the file."""
    import pytest

    import pqi

    with pytest.raises((ValueError, OSError)) as caught:
        pqi.scan(path)
    message = str(caught.value)
    assert is_a_line_about(message, path.parent), message
    return message
