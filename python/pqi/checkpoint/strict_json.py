"""JSON from files of strangers: bounded in size, nesting and time, and each key once."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MOST_VALUES = 4_000_000
"""Upper bound on values in a document; Python needs about a hundred bytes for each."""
LONGEST_INTEGER = 20


def parse(text: bytes) -> Any:
    """Return what `text` says.

    Raises
    ------
    ValueError
        If it is no JSON in UTF-8, repeats a key, holds NaN or an integer beyond 64 bits, or has too many values or
        levels.

    Examples
    --------
    >>> parse(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: JSON keys must be unique, got 'a' twice
    """
    # Every value but the first follows one of these; those inside strings only make the bound too careful.
    if sum(text.count(mark) for mark in (b",", b"[", b"{", b":")) > MOST_VALUES:
        raise ValueError(f"JSON must hold at most {MOST_VALUES} values")
    try:
        return json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"JSON must be UTF-8, got byte {text[error.start]:#04x} at {error.start}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"JSON is damaged at byte {error.pos}: {error.msg}") from None
    except RecursionError:
        raise ValueError("JSON must not nest so deep") from None


def is_count(value: Any) -> bool:
    """Whether a value is a non-negative integer that fits 63 bits."""
    return type(value) is int and 0 <= value < 2**63


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"JSON keys must be unique, got {twice[:80]!r} twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise ValueError(f"JSON integers must have at most {LONGEST_INTEGER} digits, got {len(digits)}")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON must hold finite numbers, got {name}")
