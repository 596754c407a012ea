"""The part of `_check` that judges what adds up over chunks, shards and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def one_vector(is_segments: bool) -> None:
    """A histogram, a sketch or sums are of one group."""
    if is_segments:
        raise TypeError("x must be one array or pooled arrays, got segments")


def same_histogram_type(same: bool) -> None:
    """Codes of different types do not add."""
    if not same:
        raise TypeError("histograms must be of one element type to be added, got two")


def same_sketch_type(first: int, second: int) -> None:
    """Buckets of float32 and of float64 keys do not add."""
    if first != second:
        kinds = " and ".join(("float32", "float64")[kind] for kind in (first, second))
        raise TypeError(f"sketches must be of one key type to be added, got {kinds}")


def same_exponents(first: Sequence[float], second: Sequence[float]) -> None:
    """Sums of different powers do not add."""
    if first != second:
        raise ValueError(f"sums must be of the same exponents to be added, got {first} and {second}")


def accumulators(kind: type, other: Any) -> None:
    """Only accumulators of one kind add."""
    if not isinstance(other, kind):
        raise TypeError(f"other must be {kind.__name__}, got {type(other).__name__}")


def summed(name: str, value: float, exponents: Sequence[float]) -> None:
    """Sums answer for their exponents alone."""
    if value not in exponents:
        raise ValueError(f"{name} must be one of the exponents {list(exponents)}, got {value}")


def state_of(kind: str, state: Any, fields: tuple[str, ...]) -> list[np.ndarray[Any, Any]]:
    """The arrays of an accumulator's state."""
    if not isinstance(state, dict) or set(state) != set(fields):
        raise ValueError(f"state must hold {', '.join(fields)} as {kind}.state does, got {state!r:.80}")
    return [np.ascontiguousarray(state[field]) for field in fields]


def integer(name: str, values: np.ndarray[Any, Any]) -> int:
    """A single integer in an array."""
    if values.size != 1 or values.dtype.kind not in "iu":
        raise ValueError(f"{name} must be one integer, got {values!r:.80}")
    return int(values[0])
