"""`info`, `use_isa` and `set_num_threads`."""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pytest

import pqi
from pqi import _core


def test_what_is_told() -> None:
    info = pqi.info()
    assert info["version"] == metadata.version("pqindex")
    assert info["isa"] in info["isas"]
    assert set(info["isas"]) <= set(info["isas_compiled"])
    assert isinstance(info["num_threads"], int)
    assert info["num_threads"] >= 1
    assert "cuda" in info


def test_settings_are_reported() -> None:
    before = pqi.info()
    try:
        pqi.set_num_threads(3)
        assert pqi.info()["num_threads"] == 3
        for isa in before["isas"]:
            pqi.use_isa(isa)
            assert pqi.info()["isa"] == isa
    finally:
        pqi.use_isa(before["isa"])
        pqi.set_num_threads(before["num_threads"])


def test_read_pass_reads_every_word() -> None:
    """The yardstick of the benchmarks: the sum of all 64-bit words, and of the bytes that fill none."""
    x = np.arange(3 << 18, dtype=np.float32)
    words = int(x.view(np.uint64).sum(dtype=np.uint64))
    assert _core.read_pass(_core.View.of_numpy(x, "x")) == words
    x = np.append(x.view(np.uint8), np.array([3, 4], dtype=np.uint8))
    assert _core.read_pass(_core.View.of_numpy(x, "x")) == words + 7
    with pytest.raises(ValueError, match="contiguous"):
        _core.read_pass(_core.View.of_numpy(x[::2], "x"))


def test_the_answer_is_a_copy() -> None:
    pqi.info()["isa"] = "changed"
    assert pqi.info()["isa"] != "changed"
