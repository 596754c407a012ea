"""Algorithm 1: the order of events, One Shot's rules, and runs that resume bit for bit."""

import copy
import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pqi.prune import METHODS, SAP, SCOPES, Floor, Fraction, Memory, Method, Pruner, Target, run_loop
from prune.networks import normalised, same
from prune.training import HELD_OUT, InterruptedTrainingError, OnDisk, evaluate, seed_all, start, train


@pytest.mark.parametrize("method", METHODS)
def test_trainings_prunings_and_evaluations(method):
    events = []

    def recorded_train(model, pruner, iteration):
        events.append(("train", iteration, pruner.remaining))
        return train(model, pruner, iteration)

    def recorded_evaluate(model, split):
        events.append(
            ("evaluate", split, int(sum((p != 0).sum() for n, p in model.named_parameters() if n in weights)))
        )
        return evaluate(model, split)

    weights = {"0.weight", "4.weight"}
    _, loop = start(method, train=recorded_train, evaluate=recorded_evaluate, splits=("test",))
    records = list(loop)
    live = [record.retrained.weights.live for record in records]
    assert live[0] == records[0].retrained.weights.total
    assert live == sorted(live, reverse=True)
    expected: list[tuple[str, int | str, int]] = []
    for t in range(4):
        if METHODS[method].ranking == "dense" and 0 < t < 3:
            expected += [("evaluate", "test", live[t])]
        expected += [("train", t, live[t]), ("evaluate", "test", live[t])]
        expected += [("evaluate", "test", live[t + 1])] if t < 3 else []
    assert events == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scope", SCOPES)
def test_records_agree_with_each_other(method, scope):
    _, loop = start(method, scope=scope)
    records = list(loop)
    assert [record.iteration for record in records] == [0, 1, 2, 3]
    assert records[-1].step is records[-1].pruned is records[-1].reference is None
    for record, following in itertools.pairwise(records):
        assert record.training.keys() == {"loss"}
        assert record.retrained.metrics.keys() == record.pruned.metrics.keys() == HELD_OUT.keys()
        assert record.step.remaining == record.pruned.weights.live == following.retrained.weights.live
        assert record.retrained.weights.live - record.step.pruned == record.step.remaining
        assert sum(group.live for group in record.step.groups) == record.retrained.weights.live
        for result in (record.retrained, record.pruned):
            assert sum(layer.live for layer in result.layers) == result.weights.live
            assert [layer.name for layer in result.layers] == ["0.weight", "4.weight"]
            assert [(entry.p, entry.q) for entry in result.indices] == [(0.5, 1.0), (1.0, 2.0)]
            amount = METHODS[method].amount
            own = next(entry for entry in result.indices if (entry.p, entry.q) == (amount.p, amount.q))
            assert own.index == pytest.approx(result.weights.index, abs=1e-12)


@torch.no_grad()
def masked(model, weights, masks):
    """Load `weights` under `masks` by hand."""
    model.load_state_dict(weights)
    for name, mask in masks.items():
        model.get_parameter(name).mul_(mask)


def by_hand(method, iterations):
    """Algorithm 1 without the loop: global scope, a sort over a concatenation, masks multiplied after each step."""
    seed_all()
    model = normalised()
    pruner = Pruner(model)
    initial = copy.deepcopy(model.state_dict())
    masks, dense, results = pruner.masks, None, []
    for t in range(iterations + 1):
        masked(model, initial, masks)
        pruner.masks = masks
        train(model, pruner, t)
        pruner.detach()
        trained = copy.deepcopy(model.state_dict())
        dense = trained if dense is None else dense
        results.append(evaluate(model, "test"))
        if t < iterations:
            flat = torch.cat([trained[name][mask] for name, mask in masks.items()])
            amount = METHODS[method].amount
            count = amount.quota(pruner.measure(p=amount.p, q=amount.q)[0]).count
            ranked = dense if METHODS[method].ranking == "dense" else trained
            everything = torch.cat(
                [torch.where(mask, ranked[name].abs(), -1).reshape(-1) for name, mask in masks.items()]
            )
            keep = torch.zeros(everything.numel(), dtype=torch.bool)
            keep[everything.argsort(descending=True, stable=True)[: flat.numel() - count]] = True
            parts = keep.split([mask.numel() for mask in masks.values()])
            masks = {name: part.reshape(mask.shape) for (name, mask), part in zip(masks.items(), parts, strict=True)}
            masked(model, ranked, masks)
            results.append(evaluate(model, "test"))
            masked(model, trained, masks)
    return results, model.state_dict()


@pytest.mark.parametrize("method", ["sap-1-2", "lottery-ticket", "one-shot"])
def test_the_loop_is_algorithm_1(method):
    model, loop = start(method, splits=("test",))
    found = []
    for record in loop:
        found += [result.metrics["test"] for result in (record.retrained, record.pruned) if result is not None]
    results, state = by_hand(method, 3)
    assert found == results
    assert same(model.state_dict(), state)


def test_one_shot_compares_with_the_dense_weights():
    _, loop = start("one-shot")
    records = list(loop)
    assert records[0].reference is None
    assert records[0].unpruned == records[0].retrained
    for before, record in itertools.pairwise(records[:-1]):
        assert record.reference == before.pruned, "w_0 under m_t was the pruned result of the iteration before"
        assert record.reference != record.retrained


def test_lottery_ticket_compares_with_the_retrained_weights():
    _, loop = start("lottery-ticket")
    assert all(record.reference is None for record in loop)


def test_each_iteration_starts_from_the_initial_values():
    initial = normalised().state_dict()
    seen = []

    def checked_train(model, pruner, iteration):
        masks = pruner.masks
        expected = {name: value * masks[name] if name in masks else value for name, value in initial.items()}
        seen.append(same(model.state_dict(), expected) and all(p.grad is None for p in model.parameters()))
        return train(model, pruner, iteration)

    _, loop = start("one-shot", train=checked_train)
    list(loop)
    assert seen == [True] * 4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fail_at", [(0, 2), (1, 0), (2, 5), (3, 3)])
def test_an_interrupted_run_resumes_bit_for_bit(method, fail_at):
    model, loop = start(method)
    expected = list(loop)
    expected_draws = torch.rand(2), np.random.rand(), random.random()  # noqa: NPY002

    storage = OnDisk()
    _, loop = start(method, storage, train=lambda *given: train(*given, fail_at=fail_at))
    with pytest.raises(InterruptedTrainingError):
        list(loop)
    assert len(storage.records) == fail_at[0]

    # Before the first save there is nothing to resume, hence the same seed; later the stored state is all that counts.
    resumed, loop = start(method, storage, seed=0 if fail_at[0] == 0 else 99)
    assert [record.iteration for record in loop] == list(range(fail_at[0], 4))
    assert storage.records == expected
    assert same(resumed.state_dict(), model.state_dict())
    draws = torch.rand(2), np.random.rand(), random.random()  # noqa: NPY002
    assert torch.equal(draws[0], expected_draws[0])
    assert draws[1:] == expected_draws[1:]


def test_breaking_off_between_iterations_resumes_too():
    _, loop = start("one-shot")
    expected = list(loop)
    storage = OnDisk()
    for t in range(4):
        _, loop = start("one-shot", storage, seed=t)
        assert next(loop) == expected[t]


def test_a_consumer_may_draw_random_numbers_and_touch_the_model():
    _, loop = start("sap-1-2")
    expected = list(loop)
    model, loop = start("sap-1-2")
    found = []
    for record in loop:
        found.append(record)
        torch.rand(7), np.random.rand(7), random.random()  # noqa: NPY002
        if record.iteration < 3:
            nn.init.zeros_(model[0].bias)
    assert found == expected


def test_a_finished_run_opens_with_its_final_weights():
    storage = OnDisk()
    model, loop = start("one-shot", storage)
    list(loop)
    again, loop = start("one-shot", storage, seed=5)
    assert list(loop) == []
    assert same(again.state_dict(), model.state_dict())


def test_no_pruning_at_all():
    _, loop = start("sap-1-2", iterations=0)
    (record,) = loop
    assert record.step is None
    assert record.retrained.weights.live == record.retrained.weights.total


def test_what_is_stored():
    storage = Memory()
    _, loop = start("lottery-ticket", storage)
    list(loop)
    assert storage.tensors.keys() == {"initial", "final"}
    storage = Memory()
    _, loop = start("one-shot", storage)
    next(loop)
    assert storage.tensors.keys() == {"initial", "dense"}
    assert storage.state is not None
    assert storage.state["iteration"] == 1


def test_a_run_of_another_length_is_not_resumed():
    storage = Memory()
    _, loop = start("sap-1-2", storage)
    list(loop)
    _, loop = start("sap-1-2", storage, iterations=5)
    with pytest.raises(ValueError, match="iterations must be 3, as in the stored run, got 5"):
        next(loop)


def test_a_run_of_another_model_is_not_resumed():
    storage = Memory()
    _, loop = start("sap-1-2", storage)
    next(loop)
    loop = run_loop(nn.Linear(8, 3), METHODS["sap-1-2"], train=train, evaluate=evaluate, iterations=3, storage=storage)
    with pytest.raises(ValueError, match="parameters and buffers must be those of the snapshot"):
        next(loop)


def test_a_training_that_lets_masks_go_is_refused():
    def forgetful(model, pruner, iteration):
        train(model, pruner, iteration)
        nn.init.normal_(model[0].weight)
        return {}

    _, loop = start("lottery-ticket", train=forgetful)
    next(loop)
    with pytest.raises(
        RuntimeError, match=r"train\(\) must keep pruned weights at zero, got \d+ non-zero in '0.weight'"
    ):
        next(loop)


def test_a_training_that_diverges_names_the_tensor():
    def diverging(model, pruner, iteration):
        nn.init.constant_(model[4].weight, float("nan"))
        return {}

    _, loop = start("sap-0.5-1", train=diverging)
    with pytest.raises(ValueError, match=r"weight '4.weight' must be finite, got 48"):
        next(loop)


def test_hooks_are_gone_after_training_even_after_a_failure():
    optimizers = []

    def kept(model, pruner, iteration):
        optimizers.append(torch.optim.SGD(model.parameters(), lr=0.1))
        pruner.attach(optimizers[-1])
        if iteration:
            raise InterruptedTrainingError
        return {}

    _, loop = start("lottery-ticket", train=kept)
    next(loop)
    with pytest.raises(InterruptedTrainingError):
        next(loop)
    assert not any(optimizer._optimizer_step_post_hooks for optimizer in optimizers)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": -1}, "iterations must be >= 0, got -1"),
        ({"pairs": ((1.0, 2.0), (2.0, 1.0))}, "pairs must satisfy 0 < p < q, got p=2.0, q=1.0"),
        ({"grid": ((0.5, 0.0), (1.0,))}, "grid must hold exponents > 0 and finite, got 0.0"),
        ({"scope": "filter"}, "scope must be one of 'neuron', 'layer', 'global' or a function, got 'filter'"),
        ({"select": ["nothing"]}, "select must name parameters of Sequential, got 'nothing'"),
    ],
)
def test_wrong_arguments_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        start("sap-0.5-1", **options)


def test_sap_stops_by_itself_where_a_fraction_goes_on():
    """Equal magnitudes leave SAP nothing to prune; a fixed share prunes on."""

    def equal(model, pruner, iteration):
        with torch.no_grad():
            for parameter in pruner.weights().values():
                parameter.fill_(0.1)
        pruner.apply()
        return {}

    for amount, pruned in ((SAP(), 0), (Fraction(0.5), 88)):
        method = Method("m", "M", amount)
        loop = run_loop(normalised(), method, train=equal, evaluate=evaluate, iterations=1)
        (record, _) = loop
        assert record.step is not None
        assert record.step.pruned == pruned


def test_an_amount_with_a_schedule_resumes_where_it_was():
    method = Method("target", "Target", Target(0.8, 3))
    options: dict[str, Any] = {"train": train, "evaluate": evaluate, "iterations": 3, "floor": Floor(count=1)}
    live, storage = [], OnDisk()
    for _ in range(4):
        seed_all()
        live.append(next(run_loop(normalised(), method, storage=storage, **options)).retrained.weights.live)
    seed_all()
    straight = [record.retrained.weights.live for record in run_loop(normalised(), method, **options)]
    assert live == straight
    assert live[-1] == 176 - 176 * 8 // 10


def test_every_pair_of_the_grid_is_recorded():
    _, loop = start("one-shot", grid=((0.5, 1.0), (1.0, 2.0)))
    for record in loop:
        for result in filter(None, (record.retrained, record.pruned, record.reference)):
            assert (result.grid.p, result.grid.q) == ((0.5, 1.0), (1.0, 2.0))
            (half_one, _), (one_one, one_two) = result.grid.index
            assert (half_one, one_two) == tuple(entry.index for entry in result.indices)
            assert math.isnan(one_one)


def test_the_published_rule_and_exclusions_reach_the_pruner():
    _, loop = start("lottery-ticket", compat="published", exclude=["4.*"])
    record = next(loop)
    assert record.step.total == 128
    assert record.step.pruned == 26, "⌈.2 · 127⌉; exactly a fifth would be 25"
