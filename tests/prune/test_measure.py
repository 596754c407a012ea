"""Statistics of groups against the definitions."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

import reference
from pqi.prune.measure import index_pairs, measure
from pqi.prune.scope import divide
from pqi.prune.select import prunable
from prune.networks import Everything, normalised, quantise


def random_masks(weights, live):
    return {name: torch.rand(weight.shape) < live for name, weight in weights.items()}


def members(model, scope):
    """Return, for each group in order, the flat positions it takes of each weight, by plain indexing."""
    groups = []
    everything = []
    for weight in prunable(model):
        cells = np.arange(math.prod(weight.shape)).reshape(weight.shape)
        if weight.blocks > 1:
            blocks = np.split(cells, weight.blocks, axis=0)
            rows = [block[:, unit] for block in blocks for unit in range(block.shape[1])]
        else:
            rows = list(np.moveaxis(cells, weight.output_axis, 0))
        per_scope = {"neuron": rows, "layer": [cells], "global": []}
        groups += [[(weight.name, row.ravel())] for row in per_scope[scope]]
        everything.append((weight.name, cells.ravel()))
    return [everything] if scope == "global" else groups


@pytest.mark.parametrize("scope", ["neuron", "layer", "global"])
@pytest.mark.parametrize(("p", "q", "eta"), [(0.5, 1.0, 0.0), (1.0, 2.0, 0.1)])
@pytest.mark.parametrize("live", [1.0, 0.6])
def test_every_scope_equals_the_definitions(scope, p, q, eta, live):
    model = Everything()
    quantise(model)
    weights = {weight.name: model.get_parameter(weight.name) for weight in prunable(model)}
    masks = random_masks(weights, live)
    found = [
        group for batch in divide(prunable(model), scope) for group in measure(batch, weights, masks, p=p, q=q, eta=eta)
    ]
    expected = members(model, scope)
    assert len(found) == len(expected)
    for group, parts in zip(found, expected, strict=True):
        flat = {name: weights[name].detach().numpy().ravel() for name, _ in parts}
        kept = [cells[masks[name].numpy().ravel()[cells]] for name, cells in parts]
        values = np.concatenate([flat[name][cells] for (name, _), cells in zip(parts, kept, strict=True)])
        assert group.total == sum(cells.size for _, cells in parts)
        assert (group.live, group.zeros) == (values.size, int((values == 0).sum()))
        assert group.index == pytest.approx(reference.index(values, p, q), abs=1e-12, nan_ok=True)
        assert group.gini == pytest.approx(reference.gini(values), abs=1e-12, nan_ok=True)
        bound = reference.retained_bound(values, p, q, eta=eta) if values.any() else math.nan
        assert group.bound == pytest.approx(bound, rel=1e-12, nan_ok=True)


def stats(values, p=0.5, q=1.0, mask=None):
    model = nn.Linear(values.numel(), 1, bias=False)
    weights = {"weight": values.reshape(1, -1)}
    masks = {"weight": torch.ones(1, values.numel(), dtype=torch.bool) if mask is None else mask.reshape(1, -1)}
    (group,) = measure(divide(prunable(model), "layer")[0], weights, masks, p=p, q=q)
    return group


def test_equal_magnitudes_stay_in_range():
    generator = torch.Generator().manual_seed(3)
    for d in range(1, 200):
        value = torch.rand((), generator=generator)
        for p, q in ((0.5, 1.0), (1.0, 2.0), (0.1, 1.0)):
            group = stats(value.expand(d), p, q)
            assert 0 <= group.index <= 1e-12
            assert d - 1e-9 <= group.bound <= d


def test_one_entry_reaches_the_upper_end_and_not_beyond():
    for d in (1, 2, 3, 7, 100, 4096):
        values = torch.zeros(d)
        values[d // 2] = 0.3
        group = stats(values)
        assert group.index <= 1 - d ** (1 / 1.0 - 1 / 0.5)
        assert group.bound == pytest.approx(1)


def test_all_zero_and_empty_groups_are_undefined():
    for group, live in ((stats(torch.zeros(5)), 5), (stats(torch.ones(5), mask=torch.zeros(5).bool()), 0)):
        assert (group.live, group.zeros) == (live, live)
        assert math.isnan(group.index)
        assert math.isnan(group.gini)
        assert math.isnan(group.bound)


@pytest.mark.parametrize("scope", ["neuron", "layer", "global"])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_live_nan_or_inf_names_the_tensor(scope, wrong):
    model = normalised()
    with torch.no_grad():
        model.get_parameter("4.weight")[1, :2] = wrong
    weights = dict(model.named_parameters())
    masks = {weight.name: torch.ones(weight.shape, dtype=torch.bool) for weight in prunable(model)}
    batch = divide(prunable(model), scope)[-1]
    with pytest.raises(ValueError, match=r"weight '4.weight' must be finite, got 2 NaN or infinite live values"):
        measure(batch, weights, masks)


def test_a_pruned_nan_does_not_count():
    masked = stats(torch.tensor([1.0, math.nan, 2.0, math.inf]), mask=torch.tensor([True, False, True, False]))
    assert masked == dataclasses.replace(stats(torch.tensor([1.0, 2.0])), total=4)


def test_a_pruned_nan_beside_zeros_is_undefined_and_not_an_error():
    group = stats(torch.tensor([0.0, math.nan, 0.0]), mask=torch.tensor([True, False, True]))
    assert (group.live, group.zeros) == (2, 2)
    assert math.isnan(group.bound)


def test_index_pairs():
    model = normalised()
    weights = {weight.name: model.get_parameter(weight.name) for weight in prunable(model)}
    masks = random_masks(weights, 0.5)
    (batch,) = divide(prunable(model), "global")
    pairs = ((1.0, 2.0), (0.5, 1.0), (0.5, 2.0))
    found = index_pairs(batch, weights, masks, pairs)
    values = np.concatenate([weights[name].detach().numpy()[masks[name].numpy()] for name in weights])
    assert [(entry.p, entry.q) for entry in found] == list(pairs)
    for entry in found:
        assert entry.index == pytest.approx(reference.index(values, entry.p, entry.q), abs=1e-12)
    assert index_pairs(batch, weights, masks, ()) == ()
