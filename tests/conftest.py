"""Settings that every test shares."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

# The same examples on every run; HYPOTHESIS_PROFILE=explore draws new ones.
hypothesis.settings.register_profile("fixed", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

pytest.register_assert_rewrite("reference", "strategies", "cases", "properties", "fake_device")


@pytest.fixture
def restore_settings() -> Iterator[None]:
    """Put the instruction set and the number of threads back."""
    import pqi

    before = pqi.info()
    yield
    pqi.use_isa(before["isa"])
    pqi.set_num_threads(before["num_threads"])


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Let every tensor pass for one on a device; see fake_device.py."""
    import fake_device

    module = fake_device.install(monkeypatch)
    yield module
    assert module.calls
    assert {stream for _, stream in module.calls} == {fake_device.STREAM}


@pytest.fixture
def cupy(cuda: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a library in CuPy's place too."""
    import fake_device

    monkeypatch.setitem(sys.modules, "cupy", fake_device.cupy_of_stands())
    return cuda
