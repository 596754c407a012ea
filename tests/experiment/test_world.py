"""Processes that train together: the same network in all of them, one that writes, and a run that resumes."""

import os
import subprocess
import sys
import time

import pytest
import torch

from experiment import original
from experiment.ranks import TRAINING, dataset, network
from pqi.experiment.runs import find_runs
from pqi.experiment.train import Evaluator, Trainer
from pqi.experiment.world import SharedStorage, World
from pqi.prune import Memory, Pruner

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(*command):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [*TORCHRUN, *map(str, command)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*command):
    process = start(*command)
    output, errors = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def test_alone_nothing_is_shared():
    world, model = World(), network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert world.leads
    assert world.parallel(model, torch.device("cpu")) is model
    assert world.summed(torch.tensor([2.0])) == 2
    assert world.shared("value") == "value"
    world.settle(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_one_process_keeps_what_all_read():
    kept = Memory()
    storage = SharedStorage(World(), kept)
    storage.save_tensors("initial", {"weight": torch.ones(2)})
    assert storage.load_last() is None
    assert torch.equal(storage.load_tensors("initial")["weight"], torch.ones(2))
    assert kept.tensors.keys() == {"initial"}
    SharedStorage(World(1, 2), None).save_tensors("initial", {"weight": torch.zeros(2)})


@pytest.mark.slow
def test_gradients_are_those_of_the_whole_batch(tmp_path):
    """Without batch normalisation, two processes take the steps of one, but for the order of sums."""
    done = run("-m", "experiment.ranks", tmp_path)
    assert done.returncode == 0, done.stderr
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert one["mlp"]["metrics"] == other["mlp"]["metrics"]
    for name in ("mlp", "cnn"):
        for key, tensor in one[name]["model"].items():
            assert torch.equal(tensor, other[name]["model"][key]), (name, key)
        for key, mask in one[name]["masks"].items():
            assert torch.equal(mask, other[name]["masks"][key])
        assert one[name]["revived"] == other[name]["revived"] == {}
    assert one["disagreement"] == ""
    assert other["disagreement"] == "all processes must have the same network, got another one in process 1"

    data, model = dataset(), network("mlp")
    pruner = Pruner(model)
    pruner.step()
    metrics = Trainer(data, TRAINING, seed=0)(model, pruner, 0)
    assert one["mlp"]["metrics"] == pytest.approx(metrics, rel=1e-5)
    for key, tensor in model.state_dict().items():
        assert torch.allclose(tensor, one["mlp"]["model"][key], rtol=1e-4, atol=1e-6), key
    assert one["mlp"]["test"] == pytest.approx(Evaluator(data)(model, "test"), rel=1e-5)


@pytest.mark.slow
def test_torchrun_prunes_writes_once_and_resumes(tmp_path):
    original.cifar10(tmp_path / "data", train=12)
    command = ["-m", "pqi", "prune", "--preset", "paper-cifar10-cnn", "--data", tmp_path / "data", "--epochs", "10"]
    command += ["--batch", "20", "--method", "one-shot", "--seeds", "0", "--iterations", "2", "--workers", "1", "--out"]
    whole = run(*command, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.count("report: ") == 1
    (finished,) = find_runs(tmp_path / "whole")
    assert finished.config().processes == 2
    assert [record.iteration for record in finished.records()] == [0, 1, 2]

    stopped = start(*command, tmp_path / "stopped")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "stopped").glob("*/state.pt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    stopped.terminate()
    stopped.communicate(timeout=60)
    (left,) = find_runs(tmp_path / "stopped")
    assert 0 < len(left.records()) < 3
    again = run(*command, tmp_path / "stopped")
    assert again.returncode == 0, again.stderr
    for name in ("config.json", "records.jsonl"):
        assert (left.path / name).read_bytes() == (finished.path / name).read_bytes()


@pytest.mark.slow
def test_torchrun_fails_where_the_data_are_missing(tmp_path):
    done = run("-m", "pqi", "prune", "--preset", "paper-cifar10-cnn", "--data", tmp_path / "none")
    assert done.returncode != 0
    assert f"data must be a folder, got {tmp_path / 'none'}" in done.stderr
