"""Everything about a group of weights at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pqi import _arrays, _check

if TYPE_CHECKING:
    from typing import Unpack

    from pqi._arrays import TorchNames


@dataclass(frozen=True, slots=True)
class Summary:
    """Result of `summary`; every field has the shape of a reduction and the caller's kind."""

    count: Any
    """Entries of each group."""
    live: Any
    """Entries where `where` is True: the d of the measures."""
    zeros: Any
    """Live entries equal to zero."""
    max: Any
    """Largest live magnitude; nan for empty groups and where an entry is NaN."""
    mean: Any
    """Mean live magnitude M_1."""
    index: Any
    """PQ Index, see `index`."""
    gini: Any
    """Gini index, see `gini`."""
    bound: Any
    """Least number of entries to keep, see `retained_bound`."""


def summary(
    x: Any,
    p: float = 0.5,
    q: float = 1.0,
    *,
    eta: float = 0.0,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    where: Any = None,
    **torch_names: Unpack[TorchNames],
) -> Summary:
    """Counts, extremes, mean, PQ Index, Gini index and PQI-bound of each group.

    Parameters
    ----------
    x : array_like, any shape
        As in `index`.
    p, q, eta : float
        As in `retained_bound`.
    axis, keepdims, where, **torch_names
        As in `index`.

    Returns
    -------
    Summary
        With the fields count, live, zeros, max, mean, index, gini and bound.

    Raises
    ------
    TypeError, ValueError
        As `retained_bound`.

    Notes
    -----
    Costs one read for the powers, one for the counts and extremes, and what `gini` costs. Carries no gradient.

    Examples
    --------
    >>> import pqi
    >>> s = pqi.summary([3.0, 0.0, 0.0, -1.0], p=1, q=2)
    >>> s.live, s.zeros, s.max, s.mean, s.gini
    (4, 2, 3.0, 1.0, 0.625)
    """
    p, q = _check.exponent_pair(p, q)
    eta = _check.eta(eta)
    batch = _arrays.prepare(x, axis, keepdims, where, torch_names)
    return Summary(*batch.apply(of_arrays, p, q, eta))


def of_arrays(batch: _arrays.Batch, p: float, q: float, eta: float) -> tuple[Any, ...]:
    """The fields of `Summary` for checked arguments."""
    engine = batch.engine
    largest, zeros, live = engine.extent(*batch.core)
    means, indices, bounds = engine.mean_index_bound(*batch.core, p, q, eta)
    count = engine.count_live(batch.views, [], batch.grouping)
    counts = (batch.wrap(batch.convert(counts, "int64")) for counts in (count, live, zeros))
    return *counts, *map(batch.wrap, (largest, means, indices, engine.gini(*batch.core), bounds))
