"""Training: the schedule, the order of masking and clipping, batches that methods share, and honest evaluation."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from experiment.tiny import TRAINING
from pqi.experiment import models
from pqi.experiment.config import Training
from pqi.experiment.data import Dataset, Split, load
from pqi.experiment.data.dataset import Normalisation
from pqi.experiment.place import Place
from pqi.experiment.train import Evaluator, Trainer, cosine, evaluate
from pqi.prune import Fraction, Pruner

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


def coloured(count=60, classes=3):
    """Return a data set of small coloured images whose classes can be told by their mean."""
    labels = torch.arange(count) % classes
    pixels = torch.randint(60, (count, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    images = (pixels + 60 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
    split = Split(images, labels, Normalisation((0.4, 0.4, 0.4), (0.2, 0.2, 0.2)))
    return Dataset(split, split, split, classes)


def trained_on(data, settings, *, iteration=0, workers=0):
    model = models.build("cnn", data.input_shape, data.classes, seed=0)
    metrics = Trainer(data, settings, seed=0, place=Place(workers=workers))(model, Pruner(model), iteration)
    return model.state_dict(), metrics


AUGMENTED = Training(epochs=2, batch=20, augment=True)


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_augmentation_is_a_function_of_seed_and_iteration():
    data = coloured()
    first, _ = trained_on(data, AUGMENTED)
    torch.rand(3)
    assert same(first, trained_on(data, AUGMENTED)[0])
    assert not same(first, trained_on(data, AUGMENTED, iteration=1)[0])
    assert not same(first, trained_on(data, replace(AUGMENTED, augment=False))[0])


def test_workers_change_no_bit():
    data = coloured()
    alone, metrics = trained_on(data, AUGMENTED)
    shared, others = trained_on(data, AUGMENTED, workers=2)
    assert same(alone, shared)
    assert metrics == others


def test_stored_pixels_are_normalised_before_the_network_sees_them():
    data, seen = coloured(), []
    model = models.build("linear", data.input_shape, data.classes, seed=0)
    model.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    Trainer(data, Training(epochs=1, batch=60), seed=0)(model, Pruner(model), 0)
    evaluate(model, data.test)
    expected = data.train.ready(data.train.inputs)
    assert torch.equal(seen[1], expected)
    assert torch.allclose(seen[0].sum(), expected.sum(), rtol=1e-4)
    assert seen[0].dtype == torch.float32


def test_mixed_precision_learns_keeps_masks_and_float32_weights():
    data = coloured()
    model = models.build("cnn", data.input_shape, data.classes, seed=0)
    pruner, types = Pruner(model, amount=Fraction(0.5)), set()
    pruner.step()
    model.get_submodule("conv2").register_forward_hook(lambda module, arguments, output: types.add(output.dtype))
    metrics = Trainer(data, Training(epochs=4, batch=20, lr=0.05, amp="bf16"), seed=0)(model, pruner, 0)
    assert types == {torch.bfloat16}
    assert metrics["accuracy"] > 0.8
    assert pruner.revived() == {}
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    types.clear()
    evaluate(model, data.test)
    assert types == {torch.float32}, "evaluation is in full precision"


def test_a_last_batch_of_one_image_does_not_stop_batch_normalisation():
    split = coloured(21).train
    model = models.build("resnet50", (3, 8, 8), 3, seed=0)
    settings = Training(epochs=1, batch=20)
    metrics = Trainer(Dataset(split, split, split, 3), settings, seed=0)(model, Pruner(model), 0)
    assert math.isfinite(metrics["loss"])


def test_scaled_gradients_are_masked_and_clipped_at_their_own_size():
    """Float16 takes nearly the steps of float32: its gradients, 65,536 times as large, are scaled back first."""
    data, settings = coloured(), Training(epochs=3, batch=20, lr=0.05, clip=0.1)
    weights = {}
    for amp in ("off", "fp16"):
        model = models.build("linear", data.input_shape, data.classes, seed=0)
        pruner = Pruner(model, amount=Fraction(0.5))
        pruner.step()
        start = model.get_parameter("classifier.weight").detach().clone()
        Trainer(data, replace(settings, amp=amp), seed=0)(model, pruner, 0)
        assert pruner.revived() == {}
        weights[amp] = model.get_parameter("classifier.weight").detach() - start
    assert weights["off"].norm() > 0.05
    assert (weights["off"] - weights["fp16"]).norm() < 0.02 * weights["off"].norm()
