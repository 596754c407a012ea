"""Copies of checkpoint files in which some tensors are written anew: every other byte stays as it was."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from pqi.checkpoint import block_file, checksums
from pqi.checkpoint.apply import Plan, Pruned
from pqi.checkpoint.block_file import BlockFile
from pqi.checkpoint.elements import Elements, strided_bits
from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.raw_tensor import extent, row_major
from pqi.checkpoint.stored import Bytes, StoredTensor, refuse, shown


class Output:
    """One output file: assembled block by block, and renamed into place when all is written.

    Parameters
    ----------
    source, target : Path
    plans : sequence of Plan
        For the tensors of `source` that are pruned; their storages must not overlap.
    direct : bool
        Whether to write past the page cache; archives never are, since they are read again for their checksums.

    Raises
    ------
    ValueError
        If two of the tensors share storage.
    OSError
        If the file cannot be created.
    """

    def __init__(self, source: Path, target: Path, plans: Sequence[Plan], *, direct: bool = False) -> None:
        self._source, self._target, self._plans = source, target, plans
        self._memory = map_file(source)
        _check_apart(source, [plan.tensor for plan in plans])
        parts = [_Part(plan) for plan in plans if plan.clearing is not None]
        self._parts = sorted(parts, key=lambda part: part.begin)
        self._ends = [part.end for part in self._parts]
        self._archive = checksums.is_archive(self._memory)
        self._partial = target.with_name(f".{target.name}.partial")
        try:
            self._file = BlockFile(self._partial, self.size, direct=direct and not self._archive)
        except BaseException:
            self._partial.unlink(missing_ok=True)
            raise

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()
        if error is None:
            self._partial.replace(self._target)
        else:
            self._partial.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._memory.size

    def assemble(self, begin: int, buffer: Bytes) -> tuple[int, int]:
        """Put the block that begins here into a buffer; return its bytes, and how many of them pruned tensors have."""
        end, reached, pruned = min(begin + block_file.BLOCK, self.size), begin, 0
        for place in range(bisect.bisect_right(self._ends, begin), len(self._parts)):
            part = self._parts[place]
            if part.begin >= end:
                break
            first, last = max(part.begin, begin), min(part.end, end)
            buffer[reached - begin : first - begin] = self._memory[reached:first]
            part.write(first, buffer[first - begin : last - begin])
            reached, pruned = last, pruned + last - first
        buffer[reached - begin : end - begin] = self._memory[reached:end]
        return end - begin, pruned

    def write(self, begin: int, buffer: Bytes, count: int) -> None:
        """Write an assembled block; any thread, any order."""
        self._file.write_block(begin, buffer, count)

    def finish(self) -> list[Pruned]:
        """Say what became of the tensors once all blocks are written, and renew an archive's checksums."""
        self._file.finish()
        if self._archive:
            changed = {plan.tensor.origin.begin for plan in self._plans if plan.tensor.origin is not None}
            checksums.renew(self._source, self._partial, changed, self._file.patch)
        counted = {part.plan.tensor.name: part.nonzero for part in self._parts}
        return [
            Pruned(plan.tensor, plan.kept, counted[plan.tensor.name] if plan.nonzero is None else plan.nonzero)
            for plan in self._plans
        ]


class _Part:
    """The bytes of a file between a tensor's first element and its last, pruned."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.begin, self.end = _place(plan.tensor)
        # The pages of the mapping that was measured are at hand; another one would fetch them again.
        storage, offset = plan.tensor.memory(), plan.tensor.offset
        self._stored = storage[offset : offset + self.end - self.begin]
        self._left = self.end - self.begin
        self._counts: list[int] = []
        self._lock = threading.Lock()
        self._image: Bytes | None = None

    @property
    def nonzero(self) -> int:
        """Elements that were counted not to be zero while they were written."""
        return sum(self._counts)

    def write(self, begin: int, out: Bytes) -> None:
        """Write consecutive bytes; each of them is asked for once."""
        if self.plan.tensor.contiguous:
            self._fill_bytes(begin - self.begin, out)
            return
        with self._lock:
            if self._image is None:
                self._image = self._scattered()
            image = self._image
            self._left -= out.size
            if self._left == 0:
                self._image = None
        out[...] = image[begin - self.begin : begin - self.begin + out.size]

    def _fill_bytes(self, offset: int, out: Bytes) -> None:
        """Fill whole elements where they go; one that is cut by the edge of a block is made apart, on either side."""
        width = self.plan.tensor.element.itemsize
        before = -offset % width
        if before > 0:
            element = np.empty(width, np.uint8)
            self._fill(offset // width, element)
            out[:before] = element[width - before :][: out.size]
        first, last = -(-offset // width), (offset + out.size) // width
        if last > first:
            self._counts.append(self._fill(first, out[before : before + (last - first) * width]))
        after = (offset + out.size) % width
        if after > 0 and last >= first:
            element = np.empty(width, np.uint8)
            self._counts.append(self._fill(last, element))
            out[out.size - after :] = element[:after]

    def _fill(self, first: int, out: Bytes) -> int:
        """Fill elements in the file's byte order."""
        tensor, clearing = self.plan.tensor, self.plan.clearing
        if clearing is None:
            raise ValueError(f"tensor {shown(tensor.name)} stays as it is")
        found = clearing.fill(self._read, first, out)
        if tensor.swapped:
            out.view(f"u{tensor.element.itemsize}").byteswap(inplace=True)
        return found

    def _read(self, begin: int, end: int) -> Bytes:
        tensor = self.plan.tensor
        width = tensor.element.itemsize
        stored = self._stored[begin * width : end * width]
        return stored.view(f"u{width}").byteswap().view(np.uint8) if tensor.swapped else stored

    def _scattered(self) -> Bytes:
        """Return the storage with the pruned elements where they belong."""
        tensor, clearing = self.plan.tensor, self.plan.clearing
        if clearing is None:
            raise ValueError(f"tensor {shown(tensor.name)} stays as it is")
        bits = Elements(tensor).bits(slice(None))
        out = np.empty_like(bits)
        stored, width = bits.view(np.uint8), tensor.element.itemsize
        self._counts.append(clearing.fill(lambda a, b: stored[a * width : b * width], 0, out.view(np.uint8)))
        image = self._stored.copy()
        strided_bits(tensor, image, 0)[...] = out.reshape(tensor.shape)
        return image


def _place(tensor: StoredTensor) -> tuple[int, int]:
    """Return the bytes of the file from the first element to past the last."""
    if tensor.origin is None:
        raise ValueError(f"tensor {shown(tensor.name)} must be stored, not compressed, to be pruned in place")
    begin = tensor.origin.begin + tensor.offset
    touched = extent(tensor.shape, tensor.strides or row_major(tensor.shape))
    return begin, begin + touched * tensor.element.itemsize


def _check_apart(path: Path, tensors: Sequence[StoredTensor]) -> None:
    reached, before = 0, ""
    for tensor in sorted(tensors, key=_place):
        begin, end = _place(tensor)
        if begin < reached:
            refuse(path, f"{shown(before)} and {shown(tensor.name)} share storage: save clones of them to prune them")
        reached, before = max(reached, end), tensor.name
