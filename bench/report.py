"""Run the benchmarks, and write what they gave: the README's table, docs/bench.md and docs/bench.svg.

    python bench/report.py --run     time everything first (some twelve minutes with all peers installed)
    python bench/report.py           write the last run's results again

PQI_BENCH_SECONDS (0.5, per case), PQI_BENCH_QUIET (10, per case, to wait for a quiet machine) and the axes in
bench/plan.py change a run; PQI_BENCH_ONLY, a pytest -k expression, leaves cases out. Files are written for any run:
commit those of a full one on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import tables
from measured import run_of
from plan import THREAD_AXIS

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "benchmarks.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def run() -> None:
    """Time everything; threads sleep rather than spin between calls, since several libraries share the processors."""
    RESULTS.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pytest", "bench", "-q", "-o", "python_files=bench_*.py"]
    command += ["-k", os.environ.get("PQI_BENCH_ONLY", "")]
    command += ["--benchmark-disable-gc", "--benchmark-columns=median,iqr,rounds", f"--benchmark-json={RESULTS}"]
    settings = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": str(THREAD_AXIS[0])}
    subprocess.run(command, cwd=ROOT, env=settings | os.environ, check=True)


def with_section(text: str, section: str) -> str:
    """Return a page with the section between its markers."""
    if BEGIN not in text or END not in text:
        raise SystemExit(f"README.md must have the lines {BEGIN} and {END}")
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{section}{END}{rest.split(END, 1)[1]}"


def main() -> None:
    """Run if asked to, then write the tables and the figure, and print the bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="time everything first")
    if parser.parse_args().run:
        run()
    found = run_of(json.loads(RESULTS.read_text()))
    section = tables.readme_section(found)
    print(section, *tables.misses(found), sep="\n")
    README.write_text(with_section(README.read_text(), section))
    (ROOT / "docs" / "bench.md").write_text(tables.page(found))
    import plot

    plot.draw(found, ROOT / "docs" / "bench.svg")


if __name__ == "__main__":
    main()
