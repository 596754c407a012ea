"""Runs resume bit for bit wherever they were stopped, alone or side by side, and fail one by one."""

import multiprocessing
import os
import time
from dataclasses import replace

import pytest
import torch

from experiment import original
from experiment.tiny import TRAINING, configuration
from pqi.experiment import study, train
from pqi.experiment.config import Training
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.resources import Resources
from pqi.experiment.runs import RunDirectory
from pqi.experiment.study import Advance, execute, execute_all

ONE_SHOT = configuration(method=MethodSpec.parse("one-shot"))


class KilledError(BaseException):
    """Stands for whatever ends a process."""


def ignore(advance):
    """Take no notice."""


def outcome(root, config):
    """Return everything that a finished run leaves behind, by file, so that equality is equality of bits."""
    path = root / config.name
    texts = {file.name: file.read_text().splitlines() for file in path.iterdir() if file.suffix in (".json", ".jsonl")}
    return texts | {file.name: flat(torch.load(file, weights_only=True)) for file in path.glob("*.pt")}


def flat(value):
    """Return nested values with tensors as lists."""
    if isinstance(value, torch.Tensor):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, dict):
        return {name: flat(item) for name, item in value.items()}
    return [flat(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    root = tmp_path_factory.mktemp("uninterrupted")
    execute(ONE_SHOT, root, ignore)
    return outcome(root, ONE_SHOT)


def killed_at(monkeypatch, owner, name, call):
    """Make the `call`-th call of a function the last thing that happens."""
    original, calls = getattr(owner, name), iter(range(1, 10_000))

    def counted(*arguments, **options):
        if next(calls) == call:
            raise KilledError
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, counted)


STAGES = [
    *(("training", train, "clip_grad_norm_", call) for call in (1, 6, 7, 17)),
    *(("evaluation", train, "evaluate", call) for call in (1, 2, 4, 5, 8, 11)),
    *(("writing", os, "fsync", call) for call in range(1, 20)),
]


@pytest.mark.parametrize(("stage", "owner", "name", "call"), STAGES, ids=[f"{s[0]}-{s[3]}" for s in STAGES])
def test_a_run_killed_at_any_stage_ends_as_if_it_had_not_been(
    stage, owner, name, call, uninterrupted, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:
        killed_at(patched, owner, name, call)
        with pytest.raises(KilledError):
            execute(ONE_SHOT, tmp_path, ignore)
    torch.rand(3)
    execute(ONE_SHOT, tmp_path, ignore)
    assert outcome(tmp_path, ONE_SHOT) == uninterrupted


def test_the_stages_above_reach_the_end_of_a_run(tmp_path, monkeypatch):
    killed_at(monkeypatch, os, "fsync", 20)
    execute(ONE_SHOT, tmp_path, ignore)


def test_a_run_stopped_after_every_iteration_ends_as_if_it_had_not_been(uninterrupted, tmp_path):
    def stop(advance):
        if advance.iteration > before and not advance.epochs:
            raise KilledError

    for before in (0, 1):
        with pytest.raises(KilledError):
            execute(ONE_SHOT, tmp_path, stop)
        assert len(RunDirectory(tmp_path / ONE_SHOT.name).records()) == before + 1
    execute(ONE_SHOT, tmp_path, ignore)
    assert outcome(tmp_path, ONE_SHOT) == uninterrupted


def test_an_augmented_run_loaded_by_workers_resumes_bit_for_bit(tmp_path, monkeypatch):
    folder = original.cifar10(tmp_path / "files", train=12)
    training = Training(epochs=2, batch=20, augment=True)
    config = configuration(dataset="cifar10", model="cnn", training=training)
    execute(config, tmp_path / "whole", ignore, Resources(folder))
    for call in (3, 11):  # steps of the first and the second training
        with monkeypatch.context() as patched:
            killed_at(patched, train, "clip_grad_norm_", call)
            with pytest.raises(KilledError):
                execute(config, tmp_path / "killed", ignore, Resources(folder, workers=2))
        torch.rand(3)
    execute(config, tmp_path / "killed", ignore, Resources(folder, workers=1))
    assert outcome(tmp_path / "killed", config) == outcome(tmp_path / "whole", config)


def test_a_finished_run_is_not_repeated(tmp_path, monkeypatch):
    config = configuration()
    execute(config, tmp_path, ignore)
    before = outcome(tmp_path, config)
    killed_at(monkeypatch, train, "clip_grad_norm_", 1)
    advances: list[Advance] = []
    execute(config, tmp_path, advances.append)
    assert advances == [Advance(config.name, 3)]
    assert outcome(tmp_path, config) == before


def test_advances_count_iterations_and_epochs(tmp_path):
    advances: list[Advance] = []
    execute(configuration(iterations=1), tmp_path, advances.append)
    steps = [(advance.iteration, advance.epochs) for advance in advances]
    assert steps == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]


def test_a_run_that_stops_early_says_so_and_stays_stopped(tmp_path):
    config = configuration(method=MethodSpec.parse("lottery:1"), iterations=4, stop_at="collapse")
    for _ in range(2):
        advances: list[Advance] = []
        execute(config, tmp_path, advances.append)
        assert advances[-1] == Advance(config.name, 2, stopped=True)
    run = RunDirectory(tmp_path / config.name)
    assert (len(run.records()), run.stopped()) == (2, "collapse")


def test_the_published_rule_is_followed_when_asked_for(tmp_path):
    """Each of ten neurons of 64 weights loses floor(12.8) by the paper's rule, and ceil(12.6) by the interpolation."""
    lottery = {"method": MethodSpec.parse("lottery"), "scope": "neuron", "iterations": 1}
    configs = [configuration(**lottery), configuration(**lottery, compat="published")]
    assert execute_all(configs, tmp_path, jobs=1, on_advance=ignore) == []
    left = [RunDirectory(tmp_path / config.name).records()[-1].retrained.weights.live for config in configs]
    assert left == [640 - 10 * 12, 640 - 10 * 13]


def test_methods_share_the_dense_network_and_seeds_do_not(tmp_path):
    configs = [configuration(), ONE_SHOT, configuration(seed=1)]
    assert execute_all(configs, tmp_path, jobs=1, on_advance=ignore) == []
    dense = [RunDirectory(tmp_path / config.name).records()[0].retrained.metrics for config in configs]
    assert dense[0] == dense[1] != dense[2]


def test_threads_are_given_back(tmp_path):
    torch.set_num_threads(2)
    seen = []
    execute(configuration(iterations=0), tmp_path, lambda advance: seen.append(torch.get_num_threads()))
    assert set(seen) == {1}
    assert torch.get_num_threads() == 2


def diverging(seed):
    """Return a run whose weights become NaN."""
    return configuration(seed=seed, training=replace(TRAINING, lr=1e30))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path, jobs, uninterrupted):
    configs = [diverging(0), ONE_SHOT]
    (failure,) = execute_all(configs, tmp_path, jobs=jobs, on_advance=ignore)
    assert failure.run == diverging(0).name
    assert "classifier.weight" in str(failure.error)
    assert outcome(tmp_path, ONE_SHOT) == uninterrupted


def test_an_interruption_ends_the_workers_at_once(tmp_path):
    configs = [configuration(seed=seed, training=replace(TRAINING, epochs=100_000)) for seed in (0, 1, 2)]

    def interrupt(advance):
        if advance.epochs > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute_all(configs, tmp_path, jobs=2, on_advance=interrupt)
    deadline = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert multiprocessing.active_children() == []


def test_a_defect_is_raised_and_not_taken_for_a_failed_run(tmp_path, monkeypatch):
    def broken(*arguments, **options):
        raise AttributeError("defect")

    monkeypatch.setattr(study, "run_loop", broken)
    with pytest.raises(AttributeError, match="defect"):
        execute_all([configuration()], tmp_path, jobs=1, on_advance=ignore)


def test_settings_that_contradict_each_other_are_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="0 < p < q"):
        execute(configuration(method=MethodSpec.parse("sap:2,1")), tmp_path, ignore)
    with pytest.raises(ValueError, match="jobs must be >= 1, got 0"):
        execute_all([configuration()], tmp_path, jobs=0, on_advance=ignore)
    assert list(tmp_path.iterdir()) == []
