"""Runs become series by everything but their seed; curves are means and spreads over seeds of each iteration alone."""

import math
from dataclasses import replace

import numpy as np
import pytest

from experiment import made
from experiment.tiny import TRAINING
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.quantities import accuracy, pruned, retrained
from pqi.experiment.runs import find_runs
from pqi.experiment.series import Result, studies

LOTTERY = MethodSpec.parse("lottery")


def test_seeds_of_one_configuration_are_one_series():
    (study,) = studies([made.run(seed=1), made.run(method=LOTTERY), made.run(seed=0)])
    assert [(series.label, series.seeds) for series in study.series] == [
        ("SAP(1, 2)", (0, 1)),
        ("Lottery Ticket", (0,)),
    ]
    assert study.name == "digits-linear-global"


def test_series_are_in_the_order_of_kinds_and_numbers():
    methods = ("one-shot", "lottery", "sap:1,2", "sap:0.5,1,gamma=3", "sap:0.5,1")
    (study,) = studies(made.run(method=MethodSpec.parse(text)) for text in methods)
    labels = [series.label for series in study.series]
    assert labels == ["SAP(½, 1)", "SAP(½, 1), γ=3", "SAP(1, 2)", "Lottery Ticket", "One Shot"]


def test_models_and_scopes_are_studies_of_their_own():
    found = studies([made.run(), made.run(scope="layer"), made.run(model="mlp")])
    assert [study.name for study in found] == ["digits-linear-global", "digits-linear-layer", "digits-mlp-global"]


def test_settings_that_differ_are_in_the_labels_and_no_others():
    other = replace(TRAINING, weight_decay=5e-4)
    (study,) = studies([made.run(), made.run(training=other), made.run(method=LOTTERY)])
    labels = [series.label for series in study.series]
    assert labels == [
        "SAP(1, 2), weight_decay=0.005",
        "SAP(1, 2), weight_decay=0.0005",
        "Lottery Ticket, weight_decay=0.005",
    ]


def test_curves_are_mean_and_sample_deviation_of_each_iteration():
    (study,) = studies([made.run(accuracies=(0.9, 0.8, 0.5)), made.run(accuracies=(0.8, 0.8, 0.7), seed=1)])
    curve = study.series[0].curve(accuracy(retrained))
    assert curve.mean == pytest.approx([85, 80, 60])
    assert curve.deviation == pytest.approx([10 / math.sqrt(2), 0, 20 / math.sqrt(2)])


def test_one_seed_has_no_spread_and_the_last_iteration_no_pruned_network():
    (study,) = studies([made.run()])
    curve = study.series[0].curve(accuracy(pruned))
    assert np.isnan(curve.deviation).all()
    assert np.isnan(curve.mean).tolist() == [False, False, True]


def test_unfinished_seeds_are_drawn_as_far_as_all_have_come():
    short = made.run(seed=1)
    short = replace(short, records=short.records[:2])
    (study,) = studies([made.run(), short])
    assert study.series[0].finished == 2
    assert len(study.series[0].curve(accuracy(retrained)).mean) == 2


def test_runs_without_a_finished_iteration_are_left_out():
    assert studies([replace(made.run(), records=())]) == []


def test_exponents_are_the_methods_own():
    (study,) = studies([made.run(), made.run(method=LOTTERY)])
    assert [series.exponents for series in study.series] == [(1, 2), (0.5, 1)]


def test_results_are_read_from_disk(tiny_root):
    results = [Result.read(run) for run in find_runs(tiny_root)]
    assert len(results) == 5
    assert all(len(result.records) == 3 for result in results)
    assert all("torch" in result.environment for result in results)
