"""What is shown of an iteration, against numbers that can be worked out by hand."""

import math

import pytest

from experiment import made
from pqi.experiment import quantities as of
from pqi.experiment.quantities import pruned, retrained
from pqi.prune import GroupReport, IterationRecord, StepReport

FIRST, LAST = made.records((1000, 400), (0.98, 0.95))


@pytest.mark.parametrize(
    ("quantity", "first", "last"),
    [
        (of.accuracy(retrained), 98, 95),
        (of.accuracy(retrained, "validation"), 98, 95),
        (of.accuracy(pruned), 88, math.nan),
        (of.loss(retrained), 0.02, 0.05),
        (of.loss(pruned), 0.12, math.nan),
        (of.remaining(retrained), 100, 40),
        (of.remaining(pruned), 40, math.nan),
        (of.index(retrained, (0.5, 1.0)), 0.2, 0.2),
        (of.index(retrained, (1.0, 2.0)), 0.4, 0.4),
        (of.index(pruned, (1.0, 2.0)), 0.2, math.nan),
        (of.gini(retrained), 0.4, 0.4),
        (of.layer_remaining(0), 100, 40),
        (of.layer_index(0), 0.2, 0.2),
        (of.layer_gini(0), 0.4, 0.4),
        (of.share_bound, 50, 50),
        (of.share_suggested, 60, math.nan),
        (of.share_pruned, 60, math.nan),
        (of.count_pruned, 600, math.nan),
        (of.share_clamped, 0, math.nan),
        (of.accuracy_change, -10, math.nan),
    ],
)
def test_quantities(quantity, first, last):
    assert quantity(FIRST) == pytest.approx(first)
    assert quantity(LAST) == pytest.approx(last, nan_ok=True)


def with_step(*groups):
    step = StepReport(groups=groups, pruned=0, remaining=0, total=0)
    return IterationRecord(**{**vars(FIRST), "step": step})


def group(live, ratio, *, clamped=False):
    return GroupReport(**vars(made.stats(live)), ratio=ratio, clamped=clamped, pruned=0)


def test_suggestions_are_weighed_by_live_weights_and_groups_without_one_left_out():
    record = with_step(group(100, 2.0, clamped=True), group(300, 0.4), group(50, math.nan), group(0, math.nan))
    assert of.share_suggested(record) == pytest.approx(100 * (100 * 2.0 + 300 * 0.4) / 400)
    assert of.share_clamped(record) == 25
    assert math.isnan(of.share_suggested(with_step(group(50, math.nan))))


def test_the_change_of_accuracy_is_to_the_same_weights_before_the_step():
    record = IterationRecord(**{**vars(FIRST), "reference": made.result(1000, 0.90)})
    assert of.accuracy_change(record) == pytest.approx(-2)


def test_a_network_without_live_weights_has_no_shares():
    record = made.records((0, 0), (0.1, 0.1))[0]
    assert math.isnan(of.share_bound(record))
    assert math.isnan(of.share_pruned(record))
