"""`info`, `use_isa` and `set_num_threads`."""

from __future__ import annotations

from importlib import metadata

import pqi


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


def test_the_answer_is_a_copy() -> None:
    pqi.info()["isa"] = "changed"
    assert pqi.info()["isa"] != "changed"
