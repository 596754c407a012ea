"""The presets: the settings that were found to work, and models that exist."""

from pqi.experiment.config import Training
from pqi.experiment.data import DATASETS
from pqi.experiment.models import MODELS
from pqi.experiment.presets import METHODS, PRESETS


def test_presets_name_what_exists():
    for preset in PRESETS.values():
        assert preset.dataset in DATASETS
        assert preset.model in preset.models
        assert set(preset.models) <= MODELS.keys()


def test_digits_is_trained_long_and_decayed_enough_for_sparsity_to_show():
    digits = PRESETS["digits"]
    assert (digits.dataset, digits.model, digits.iterations) == ("digits", "mlp", 15)
    assert digits.training == Training(40, 100, 0.1, 0.9, nesterov=True, weight_decay=5e-3, clip=1.0)


def test_training_defaults_are_the_papers():
    assert Training() == Training(200, 250, 0.1, 0.9, nesterov=True, weight_decay=5e-4, clip=1.0)


def test_four_methods_are_compared():
    assert [method.label for method in METHODS] == ["SAP(½, 1)", "SAP(1, 2)", "Lottery Ticket", "One Shot"]
