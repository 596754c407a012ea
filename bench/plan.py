"""Which cases a run has. The centre is the largest size in float32, normally distributed, on the chosen threads.

Every job runs there and at every other size, by every library. Away from the centre one axis is widened at a time, by
this library alone: types, distributions and numbers of threads, for the jobs that say so. The environment changes that:

PQI_BENCH_SIZES          1e3,1e5,1e7,1e8
PQI_BENCH_DTYPES         float32,bfloat16,float16,float64    (the first is the centre's)
PQI_BENCH_DISTRIBUTIONS  normal,lognormal,constant,int4,bits (the first is the centre's)
PQI_BENCH_THREADS        2,1,all                             (the first is the centre's)
PQI_BENCH_FULL           1: every combination, by every library (hours)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import product
from typing import Any, NamedTuple

import pytest

from data import DISTRIBUTIONS, DTYPES, Data
from harness import Contender, Job


def listed(name: str, default: str) -> list[str]:
    """Return the values of an axis, each once."""
    return list(dict.fromkeys(os.environ.get(f"PQI_BENCH_{name}", default).split(",")))


def thread_counts() -> list[int]:
    """Return the numbers of threads, none above the processors that this process may use."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = (processors if count == "all" else int(count) for count in listed("THREADS", "2,1,all"))
    return list(dict.fromkeys(min(count, processors) for count in asked))


SIZES = sorted(int(float(n)) for n in listed("SIZES", "1e3,1e5,1e7,1e8"))
DTYPE_AXIS = listed("DTYPES", ",".join(DTYPES))
DISTRIBUTION_AXIS = listed("DISTRIBUTIONS", ",".join(DISTRIBUTIONS))
THREAD_AXIS = thread_counts()
FULL = os.environ.get("PQI_BENCH_FULL", "") not in ("", "0")


class Point(NamedTuple):
    """Where a job runs."""

    data: Data
    threads: int


def points() -> Iterator[tuple[Point, str]]:
    """Yield every point, each once, with the axis that it lies on away from the centre ('size' where peers run too)."""
    dtype, distribution, threads = DTYPE_AXIS[0], DISTRIBUTION_AXIS[0], THREAD_AXIS[0]
    if FULL:
        for n, *kind, count in product(SIZES, DTYPE_AXIS, DISTRIBUTION_AXIS, THREAD_AXIS):
            yield Point(Data(n, *kind), count), "size"
        return
    for n in SIZES:
        yield Point(Data(n, dtype, distribution), threads), "size"
    n = SIZES[-1]
    yield from ((Point(Data(n, other, distribution), threads), "dtype") for other in DTYPE_AXIS[1:])
    yield from ((Point(Data(n, dtype, other), threads), "distribution") for other in DISTRIBUTION_AXIS[1:])
    yield from ((Point(Data(n, dtype, distribution), other), "threads") for other in THREAD_AXIS[1:])


def runs(job: Job, contender: Contender, point: Point, axis: str) -> bool:
    """Return whether a library does a job at a point."""
    return (
        (axis == "size" or (axis in job.axes and contender.library == "pqi"))
        and point.data.n >= job.smallest
        and point.data.dtype in job.dtypes
        and point.data.dtype in contender.dtypes
        and find_spec(contender.library) is not None
    )


def cases(jobs: list[Job]) -> list[Any]:
    """Return the parameters (job, contender, point) of a suite, cases of the same data next to each other."""
    return [
        pytest.param(job, contender, point, id=name_of(job, contender, point))
        for point, axis in points()
        for job in jobs
        for contender in job.contenders
        if runs(job, contender, point, axis)
    ]


def name_of(job: Job, contender: Contender, point: Point) -> str:
    """Return a case's id."""
    data = point.data
    return f"{job.name}-{data.dtype}-{data.distribution}-{data.n:.0e}-{point.threads}t-{contender.library}"
