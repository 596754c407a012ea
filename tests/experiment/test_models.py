"""Parameter counts of the paper's models, their initial weights, and who decides them."""

import pytest
import torch
from torch import nn

from pqi.experiment import models
from pqi.prune import Pruner


@pytest.mark.parametrize(
    ("name", "shape", "parameters", "prunable", "tensors", "neurons"),
    [
        ("linear", (3, 32, 32), 30_730, 30_720, 1, 10),
        ("mlp", (3, 32, 32), 428_938, 428_544, 3, 394),
        ("mlp", (1, 28, 28), 136_074, 135_680, 3, 394),
        ("linear", (1, 8, 8), 650, 640, 1, 10),
        ("mlp", (1, 8, 8), 43_914, 43_520, 3, 394),
    ],
)
def test_parameter_counts(name, shape, parameters, prunable, tensors, neurons):
    model = models.build(name, shape, 10, seed=0)
    pruner = Pruner(model, scope="neuron")
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert pruner.total == prunable
    assert len(pruner.masks) == tensors
    assert len(pruner.measure()) == neurons
    assert model(torch.zeros(2, *shape)).shape == (2, 10)


def test_weights_follow_the_seed_and_biases_are_zero():
    first, again, other = (models.build("mlp", (1, 8, 8), 10, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["fc1.weight"], other["fc1.weight"])
    assert all(first[name].count_nonzero() == 0 for name in first if name.endswith("bias"))
    bound = 1 / 64**0.5
    assert first["fc1.weight"].abs().max() <= bound
    assert first["fc1.weight"].std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_building_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    models.build("mlp", (1, 8, 8), 10, seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_hidden_widths_can_be_chosen():
    layers = models.mlp((2, 3), 4, hidden=(5, 6, 7)).children()
    widths = [module.out_features for module in layers if isinstance(module, nn.Linear)]
    assert widths == [5, 6, 7, 4]


def test_unknown_models_are_refused():
    with pytest.raises(ValueError, match="model must be one of linear, mlp, got 'cnn'"):
        models.build("cnn", (1, 8, 8), 10, seed=0)
