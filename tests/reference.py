"""The measures by their definitions, in extended precision, slowly and without `pqi`.

Every function takes one group as an array of any shape and reads it in flat order. Magnitudes are held in
`numpy.longdouble` relative to a power of two, so that neither small exponents nor extreme scales leave the range. Sums
of up to 1e8 terms carry a relative error below 1e-17: far beneath every tolerance that the tests use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Extended = npt.NDArray[np.longdouble]
CHUNK = 1 << 18


def magnitudes(x: npt.ArrayLike) -> Extended:
    """Return |x|, flat and exact; |int8 -128| is 128."""
    flat = np.asarray(x).ravel()
    if flat.dtype.kind in "iub":
        return integer_magnitudes(flat).astype(np.longdouble)
    return np.abs(flat.astype(np.longdouble))


def integer_magnitudes(flat: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Return the magnitudes of integers or booleans as unsigned integers."""
    if flat.dtype.kind != "i":
        return flat.astype(np.uint64)
    bits = flat.astype(np.int64).view(np.uint64)
    return np.where(flat < 0, np.uint64(0) - bits, bits)


def magnitude_keys(x: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Return unsigned integers that order as the magnitudes do; every NaN is one key above inf."""
    flat = np.ascontiguousarray(np.asarray(x).ravel())
    if flat.dtype.kind in "iub":
        return integer_magnitudes(flat)
    flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    width = flat.dtype.itemsize
    bits = flat.view(f"u{width}").astype(np.uint64) & np.uint64((1 << (8 * width - 1)) - 1)
    bits[np.isnan(flat)] = np.uint64((1 << (8 * width - 1)) - 1)
    return bits


class Scaled(NamedTuple):
    """The numbers `values · 2**exponent`, with values in [0, 1)."""

    values: Extended
    exponent: int


def scaled(x: npt.ArrayLike) -> Scaled:
    """Return the magnitudes relative to a power of two above the largest."""
    values = magnitudes(x)
    largest = values.max(initial=np.longdouble(0))
    if not np.isfinite(largest) or largest == 0:
        return Scaled(values, 0)
    exponent = int(np.frexp(largest)[1])
    return Scaled(np.ldexp(values, -exponent), exponent)


def measurable(x: npt.ArrayLike) -> bool:
    """Return whether a scale-free measure is defined: finite, and not all zero."""
    values = magnitudes(x)
    return bool(np.isfinite(values).all() and values.any())


def chunked_sum(function: Callable[[Extended, int], Extended], values: Extended) -> np.longdouble:
    """Return the sum of function(chunk, offset of the chunk) over the chunks of values."""
    total = np.longdouble(0)
    for start in range(0, values.size, CHUNK):
        total = total + function(values[start : start + CHUNK], start).sum(dtype=np.longdouble)
    return total


def power_sum(values: Extended, r: float) -> np.longdouble:
    """Return the sum of values**r."""
    if r == 0.5:
        return chunked_sum(lambda v, _: np.sqrt(v), values)
    if r == 1:
        return chunked_sum(lambda v, _: v, values)
    if r == 2:
        return chunked_sum(lambda v, _: v * v, values)
    return chunked_sum(lambda v, _: v ** np.longdouble(r), values)


def relative_mean(values: Extended, r: float) -> np.longdouble:
    """Return the power mean of values that lie in [0, 1)."""
    total: np.longdouble = (power_sum(values, r) / values.size) ** (1 / np.longdouble(r))
    return total


def power_mean(x: npt.ArrayLike, r: float) -> float:
    """Return M_r = (mean of |x|^r)^(1/r); nan when empty."""
    values, exponent = scaled(x)
    if values.size == 0:
        return math.nan
    with np.errstate(over="ignore"):
        return float(np.ldexp(relative_mean(values, r), exponent))


def norm(x: npt.ArrayLike, r: float) -> float:
    """Return (sum of |x|^r)^(1/r); 0 when empty."""
    values, exponent = scaled(x)
    with np.errstate(over="ignore"):
        return float(np.ldexp(power_sum(values, r) ** (1 / np.longdouble(r)), exponent))


def index(x: npt.ArrayLike, p: float = 0.5, q: float = 1.0) -> float:
    """Return 1 - M_p / M_q; nan when empty, all zero, or not finite."""
    if not measurable(x):
        return math.nan
    values = scaled(x).values
    return float(1 - relative_mean(values, p) / relative_mean(values, q))


def index_range(d: int, p: float, q: float) -> float:
    """Return the upper end of the PQ index on d entries."""
    return float(1 - np.longdouble(d) ** (1 / np.longdouble(q) - 1 / np.longdouble(p)))


def gini(x: npt.ArrayLike, *, unbiased: bool = False) -> float:
    """Return sum((2k - d - 1) w_(k)) / (d sum(w)); nan when empty, all zero, or not finite."""
    if not measurable(x):
        return math.nan
    values = np.sort(scaled(x).values)
    d = values.size

    def ranked(chunk: Extended, start: int) -> Extended:
        ranks = np.arange(start + 1, start + chunk.size + 1, dtype=np.int64)
        return (2 * ranks - d - 1).astype(np.longdouble) * chunk

    result = chunked_sum(ranked, values) / (d * power_sum(values, 1))
    return float(result * d / np.longdouble(d - 1)) if unbiased else float(result)


def descending(x: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Return the flat indices by falling magnitude, ties by rising index."""
    return np.argsort(~magnitude_keys(x), kind="stable")


def topk_mask(x: npt.ArrayLike, k: int) -> npt.NDArray[np.bool_]:
    """Return the mask of the k largest magnitudes, ties to the lowest flat index, in x's shape."""
    array = np.asarray(x)
    mask = np.zeros(array.size, dtype=np.bool_)
    mask[descending(array)[:k]] = True
    return mask.reshape(array.shape)


def topk_threshold(x: npt.ArrayLike, k: int) -> float:
    """Return the k-th largest magnitude; nan for k = 0."""
    return float(magnitudes(x)[descending(x)[k - 1]]) if k else math.nan


def retained_bound_from_index(index: float, d: int, p: float = 0.5, q: float = 1.0, *, eta: float = 0.0) -> float:
    """Return Theorem 2's d (1 + eta)^(-q/(q-p)) (1 - I)^(pq/(q-p))."""
    gap = np.longdouble(q) - np.longdouble(p)
    kept = np.longdouble(1) - np.longdouble(index)
    return float(d * (1 + np.longdouble(eta)) ** (-q / gap) * kept ** (np.longdouble(p) * np.longdouble(q) / gap))


def retained_bound(x: npt.ArrayLike, p: float = 0.5, q: float = 1.0, *, eta: float = 0.0) -> float:
    """Return Theorem 2's least number of entries to keep."""
    if not measurable(x):
        return math.nan
    values, gap = scaled(x).values, np.longdouble(q) - np.longdouble(p)
    ratio = relative_mean(values, p) / relative_mean(values, q)
    share = ratio ** (np.longdouble(p) * np.longdouble(q) / gap)
    return float(values.size * (1 + np.longdouble(eta)) ** (-q / gap) * share)


def true_eta(x: npt.ArrayLike, r: int, p: float) -> float:
    """Return the smallest eta with sum of the other |w|^p <= eta · sum of the r largest |w|^p."""
    values = np.sort(scaled(x).values)[::-1]
    return float(power_sum(values[r:], p) / power_sum(values[:r], p))


def selector(ndim: int, axes: Sequence[int], position: Sequence[int]) -> tuple[Any, ...]:
    """Return what selects, as a view, the entries at a position along some axes."""
    fixed = dict(zip(axes, position, strict=True))
    return (*(fixed.get(a, slice(None)) for a in range(ndim)), ...)


def by_group(
    function: Callable[[npt.NDArray[Any]], Any],
    x: npt.NDArray[Any],
    axis: int | Sequence[int] | None,
    *,
    where: npt.NDArray[np.bool_] | None = None,
    keepdims: bool = False,
) -> npt.NDArray[np.float64]:
    """Return function of the live entries of every group, as a numpy reduction over axis would arrange it."""
    axes = tuple(range(x.ndim)) if axis is None else tuple(a % x.ndim for a in np.atleast_1d(axis).tolist())
    kept = [a for a in range(x.ndim) if a not in axes]
    live = np.broadcast_to(np.bool_(True) if where is None else where, x.shape)
    result = np.empty([x.shape[a] for a in kept], dtype=np.float64)
    for position in np.ndindex(*result.shape):
        group = selector(x.ndim, kept, position)
        result[position] = function(x[group][live[group]])
    return np.expand_dims(result, axes) if keepdims else result


def topk_mask_by_group(
    x: npt.NDArray[Any], k: npt.ArrayLike, axis: int | Sequence[int], *, where: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """Return the mask of the k largest live magnitudes of every group, k one number or one per group."""
    axes = tuple(a % x.ndim for a in np.atleast_1d(axis).tolist())
    kept = [a for a in range(x.ndim) if a not in axes]
    live = np.broadcast_to(np.bool_(True) if where is None else where, x.shape)
    counts = np.broadcast_to(np.asarray(k), [x.shape[a] for a in kept])
    mask = np.zeros(x.shape, dtype=np.bool_)
    for position in np.ndindex(*counts.shape):
        group = selector(x.ndim, kept, position)
        mask[group][live[group]] = topk_mask(x[group][live[group]], int(counts[position]))
    return mask
