"""What is to run on a GPU says so where there is none: nothing passes because it was skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
NO_DEVICE = {"CUDA_VISIBLE_DEVICES": "", "PQI_REQUIRE_GPU": "1"}


def test_a_required_gpu_is_not_skipped() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_gpu.py"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | NO_DEVICE, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "PQI_REQUIRE_GPU=1 demands a device" in done.stdout or "pqi._cuda" in done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_the_script_says_what_to_install(tmp_path: Path) -> None:
    stub = tmp_path / "nvidia-smi"
    stub.write_text("#!/bin/sh\necho 'a card, 1.0'\n")
    stub.chmod(0o755)
    environment = os.environ | NO_DEVICE | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PQI_PYTHON": sys.executable}
    script = [str(ROOT / "bench" / "gpu.sh"), "test"]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "reaches no CUDA device: install one that is built for CUDA" in done.stderr
    assert "== test" not in done.stdout
