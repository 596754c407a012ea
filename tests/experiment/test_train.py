"""Training: the schedule, the order of masking and clipping, batches that methods share, and honest evaluation."""

import math

import pytest
import torch
from torch import nn

from experiment.tiny import TRAINING
from pqi.experiment import models
from pqi.experiment.config import Training
from pqi.experiment.data import Dataset, Split, load
from pqi.experiment.train import Evaluator, Trainer, cosine, evaluate
from pqi.prune import Pruner

DIGITS = load("digits")


def network(seed=0):
    return models.build("mlp", DIGITS.input_shape, DIGITS.classes, seed=seed)


def test_the_rate_falls_from_its_start_to_zero_along_half_a_cosine():
    rates = [cosine(0.1, step, 8) for step in range(9)]
    assert rates[0] == 0.1
    assert rates[4] == pytest.approx(0.05)
    assert rates[8] == pytest.approx(0, abs=1e-17)
    assert rates == sorted(rates, reverse=True)


def test_training_learns_and_reports_every_epoch():
    seen = []
    trainer = Trainer(DIGITS, Training(epochs=5, batch=100), seed=0, on_epoch=lambda *done: seen.append(done))
    model = network()
    metrics = trainer(model, Pruner(model), 3)
    assert seen == [(3, epoch) for epoch in range(1, 6)]
    assert metrics["accuracy"] > 0.95
    assert metrics["loss"] < 0.3
    assert Evaluator(DIGITS)(model, "test")["accuracy"] > 0.9


def test_masks_hold_through_momentum_and_weight_decay():
    model = network()
    pruner = Pruner(model)
    pruner.step()
    Trainer(DIGITS, TRAINING, seed=0)(model, pruner, 0)
    assert pruner.remaining < pruner.total
    assert pruner.revived() == {}


def test_batches_depend_on_seed_and_iteration_alone():
    def trained(seed, iteration):
        torch.rand(3)
        model = network()
        Trainer(DIGITS, TRAINING, seed)(model, Pruner(model), iteration)
        return model.state_dict()["fc1.weight"]

    reference = trained(0, 1)
    assert torch.equal(reference, trained(0, 1))
    assert not torch.equal(reference, trained(0, 2))
    assert not torch.equal(reference, trained(1, 1))


def test_the_clipped_norm_counts_live_weights_only():
    """One weight, pruned, has a huge gradient: the other one's step must be as if it were not there."""
    inputs = torch.tensor([[1000.0, 1.0], [-1000.0, -1.0]])
    split = Split(inputs, torch.tensor([0, 1]))
    settings = Training(epochs=1, batch=2, lr=1.0, momentum=0, nesterov=False, weight_decay=0, clip=0.1)
    model = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(model.weight)
    pruner = Pruner(model)
    pruner.masks = {"weight": torch.tensor([[False, True], [False, True]])}
    Trainer(Dataset(split, split, split, classes=2), settings, seed=0)(model, pruner, 0)
    assert model.weight.detach().norm().item() == pytest.approx(0.1, rel=1e-4)


def test_evaluation_is_exact_and_leaves_the_mode_alone():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5))
    logits = torch.tensor([[0.0, math.log(3)], [math.log(3), 0.0], [0.0, math.log(3)]])
    found = evaluate(model.train(), Split(logits, torch.tensor([1, 1, 1])))
    assert found == {
        "accuracy": pytest.approx(2 / 3),
        "loss": pytest.approx((2 * math.log(4 / 3) + math.log(4)) / 3),
    }
    assert model.training
