"""Calls that the core answers in one step: what they answer, what they leave to the ordinary way, and its errors."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pqi
from cases import DTYPES, LAYOUTS, bits, sample
from pqi import _arrays

# The calls that a function is to answer in one step, beside what it is asked.
ANSWERED: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
    (pqi.index, (), {}),
    (pqi.index, (1, 2), {}),
    (pqi.index, (0.7, 1.3), {"axis": None, "where": None, "keepdims": False}),
    (pqi.index, (), {"q": 2}),
    (pqi.norms, (1, 2), {}),
    (pqi.norms, (0.25,), {"q": 500}),
    (pqi.retained_bound, (), {}),
    (pqi.retained_bound, (1.0, 2.0), {"eta": 1}),
    (pqi.gini, (), {}),
    (pqi.gini, (), {"tol": None, "unbiased": False}),
    (pqi.topk_mask, (0,), {}),
    (pqi.topk_mask, (3,), {"out": None}),
    (pqi.topk_mask, (), {"k": 5}),
    (pqi.topk_threshold, (3,), {"keepdims": False}),
    (pqi.topk_threshold, (0,), {}),
]
CALLS = pytest.mark.parametrize(
    ("function", "positional", "named"), ANSWERED, ids=[f"{f.__name__}{a}{n}" for f, a, n in ANSWERED]
)


def ordinary(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the public function without the step."""
    written: Callable[..., Any] = inspect.unwrap(function)
    assert written is not function
    return written


@CALLS
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_same_bits_as_the_ordinary_way(
    dtype: np.dtype[Any], function: Callable[..., Any], positional: tuple[Any, ...], named: dict[str, Any]
) -> None:
    for shape in ((1000,), (5, 7, 11)):
        for layout in LAYOUTS.values():
            x = layout(sample(dtype, shape))
            found, expected = function(x, *positional, **named), ordinary(function)(x, *positional, **named)
            assert type(found) is type(expected)
            assert bits(found) == bits(expected)
            assert np.shape(found) == np.shape(expected)


@CALLS
def test_answered_in_one_step(
    monkeypatch: pytest.MonkeyPatch,
    function: Callable[..., Any],
    positional: tuple[Any, ...],
    named: dict[str, Any],
) -> None:
    def prepare(*_: Any) -> Any:
        raise AssertionError

    x = np.arange(12.0).reshape(3, 4)
    monkeypatch.setattr(_arrays, "prepare", prepare)
    function(x, *positional, **named)
    with pytest.raises(AssertionError):
        function(x, *positional, **{**named, "axis": 0})


@pytest.mark.parametrize(
    ("function", "positional", "named"),
    [
        (pqi.index, (np.float64(0.5), np.float32(1)), {}),
        (pqi.index, (), {"keepdims": True}),
        (pqi.norms, (), {"keepdims": np.False_}),
        (pqi.retained_bound, (), {"eta": np.float64(0.25)}),
        (pqi.gini, (), {"unbiased": True}),
        (pqi.gini, (), {"where": np.array([True, False, True, True])}),
        (pqi.topk_mask, (np.int64(2),), {}),
        (pqi.topk_threshold, (np.array(2),), {"axis": (0, 1)}),
    ],
)
def test_declined(function: Callable[..., Any], positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    x = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(function(x, *positional, **named), ordinary(function)(x, *positional, **named))


@pytest.mark.parametrize("x", [np.ma.masked_array([1.0, 2.0]), np.array([1, 2], dtype=object), np.array([1j]), "1"])
def test_other_arrays_meet_the_ordinary_errors(x: Any) -> None:
    for function, positional, named in ANSWERED:
        with pytest.raises(TypeError, match="^x must") as found:
            function(x, *positional, **named)
        with pytest.raises(TypeError) as expected:
            ordinary(function)(x, *positional, **named)
        assert str(found.value) == str(expected.value)


@pytest.mark.parametrize(
    ("function", "positional", "named"),
    [
        (pqi.index, (), {}),
        (pqi.index, (1, 1), {}),
        (pqi.index, (0.5, 501), {}),
        (pqi.index, (0.5, float("nan")), {}),
        (pqi.index, (10**400,), {}),
        (pqi.index, (True,), {}),
        (pqi.index, (0.5, 1, None), {}),
        (pqi.index, (0.5,), {"p": 0.5}),
        (pqi.index, (), {"dim": 0}),
        (pqi.index, (), {"axes": 0}),
        (pqi.norms, (2, 1), {}),
        (pqi.retained_bound, (), {"eta": -1}),
        (pqi.retained_bound, (), {"eta": float("inf")}),
        (pqi.gini, (), {"unbiased": None}),
        (pqi.gini, (0.5,), {}),
        (pqi.gini, (), {"tol": -1}),
        (pqi.topk_mask, (), {}),
        (pqi.topk_mask, (-1,), {}),
        (pqi.topk_mask, (13,), {}),
        (pqi.topk_mask, (2**64,), {}),
        (pqi.topk_mask, (True,), {}),
        (pqi.topk_mask, (2.0,), {}),
        (pqi.topk_threshold, (13,), {"keepdims": False}),
    ],
)
def test_errors_are_the_function_s_own(
    function: Callable[..., Any], positional: tuple[Any, ...], named: dict[str, Any]
) -> None:
    arguments = () if (positional, named) == ((), {}) and function is pqi.index else (np.arange(12.0).reshape(3, 4),)
    with pytest.raises((TypeError, ValueError)) as found:
        function(*arguments, *positional, **named)
    with pytest.raises(type(found.value)) as expected:
        ordinary(function)(*arguments, *positional, **named)
    assert str(found.value) == str(expected.value)


def test_arrays_are_not_kept() -> None:
    x = np.arange(12.0)
    before = sys.getrefcount(x)
    for function, positional, named in ANSWERED:
        for _ in range(3):
            function(x, *positional, **named)
    assert sys.getrefcount(x) == before
