"""The presets: the settings that were found to work, the paper's, and models that exist."""

import pytest

from pqi.experiment import models
from pqi.experiment.config import Training
from pqi.experiment.data import DATASETS
from pqi.experiment.presets import METHODS, MODELS, PRESETS, in_families, related


def test_presets_name_what_exists():
    assert list(models.MODELS) == list(MODELS)
    for preset in PRESETS.values():
        assert preset.dataset in DATASETS
        assert preset.model in preset.models
        assert set(preset.models) <= set(MODELS)


def test_digits_is_trained_long_and_decayed_enough_for_sparsity_to_show():
    digits = PRESETS["digits"]
    assert (digits.dataset, digits.model, digits.iterations, digits.seeds) == ("digits", "mlp", 15, (0,))
    assert digits.training == Training(40, 100, 0.1, 0.9, nesterov=True, weight_decay=5e-3, clip=1.0)


def test_training_defaults_are_the_papers():
    assert Training() == Training(200, 250, 0.1, 0.9, nesterov=True, weight_decay=5e-4, clip=1.0)
    assert (Training().augment, Training().amp) == (False, "off")


@pytest.mark.parametrize("dataset", ["fashionmnist", "cifar10", "cifar100", "tinyimagenet"])
@pytest.mark.parametrize("model", MODELS)
def test_every_data_set_and_model_of_the_paper_has_its_preset(dataset, model):
    preset = PRESETS[f"paper-{dataset}-{model}"]
    assert (preset.dataset, preset.model, preset.models, preset.seeds) == (dataset, model, (model,), (0, 1, 2, 3))
    assert preset.iterations == (30 if model in ("linear", "mlp", "cnn") else 15)
    batch = 500 if dataset == "tinyimagenet" else 250
    assert preset.training == Training(batch=batch, augment=dataset != "fashionmnist")


@pytest.mark.parametrize(
    ("name", "asked", "found"),
    [
        ("digits", {}, "digits"),
        ("digits", {"model": "cnn"}, "digits"),
        ("digits", {"dataset": "cifar10"}, "paper-cifar10-linear"),
        ("digits", {"dataset": "cifar100", "model": "cnn"}, "paper-cifar100-cnn"),
        ("paper-cifar10-resnet18", {"model": "cnn"}, "paper-cifar10-cnn"),
        ("paper-cifar10-resnet18", {"dataset": "digits"}, "digits"),
    ],
)
def test_related_presets_have_the_data_set_and_the_network_asked_for(name, asked, found):
    assert related(name, **asked) == found


@pytest.mark.parametrize("asked", [{"dataset": "imagenet"}, {"model": "vgg"}])
def test_presets_that_there_are_not_are_refused(asked):
    with pytest.raises(ValueError, match="a network on a data set must have a preset, got"):
        related("digits", **asked)


def test_four_methods_are_compared():
    assert [method.label for method in METHODS] == ["SAP(½, 1)", "SAP(1, 2)", "Lottery Ticket", "One Shot"]


def test_help_texts_tell_what_presets_start_from():
    assert in_families("training.weight_decay") == "digits: 0.005, paper: 0.0005"
    assert in_families("iterations") == "digits: 15, paper: 30 or 15"
    assert in_families("seeds") == "digits: 0, paper: 0 1 2 3"
