"""The published rule against a transcription with sorts and quantiles, and where it differs from the paper's."""

import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from pqi.prune import SAP, SCOPES, Floor, Fraction, GroupStats, Pruner, Target
from pqi.prune.compat import published_count
from prune.networks import Everything, normalised, quantise, same

AMOUNTS = {"sap-0.5-1": SAP(), "sap-1-2": SAP(1.0, 2.0), "sap-clamped": SAP(gamma=9.0, eta=0.1), "lt": Fraction(0.2)}


def group(live, bound, index=0.2):
    return GroupStats(name="g", total=live, live=live, zeros=0, index=index, gini=0.3, bound=bound)


def rows(pruner, values):
    """Return `values` (by name) as one row per neuron, one row per layer, or one row of all."""
    (scope,) = [name for name in SCOPES if len(pruner.batches) and pruner.batches[0].names[0] in first_names(name)]
    flat = []
    for name, weight in pruner.weights().items():
        value = values[name]
        flat.append(value.reshape(len(weight), -1) if scope == "neuron" else value.reshape(1, -1))
    return [torch.cat([row.reshape(-1) for row in flat]).reshape(1, -1)] if scope == "global" else flat


def first_names(scope):
    return {"neuron": ["0.weight[0]"], "layer": ["0.weight"], "global": ["global"]}[scope]


def transcribed(pruner, ranking):
    """Return what the published rule keeps, tensor by tensor, with a sort or a quantile for each group."""
    stats = iter(pruner.measure())
    kept = []
    for values, live in zip(rows(pruner, ranking), rows(pruner, pruner.masks), strict=True):
        for row, mask in zip(values.abs(), live, strict=True):
            measured = next(stats)
            if math.isnan(measured.bound):
                kept.append(mask)
                continue
            if isinstance(pruner.amount, SAP):
                a, d = pruner.amount, torch.tensor(float(measured.live))
                si = torch.tensor(measured.index, dtype=torch.float32)
                m = torch.ceil(d * (1 + a.eta) ** (a.q / (a.p - a.q)) * (1 - si) ** (a.q * a.p / (a.q - a.p)))
                n = torch.floor(d * torch.clamp(a.gamma * (1 - m / d), 0, a.beta)).long()
                pivot = float(row[mask].sort().values[n])
            else:
                pivot = float(np.quantile(row[mask].double().numpy(), pruner.amount.share))
            kept.append(mask & ~(row.double() < pivot))
    flat = torch.cat(kept)
    parts = flat.split([mask.numel() for mask in pruner.masks.values()])
    return {name: part.reshape(pruner.masks[name].shape) for name, part in zip(pruner.masks, parts, strict=True)}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("amount", AMOUNTS.values(), ids=AMOUNTS)
@pytest.mark.parametrize("ties", [False, True])
def test_it_is_the_published_rule(scope, amount, ties):
    model = normalised()
    if ties:
        quantise(model)
    pruner = Pruner(model, amount=amount, scope=scope, compat="published")
    for _ in range(4):
        expected = transcribed(pruner, {name: weight.detach() for name, weight in pruner.weights().items()})
        before = pruner.remaining
        report = pruner.step()
        assert same(pruner.masks, expected)
        assert report.pruned == before - report.remaining == sum(group.pruned for group in report.groups)


def test_one_shot_ranks_by_other_weights():
    pruner = Pruner(normalised(), amount=Fraction(0.3), compat="published")
    ranking = {name: torch.rand(weight.shape) for name, weight in pruner.weights().items()}
    expected = transcribed(pruner, ranking)
    pruner.step(rank_by=ranking)
    assert same(pruner.masks, expected)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_kind_of_layer(scope):
    pruner = Pruner(Everything(), amount=SAP(1.0, 2.0), scope=scope, compat="published")
    before = pruner.remaining
    plan = pruner.plan()
    report = pruner.step()
    assert 0 < report.pruned == before - report.remaining
    assert [group.pruned for group in plan] == [group.pruned for group in report.groups], "no ties here"


def test_constant_weights_lose_nothing_where_the_default_is_exact():
    cases: tuple[tuple[Literal["published"] | None, int], ...] = (("published", 0), (None, 30))
    for compat, pruned in cases:
        model = nn.Linear(10, 10, bias=False)
        nn.init.constant_(model.weight, 0.3)
        assert Pruner(model, amount=Fraction(0.3), compat=compat).step().pruned == pruned


def test_four_bit_weights_lose_less_than_asked_where_the_default_is_exact():
    cases: tuple[tuple[Literal["published"] | None, bool], ...] = (("published", False), (None, True))
    for compat, exact in cases:
        torch.manual_seed(0)
        model = nn.Linear(100, 100, bias=False)
        with torch.no_grad():
            model.weight.copy_(torch.randint(-7, 8, (100, 100)) / 7)
        share = Pruner(model, amount=Fraction(0.3), compat=compat).step().pruned / 10000
        assert (share == 0.3) is exact
        assert 0.18 < share <= 0.3


def test_small_groups_are_off_by_one_where_the_default_is_exact():
    """SAP(½, 1) asks for d·I weights; the published floats and the rounded bound lose one in many groups."""
    off = 0
    for d in range(5, 1005):
        count = d // 5
        exact_group = group(d, float(d - count), index=count / d)
        assert SAP().quota(exact_group).count == count
        published = published_count(SAP(), exact_group).count
        assert count - published in (0, 1, 2), "the ceiling and the floor take one each"
        off += count > published
    assert 300 < off < 600
    asked = {index: SAP(beta=1.0).quota(group(5, 5 - 5 * index)).count for index in (0.2, 0.4, 0.6, 0.8)}
    given = {index: published_count(SAP(beta=1.0), group(5, 0.0, index=index + 1e-3)).count for index in asked}
    assert list(zip(asked.values(), given.values(), strict=True)) == [(1, 0), (2, 1), (3, 3), (4, 4)]


def test_the_quantile_of_a_baseline_is_not_its_share():
    """⌈P(d − 1)⌉ weights lie below the interpolated quantile; ⌊P·d⌋ are asked for."""
    plan = Pruner(nn.Linear(11, 1), amount=Fraction(0.25), compat="published").plan()
    assert (plan[0].pruned, Pruner(nn.Linear(11, 1), amount=Fraction(0.25)).plan()[0].pruned) == (3, 2)


def test_a_group_is_never_pruned_completely():
    one = group(10, 0.0, index=1.0)
    assert (published_count(SAP(beta=1.0), one).count, SAP(beta=1.0).quota(one).count) == (9, 10)


def test_empty_and_all_zero_groups_lose_nothing():
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight[1] = 0
    for amount, lost in ((SAP(1.0, 2.0), None), (Fraction(0.5), 2)):
        pruner = Pruner(model, amount=amount, scope="neuron", compat="published")
        pruner.masks = {"weight": torch.tensor([[True] * 4, [True] * 4, [False] * 4])}
        groups = pruner.step().groups
        assert [group.pruned for group in groups[1:]] == [0, 0]
        assert lost is None or groups[0].pruned == lost


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"compat": "old"}, ValueError, "compat must be 'published' or None, got 'old'"),
        ({"compat": "published", "floor": Floor(3)}, ValueError, "floor must be left out with compat='published'"),
        (
            {"compat": "published", "amount": Target(0.5, 2)},
            TypeError,
            "amount must be SAP or Fraction with compat='published', got Target",
        ),
    ],
)
def test_what_the_published_code_does_not_know(options, error, message):
    with pytest.raises(error, match=message):
        Pruner(normalised(), **options)
