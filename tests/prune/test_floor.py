"""Floors hold, in groups and in the tensors of a group, and cost the smallest magnitudes elsewhere."""

import math

import pytest
import torch
from torch import nn

from pqi.prune import SCOPES, Floor, Fraction, Pruner
from pqi.prune.floor import floor_of
from prune.networks import Everything, normalised, quantise


def test_the_larger_of_count_and_share_rounded_up():
    assert [Floor(3, 0.1).of(n) for n in (0, 2, 10, 30, 31, 40)] == [0, 2, 3, 3, 4, 4]
    assert [Floor(share=0.07).of(n) for n in (100, 101)] == [7, 8]
    assert Floor().of(100) == 0


@pytest.mark.parametrize("scope", SCOPES)
def test_every_group_and_tensor_keeps_its_floor(scope):
    pruner = Pruner(Everything(), amount=Fraction(0.5), scope=scope, floor=Floor(count=2, share=0.1))
    for _ in range(12):
        report = pruner.step()
    assert all(group.live >= math.ceil(group.total / 10) for group in pruner.measure())
    assert all(int(mask.sum()) >= math.ceil(mask.numel() / 10) for mask in pruner.masks.values())
    assert all(group.floored for group in report.groups)
    assert report.pruned == 0


def test_no_floor_is_reported_where_none_was_needed():
    report = Pruner(normalised(), amount=Fraction(0.5), floor=Floor(count=2)).step()
    assert report.pruned == 88
    assert not any(group.floored for group in report.groups)


@pytest.mark.parametrize("ties", [False, True])
def test_a_tensor_floor_within_a_group_keeps_the_largest_of_the_tensor_then_the_largest_of_all(ties):
    model = normalised()
    if ties:
        quantise(model)
    with torch.no_grad():
        model.get_parameter("0.weight").add_(0.01 if ties else 0).mul_(100)
    values = {name: model.get_parameter(name).detach().abs().reshape(-1) for name in ("0.weight", "4.weight")}
    pruner = Pruner(model, amount=Fraction(0.5), floor={"4.weight": Floor(count=20)})
    report = pruner.step()
    assert report.pruned == 88, "the count is the amount's: a floor moves it to other tensors"
    assert [int(mask.sum()) for mask in pruner.masks.values()] == [68, 20]
    for name, kept in (("0.weight", 68), ("4.weight", 20)):
        order = values[name].argsort(descending=True, stable=True)[:kept]
        assert torch.equal(pruner.masks[name].reshape(-1).nonzero()[:, 0], order.sort().values)


def test_without_the_floor_that_layer_would_be_gone():
    model = normalised()
    with torch.no_grad():
        model.get_parameter("0.weight").mul_(100)
    pruner = Pruner(model, amount=Fraction(0.5))
    pruner.step()
    assert int(pruner.masks["4.weight"].sum()) == 0


def test_the_first_pattern_that_fits_counts():
    floors = {"4.weight": Floor(1), "*.weight": Floor(2), "*": Floor(3)}
    assert [floor_of(floors, name).count for name in ("4.weight", "0.weight", "global")] == [1, 2, 3]
    assert floor_of({"a": Floor(1)}, "b") == Floor()
    assert floor_of({"fc.weight[3]": Floor(1)}, "fc.weight[3]") == Floor(1)


def test_a_group_that_is_below_its_floor_keeps_what_it_has():
    pruner = Pruner(nn.Linear(10, 2), amount=Fraction(0.5), scope="neuron", floor=Floor(share=0.5))
    pruner.masks = {"weight": torch.arange(20).reshape(2, 10) % 10 < torch.tensor([[3], [8]])}
    assert [group.pruned for group in pruner.step().groups] == [0, 3]


def test_one_shot_respects_floors_by_the_ranking():
    model = normalised()
    ranking = {name: torch.rand(weight.shape) for name, weight in Pruner(model).weights().items()}
    ranking["4.weight"] *= 1e-3
    pruner = Pruner(model, amount=Fraction(0.75), floor=Floor(share=0.25))
    pruner.step(rank_by=ranking)
    assert [int(mask.sum()) for mask in pruner.masks.values()] == [32, 12]
    top = ranking["4.weight"].reshape(-1).argsort(descending=True)[:12]
    assert pruner.masks["4.weight"].reshape(-1)[top].all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Floor(count=-1), "count must be >= 0, got -1"),
        (lambda: Floor(share=1.5), "share must satisfy 0 <= share <= 1, got 1.5"),
        (
            lambda: Pruner(normalised(), floor={"fc.*": Floor(1)}),
            r"floor must name groups or tensors of a group, got 'fc.\*', which fits none",
        ),
        (
            lambda: Pruner(normalised(), scope="neuron", floor={"4.weight": Floor(1)}),
            r"floor must name groups or tensors of a group, got '4.weight', which fits none",
        ),
    ],
)
def test_errors_name_value_and_rule(make, message):
    with pytest.raises(ValueError, match=message):
        make()
