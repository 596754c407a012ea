"""Run the benchmarks, and write their table into the README.

    python bench/report.py --run     time everything (about ten minutes), then write the table
    python bench/report.py           write the table from the last run's results

PQI_BENCH_SIZES (default 1e3,1e5,1e7), PQI_BENCH_THREADS (2) and PQI_BENCH_SECONDS (1, per benchmark) change a run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "benchmarks.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
LIBRARIES = ("pqi", "numpy", "torch", "numba")
LARGE = 1_000_000  # from here on a call is compared with a read pass, below it by its time alone

# Times of the last column's library at 1e7 float32, as multiples of a read pass or of this library's time.
BARS = (
    ("index (½, 1)", "read passes, at most", 2.5),
    ("Gini", "times as fast as numpy, at least", 3.0),
    ("top 10% mask", "times as fast as numpy, at least", 5.0),
)


class Timing(NamedTuple):
    """A median in seconds, alone and in read passes."""

    seconds: float
    passes: float


class Key(NamedTuple):
    """What was timed."""

    job: str
    dtype: str
    n: int
    library: str


def run() -> None:
    """Time everything; threads sleep rather than spin between calls, since several libraries share the processors."""
    RESULTS.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pytest", "bench", "-q", "-o", "python_files=bench_*.py"]
    command += ["--benchmark-disable-gc", "--benchmark-columns=median,iqr,rounds", f"--benchmark-json={RESULTS}"]
    subprocess.run(command, cwd=ROOT, env={"OMP_WAIT_POLICY": "passive"} | os.environ, check=True)


def array_jobs(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of the array suites; whole files (bench_scan) print their own ratios."""
    return [entry for entry in results["benchmarks"] if "job" in entry["extra_info"]]


def timings(results: dict[str, Any]) -> dict[Key, Timing]:
    """Return the medians of a run; sizes are rounded to what was asked for."""
    found = {}
    for entry in array_jobs(results):
        about = entry["extra_info"]
        seconds = entry["stats"]["median"] / about["batch"]
        key = Key(about["job"], about["dtype"], about["size"], about["library"])
        found[key] = Timing(seconds, seconds / about["read_pass"])
    return found


def short(value: float) -> str:
    """Return a number with two or three digits."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def table(found: dict[Key, Timing], n: int) -> list[str]:
    """Return the lines of one size's table: a row per job, a column per dtype and library."""
    columns = [
        (dtype, library)
        for dtype in dict.fromkeys(key.dtype for key in found)
        for library in LIBRARIES
        if any(key.dtype == dtype and key.library == library for key in found)
    ]
    unit = "× read pass" if n >= LARGE else "µs a call"
    lines = [
        f"| {n:,} elements, {unit} | " + " | ".join(f"{dtype} {library}" for dtype, library in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for job in dict.fromkeys(key.job for key in found if key.n == n):
        cells = []
        for dtype, library in columns:
            timing = found.get(Key(job, dtype, n, library))
            value = "" if timing is None else short(timing.passes if n >= LARGE else timing.seconds * 1e6)
            cells.append(f"**{value}**" if library == "pqi" else value)
        lines.append(f"| {job} | " + " | ".join(cells) + " |")
    return lines


def hardware(results: dict[str, Any]) -> str:
    """Return the line that says what was measured on."""
    about = array_jobs(results)[0]["extra_info"]
    machine = results["machine_info"]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "torch", "numba") if installed(name))
    return (
        f"{machine['cpu'].get('brand_raw', machine['machine'])}, {about['threads']} threads, {about['isa']}; "
        f"Python {machine['python_version']}, {versions}."
    )


def installed(name: str) -> bool:
    """Return whether a distribution is installed."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def report(results: dict[str, Any]) -> str:
    """Return the README's section: what was run, on what, and a table per size, the largest first."""
    found = timings(results)
    lines = [
        "Written by `make bench`. Medians; a read pass is one streaming read of the same bytes on the same threads,"
    ]
    lines += ["timed before every round in the same process. " + hardware(results), ""]
    for n in sorted({key.n for key in found}, reverse=True):
        lines += [*table(found, n), ""]
    return "\n".join(lines)


def bars(found: dict[Key, Timing]) -> list[str]:
    """Return a line for every bar that the run's largest size has a figure for."""
    lines = []
    for job, rule, bar in BARS:
        n = max((key.n for key in found), default=0)
        ours, theirs = (found.get(Key(job, "float32", n, library)) for library in ("pqi", "numpy"))
        if ours and theirs:
            figure = ours.passes if "passes" in rule else theirs.seconds / ours.seconds
            kept = figure <= bar if "most" in rule else figure >= bar
            lines.append(f"{job}, {n:,} float32: {figure:.2f} {rule} {bar:g}: {'yes' if kept else 'NO'}")
    return lines


def write(section: str) -> None:
    """Put the section between the README's markers."""
    text = README.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"README.md must have the lines {BEGIN} and {END}")
    before, rest = text.split(BEGIN, 1)
    README.write_text(f"{before}{BEGIN}\n{section}{END}{rest.split(END, 1)[1]}")


def main() -> None:
    """Run if asked to, then write the table and print it with the bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="time everything first")
    if parser.parse_args().run:
        run()
    results = json.loads(RESULTS.read_text())
    section = report(results)
    print(section, *bars(timings(results)), sep="\n")
    write(section)


if __name__ == "__main__":
    main()
