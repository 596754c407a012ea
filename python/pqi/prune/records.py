"""What the pruning driver reports: plain frozen data, ready for ``dataclasses.asdict`` and JSON.

``index``, ``gini``, ``bound`` and ``ratio`` are nan for a group without a non-zero live weight; JSON has no nan, so a
writer must map it to null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Metrics = Mapping[str, float]
"""Named numbers of one evaluation, such as ``{"accuracy": 0.98, "loss": 0.07}``."""


@dataclass(frozen=True, kw_only=True)
class GroupStats:
    """Sparsity of the live weights of one group.

    Attributes
    ----------
    name : str
        ``"fc1.weight[3]"`` (neuron), ``"fc1.weight"`` (layer) or ``"global"``.
    total : int
        Weights in the group, pruned ones included.
    live : int
        Unpruned weights: the d of the formulas.
    zeros : int
        Live weights that are exactly zero.
    index, gini, bound : float
        PQ Index, Gini index and PQI-bound r (a real number of weights in [0, live]); nan when all live weights are
        zero or none is live.
    """

    name: str
    total: int
    live: int
    zeros: int
    index: float
    gini: float
    bound: float


@dataclass(frozen=True, kw_only=True)
class GroupReport(GroupStats):
    """One group of a pruning step: its statistics before the step and what the step took away.

    Attributes
    ----------
    ratio : float
        Share of the live weights that the amount suggested, before any clamp; nan when nothing could be suggested.
    clamped : bool
        Whether the suggested share exceeded the largest one allowed (beta).
    pruned : int
        Weights pruned by the step, at most ``live``.
    floored : bool
        Whether a floor kept weights that the amount asked for.
    """

    ratio: float
    clamped: bool
    pruned: int
    floored: bool = False


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """One pruning step: `total` prunable weights, `pruned` taken by this step, `remaining` after it."""

    groups: tuple[GroupReport, ...]
    pruned: int
    remaining: int
    total: int


@dataclass(frozen=True, kw_only=True)
class IndexAt:
    """The PQ Index of all live weights as one vector, at one pair of exponents."""

    p: float
    q: float
    index: float


@dataclass(frozen=True, kw_only=True)
class IndexGrid:
    """The PQ Index of all live weights as one vector, at every pair of two lists of exponents.

    Attributes
    ----------
    p, q : tuple of float
    index : tuple of tuple of float
        One row for each p with a value for each q; nan where p ≥ q.
    """

    p: tuple[float, ...]
    q: tuple[float, ...]
    index: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """One set of weights under one mask, evaluated and measured.

    Attributes
    ----------
    metrics : mapping of str to Metrics
        What ``evaluate(model, split)`` returned, for each split.
    weights : GroupStats
        All prunable weights as one vector, whatever the scope; ``weights.live / weights.total`` is the share that
        remains.
    layers : tuple of GroupStats
        One per prunable weight tensor, whatever the scope.
    indices : tuple of IndexAt
        The index of all live weights at each requested (p, q).
    grid : IndexGrid or None
        The index at every pair of the requested grid; None where none was asked for.
    """

    metrics: Mapping[str, Metrics]
    weights: GroupStats
    layers: tuple[GroupStats, ...]
    indices: tuple[IndexAt, ...]
    grid: IndexGrid | None = None


@dataclass(frozen=True, kw_only=True)
class IterationRecord:
    """Iteration t of Algorithm 1, with weights w and masks m.

    Attributes
    ----------
    iteration : int
        t, from 0 (dense) to the number of prunings.
    training : Metrics
        What ``train`` returned.
    retrained : ModelResult
        w_t under m_t.
    step : StepReport or None
        The pruning from m_t to m_{t+1}, per group of the scope; None in the last iteration, which only trains.
    pruned : ModelResult or None
        The ranked weights under m_{t+1}, not retrained: w_t, or w_0 for a method that ranks by the dense weights.
    reference : ModelResult or None
        The same weights before the pruning, w_0 under m_t, where they are not the retrained ones; else None.
    """

    iteration: int
    training: Metrics
    retrained: ModelResult
    step: StepReport | None
    pruned: ModelResult | None
    reference: ModelResult | None

    @property
    def unpruned(self) -> ModelResult:
        """What `pruned` is to be compared with: the same weights under m_t."""
        return self.retrained if self.reference is None else self.reference
