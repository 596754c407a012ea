"""How many bytes a pruned checkpoint takes: as written, packed, and compressed beside the original."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pqi
from pqi.checkpoint import block_file
from pqi.checkpoint.apply import Pruned
from pqi.checkpoint.mapping import map_file

LARGEST_DEFLATED = 256 << 20
"""Outputs up to this many bytes are compressed to tell how small they get, unless asked otherwise."""

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Deflated:
    """Bytes of the weights' files when they are deflated (zlib level 6, in blocks of 4 MiB)."""

    before: int
    """Of the checkpoint that was pruned."""
    after: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes that the pruned checkpoint takes."""

    dense: int
    """As written: zeros take as much as any value."""
    packed: int
    """With one bit an entry and the non-zero values, for each pruned tensor where that is less; the rest dense."""
    compressed: Deflated | None
    """None if not measured."""


def measure_sizes(pruned: Sequence[Pruned], files: Sequence[Path]) -> Sizes:
    """Return the sizes that take no reading."""
    dense = sum(file.stat().st_size for file in files)
    packed = dense
    for found in pruned:
        bitmask = (found.tensor.count + 7) // 8 + found.nonzero * found.tensor.element.itemsize
        packed -= max(0, found.tensor.nbytes - bitmask)
    return Sizes(dense, packed, None)


def deflate(sources: Sequence[Path], files: Sequence[Path], on_advance: Advance = lambda _: None) -> Deflated:
    """Compress the files before and after, in memory and block by block; `on_advance` is called with bytes read."""
    with ThreadPoolExecutor(int(pqi.info()["num_threads"])) as pool:
        before, after = (sum(_deflated(file, pool, on_advance) for file in group) for group in (sources, files))
    return Deflated(before, after)


def _deflated(file: Path, pool: ThreadPoolExecutor, on_advance: Advance) -> int:
    memory, total = map_file(file), 0

    def length(begin: int) -> tuple[int, int]:
        block = memory[begin : begin + block_file.BLOCK]
        return len(zlib.compress(block.data)), block.size

    for compressed, advanced in pool.map(length, range(0, memory.size, block_file.BLOCK)):
        total += compressed
        on_advance(advanced)
    return total
