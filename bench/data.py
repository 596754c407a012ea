"""What the benchmarks run on: values of a size, a type and a distribution, as arrays of every library."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Draw = Callable[[np.random.Generator, int], Array]

DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype(np.float32),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float16": np.dtype(np.float16),
    "float64": np.dtype(np.float64),
}


def normal(rng: np.random.Generator, n: int) -> Array:
    """Return values of one scale, nearly all different."""
    return rng.standard_normal(n, dtype=np.float32)


def lognormal(rng: np.random.Generator, n: int) -> Array:
    """Return values over many binades, within float16's range."""
    return np.exp(normal(rng, n) * np.float32(2))


def constant(_rng: np.random.Generator, n: int) -> Array:
    """Return ties alone."""
    return np.full(n, 0.1, dtype=np.float32)


def int4(rng: np.random.Generator, n: int) -> Array:
    """Return what four-bit weights are: sixteen values."""
    return rng.integers(-8, 8, n, dtype=np.int8) * np.float32(0.037)


def bits(rng: np.random.Generator, n: int) -> Array:
    """Return finite values whose bit patterns are uniform, so that every exponent is as frequent."""
    patterns = rng.integers(0, 2**32, n, dtype=np.uint32)
    patterns[patterns << np.uint32(1) >= np.uint32(0xFF000000)] &= np.uint32(0xBFFFFFFF)
    return patterns.view(np.float32)


DISTRIBUTIONS: dict[str, Draw] = {draw.__name__: draw for draw in (normal, lognormal, constant, int4, bits)}


class Data(NamedTuple):
    """Which values."""

    n: int
    dtype: str = "float32"
    distribution: str = "normal"


@lru_cache(maxsize=1)
def weights(data: Data) -> Array:
    """Return the values as numpy holds them; what overflows a type becomes its largest."""
    values = DISTRIBUTIONS[data.distribution](np.random.default_rng(0), data.n)
    if data.dtype == "float16":
        np.clip(values, -65504, 65504, out=values)
    return values.astype(DTYPES[data.dtype], copy=False)


@lru_cache(maxsize=1)
def tensor(data: Data) -> Any:
    """Return the same memory as a torch tensor."""
    import torch

    x = weights(data)
    return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16) if data.dtype == "bfloat16" else torch.from_numpy(x)


def magnitudes(x: Array) -> Array:
    """Return |x| in a type that numpy computes with at speed: float32 for two-byte types."""
    absolute: Array = np.abs(x if x.dtype.itemsize > 2 else x.astype(np.float32))
    return absolute
