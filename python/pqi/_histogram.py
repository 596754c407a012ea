"""Histograms of one- and two-byte types: one read, and every measure follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pqi import _check, _check_accumulator, _core
from pqi._accumulator import Accumulator, State, one_vector

if TYPE_CHECKING:
    from typing import Self


class Histogram(Accumulator):
    """How often each magnitude of a one- or two-byte type occurs; every measure follows.

    Histograms of the parts of a vector add up to that of the whole, in any order: for shards, streams and ranks.

    Parameters
    ----------
    x, where
        As in `histogram`, which makes one.

    Raises
    ------
    TypeError
        As `histogram`.

    Examples
    --------
    >>> import numpy as np, pqi
    >>> shards = np.split(np.arange(-100, 100, dtype=np.int8), 2)
    >>> total = pqi.Histogram(shards[0]) + pqi.Histogram(shards[1])
    >>> total.live, total.zeros, total.max, total.mean
    (200, 1, 100.0, 50.0)
    >>> threshold = total.topk_threshold(10)
    >>> threshold, total.above(threshold)
    (95.0, (9, 2))
    """

    __slots__ = ("_counts", "_dtype", "_extent")
    _extent: tuple[float, int, int]  # largest magnitude, zeros, entries

    def __init__(self, x: Any, *, where: Any = None) -> None:
        given = one_vector(x, where)
        self._dtype, self._counts = given.engine.histogram(given.views, given.masks)
        self._extent = _core.histogram_extent(self._dtype, self._counts)

    @classmethod
    def _of(cls, dtype: int, counts: np.ndarray[Any, np.dtype[np.uint64]]) -> Self:
        made = cls.__new__(cls)
        made._dtype, made._counts = dtype, counts
        made._extent = _core.histogram_extent(dtype, counts)
        return made

    def _sum(self, other: Self) -> Self:
        _check_accumulator.same_histogram_type(self._dtype == other._dtype)
        return self._of(self._dtype, self._counts + other._counts)

    @property
    def state(self) -> State:
        """All that it holds as plain arrays; `from_state` takes it back."""
        return {"dtype": np.array(self._dtype, dtype=np.int64), "counts": self._counts.copy()}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the histogram with this state; ValueError if it counts codes that its type does not have."""
        dtype, counts = _check_accumulator.state_of("Histogram", state, ("dtype", "counts"))
        return cls._of(_check_accumulator.integer("dtype", dtype.reshape(-1)), counts)

    @property
    def live(self) -> int:
        """Entries counted: the d of the measures."""
        return self._extent[2]

    @property
    def zeros(self) -> int:
        """Entries equal to zero."""
        return self._extent[1]

    @property
    def max(self) -> float:
        """Largest magnitude; nan if there is none, or if an entry is NaN."""
        return self._extent[0]

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

    def retained_bound(self, p: float = 0.5, q: float = 1.0, *, eta: float = 0.0) -> float:
        """PQI-bound, as `pqi.retained_bound` of the vector."""
        p, q = _check.exponent_pair(p, q)
        return _core.histogram_retained_bound(self._dtype, self._counts, p, q, _check.eta(eta))

    def gini(self) -> float:
        """Gini index, as `pqi.gini` of the vector."""
        return _core.histogram_gini(self._dtype, self._counts)

    def topk_threshold(self, k: int) -> float:
        """Return the k-th largest magnitude, as `pqi.topk_threshold` of the vector."""
        count = int(_check.counts(k, np.array([self.live], dtype=np.uint64), ())[0])
        return _core.histogram_topk_threshold(self._dtype, self._counts, count)

    def above(self, magnitude: float) -> tuple[int, int]:
        """Return how many entries exceed a magnitude and how many equal it; NaN exceeds all others and equals NaN."""
        return _core.histogram_above(self._dtype, self._counts, _check.real("magnitude", magnitude))


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
        With ``live``, ``zeros``, ``max``, ``mean``, ``power_means(exponents)``, ``index_grid(p, q)``,
        ``retained_bound(p, q, eta=0)``, ``gini()``, ``topk_threshold(k)``, ``above(magnitude)`` and ``+``. From 2^20
        entries on the measures have the same bits as the functions of those names.

    Raises
    ------
    TypeError
        As `index`; also for a wider type, or for different types in one pool.

    Notes
    -----
    Costs one read, 512 KiB for the counts and as much for each thread; an array on a CUDA device is counted there, and
    the host waits for the counts. NaN and infinities count as magnitudes and make the measures nan, as they do
    elsewhere. Torch tensors are counted eagerly: `torch.compile(fullgraph=True)` refuses the call.

    Examples
    --------
    >>> import numpy as np, pqi
    >>> first, second = np.array([3, 0], dtype=np.int8), np.array([0, -1], dtype=np.int8)
    >>> both = pqi.histogram(first) + pqi.histogram(second)
    >>> both.live, both.zeros, both.max, both.gini()
    (4, 2, 3.0, 0.625)
    """
    return Histogram(x, where=where)
