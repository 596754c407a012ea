"""The PQ index, whole, by rows and by columns, beside numpy, torch and numba."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import expected
import pqi
from data import Array, Data, magnitudes, tensor, weights
from harness import COLUMNS, ROWS, WHOLE, Call, Contender, Job, Vectors, run
from plan import Point, cases

EVERYWHERE = frozenset({"dtype", "distribution", "threads"})


def bind(p: float, q: float) -> Contender:
    """Return this library's call."""

    def prepare(data: Data, vectors: Vectors) -> Call:
        x = vectors.of(weights(data))
        return lambda: pqi.index(x, p, q, axis=vectors.axis)

    return Contender("pqi", prepare, 1e-11)


def power(x: Any, r: float, sqrt: Any) -> Any:
    """Return magnitudes to the r-th power in the cheapest way."""
    special = {0.5: sqrt, 1.0: lambda v: v, 2.0: lambda v: v * v}
    return special[r](x) if r in special else x**r


def in_numpy(p: float, q: float) -> Contender:
    """Return numpy's powers in the type itself with float64 means."""

    def prepare(data: Data, vectors: Vectors) -> Call:
        x = vectors.of(weights(data))

        def index() -> Any:
            absolute = magnitudes(x)
            mean_p, mean_q = (power(absolute, r, np.sqrt).mean(axis=vectors.axis, dtype=np.float64) for r in (p, q))
            return 1 - mean_p ** (1 / p) / mean_q ** (1 / q)

        return index

    return Contender("numpy", prepare, 1e-5)


def in_torch(p: float, q: float) -> Contender:
    """Return torch's powers in the type itself, or float32, with float64 means."""

    def prepare(data: Data, vectors: Vectors) -> Call:
        import torch

        x = vectors.of(tensor(data))

        def index() -> Any:
            absolute = x.abs() if x.element_size() > 2 else x.float().abs()
            mean_p, mean_q = (
                power(absolute, r, torch.sqrt).mean(dim=vectors.axis, dtype=torch.float64) for r in (p, q)
            )
            return (1 - mean_p ** (1 / p) / mean_q ** (1 / q)).numpy()

        return index

    return Contender("torch", prepare, 1e-5)


def in_numba(p: float, q: float) -> Contender:
    """Return one fused parallel loop with float64 sums."""

    def prepare(data: Data, _vectors: Vectors) -> Call:
        import numba

        halves = (p, q) == (0.5, 1.0)
        squares = (p, q) == (1.0, 2.0)

        def loop(x: Array) -> Any:
            first, second = 0.0, 0.0
            for i in numba.prange(x.size):
                magnitude = np.float64(abs(x[i]))
                if halves:
                    first += np.sqrt(magnitude)
                    second += magnitude
                elif squares:
                    first += magnitude
                    second += magnitude * magnitude
                else:
                    first += magnitude**p
                    second += magnitude**q
            return 1 - (first / x.size) ** (1 / p) / (second / x.size) ** (1 / q)

        index: Any = numba.njit(parallel=True)(loop)
        x = weights(data)
        index(x[:16])  # compiles
        return lambda: index(x)

    return Contender("numba", prepare, 1e-9, ("float32", "float64"))


def job(p: float, q: float, vectors: Vectors = WHOLE) -> Job:
    """Return the comparison for one pair of exponents."""
    pair = f"({p:g}, {q:g})".replace("0.", ".").replace("(.5", "(½")
    contenders = [bind(p, q), in_numpy(p, q), in_torch(p, q)]
    if vectors is WHOLE:
        contenders.append(in_numba(p, q))
    axes = EVERYWHERE if vectors is WHOLE else frozenset[str]()
    return Job(
        f"index {pair}{vectors}", contenders, partial(expected.index, p=p, q=q), expected.assert_close, vectors, axes
    )


JOBS = [job(1, 2), job(0.5, 1), job(0.7, 1.3), *(job(0.5, 1, vectors) for vectors in (*ROWS, COLUMNS))]


@pytest.mark.parametrize(("job", "contender", "point"), cases(JOBS))
def test_index(benchmark: BenchmarkFixture, job: Job, contender: Contender, point: Point) -> None:
    run(benchmark, job, contender, point)
