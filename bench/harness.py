"""Time one call in rounds, each next to a read pass over the same bytes on the same threads in the same process, and
begun while the machine is quiet."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

import pqi
from data import DTYPES, Array, Data, weights
from pqi import _core
from quiet import Patience

if TYPE_CHECKING:
    from plan import Point

Call = Callable[[], Any]

SECONDS = float(os.environ.get("PQI_BENCH_SECONDS", "0.5"))
PATIENCE = 1.0  # seconds; a peer's call that takes longer is timed once after its check
LEAST = {"pqi": 7}  # rounds, however long they take; others 3


class Vectors(NamedTuple):
    """How the values are cut into groups: the whole of them, rows of a width, or the columns of such rows."""

    width: int | None = None
    axis: int | None = None

    def of(self, x: Any) -> Any:
        """Return a library's array in this shape."""
        return x if self.width is None else x[: x.shape[0] // self.width * self.width].reshape(-1, self.width)

    def groups(self, x: Array) -> Array:
        """Return a shaped array as a matrix, a group a row; a view."""
        return x.reshape(1, -1) if self.width is None else np.moveaxis(x, self.axis or 0, -1)

    def __str__(self) -> str:
        """Return what follows a job's name."""
        if self.width is None:
            return ""
        return f", rows of {self.width}" if self.axis == 1 else f", {self.width} columns"


WHOLE = Vectors()
ROWS = [Vectors(width, 1) for width in (64, 256, 1024, 4096)]
COLUMNS = Vectors(1024, 0)


class Contender(NamedTuple):
    """A library's way to do a job: `prepare` takes the data and how they are cut, and returns the call."""

    library: str
    prepare: Callable[[Data, Vectors], Call]
    tolerance: float
    dtypes: tuple[str, ...] = tuple(DTYPES)


class Job(NamedTuple):
    """What is timed, and what it must give.

    `expected` computes from a matrix of groups, independently of every contender; `check` compares a result, brought
    into one value or row per group, with it.
    """

    name: str
    contenders: list[Contender]
    expected: Callable[[Array], Any]
    check: Callable[[Array, Any, Any, float], None]
    vectors: Vectors = WHOLE
    axes: frozenset[str] = frozenset()
    dtypes: tuple[str, ...] = tuple(DTYPES)

    @property
    def smallest(self) -> int:
        """The least number of values that fill a row."""
        return self.vectors.width or 1


class Remembered:
    """The last expected result: contenders of one job on one set of values share it."""

    key: tuple[str, Data] | None = None
    value: Any = None

    def of(self, job: Job, data: Data, groups: Array) -> Any:
        """Return what a job must give."""
        if self.key != (job.name, data):
            self.key, self.value = (job.name, data), job.expected(groups)
        return self.value


remembered = Remembered()


def use_threads(threads: int) -> None:
    """Give every library that is already imported this many threads."""
    import sys

    pqi.set_num_threads(threads)
    for library, setter in (("torch", "set_num_threads"), ("numba", "set_num_threads")):
        if library in sys.modules:
            getattr(sys.modules[library], setter)(threads)


def seconds(call: Call) -> tuple[Any, float]:
    """Return a call's result and how long it took."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def run(benchmark: BenchmarkFixture, job: Job, contender: Contender, point: Point) -> None:
    """Check a contender's result and time it in rounds."""
    x = job.vectors.of(weights(point.data))
    call = contender.prepare(point.data, job.vectors)
    use_threads(point.threads)
    result, once = seconds(call)
    groups = job.vectors.groups(x)
    job.check(groups, remembered.of(job, point.data, groups), result, contender.tolerance)
    del result
    if once < PATIENCE:
        once = seconds(call)[1]
    batch = max(1, min(2000, int(2e-3 / once)))
    least = 1 if once >= PATIENCE else LEAST.get(contender.library, 3)
    rounds = max(least, min(50, int(SECONDS / (once * batch))))
    patience = Patience()
    ratios = in_rounds(benchmark, call, x, batch, rounds, patience)
    benchmark.extra_info.update(
        job=job.name,
        library=contender.library,
        **point.data._asdict(),
        threads=point.threads,
        seconds=statistics.median(benchmark.stats.stats.data) / batch,  # type: ignore[union-attr]
        passes=statistics.median(ratios),
        rounds=rounds,
        disturbed=patience.disturbed,
        isa=pqi.info()["isa"],
    )


def in_rounds(
    benchmark: BenchmarkFixture, call: Call, x: Array, batch: int, rounds: int, patience: Patience
) -> list[float]:
    """Time batches of calls, and return each round's multiple of the read pass before it."""
    view = _core.View.of_numpy(x, "x")
    passes: list[float] = []

    def repeat(what: Call) -> None:
        for _ in range(batch):
            what()

    def read() -> None:
        patience.wait()
        passes.append(seconds(lambda: repeat(lambda: _core.read_pass(view)))[1])

    benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda: repeat(call), setup=read, rounds=rounds, iterations=1
    )
    calls: list[float] = benchmark.stats.stats.data  # type: ignore[union-attr]
    return [call / read for call, read in zip(calls, passes, strict=True)]
