"""`summary`: every number in it is the one that its own function gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pqi
import reference
from cases import DTYPES, bits, sample

FIELDS = ("count", "live", "zeros", "max", "mean", "index", "gini", "bound")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_whole_array(dtype: np.dtype[Any]) -> None:
    x = sample(dtype, (30, 40))
    s = pqi.summary(x, 0.7, 1.3, eta=0.01)
    assert (s.count, s.live) == (1200, 1200)
    assert s.zeros == np.count_nonzero(x == 0)
    assert s.max == float(reference.magnitudes(x).max())
    assert s.mean == pytest.approx(reference.power_mean(x, 1), rel=1e-14)
    assert bits(s.index) == bits(pqi.index(x, 0.7, 1.3))
    assert bits(s.gini) == bits(pqi.gini(x))
    assert bits(s.bound) == bits(pqi.retained_bound(x, 0.7, 1.3, eta=0.01))


def test_groups_and_masks() -> None:
    x = sample(np.dtype(np.float32), (5, 6, 70))
    live = np.random.default_rng(3).random(x.shape) < 0.5
    live[0] = False
    live[:, 2] = True
    s = pqi.summary(x, axis=(0, 2), where=live)
    np.testing.assert_array_equal(s.live, live.sum(axis=(0, 2)))
    np.testing.assert_array_equal(s.zeros, (live & (x == 0)).sum(axis=(0, 2)))
    np.testing.assert_array_equal(s.max, np.abs(x).max(axis=(0, 2), where=live, initial=0))
    np.testing.assert_allclose(s.mean, np.abs(x.astype(np.float64)).mean(axis=(0, 2), where=live), rtol=1e-13)
    assert bits(s.index) == bits(pqi.index(x, axis=(0, 2), where=live))
    assert bits(s.gini) == bits(pqi.gini(x, axis=(0, 2), where=live))
    assert bits(s.bound) == bits(pqi.retained_bound(x, axis=(0, 2), where=live))


def test_count_includes_what_the_mask_takes_out() -> None:
    s = pqi.summary(np.array([3.0, 0.0, 4.0, 0.0]), where=np.array([True, True, False, False]))
    assert (s.count, s.live, s.zeros, s.max, s.mean) == (4, 2, 1, 3.0, 1.5)


def test_undefined_measures() -> None:
    zero = pqi.summary(np.zeros(4))
    assert (zero.count, zero.live, zero.zeros, zero.max, zero.mean) == (4, 4, 4, 0, 0)
    assert math.isnan(zero.index)
    assert math.isnan(zero.gini)
    assert math.isnan(zero.bound)
    empty = pqi.summary(np.zeros(0))
    assert (empty.count, empty.live, empty.zeros) == (0, 0, 0)
    assert math.isnan(empty.index)
    infinite = pqi.summary(np.array([1.0, -math.inf, 0.0]))
    assert infinite.max == math.inf
    assert infinite.zeros == 1
    assert math.isnan(infinite.index)


def test_it_shows_its_numbers() -> None:
    text = repr(pqi.summary([3.0, 0.0, 0.0, 1.0]))
    assert all(field in text for field in FIELDS)
