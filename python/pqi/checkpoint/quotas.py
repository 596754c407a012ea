"""How many entries of which groups of a checkpoint go: the amounts of `pqi.prune` on groups of stored tensors."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import pqi
from pqi.checkpoint.measure import is_counted
from pqi.checkpoint.stored import StoredTensor, shown
from pqi.checkpoint.tally import Tally
from pqi.checkpoint.tally import count as tally

if TYPE_CHECKING:
    from pqi.prune.amount import Amount

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Group:
    """Tensors that are ranked together, and how many of their entries stay.

    One number for all tensors as one vector, or one for each output unit of a single tensor.
    """

    tensors: tuple[StoredTensor, ...]
    kept: int | Counts
    threshold: float | None = None
    """The least magnitude that stays, where it is known already, and with it what each tensor has above."""
    tallies: tuple[Tally, ...] = ()

    @property
    def pruned(self) -> int:
        """Entries that go."""
        return sum(tensor.count for tensor in self.tensors) - int(np.sum(self.kept))


def global_groups(tensors: Sequence[StoredTensor], amount: Amount) -> list[Group]:
    """All tensors as one vector."""
    return [_group(tuple(tensors), amount)]


def layer_groups(tensors: Sequence[StoredTensor], amount: Amount) -> list[Group]:
    """Each tensor by itself."""
    return [_group((tensor,), amount) for tensor in tensors]


def neuron_groups(tensors: Sequence[StoredTensor], amount: Amount) -> list[Group]:
    """Each output unit (entry of the first axis) by itself."""
    return [_units(tensor, amount) for tensor in tensors]


SCOPES: Mapping[str, Callable[[Sequence[StoredTensor], Amount], list[Group]]] = {
    "neuron": neuron_groups,
    "layer": layer_groups,
    "global": global_groups,
}


def _group(tensors: tuple[StoredTensor, ...], amount: Amount) -> Group:
    count = sum(tensor.count for tensor in tensors)
    if len({tensor.element for tensor in tensors}) == 1 and is_counted(tensors[0].element, count):
        histogram, tallies = tally(tensors)
        kept = _kept(tensors, amount, histogram.retained_bound(amount.p, amount.q, eta=amount.eta), count)
        return Group(tensors, kept, histogram.topk_threshold(kept), tallies)
    arrays = [tensor.array() for tensor in tensors]
    x = arrays[0] if len(arrays) == 1 else pqi.pooled(arrays)
    bound = float(pqi.retained_bound(x, amount.p, amount.q, eta=amount.eta))
    return Group(tensors, _kept(tensors, amount, bound, count))


def _kept(tensors: tuple[StoredTensor, ...], amount: Amount, bound: float, count: int) -> int:
    if math.isnan(bound):
        _require_finite(tensors)
    return count - _pruned(amount, bound, count)


def _units(tensor: StoredTensor, amount: Amount) -> Group:
    axes = tuple(range(1, len(tensor.shape)))
    bounds = np.asarray(pqi.retained_bound(tensor.array(), amount.p, amount.q, eta=amount.eta, axis=axes))
    if np.isnan(bounds).any():
        _require_finite((tensor,))
    width = tensor.count // tensor.shape[0]
    return Group((tensor,), width - _pruned_of_each(amount, bounds, width))


def _pruned_of_each(amount: Amount, bounds: NDArray[np.float64], width: int) -> Counts:
    """Return how many entries each unit loses.

    A higher bound never lets more go, so that between two units with the same count all have it: of many units only a
    few are asked about.
    """
    order = np.argsort(bounds)
    ascending, found = bounds[order], np.empty(bounds.size, np.int64)
    defined = bounds.size - int(np.isnan(bounds).sum())
    if defined < bounds.size:
        found[order[defined:]] = _pruned(amount, math.nan, width)
    count_at = functools.cache(lambda place: _pruned(amount, float(ascending[place]), width))
    spans = [(0, defined - 1)] if defined else []
    while spans:
        first, last = spans.pop()
        if count_at(first) == count_at(last):
            found[order[first : last + 1]] = count_at(first)
        else:
            middle = (first + last) // 2
            spans += [(first, middle), (middle + 1, last)]
    return found


def _pruned(amount: Amount, bound: float, count: int) -> int:
    from pqi.prune.records import GroupStats

    stats = GroupStats(name="", total=count, live=count, zeros=0, index=math.nan, gini=math.nan, bound=bound)
    return amount.quota(stats).count


def _require_finite(tensors: Sequence[StoredTensor]) -> None:
    """An index is nan for all-zero groups, which lose nothing, and where a weight is no number, which is an error."""
    for tensor in tensors:
        largest: Any = pqi.topk_threshold(tensor.array(), 1)
        if not math.isfinite(float(largest)):
            raise ValueError(f"tensor {shown(tensor.name)} must be finite to be pruned, got NaN or infinite entries")
