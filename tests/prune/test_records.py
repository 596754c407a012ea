"""Records: plain data."""

import dataclasses
import json

import pytest

from pqi.prune import GroupStats, IterationRecord, ModelResult


def result(accuracy):
    stats = GroupStats(name="global", total=4, live=3, zeros=0, index=0.1, gini=0.2, bound=2.7)
    return ModelResult(metrics={"test": {"accuracy": accuracy}}, weights=stats, layers=(stats,), indices=())


def record(reference=None):
    return IterationRecord(
        iteration=0, training={}, retrained=result(0.9), step=None, pruned=result(0.7), reference=reference
    )


def test_pruned_results_compare_with_the_same_weights_before():
    assert record().unpruned == result(0.9)
    assert record(result(0.8)).unpruned == result(0.8)


def test_records_are_json():
    assert json.loads(json.dumps(dataclasses.asdict(record())))["pruned"]["metrics"]["test"]["accuracy"] == 0.7


def test_records_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        record().iteration = 3
