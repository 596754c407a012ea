"""Phases by the documented rule, on curves made for it and on measured ones."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pqi.prune import Advice, Turn, advise

# Retrained index and validation accuracy (%) of the digits preset's MLP in global scope, seed 0, 35 trainings each.
MEASURED = {
    "one-shot": (
        (
            ".206 .144 .114 .096 .084 .075 .071 .069 .074 .081 .096 .115 .145 .176 .215 .264 .316 .367 "
            ".461 .500 .551 .568 .570 .569 .598 .550 .561 .076 .069 .063 .062 .066 .068 .077 .088"
        ),
        (
            "98.4 98.4 98.4 98.4 98.4 98.4 98.4 98.8 98.8 98.8 98.4 98.8 98.0 97.6 97.6 97.6 96.0 95.6 "
            "95.2 92.8 74.8 60.8 53.6 36.8 28.4 23.6 25.2 6.4 6.4 6.4 6.4 6.4 6.4 6.4 6.4"
        ),
    ),
    "lottery-ticket": (
        (
            ".206 .144 .103 .079 .065 .056 .051 .050 .050 .051 .050 .050 .048 .044 .046 .046 .047 .044 "
            ".038 .041 .047 .038 .037 .033 .044 .030 .041 .016 .052 .019 .198 .082 .036 .132 .029"
        ),
        (
            "98.4 98.4 98.4 98.4 98.4 98.4 98.8 98.8 98.8 98.8 98.8 98.8 99.2 99.2 98.8 98.4 98.8 97.6 "
            "98.0 98.0 97.6 97.2 96.8 96.4 96.0 95.2 94.4 93.2 89.2 84.8 56.4 56.4 52.4 42.4 40.4"
        ),
    ),
    "sap-1-2": (
        (
            ".322 .176 .131 .115 .109 .106 .103 .100 .095 .087 .085 .082 .074 .075 .072 .074 .071 .075 "
            ".075 .077 .074 .069 .066 .081 .081 .063 .054 .049 .044 .057 .053 .064 .045 .041 .044"
        ),
        (
            "98.4 98.8 98.8 98.8 98.8 98.8 98.8 98.8 98.8 98.8 98.8 98.8 98.8 98.4 97.6 97.6 97.6 97.2 "
            "97.2 97.2 97.2 97.2 96.8 96.8 96.4 95.6 94.8 94.0 95.2 93.6 93.2 93.2 92.4 91.6 92.0"
        ),
    ),
}


def measured(method):
    indices, percents = ([float(number) for number in numbers.split()] for numbers in MEASURED[method])
    return indices, [percent / 100 for percent in percents]


SHORT = {"regularised": "r", "under-fitting": "u", "collapse": "c"}


def letters(indices, *args, **options):
    return "".join(SHORT[phase] for phase in advise(indices, *args, **options).phases)


@pytest.mark.parametrize(
    ("indices", "phases"),
    [
        ([], ""),
        ([0.3], "r"),
        ([0.3, 0.2, 0.1], "rrr"),
        ([0.3, 0.2, 0.1, 0.2, 0.3], "rrruu"),
        ([0.3, 0.2, 0.1, 0.2, 0.3, 0.2, 0.1], "rrruucc"),
        ([0.1, 0.2, 0.3, 0.2], "ruuc"),
        ([0.3, 0.2, 0.1, 0.1, 0.2], "rrruu"),
        ([0.3, 0.1, 0.4, 0.4, 0.1], "rrucc"),
        ([0.3, 0.1, 0.4, 0.1, 0.9, 0.1], "rruccc"),
        ([0.2, 0.2, 0.2], "rrr"),
        ([0.0, 0.0], "rr"),
        ([0.3, 0.2, math.nan, math.nan], "rrcc"),
        ([0.3, 0.1, 0.3, math.nan], "rruc"),
        ([math.nan], "c"),
    ],
)
def test_made_curves(indices, phases):
    assert letters(indices) == phases


def test_moves_within_the_tolerance_change_nothing():
    flat = [0.2, 0.1, 0.11, 0.119, 0.1, 0.118]
    assert letters(flat) == "r" * 6
    assert letters([*flat, 0.121]) == "rruuuuu"
    assert letters([*flat, 0.121], tolerance=0.2) == "r" * 7
    falling = [0.1, 0.2, 0.181]
    assert letters(falling) == "ruu"
    assert letters([*falling, 0.179]) == "rucc"


def test_the_tolerance_is_of_the_largest_index_so_far():
    scaled = [[scale * index for index in (0.2, 0.1, 0.119, 0.121, 0.3, 0.26)] for scale in (1e-9, 1.0, 1e9)]
    assert {letters(indices) for indices in scaled} == {"rruuuc"}


def test_a_turn_is_at_the_extremum_and_confirmed_later():
    found = advise([0.20, 0.10, 0.11, 0.13, 0.15, 0.14, 0.12])
    assert (found.trough, found.peak) == (Turn(at=1, confirmed=3), Turn(at=4, confirmed=6))


def test_one_shot_under_fits_and_collapses():
    """Its index falls to .069 (21 % of the weights), rises to .598 (.48 %) and falls to .076 when nothing is left."""
    found = advise(measured("one-shot")[0])
    assert (found.trough, found.peak) == (Turn(at=7, confirmed=10), Turn(at=24, confirmed=27))
    assert advise(*measured("one-shot")).trough == Turn(at=7, confirmed=13)


def test_lottery_ticket_under_fits_late():
    """Its index is flat from 26 % to 1 % of the weights; it swings when the accuracy goes, from .25 % on."""
    found = advise(measured("lottery-ticket")[0])
    assert (found.trough, found.peak) == (Turn(at=27, confirmed=28), Turn(at=28, confirmed=29))
    assert advise(*measured("lottery-ticket")) == found


def test_sap_does_not_under_fit():
    """It slows down by itself: .2 % of the weights are left after 34 prunings, at 92 %."""
    assert set(advise(measured("sap-1-2")[0]).phases) == {"regularised"}


def test_accuracy_confirms():
    indices = [0.2, 0.1, 0.2, 0.2, 0.1]
    assert letters(indices, [0.9, 0.9, 0.9, 0.9, 0.9]) == "rrrrr"
    assert letters(indices, [0.9, 0.9, 0.9, 0.8, 0.7]) == "rrucc"
    assert advise(indices, [0.9, 0.9, 0.9, 0.8, 0.7]).trough == Turn(at=1, confirmed=3)
    assert letters(indices, [0.9, 0.9, 0.9, 0.895, 0.895]) == "rrrrr"
    assert letters(indices, [0.9, 0.9, 0.9, 0.895, 0.895], drop=0.001) == "rrucc"
    assert letters(indices, [math.nan] * 5) == "rrrrr"


CURVES = st.lists(st.floats(0, 1) | st.just(math.nan), max_size=12)


@given(CURVES, st.floats(0.01, 0.5))
def test_later_iterations_never_contradict_a_confirmed_turn(indices, tolerance):
    before = advise([], tolerance=tolerance)
    for t in range(1, len(indices) + 1):
        now = advise(indices[:t], tolerance=tolerance)
        assert len(now.phases) == t
        assert before.trough in (None, now.trough)
        assert before.peak in (None, now.peak)
        for turn in (now.trough, now.peak):
            assert turn is None or turn.at < turn.confirmed < t
        before = now


@given(CURVES)
def test_phases_come_in_order(indices):
    assert letters(indices) == "".join(sorted(letters(indices), key="ruc".index))


@given(st.lists(st.floats(0.01, 1), max_size=12), st.integers(-20, 20))
def test_scale_does_not_matter(indices, exponent):
    assert letters(indices) == letters([math.ldexp(index, exponent) for index in indices])


def test_when_to_stop():
    regular, under, collapsed = (
        Advice((), None, None),
        Advice((), Turn(0, 1), None),
        Advice((), Turn(0, 1), Turn(1, 2)),
    )
    assert [advice.stops("underfit") for advice in (regular, under, collapsed)] == [False, True, True]
    assert [advice.stops("collapse") for advice in (regular, under, collapsed)] == [False, False, True]
    assert not collapsed.stops("never")
    assert advise([0.1, math.nan]).stops("underfit")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: advise([0.1], tolerance=0), "tolerance must satisfy 0 < tolerance < 1, got 0"),
        (lambda: advise([0.1], tolerance=1), "tolerance must satisfy 0 < tolerance < 1, got 1"),
        (lambda: advise([0.1], drop=-1), "drop must be >= 0, got -1"),
        (lambda: advise([0.1], [0.9, 0.9]), "accuracies must be as many as indices, 1, got 2"),
        (lambda: advise([0.1, -0.1]), "indices must be >= 0 and finite or nan, got -0.1 at 1"),
        (lambda: advise([math.inf]), "indices must be >= 0 and finite or nan, got inf at 0"),
        (
            lambda: advise([]).stops("end"),  # type: ignore[arg-type] # the error is what is tested
            "stop_at must be 'collapse', 'underfit' or 'never', got 'end'",
        ),
    ],
)
def test_errors_name_value_and_rule(call, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()
