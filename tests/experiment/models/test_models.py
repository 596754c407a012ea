"""Parameter counts of the paper's models, their initial weights, and who decides them."""

import math

import pytest
import torch
from torch import nn

from pqi.experiment import models
from pqi.experiment.models.mlp import mlp
from pqi.prune import Pruner

CIFAR, FASHION, TINY, DIGITS = (3, 32, 32), (1, 28, 28), (3, 64, 64), (1, 8, 8)


@pytest.mark.parametrize(
    ("name", "shape", "parameters", "prunable", "tensors", "neurons"),
    [
        ("linear", CIFAR, 30_730, 30_720, 1, 10),
        ("mlp", CIFAR, 428_938, 428_544, 3, 394),
        ("cnn", CIFAR, 1_558_026, 1_555_136, 5, 970),
        ("resnet18", CIFAR, 11_172_170, 11_164_352, 21, 4_810),
        ("resnet50", CIFAR, 23_528_522, 23_475_392, 54, 26_570),
        ("wresnet28x8", CIFAR, 23_354_842, 23_340_464, 29, 8_090),
        ("mlp", FASHION, 136_074, 135_680, 3, 394),
        ("linear", DIGITS, 650, 640, 1, 10),
        ("mlp", DIGITS, 43_914, 43_520, 3, 394),
    ],
)
def test_parameter_counts_are_the_papers(name, shape, parameters, prunable, tensors, neurons):
    model = models.build(name, shape, 10, seed=0)
    pruner = Pruner(model, scope="neuron")
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert pruner.total == prunable
    assert len(pruner.masks) == tensors
    assert sum(len(batch.names) for batch in pruner.batches) == neurons


@pytest.mark.parametrize("shape", [DIGITS, FASHION, CIFAR, TINY])
@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "resnet18", "resnet50", "wresnet28x8"])
def test_every_model_takes_every_input(name, shape):
    model = models.build(name, shape, 7, seed=0)
    with torch.inference_mode():
        assert model(torch.zeros(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize("name", models.MODELS)
def test_every_parameter_and_every_pixel_counts(name):
    torch.manual_seed(0)
    model = models.build(name, (1, 16, 16), 3, seed=0)
    inputs = torch.randn(4, 1, 16, 16, requires_grad=True)
    nn.functional.cross_entropy(model(inputs), torch.tensor([0, 1, 2, 0])).backward()
    gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
    assert [key for key, grad in gradients.items() if grad is None or not grad.isfinite().all() or not grad.any()] == []
    assert inputs.grad is not None
    assert inputs.grad.count_nonzero() > 0.9 * inputs.numel()


def test_weights_follow_the_seed_and_biases_are_zero():
    first, again, other = (models.build("mlp", DIGITS, 10, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["fc1.weight"], other["fc1.weight"])
    assert all(first[name].count_nonzero() == 0 for name in first if name.endswith("bias"))
    bound = 1 / 64**0.5
    assert first["fc1.weight"].abs().max() <= bound
    assert first["fc1.weight"].std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_convolutions_are_kaiming_normal_by_their_fan_out():
    model = models.build("resnet18", CIFAR, 10, seed=0)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    for module in convolutions:
        fan_out = module.out_channels * math.prod(module.kernel_size)
        deviation = module.weight.detach().std().item()
        assert deviation == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    assert len(convolutions) == 20
    again, other = (models.build("resnet18", CIFAR, 10, seed=seed).state_dict()["stem.weight"] for seed in (0, 1))
    assert torch.equal(again, model.state_dict()["stem.weight"])
    assert not torch.equal(other, again)


def test_classifiers_start_without_bias():
    for name in models.MODELS:
        assert models.build(name, CIFAR, 10, seed=0).state_dict()["classifier.bias"].count_nonzero() == 0


def test_building_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    models.build("cnn", DIGITS, 10, seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_hidden_widths_can_be_chosen():
    layers = mlp((2, 3), 4, hidden=(5, 6, 7)).children()
    widths = [module.out_features for module in layers if isinstance(module, nn.Linear)]
    assert widths == [5, 6, 7, 4]


def test_unknown_models_are_refused():
    with pytest.raises(ValueError, match="model must be one of linear, mlp, cnn, .*, got 'vgg'"):
        models.build("vgg", DIGITS, 10, seed=0)
