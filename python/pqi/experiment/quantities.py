"""What tables and figures show of an iteration: numbers of one `IterationRecord`, nan where it has none."""

from __future__ import annotations

import math
from collections.abc import Callable

from pqi.prune import IterationRecord, ModelResult

PAIRS = ((0.5, 1.0), (1.0, 2.0))
"""Exponents at which the index of every method is recorded and drawn, whatever its own."""

GRID = (tuple(n / 10 for n in range(1, 11)), tuple(n / 10 for n in range(10, 21)))
"""Exponents p and q of the heat map, recorded with every iteration: 20 different power sums, one read."""

Quantity = Callable[[IterationRecord], float]
State = Callable[[IterationRecord], ModelResult | None]


def retrained(record: IterationRecord) -> ModelResult:
    """Return the results of the retrained weights, w_t under m_t."""
    return record.retrained


def pruned(record: IterationRecord) -> ModelResult | None:
    """Return the results of the pruned weights before retraining, under m_{t+1}; the last iteration has none."""
    return record.pruned


def unpruned(record: IterationRecord) -> ModelResult:
    """Return the results of the weights that the step pruned, before it: under m_t."""
    return record.unpruned


def accuracy(state: State, split: str = "test") -> Quantity:
    """Return the accuracy on a split, in percent."""
    return _quantity(state, lambda result: 100 * result.metrics[split]["accuracy"])


def loss(state: State, split: str = "test") -> Quantity:
    """Return the mean cross-entropy on a split."""
    return _quantity(state, lambda result: result.metrics[split]["loss"])


def remaining(state: State) -> Quantity:
    """Return the share of the prunable weights that is live, in percent."""
    return _quantity(state, lambda result: 100 * result.weights.live / result.weights.total)


def index(state: State, pair: tuple[float, float]) -> Quantity:
    """Return the PQ Index of all live weights as one vector at one (p, q) of `PAIRS`."""
    return _quantity(state, lambda result: next(at.index for at in result.indices if (at.p, at.q) == pair))


def own_index(record: IterationRecord) -> float:
    """Return the PQ Index of all live weights of the retrained network at the method's own exponents."""
    return record.retrained.weights.index


def gini(state: State) -> Quantity:
    """Return the Gini index of all live weights as one vector."""
    return _quantity(state, lambda result: result.weights.gini)


def layer_remaining(number: int) -> Quantity:
    """Return the share of one layer's weights that is live in the retrained network, in percent."""
    return lambda record: 100 * record.retrained.layers[number].live / record.retrained.layers[number].total


def layer_index(number: int) -> Quantity:
    """Return the PQ Index of one layer's live weights in the retrained network, at the method's own exponents."""
    return lambda record: record.retrained.layers[number].index


def layer_gini(number: int) -> Quantity:
    """Return the Gini index of one layer's live weights in the retrained network."""
    return lambda record: record.retrained.layers[number].gini


def share_bound(record: IterationRecord) -> float:
    """Return the PQI-bound r of all live weights of the retrained network as one vector, in percent of them."""
    weights = record.retrained.weights
    return 100 * weights.bound / weights.live if weights.live else math.nan


def share_suggested(record: IterationRecord) -> float:
    """Return the share of the live weights that the method suggested before any clamp, in percent, over all groups."""
    groups = [] if record.step is None else [group for group in record.step.groups if not math.isnan(group.ratio)]
    live = sum(group.live for group in groups)
    return 100 * sum(group.ratio * group.live for group in groups) / live if live else math.nan


def share_pruned(record: IterationRecord) -> float:
    """Return the share of the live weights that the step took, in percent."""
    live = record.retrained.weights.live
    return math.nan if record.step is None or not live else 100 * record.step.pruned / live


def count_pruned(record: IterationRecord) -> float:
    """Return the number of weights that the step took."""
    return math.nan if record.step is None else record.step.pruned


def share_clamped(record: IterationRecord) -> float:
    """Return the share of the groups whose suggestion exceeded the largest allowed, in percent."""
    if record.step is None or not record.step.groups:
        return math.nan
    return 100 * sum(group.clamped for group in record.step.groups) / len(record.step.groups)


def accuracy_change(record: IterationRecord) -> float:
    """Return what pruning alone did to the test accuracy, in points: pruned less unpruned weights."""
    return accuracy(pruned)(record) - accuracy(unpruned)(record)


def _quantity(state: State, value: Callable[[ModelResult], float]) -> Quantity:
    def quantity(record: IterationRecord) -> float:
        result = state(record)
        return math.nan if result is None else value(result)

    return quantity
