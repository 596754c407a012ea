"""The rule of the paper's published code, for comparison: approximate counts, thresholds instead of ranks.

It differs from the paper's rule, which is the default, in these points:

- the bound is rounded up and the count rounded down in float32: ⌊d · clamp(γ(1 − ⌈r⌉ / d), 0, β)⌋, often one weight
  less than exact arithmetic gives: a group of five loses none where one is due;
- SAP prunes what is strictly smaller than the n-th smallest magnitude (counted from 0), the baselines what is strictly
  smaller than the quantile P, interpolated linearly between the two magnitudes next to it. Ties at the threshold all
  stay: constant weights lose nothing, few-valued weights less than asked.

Two of its traits are left out, because they are defects of its sums and not of its rule: the index is the exact one,
rounded to float32, and a neuron's weights are those of its output unit for every method.
"""

from __future__ import annotations

import dataclasses
import fractions
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import pqi
from pqi.prune.amount import SAP, Amount, Fraction, Quota, exact
from pqi.prune.floor import NONE, Floors
from pqi.prune.records import GroupReport, GroupStats
from pqi.prune.rule import ExactRule, Rule, Situation, Tensors, report
from pqi.prune.scope import Batch


@dataclass(frozen=True)
class PublishedRule:
    """``Pruner(..., compat="published")``.

    Parameters
    ----------
    amount : SAP or Fraction
    """

    amount: SAP | Fraction

    def plan(self, now: Situation) -> list[list[GroupReport]]:
        """Report what the published code would aim at; ties can leave less."""
        return [[report(group, self.quota(group), group.live) for group in groups] for groups in now.stats]

    def quota(self, group: GroupStats) -> Quota:
        """Count of one group: how many weights lie below the threshold if all magnitudes differ."""
        if group.live == 0 or math.isnan(group.bound):
            return Quota(0, math.nan, clamped=False)
        if isinstance(self.amount, SAP):
            return published_count(self.amount, group)
        return Quota(math.ceil(self._position(group)), float(exact(self.amount.share)), clamped=False)

    def _position(self, group: GroupStats) -> fractions.Fraction:
        """Where the quantile of a baseline lies among the live magnitudes in ascending order."""
        if group.live == 0 or math.isnan(group.bound) or isinstance(self.amount, SAP):
            return fractions.Fraction(0)
        return exact(self.amount.share) * (group.live - 1)

    def prune(
        self, batch: Batch, groups: Sequence[GroupReport], ranking: Tensors, masks: Tensors
    ) -> tuple[dict[str, Tensor], list[GroupReport]]:
        """Prune what is strictly below the threshold of its group."""
        if isinstance(self.amount, SAP):
            threshold = order_statistic(batch, ranking, masks, [group.pruned for group in groups])
        else:
            threshold = quantile(batch, [self._position(group) for group in groups], ranking, masks)
        operand, live = batch.operands(ranking), batch.operands(masks)
        kept = [mask & ~(part.abs().double() < threshold) for part, mask in zip(operand, live, strict=True)]
        left = sum(part.sum(batch.axis) if batch.axis else part.sum() for part in kept)
        counts = torch.as_tensor(left).reshape(-1).tolist()
        reports = [dataclasses.replace(g, pruned=g.live - count) for g, count in zip(groups, counts, strict=True)]
        return {name: part.reshape(masks[name].shape) for name, part in zip(batch.members, kept, strict=True)}, reports


def published_count(amount: SAP, group: GroupStats) -> Quota:
    """⌊d · clamp(γ(1 − ⌈d (1+η)^(q/(p−q)) (1−I)^(qp/(q−p))⌉ / d), 0, β)⌋ with every operation in float32.

    The count stays below d: the published code cannot prune a group completely.

    Examples
    --------
    >>> group = GroupStats(name="fc", total=5, live=5, zeros=0, index=0.2, gini=0.3, bound=4.0)
    >>> SAP(0.5, 1.0).quota(group).count, published_count(SAP(0.5, 1.0), group).count
    (1, 0)
    """
    p, q, d, one = amount.p, amount.q, np.float32(group.live), np.float32(1)
    scale = d * np.float32((1 + amount.eta) ** (q / (p - q)))
    bound = np.ceil(scale * (one - np.float32(group.index)) ** np.float32(q * p / (q - p)))
    suggested = np.float32(amount.gamma) * (one - bound / d)
    share = min(max(suggested, np.float32(0)), np.float32(amount.beta))
    count = min(int(np.floor(d * share)), group.live - 1)
    return Quota(count, float(suggested), clamped=bool(suggested > np.float32(amount.beta)))


def quantile(batch: Batch, positions: Sequence[fractions.Fraction], ranking: Tensors, masks: Tensors) -> Tensor:
    """Magnitude at a fractional position in ascending order, interpolated linearly between its neighbours."""
    below = order_statistic(batch, ranking, masks, [math.floor(position) for position in positions])
    above = order_statistic(batch, ranking, masks, [math.ceil(position) for position in positions])
    weight = torch.tensor([float(position % 1) for position in positions], dtype=torch.float64, device=below.device)
    return below + (above - below) * weight.reshape(below.shape)


def order_statistic(batch: Batch, ranking: Tensors, masks: Tensors, positions: Sequence[int]) -> Tensor:
    """Magnitude number `positions` of each group in ascending order of its live weights, from 0; nan for none."""
    live = [part.sum(batch.axis) if batch.axis else part.sum() for part in batch.operands(masks)]
    counts = torch.as_tensor(sum(live))
    k = (counts - torch.tensor(positions, device=counts.device).reshape(counts.shape)).clamp(min=0)
    which = k if batch.axis else int(k)
    threshold = pqi.topk_threshold(
        batch.operand(ranking), which, axis=batch.axis, keepdims=batch.axis is not None, where=batch.where(masks)
    )
    return torch.as_tensor(threshold).double()


def rule_of(amount: Amount, floors: Floors, compat: str | None) -> Rule:
    """Return the rule that a pruner goes by.

    Raises
    ------
    ValueError
        If `compat` is unknown or is asked to respect floors, which the published code does not know.
    TypeError
        If the published code does not know the amount.
    """
    if compat is None:
        return ExactRule(amount, floors)
    if compat != "published":
        raise ValueError(f"compat must be 'published' or None, got {compat!r}")
    if floors != NONE:
        raise ValueError(f"floor must be left out with compat='published', got {floors!r}")
    if not isinstance(amount, SAP | Fraction):
        raise TypeError(f"amount must be SAP or Fraction with compat='published', got {amount!r}")
    return PublishedRule(amount)
