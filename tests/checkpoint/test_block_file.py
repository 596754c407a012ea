"""Files written in blocks: past the page cache or through it, whatever the file system says."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pqi.checkpoint import block_file, page_cache
from pqi.checkpoint.block_file import BlockFile, aligned

SIZES = [1, 4095, 4096, 8192, 20_001]


def written(path: Path, content: Any, *, direct: bool) -> bytes:
    """Write a file block by block, last ones first, and return what it holds."""
    file, buffer = BlockFile(path, content.size, direct=direct), aligned()
    buffer[:] = 255
    for begin in reversed(range(0, content.size, block_file.BLOCK)):
        part = content[begin : begin + block_file.BLOCK]
        buffer[: part.size] = part
        file.write_block(begin, buffer, part.size)
    file.finish()
    file.close()
    return path.read_bytes()


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_blocks_make_the_file(size: int, direct: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_file, "BLOCK", 8192)
    content = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    (tmp_path / "file").write_bytes(b"longer than that" * 2000)
    assert written(tmp_path / "file", content, direct=direct) == content.tobytes()


@pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="no direct writes here")
def test_where_direct_writes_fail_they_go_through_the_page_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    write, refused = os.pwrite, []

    def pwrite(file: int, data: Any, place: int) -> int:
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_DIRECT:
            refused.append(place)
            raise OSError(errno.EINVAL, "Invalid argument")
        return write(file, data, place)

    monkeypatch.setattr(block_file, "BLOCK", 8192)
    content = np.random.default_rng(0).integers(0, 256, 20_001, np.uint8)
    probe = BlockFile(tmp_path / "probe", 1, direct=True)
    possible = probe.direct
    probe.close()
    monkeypatch.setattr(os, "pwrite", pwrite)
    assert written(tmp_path / "file", content, direct=True) == content.tobytes()
    assert len(refused) == possible


def test_without_room_nothing_is_begun(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="large|space"):
        BlockFile(tmp_path / "file", 1 << 61)


def test_how_much_the_page_cache_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "LIMITS", tmp_path)
    monkeypatch.setattr(page_cache, "MEMORY", tmp_path / "meminfo")
    assert page_cache.absorbed() == math.inf
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:   1000 kB\n")
    values = {"dirty_background_bytes": 0, "dirty_background_ratio": 10, "dirty_bytes": 0, "dirty_ratio": 20}
    for name, value in values.items():
        (tmp_path / name).write_text(f"{value}\n")
    assert page_cache.absorbed() == 0.15 * 1_024_000
    (tmp_path / "dirty_bytes").write_text("2000000\n")
    assert page_cache.absorbed() == (102_400 + 2_000_000) / 2
