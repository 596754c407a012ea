"""Pruning inside anybody's training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from pqi.prune.amount import SAP, Amount, check_exponents
from pqi.prune.masks import HeldMasks, pack, unpack
from pqi.prune.measure import index_pairs, measure, require_finite
from pqi.prune.records import GroupReport, GroupStats, IndexAt, StepReport
from pqi.prune.rewind import Snapshot
from pqi.prune.scope import Batch, Scope, divide
from pqi.prune.select import Select, prunable

PAPER = SAP()


class Pruner:
    """Measure, prune and rewind a model while somebody else trains it.

    Parameters
    ----------
    model : torch.nn.Module
        At its initial weights: parameters and buffers are copied now, for `rewind`. Nothing is added to it.
    optimizer : torch.optim.Optimizer or None
        Attached at once if given, see `attach`.
    amount : Amount
        How many weights a group loses per step: `SAP` or `Fraction`.
    scope : {"neuron", "layer", "global"} or callable
        Groups that are measured and pruned apart.
    select : callable, sequence of str or None
        Prunable parameters: ``select(name, parameter) -> bool``, their names, or None for all weights with more than
        one axis, never biases or normalisation parameters (see `pqi.prune.select.prunable`).

    Attributes
    ----------
    model : torch.nn.Module
    amount : Amount
    batches : list of Batch
        The groups of `scope`.
    initial : Snapshot
        What `rewind` goes back to.

    Raises
    ------
    ValueError
        If the scope is unknown, a selected name is unknown, or nothing is prunable.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> model, x, y = torch.nn.Linear(20, 2), torch.randn(64, 20), torch.arange(64) % 2
    >>> pruner = Pruner(model, scope="neuron")
    >>> for _ in range(3):  # train, prune, rewind
    ...     optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-3)
    ...     pruner.attach(optimizer)
    ...     for _ in range(20):
    ...         optimizer.zero_grad()
    ...         torch.nn.functional.cross_entropy(model(x), y).backward()
    ...         optimizer.step()
    ...     report = pruner.step()
    ...     pruner.rewind()
    >>> report.remaining == pruner.remaining == int((model.weight != 0).sum()) < report.total == 40
    True
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | None = None,
        *,
        amount: Amount = PAPER,
        scope: Scope = "global",
        select: Select = None,
    ) -> None:
        self.model = model
        self.amount = amount
        self._weights = prunable(model, select)
        self.batches = divide(self._weights, scope)
        self.initial = Snapshot.of(model)
        self._held = HeldMasks(model, [weight.name for weight in self._weights])
        if optimizer is not None:
            self.attach(optimizer)

    @property
    def masks(self) -> dict[str, Tensor]:
        """Masks by ``state_dict`` key, bool, True = live, each on its weight's device.

        To change them, assign them (they are copied) instead of writing into them; weights change with the next
        `apply` or `rewind`. Names, shapes and dtype must agree (ValueError).
        """
        return self._held.get()

    @masks.setter
    def masks(self, masks: Mapping[str, Tensor]) -> None:
        self._held.set(masks)

    @property
    def total(self) -> int:
        """Number of prunable weights."""
        return sum(mask.numel() for mask in self.masks.values())

    @property
    def remaining(self) -> int:
        """Number of prunable weights that are live."""
        return sum(int(mask.sum()) for mask in self.masks.values())

    def density(self) -> float:
        """Share of the prunable weights that is live."""
        return self.remaining / self.total

    def weights(self) -> dict[str, nn.Parameter]:
        """Return the prunable parameters by name."""
        return self._held.weights()

    def attach(self, optimizer: Optimizer) -> None:
        """Hold the masks through the steps of `optimizer`, and no longer through the previous one's.

        Weights are zeroed now and after every step, gradients before it; see `mask_gradients` for clipping.
        """
        self._held.attach(optimizer)

    def detach(self) -> None:
        """Leave the optimizer; the masks stay, but nothing holds them."""
        self._held.detach()

    def apply(self) -> None:
        """Set pruned weights to zero in place."""
        self._held.apply()

    def mask_gradients(self) -> None:
        """Set the gradients of pruned weights to zero; call it before clipping, so that the norm counts live ones."""
        self._held.mask_gradients()

    def revived(self) -> dict[str, int]:
        """How many pruned weights are not zero, for each tensor that has any: empty while the masks hold."""
        return self._held.revived()

    def measure(
        self, *, p: float | None = None, q: float | None = None, scope: Scope | None = None
    ) -> list[GroupStats]:
        """Statistics of the live weights of each group, without pruning.

        Parameters
        ----------
        p, q : float or None
            Exponents of index and bound; None takes the amount's.
        scope : {"neuron", "layer", "global"}, callable or None
            Groups; None takes the pruner's.

        Raises
        ------
        ValueError
            If p or q is out of range, or a live weight is NaN or infinite (the message names the tensor).
        """
        batches = self.batches if scope is None else divide(self._weights, scope)
        return [group for batch in batches for group in self._measured(batch, p, q)]

    def indices(self, pairs: Sequence[tuple[float, float]]) -> tuple[IndexAt, ...]:
        """PQ Index of all live weights as one vector at each (p, q), from one read."""
        (batch,) = divide(self._weights, "global")
        return index_pairs(batch, self.weights(), self.masks, pairs)

    def step(self, *, rank_by: Mapping[str, Tensor] | None = None) -> StepReport:
        """Measure the weights, let the amount decide and prune the smallest magnitudes, group by group.

        Counts are exact; among equal magnitudes the lowest flat index is kept. Groups without a non-zero live weight
        lose nothing and are reported with nan. Either all masks change or, where an error is raised, none.

        Parameters
        ----------
        rank_by : mapping of str to torch.Tensor or None
            Rank by these magnitudes instead of the weights' (One Shot: the once-trained dense weights); other names
            than the prunable weights' are ignored.

        Returns
        -------
        StepReport
            Per group: statistics before the step, suggested ratio, whether it was clamped, weights pruned.

        Raises
        ------
        ValueError
            If a live weight or ranking value is NaN or infinite, or `rank_by` lacks a weight or differs in shape; the
            message names the tensor.
        """
        masks = self.masks
        ranking = self.weights() if rank_by is None else self._ranking(rank_by)
        planned = [(batch, self._planned(batch)) for batch in self.batches]
        for batch, groups in planned:
            if any(group.pruned for group in groups):
                masks.update(batch.keep(ranking, masks, [group.live - group.pruned for group in groups]))
        self.masks = masks
        self.apply()
        reports = tuple(group for _, groups in planned for group in groups)
        pruned = sum(group.pruned for group in reports)
        return StepReport(groups=reports, pruned=pruned, remaining=self.remaining, total=self.total)

    def rewind(self) -> None:
        """Go back to the initial parameters and buffers, pruned weights at zero, and drop the gradients."""
        self.initial.restore(self.model)
        self.apply()

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Packed masks and initial values: tensors only, so that ``torch.load`` may be told ``weights_only``."""
        return {"masks": pack(self.masks), "initial": dict(self.initial.tensors)}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take over masks and initial values, and zero the pruned weights.

        Raises
        ------
        ValueError
            If names, shapes or dtypes are not those of the model; nothing changes then.
        """
        initial = Snapshot(dict(state["initial"]))
        initial.check(self.model)
        self.masks = unpack(state["masks"], self.weights())
        self.initial = initial
        self.apply()

    def _measured(self, batch: Batch, p: float | None = None, q: float | None = None) -> list[GroupStats]:
        p, q = self.amount.p if p is None else p, self.amount.q if q is None else q
        check_exponents(p, q)
        return measure(batch, self.weights(), self.masks, p=p, q=q, eta=self.amount.eta)

    def _planned(self, batch: Batch) -> list[GroupReport]:
        reports = []
        for group in self._measured(batch):
            quota = self.amount.quota(group)
            pruned = min(max(quota.count, 0), group.live)
            values: dict[str, Any] = vars(group)
            reports.append(GroupReport(**values, ratio=quota.ratio, clamped=quota.clamped, pruned=pruned))
        return reports

    def _ranking(self, rank_by: Mapping[str, Tensor]) -> dict[str, Tensor]:
        masks, ranking = self.masks, {}
        for name, weight in self.weights().items():
            if name not in rank_by:
                raise ValueError(f"rank_by must hold every prunable weight, got none for {name!r}")
            if rank_by[name].shape != weight.shape:
                shapes = f"{tuple(weight.shape)}, got {tuple(rank_by[name].shape)}"
                raise ValueError(f"rank_by[{name!r}] must have the weight's shape {shapes}")
            ranking[name] = rank_by[name].to(weight.device)
            require_finite(name, ranking[name], masks[name])
        return ranking
