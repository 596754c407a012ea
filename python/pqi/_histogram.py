"""Histograms of one- and two-byte types: one read, and every measure follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pqi import _arrays, _check, _core
from pqi._segments import Segments


class Histogram:
    """How often each magnitude occurs; made by `histogram`, and added up with ``+``."""

    __slots__ = ("_counts", "_dtype")

    def __init__(self, dtype: int, counts: np.ndarray[Any, np.dtype[np.uint64]]) -> None:
        self._dtype = dtype
        self._counts = counts

    def __add__(self, other: Histogram) -> Histogram:
        """Return the histogram of both vectors together."""
        if not isinstance(other, Histogram):
            return NotImplemented
        _check.same_histogram_type(self._dtype == other._dtype)
        return Histogram(self._dtype, self._counts + other._counts)

    @property
    def live(self) -> int:
        """Entries counted: the d of the measures."""
        return _core.histogram_extent(self._dtype, self._counts)[2]

    @property
    def zeros(self) -> int:
        """Entries equal to zero."""
        return _core.histogram_extent(self._dtype, self._counts)[1]

    @property
    def max(self) -> float:
        """Largest magnitude; nan if there is none, or if an entry is NaN."""
        return _core.histogram_extent(self._dtype, self._counts)[0]

    @property
    def mean(self) -> float:
        """Mean magnitude."""
        return float(self.power_means([1.0])[0])

    def power_means(self, exponents: Sequence[float]) -> np.ndarray[Any, Any]:
        """Power means, as `pqi.power_means` of the vector."""
        checked = _check.exponents("exponents", exponents)
        return _core.histogram_power_means(self._dtype, self._counts, checked)

    def index_grid(self, p: Sequence[float], q: Sequence[float]) -> np.ndarray[Any, Any]:
        """PQ Index for every pair of exponents, as `pqi.index_grid` of the vector."""
        rows, columns = _check.exponents("p", p), _check.exponents("q", q)
        return _core.histogram_index_grid(self._dtype, self._counts, rows, columns)

    def gini(self) -> float:
        """Gini index, as `pqi.gini` of the vector."""
        return _core.histogram_gini(self._dtype, self._counts)


def histogram(x: Any, *, where: Any = None) -> Histogram:
    """Count the magnitudes of a one- or two-byte type; every measure follows, and histograms add.

    For shards, streams and ranks: Σ count·|value|^r replaces Σ|x_i|^r in every formula.

    Parameters
    ----------
    x : array_like, any shape
        As in `index`, of float16, bfloat16, float8, a one- or two-byte integer type or bool; or `pooled` arrays of one
        such type.
    where : array_like of bool, optional
        The live entries, as in `index`.

    Returns
    -------
    Histogram
        With ``live``, ``zeros``, ``max``, ``mean``, ``power_means(exponents)``, ``index_grid(p, q)``, ``gini()`` and
        ``+``. From 2^20 entries on these have the same bits as the functions of those names.

    Raises
    ------
    TypeError
        As `index`; also for a wider type, or for different types in one pool.

    Notes
    -----
    Costs one read, 512 KiB for the counts and as much for each thread. NaN and infinities count as magnitudes and make
    the measures nan, as they do elsewhere.

    Examples
    --------
    >>> import numpy as np, pqi
    >>> first, second = np.array([3, 0], dtype=np.int8), np.array([0, -1], dtype=np.int8)
    >>> both = pqi.histogram(first) + pqi.histogram(second)
    >>> both.live, both.zeros, both.max, both.gini()
    (4, 2, 3.0, 0.625)
    """
    _check.one_vector(isinstance(x, Segments))
    batch = _arrays.prepare(x, None, False, where)
    return Histogram(*_core.histogram(batch.views, batch.masks))
