"""What a run writes: one small file an iteration, and the network's weights at most three times."""

import pytest

from experiment import original
from pqi.experiment import runs
from pqi.experiment.config import RunConfig, Training
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.resources import Resources
from pqi.experiment.runs import RunDirectory
from pqi.experiment.study import execute

MEGABYTE = 10**6


@pytest.fixture
def written(monkeypatch):
    """Bytes of every file that is written as a whole, by name; temporary ones included."""
    sizes = []
    write = runs.write_atomically

    def counted(path, content):
        sizes.append((path.name, len(content)))
        write(path, content)

    monkeypatch.setattr(runs, "write_atomically", counted)
    return sizes


def run_of(model, folder, root, iterations):
    config = RunConfig(
        dataset="cifar10",
        model=model,
        scope="neuron",
        method=MethodSpec.parse("one-shot"),
        seed=0,
        iterations=iterations,
        training=Training(epochs=1, batch=4),
        threads=2,
    )
    execute(config, root, lambda advance: None, Resources(folder))
    return RunDirectory(root / config.name)


def check(run, written, iterations, prunable, parameters):
    """Compare what was written with what is needed."""
    records = (run.path / "records.jsonl").stat().st_size
    states = [size for name, size in written if name == "state.pt"]
    tensors = {name: size for name, size in written if name in ("initial.pt", "dense.pt", "final.pt")}
    assert len(states) == iterations + 1
    assert max(states) < prunable / 8 + 100_000, "a bit for each weight, and the generators' states"
    assert len(tensors) == 3
    assert max(tensors.values()) < 4 * parameters + 200_000
    assert len(written) == len(states) + 3 + 2, "and two small descriptions"
    return sum(size for _, size in written) + records


def test_masks_are_packed_and_weights_are_written_three_times(tmp_path, written):
    run = run_of("cnn", original.cifar10(tmp_path / "files", 1, 3), tmp_path, 3)
    total = check(run, written, 3, 1_555_136, 1_558_026 + 2 * 960 + 4)
    assert total < 25 * MEGABYTE


@pytest.mark.slow
def test_a_whole_run_of_a_resnet18_writes_less_than_a_gigabyte(tmp_path, written):
    """Neuron scope, whose records are the longest, and One Shot, which keeps the dense weights too."""
    run = run_of("resnet18", original.cifar10(tmp_path / "files", 1, 3), tmp_path, 15)
    total = check(run, written, 15, 11_164_352, 11_172_170 + 2 * 3904 + 17)
    assert total < 1000 * MEGABYTE
    print(f"\na ResNet18 run of 15 prunings in neuron scope writes {total / MEGABYTE:.0f} MB")
