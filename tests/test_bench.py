"""The benchmarks on small arrays: every check runs, and what they measure reaches the tables and the figure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bars
import plot
import report
import tables
from measured import Key, Run, Timing, run_of

ROOT = Path(__file__).parents[1]
SETTINGS = {
    "PQI_BENCH_SIZES": "1e3,9e3",
    "PQI_BENCH_DTYPES": "float32,bfloat16,float16,float64",
    "PQI_BENCH_DISTRIBUTIONS": "normal,lognormal,constant,int4,bits",
    "PQI_BENCH_THREADS": "2,1",
    "PQI_BENCH_SECONDS": "0",
    "PQI_BENCH_QUIET": "0",
    "PQI_BENCH_FULL": "",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the results of every array suite on two sizes, for this library and numpy."""
    made = tmp_path_factory.mktemp("bench") / "results.json"
    command = [sys.executable, "-m", "pytest", "bench", "-q", "-o", "python_files=bench_*.py", "-p", "no:cacheprovider"]
    command += ["-k", "(pqi or numpy) and not scan", f"--benchmark-json={made}"]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | SETTINGS, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr
    return run_of(json.loads(made.read_text()))


def test_every_bar_is_measured(small: Run) -> None:
    cases = [case for bar in bars.BARS for case in bar.cases if bar.unit is not bars.Unit.OVER_TORCH]
    assert [case for case in cases if small.at(case, "pqi") is None] == []


def test_every_timing_is_a_time(small: Run) -> None:
    assert all(timing.seconds > 0 and timing.passes > 0 for timing in small.timings.values())
    assert {key.distribution for key in small.timings} == set(SETTINGS["PQI_BENCH_DISTRIBUTIONS"].split(","))
    assert {key.dtype for key in small.timings} == set(SETTINGS["PQI_BENCH_DTYPES"].split(","))
    assert {key.threads for key in small.timings} == {1, min(2, len(os.sched_getaffinity(0)))}
    assert small.centre.n == 9000


def test_figure_is_drawn(small: Run, tmp_path: Path) -> None:
    assert len(plot.rows(small)) > 20
    for name in ("bench.svg", "bench.png"):
        plot.draw(small, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 10_000


def made_run() -> Run:
    """Return a run of three jobs with known times."""
    home = Key("Gini", "float32", "normal", 10**8, 2, "pqi")
    rows = home._replace(job="Gini, rows of 64")
    timings = {
        home: Timing(0.2, 20.0),
        home._replace(library="numpy"): Timing(1.5, 150.0),
        home._replace(distribution="constant"): Timing(0.3, 30.0),
        home._replace(distribution="int4"): Timing(0.5, 50.0),
        home._replace(threads=1): Timing(0.4, 20.5),
        rows: Timing(0.01, 1.0),
        rows._replace(library="numpy"): Timing(0.05, 5.0),
        home._replace(n=1000): Timing(2.5e-6, 9.0),
        home._replace(n=1000, library="torch"): Timing(6.6e-5, 99.0),
    }
    return Run(timings, "A processor.")


def test_bars_stand_beside_figures() -> None:
    lines = tables.bars_table(made_run())
    assert lines[0].startswith("| 100,000,000 float32, 2 threads | measured | unit | bar | goal | numpy |")
    assert "| Gini, exact | 20.0 | × read pass | ≤ 15 | ≤ 10 | 150 |  |  |" in lines
    assert "| Gini, constant / int4-like | **1.50** / 2.50 | × normal data | ≤ 2 |  |  |  |  |" in lines
    assert (
        "| Gini, rows of 64 / 256 / 1024 / 4096 | **5.00** / – / – / – | × np speed | ≥ 4 | ≥ 6 |  |  |  |"
    ) in lines
    assert "| Gini of 1,000 | **2.50** | µs a call | ≤ 3 | ≤ 1 |  | 66.0 |  |" in lines
    assert len(lines) == 2 + 5  # and rows against torch, which was not timed


def test_misses_are_named() -> None:
    assert tables.misses(made_run()) == [
        "not kept: Gini, float32, normal: 20.0 × read pass, bar ≤ 15",
        "not kept: Gini, float32, int4: 2.50 × normal data, bar ≤ 2",
    ]


def test_page_holds_every_axis() -> None:
    page = tables.page(made_run())
    assert "| Gini | 20.0 | 150 |  |  |" in page
    assert "| Gini | 2.50 |  | 66.0 |  |" in page
    assert "| 100,000,000 elements by distribution, × read pass | normal | constant | int4 |" in page
    assert "| Gini | 20.0 | 30.0 | 50.0 |" in page
    assert "| 100,000,000 elements by threads, × read pass | 2 | 1 |" in page


def test_section_replaces_the_old_one() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter"
    assert report.with_section(page, "new\n") == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter"
    with pytest.raises(SystemExit, match="must have the lines"):
        report.with_section("nothing", "new")
