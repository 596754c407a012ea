"""The Gini index within a proven interval, from one read; sketches add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pqi import _check, _check_accumulator, _core
from pqi._accumulator import Accumulator, State, one_vector

if TYPE_CHECKING:
    from typing import Self

DEFAULT_TOL = 1e-6


class GiniInterval(NamedTuple):
    """A Gini index and where it is proven to lie: low ≤ exact ≤ high, and low ≤ value ≤ high.

    Parameters
    ----------
    value : float, numpy.ndarray or torch.Tensor
        What the data are expected to have: for smooth data far nearer to the exact value than the interval is wide.
    low, high : float, numpy.ndarray or torch.Tensor
        Ends of the interval, every rounding error included. nan, as is the value, where the index is undefined.

    Returns
    -------
    GiniInterval
        A named tuple.

    Raises
    ------
    TypeError
        Unless there are three of them.

    Examples
    --------
    >>> import pqi
    >>> found = pqi.gini([1, 2, 3, -4], tol=1e-6)
    >>> found.low <= found.value == 0.25 <= found.high
    True
    """

    value: Any
    low: Any
    high: Any


class GiniSketch(Accumulator):
    """Counts and sums of magnitudes in buckets of equal leading bits: the Gini index within a proven interval.

    Sketches of the parts of a vector add up to that of the whole, to the bit and in any order: for shards, streams and
    ranks.

    Parameters
    ----------
    x, where, tol
        As in `gini_sketch`, which makes one.

    Raises
    ------
    TypeError, ValueError
        As `gini_sketch`.

    Examples
    --------
    >>> import numpy as np, pqi
    >>> shards = np.split(np.arange(1, 1_000_001, dtype=np.float32), 2)
    >>> total = pqi.GiniSketch(shards[0]) + pqi.GiniSketch(shards[1])
    >>> total.live, total.zeros, total.max, total.mean
    (1000000, 0, 1000000.0, 500000.5)
    >>> value, low, high = total.gini()
    >>> low <= 999_999 / 3_000_000 <= high <= low + 1e-6
    True
    """

    __slots__ = ("_found",)
    _found: _core.GiniSketch

    def __init__(self, x: Any, *, where: Any = None, tol: float = DEFAULT_TOL) -> None:
        tol = _check.tolerance(tol)
        given = one_vector(x, where)
        self._found = given.engine.gini_sketch(given.views, given.masks, tol)

    @classmethod
    def _of(cls, found: _core.GiniSketch) -> Self:
        made = cls.__new__(cls)
        made._found = found
        return made

    @property
    def live(self) -> int:
        """Entries taken in: the d of the measures."""
        return self._found.live

    @property
    def zeros(self) -> int:
        """Entries equal to zero."""
        return self._found.zeros

    @property
    def max(self) -> float:
        """Largest magnitude; nan if there is none, or if an entry is NaN."""
        return self._found.max

    @property
    def mean(self) -> float:
        """Mean magnitude, from the exact sum."""
        return self._found.mean

    def gini(self) -> GiniInterval:
        """Gini index: the expected value, and an interval that is proven to hold `pqi.gini` of the vector."""
        return GiniInterval(*self._found.gini())

    @property
    def state(self) -> State:
        """All that it holds as plain arrays; `from_state` takes it back."""
        return dict(zip(("head", "rows"), self._found.state(), strict=True))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the sketch with this state."""
        return cls._of(_core.GiniSketch.of_state(*_check_accumulator.state_of("GiniSketch", state, ("head", "rows"))))

    def _sum(self, other: Self) -> Self:
        _check_accumulator.same_sketch_type(*(int(sketch.state["head"][0]) for sketch in (self, other)))
        return self._of(self._found.merged(other._found))


def gini_sketch(x: Any, *, where: Any = None, tol: float = DEFAULT_TOL) -> GiniSketch:
    """Sketch the magnitudes' distribution, from one read: the Gini index within a proven interval.

    Magnitudes that share their exponent and 9 to 12 leading bits of the mantissa make a bucket. Its count and sum are
    kept, exactly; how its magnitudes differ among themselves is bounded from these.

    Parameters
    ----------
    x : array_like, any shape
        As in `index`.
    where : array_like of bool, optional
        The live entries, as in `index`.
    tol : float
        How narrow the interval is to be for smooth data, which decides how many buckets there are: 9 bits down to
        4e-7, 12 from 2.5e-8 on. Discrete data (few distinct magnitudes) may have a wider one; `gini` then turns to the
        exact algorithm.

    Returns
    -------
    GiniSketch
        With ``live``, ``zeros``, ``max``, ``mean``, ``gini()`` and ``+``.

    Raises
    ------
    TypeError
        As `index`; sketches of float32 and of wider types do not add.
    ValueError
        As `index`; also if `tol` is negative or not finite.

    Notes
    -----
    Costs one read. One- and two-byte types are counted exactly, and their interval is rounding error; so is that of
    constant data. float64, 32- and 64-bit integers travel as float64 (64-bit integers beyond 2^53 are rounded), all
    others as float32. A sum of sketches of different `tol` has the fewer buckets of the two. Torch tensors are measured
    eagerly: `torch.compile(fullgraph=True)` refuses the call.

    Memory: a table for each thread (1 MiB for float32 at the default; for float64 8 KiB for each power of two that
    occurs, at most 16 MiB; eight times as much at the finest) and 32 bytes for each bucket that is not empty. The same
    sketch of an array on a CUDA device is made there and fetched, for which the host waits twice; memory there: 6 MiB
    for float32 at the default, 56 MiB for float64, eight times as much at the finest.

    Examples
    --------
    >>> import numpy as np, pqi
    >>> w = np.random.default_rng(0).standard_normal(1 << 19, dtype=np.float32)
    >>> sketch = pqi.gini_sketch(w[:1000]) + pqi.gini_sketch(w[1000:])
    >>> value, low, high = sketch.gini()
    >>> low <= float(pqi.gini(w)) <= high <= low + 1e-6
    True
    """
    return GiniSketch(x, where=where, tol=tol)
