"""Magnitudes as integers, in numpy: which elements lie above a threshold, and which on it.

The order is that of `pqi.topk_mask`; elements are finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pqi.checkpoint.element import FLOAT8_E4M3FN, INTEGER, UNSIGNED, ElementType

Bits = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Cut:
    """A threshold among the magnitudes of one element type, as keys."""

    above: int
    """The least key whose magnitude exceeds the threshold."""
    at: int
    """The least key whose magnitude is not below it; equal to `above` where none equals it."""


def keys(bits: Bits, element: ElementType, out: Bits | None = None) -> Bits:
    """Return the magnitudes of elements, given by their bits as unsigned integers, as integers of the same order.

    They are written to `out` unless they are the bits themselves.
    """
    if element.code == UNSIGNED:
        return bits
    if element.code == INTEGER:
        signed = f"i{element.itemsize}"
        magnitudes: Bits = np.abs(bits.view(signed), out=None if out is None else out.view(signed)).view(bits.dtype)
    else:
        magnitudes = np.bitwise_and(bits, bits.dtype.type((1 << (element.bits - 1)) - 1), out=out)
    return magnitudes


def cut(element: ElementType, threshold: float) -> Cut:
    """Return where a threshold falls among the type's magnitudes; it need not be one of them.

    Examples
    --------
    >>> from pqi.checkpoint.element import TYPES
    >>> cut(TYPES["bfloat16"], 1.0) == Cut(above=0x3F81, at=0x3F80)
    True
    >>> cut(TYPES["int8"], 2.5)
    Cut(above=3, at=3)
    """
    if element.bits > 16:
        return _cut_wide(element, threshold)
    values = _values(element)
    at, above = (int(np.searchsorted(values, threshold, side)) for side in ("left", "right"))
    return Cut(above, at)


def _cut_wide(element: ElementType, threshold: float) -> Cut:
    nearest = np.asarray(threshold, f"f{element.itemsize}")
    key = int(nearest.view(f"u{element.itemsize}"))
    value = float(nearest)
    if value == threshold:
        return Cut(key + 1, key)
    key += value < threshold
    return Cut(key, key)


@lru_cache
def _values(element: ElementType) -> NDArray[np.float64]:
    """Return the finite magnitudes of a one- or two-byte type by key, ascending."""
    if element.code in (INTEGER, UNSIGNED):
        return np.arange(2 ** (element.bits - (element.code == INTEGER)) + (element.code == INTEGER), dtype=np.float64)
    key = np.arange(2 ** (element.bits - 1), dtype=np.uint32)
    if element.name == "float16":
        values = key[:0x7C00].astype(np.uint16).view(np.float16).astype(np.float64)
    elif element.name == "bfloat16":
        values = (key[:0x7F80] << 16).view(np.float32).astype(np.float64)
    elif element.code == FLOAT8_E4M3FN:
        exponent, fraction = key >> 3, (key & 7).astype(np.float64)
        values = np.where(exponent == 0, fraction * 2.0**-9, (8 + fraction) * 2.0 ** (exponent.astype(np.float64) - 10))
        values = values[:0x7F]
    else:
        values = (key[:0x7C] << 8).astype(np.uint16).view(np.float16).astype(np.float64)
    return values
