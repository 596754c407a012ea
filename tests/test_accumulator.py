"""What `Histogram`, `GiniSketch` and `PowerSums` have in common: sums, states, pickles."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pqi

X = (np.random.default_rng(3).standard_normal(5000) * 20).astype(np.int8)


def power_sums(x: Any) -> pqi.PowerSums:
    """Return sums with an open block and entries that wait."""
    sums = pqi.PowerSums([0.5, 1, 1.7, 2])
    sums.update(x)
    return sums


MAKERS: dict[str, Callable[[Any], Any]] = {
    "Histogram": pqi.histogram,
    "GiniSketch": pqi.gini_sketch,
    "GiniSketch of float64": lambda x: pqi.gini_sketch(np.asarray(x, dtype=np.float64)),
    "PowerSums": power_sums,
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Return what makes an accumulator of an array."""
    return MAKERS[request.param]


def test_states_go_back_and_forth(make: Callable[[Any], Any]) -> None:
    made = make(X)
    state = made.state
    assert all(isinstance(value, np.ndarray) for value in state.values())
    assert type(made).from_state(state) == made == pickle.loads(pickle.dumps(made))
    plain = json.loads(json.dumps({key: value.tolist() for key, value in state.items()}))
    arrays = {key: np.array(plain[key], dtype=state[key].dtype).reshape(state[key].shape) for key in plain}
    assert type(made).from_state(arrays) == made


def test_parts_add_up(make: Callable[[Any], Any]) -> None:
    total = make(X[:1000]) + make(X[1000:])
    assert total.live == X.size
    assert total == make(X[:1000]) + make(X[1000:])
    assert isinstance(total, pqi.PowerSums) or total == make(X) == make(X[1000:]) + make(X[:1000])
    assert total != make(X[1:])
    assert total != X.size
    total += make(X)
    assert total.live == 2 * X.size


def test_refuses_what_does_not_add(make: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        make(X) + 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(make(X))


def test_shows_how_much_it_holds(make: Callable[[Any], Any]) -> None:
    assert repr(make(X)) == f"{type(make(X)).__name__}(live=5,000)"


def test_states_are_checked(make: Callable[[Any], Any]) -> None:
    made = make(X)
    with pytest.raises(ValueError, match="state must hold"):
        type(made).from_state({})
    with pytest.raises(ValueError, match="state must hold"):
        type(made).from_state(None)
    first = next(iter(made.state))
    with pytest.raises((TypeError, ValueError)):
        type(made).from_state({**made.state, first: np.array(["a"])})
    with pytest.raises((TypeError, ValueError)):
        type(made).from_state({key: value.reshape(-1)[:-1] for key, value in made.state.items()})
