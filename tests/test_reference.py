"""The reference against exact rational arithmetic and numbers worked out by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

import reference
from strategies import any_vectors


def exact_gini(w: list[float]) -> Fraction:
    ordered = sorted(abs(Fraction(v)) for v in w)
    d = len(ordered)
    ranked = sum(((2 * k - d - 1) * v for k, v in enumerate(ordered, 1)), Fraction(0))
    return ranked / (d * sum(ordered))


@given(w=any_vectors())
def test_gini_is_exact(w: np.ndarray) -> None:
    assert reference.gini(w) == pytest.approx(float(exact_gini(w.tolist())), abs=1e-16)


@given(w=any_vectors())
def test_hoyer_is_exact(w: np.ndarray) -> None:
    exact = [abs(Fraction(v)) for v in w.tolist()]
    squared = sum(exact) ** 2 / (len(exact) * sum(v * v for v in exact))
    assert (1 - reference.index(w, 1, 2)) ** 2 == pytest.approx(float(squared), rel=1e-14)


def test_worked_example() -> None:
    w = [3.0, 0.0, 0.0, -1.0]
    assert reference.index(w, 0.5, 1) == pytest.approx(1 - (math.sqrt(3) + 1) ** 2 / 16, abs=2e-16)
    assert reference.gini(w) == pytest.approx(5 / 8, abs=1e-16)
    assert reference.norm(w, 2) == pytest.approx(math.sqrt(10))
    assert reference.power_mean(w, 1) == 1.0
    assert reference.retained_bound(w, 1, 2) == pytest.approx(4 * 16 / 40)
    assert reference.true_eta(w, 1, 1) == pytest.approx(1 / 3)


def test_masks_by_hand() -> None:
    w = np.array([1.0, -3.0, np.nan, 3.0, np.inf, 3.0, -np.nan])
    assert reference.descending(w).tolist() == [2, 6, 4, 1, 3, 5, 0]
    assert reference.topk_mask(w, 4).tolist() == [False, True, True, False, True, False, True]
    assert reference.topk_threshold(w, 4) == 3.0
    assert reference.topk_mask(np.array([-128, 127, -127], dtype=np.int8), 2).tolist() == [True, True, False]
    assert reference.magnitude_keys(np.array([-(2**63), 2**63 - 1])).tolist() == [2**63, 2**63 - 1]


def test_undefined_is_nan() -> None:
    for w in ([], [0.0, -0.0], [1.0, math.nan], [1.0, math.inf]):
        assert math.isnan(reference.index(w))
        assert math.isnan(reference.gini(w))
