"""What becomes of a tensor's elements: which stay as they are, stretch by stretch, and which become zero."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

import pqi
from pqi import _core
from pqi.checkpoint.element import ElementType
from pqi.checkpoint.magnitude import Bits, keys
from pqi.checkpoint.raw_tensor import VERSION, RawTensor
from pqi.checkpoint.stored import Bytes

Read = Callable[[int, int], Bytes]
"""Takes the first of consecutive elements and the one past the last; returns their bytes in this machine's order."""

NOTHING = (1 << 64) - 1
"""No finite magnitude has so large a key."""


class Clearing(Protocol):
    """A way to clear elements; any stretch of a tensor, in any order, from any thread."""

    def fill(self, read: Read, first: int, out: Bytes) -> int:
        """Write consecutive elements, those to prune as zeros; return how many are not zero, if that was counted."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Elements stay from a least key on that is constant between stops.

    Ties need no more than that: up to the last one that stays the threshold's own key is the least, from there the
    next one.
    """

    element: ElementType
    stops: Sequence[int]
    """Where each stretch ends, ascending; the last one is the number of elements."""
    least: Sequence[int]
    """The least key that stays in each stretch."""

    def fill(self, read: Read, first: int, out: Bytes) -> int:
        """Write consecutive elements; nothing is counted."""
        width = self.element.itemsize
        begin, end = first, first + out.size // width
        stretch = int(np.searchsorted(np.asarray(self.stops), begin, side="right"))
        while begin < end:
            stop = min(self.stops[stretch], end)
            part = out[(begin - first) * width : (stop - first) * width]
            clear_below(self.element, read(begin, stop), self.least[stretch], part)
            begin, stretch = stop, stretch + 1
        return 0


_ranking = threading.Lock()
"""Held while masks are made: that takes all threads by itself."""


@dataclass(frozen=True, slots=True)
class Units:
    """So many of the largest elements of each output unit stay; units are narrow, and are ranked where they are needed.

    A unit on the edge of a stretch is ranked for both sides.
    """

    element: ElementType
    width: int
    kept: Any
    """One count for each unit."""

    def fill(self, read: Read, first: int, out: Bytes) -> int:
        """Write consecutive elements, and count those that are not zero."""
        count = out.size // self.element.itemsize
        begin, end = first // self.width, -(-(first + count) // self.width)
        source, skipped = read(begin * self.width, end * self.width), first - begin * self.width
        with _ranking:
            rows = RawTensor(source, self.element, (end - begin, self.width))
            mask: Any = pqi.topk_mask(rows, self.kept[begin:end], axis=1)
        kind = f"u{self.element.itemsize}"
        bits = source.view(kind)[skipped : skipped + count]
        cleared: Bits = mask.reshape(-1)[skipped : skipped + count].view(np.uint8).astype(kind)
        out.view(kind)[...] = np.multiply(bits, cleared, out=cleared)  # numpy multiplies by bool many times slower
        return int(np.count_nonzero(keys(cleared, self.element, cleared)))


def clear_below(element: ElementType, source: Bytes, least: int, out: Bytes) -> None:
    """Copy elements, with zeros where their key is below the least."""
    capsule = RawTensor(source, element, (out.size // element.itemsize,)).__dlpack__(max_version=VERSION)
    _core.clear_below(_core.View.of_dlpack(capsule, "source"), least, _core.View.of_numpy(out, "out"))
