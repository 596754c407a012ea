"""What is to run on a GPU says so where there is none: nothing passes because it was skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import blocks

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


@pytest.mark.parametrize("bar_elements", [10_000, 10_001])
def test_every_job_runs_and_is_held_to_its_bar(bar_elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the script times on a device, on block programs; the times are made up."""
    pytest.importorskip("pqi._cuda", exc_type=ImportError)
    import gpu
    import gpu_jobs

    def median_ms(call: Callable[[], Any]) -> float:
        call()
        return 4.0

    monkeypatch.setattr(gpu_jobs, "_cuda", blocks.module())
    monkeypatch.setattr(gpu_jobs, "DEVICE", "cpu")
    monkeypatch.setattr(gpu_jobs, "BAR_ELEMENTS", bar_elements)
    monkeypatch.setattr(gpu_jobs, "stream", lambda: 0)
    monkeypatch.setattr(gpu, "median_ms", median_ms)
    lines: list[str] = []
    for dtype in gpu_jobs.PARTS:
        lines += map(str, gpu.measure(10_000, dtype, 1e7, None))
    table = "\n".join(lines)
    assert all(line.count("|") == gpu.HEAD.partition("\n")[0].count("|") for line in lines)
    verdict = "1.2 missed" if bar_elements == 10_000 else "–"
    assert f"| norms (0.5, 1) | float32 | 4.00 | {verdict} | 1.00 | 1.00 | torch | 4.00 |" in lines
    assert table.count(" kept ") == (3 if bar_elements == 10_000 else 0)  # those of 5 and 20 ms
    for job in ("index grid 10 × 11", "summary", "histogram", "of live entries", "pool of 100", "½, 1, 2"):
        assert job in table
