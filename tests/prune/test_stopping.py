"""Runs that end at a phase: on curves that training is made to follow."""

import math

import pytest
import torch

from pqi.prune import METHODS, Memory, run_loop
from prune.networks import normalised, same
from prune.training import OnDisk, evaluate, seed_all

CURVE = [0.30, 0.20, 0.12, 0.11, 0.20, 0.30, 0.32, 0.25, 0.10, 0.05]


def shaped(index_at):
    """Return a training whose weights have the given index(½, 1): a share 1 − I of equal weights, the others zero."""

    def train(model, pruner, iteration):
        with torch.no_grad():
            for name, weight in pruner.weights().items():
                live = pruner.masks[name].reshape(-1).nonzero()[:, 0]
                weight.zero_().reshape(-1)[live[: round(len(live) * (1 - index_at[iteration]))]] = 0.1
        return {"loss": float(torch.rand(()))}

    return train


def start(storage=None, *, method="sap-0.5-1", curve=CURVE, seed=0, **options):
    seed_all(seed)
    model = normalised()
    return model, run_loop(
        model, METHODS[method], train=shaped(curve), evaluate=evaluate, iterations=9, storage=storage, **options
    )


@pytest.mark.parametrize(("stop_at", "last"), [("underfit", 4), ("collapse", 7), ("never", 9)])
def test_a_run_ends_with_the_iteration_that_confirms_the_phase(stop_at, last):
    records = list(start(stop_at=stop_at)[1])
    assert [record.iteration for record in records] == list(range(last + 1))
    assert records[-1].step is records[-1].pruned is records[-1].reference is None
    assert all(record.step is not None for record in records[:-1])


def test_a_stopped_run_is_a_prefix_of_the_whole():
    whole, stopped = list(start()[1]), list(start(stop_at="collapse")[1])
    assert stopped[:-1] == whole[: len(stopped) - 1]
    assert stopped[-1].retrained == whole[len(stopped) - 1].retrained


def test_a_method_that_ranks_by_the_dense_weights_stops_alike():
    records = list(start(method="one-shot", stop_at="underfit")[1])
    assert records[-1].iteration == 4
    assert records[-1].reference is None
    assert records[-2].reference is not None


@pytest.mark.parametrize("stop_at", ["underfit", "collapse"])
def test_a_stopped_run_resumes_and_opens_again(stop_at):
    expected_model, loop = start(stop_at=stop_at)
    expected = list(loop)
    storage = OnDisk()
    for record in expected:
        _, loop = start(storage, stop_at=stop_at, seed=record.iteration)
        assert next(loop) == record
    model, loop = start(storage, stop_at=stop_at, seed=99)
    assert list(loop) == []
    assert same(model.state_dict(), expected_model.state_dict())


def test_a_stopped_run_does_not_go_on_for_another_phase():
    storage = Memory()
    list(start(storage, stop_at="underfit")[1])
    with pytest.raises(ValueError, match="stop_at must be 'underfit', as in the stored run, got 'never'"):
        next(start(storage, stop_at="never")[1])


def test_a_run_that_has_not_stopped_may_change_its_mind():
    storage = OnDisk()
    _, loop = start(storage)
    for _ in range(3):
        next(loop)
    rest = list(start(storage, stop_at="underfit")[1])
    assert [record.iteration for record in rest] == [3, 4]


def test_a_run_that_came_to_its_end_has_not_stopped_early():
    storage = Memory()
    curve = [0.45, 0.40, 0.35, 0.30, 0.25, 0.20, 0.15, 0.10, 0.05, 0.40]
    assert len(list(start(storage, stop_at="underfit", curve=curve)[1])) == 10
    assert list(start(storage, stop_at="never", curve=curve)[1]) == []


def test_a_model_without_a_non_zero_weight_has_collapsed():
    records = list(start(stop_at="collapse", curve=[0.3, 1.0, 0.2])[1])
    assert [record.iteration for record in records] == [0, 1]
    assert math.isnan(records[-1].retrained.weights.index)


def test_an_unknown_phase_is_refused_at_once():
    with pytest.raises(ValueError, match="stop_at must be 'collapse', 'underfit' or 'never', got 'soon'"):
        start(stop_at="soon")
