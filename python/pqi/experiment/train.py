"""Training and evaluation of one network on data held as whole tensors.

The weights of the last epoch are the result: the learning rate has reached 0 by then, and no split has to be looked at
to choose an epoch. The validation split is therefore as untouched as the test split, and serves whoever compares
settings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.amp import GradScaler, autocast
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from pqi.experiment.config import Training
from pqi.experiment.data import Dataset, Split
from pqi.experiment.data.batches import Draw, Loader, draw_epoch
from pqi.experiment.place import Place
from pqi.prune import Metrics, Pruner

OnEpoch = Callable[[int, int], None]
"""Called with (iteration, epochs done) after every epoch."""

EVALUATION_BATCH = 1000
HERE = Place()
"""One process on the CPU."""
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Trainer:
    """The `Train` callback of `pqi.prune.run_loop`.

    Batches and their augmentation are drawn by a generator of their own, a function of `seed` and the iteration alone:
    methods are compared on the same batches, and an iteration that is repeated sees them again. A process of several
    trains on its part of each batch; a last batch of fewer than two images for each process, which batch normalisation
    could not use, is joined to the one before it.
    """

    data: Dataset
    settings: Training
    seed: int
    on_epoch: OnEpoch | None = None
    place: Place = HERE

    def __call__(self, model: nn.Module, pruner: Pruner, iteration: int) -> Metrics:
        """Train under the pruner's masks; return loss and accuracy on the training batches of the last epoch."""
        settings, place = self.settings, self.place
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
        )
        pruner.attach(optimizer)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + iteration)
        epoch = _Epoch(self, model, pruner, optimizer)
        metrics: Metrics = {}
        model.train()
        for number in range(settings.epochs):
            draws = draw_epoch(
                len(self.data.train),
                settings.batch,
                generator,
                augment=settings.augment,
                least=2 * place.world.size,
            )
            metrics = epoch(draws, number)
            if self.on_epoch is not None:
                self.on_epoch(iteration, number + 1)
        place.world.settle(model)
        return metrics


class _Epoch:
    """One pass over the drawn batches after another, within one training."""

    def __init__(self, trainer: Trainer, model: nn.Module, pruner: Pruner, optimizer: torch.optim.Optimizer) -> None:
        self._model, self._pruner, self._optimizer = model, pruner, optimizer
        self._train, self._settings, self._place = trainer.data.train, trainer.settings, trainer.place
        settings, place = self._settings, self._place
        self._parallel = place.world.parallel(model, place.device)
        self._loader = Loader(self._train, place.workers, pinned=place.device.type == "cuda")
        self._scaler = GradScaler(place.device.type, enabled=settings.amp == "fp16")

    def __call__(self, draws: Sequence[Draw], epoch: int) -> Metrics:
        device, world = self._place.device, self._place.world
        sums = torch.zeros(2, dtype=torch.float64, device=device)
        loaded = self._loader.epoch([draw.part(world.rank, world.size) for draw in draws])
        for step, (draw, batch) in enumerate(zip(draws, loaded, strict=True), start=epoch * len(draws)):
            inputs, labels = (tensor.to(device, non_blocking=True) for tensor in batch)
            rate = cosine(self._settings.lr, step, self._settings.epochs * len(draws))
            sums += self._step(self._train.ready(inputs), labels, len(draw.rows), rate)
        loss, correct = world.summed(sums).tolist()
        return {"accuracy": correct / len(self._train), "loss": loss / len(self._train)}

    def _step(self, inputs: torch.Tensor, labels: torch.Tensor, batch: int, rate: float) -> torch.Tensor:
        """Take one step on this process's part of a batch; return sum of losses and number of correct answers."""
        settings, scaler = self._settings, self._scaler
        with autocast(inputs.device.type, TYPES.get(settings.amp), enabled=settings.amp != "off"):
            outputs = self._parallel(inputs)
        loss = functional.cross_entropy(outputs.float(), labels)
        self._optimizer.zero_grad()
        # Gradients are averaged over processes: this part's share of the batch makes it the mean over all images.
        share = len(labels) * self._place.world.size / batch
        torch.autograd.backward(scaler.scale(loss * share))
        scaler.unscale_(self._optimizer)
        self._pruner.mask_gradients()
        clip_grad_norm_(self._model.parameters(), settings.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        scaler.step(self._optimizer)
        scaler.update()
        return torch.stack([loss.detach().double() * len(labels), (outputs.argmax(1) == labels).sum()])


@dataclass(frozen=True)
class Evaluator:
    """The `Evaluate` callback of `pqi.prune.run_loop`: mean cross-entropy and share of correct answers on a split."""

    data: Dataset
    place: Place = HERE

    def __call__(self, model: nn.Module, split: str) -> Metrics:
        """Evaluate `model` on the split of this name."""
        return evaluate(model, self.data.split(split), self.place)


def evaluate(model: nn.Module, split: Split, place: Place = HERE) -> Metrics:
    """Return accuracy, in [0, 1], and mean cross-entropy of `model` in evaluation mode; its mode is put back.

    Full precision throughout; of several processes, each evaluates some of the batches.
    """
    training = model.training
    model.eval()
    loss, correct = 0.0, 0
    with torch.inference_mode():
        for rows in torch.split(torch.arange(len(split)), EVALUATION_BATCH)[place.world.rank :: place.world.size]:
            inputs, labels = split.inputs[rows].to(place.device), split.labels[rows].to(place.device)
            outputs = model(split.ready(inputs))
            loss += functional.cross_entropy(outputs, labels, reduction="sum").item()
            correct += int((outputs.argmax(1) == labels).sum())
    model.train(training)
    loss, correct = place.world.summed(torch.tensor([loss, correct], dtype=torch.float64)).tolist()
    return {"accuracy": correct / len(split), "loss": loss / len(split)}


def cosine(start: float, step: int, steps: int) -> float:
    """Return the learning rate of `step`: `start` at step 0, 0 at step `steps`, along half a cosine."""
    return start * (1 + math.cos(math.pi * step / steps)) / 2
