"""The part of `_check` that judges arrays on CUDA devices."""

from __future__ import annotations

from typing import NoReturn

import numpy as np


def power_sums(on_cpu: bool) -> None:
    """Parts that wait for the next ones are kept on the host."""
    if not on_cpu:
        raise TypeError(
            "chunk must lie on the CPU for PowerSums, got an array on a CUDA device; pass chunk.cpu(), or the chunks "
            "together as pooled([...]) to power_means, norms or index, which read them on their device"
        )


def mask_to_write(name: str, is_fitting: bool, wanted: str, found: str) -> None:
    """A mask lies beside what it masks."""
    if not is_fitting:
        raise TypeError(f"{name} must be {wanted} as x is, of bool, got {found}")


def length(d: float) -> None:
    """The rule of `_check.indices_and_lengths` for one number, which torch.compile may be tracing."""
    if not d >= 0:
        raise ValueError(f"d must be >= 0, got {d}")


def beside_index(name: str, is_there: bool, wanted: str, dtype: str) -> None:
    """What `_check.indices_and_lengths` demands of numbers on the host, and that they lie together."""
    if not is_there:
        raise TypeError(f"{name} must be {wanted} as index is, or numbers of the host")
    kind = dtype.removeprefix("torch.")
    if kind == "bool" or kind.startswith("complex"):
        raise TypeError(f"{name} must hold real numbers, got dtype {dtype}")


def common_shape(index: tuple[int, ...], d: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that both broadcast to."""
    try:
        return np.broadcast_shapes(index, d)
    except ValueError:
        raise ValueError(f"d must broadcast with index, got shapes {d} and {index}") from None


def refuse_library(name: str, found: str) -> NoReturn:
    """Only these libraries tell their stream and allocate results; a call is of one of them."""
    raise TypeError(
        f"{name} must be a torch tensor or a CuPy array if it lies on a CUDA device, as must all arrays beside it, "
        f"got {found}; arrays of other libraries are read as tensors where torch reaches the device"
    )
