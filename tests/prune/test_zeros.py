"""Masks from the zeros of a checkpoint."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from pqi.prune import Fraction, Pruner
from prune.networks import Tied, normalised, same


def test_a_pruned_checkpoint_brings_its_masks():
    model = normalised()
    pruner = Pruner(model, amount=Fraction(0.6))
    pruner.step()
    other = normalised(seed=4)
    again = Pruner(other)
    again.adopt_zeros(model.state_dict())
    assert same(again.masks, pruner.masks)
    assert again.revived() == {}
    assert torch.equal(other.get_parameter("0.weight") != 0, pruner.masks["0.weight"]), "values are not loaded"
    other.load_state_dict(model.state_dict())
    fresh = Pruner(other)
    fresh.adopt_zeros()
    assert same(fresh.masks, pruner.masks)


def test_every_zero_is_pruned_and_nothing_else():
    model = nn.Linear(4, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, -0.0, math.nan, 1e-45]]))
    pruner = Pruner(model)
    pruner.adopt_zeros()
    assert pruner.masks["weight"].tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("present", ["embedding.weight", "head.weight"])
def test_a_tied_weight_is_found_under_any_of_its_names(present):
    model = Tied()
    checkpoint = {"hidden.weight": torch.ones(6, 6), present: torch.eye(11, 6)}
    pruner = Pruner(model)
    pruner.adopt_zeros(checkpoint)
    assert torch.equal(pruner.masks["embedding.weight"], torch.eye(11, 6).bool())


def test_masks_of_torch_pruning_are_understood():
    model = normalised()
    names = [(model[0], "weight"), (model[4], "weight")]
    prune.global_unstructured(names, pruning_method=prune.L1Unstructured, amount=50)
    pruner = Pruner(normalised())
    pruner.adopt_zeros(model.state_dict())
    assert pruner.remaining == pruner.total - 50
    assert torch.equal(pruner.masks["0.weight"], model.get_buffer("0.weight_mask").bool())


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({"0.weight": torch.ones(16, 8)}, "checkpoint must hold every prunable weight, got none for '4.weight'"),
        (
            {"0.weight": torch.ones(16, 8), "4.weight": torch.ones(16, 3)},
            r"checkpoint\['4.weight'\] must have the weight's shape \(3, 16\), got \(16, 3\)",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_changes_nothing(checkpoint, message):
    pruner = Pruner(normalised())
    with pytest.raises(ValueError, match=message):
        pruner.adopt_zeros(checkpoint)
    assert pruner.density() == 1
