"""The core on aarch64, whose baseline is NEON, has this machine's bits: one program, cross-compiled and emulated."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).parent / "driver"
SYSROOT = Path("/usr/aarch64-linux-gnu")
SMALL, LARGE = "3000", "1100000"  # elements; the large ones go through a histogram, a partition and several blocks
BESIDE_PYTHON = str(Path(sys.executable).parent)


def tool(name: str) -> str:
    """Return a program's path, or skip."""
    found = shutil.which(name) or shutil.which(name, path=BESIDE_PYTHON)
    if found is None:
        pytest.skip(f"needs {name} (Debian: g++-aarch64-linux-gnu, qemu-user)")
    return found


def build(where: Path, *settings: str) -> Path:
    """Build the driver and return it."""
    cmake = tool("cmake")
    configure: list[str | Path] = [cmake, "-S", DRIVER, "-B", where, *settings]
    make: list[str | Path] = [cmake, "--build", where, "--parallel", "2"]
    for command in (configure, make):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return where / "driver"


def lines(*command: str | Path, threads: int) -> tuple[str, list[str]]:
    """Return the name of the kernels that ran and what the driver printed."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), PQI_ISA="")
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return ran.stderr.strip(), ran.stdout.splitlines()


def test_driver_fits_the_core(tmp_path: Path) -> None:
    """The slow test is not the first to see that the core's functions have changed."""
    compiler = tool(os.environ.get("CXX", "c++"))
    for source in DRIVER.glob("*.cpp"):
        subprocess.run([compiler, "-std=c++20", "-fsyntax-only", source], check=True)


@pytest.mark.slow
def test_emulated_neon_has_the_bits_of_this_machine(tmp_path: Path) -> None:
    compiler, emulator = tool("aarch64-linux-gnu-g++"), tool("qemu-aarch64")
    native = build(tmp_path / "native")
    other = build(
        tmp_path / "aarch64",
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_CXX_COMPILER={compiler}",
    )
    _, expected = lines(native, "1", SMALL, LARGE, threads=2)
    isa, found = lines(emulator, "-L", SYSROOT, other, "1", SMALL, LARGE, threads=1)  # waiting is slow in an emulator
    assert isa == "neon"
    assert len(expected) > 3000
    assert [pair for pair in zip(expected, found, strict=True) if pair[0] != pair[1]] == []
