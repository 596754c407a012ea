"""Files cut at every byte, and with every byte changed: refused in a line, or read; never anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

import pqi
from checkpoint.files import GOOD, is_a_line_about, put, refusal


@pytest.mark.parametrize("name", GOOD)
def test_cut_at_every_byte(name: str, tmp_path: Path) -> None:
    content = GOOD[name]
    pqi.scan(put(tmp_path, name, content))
    for length in range(len(content)):
        refusal(put(tmp_path, name, content[:length]))


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
@pytest.mark.parametrize("name", GOOD)
def test_every_byte_changed(name: str, flip: int, tmp_path: Path) -> None:
    content = GOOD[name]
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= flip
        path = put(tmp_path, name, bytes(changed))
        try:
            message = None if pqi.scan(path).tensors else "nothing found"
        except ValueError as error:
            message = str(error)
        assert message is None or is_a_line_about(message, tmp_path), message
