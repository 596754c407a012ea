"""Hypothesis strategies: vectors, exponents and layouts."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

Vector = npt.NDArray[np.float64]
GRID = 1000  # entries and moves are multiples of 1/GRID of the largest magnitude: no gap is below 1e-3 relative


def graded_entries(min_size: int = 2, max_size: int = 40) -> st.SearchStrategy[list[int]]:
    """Draw magnitudes in units of 1/GRID of the scale, not all zero."""
    return st.lists(st.integers(0, GRID), min_size=min_size, max_size=max_size).filter(any)


def scales() -> st.SearchStrategy[float]:
    """Draw the unit of a vector's entries."""
    return st.sampled_from([1.0, 0.1, 3e-7, 2.5e8])


def any_vectors(dtype: type[np.floating[Any]] = np.float64, min_size: int = 1) -> st.SearchStrategy[npt.NDArray[Any]]:
    """Draw finite vectors of any scale, subnormal included, not all zero; sums of a few entries stay finite."""
    largest = float(np.finfo(dtype).max / 256)
    elements = hnp.from_dtype(np.dtype(dtype), min_value=-largest, max_value=largest)
    shape = hnp.array_shapes(max_dims=1, min_side=min_size, max_side=60)
    return hnp.arrays(dtype, shape, elements=elements).filter(np.any)


def normal_vectors(dtype: type[np.floating[Any]], span: int) -> st.SearchStrategy[npt.NDArray[Any]]:
    """Draw vectors of zeros and magnitudes between 2**-span and 2**span, not all zero."""
    digits = np.finfo(dtype).nmant
    entry = st.builds(
        lambda mantissa, exponent, sign: sign * np.ldexp(mantissa, exponent),
        st.integers(0, 2**digits - 1).map(lambda m: 1 + m / 2**digits),
        st.integers(-span, span - 1),
        st.sampled_from([-1, 0, 1]),
    )
    return st.lists(entry, min_size=1, max_size=60).filter(any).map(lambda v: np.array(v, dtype=dtype))


@st.composite
def exponent_pairs(draw: st.DrawFn, low: float = 0.1, high: float = 3.0) -> tuple[float, float]:
    """Draw low <= p < q <= high, at least 0.05 apart."""
    step = 0.05
    first = draw(st.integers(0, round((high - low) / step) - 1))
    second = draw(st.integers(first + 1, round((high - low) / step)))
    return round(low + step * first, 2), round(low + step * second, 2)


@st.composite
def exponents_around_one(draw: st.DrawFn) -> tuple[float, float]:
    """Draw p <= 1 <= q with p < q: where D1 holds."""
    p = draw(st.integers(2, 20)) / 20
    q = draw(st.integers(20 if p < 1 else 21, 60)) / 20
    return p, q


@st.composite
def splits(draw: st.DrawFn, n: int, most: int = 6) -> list[int]:
    """Draw rising cut points of range(n); pieces may be empty."""
    return sorted(draw(st.lists(st.integers(0, n), max_size=most)))
