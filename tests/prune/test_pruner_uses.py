"""What a `Pruner` serves besides Algorithm 1: plans, packed weights, own groups, wrapped and finished models."""

import copy

import pytest
import torch
from torch import nn

from pqi.prune import SAP, SCOPES, Floor, Fraction, Pruner, Target
from prune.networks import Everything, blobs, compiled, normalised, same


def test_a_plan_is_what_the_step_does():
    for scope in SCOPES:
        model = Everything()
        pruner = Pruner(model, amount=SAP(1.0, 2.0), scope=scope, floor=Floor(count=3))
        before = copy.deepcopy(model.state_dict())
        plan = pruner.plan()
        assert pruner.density() == 1
        assert same(before, model.state_dict())
        assert tuple(plan) == pruner.step().groups
        assert pruner.plan() != plan


def test_groups_of_ones_own_are_pruned_apart():
    model = Everything()
    pruner = Pruner(model, amount=Fraction(0.5), scope={"convolutions": ["stem.*", "*up*"], "rest": "*"})
    report = pruner.step()
    assert [group.name for group in report.groups] == ["convolutions", "rest"]
    for group in report.groups:
        assert group.pruned == group.total // 2
    convolutions = ["stem.weight", "grouped.weight", "up.weight", "up_grouped.weight"]
    live = sum(int(pruner.masks[name].sum()) for name in convolutions)
    assert live == report.groups[0].live - report.groups[0].pruned


@pytest.mark.parametrize(
    ("module", "inputs"),
    [
        (nn.MultiheadAttention(8, 2), lambda x: (x, x, x)),
        (nn.LSTM(8, 4, num_layers=2, bidirectional=True), lambda x: (x,)),
        (nn.GRU(8, 4), lambda x: (x,)),
        (nn.TransformerEncoderLayer(8, 2, 16), lambda x: (x,)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_packed_weights_are_plain_matrices(module, inputs):
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    pruner = Pruner(module, optimizer, amount=Target(0.5, 2), scope="neuron")
    assert all(weight.ndim == 2 for weight in pruner.weights().values())
    for _ in range(3):
        pruner.step()
        output = module(*inputs(torch.randn(5, 3, 8)))
        (output[0] if isinstance(output, tuple) else output).square().sum().backward()
        optimizer.step()
    assert pruner.remaining == pruner.total - pruner.total // 2
    assert pruner.revived() == {}


def test_a_finished_pruner_lets_go_of_a_plain_model():
    model = normalised()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pruner = Pruner(model, optimizer, amount=Fraction(0.5))
    pruner.step()
    nn.init.ones_(model.get_parameter("4.weight"))
    assert pruner.finish() is model
    assert int((model.get_parameter("4.weight") == 0).sum()) == int((~pruner.masks["4.weight"]).sum()) > 0
    assert not optimizer._optimizer_step_post_hooks
    assert not optimizer._optimizer_step_pre_hooks


def test_wrapped_models_are_pruned_under_their_own_names():
    model = normalised()
    pruner = Pruner(compiled(model), amount=Fraction(0.5), select=["4.*"])
    assert pruner.model is model
    assert pruner.masks.keys() == {"4.weight"}


def test_several_optimizers_are_held_together():
    model = normalised()
    first = torch.optim.SGD(model[0].parameters(), lr=0.1, momentum=0.9)
    second = torch.optim.AdamW(model[4].parameters(), weight_decay=0.1)
    pruner = Pruner(model, amount=Fraction(0.5))
    pruner.attach(first, second)
    x, y = blobs()
    for _ in range(3):
        nn.functional.cross_entropy(model(x), y).backward()
        first.step()
        second.step()
        pruner.step()
    assert pruner.revived() == {}
