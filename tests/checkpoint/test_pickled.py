"""The machine that reads pickles as data: what pickle writes, and nothing that acts."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any

import pytest

from pqi.checkpoint import pickled
from pqi.checkpoint.pickled import OPAQUE, Call, Pairs, Symbol, read_pickle


def plain(value: Any) -> Any:
    """Turn what the machine made back into Python's containers."""
    if isinstance(value, Pairs):
        return {key: plain(inner) for key, inner in value.items}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(inner) for inner in value)
    return value


VALUES = [
    None,
    True,
    [1, -2, 300, -70000, 2**40, -(2**70)],
    [1.5, float("inf")],
    "text é",
    b"bytes" * 100,
    (1,),
    (1, 2, 3, 4, (5, ())),
    {"a": {"b": [1, {"c": 2}]}, 3: ()},
    ["x" * 300, ["x" * 300] * 3],
]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", VALUES)
def test_plain_values(value: Any, protocol: int) -> None:
    if isinstance(value, bytes) and protocol < 3:
        value = None
    assert plain(read_pickle(pickle.dumps(value, protocol=protocol))) == value


@pytest.mark.parametrize("protocol", [2, 4])
def test_ordered_dictionaries_are_dictionaries(protocol: int) -> None:
    assert plain(read_pickle(pickle.dumps(OrderedDict(a=1, b=2), protocol=protocol))) == {"a": 1, "b": 2}


def test_sets_and_endless_integers_are_opaque() -> None:
    assert read_pickle(pickle.dumps([{1, 2}, frozenset({3}), 10**5000], protocol=4)) == [OPAQUE] * 3


def test_calls_are_described_and_not_made() -> None:
    found = read_pickle(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00exit\x85R.")
    assert found == Call(Symbol("os", "system"), ("exit",))


def test_what_an_object_would_have_taken_is_kept_with_the_call() -> None:
    found = read_pickle(b"\x80\x02cnumpy\ndtype\nU\x02u1\x85R(K\x03U\x01|tb.")
    assert found == Call(Symbol("numpy", "dtype"), (b"u1",))
    assert found.state == (3, b"|")


def test_every_symbol_is_shown_to_the_caller() -> None:
    def check(symbol: Symbol) -> None:
        raise ValueError(f"seen {symbol}")

    for data in (b"\x80\x02cos\nsystem\n.", b"\x80\x04\x8c\x02os\x8c\x06system\x93."):
        with pytest.raises(ValueError, match="seen os.system"):
            read_pickle(data, check)


@pytest.mark.parametrize(
    "data", [b"iposix\nsystem\n.", b"oposix\n.", b"P0\n.", b"\x82\x01.", b"I1\n.", b"F1\n.", b"S'a'\n."]
)
def test_operations_beyond_checkpoints_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no known kind"):
        read_pickle(data)


def test_the_number_of_operations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickled, "MOST_OPERATIONS", 50)
    with pytest.raises(ValueError, match="at most 50 operations"):
        read_pickle(b"N0" * 100 + b"N.")
