"""A run's results: medians by what was timed."""

from __future__ import annotations

from importlib import metadata
from typing import Any, NamedTuple

from bars import Case, Unit

LIBRARIES = ("pqi", "numpy", "torch", "numba")
LARGE = 1_000_000  # from here on a call is compared with a read pass, below it by its time alone


class Timing(NamedTuple):
    """A median in seconds, and the median of its rounds' multiples of the read passes beside them."""

    seconds: float
    passes: float


class Key(NamedTuple):
    """What was timed."""

    job: str
    dtype: str
    distribution: str
    n: int
    threads: int
    library: str


class Run(NamedTuple):
    """The timings of a run, in the order they were taken; the centre is where its first one is."""

    timings: dict[Key, Timing]
    hardware: str
    disturbed: float = 0.0  # the share of rounds that began while the machine was not quiet

    @property
    def centre(self) -> Key:
        """The largest size in the type and the distribution, and on the threads, that every job runs with."""
        first = next(iter(self.timings))
        return first._replace(n=max(key.n for key in self.timings))

    def at(self, case: Case, library: str) -> Timing | None:
        """Return a library's timing of a case on the centre's threads."""
        n = self.centre.n if case.n is None else case.n
        return self.timings.get(Key(case.job, case.dtype, case.distribution, n, self.centre.threads, library))

    def figure(self, case: Case, unit: Unit) -> float | None:
        """Return this library's figure for a case; None where something it needs was not timed."""
        ours = self.at(case, "pqi")
        if ours is None:
            return None
        if unit is Unit.PASSES:
            return ours.passes
        if unit is Unit.MICROSECONDS:
            return ours.seconds * 1e6
        if unit is Unit.OVER_NORMAL:
            normal = self.at(case._replace(distribution="normal"), "pqi")
            return ours.passes / normal.passes if normal else None
        theirs = self.at(case, "numpy" if unit is Unit.OVER_NUMPY else "torch")
        return theirs.seconds / ours.seconds if theirs else None


def run_of(results: dict[str, Any]) -> Run:
    """Return the run of pytest-benchmark's results; suites that time whole files print their own ratios."""
    entries = [entry["extra_info"] for entry in results["benchmarks"] if "job" in entry["extra_info"]]
    timings = {
        Key(*(about[name] for name in Key._fields)): Timing(about["seconds"], about["passes"]) for about in entries
    }
    disturbed = sum(about["disturbed"] for about in entries) / sum(about["rounds"] for about in entries)
    return Run(timings, hardware(results["machine_info"], entries[0]), disturbed)


def hardware(machine: dict[str, Any], about: dict[str, Any]) -> str:
    """Return the line that says what was measured on."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES[1:] if installed(name))
    processor = machine["cpu"].get("brand_raw", machine["machine"])
    return f"{processor}, {about['threads']} threads, {about['isa']}; Python {machine['python_version']}, {versions}."


def installed(name: str) -> bool:
    """Return whether a distribution is installed."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
