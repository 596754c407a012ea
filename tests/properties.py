"""Hurley and Rickard's six properties of a sparsity measure, as checks that take the measure.

Each check asserts strictly: S after the change is lower, higher or equal as the property demands. With `strict=False`
it asks only that rounding apart S doesn't move the wrong way.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Measure = Callable[[npt.NDArray[np.floating]], float]

ROUNDING = 1e-12


def check_lower(after: float, before: float, *, strict: bool) -> None:
    """Assert after < before, or that it is no higher than rounding explains."""
    if strict:
        assert after < before
    else:
        assert after <= before + ROUNDING


def check_robin_hood(measure: Measure, w: Vector, rich: int, poor: int, alpha: float, *, strict: bool = True) -> None:
    """D1: moving alpha < (w_rich - w_poor) / 2 from a larger entry to a smaller one lowers S."""
    moved = w.copy()
    moved[rich] -= alpha
    moved[poor] += alpha
    check_lower(measure(moved), measure(w), strict=strict)


def check_scaling(measure: Measure, w: npt.NDArray[np.floating], factor: float) -> None:
    """D2: S doesn't depend on the unit; for a power of two not even in its last bit."""
    assert measure(w * w.dtype.type(factor)) == measure(w)


def check_rising_tide(measure: Measure, w: Vector, alpha: float, *, strict: bool = True) -> None:
    """D3: adding alpha > 0 to every entry, not all equal, lowers S."""
    check_lower(measure(w + alpha), measure(w), strict=strict)


def check_cloning(measure: Measure, w: Vector, times: int) -> None:
    """D4: a vector repeated is as sparse as the vector."""
    np.testing.assert_allclose(measure(np.tile(w, times)), measure(w), rtol=0, atol=ROUNDING)


def check_bill_gates(measure: Measure, w: Vector, who: int, beta: float, alpha: float, *, strict: bool = True) -> None:
    """P1: once an entry has grown by beta, growing it further by alpha raises S."""
    rich = w.copy()
    rich[who] += beta
    richer = rich.copy()
    richer[who] += alpha
    check_lower(measure(rich), measure(richer), strict=strict)


def check_babies(measure: Measure, w: Vector, *, strict: bool = True) -> None:
    """P2: appending a zero raises S."""
    check_lower(measure(w), measure(np.append(w, 0.0)), strict=strict)
