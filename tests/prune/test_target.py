"""Targets are met to the weight, on the course they name."""

import fractions
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pqi.prune import SCOPES, Floor, GroupStats, Pruner, Target
from pqi.prune.target import Course
from prune.networks import Everything

COURSES: tuple[Course, ...] = ("geometric", "linear", "cubic")


def stats(total, live=None):
    live = total if live is None else live
    return GroupStats(name="g", total=total, live=live, zeros=0, index=0.2, gini=0.3, bound=1.0)


def run(target, totals, *, steps, room=None):
    """Return how many weights each group has lost after each step."""
    gone, history = [0] * len(totals), []
    for step in range(steps):
        groups = [stats(total, total - n) for total, n in zip(totals, gone, strict=True)]
        limits = [group.live for group in groups] if room is None else room(groups)
        quotas = target.quotas(groups, step, limits)
        assert all(0 <= quota.count <= limit for quota, limit in zip(quotas, limits, strict=True))
        gone = [n + quota.count for n, quota in zip(gone, quotas, strict=True)]
        history.append(list(gone))
    return history


@pytest.mark.parametrize("course", COURSES)
@given(st.integers(1, 10**6), st.integers(0, 1000), st.integers(1, 40))
def test_the_end_is_exact_and_the_way_monotone(course, total, thousandths, steps):
    target = Target(thousandths / 1000, steps, course)
    pruned = [target.pruned(total, step) for step in range(steps + 3)]
    assert pruned == sorted(pruned)
    assert pruned[0] == 0
    assert pruned[steps:] == [total * thousandths // 1000] * 3


@given(st.integers(1, 10**9), st.integers(1, 999), st.integers(1, 12), st.integers(1, 12))
def test_the_geometric_course_is_the_exact_root(total, thousandths, steps, step):
    kept = total - Target(thousandths / 1000, steps).pruned(total, min(step, steps))
    t, end = min(step, steps), total - total * thousandths // 1000
    assert kept**steps >= total ** (steps - t) * end**t
    assert kept == 0 or (kept - 1) ** steps < total ** (steps - t) * end**t


def test_courses_are_what_they_are_called():
    n = 10**9
    for t in range(11):
        share = {course: Target(0.9, 10, course).pruned(n, t) / n for course in COURSES}
        assert share["geometric"] == pytest.approx(1 - 0.1 ** (t / 10), abs=2e-9)
        assert share["linear"] == pytest.approx(0.9 * t / 10, abs=2e-9)
        assert share["cubic"] == pytest.approx(0.9 * (1 - (1 - t / 10) ** 3), abs=2e-9)


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=30).filter(any),
    st.integers(0, 100),
    st.integers(1, 8),
    st.sampled_from(COURSES),
)
def test_groups_share_the_count_in_proportion_and_the_sum_is_exact(totals, percent, steps, course):
    target = Target(percent / 100, steps, course)
    for step, gone in enumerate(run(target, totals, steps=steps), start=1):
        wanted = target.pruned(sum(totals), step)
        assert sum(gone) == wanted
        for total, n in zip(totals, gone, strict=True):
            assert abs(n - fractions.Fraction(wanted * total, sum(totals))) < 2


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(0, 100)), min_size=1, max_size=20),
    st.integers(0, 100),
    st.integers(1, 5),
)
def test_others_make_up_for_floors(groups, percent, steps):
    totals = [total for total, _ in groups]
    floors = [math.ceil(total * share / 100) for total, share in groups]

    def room(now):
        return [max(group.live - floor, 0) for group, floor in zip(now, floors, strict=True)]

    (*_, gone) = run(Target(percent / 100, steps), totals, steps=steps, room=room)
    possible = sum(total - floor for total, floor in zip(totals, floors, strict=True))
    assert sum(gone) == min(sum(totals) * percent // 100, possible)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("course", COURSES)
def test_a_model_reaches_its_target_in_every_scope(scope, course):
    pruner = Pruner(Everything(), amount=Target(0.77, 4, course), scope=scope)
    for _ in range(4):
        pruner.step()
    assert pruner.total - pruner.remaining == pruner.total * 77 // 100
    assert pruner.step().pruned == 0
    live = {name: int(mask.sum()) / mask.numel() for name, mask in pruner.masks.items()}
    if scope != "global":
        assert all(abs(share - 0.23) < 0.1 for share in live.values())


def test_the_step_is_part_of_the_state():
    def pruner():
        torch.manual_seed(3)
        return Pruner(nn.Linear(50, 20), amount=Target(0.9, 5, "cubic"))

    straight, first, second = pruner(), pruner(), pruner()
    for _ in range(5):
        straight.step()
    first.step()
    first.step()
    second.load_state_dict(first.state_dict())
    assert second.steps == 2
    for _ in range(3):
        second.step()
    assert torch.equal(second.masks["weight"], straight.masks["weight"])
    assert second.remaining == 100


def test_zeros_are_pruned_like_any_other_weight():
    model = nn.Linear(10, 10, bias=False)
    nn.init.zeros_(model.weight)
    assert Pruner(model, amount=Target(0.5, 1)).step().pruned == 50


def test_floors_win():
    pruner = Pruner(nn.Linear(10, 10), amount=Target(0.9, 1), floor=Floor(share=0.25), scope="neuron")
    report = pruner.step()
    assert report.remaining == 30, "⌈2.5⌉ of each of ten neurons"


def test_a_quota_alone_is_that_of_the_whole():
    assert Target(0.9, 3).quota(stats(100, 40)).count == 30
    assert Target(0.9, 3).quota(stats(100, 5)).count == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Target(1.1, 2), "sparsity must satisfy 0 <= sparsity <= 1, got 1.1"),
        (lambda: Target("most", 2), "a share must be a finite number, got most"),
        (lambda: Target(0.5, 0), "steps must be >= 1, got 0"),
        (
            lambda: Target(0.5, 1, "steep"),  # type: ignore[arg-type] # the error is what is tested
            "course must be 'geometric', 'linear' or 'cubic', got 'steep'",
        ),
        (lambda: Target(0.5, 1, p=2.0), "p must satisfy 0 < p < q < inf, got p=2.0, q=1.0"),
        (lambda: Target(0.5, 1, eta=-1), "eta must be >= 0 and finite, got -1"),
    ],
)
def test_errors_name_value_and_rule(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()
