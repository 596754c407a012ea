"""Pruning by streaming: chunk by chunk from the mapped source to the output, exact counts, many threads.

Memory is that of a chunk or two a thread; of one tensor where its elements are not in row-major order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

import pqi
from pqi.checkpoint.magnitude import Bits, Cut, cut, keys
from pqi.checkpoint.quotas import Group
from pqi.checkpoint.raw_tensor import RawTensor
from pqi.checkpoint.stored import StoredTensor

CHUNK = 1 << 18
"""Elements handled at a time."""

Write = Callable[[StoredTensor, int, Bits], None]
"""Takes a tensor, the first of consecutive elements, and their bits with the pruned ones cleared."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of one tensor."""

    tensor: StoredTensor
    kept: int
    nonzero: int


def bits_of(tensor: StoredTensor) -> Bits:
    """Return a tensor's elements in row-major order as unsigned integers; copied only if they are not."""
    width = tensor.element.itemsize
    memory = tensor.memory()
    if tensor.contiguous:
        flat = memory[tensor.offset : tensor.offset + tensor.nbytes]
        return np.frombuffer(flat.data, f"{'>' if tensor.swapped else '<'}u{width}").astype(f"u{width}", copy=False)
    return strided_bits(tensor, memory, tensor.offset).reshape(-1).astype(f"u{width}", copy=False)


def strided_bits(tensor: StoredTensor, memory: Any, offset: int) -> Bits:
    """Return a view of a tensor's elements in memory, the first one at this byte."""
    width = tensor.element.itemsize
    strides = None if tensor.strides is None else tuple(stride * width for stride in tensor.strides)
    return np.ndarray(tensor.shape, f"{'>' if tensor.swapped else '<'}u{width}", memory.data, offset, strides)


def prune_group(group: Group, write: Write, pool: Executor) -> list[Pruned]:
    """Write the tensors of a group with all but the largest magnitudes cleared; ties keep the lowest flat index."""
    if isinstance(group.kept, np.ndarray):
        return [_prune_units(group.tensors[0], group.kept, write, pool)]
    count = sum(tensor.count for tensor in group.tensors)
    if group.kept in (0, count):
        return [_keep(tensor, write, pool, whole=group.kept > 0) for tensor in group.tensors]
    if group.threshold is not None:
        return _prune_counted(group, group.kept, group.threshold, write, pool)
    arrays = [tensor.array() for tensor in group.tensors]
    threshold = float(pqi.topk_threshold(arrays[0] if len(arrays) == 1 else pqi.pooled(arrays), group.kept))
    return _prune_above(group.tensors, group.kept, threshold, write, pool)


class _Buffers(threading.local):
    """A thread's memory for intermediate results: a fresh page costs more than the work on it."""

    memory = np.empty(0, np.uint8)

    def like(self, bits: Bits) -> Bits:
        """Return uninitialised memory for as many integers; what was returned before is overwritten."""
        if self.memory.size < bits.nbytes:
            self.memory = np.empty(bits.nbytes, np.uint8)
        return self.memory[: bits.nbytes].view(bits.dtype)


_buffers = _Buffers()


def _chunks(tensor: StoredTensor) -> Iterator[slice]:
    return (slice(begin, min(begin + CHUNK, tensor.count)) for begin in range(0, tensor.count, CHUNK))


def _keep(tensor: StoredTensor, write: Write, pool: Executor, *, whole: bool) -> Pruned:
    bits = bits_of(tensor)

    def work(chunk: slice) -> int:
        part = bits[chunk] if whole else np.zeros_like(bits[chunk])
        write(tensor, chunk.start, part)
        return int(np.count_nonzero(keys(part, tensor.element)))

    nonzero = sum(pool.map(work, _chunks(tensor)))
    return Pruned(tensor, tensor.count if whole else 0, nonzero)


def _prune_counted(group: Group, kept: int, threshold: float, write: Write, pool: Executor) -> list[Pruned]:
    """Prune tensors of which tallies say how many elements lie above and on the threshold; one is searched for ties."""
    where = cut(group.tensors[0].element, threshold)
    cleared: list[tuple[StoredTensor, bool]] = []
    pruned = []
    found = [tally.above(where) for tally in group.tallies]
    left = kept - sum(above for above, _ in found)
    for tensor, (above, equal) in zip(group.tensors, found, strict=True):
        ties = min(left, equal)
        left -= ties
        if 0 < ties < equal:
            pruned += _prune_above([tensor], above + ties, threshold, write, pool)
            continue
        cleared.append((tensor, ties > 0))
        pruned.append(Pruned(tensor, above + ties, above + (ties if threshold > 0 else 0)))
    # Elements that are not in order are gathered, one tensor at a time.
    _write_cleared([pair for pair in cleared if pair[0].contiguous], where, write, pool)
    for pair in cleared:
        if not pair[0].contiguous:
            _write_cleared([pair], where, write, pool)
    return pruned


def _write_cleared(cleared: Sequence[tuple[StoredTensor, bool]], where: Cut, write: Write, pool: Executor) -> None:
    """Write tensors, each with or without what lies on the cut; files in turn: one takes one thread at a time."""
    files: dict[Path | None, list[tuple[StoredTensor, Bits, slice, bool]]] = {}
    for tensor, keep_ties in cleared:
        file, bits = None if tensor.origin is None else tensor.origin.file, bits_of(tensor)
        files.setdefault(file, []).extend((tensor, bits, chunk, keep_ties) for chunk in _chunks(tensor))

    def work(job: tuple[StoredTensor, Bits, slice, bool]) -> None:
        tensor, bits, chunk, keep_ties = job
        write(tensor, chunk.start, _cleared(bits[chunk], tensor, where, int(keep_ties), 1))

    in_turn = (job for jobs in zip_longest(*files.values()) for job in jobs if job is not None)
    for _ in pool.map(work, in_turn):
        pass


def _prune_above(
    tensors: Sequence[StoredTensor], kept: int, threshold: float, write: Write, pool: Executor
) -> list[Pruned]:
    """Keep what exceeds the threshold, and of what equals it the first elements, so that `kept` stay."""
    cuts = {tensor.element: cut(tensor.element, threshold) for tensor in tensors}
    sources = [(tensor, bits_of(tensor), chunk) for tensor in tensors for chunk in _chunks(tensor)]

    def count(source: tuple[StoredTensor, Bits, slice]) -> tuple[int, int]:
        tensor, bits, chunk = source
        where, found = cuts[tensor.element], keys(bits[chunk], tensor.element, _buffers.like(bits[chunk]))
        above = int(np.count_nonzero(found >= where.above))
        return above, int(np.count_nonzero(found >= where.at)) - above

    counted = list(pool.map(count, sources))
    left = kept - sum(above for above, _ in counted)
    jobs, stays = [], {tensor.name: [0, 0] for tensor in tensors}
    for (tensor, bits, chunk), (above, equal) in zip(sources, counted, strict=True):
        ties = min(left, equal)
        left -= ties
        jobs.append((tensor, bits, chunk, ties, equal))
        stays[tensor.name][0] += above + ties
        stays[tensor.name][1] += above + (ties if threshold > 0 else 0)

    def work(job: tuple[StoredTensor, Bits, slice, int, int]) -> None:
        tensor, bits, chunk, ties, equal = job
        write(tensor, chunk.start, _cleared(bits[chunk], tensor, cuts[tensor.element], ties, equal))

    for _ in pool.map(work, jobs):
        pass
    return [Pruned(tensor, *stays[tensor.name]) for tensor in tensors]


def _cleared(bits: Bits, tensor: StoredTensor, where: Cut, ties: int, equal: int) -> Bits:
    """Return elements with those below the cut, and all but the first `ties` on it, zero; in this thread's buffer."""
    buffer = _buffers.like(bits)
    found, least = keys(bits, tensor.element, buffer), where.at if ties == equal else where.above
    if tensor.element.is_floating and (ties in (0, equal)) and least > 0:
        return np.bitwise_and(bits, _ones_from(found, least), out=buffer)
    keep = found >= least
    if 0 < ties < equal:
        keep[np.flatnonzero(found == where.at)[:ties]] = True
    return np.multiply(bits, keep, out=buffer)


def _ones_from(found: Bits, least: int) -> Bits:
    """Return all ones where a key is at least so large, else zero, in place; the keys' highest bits are free.

    Integers only: numpy multiplies by bool many times slower.
    """
    signed = found.dtype.str.replace("u", "i")
    differences = np.subtract(found.dtype.type(least - 1), found, out=found).view(signed)
    ones: Bits = np.right_shift(differences, 8 * found.dtype.itemsize - 1, out=differences).view(found.dtype)
    return ones


def _prune_units(tensor: StoredTensor, kept: Any, write: Write, pool: Executor) -> Pruned:
    """Keep the largest of each output unit; whole units at a time, through the array layer."""
    units, width = tensor.shape[0], tensor.count // tensor.shape[0]
    bits, step, nonzero = bits_of(tensor), max(1, 8 * CHUNK // width), 0

    def clear(part: Bits, mask: Any, begin: int) -> int:
        cleared = _buffers.like(part)
        np.copyto(cleared, mask.view(np.uint8))  # integers only: numpy multiplies by bool many times slower
        np.multiply(part, cleared, out=cleared)
        write(tensor, begin, cleared)
        return int(np.count_nonzero(keys(cleared, tensor.element, cleared)))

    for first in range(0, units, step):
        last = min(first + step, units)
        block = bits[first * width : last * width]
        rows = RawTensor(block.view(np.uint8), tensor.element, (last - first, width))
        mask = pqi.topk_mask(rows, kept[first:last], axis=1).reshape(-1)
        parts = [slice(begin, begin + CHUNK) for begin in range(0, block.size, CHUNK)]
        jobs = ((block[part], mask[part], first * width + part.start) for part in parts)
        nonzero += sum(pool.map(lambda job: clear(*job), jobs))
    return Pruned(tensor, int(kept.sum()), nonzero)
