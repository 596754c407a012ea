"""JSON of strangers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pqi.checkpoint.strict_json import is_count, parse


@pytest.mark.parametrize("text", [b"{}", b'{"a": [1, -2.5e3, "\\u00e9", null, true]}', b" [] "])
def test_what_is_json_is_read(text: bytes) -> None:
    import json

    assert parse(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"\xef\xbb\xbf{}", "damaged"),
        (b'{"a":1,"a":1}', "twice"),
        (b'[{"b":{"a":1,"a":1}}]', "twice"),
        (b"Infinity", "finite"),
        (b"\xff", "UTF-8"),
        (b"1" * 21, "digits"),
        (b"[" * 200_000, "deep"),
        (b'{"a":' * 200_000, "deep"),
        (b"[" + b"[]," * 3_000_000 + b"[]]", "at most"),
    ],
)
def test_what_is_not_is_refused_at_once(text: bytes, reason: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ValueError, match=reason):
        parse(text)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    ("value", "expected"), [(0, True), (2**63 - 1, True), (2**63, False), (-1, False), (1.0, False), (True, False)]
)
def test_counts(value: Any, expected: bool) -> None:
    assert is_count(value) is expected
