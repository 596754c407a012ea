"""Counts of what the runs show, on runs made to show it or not."""

from dataclasses import replace

from experiment import made
from pqi.experiment import finding_tables, findings
from pqi.experiment.findings import Lowered, Reached, Turns
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.series import studies

LIVES = (1000, 500, 250, 100, 50)
COLLAPSE = made.run(LIVES, (0.98, 0.98, 0.9, 0.3, 0.1), indices=(0.2, 0.1, 0.3, 0.5, 0.1))
FLAT = made.run(LIVES, (0.98, 0.98, 0.98, 0.97, 0.97), indices=(0.2, 0.1, 0.1, 0.1, 0.1), seed=1)
NO_PEAK = made.run(LIVES, (0.98, 0.98, 0.98, 0.5, 0.1), indices=(0.2, 0.15, 0.1, 0.1, 0.1), seed=2)


def test_the_inflection_is_where_accuracy_falls_steepest():
    assert findings.inflection(COLLAPSE) == 3
    assert findings.inflection(FLAT) is None, "it never falls far"
    assert findings.inflection(replace(COLLAPSE, records=COLLAPSE.records[:2])) is None


def test_turns_are_counted():
    found = findings.turns([COLLAPSE, FLAT, NO_PEAK])
    assert found == Turns(runs=3, troughs=1, peaks=1, collapsed=2, pairs=((3, 3),))
    assert (found.within(0), findings.turns([FLAT]).within(5)) == (1, 0)


def test_distances_are_counted_inclusively():
    found = Turns(runs=4, troughs=4, peaks=4, collapsed=4, pairs=((3, 3), (3, 4), (6, 4), (1, 9)))
    assert [found.within(distance) for distance in (0, 1, 2, 8)] == [1, 2, 3, 4]


def test_steps_that_lower_the_index_are_counted_by_exponents():
    """Pruned weights of the made runs have an index of .1 at (½, 1) and of .2 at (1, 2)."""
    assert findings.lowered([COLLAPSE]) == Lowered(4, (3, 3))
    assert findings.lowered([FLAT]) == Lowered(4, (1, 1))


def test_steps_that_take_nothing_are_no_steps():
    assert findings.lowered([made.run((1000, 1000, 500), (0.9,) * 3)]).steps == 1


def test_retrainings_are_those_of_each_seed_within_the_tolerance():
    quick = made.run(LIVES, (0.98, 0.98, 0.98, 0.98, 0.98))
    slow = made.run((1000, 900, 800, 300, 80), (0.98, 0.98, 0.98, 0.98, 0.97), seed=1)
    worse = made.run(LIVES, (0.98, 0.98, 0.98, 0.9, 0.9), seed=2)
    (study,) = studies([quick, slow, worse])
    (series,) = study.series
    assert findings.reached(series, 60.0) == Reached((1, 3, 1), 3)
    assert findings.reached(series, 60.0).mean == 5 / 3
    assert findings.reached(series, 10.0) == Reached((4, 4), 3)
    assert findings.reached(series, 10.0).mean is None, "not all got there"


def test_tables_have_a_row_per_method_and_one_for_all():
    one_shot = made.run(LIVES, (0.98,) * 5, method=MethodSpec.parse("one-shot"))
    found = studies([COLLAPSE, FLAT, one_shot])
    turning = [list(map(str, row)) for row in finding_tables.turning_points(found).rows]
    assert turning == [
        ["SAP(1, 2), global", "2", "1", "1", "1", "1", "1", "1", "3/3"],
        ["One Shot, global", "1", "0", "0", "0", "0", "0", "0", "–"],
        ["all", "3", "1", "1", "1", "1", "1", "1", "3/3"],
    ]
    lowered = [list(map(str, row)) for row in finding_tables.lowered(found).rows]
    assert lowered[-1] == ["all", "12", "8", "8"]
    retrainings = [list(map(str, row)) for row in finding_tables.retrainings(found).rows]
    assert retrainings[0] == ["SAP(1, 2), global", "1 of 2 runs", "1 of 2 runs", "–", "–", "–"]
    assert retrainings[1] == ["One Shot, global", "3.0", "4.0", "–", "–", "–"]
