"""From what an amount asks to the masks: exact counts, floors, ties by lowest flat index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

import pqi
from pqi.prune.amount import Amount, Quota
from pqi.prune.floor import NONE, Floors, floor_of
from pqi.prune.measure import require_finite
from pqi.prune.records import GroupReport, GroupStats
from pqi.prune.scope import Batch

Tensors = Mapping[str, Tensor]
"""Weights, values to rank them by, or masks (bool, True = live), by name."""


@dataclass(frozen=True)
class Situation:
    """Where a pruning step starts: batches, the statistics of their groups, masks, and the steps taken so far."""

    batches: Sequence[Batch]
    stats: Sequence[Sequence[GroupStats]]
    masks: Tensors
    step: int


class Rule(Protocol):
    """Turns measured groups into counts, and counts into masks."""

    def plan(self, now: Situation) -> list[list[GroupReport]]:
        """Report, for each group of each batch, what the step would take away."""

    def prune(
        self, batch: Batch, groups: Sequence[GroupReport], ranking: Tensors, masks: Tensors
    ) -> tuple[dict[str, Tensor], list[GroupReport]]:
        """Return the batch's next masks, and its reports with the number of weights that really went."""


@dataclass(frozen=True)
class ExactRule:
    """The default: exactly as many weights go as the amount asks and the floors leave.

    A group that spans several tensors keeps the floor of each: first the largest weights of each tensor, then, of the
    rest, the largest of all.
    """

    amount: Amount
    floors: Floors = NONE

    def plan(self, now: Situation) -> list[list[GroupReport]]:
        """Ask the amount, group by group or for all at once, and hold back what the floors hold."""
        room = [
            max(group.live - floor, 0)
            for batch, groups in zip(now.batches, now.stats, strict=True)
            for group, floor in zip(groups, self._floors(batch, now.masks), strict=True)
        ]
        flat = [group for groups in now.stats for group in groups]
        quotas = ask(self.amount, flat, now.step, room)
        reports = iter([report(*asked) for asked in zip(flat, quotas, room, strict=True)])
        return [[next(reports) for _ in groups] for groups in now.stats]

    def prune(
        self, batch: Batch, groups: Sequence[GroupReport], ranking: Tensors, masks: Tensors
    ) -> tuple[dict[str, Tensor], list[GroupReport]]:
        """Keep the largest weights of every group, in the numbers of its report."""
        counts = [group.live - group.pruned for group in groups]
        floors = self._tensor_floors(batch, masks)
        if not any(floors.values()):
            return batch.keep(ranking, masks, counts), list(groups)
        forced = {
            name: pqi.topk_mask(ranking[name].detach(), floor, where=masks[name]) for name, floor in floors.items()
        }
        rest = {name: masks[name] & ~forced[name] for name in batch.members}
        kept = batch.keep(ranking, rest, [counts[0] - sum(floors.values())])
        return {name: kept[name] | forced[name] for name in batch.members}, list(groups)

    def _floors(self, batch: Batch, masks: Tensors) -> list[int]:
        """Least number that each group keeps."""
        if self.floors == NONE:
            return [0] * len(batch.names)
        tensors = sum(self._tensor_floors(batch, masks).values())
        return [max(floor_of(self.floors, name).of(batch.size), tensors) for name in batch.names]

    def _tensor_floors(self, batch: Batch, masks: Tensors) -> dict[str, int]:
        """Least number that each tensor of a group of several keeps; a tensor that has fewer keeps what it has."""
        if len(batch.members) == 1 or self.floors == NONE:
            return {}
        floors = {name: floor_of(self.floors, name).of(masks[name].numel()) for name in batch.members}
        return {name: min(floor, int(masks[name].count_nonzero())) if floor else 0 for name, floor in floors.items()}


def ask(amount: Amount, groups: Sequence[GroupStats], step: int, room: Sequence[int]) -> list[Quota]:
    """Quotas of all groups: an amount that has ``quotas(groups, step, room)`` decides for all at once."""
    jointly = getattr(amount, "quotas", None)
    if jointly is None:
        return [amount.quota(group) for group in groups]
    quotas: list[Quota] = jointly(groups, step, room)
    return quotas


def report(group: GroupStats, quota: Quota, room: int) -> GroupReport:
    """Clamp a quota to what the group has to give."""
    values: dict[str, Any] = vars(group)
    pruned = min(max(quota.count, 0), room)
    floored = room < min(quota.count, group.live)
    return GroupReport(**values, ratio=quota.ratio, clamped=quota.clamped, pruned=pruned, floored=floored)


def checked_ranking(rank_by: Tensors, weights: Tensors, masks: Tensors) -> dict[str, Tensor]:
    """Return the ranking values of `weights`, on their devices.

    Raises
    ------
    ValueError
        If one is missing, has another shape than the weight, or a NaN or infinite value at a live place.
    """
    ranking = {}
    for name, weight in weights.items():
        if name not in rank_by:
            raise ValueError(f"rank_by must hold every prunable weight, got none for {name!r}")
        if rank_by[name].shape != weight.shape:
            shapes = f"{tuple(weight.shape)}, got {tuple(rank_by[name].shape)}"
            raise ValueError(f"rank_by[{name!r}] must have the weight's shape {shapes}")
        ranking[name] = rank_by[name].to(weight.device)
        require_finite(name, ranking[name], masks[name])
    return ranking
