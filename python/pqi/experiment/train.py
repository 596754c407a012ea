"""Training and evaluation of one network on data held as whole tensors.

The weights of the last epoch are the result: the learning rate has reached 0 by then, and no split has to be looked at
to choose an epoch. The validation split is therefore as untouched as the test split, and serves whoever compares
settings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from pqi.experiment.config import Training
from pqi.experiment.data import Dataset, Split
from pqi.prune import Metrics, Pruner

OnEpoch = Callable[[int, int], None]
"""Called with (iteration, epochs done) after every epoch."""

EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Trainer:
    """The `Train` callback of `pqi.prune.run_loop`.

    Batches are drawn by a generator of its own, a function of `seed` and the iteration alone: methods are compared on
    the same batches, and an iteration that is repeated sees them again.
    """

    data: Dataset
    settings: Training
    seed: int
    on_epoch: OnEpoch | None = None

    def __call__(self, model: nn.Module, pruner: Pruner, iteration: int) -> Metrics:
        """Train under the pruner's masks; return loss and accuracy on the training batches of the last epoch."""
        settings = self.settings
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
        )
        pruner.attach(optimizer)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + iteration)
        metrics: Metrics = {}
        model.train()
        for epoch in range(settings.epochs):
            metrics = self._epoch(model, pruner, optimizer, epoch, generator)
            if self.on_epoch is not None:
                self.on_epoch(iteration, epoch + 1)
        return metrics

    def _epoch(
        self, model: nn.Module, pruner: Pruner, optimizer: torch.optim.Optimizer, epoch: int, generator: torch.Generator
    ) -> Metrics:
        train, settings = self.data.train, self.settings
        batches = torch.split(torch.randperm(len(train), generator=generator), settings.batch)
        loss_sum, correct = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.int64)
        for step, rows in enumerate(batches, start=epoch * len(batches)):
            labels = train.labels[rows]
            outputs = model(train.inputs[rows])
            loss = functional.cross_entropy(outputs, labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            pruner.mask_gradients()
            clip_grad_norm_(model.parameters(), settings.clip)
            for group in optimizer.param_groups:
                group["lr"] = cosine(settings.lr, step, settings.epochs * len(batches))
            optimizer.step()
            loss_sum += loss.detach() * len(rows)
            correct += (outputs.detach().argmax(1) == labels).sum()
        return {"accuracy": correct.item() / len(train), "loss": loss_sum.item() / len(train)}


@dataclass(frozen=True)
class Evaluator:
    """The `Evaluate` callback of `pqi.prune.run_loop`: mean cross-entropy and share of correct answers on a split."""

    data: Dataset

    def __call__(self, model: nn.Module, split: str) -> Metrics:
        """Evaluate `model` on the split of this name."""
        return evaluate(model, self.data.split(split))


def evaluate(model: nn.Module, split: Split) -> Metrics:
    """Return accuracy, in [0, 1], and mean cross-entropy of `model` in evaluation mode; its mode is put back."""
    training = model.training
    model.eval()
    loss, correct = 0.0, 0
    with torch.inference_mode():
        for rows in torch.split(torch.arange(len(split)), EVALUATION_BATCH):
            outputs, labels = model(split.inputs[rows]), split.labels[rows]
            loss += functional.cross_entropy(outputs, labels, reduction="sum").item()
            correct += int((outputs.argmax(1) == labels).sum())
    model.train(training)
    return {"accuracy": correct / len(split), "loss": loss / len(split)}


def cosine(start: float, step: int, steps: int) -> float:
    """Return the learning rate of `step`: `start` at step 0, 0 at step `steps`, along half a cosine."""
    return start * (1 + math.cos(math.pi * step / steps)) / 2
