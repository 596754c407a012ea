"""Data that many tests share: distributions, dtypes, and arrays in awkward layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BFLOAT16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
FLOATS: list[np.dtype[Any]] = [np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16), BFLOAT16]
INTEGERS: list[np.dtype[Any]] = [np.dtype(f"{kind}{width}") for kind in "iu" for width in (1, 2, 4, 8)]
DTYPES: list[np.dtype[Any]] = [*FLOATS, *INTEGERS, np.dtype(np.bool_)]

EXPONENTS = [(0.5, 1.0), (1.0, 2.0), (0.1, 1.0), (0.7, 1.3)]

Draw = Callable[[np.random.Generator, int], Array]


def constant(_rng: np.random.Generator, n: int) -> Array:
    """Return n equal entries whose square root is not exact."""
    return np.full(n, 0.1, dtype=np.float32)


def one_hot(_rng: np.random.Generator, n: int) -> Array:
    """Return n entries of which only one, off centre, is not zero."""
    x = np.zeros(n, dtype=np.float32)
    x[n // 3] = -0.37
    return x


# Each draws n float32 values; together they hold the accuracy and the masks to account.
DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.standard_normal(n, dtype=np.float32),
    "lognormal": lambda rng, n: rng.lognormal(0, 4, n).astype(np.float32),
    "constant": constant,
    "one-hot": one_hot,
    "int4": lambda rng, n: (rng.integers(-8, 8, n) * 0.037).astype(np.float32),
    "1e30": lambda rng, n: rng.standard_normal(n, dtype=np.float32) * np.float32(1e30),
    "1e-30": lambda rng, n: rng.standard_normal(n, dtype=np.float32) * np.float32(1e-30),
    "subnormal": lambda rng, n: rng.standard_normal(n, dtype=np.float32) * np.float32(1e-40),
    "half-zero": lambda rng, n: np.maximum(rng.standard_normal(n, dtype=np.float32), np.float32(0)),
}


def draw(name: str, n: int, seed: int = 0) -> Array:
    """Return n float32 values of a distribution."""
    return DISTRIBUTIONS[name](np.random.default_rng(seed), n)


def with_closed_form(name: str) -> npt.NDArray[np.float64]:
    """Return enough values of a distribution whose measures are known to be within 1e-3 of them."""
    rng, n = np.random.default_rng(7), 2_000_000
    if name == "normal":
        return rng.standard_normal(n)
    return rng.standard_exponential(n) if name == "exponential" else rng.random(n)


def sample(dtype: np.dtype[Any], shape: int | tuple[int, ...], seed: int = 0) -> Array:
    """Return values that use much of the dtype's range, with ties, zeros and, where there are any, negative values."""
    rng = np.random.default_rng(seed)
    if dtype == np.bool_:
        return rng.random(shape) < 0.3
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
        return np.where(rng.random(shape) < 0.2, dtype.type(0), values)
    values = rng.standard_normal(shape)
    return np.where(rng.random(shape) < 0.2, 0, values).astype(dtype)


def fresh_copy(x: Array) -> Array:
    """Return the same array in memory of its own."""
    return x.copy(order="C")


def strided(x: Array) -> Array:
    """Return x as every third entry of the last axis of something larger."""
    parent = np.zeros((*x.shape[:-1], 3 * x.shape[-1]), dtype=x.dtype)
    parent[..., 1::3] = x
    return parent[..., 1::3]


def reversed_memory(x: Array) -> Array:
    """Return x laid out backwards, so that every stride is negative."""
    flip = (slice(None, None, -1),) * x.ndim
    return x[flip].copy(order="C")[flip]


def fortran(x: Array) -> Array:
    """Return x in column-major order."""
    return np.asfortranarray(x)


def read_only(x: Array) -> Array:
    """Return a copy of x that can't be written."""
    copy = x.copy()
    copy.flags.writeable = False
    return copy


def unaligned(x: Array) -> Array:
    """Return x at an address that is no multiple of its item size."""
    buffer = np.zeros(x.nbytes + 1, dtype=np.uint8)
    view = buffer[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    layout.__name__: layout for layout in (fresh_copy, strided, reversed_memory, fortran, read_only, unaligned)
}


def bits(value: Any) -> bytes:
    """Return the bits of a result, so that == compares NaN and -0.0 too."""
    array = np.asarray(value)
    return repr((array.shape, array.dtype.str)).encode() + array.tobytes()


def to_torch(x: Array) -> Any:
    """Return a torch tensor of the same values, shape and width; bfloat16 included."""
    import torch

    if x.dtype == BFLOAT16:
        return torch.from_numpy(x.copy().view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(x.copy())
