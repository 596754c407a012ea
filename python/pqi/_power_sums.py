"""Power sums of a vector that arrives in parts: norms, power means and the PQ Index of streams, shards and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pqi import _check, _check_accumulator, _check_device, _core
from pqi._accumulator import Accumulator, State, one_vector

if TYPE_CHECKING:
    from typing import Self

_FIELDS = ("exponents", "totals", "scales", "waiting", "head")


class PowerSums(Accumulator):
    """Sums of powers Σ|x_i|^r of a vector that arrives in parts, for several exponents r at once.

    `update` takes the next part of the vector, ``+`` and `merge` the sums of another one.

    Parameters
    ----------
    exponents : sequence of float
        Positive exponents r, in any order.

    Raises
    ------
    TypeError, ValueError
        If an exponent is no positive finite number, or there is none.

    Notes
    -----
    Updates give the same bits as one call of `power_means` (and `norms`, `index` with these exponents) on all parts
    together, wherever the cuts are, as long as all parts are float32 or narrower, or all wider. Exceptions: one- and
    two-byte types from 2^20 entries on, whose codes that call counts (`Histogram` does so in parts), and merges: nobody
    knows at which offset the other vector's chunks began. There sums are within 4 ulp of that call's, but for Σ√|x| of
    counted types, within 3e-14, and so are their r-th roots, within 1/r times as much.

    An update costs one read; up to 4,095 entries wait for the next one (32 KiB), and nothing else is kept.

    Examples
    --------
    >>> import numpy as np, pqi
    >>> w = np.random.default_rng(0).standard_normal(10_000, dtype=np.float32)
    >>> sums = pqi.PowerSums([0.5, 1.0])
    >>> for part in np.split(w, [10, 7000]):
    ...     sums.update(part)
    >>> sums.live, sums.index(0.5, 1.0) == float(pqi.index(w))
    (10000, True)
    >>> other = pqi.PowerSums([0.5, 1.0])
    >>> other.update([3.0, -1.0])
    >>> (sums + other).live
    10002
    """

    __slots__ = ("_sums",)

    def __init__(self, exponents: Sequence[float]) -> None:
        self._sums = _core.PowerSums(_check.exponents("exponents", exponents))

    @classmethod
    def _of(cls, sums: _core.PowerSums) -> Self:
        made = cls.__new__(cls)
        made._sums = sums
        return made

    @property
    def exponents(self) -> tuple[float, ...]:
        """The exponents."""
        return tuple(self._sums.exponents)

    @property
    def live(self) -> int:
        """Entries taken in: the d of the measures."""
        return self._sums.live

    def update(self, chunk: Any, *, where: Any = None) -> None:
        """Take the next part of the vector: an array or `pooled` arrays, of which those count that `where` says.

        They must lie on the CPU.
        """
        given = one_vector(chunk, where)
        _check_device.power_sums(given.engine is _core)
        self._sums = self._sums.updated(given.views, given.masks)

    def merge(self, other: PowerSums) -> None:
        """Add the sums of another vector with the same exponents, in place."""
        _check_accumulator.accumulators(PowerSums, other)
        _check_accumulator.same_exponents(self.exponents, other.exponents)
        self._sums = self._sums.merged(other._sums)

    def _sum(self, other: Self) -> Self:
        total = self._of(self._sums)
        total.merge(other)
        return total

    def power_means(self) -> np.ndarray[Any, Any]:
        """Power means M_r for every exponent, in their order, as `pqi.power_means` of the vector."""
        return self._sums.power_means()

    def norms(self, p: float = 0.5, q: float = 1.0) -> tuple[float, float]:
        """p-norms, as `pqi.norms` of the vector; p and q must be among the exponents."""
        p, q = self._pair(p, q)
        return self._sums.norm(p), self._sums.norm(q)

    def index(self, p: float = 0.5, q: float = 1.0) -> float:
        """PQ Index, as `pqi.index` of the vector; p and q must be among the exponents."""
        return self._sums.index(*self._pair(p, q))

    def retained_bound(self, p: float = 0.5, q: float = 1.0, *, eta: float = 0.0) -> float:
        """PQI-bound, as `pqi.retained_bound` of the vector; p and q must be among the exponents."""
        return self._sums.retained_bound(*self._pair(p, q), _check.eta(eta))

    def _pair(self, p: float, q: float) -> tuple[float, float]:
        p, q = _check.exponent_pair(p, q)
        _check_accumulator.summed("p", p, self.exponents)
        _check_accumulator.summed("q", q, self.exponents)
        return p, q

    @property
    def state(self) -> State:
        """All that it holds as plain arrays; `from_state` takes it back."""
        return dict(zip(_FIELDS, self._sums.state(), strict=True))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the sums with this state."""
        return cls._of(_core.PowerSums.of_state(*_check_accumulator.state_of("PowerSums", state, _FIELDS)))
