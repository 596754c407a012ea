"""Time one call in rounds, each beside a read pass over the same bytes on the same threads in the same process."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pqi
from pqi import _core

Array = npt.NDArray[Any]
Call = Callable[[], Any]

SIZES = [int(float(n)) for n in os.environ.get("PQI_BENCH_SIZES", "1e3,1e5,1e7").split(",")]
THREADS = int(os.environ.get("PQI_BENCH_THREADS", str(min(2, os.cpu_count() or 1))))
SECONDS = float(os.environ.get("PQI_BENCH_SECONDS", "1"))
DTYPES = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16)}


@lru_cache(maxsize=2)
def weights(dtype: str, n: int) -> Array:
    """Return n normally distributed values."""
    return np.random.default_rng(0).standard_normal(n, dtype=np.float32).astype(DTYPES[dtype])


@lru_cache(maxsize=2)
def tensor(dtype: str, n: int) -> Any:
    """Return the same values as a torch tensor."""
    import torch

    torch.set_num_threads(THREADS)
    return torch.from_numpy(weights(dtype, n).astype(np.float32)).to(getattr(torch, dtype))


class Contender(NamedTuple):
    """A library's way to do a job: `prepare` takes the dtype, n and the width of rows, and returns the call."""

    library: str
    prepare: Callable[[str, int, int | None], Call]
    tolerance: float
    dtypes: tuple[str, ...] = ("float32", "bfloat16")


class Job(NamedTuple):
    """What is timed: `check` takes the float64 values, the width of rows, the result and the tolerance."""

    name: str
    contenders: list[Contender]
    check: Callable[[Array, int | None, Any, float], None]
    width: int | None = None


def cases(jobs: list[Job]) -> list[Any]:
    """Return every job with every size, dtype and installed contender."""
    return [
        pytest.param(job, contender, dtype, n, id=f"{job.name}-{dtype}-{n:.0e}-{contender.library}")
        for job in jobs
        for n in SIZES
        if n >= (job.width or 1)
        for dtype in DTYPES
        for contender in job.contenders
        if dtype in contender.dtypes and find_spec(contender.library) is not None
    ]


def rows(x: Any, width: int | None) -> Any:
    """Return x as rows of a width; as it is where there is none."""
    return x if width is None else x[: x.shape[0] // width * width].reshape(-1, width)


def run(benchmark: BenchmarkFixture, job: Job, contender: Contender, dtype: str, n: int) -> None:
    """Check a contender's result and time it, with a read pass before every round."""
    pqi.set_num_threads(THREADS)
    x = rows(weights(dtype, n), job.width)
    call = contender.prepare(dtype, n, job.width)
    job.check(x.astype(np.float64), job.width, call(), contender.tolerance)
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    batch = max(1, min(2000, int(2e-3 / once)))
    view = _core.View.of_numpy(x, "x")
    passes = []

    def read() -> None:
        start = time.perf_counter()
        for _ in range(batch):
            _core.read_pass(view)
        passes.append((time.perf_counter() - start) / batch)

    def repeat() -> None:
        for _ in range(batch):
            call()

    rounds = max(3, min(50, int(SECONDS / (once * batch))))
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        repeat, setup=read, rounds=rounds, iterations=1, warmup_rounds=1
    )
    benchmark.extra_info.update(
        job=job.name,
        library=contender.library,
        dtype=dtype,
        size=n,
        batch=batch,
        read_pass=statistics.median(passes),
        threads=THREADS,
        isa=pqi.info()["isa"],
    )
