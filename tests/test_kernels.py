"""The object that is compiled once per instruction set: what it shows to the linker."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent.parent / "csrc"
COMPILER = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")
NM = shutil.which("nm")
DEFINED_ELSEWHERE = {"U", "w", "v"}
WIDEST = "-O2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mavx512vnni"
OPTIONS = ["-O0", "-O2", *([WIDEST] if platform.machine() == "x86_64" else [])]


@pytest.fixture(scope="module", params=OPTIONS)
def symbols(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Return (type, name) of every external or weak symbol, optimised and not: inlining must not be what hides them."""
    if COMPILER is None or NM is None:
        pytest.skip("needs a C++ compiler and nm")
    if not SOURCES.is_dir():
        pytest.skip("needs the C++ sources beside the tests")
    made = tmp_path_factory.mktemp("kernels") / "kernels.o"
    flags = [
        "-std=c++20",
        *request.param.split(),
        "-fPIC",
        "-fvisibility=hidden",
        "-fvisibility-inlines-hidden",
        "-fopenmp-simd",
    ]
    table = ["-DPQI_KERNELS=kernels_baseline", '-DPQI_KERNELS_NAME="baseline"']
    source = SOURCES / "pqi" / "cpu" / "kernels.cpp"
    subprocess.run([COMPILER, *flags, *table, "-c", source, "-o", made], check=True)
    listed = subprocess.run([NM, "--format=posix", "-g", made], check=True, capture_output=True, text=True).stdout
    return [(line.split()[1], line.split()[0]) for line in listed.splitlines()]


def test_exports_one_table(symbols: list[tuple[str, str]]) -> None:
    """A second one could be an inline function, of which the linker keeps one copy, for whichever processor."""
    exported = [name for kind, name in symbols if kind not in DEFINED_ELSEWHERE]
    assert len(exported) == 1
    assert "kernels_baseline" in exported[0]


def test_has_no_weak_symbol(symbols: list[tuple[str, str]]) -> None:
    assert [name for kind, name in symbols if kind in set("WwVvu")] == []


def test_calls_nothing_but_the_c_library(symbols: list[tuple[str, str]]) -> None:
    """Allocation, OpenMP and the C++ library stay outside the inner loops."""
    called = {name.split("@")[0] for kind, name in symbols if kind == "U"}
    assert called <= {"memcpy", "memset", "memmove", "sqrt", "sqrtf", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
