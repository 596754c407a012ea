"""From groups and counts to what becomes of each tensor: thresholds, and where the ties that stay end.

Memory is that of a chunk or two a thread; of one tensor where its elements are not in row-major order.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

import pqi
from pqi.checkpoint.clearing import NOTHING, Clearing, Thresholds, Units
from pqi.checkpoint.elements import Elements, chunks
from pqi.checkpoint.magnitude import Cut, cut
from pqi.checkpoint.quotas import Counts, Group
from pqi.checkpoint.stored import StoredTensor

MOST_RANKED = 1 << 17
"""Output units up to this many elements are ranked when they are written, wider ones before."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of one tensor."""

    tensor: StoredTensor
    kept: int
    nonzero: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of one tensor."""

    tensor: StoredTensor
    kept: int
    nonzero: int | None
    """Elements that stay and are not zero; None if they are counted when they are written."""
    clearing: Clearing | None
    """None: it stays as it is."""


def plan_group(group: Group, pool: Executor) -> list[Plan]:
    """Plan for a group's tensors to keep its largest magnitudes; ties keep the lowest flat index."""
    if isinstance(group.kept, np.ndarray):
        return [_units(group.tensors[0], group.kept, pool)]
    count = sum(tensor.count for tensor in group.tensors)
    if group.kept == 0:
        return [_nothing(tensor) for tensor in group.tensors]
    if group.kept == count:
        return [Plan(tensor, tensor.count, _nonzero(tensor, pool), None) for tensor in group.tensors]
    if group.threshold is not None:
        counts = [tally.above(cut(group.tensors[0].element, group.threshold)) for tally in group.tallies]
        return _above(group.tensors, group.kept, group.threshold, counts, pool)
    arrays = [tensor.array() for tensor in group.tensors]
    threshold = float(pqi.topk_threshold(arrays[0] if len(arrays) == 1 else pqi.pooled(arrays), group.kept))
    counts = [_counts(tensor, cut(tensor.element, threshold), pool) for tensor in group.tensors]
    return _above(group.tensors, group.kept, threshold, counts, pool)


def _nothing(tensor: StoredTensor) -> Plan:
    return Plan(tensor, 0, 0, Thresholds(tensor.element, (tensor.count,), (NOTHING,)))


def _nonzero(tensor: StoredTensor, pool: Executor) -> int:
    return sum(pool.map(Elements(tensor).nonzero, chunks(0, tensor.count)))


def _counts(tensor: StoredTensor, where: Cut, pool: Executor) -> tuple[int, int]:
    """Return how many elements lie above a cut, and how many on it."""
    elements = Elements(tensor)
    found = list(pool.map(lambda part: elements.above(where, part), chunks(0, tensor.count)))
    return sum(above for above, _ in found), sum(equal for _, equal in found)


def _above(
    tensors: Sequence[StoredTensor], kept: int, threshold: float, counts: Sequence[tuple[int, int]], pool: Executor
) -> list[Plan]:
    """Plan to keep what exceeds the threshold, and of what equals it the first elements, so that `kept` stay.

    `counts` says how many do, of each tensor; one of them at most has to be searched for the last that stays.
    """
    plans, left = [], kept - sum(above for above, _ in counts)
    for tensor, (above, equal) in zip(tensors, counts, strict=True):
        where, ties, stop = cut(tensor.element, threshold), min(left, equal), tensor.count
        left -= ties
        if ties == 0:
            stop = 0
        elif ties < equal:
            stop = Elements(tensor).end_of_ties(where, ties, slice(0, stop), pool.map)
        clearing = Thresholds(tensor.element, (stop, tensor.count), (where.at, where.above))
        plans.append(Plan(tensor, above + ties, above + (ties if where.at > 0 else 0), clearing))
    return plans


def _units(tensor: StoredTensor, kept: Counts, pool: Executor) -> Plan:
    """Plan to keep the largest of each output unit."""
    units, width, element = tensor.shape[0], tensor.count // tensor.shape[0], tensor.element
    total = int(kept.sum())
    if width <= MOST_RANKED:
        return Plan(tensor, total, None, Units(element, width, kept))
    axes = tuple(range(1, len(tensor.shape)))
    thresholds = np.asarray(pqi.topk_threshold(tensor.array(), kept, axis=axes))
    elements = Elements(tensor)

    def rank(unit: int) -> tuple[int, Cut, int]:
        """Return where the ties end, the cut, and how many elements stay and are not zero."""
        begin, stop = unit * width, (unit + 1) * width
        if kept[unit] == 0:
            return stop, Cut(NOTHING, NOTHING), 0
        where = cut(element, float(thresholds[unit]))
        counts = [elements.above(where, part) for part in chunks(begin, stop)]
        above, equal = (sum(column) for column in zip(*counts, strict=True))
        ties = int(kept[unit]) - above
        if ties < equal:
            stop = elements.end_of_ties(where, ties, slice(begin, stop))
        return stop, where, above + (ties if where.at > 0 else 0)

    stops, least, nonzero = [], [], 0
    for unit, (stop, where, found) in enumerate(pool.map(rank, range(units))):
        stops += [stop, (unit + 1) * width]
        least += [where.at, where.above]
        nonzero += found
    return Plan(tensor, total, nonzero, Thresholds(element, stops, least))
