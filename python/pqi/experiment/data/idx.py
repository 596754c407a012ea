"""IDX files, plain or compressed by gzip: a magic number, big-endian dimensions, and bytes in row-major order."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pqi.experiment.data.files import refuse

UNSIGNED_BYTES = 8
LARGEST = 1 << 30
"""Bytes of content: twenty times as many as the largest file of this kind has."""
CHUNK = 1 << 20


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array of unsigned bytes with so many dimensions.

    Content is read in pieces and never beyond what the header says, so that memory is bounded by what is really there,
    whatever a header or a compressed stream claims.

    Raises
    ------
    ValueError
        If the magic number is another one, the header asks for more than `LARGEST` bytes, the content is longer or
        shorter than it says, or the compression is damaged.
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not compressed:
            return _read(path, raw, dimensions)
        try:
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read(path, stream, dimensions)  # type: ignore[arg-type] # typeshed: no BinaryIO
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            refuse(path, f"the compressed content is damaged: {error}")


def _read(path: Path, stream: BinaryIO, dimensions: int) -> NDArray[np.uint8]:
    header = _take(stream, 4 + 4 * dimensions)
    if len(header) < 4 or header[:4] != bytes((0, 0, UNSIGNED_BYTES, dimensions)):
        wanted = f"{UNSIGNED_BYTES << 8 | dimensions:#010x}"
        refuse(path, f"must begin with the magic number {wanted}, got 0x{header[:4].hex()}")
    if len(header) < 4 + 4 * dimensions:
        refuse(path, "is truncated within its header")
    shape = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header), 4))
    size = math.prod(shape)
    if size > LARGEST:
        refuse(path, f"must have at most {LARGEST:,} bytes, got dimensions {' x '.join(map(str, shape))}")
    content = _take(stream, size)
    if len(content) < size:
        refuse(path, f"is truncated: its header says {size:,} bytes of content, got {len(content):,}")
    if stream.read(1):
        refuse(path, f"must end after the {size:,} bytes of content that its header says, got more")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _take(stream: BinaryIO, size: int) -> bytearray:
    """Return the next `size` bytes, or as many as there are."""
    content = bytearray()
    while len(content) < size:
        piece = stream.read(min(CHUNK, size - len(content)))
        if not piece:
            break
        content += piece
    return content
