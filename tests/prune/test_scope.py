"""Groups: who belongs to which, against what the layers compute."""

import math

import pytest
import torch
from torch import nn

from pqi.prune.scope import SCOPES, Batch, divide
from pqi.prune.select import prunable
from prune.networks import Everything, normalised


def membership(model, scope):
    """Return, for each group's name, masks that are True at its members, found by keeping only that group."""
    weights = prunable(model)
    dense = {weight.name: torch.ones(weight.shape) for weight in weights}
    live = {name: tensor.bool() for name, tensor in dense.items()}
    found = {}
    for batch in divide(weights, scope):
        for chosen, group in enumerate(batch.names):
            counts = [batch.size * (i == chosen) for i in range(len(batch.names))]
            found[group] = batch.keep(dense, live, counts)
    return found


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(5, 4), (5,)),
        (nn.Conv1d(4, 6, 3), (4, 8)),
        (nn.Conv2d(4, 6, 3, groups=2), (4, 8, 8)),
        (nn.ConvTranspose1d(4, 6, 3), (4, 8)),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), (4, 8, 8)),
        (nn.ConvTranspose3d(6, 9, 2, groups=3), (6, 3, 3, 3)),
    ],
)
def test_a_neuron_is_what_reaches_its_output(module, shape):
    output = module(torch.rand(1, *shape) + 1)[0]
    units = membership(module, "neuron")
    assert len(units) == output.shape[0]
    for unit, channel in enumerate(output):
        (gradient,) = torch.autograd.grad(channel.sum(), module.weight, retain_graph=True)
        assert torch.equal(units[f"weight[{unit}]"]["weight"], gradient != 0)


def test_an_embedding_row_is_a_neuron():
    module = nn.Embedding(4, 3)
    units = membership(module, "neuron")
    assert list(units) == [f"weight[{row}]" for row in range(4)]
    assert torch.equal(units["weight[2]"]["weight"].sum(1), torch.tensor([0, 0, 3, 0]))


@pytest.mark.parametrize("scope", SCOPES)
def test_groups_are_a_partition(scope):
    model = Everything()
    groups = membership(model, scope)
    for weight in prunable(model):
        owners = sum(group[weight.name].int() for group in groups.values() if weight.name in group)
        assert torch.equal(owners, torch.ones(weight.shape, dtype=torch.int32))


@pytest.mark.parametrize(("scope", "groups"), [("neuron", 19), ("layer", 2), ("global", 1)])
def test_sizes_and_names(scope, groups):
    weights = prunable(normalised())
    batches = divide(weights, scope)
    total = sum(math.prod(weight.shape) for weight in weights)
    assert sum(len(batch.names) for batch in batches) == groups
    assert sum(len(batch.names) * batch.size for batch in batches) == total


def test_scopes_have_the_documented_names():
    weights = prunable(normalised())
    assert divide(weights, "neuron")[0].names[3] == "0.weight[3]"
    assert [batch.names for batch in divide(weights, "layer")] == [("0.weight",), ("4.weight",)]
    assert [batch.names for batch in divide(weights, "global")] == [("global",)]


def test_one_call_per_tensor_or_less():
    weights = prunable(Everything())
    assert [len(divide(weights, scope)) for scope in ("neuron", "layer", "global")] == [6, 6, 1]


def test_nothing_is_copied():
    model = Everything()
    parameters = dict(model.named_parameters())
    for batch in divide(prunable(model), "neuron"):
        assert batch.operand(parameters).data_ptr() == parameters[batch.members[0]].data_ptr()


def test_a_scope_of_ones_own():
    weights = prunable(normalised())
    first = Batch(("first",), (weights[0].name,), math.prod(weights[0].shape))
    assert divide(weights, lambda given: [first] if given == weights else []) == [first]


def test_ties_keep_the_lowest_flat_index():
    batch = divide(prunable(nn.Linear(4, 2)), "neuron")[0]
    kept = batch.keep({"weight": torch.ones(2, 4)}, {"weight": torch.ones(2, 4, dtype=torch.bool)}, [1, 3])
    assert kept["weight"].tolist() == [[True, False, False, False], [True, True, True, False]]


def test_unknown_scope():
    with pytest.raises(
        ValueError, match="scope must be one of 'neuron', 'layer', 'global' or a function, got 'filter'"
    ):
        divide(prunable(normalised()), "filter")


def test_groups_from_patterns():
    weights = prunable(Everything())
    batches = divide(weights, {"head": "head.*", "convolutions": ["stem.*", "*grouped*"], "rest": "*"})
    assert [(batch.names, batch.members) for batch in batches] == [
        (("head",), ("head.weight",)),
        (("convolutions",), ("stem.weight", "grouped.weight", "up_grouped.weight")),
        (("rest",), ("up.weight", "embedding.weight")),
    ]
    assert sum(batch.size for batch in batches) == sum(math.prod(weight.shape) for weight in weights)


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ({"first": "0.*"}, r"scope must have a group for every weight \(\* for the rest\), got none for '4.weight'"),
        ({"all": "*", "last": "4.*"}, "every group of scope must have a weight, got none for 'last'"),
        (lambda weights: [*divide(weights, "layer"), *divide(weights, "global")], "one batch, got 2 for '0.weight'"),
    ],
)
def test_groups_that_do_not_fit_the_weights(scope, message):
    with pytest.raises(ValueError, match=message):
        divide(prunable(normalised()), scope)
