"""`pqi.prune` imports torch for what needs it alone."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import pqi.prune

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # an import of it fails
from pqi.prune import SAP, Fraction, GroupStats, Quota, StopAt, Target, advise
import pqi.prune
assert advise([0.3, 0.2, 0.1]).phases
assert SAP(1, 2).p == 1
assert "Pruner" in dir(pqi.prune)
try:
    pqi.prune.Pruner
except ImportError as error:
    print(error.name)
"""


def test_what_needs_no_torch_works_without_it() -> None:
    found = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "torch\n", "")


def test_every_name_is_there() -> None:
    homes = [name for names in pqi.prune._HOMES.values() for name in names]
    assert sorted(homes) == sorted(pqi.prune.__all__)
    for home, names in pqi.prune._HOMES.items():
        module = importlib.import_module(f"pqi.prune.{home}")
        assert all(getattr(pqi.prune, name) is getattr(module, name) for name in names)
    with pytest.raises(AttributeError, match="has no attribute 'Prune'"):
        pqi.prune.Prune  # noqa: B018 (asking for it is the test)
