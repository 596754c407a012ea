"""Phases by the documented rule, on curves made for it and on measured ones."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pqi.prune import Advice, Turn, advise

# Retrained index and validation accuracy (%) of the digits preset's MLP in global scope, sixteen trainings each.
ONE_SHOT = (
    [0.206, 0.144, 0.114, 0.096, 0.084, 0.075, 0.071, 0.069, 0.074, 0.081, 0.096, 0.115, 0.145, 0.176, 0.215, 0.264],
    [98.4, 98.4, 98.4, 98.4, 98.4, 98.4, 98.4, 98.8, 98.8, 98.8, 98.4, 98.8, 98.0, 97.6, 97.6, 97.6],
)
LOTTERY_TICKET = (
    [0.205, 0.144, 0.104, 0.080, 0.066, 0.056, 0.050, 0.047, 0.047, 0.049, 0.048, 0.048, 0.049, 0.048, 0.052, 0.052],
    [98.8, 98.8, 98.8, 98.8, 98.8, 98.8, 98.8, 98.8, 98.8, 98.8, 98.8, 98.8, 98.4, 98.8, 98.8, 98.8],
)
SAP = (
    [0.321, 0.175, 0.130, 0.111, 0.103, 0.099, 0.099, 0.097, 0.091, 0.092, 0.093, 0.094, 0.096, 0.091, 0.078, 0.081],
    [98.8, 98.8, 98.8, 98.4, 98.4, 98.4, 98.4, 98.4, 98.4, 98.4, 98.8, 98.8, 98.8, 98.4, 98.4, 98.4],
)
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
    flat = [0.2, 0.1, 0.105, 0.1095, 0.1, 0.109]
    assert letters(flat) == "r" * 6
    assert letters([*flat, 0.111]) == "rruuuuu"
    assert letters([*flat, 0.111], tolerance=0.1) == "r" * 7
    falling = [0.1, 0.2, 0.191]
    assert letters(falling) == "ruu"
    assert letters([*falling, 0.189]) == "rucc"


def test_the_tolerance_is_of_the_largest_index_so_far():
    scaled = [[scale * index for index in (0.2, 0.1, 0.109, 0.111, 0.3, 0.28)] for scale in (1e-9, 1.0, 1e9)]
    assert {letters(indices) for indices in scaled} == {"rruuuc"}


def test_a_turn_is_at_the_extremum_and_confirmed_later():
    found = advise([0.20, 0.10, 0.105, 0.12, 0.15, 0.146, 0.12])
    assert (found.trough, found.peak) == (Turn(at=1, confirmed=3), Turn(at=4, confirmed=6))


def test_measured_curves():
    """One Shot under-fits, its index rises from .069 to .264; the others move within what training varies by."""
    assert advise(ONE_SHOT[0]).trough == Turn(at=7, confirmed=9)
    assert advise(ONE_SHOT[0]).peak is None
    accuracies = [percent / 100 for percent in ONE_SHOT[1]]
    assert advise(ONE_SHOT[0], accuracies).trough == Turn(at=7, confirmed=13)
    for indices, _ in (LOTTERY_TICKET, SAP):
        assert letters(indices) == "r" * 16


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
