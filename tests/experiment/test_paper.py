"""The paper's networks on its data sets, from files in the original formats: every preset runs, in every scope."""

import shutil
from dataclasses import replace

import pytest

from experiment import original
from pqi.experiment.config import RunConfig
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.presets import MODELS, PRESETS
from pqi.experiment.resources import Resources
from pqi.experiment.runs import RunDirectory
from pqi.experiment.study import execute
from pqi.prune import SCOPES

SIZES = {"fashionmnist": (5, 3), "cifar10": (1, 3), "cifar100": (5, 3), "tinyimagenet": (2, 3)}
"""Images for training (in each file or class) and for testing: four to five for training in all."""
CLASSES = {"cifar100": 100, "tinyimagenet": 3}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {
        name: write(tmp_path_factory.mktemp(name) / "files", *SIZES[name]) for name, write in original.WRITERS.items()
    }


def pruned_once(preset, scope, method, folder, root):
    """Return the records of a dense training, a pruning and a retraining, one epoch each."""
    found = PRESETS[preset]
    config = RunConfig(
        dataset=found.dataset,
        model=found.model,
        scope=scope,
        method=MethodSpec.parse(method),
        seed=0,
        iterations=1,
        training=replace(found.training, epochs=1, batch=4),
        threads=2,
    )
    execute(config, root, lambda advance: None, Resources(folder))
    run = RunDirectory(root / config.name)
    records = run.records()
    shutil.rmtree(run.path)  # its weights would fill the disk, run by run
    return records


def check(records, scope, layers):
    dense, sparse = records
    assert dense.retrained.weights.live == dense.retrained.weights.total
    assert dense.step is not None
    assert 0 < dense.step.pruned < dense.step.total
    assert sparse.retrained.weights.live == dense.step.remaining == dense.step.total - dense.step.pruned
    assert len(sparse.retrained.layers) == layers
    groups = {"global": 1, "layer": layers}.get(scope)
    assert groups is None or len(dense.step.groups) == groups
    for record in records:
        assert 0 <= record.retrained.metrics["test"]["accuracy"] <= 1


LAYERS = {"linear": 1, "mlp": 3, "cnn": 5, "resnet18": 21, "resnet50": 54, "wresnet28x8": 29}


@pytest.mark.slow
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_and_prunes_in_every_scope(model, scope, folders, tmp_path):
    records = pruned_once(f"paper-cifar10-{model}", scope, "lottery-ticket", folders["cifar10"], tmp_path)
    check(records, scope, LAYERS[model])


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["fashionmnist", "cifar100", "tinyimagenet"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_and_prunes_on_every_data_set(model, dataset, folders, tmp_path):
    records = pruned_once(f"paper-{dataset}-{model}", "global", "sap:0.5,1", folders[dataset], tmp_path)
    check(records, "global", LAYERS[model])


def test_small_networks_train_and_prune_from_every_kind_of_file(folders, tmp_path):
    for dataset, folder in folders.items():
        check(pruned_once(f"paper-{dataset}-cnn", "layer", "sap:1,2", folder, tmp_path), "layer", LAYERS["cnn"])
