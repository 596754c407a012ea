"""The part of `_check` that judges arrays to be written: `out` of `topk_mask`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pqi._core import View


def masks(out: Any, count: int | None) -> list[Any]:
    """The masks to write: one, or a sequence of one for each of `count` pooled arrays."""
    if count is None:
        return [out]
    if isinstance(out, (str, bytes)) or not isinstance(out, Sequence):
        raise TypeError(f"out must be a sequence of masks, one per pooled array, got {type(out).__name__}")
    if len(out) != count:
        raise ValueError(f"out must hold one mask per pooled array ({count}), got {len(out)}")
    return list(out)


def dtype(name: str, is_bool: bool, found: object) -> None:
    """Results are written into arrays of bool."""
    if not is_bool:
        raise TypeError(f"{name} must be a numpy array or torch tensor of bool, got {found}")


def place(name: str, view: View, wanted: tuple[int, ...]) -> None:
    """A mask to write has its array's shape, and a place for each entry."""
    if view.shape != wanted:
        raise ValueError(f"{name} must have x's shape {wanted}, got {view.shape}")
    if not view.writable:
        raise ValueError(f"{name} must be writable, got a read-only array")
    if not view.distinct:
        raise ValueError(f"{name} must have a place in memory for each entry, got one that shares some")


def apart(outputs: dict[str, View], inputs: dict[str, View]) -> None:
    """What is written lies in no range of memory that anything else spans."""
    spans = [(*view.addresses, name, True) for name, view in outputs.items()]
    spans += [(*view.addresses, name, False) for name, view in inputs.items()]
    last_output, last = (0, ""), (0, "")
    for low, high, name, is_output in sorted(spans):
        end, other = last if is_output else last_output
        if low < end and low < high:
            written = (name, other) if is_output else (other, name)
            raise ValueError(f"{written[0]} must lie apart from {written[1]} in memory, got overlapping ranges")
        last = max(last, (high, name))
        if is_output:
            last_output = max(last_output, (high, name))
