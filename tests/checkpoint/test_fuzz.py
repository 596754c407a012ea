"""Files damaged at random: read or refused within two seconds and little memory, never a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def fuzz(kind: str, count: int, seed: int) -> None:
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    found = subprocess.run(
        [sys.executable, str(TESTS / "checkpoint" / "fuzz.py"), kind, str(count), str(seed)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert found.returncode == 0, found.stderr[-2000:]
    read, refused = map(int, found.stdout.split())
    assert read + refused == count
    assert read > 0
    assert refused > count // 10


KINDS = ["good.safetensors", "pickle", "good.pt", "good.npy", "good.npz", "deflated.npz"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_few(kind: str) -> None:
    fuzz(kind, 500, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_thousand_headers(seed: int) -> None:
    fuzz("good.safetensors", 25_000, seed + 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[1:])
def test_ten_thousand_archives_and_arrays(kind: str) -> None:
    fuzz(kind, 2_000, 1)
