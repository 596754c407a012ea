"""Copies of checkpoint files in which some tensors are written anew: every other byte stays as it was."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from types import TracebackType

import numpy as np

from pqi.checkpoint.apply import strided_bits
from pqi.checkpoint.magnitude import Bits
from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.raw_tensor import extent, row_major
from pqi.checkpoint.stored import Bytes, StoredTensor, refuse, shown

BLOCK = 4 << 20
DIRECTORY_ENTRY, DATA_DESCRIPTOR = 46, b"PK\x07\x08"


class Output:
    """One output file: begun as the gaps between the tensors to write, finished by renaming it into place.

    Parameters
    ----------
    source, target : Path
    tensors : sequence of StoredTensor
        Those of `source` that will be written, each once and whole; their storages must not overlap.

    Raises
    ------
    ValueError
        If two of the tensors share storage.
    OSError
        If the file cannot be created.
    """

    def __init__(self, source: Path, target: Path, tensors: Sequence[StoredTensor]) -> None:
        self._source, self._target = source, target
        self._memory = map_file(source)
        self._streamed = [tensor for tensor in tensors if tensor.contiguous]
        self._strided = {
            tensor.name: np.empty(tensor.count, f"u{tensor.element.itemsize}")
            for tensor in tensors
            if not tensor.contiguous
        }
        self._tensors = {tensor.name: tensor for tensor in tensors}
        _check_apart(source, tensors)
        self._partial = target.with_name(f".{target.name}.partial")
        self._file = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        os.truncate(self._file, self._memory.size)

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        os.close(self._file)
        if error is None:
            self._partial.replace(self._target)
        else:
            self._partial.unlink(missing_ok=True)

    def write(self, tensor: StoredTensor, first: int, bits: Bits) -> None:
        """Write consecutive elements; any thread, any order."""
        if tensor.name in self._strided:
            self._strided[tensor.name][first : first + bits.size] = bits
            return
        ordered = bits.astype(bits.dtype.newbyteorder(">")) if tensor.swapped else bits
        self._put(_begin(tensor) + first * tensor.element.itemsize, ordered)

    def finish(self, pool: Executor) -> None:
        """Copy everything else, write what had to be gathered, and renew an archive's checksums."""
        for _ in pool.map(lambda part: self._put(part.start, self._memory[part]), self._gaps()):
            pass
        for name, bits in self._strided.items():
            tensor = self._tensors[name]
            begin, end = _place(tensor)
            storage = self._memory[begin:end].copy()
            strided_bits(tensor, storage, 0)[...] = bits.reshape(tensor.shape)
            self._put(begin, storage)
        if self._memory[:2].tobytes() == b"PK":
            self._renew_checksums()

    def _put(self, place: int, data: Bits | Bytes) -> None:
        view = np.ascontiguousarray(data).data.cast("B")
        while view:
            written = os.pwrite(self._file, view, place)
            view, place = view[written:], place + written

    def _gaps(self) -> Iterator[slice]:
        reached = 0
        for begin, end in [*sorted(_place(tensor) for tensor in self._streamed), (self._memory.size,) * 2]:
            yield from (slice(at, min(at + BLOCK, begin)) for at in range(reached, begin, BLOCK))
            reached = end

    def _renew_checksums(self) -> None:
        """Put the CRC-32 of members that changed into their headers, descriptors and directory entries."""
        with zipfile.ZipFile(self._source) as archive:
            place, found = archive.start_dir, archive.infolist()
        written = map_file(self._partial)
        changed = {tensor.origin.begin for tensor in self._tensors.values() if tensor.origin is not None}
        for info in found:
            lengths = struct.unpack("<HHH", self._memory[place + 28 : place + 34].tobytes())
            header = info.header_offset
            local = sum(struct.unpack("<HH", self._memory[header + 26 : header + 30].tobytes()))
            begin = header + 30 + local
            if begin in changed:
                checksum = struct.pack("<I", _crc(written[begin : begin + info.file_size]))
                self._put(place + 16, np.frombuffer(checksum, np.uint8))
                end = begin + info.file_size
                if info.flag_bits & 8:
                    marked = self._memory[end : end + 4].tobytes() == DATA_DESCRIPTOR
                    self._put(end + 4 * marked, np.frombuffer(checksum, np.uint8))
                else:
                    self._put(header + 14, np.frombuffer(checksum, np.uint8))
            place += DIRECTORY_ENTRY + sum(lengths)


def _crc(content: Bytes) -> int:
    checksum = 0
    for begin in range(0, content.size, BLOCK):
        checksum = zlib.crc32(content[begin : begin + BLOCK].data, checksum)
    return checksum


def _begin(tensor: StoredTensor) -> int:
    """Return the byte of the file at which the first element lies."""
    if tensor.origin is None:
        raise ValueError(f"tensor {shown(tensor.name)} must be stored, not compressed, to be pruned in place")
    return tensor.origin.begin + tensor.offset


def _place(tensor: StoredTensor) -> tuple[int, int]:
    """Return the bytes of the file from the first element to past the last."""
    begin = _begin(tensor)
    touched = extent(tensor.shape, tensor.strides or row_major(tensor.shape))
    return begin, begin + touched * tensor.element.itemsize


def _check_apart(path: Path, tensors: Sequence[StoredTensor]) -> None:
    reached, before = 0, ""
    for tensor in sorted(tensors, key=_place):
        begin, end = _place(tensor)
        if begin < reached:
            refuse(path, f"{shown(before)} and {shown(tensor.name)} share storage: save clones of them to prune them")
        reached, before = max(reached, end), tensor.name
