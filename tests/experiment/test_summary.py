"""Milestones: the first iteration at the target, the smallest network within tolerance, and honest absence."""

import pytest

from experiment import made
from pqi.experiment.series import studies
from pqi.experiment.summary import Point, summarise


def summary(lives, accuracies, *others):
    runs = [made.run(lives, accuracies), *(made.run(lives, of_seed, seed=s + 1) for s, of_seed in enumerate(others))]
    (study,) = studies(runs)
    return summarise(study.series[0])


def test_the_first_iteration_below_the_target_within_tolerance():
    found = summary((1000, 500, 99, 90, 20), (0.98, 0.98, 0.96, 0.97, 0.90))
    assert found.target is not None
    assert (found.target.retrainings, found.target.remaining) == (3, 9)
    assert found.target.accuracy == pytest.approx(97)
    assert found.smallest == found.target
    assert (found.last.retrainings, found.last.remaining) == (4, 2)


def test_ten_percent_is_not_below_ten_percent():
    assert summary((1000, 100), (0.98, 0.98)).target is None


def test_a_network_that_only_got_worse_stays_dense():
    found = summary((1000, 50), (0.98, 0.5))
    assert found.target is None
    assert found.smallest == found.dense


def test_means_over_seeds_decide():
    found = summary((1000, 90), (0.98, 0.95), (0.98, 0.98))
    assert found.target is not None
    assert found.target.accuracy == pytest.approx(96.5)
    assert found.target.deviation == pytest.approx(3 / 2**0.5)
    assert summary((1000, 90), (0.98, 0.95)).target is None


def test_a_run_with_one_iteration_is_its_own_first_and_last():
    found = summary((1000,), (0.98,))
    assert found.dense == found.smallest == found.last
    assert isinstance(found.dense, Point)
    assert found.target is None
