"""SIGKILL at random points of a run: what is resumed ends with the bits of the run that was left alone."""

import multiprocessing
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from experiment.test_study import outcome
from experiment.tiny import TRAINING, configuration
from pqi.cli import build_parser
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.options import configurations
from pqi.experiment.runs import RunDirectory, find_runs
from pqi.experiment.study import execute

TRAININGS = replace(TRAINING, epochs=8, batch=200)
CONFIGS = {
    "one-shot": configuration(model="mlp", method=MethodSpec.parse("one-shot"), iterations=5, training=TRAININGS),
    "sap": configuration(model="mlp", scope="layer", iterations=5, training=replace(TRAININGS, augment=True)),
}
KILLS = 10
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL"),
]


@pytest.fixture(scope="module")
def processes():
    """Processes that have everything imported, so that kills fall into runs and not into imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pqi.experiment.study", "pqi.experiment.train", "sklearn.datasets"])
    return context


def ignore(advance):
    """Take no notice."""


def started(processes, config, root):
    process = processes.Process(target=execute, args=(config, root, repr))
    process.start()
    return process


@pytest.mark.parametrize("name", CONFIGS)
def test_a_run_killed_at_random_points_resumes_to_the_same_bits(name, processes, tmp_path):
    config, chance = CONFIGS[name], random.Random(20261124)
    started(processes, config, tmp_path / "first").join()  # the server has imported everything by now
    begin = time.monotonic()
    whole = started(processes, config, tmp_path / "whole")
    whole.join()
    pace = (time.monotonic() - begin) / (config.iterations + 1)
    assert whole.exitcode == 0
    expected = outcome(tmp_path / "whole", config)
    assert outcome(tmp_path / "first", config) == expected

    reached: list[int] = []
    while len(reached) < KILLS:
        root = tmp_path / f"killed-{time.monotonic_ns()}"
        run = started(processes, config, root)
        while run.is_alive() and RunDirectory(root / config.name).finished() < len(reached) % (config.iterations + 1):
            time.sleep(0.002)
        run.join(chance.uniform(0.0, 1.5) * pace)
        run.kill()
        run.join()
        if run.exitcode != -signal.SIGKILL:
            continue  # it had come to its end
        reached.append(RunDirectory(root / config.name).finished())
        again = started(processes, config, root)
        again.join()
        assert again.exitcode == 0
        assert outcome(root, config) == expected, f"killed after {reached[-1]} iterations"
    assert len(set(reached)) >= 3, f"kills are spread over the run, after {reached} iterations"


def test_a_run_killed_again_and_again_ends_with_the_same_bits(processes, tmp_path):
    config, chance = CONFIGS["one-shot"], random.Random(7)
    execute(config, tmp_path / "whole", ignore)
    for patience in range(1, 100):
        run = started(processes, config, tmp_path / "killed")
        run.join(chance.uniform(0.2, 0.2 * patience))  # on a busy machine a run has to come to its first save
        run.kill()
        run.join()
        if run.exitcode == 0:
            break
    assert run.exitcode == 0
    assert outcome(tmp_path / "killed", config) == outcome(tmp_path / "whole", config)


def test_a_killed_command_takes_its_workers_with_it_and_the_same_command_resumes(tmp_path):
    arguments = ["prune", "--method", "sap:1,2", "--method", "one-shot", "--model", "linear", "--epochs", "40"]
    arguments += ["--iterations", "4", "--jobs", "2", "--out", str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-m", "pqi", *arguments], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/state.pt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    before = [run.finished() for run in find_runs(tmp_path)]
    assert 0 < sum(before) < 2 * 5
    time.sleep(3)
    settled = [run.finished() for run in find_runs(tmp_path)]
    time.sleep(3)
    assert [run.finished() for run in find_runs(tmp_path)] == settled, "nobody works on"
    for run in find_runs(tmp_path):
        with run.locked():
            pass

    subprocess.run([sys.executable, "-m", "pqi", *arguments], stderr=subprocess.DEVNULL, check=True)
    configs = configurations(build_parser().parse_args(arguments))
    for config in configs:
        execute(config, tmp_path / "whole", ignore)
        assert outcome(tmp_path, config) == outcome(tmp_path / "whole", config)
