"""A stored tensor's elements as integers in row-major order, and what is counted among them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from pqi.checkpoint.magnitude import Bits, Cut, keys
from pqi.checkpoint.stored import StoredTensor

CHUNK = 1 << 18
"""Elements handled at a time."""
WAVE = 32
"""Chunks that are searched for ties at once."""

Run = Callable[[Callable[[slice], int], Iterable[slice]], Iterable[int]]
"""`map` or that of a pool of threads."""


class _Buffers(threading.local):
    """A thread's memory for intermediate results: a fresh page costs more than the work on it."""

    memory = np.empty(0, np.uint8)

    def like(self, bits: Bits) -> Bits:
        """Return uninitialised memory for as many integers; what was returned before is overwritten."""
        if self.memory.size < bits.nbytes:
            self.memory = np.empty(bits.nbytes, np.uint8)
        return self.memory[: bits.nbytes].view(bits.dtype)


_buffers = _Buffers()


class Elements:
    """A tensor's elements; copied stretch by stretch if their bytes are in another order, whole if they are themselves.

    Parameters
    ----------
    tensor : StoredTensor
    """

    def __init__(self, tensor: StoredTensor) -> None:
        self._element, memory = tensor.element, tensor.memory()
        self.count = tensor.count
        if tensor.contiguous:
            flat = memory[tensor.offset : tensor.offset + tensor.nbytes]
            self._stored: Bits = np.frombuffer(flat.data, _kind(tensor))
        else:
            self._stored = strided_bits(tensor, memory, tensor.offset).reshape(-1)

    def bits(self, part: slice) -> Bits:
        """Return consecutive elements as unsigned integers in this machine's byte order."""
        return self._stored[part].astype(f"u{self._element.itemsize}", copy=False)

    def nonzero(self, part: slice) -> int:
        """Return how many elements are not zero."""
        return int(np.count_nonzero(self._keys(part)))

    def above(self, where: Cut, part: slice) -> tuple[int, int]:
        """Return how many elements lie above a cut, and how many on it."""
        found = self._keys(part)
        above = int(np.count_nonzero(found >= where.above))
        return above, int(np.count_nonzero(found >= where.at)) - above

    def end_of_ties(self, where: Cut, ties: int, part: slice, run: Run = map) -> int:
        """Return the index past the `ties`-th element on a cut; the part holds as many."""

        def equal(chunk: slice) -> int:
            return int(np.count_nonzero(self._keys(chunk) == where.at))

        found = chunks(part.start, part.stop)
        while ties > 0 and (wave := list(itertools.islice(found, WAVE))):
            for chunk, count in zip(wave, run(equal, wave), strict=True):
                if count >= ties:
                    return int(chunk.start + np.flatnonzero(self._keys(chunk) == where.at)[ties - 1]) + 1
                ties -= count
        return int(part.start)

    def _keys(self, part: slice) -> Bits:
        bits = self.bits(part)
        return keys(bits, self._element, _buffers.like(bits))


def chunks(begin: int, end: int) -> Iterator[slice]:
    """Yield what lies between two indices in parts that fit the cache."""
    return (slice(first, min(first + CHUNK, end)) for first in range(begin, end, CHUNK))


def strided_bits(tensor: StoredTensor, memory: Any, offset: int) -> Bits:
    """Return a view of a tensor's elements in memory, the first one at this byte."""
    width = tensor.element.itemsize
    strides = None if tensor.strides is None else tuple(stride * width for stride in tensor.strides)
    return np.ndarray(tensor.shape, _kind(tensor), memory.data, offset, strides)


def _kind(tensor: StoredTensor) -> str:
    return f"{'>' if tensor.swapped else '<'}u{tensor.element.itemsize}"
