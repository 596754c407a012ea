"""Algorithm 1 of the paper, generic in model, data and storage: train, evaluate, measure, prune, rewind.

An iteration is a function of the `LoopState` before it, and every iteration starts by restoring that state, whether it
comes from memory or from storage: a resumed run therefore repeats the uninterrupted one bit for bit, provided that
`train` and `evaluate` draw their randomness from the global generators of torch, numpy and `random`, or derive it from
the iteration number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import nn

from pqi.prune import rng
from pqi.prune.advice import StopAt, advise
from pqi.prune.floor import NONE, Floors
from pqi.prune.masks import pack, unpack
from pqi.prune.methods import Method
from pqi.prune.pruner import Pruner
from pqi.prune.records import IterationRecord, Metrics, ModelResult
from pqi.prune.rewind import Snapshot
from pqi.prune.scope import Scope
from pqi.prune.select import Pick, Select
from pqi.prune.storage import LoopState, Memory, Storage


class Train(Protocol):
    """Trains `model` in place for one iteration.

    It must build a fresh optimizer and call ``pruner.attach(optimizer)`` before the first step, so that the masks hold;
    it may call ``pruner.mask_gradients()`` before clipping. The learning-rate schedule restarts with each call, and
    switching to training mode is its own business. What it returns is kept in the record.
    """

    def __call__(self, model: nn.Module, pruner: Pruner, iteration: int) -> Metrics:
        """Train for iteration 0, 1, ...; any mapping of names to numbers is kept, an empty one too."""


class Evaluate(Protocol):
    """Evaluates `model` on one split and leaves its parameters and buffers as they were."""

    def __call__(self, model: nn.Module, split: str) -> Metrics:
        """Return named numbers, such as accuracy and loss; switching to evaluation mode is its own business."""


def run_loop(
    model: nn.Module,
    method: Method,
    *,
    train: Train,
    evaluate: Evaluate,
    iterations: int,
    scope: Scope = "global",
    select: Select = None,
    exclude: Sequence[Pick] = (),
    floor: Floors = NONE,
    compat: Literal["published"] | None = None,
    splits: Sequence[str] = ("validation", "test"),
    pairs: Sequence[tuple[float, float]] = ((0.5, 1.0), (1.0, 2.0)),
    grid: tuple[Sequence[float], Sequence[float]] | None = None,
    storage: Storage | None = None,
    stop_at: StopAt = "never",
) -> Iterator[IterationRecord]:
    """Train, prune and rewind `iterations` times, then train once more (Algorithm 1).

    Iteration t rewinds to the initial weights under the mask m_t, trains, evaluates the retrained weights, prunes to
    m_{t+1} and evaluates the pruned weights without retraining; the last iteration, t = `iterations` or the one that
    reaches `stop_at`, only trains. The run advances as the iterator is consumed; stop by breaking off. Afterwards
    `model` holds the final retrained weights, also when a finished run is opened again.

    Parameters
    ----------
    model : torch.nn.Module
        At its initial weights; changed in place.
    method : Method
        Amount and ranking.
    train : Train
    evaluate : Evaluate
    iterations : int
        Number of prunings, at least 0.
    scope, select, exclude, floor, compat
        Groups that are pruned apart, prunable parameters, what the groups keep, and whose rule is followed: see
        `Pruner`.
    splits : sequence of str
        What `evaluate` is called with.
    pairs : sequence of (p, q)
        Exponents at which the index of all weights is recorded, from one read, besides the method's own.
    grid : (sequence of p, sequence of q) or None
        Exponents of which every pair is recorded, from one read more; pairs with p ≥ q are nan.
    storage : Storage or None
        Where to keep and resume the run; None keeps nothing.
    stop_at : {"collapse", "underfit", "never"}
        End the run with the iteration whose retrained index confirms that phase, see `pqi.prune.advise`.

    Yields
    ------
    IterationRecord
        One per iteration done here: iterations restored from `storage` are not repeated.

    Raises
    ------
    ValueError
        For bad arguments, before any work; for a stored run of another length or one that stopped for another phase;
        for a weight that training made NaN or infinite.
    RuntimeError
        If `train` left a pruned weight non-zero.
    """
    if iterations < 0:
        raise ValueError(f"iterations must be >= 0, got {iterations}")
    for p, q in pairs:
        if not 0 < p < q:
            raise ValueError(f"pairs must satisfy 0 < p < q, got p={p}, q={q}")
    for exponent in [] if grid is None else [*grid[0], *grid[1]]:
        if not 0 < exponent < math.inf:
            raise ValueError(f"grid must hold exponents > 0 and finite, got {exponent}")
    advise([]).stops(stop_at)  # refuses an unknown phase
    pruner = Pruner(
        model, amount=method.amount, scope=scope, select=select, exclude=exclude, floor=floor, compat=compat
    )
    return _Loop(
        model=model,
        pruner=pruner,
        ranks_dense=method.ranking == "dense",
        train=train,
        evaluate=evaluate,
        iterations=iterations,
        splits=tuple(splits),
        pairs=tuple(pairs),
        grid=grid,
        storage=Memory() if storage is None else storage,
        stop_at=stop_at,
    ).run()


@dataclass
class _Loop:
    """The arguments of `run_loop`, checked, and the dense weights once they are known."""

    model: nn.Module
    pruner: Pruner
    ranks_dense: bool
    train: Train
    evaluate: Evaluate
    iterations: int
    splits: tuple[str, ...]
    pairs: tuple[tuple[float, float], ...]
    grid: tuple[Sequence[float], Sequence[float]] | None
    storage: Storage
    stop_at: StopAt
    dense: Snapshot | None = None
    indices: list[float] = field(default_factory=list)

    def run(self) -> Iterator[IterationRecord]:
        state = self.storage.load_last()
        state = self.start() if state is None else self.resume(state)
        while not self.finished(state):
            record = self.iterate(state)
            state = self.state(state["iteration"] + 1)
            self.storage.save(record, state)
            yield record

    def start(self) -> LoopState:
        self.storage.save_tensors("initial", self.pruner.initial.tensors)
        return self.state(0)

    def resume(self, state: LoopState) -> LoopState:
        if state["iterations"] != self.iterations:
            raise ValueError(f"iterations must be {state['iterations']}, as in the stored run, got {self.iterations}")
        self.pruner.initial = self.load("initial")
        self.indices = list(state["indices"])
        if self.ranks_dense and state["iteration"] > 0:
            self.dense = self.load("dense")
        if self.finished(state):
            if state["stopped"] not in (None, self.stop_at):
                raise ValueError(f"stop_at must be {state['stopped']!r}, as in the stored run, got {self.stop_at!r}")
            self.load("final").restore(self.model)
            self.pruner.masks = unpack(state["masks"], self.pruner.weights())
            rng.restore(state["rng"])
        return state

    def finished(self, state: LoopState) -> bool:
        return state["stopped"] is not None or state["iteration"] > self.iterations

    def load(self, name: str) -> Snapshot:
        snapshot = Snapshot(self.storage.load_tensors(name))
        snapshot.check(self.model)
        return snapshot

    def state(self, iteration: int) -> LoopState:
        stopped = iteration <= self.iterations and advise(self.indices).stops(self.stop_at)
        return LoopState(
            iteration=iteration,
            iterations=self.iterations,
            masks=pack(self.pruner.masks),
            rng=rng.capture(),
            indices=list(self.indices),
            stopped=self.stop_at if stopped else None,
        )

    def iterate(self, state: LoopState) -> IterationRecord:
        iteration = state["iteration"]
        self.pruner.masks = unpack(state["masks"], self.pruner.weights())
        self.pruner.steps = iteration
        reference = None if self.dense is None or iteration == self.iterations else self.result(self.dense)
        rng.restore(state["rng"])
        self.pruner.rewind()
        training = self.trained(iteration)
        retrained = self.result()
        self.indices.append(retrained.weights.index)
        last = iteration == self.iterations or advise(self.indices).stops(self.stop_at)
        if self.ranks_dense and self.dense is None:
            self.dense = Snapshot.of(self.model)
            self.storage.save_tensors("dense", self.dense.tensors)
        if last:
            self.storage.save_tensors("final", Snapshot.of(self.model).tensors)
            step, pruned, reference = None, None, None
        else:
            step = self.pruner.step(rank_by=None if self.dense is None else self.dense.tensors)
            pruned = self.result(self.dense)
        return IterationRecord(
            iteration=iteration,
            training=training,
            retrained=retrained,
            step=step,
            pruned=pruned,
            reference=reference,
        )

    def trained(self, iteration: int) -> Metrics:
        """Train under the masks and make sure that they held."""
        try:
            training = dict(self.train(self.model, self.pruner, iteration))
        finally:
            self.pruner.detach()
        for name, revived in self.pruner.revived().items():
            raise RuntimeError(
                f"train() must keep pruned weights at zero, got {revived} non-zero in {name!r}: "
                "call pruner.attach(optimizer) before training"
            )
        return training

    def result(self, snapshot: Snapshot | None = None) -> ModelResult:
        """Evaluate and measure the model, with the weights of `snapshot` if one is given, under the present masks."""
        if snapshot is not None:
            snapshot.restore(self.model)
            self.pruner.apply()
        return ModelResult(
            metrics={split: dict(self.evaluate(self.model, split)) for split in self.splits},
            weights=self.pruner.measure(scope="global")[0],
            layers=tuple(self.pruner.measure(scope="layer")),
            indices=self.pruner.indices(self.pairs),
            grid=None if self.grid is None else self.pruner.index_grid(*self.grid),
        )
