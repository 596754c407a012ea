"""Pruning inside trainers: PyTorch Lightning, Hugging Face's Trainer, or a bare optimizer.

The callbacks are duck-typed: they answer to what the trainers call and import neither. They hold the masks of a
`Pruner`, and prune on a schedule if told to; without one they only hold, for loops that train, prune and rewind around
whole ``fit`` calls. On several ranks each prunes its own copy: equal weights give equal masks, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from pqi.prune.pruner import Pruner
from pqi.prune.records import StepReport


class Schedule:
    """When a callback prunes, and what came of it.

    Parameters
    ----------
    pruner : Pruner
        Of the model that is trained, or of a part of it.
    every : int or None
        Prune each time after so many epochs or steps, at least 1; None never prunes.
    prunings : int or None
        How many times at most; None as often as training lasts.

    Attributes
    ----------
    reports : list of StepReport
        One for each pruning done here.

    Raises
    ------
    ValueError
        If `every` or `prunings` is too small.
    """

    def __init__(self, pruner: Pruner, *, every: int | None = None, prunings: int | None = None) -> None:
        if every is not None and every < 1:
            raise ValueError(f"every must be >= 1 or None, got {every}")
        if prunings is not None and prunings < 0:
            raise ValueError(f"prunings must be >= 0 or None, got {prunings}")
        self.pruner = pruner
        self.every = every
        self.prunings = prunings
        self.reports: list[StepReport] = []
        self.done = 0
        """Prunings so far, those before a restart included."""
        self.last = 0
        """Epochs or steps at the last of them."""

    def advance(self, elapsed: int) -> None:
        """Prune if it is time to, after `elapsed` epochs or steps; asking twice prunes once."""
        if self.every is None or elapsed <= self.last or elapsed % self.every:
            return
        if self.prunings is None or self.done < self.prunings:
            self.reports.append(self.pruner.step())
            self.done += 1
            self.last = elapsed

    def check(self, model: nn.Module) -> None:
        """Raise ValueError unless the pruner's weights are parameters of `model`."""
        known = {id(parameter) for parameter in model.parameters()}
        for name, weight in self.pruner.weights().items():
            if id(weight) not in known:
                raise ValueError(f"the pruner must be of the model that is trained, got one with another {name!r}")


class _Events:
    """Answers every event of a trainer that a class does not handle with nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("on_"):
            return _ignore
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _ignore(*_: Any, **__: Any) -> None:
    return None


class LightningCallback(_Events):
    """A callback of PyTorch Lightning (``lightning.pytorch`` or ``pytorch_lightning``).

    Masks hold through every optimizer of the module; gradients are masked before Lightning clips them. Pruning happens
    when an epoch starts, so that training follows every pruning. Masks, initial values and the schedule are kept in
    Lightning's checkpoints.

    Parameters
    ----------
    pruner : Pruner
        Of the LightningModule or of a module inside it.
    every : int or None
        Prune each time after so many epochs; None only holds the masks.
    prunings : int or None
        How many times at most.

    Examples
    --------
    >>> model = nn.Linear(4, 2)
    >>> callback = LightningCallback(Pruner(model, scope="layer"), every=2)
    >>> # lightning.Trainer(max_epochs=10, callbacks=[callback]).fit(module_that_holds_model, batches)
    """

    def __init__(self, pruner: Pruner, *, every: int | None = None, prunings: int | None = None) -> None:
        self.schedule = Schedule(pruner, every=every, prunings=prunings)
        self.pruner = pruner
        self.state_key = self._legacy_state_key = "pqi.prune.LightningCallback"

    @property
    def reports(self) -> list[StepReport]:
        """What each pruning did."""
        return self.schedule.reports

    def setup(self, _trainer: Any, pl_module: nn.Module, **_: Any) -> None:
        """Make sure that the pruner is of this module."""
        self.schedule.check(pl_module)

    def teardown(self, *_: Any, **__: Any) -> None:
        """Let go of the optimizers, also after an error."""
        self.pruner.detach()

    def on_train_start(self, trainer: Any, *_: Any) -> None:
        """Hold the masks in all optimizers, after a checkpoint was restored."""
        self.pruner.attach(*map(bare, trainer.optimizers))

    def on_train_epoch_start(self, trainer: Any, *_: Any) -> None:
        """Prune if it is time to."""
        self.schedule.advance(trainer.current_epoch)

    def on_before_optimizer_step(self, *_: Any) -> None:
        """Mask gradients: Lightning computes them inside the optimizer's step, and clips them after this."""
        self.pruner.mask_gradients()

    def on_train_end(self, *_: Any) -> None:
        """Let go of the optimizers; the zeros stay."""
        self.pruner.detach()

    def state_dict(self) -> dict[str, Any]:
        """Pruner and schedule, for Lightning's checkpoint."""
        return {**self.pruner.state_dict(), "schedule": [self.schedule.done, self.schedule.last]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take them over from Lightning's checkpoint."""
        self.schedule.done, self.schedule.last = state_dict["schedule"]
        self.pruner.load_state_dict({name: part for name, part in state_dict.items() if name != "schedule"})


class HuggingFaceCallback(_Events):
    """A callback of Hugging Face's ``transformers.Trainer``.

    Masks hold through the optimizer, also inside Accelerate's wrapper; gradients are masked when they are accumulated,
    before the Trainer clips them. Pruning happens when a step starts, so that training follows every pruning. When
    training resumes from a checkpoint, the masks are rebuilt from its zeros and the schedule goes on.

    Parameters
    ----------
    pruner : Pruner
        Of the model that the Trainer trains or of a module inside it.
    every : int or None
        Prune each time after so many optimizer steps; None only holds the masks.
    prunings : int or None
        How many times at most.

    Examples
    --------
    >>> model = nn.Linear(4, 2)
    >>> callback = HuggingFaceCallback(Pruner(model, scope="layer"), every=500)
    >>> # transformers.Trainer(model_that_holds_it, arguments, callbacks=[callback], ...).train()
    """

    def __init__(self, pruner: Pruner, *, every: int | None = None, prunings: int | None = None) -> None:
        self.schedule = Schedule(pruner, every=every, prunings=prunings)
        self.pruner = pruner

    @property
    def reports(self) -> list[StepReport]:
        """What each pruning did."""
        return self.schedule.reports

    def on_train_begin(
        self, _args: Any, state: Any, _control: Any, *, model: nn.Module, optimizer: Optimizer, **_: Any
    ) -> None:
        """Hold the masks; after a restart find them again."""
        self.schedule.check(model)
        if state.global_step > 0 and self.schedule.every is not None:
            self._resume(state.global_step, self.schedule.every)
        self.pruner.attach(bare(optimizer), early=True)

    def on_step_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Prune if it is time to."""
        self.schedule.advance(state.global_step)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Let go of the optimizer; the zeros stay."""
        self.pruner.detach()

    def _resume(self, steps: int, every: int) -> None:
        """Restore what a checkpoint after `steps` steps has seen: a pruning due at `steps` is still to come."""
        done = (steps - 1) // every
        done = done if self.schedule.prunings is None else min(done, self.schedule.prunings)
        if done > self.schedule.done:
            self.schedule.done, self.schedule.last = done, done * every
            self.pruner.adopt_zeros()
            self.pruner.steps = done


class OptimizerCallback:
    """Prunes after every so many steps of a bare optimizer; for training loops that one cannot change.

    Parameters
    ----------
    pruner : Pruner
        Attached to the optimizer.
    optimizer : torch.optim.Optimizer
    every : int
        Optimizer steps from one pruning to the next. Steps that a gradient scaler skips do not count.
    prunings : int or None
        How many times at most; training should go on after the last.

    Examples
    --------
    >>> from pqi.prune import Target
    >>> model = nn.Linear(30, 2)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> pruner = Pruner(model, amount=Target(0.9, steps=2))
    >>> callback = OptimizerCallback(pruner, optimizer, every=10, prunings=2)
    >>> for _ in range(40):
    ...     model(torch.ones(30)).sum().backward()
    ...     optimizer.step()
    >>> [report.remaining for report in callback.reports], int((model.weight != 0).sum())
    ([19, 6], 6)
    """

    def __init__(self, pruner: Pruner, optimizer: Optimizer, *, every: int, prunings: int | None = None) -> None:
        self.schedule = Schedule(pruner, every=every, prunings=prunings)
        self.pruner = pruner
        self.steps = 0
        pruner.attach(bare(optimizer))
        self._handle = bare(optimizer).register_step_post_hook(self._after_step)

    @property
    def reports(self) -> list[StepReport]:
        """What each pruning did."""
        return self.schedule.reports

    def remove(self) -> None:
        """Stop pruning and holding the masks."""
        self._handle.remove()
        self.pruner.detach()

    def _after_step(self, *_: Any) -> None:
        self.steps += 1
        self.schedule.advance(self.steps)


def bare(optimizer: Any) -> Optimizer:
    """Return the torch optimizer inside the wrappers of Accelerate and Lightning, whose own steps call no hooks.

    Raises
    ------
    TypeError
        If there is none.
    """
    seen: list[object] = []
    while not any(optimizer is known for known in seen):
        seen.append(optimizer)
        inner = getattr(optimizer, "optimizer", None)
        optimizer = inner if isinstance(inner, torch.optim.Optimizer) else optimizer
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer must be a torch optimizer or wrap one, got {type(optimizer).__name__}")
    return optimizer
