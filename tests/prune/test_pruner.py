"""Pruning steps against a brute-force reference, and the contract of `Pruner`."""

import copy
import dataclasses
import fractions
import math

import numpy as np
import pytest
import torch
from torch import nn

import reference
from pqi.prune import SAP, SCOPES, Fraction, Pruner
from pqi.prune.select import prunable
from prune.networks import Everything, blobs, normalised, quantise, same

AMOUNTS = {
    "sap-0.5-1": SAP(),
    "sap-1-2": SAP(1.0, 2.0),
    "sap-eta-gamma": SAP(0.5, 1.0, eta=0.1, gamma=1.7, beta=0.57),
    "fraction": Fraction(0.2),
}


def owners(weights, scope):
    """Label every weight with its group, one integer array per tensor."""
    labels, count = {}, 0
    for weight in weights:
        shape = np.empty(weight.shape)
        if scope == "neuron" and weight.blocks > 1:
            block = np.arange(weight.shape[0]) // (weight.shape[0] // weight.blocks)
            unit = block[:, None] * weight.shape[1] + np.arange(weight.shape[1])[None]
            unit = unit.reshape(*unit.shape, *[1] * (shape.ndim - 2))
        else:
            unit = np.arange(weight.shape[weight.output_axis])
            unit = unit.reshape([-1 if axis == weight.output_axis else 1 for axis in range(shape.ndim)])
        if scope != "neuron":
            unit = np.zeros_like(unit)
        labels[weight.name] = np.broadcast_to(unit, weight.shape) + count
        if scope != "global":
            count = labels[weight.name].max() + 1
    return labels


def brute_force(weights, masks, labels, amount, counts, ranking=None):
    """Return the next masks, weight by weight: definitions, rational arithmetic and a stable sort.

    `counts` are the driver's; where the bound is an integer, they may be off by one as the index is by a last bit.
    """
    names = list(weights)
    values = np.concatenate([weights[name].ravel() for name in names])
    live = np.concatenate([masks[name].ravel() for name in names])
    label = np.concatenate([labels[name].ravel() for name in names])
    ranked = values if ranking is None else np.concatenate([ranking[name].ravel() for name in names])
    for group, count in zip(np.unique(label), counts, strict=True):
        members = np.flatnonzero(live & (label == group))
        assert count in expected_counts(values[members], amount)
        keep = reference.topk_mask(ranked[members], members.size - count)
        live[members[~keep]] = False
    cuts = np.cumsum([weights[name].size for name in names])[:-1]
    return {name: part.reshape(weights[name].shape) for name, part in zip(names, np.split(live, cuts), strict=True)}


def expected_counts(values, amount):
    """Return the counts that the definitions allow for one group."""
    d = values.size
    if not values.any():
        return {0}
    if isinstance(amount, Fraction):
        return {math.floor(d * fractions.Fraction(str(amount.share)))}
    r = reference.retained_bound(values, amount.p, amount.q, eta=amount.eta)
    gamma, beta = (fractions.Fraction(str(value)) for value in (amount.gamma, amount.beta))
    bounds = (min(fractions.Fraction(r * (1 + error)), fractions.Fraction(d)) for error in (-1e-12, 1e-12))
    return {math.floor(d * min(gamma * (1 - bound / d), beta)) for bound in bounds}


def as_numpy(tensors):
    return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("amount", AMOUNTS.values(), ids=AMOUNTS)
@pytest.mark.parametrize("ties", [False, True])
def test_steps_equal_brute_force(scope, amount, ties):
    model = Everything()
    if ties:
        quantise(model)
    pruner = Pruner(model, amount=amount, scope=scope)
    labels = owners(prunable(model), scope)
    masks = as_numpy(pruner.masks)
    for _ in range(3):
        weights = as_numpy(pruner.weights())
        counts = [group.pruned for group in pruner.step().groups]
        masks = brute_force(weights, masks, labels, amount, counts)
        for name, mask in pruner.masks.items():
            np.testing.assert_array_equal(mask.numpy(), masks[name], err_msg=name)
        with torch.no_grad():
            for weight in pruner.weights().values():
                weight.mul_(1 + (torch.rand(weight.shape) > 0.5))
            pruner.apply()


@pytest.mark.parametrize("scope", SCOPES)
def test_one_shot_ranks_by_other_weights(scope):
    model = Everything()
    ranking = {name: torch.rand(weight.shape) for name, weight in Pruner(model).weights().items()}
    pruner = Pruner(model, amount=Fraction(0.2), scope=scope)
    before = as_numpy(pruner.weights())
    report = pruner.step(rank_by={**ranking, "stem.bias": torch.zeros(4)})
    counts = [group.pruned for group in report.groups]
    everything = {name: np.ones(weight.shape, dtype=bool) for name, weight in before.items()}
    labels = owners(prunable(model), scope)
    expected = brute_force(before, everything, labels, Fraction(0.2), counts, ranking=as_numpy(ranking))
    for name, mask in pruner.masks.items():
        np.testing.assert_array_equal(mask.numpy(), expected[name])
        np.testing.assert_array_equal(
            pruner.weights()[name].detach().numpy(), np.where(expected[name], before[name], 0)
        )


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("amount", AMOUNTS.values(), ids=AMOUNTS)
def test_reports_add_up(scope, amount):
    pruner = Pruner(normalised(), amount=amount, scope=scope)
    for _ in range(3):
        before, measured = pruner.remaining, pruner.measure()
        report = pruner.step()
        assert [group.name for group in report.groups] == [group.name for group in measured]
        assert [(g.live, g.index, g.gini, g.bound) for g in report.groups] == [
            (g.live, g.index, g.gini, g.bound) for g in measured
        ]
        assert sum(group.live for group in report.groups) == before
        assert sum(group.pruned for group in report.groups) == report.pruned == before - report.remaining
        assert sum(group.total for group in report.groups) == report.total == pruner.total == 8 * 16 + 16 * 3
        assert report.remaining == pruner.remaining == int(sum(mask.sum() for mask in pruner.masks.values()))
        assert pruner.density() == report.remaining / report.total
        assert pruner.revived() == {}


def test_constant_weights_lose_nothing_under_sap_and_an_exact_share_under_a_fraction():
    for value in (0.1, 0.3, 1e-30):
        model = nn.Linear(10, 10, bias=False)
        nn.init.constant_(model.weight, value)
        assert Pruner(model).step().pruned == 0
        assert Pruner(model, amount=Fraction(0.3)).step().pruned == 30
        assert model.weight.reshape(-1)[:70].all(), "ties keep the lowest flat index"


@pytest.mark.parametrize("scope", SCOPES)
def test_pruned_weights_stay_pruned_whatever_the_ranking(scope):
    pruner = Pruner(Everything(), amount=Fraction(0.2), scope=scope)
    for _ in range(4):
        before = pruner.masks
        report = pruner.step(rank_by={name: torch.rand(weight.shape) for name, weight in pruner.weights().items()})
        assert not any((pruner.masks[name] & ~mask).any() for name, mask in before.items())
        assert report.remaining == sum(group.live - group.pruned for group in report.groups) == pruner.remaining


@pytest.mark.parametrize(("count", "pruned"), [(-3, 0), (1000, 40)])
def test_counts_of_any_amount_are_clamped(count, pruned):
    class Wild(SAP):
        def quota(self, group):
            return dataclasses.replace(super().quota(group), count=count)

    assert Pruner(nn.Linear(10, 4), amount=Wild()).step().pruned == pruned


def test_four_bit_weights_lose_the_exact_share():
    model = nn.Linear(100, 100, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.randint(-7, 8, (100, 100)) / 7)
    assert Pruner(model, amount=Fraction(0.3)).step().pruned == 3000


def test_an_rgb_stem_is_pruned_to_the_end_in_neuron_scope():
    pruner = Pruner(nn.Conv2d(3, 16, 3), amount=Fraction(0.2), scope="neuron")
    for _ in range(20):
        pruner.step()
    assert {group.live for group in pruner.measure()} == {4}, "27 weights, a fifth of the rest at a time"


def test_all_zero_and_empty_groups_are_reported_and_lose_nothing():
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight[1] = 0
    pruner = Pruner(model, amount=Fraction(0.5), scope="neuron")
    pruner.masks = {"weight": torch.tensor([[True] * 4, [True] * 4, [False] * 4])}
    report = pruner.step()
    assert [group.live for group in report.groups] == [4, 4, 0]
    assert [group.pruned for group in report.groups] == [2, 0, 0]
    assert [math.isnan(group.index) for group in report.groups] == [False, True, True]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_nan_weight_raises_and_changes_nothing(scope):
    model = normalised()
    pruner = Pruner(model, amount=Fraction(0.2), scope=scope)
    with torch.no_grad():
        model.get_parameter("4.weight")[2, 3] = math.nan
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"weight '4.weight' must be finite, got 1 NaN or infinite live values"):
        pruner.step()
    assert pruner.density() == 1
    assert all(
        torch.equal(a.nan_to_num(9), b.nan_to_num(9))
        for a, b in zip(before.values(), model.state_dict().values(), strict=True)
    )


def test_rewind_restores_everything_under_the_masks():
    model = normalised()
    initial = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-3)
    pruner = Pruner(model, optimizer, amount=Fraction(0.5))
    x, y = blobs()
    for _ in range(3):
        for _ in range(4):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        pruner.step()
        assert not torch.equal(model.get_buffer("1.running_mean"), initial["1.running_mean"])
        pruner.rewind()
        masks = pruner.masks
        expected = {name: value * masks[name] if name in masks else value for name, value in initial.items()}
        assert same(model.state_dict(), expected)
    assert model[1].num_batches_tracked == 0


def test_measure_takes_other_exponents_and_scopes():
    pruner = Pruner(normalised(), amount=SAP(1.0, 2.0), scope="neuron")
    (whole,) = pruner.measure(scope="global")
    assert whole.total == pruner.total
    assert [group.name for group in pruner.measure(scope="layer")] == ["0.weight", "4.weight"]
    assert pruner.measure(p=1.0, q=2.0) == pruner.measure()
    assert pruner.measure(p=0.5, q=1.0) != pruner.measure()
    assert pruner.indices([(1.0, 2.0)])[0].index == pytest.approx(whole.index, abs=1e-12)
    with pytest.raises(ValueError, match="p must satisfy 0 < p < q < inf, got p=2.0, q=1.0"):
        pruner.measure(p=2.0, q=1.0)


def test_a_pruner_can_be_saved_and_loaded(tmp_path):
    model = normalised()
    pruner = Pruner(model, amount=Fraction(0.5))
    pruner.step()
    torch.save(pruner.state_dict(), tmp_path / "pruner.pt")
    other = normalised(seed=1)
    loaded = Pruner(other)
    loaded.load_state_dict(torch.load(tmp_path / "pruner.pt", weights_only=True))
    assert same(loaded.masks, pruner.masks)
    assert loaded.revived() == {}
    loaded.rewind()
    pruner.rewind()
    assert same(other.state_dict(), model.state_dict())


def test_a_state_of_another_model_is_refused():
    pruner = Pruner(normalised())
    before = pruner.masks
    with pytest.raises(ValueError, match="must be those of the snapshot"):
        pruner.load_state_dict(Pruner(nn.Linear(2, 2)).state_dict())
    assert same(pruner.masks, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ranking: ranking.pop("4.weight"), r"rank_by must hold every prunable weight, got none for '4.weight'"),
        (
            lambda ranking: ranking.update({"4.weight": torch.ones(16, 3)}),
            r"rank_by\['4.weight'\] must have the weight's shape \(3, 16\), got \(16, 3\)",
        ),
        (
            lambda ranking: ranking.update({"4.weight": torch.full((3, 16), math.nan)}),
            r"weight '4.weight' must be finite, got 48 NaN or infinite live values",
        ),
    ],
)
def test_a_wrong_ranking_is_refused(change, message):
    pruner = Pruner(normalised(), amount=Fraction(0.5))
    ranking = {name: torch.rand(weight.shape) for name, weight in pruner.weights().items()}
    change(ranking)
    with pytest.raises(ValueError, match=message):
        pruner.step(rank_by=ranking)
    assert pruner.density() == 1


def test_selected_parameters_only():
    model = normalised()
    pruner = Pruner(model, amount=Fraction(0.5), select=["4.weight"])
    pruner.step()
    assert pruner.masks.keys() == {"4.weight"}
    assert model.get_parameter("0.weight").all()


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="scope must be one of"):
        Pruner(normalised(), scope="channel")
    with pytest.raises(ValueError, match="select must choose at least one parameter"):
        Pruner(nn.BatchNorm1d(3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_dtypes(dtype):
    model = nn.Linear(40, 10).to(dtype)
    report = Pruner(model, amount=Fraction(0.25)).step()
    assert report.pruned == 100
    assert int((model.weight == 0).sum()) >= 100


def test_a_layout_in_memory_changes_nothing():
    plain = nn.Conv2d(4, 6, 3)
    strided = copy.deepcopy(plain)
    strided.weight.data = strided.weight.data.to(memory_format=torch.channels_last)
    assert not strided.weight.is_contiguous()
    for scope in SCOPES:
        left, right = (Pruner(model, amount=SAP(gamma=1.5), scope=scope) for model in (plain, strided))
        assert left.step() == right.step()
        assert same(left.masks, right.masks)
