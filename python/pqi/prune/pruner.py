"""Pruning inside anybody's training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pqi.prune.amount import SAP, Amount, check_exponents
from pqi.prune.compat import rule_of
from pqi.prune.floor import NONE, Floors, check_floors
from pqi.prune.masks import HeldMasks, pack, unpack
from pqi.prune.measure import index_grid, index_pairs, measure
from pqi.prune.records import GroupReport, GroupStats, IndexAt, IndexGrid, StepReport
from pqi.prune.rewind import Snapshot
from pqi.prune.rule import Rule, Situation, checked_ranking
from pqi.prune.scope import Batch, Scope, divide
from pqi.prune.select import Pick, Select, prunable, unwrapped
from pqi.prune.zeros import masks_from_zeros

PAPER = SAP()


class Pruner:
    """Measure, prune and rewind a model while somebody else trains it.

    Parameters
    ----------
    model : torch.nn.Module
        At its initial weights: parameters and buffers are copied now, for `rewind`. Nothing is added to it. Wrappers of
        ``torch.compile`` and ``DistributedDataParallel`` are looked through.
    optimizer : torch.optim.Optimizer or None
        Attached at once if given, see `attach`.
    amount : Amount
        How many weights a group loses per step: `SAP`, `Fraction` or `Target`.
    scope : {"neuron", "layer", "global"}, mapping or callable
        Groups that are measured and pruned apart; ``{"body": "encoder.*", "rest": "*"}`` makes groups of one's own from
        patterns of names (see `pqi.prune.scope.divide`).
    select : callable, sequence or None
        Prunable parameters: ``select(name, parameter) -> bool``, a sequence of names, patterns and module types, or
        None for all weights with more than one axis, never biases or normalisation parameters (see
        `pqi.prune.select.prunable`).
    exclude : sequence
        Names, patterns and module types to leave out of the selection.
    floor : Floor or mapping of str to Floor
        The least that every group keeps and, where a group spans several tensors, every tensor of it; or floors by
        patterns of group and tensor names, of which the first that fits counts.
    compat : {"published"} or None
        Prune by the rule of the paper's published code instead of the paper's (see `pqi.prune.compat`).

    Attributes
    ----------
    model : torch.nn.Module
    amount : Amount
    batches : list of Batch
        The groups of `scope`.
    initial : Snapshot
        What `rewind` goes back to.
    steps : int
        Pruning steps taken so far, which amounts that follow a schedule (`Target`) go by.

    Raises
    ------
    ValueError
        If the scope is unknown or does not fit the weights, a selected or excluded name is unknown, nothing is
        prunable, or a floor fits no group and no tensor.
    TypeError
        If `compat` does not know the amount.

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
        exclude: Sequence[Pick] = (),
        floor: Floors = NONE,
        compat: Literal["published"] | None = None,
    ) -> None:
        self.model = model = unwrapped(model)
        self.amount = amount
        self._weights = prunable(model, select, exclude)
        self.batches = divide(self._weights, scope)
        self._floor, self._compat = floor, compat
        self._rule()
        check_floors(floor, self.batches)
        self.steps = 0
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
        return sum(int(mask.count_nonzero()) for mask in self.masks.values())

    def density(self) -> float:
        """Share of the prunable weights that is live."""
        return self.remaining / self.total

    def weights(self) -> dict[str, nn.Parameter]:
        """Return the prunable parameters by name."""
        return self._held.weights()

    def attach(self, *optimizers: Optimizer, early: bool = False) -> None:
        """Hold the masks through the steps of `optimizers`, and no longer through the previous ones'.

        Weights are zeroed now and after every step, gradients before it: see `mask_gradients` for clipping. For a loop
        that clips where one cannot reach, or whose closure computes the gradients inside the step, `early` masks
        gradients as soon as they are accumulated, by hooks on the weights, which `detach` removes.
        """
        self._held.attach(*optimizers, early=early)

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
        weights, masks = self.weights(), self.masks
        return [group for batch in batches for group in self._measured(batch, weights, masks, p=p, q=q)]

    def indices(self, pairs: Sequence[tuple[float, float]]) -> tuple[IndexAt, ...]:
        """PQ Index of all live weights as one vector at each (p, q), from one read."""
        (batch,) = divide(self._weights, "global")
        return index_pairs(batch, self.weights(), self.masks, pairs)

    def index_grid(self, p: Sequence[float], q: Sequence[float]) -> IndexGrid:
        """PQ Index of all live weights as one vector at every pair of `p` and `q`, from one read; nan where p ≥ q."""
        (batch,) = divide(self._weights, "global")
        return index_grid(batch, self.weights(), self.masks, p, q)

    def plan(self) -> list[GroupReport]:
        """What `step` would report, without pruning: index, bound and suggested count of every group.

        Returns
        -------
        list of GroupReport
            ``pruned`` is the count that a step would take (with ``compat="published"``, unless there are ties).

        Raises
        ------
        ValueError
            If a live weight is NaN or infinite; the message names the tensor.

        Examples
        --------
        >>> model = torch.nn.Linear(4, 2, bias=False)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.tensor([[1.0, 1.0, 1.0, 1.0], [4.0, 1.0, 0.0, 0.0]]))
        >>> for group in Pruner(model, scope="neuron").plan():
        ...     print(group.name, group.live, round(group.index, 4), group.pruned)
        weight[0] 4 0.0 0
        weight[1] 4 0.55 2
        """
        return [group for groups in self._planned(self.weights(), self.masks) for group in groups]

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
        weights, masks = self.weights(), self.masks
        ranking = weights if rank_by is None else checked_ranking(rank_by, weights, masks)
        rule, reports, changed = self._rule(), list[GroupReport](), dict[str, Tensor]()
        for batch, groups in zip(self.batches, self._planned(weights, masks), strict=True):
            done = groups
            if any(group.pruned for group in groups):
                kept, done = rule.prune(batch, groups, ranking, masks)
                changed.update(kept)
            reports += done
        self._held.narrow(changed)
        self.apply()
        self.steps += 1
        pruned = sum(group.pruned for group in reports)
        return StepReport(groups=tuple(reports), pruned=pruned, remaining=self.remaining, total=self.total)

    def rewind(self) -> None:
        """Go back to the initial parameters and buffers, pruned weights at zero, and drop the gradients."""
        self.initial.restore(self.model)
        self.apply()

    def adopt_zeros(self, checkpoint: Mapping[str, Tensor] | None = None) -> None:
        """Take the masks from the zeros of a pruned checkpoint, instead of the present ones; every zero is pruned.

        Parameters
        ----------
        checkpoint : mapping of str to torch.Tensor or None
            A ``state_dict``, also one with the masks of ``torch.nn.utils.prune``; None takes the model's own weights.
            Its values are not loaded.

        Raises
        ------
        ValueError
            If a prunable weight is missing or has another shape; nothing changes then.
        """
        self.masks = masks_from_zeros(self.model, self.weights(), checkpoint)
        self.apply()

    def finish(self) -> nn.Module:
        """Make the pruning permanent: zero the pruned weights, let go of the optimizers and return the model.

        The model is as plain as it was; its zeros are in its weights, and nothing holds them any longer.
        """
        self.apply()
        self.detach()
        return self.model

    def state_dict(self, *, initial: bool = True) -> dict[str, dict[str, Tensor]]:
        """Packed masks, number of steps and initial values (unless told not to), to be saved or loaded.

        Tensors only, so that ``torch.load`` may be told ``weights_only``; see `save_pruner` for safetensors.
        """
        state = {"masks": pack(self.masks), "progress": {"steps": torch.tensor(self.steps)}}
        return {**state, "initial": dict(self.initial.tensors)} if initial else state

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take over masks, number of steps and initial values, and zero the pruned weights.

        A state without initial values leaves the present ones.

        Raises
        ------
        ValueError
            If names, shapes or dtypes are not those of the model; nothing changes then.
        """
        if "masks" not in state:
            raise ValueError(f"state must hold 'masks', got {sorted(state)}")
        initial = Snapshot(dict(state["initial"])) if "initial" in state else self.initial
        initial.check(self.model)
        self.masks = unpack(state["masks"], self.weights())
        self.initial = initial
        self.steps = int(state.get("progress", {}).get("steps", torch.tensor(0)))
        self.apply()

    def _measured(
        self,
        batch: Batch,
        weights: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        *,
        p: float | None = None,
        q: float | None = None,
    ) -> list[GroupStats]:
        p, q = self.amount.p if p is None else p, self.amount.q if q is None else q
        check_exponents(p, q)
        return measure(batch, weights, masks, p=p, q=q, eta=self.amount.eta)

    def _planned(self, weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> list[list[GroupReport]]:
        stats = [self._measured(batch, weights, masks) for batch in self.batches]
        return self._rule().plan(Situation(self.batches, stats, masks, self.steps))

    def _rule(self) -> Rule:
        return rule_of(self.amount, self._floor, self._compat)
