"""The six properties hold for the PQ index and the Gini index, and the same checks turn an impostor away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import pqi
import reference
from properties import (
    Measure,
    Vector,
    check_babies,
    check_bill_gates,
    check_cloning,
    check_rising_tide,
    check_robin_hood,
    check_scaling,
)
from strategies import (
    GRID,
    any_vectors,
    exponent_pairs,
    exponents_around_one,
    graded_entries,
    normal_vectors,
    scales,
)

FAMILIES = ["index", "gini"]


def measure_of(family: str, pq: tuple[float, float]) -> Measure:
    """Return the Gini index, or the PQ index with the given exponents."""
    if family == "gini":
        return lambda w: float(pqi.gini(w))
    return lambda w: float(pqi.index(w, *pq))


class Transfer(NamedTuple):
    """A Robin Hood move."""

    w: Vector
    rich: int
    poor: int
    alpha: float


@st.composite
def graded_transfers(draw: st.DrawFn) -> Transfer:
    """Draw moves in which alpha and what is left of the gap are at least 1e-3 of the scale."""
    entries = draw(graded_entries().filter(lambda e: max(e) - min(e) > 2))
    rich = int(np.argmax(entries)) if draw(st.booleans()) else draw(st.integers(0, len(entries) - 1))
    poorer = [j for j, e in enumerate(entries) if entries[rich] - e > 2]
    if not poorer:
        rich = int(np.argmax(entries))
        poorer = [int(np.argmin(entries))]
    poor = draw(st.sampled_from(poorer))
    alpha = draw(st.integers(1, (entries[rich] - entries[poor] - 1) // 2))
    unit = draw(scales()) / GRID
    return Transfer(np.array(entries) * unit, rich, poor, alpha * unit)


@st.composite
def any_transfers(draw: st.DrawFn) -> Transfer:
    """Draw moves of any size between entries of any size."""
    w = np.abs(draw(any_vectors(min_size=2)))
    rich, poor = (int(i) for i in (np.argmax(w), draw(st.integers(0, w.size - 1))))
    return Transfer(w, rich, poor, draw(st.floats(0, 0.5)) * (w[rich] - w[poor]))


@st.composite
def graded_vectors(draw: st.DrawFn, *, support: int = 1, levels: int = 1) -> Vector:
    """Draw vectors with at least so many non-zero entries and so many distinct values."""
    entries = draw(graded_entries().filter(lambda e: np.count_nonzero(e) >= support and len(set(e)) >= levels))
    return np.array(entries) * (draw(scales()) / GRID)


shares = st.integers(1, GRID).map(lambda n: n / GRID)


@pytest.mark.parametrize("family", FAMILIES)
@given(case=graded_transfers(), pq=exponents_around_one())
def test_robin_hood(family: str, case: Transfer, pq: tuple[float, float]) -> None:
    check_robin_hood(measure_of(family, pq), *case)


@pytest.mark.parametrize("family", FAMILIES)
@given(case=any_transfers(), pq=exponents_around_one())
def test_robin_hood_weakly(family: str, case: Transfer, pq: tuple[float, float]) -> None:
    check_robin_hood(measure_of(family, pq), *case, strict=False)


@pytest.mark.parametrize("family", FAMILIES)
@given(w=normal_vectors(np.float32, 20), k=st.integers(-100, 100), pq=exponent_pairs())
def test_scaling_float32(family: str, w: npt.NDArray[np.float32], k: int, pq: tuple[float, float]) -> None:
    check_scaling(measure_of(family, pq), w, 2.0**k)


@pytest.mark.parametrize("family", FAMILIES)
@given(w=normal_vectors(np.float64, 100), k=st.integers(-900, 900), pq=exponent_pairs())
def test_scaling_float64(family: str, w: Vector, k: int, pq: tuple[float, float]) -> None:
    check_scaling(measure_of(family, pq), w, 2.0**k)


@pytest.mark.parametrize("family", FAMILIES)
@given(w=graded_vectors(), factor=st.floats(1e-6, 1e6), pq=exponent_pairs())
def test_scaling_by_any_factor(family: str, w: Vector, factor: float, pq: tuple[float, float]) -> None:
    measure = measure_of(family, pq)
    assert measure(w * factor) == pytest.approx(measure(w), abs=1e-13)


@pytest.mark.parametrize("family", FAMILIES)
@given(w=graded_vectors(levels=2), share=shares, pq=exponent_pairs())
def test_rising_tide(family: str, w: Vector, share: float, pq: tuple[float, float]) -> None:
    check_rising_tide(measure_of(family, pq), w, share * w.max())


@pytest.mark.parametrize("family", FAMILIES)
@given(w=any_vectors().map(np.abs), share=st.floats(0, 1), pq=exponent_pairs())
def test_rising_tide_weakly(family: str, w: Vector, share: float, pq: tuple[float, float]) -> None:
    check_rising_tide(measure_of(family, pq), w, share * w.max(), strict=False)


@pytest.mark.parametrize("family", FAMILIES)
@given(w=st.one_of(graded_vectors(), any_vectors()), times=st.integers(2, 5), pq=exponent_pairs())
def test_cloning(family: str, w: Vector, times: int, pq: tuple[float, float]) -> None:
    check_cloning(measure_of(family, pq), w, times)


@pytest.mark.parametrize("family", FAMILIES)
@given(w=graded_vectors(support=2), who=st.integers(0, 39), share=shares, pq=exponent_pairs())
def test_bill_gates(family: str, w: Vector, who: int, share: float, pq: tuple[float, float]) -> None:
    check_bill_gates(measure_of(family, pq), w, who % w.size, beta=float(w.max()), alpha=share * w.max())


@pytest.mark.parametrize("family", FAMILIES)
@given(w=any_vectors().map(np.abs), who=st.integers(0, 59), share=st.floats(0, 1), pq=exponent_pairs())
def test_bill_gates_weakly(family: str, w: Vector, who: int, share: float, pq: tuple[float, float]) -> None:
    check_bill_gates(measure_of(family, pq), w, who % w.size, beta=float(w.max()), alpha=share * w.max(), strict=False)


@pytest.mark.parametrize("family", FAMILIES)
@given(w=graded_vectors(), pq=exponent_pairs())
def test_babies(family: str, w: Vector, pq: tuple[float, float]) -> None:
    check_babies(measure_of(family, pq), w)


@pytest.mark.parametrize("family", FAMILIES)
@given(w=any_vectors(), pq=exponent_pairs())
def test_babies_weakly(family: str, w: Vector, pq: tuple[float, float]) -> None:
    check_babies(measure_of(family, pq), w, strict=False)


def test_robin_hood_fails_above_one() -> None:
    """The paper's Theorem 1 is too strong: for 1 < p < q a transfer to the poor can raise the index."""
    w = np.array([111.7, 247.8, 0.02])
    moved = np.array([111.7 - 47.5, 247.8, 0.02 + 47.5])
    assert pqi.index(moved, 1.5, 3.0) - pqi.index(w, 1.5, 3.0) == pytest.approx(0.02, abs=0.005)
    with pytest.raises(AssertionError):
        check_robin_hood(measure_of("index", (1.5, 3.0)), w, 0, 2, 47.5)
    check_robin_hood(measure_of("index", (1.0, 2.0)), w, 0, 2, 47.5)


def test_robin_hood_fails_below_one() -> None:
    """For p < q < 1 making two large entries equal, among many tiny ones, raises the index."""
    w = np.concatenate([[1.25, 0.75], np.full(1000, 1e-6)])
    with pytest.raises(AssertionError):
        check_robin_hood(measure_of("index", (0.3, 0.6)), w, 0, 1, 0.2)
    check_robin_hood(measure_of("index", (0.3, 1.0)), w, 0, 1, 0.2)


def zero_fraction(w: npt.NDArray[np.floating]) -> float:
    """Return the share of zeros: blind to every other magnitude."""
    return float(np.mean(w == 0))


def minus_sum(w: npt.NDArray[np.floating]) -> float:
    """Return -||w||_1: it depends on the unit and on the length."""
    return -float(np.abs(w).sum())


def largest_share(w: npt.NDArray[np.floating]) -> float:
    """Return max / sum: appended zeros don't change it."""
    return float(np.abs(w).max() / np.abs(w).sum())


def density(w: npt.NDArray[np.floating]) -> float:
    """Return 1 minus the index: sparse is taken for dense."""
    return 1 - reference.index(w)


REJECTED: list[tuple[Measure, Callable[..., None], dict[str, st.SearchStrategy[Any]]]] = [
    (zero_fraction, lambda measure, case: check_robin_hood(measure, *case), {"case": graded_transfers()}),
    (density, lambda measure, case: check_robin_hood(measure, *case, strict=False), {"case": graded_transfers()}),
    (
        minus_sum,
        lambda measure, w, k: check_scaling(measure, w, 2.0**k),
        {"w": normal_vectors(np.float32, 20), "k": st.integers(-100, 100)},
    ),
    (
        zero_fraction,
        lambda measure, w, share: check_rising_tide(measure, w, share * w.max()),
        {"w": graded_vectors(levels=2), "share": shares},
    ),
    (minus_sum, check_cloning, {"w": graded_vectors(), "times": st.integers(2, 5)}),
    (
        zero_fraction,
        lambda measure, w, share: check_bill_gates(measure, w, 0, w.max(), share * w.max()),
        {"w": graded_vectors(support=2), "share": shares},
    ),
    (largest_share, check_babies, {"w": graded_vectors()}),
    (density, lambda measure, w: check_babies(measure, w, strict=False), {"w": graded_vectors()}),
]


@pytest.mark.parametrize(("impostor", "check", "cases"), REJECTED)
def test_impostors_are_rejected(
    impostor: Measure, check: Callable[..., None], cases: dict[str, st.SearchStrategy[Any]]
) -> None:
    @settings(phases=[Phase.generate], report_multiple_bugs=False)
    @given(st.fixed_dictionaries(cases))
    def examine(case: dict[str, Any]) -> None:
        check(impostor, **case)

    with pytest.raises(AssertionError):
        examine()
