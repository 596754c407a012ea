"""p-norms and power means beside numpy, torch and numba."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import expected
import pqi
from data import Array, Data, magnitudes, tensor, weights
from harness import Call, Contender, Job, Vectors, run
from plan import Point, cases

# The paper's heat map, p in .1 … 1 by q in 1 … 2, takes twenty power sums.
GRID = [round(0.1 * i, 1) for i in range(1, 21)]
CHECKED = [0, 4, 19]  # of them, at the cost of a float64 power each


def bind_norms(data: Data, _vectors: Vectors) -> Call:
    x = weights(data)
    return lambda: pqi.norms(x, 1, 2)


def numpy_norms(data: Data, _vectors: Vectors) -> Call:
    x = weights(data)
    if x.dtype.itemsize > 2:
        return lambda: (np.linalg.norm(x, 1), np.linalg.norm(x, 2))
    return lambda: [np.linalg.norm(wide, r) for wide in [x.astype(np.float32)] for r in (1, 2)]


def torch_norms(data: Data, _vectors: Vectors) -> Call:
    import torch

    x = tensor(data)
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return lambda: [float(torch.linalg.vector_norm(x, r, dtype=dtype)) for r in (1, 2)]


def numba_norms(data: Data, _vectors: Vectors) -> Call:
    import numba

    def loop(x: Array) -> tuple[float, float]:
        first, second = 0.0, 0.0
        for i in numba.prange(x.size):
            magnitude = np.float64(abs(x[i]))
            first += magnitude
            second += magnitude * magnitude
        return first, np.sqrt(second)

    norms: Any = numba.njit(parallel=True)(loop)
    x = weights(data)
    norms(x[:16])  # compiles
    return lambda: norms(x)


def expected_norms(groups: Array) -> Array:
    scale, d = expected.largest(groups), groups.shape[1]
    norms: Array = expected.power_means(groups, [1, 2], scale)[0] * scale * d ** (1 / np.array([1, 2]))
    return norms


def check_norms(_groups: Array, values: Array, result: Any, tolerance: float) -> None:
    np.testing.assert_allclose(np.array(result, dtype=np.float64), values, rtol=tolerance)


def bind_means(data: Data, _vectors: Vectors) -> Call:
    x = weights(data)
    return lambda: pqi.power_means(x, GRID)


def numpy_means(data: Data, _vectors: Vectors) -> Call:
    x = weights(data)

    def means() -> list[float]:
        absolute = magnitudes(x)
        return [float(np.mean(absolute**r, dtype=np.float64)) ** (1 / r) for r in GRID]

    return means


def torch_means(data: Data, _vectors: Vectors) -> Call:
    import torch

    x = tensor(data)

    def means() -> list[float]:
        absolute = x.abs() if x.element_size() > 2 else x.float().abs()
        return [float(absolute.pow(r).mean(dtype=torch.float64)) ** (1 / r) for r in GRID]

    return means


def expected_means(groups: Array) -> Array:
    means: Array = expected.power_means(groups, [GRID[i] for i in CHECKED])[0]
    return means


def check_means(_groups: Array, values: Array, result: Any, tolerance: float) -> None:
    np.testing.assert_allclose(np.asarray(result)[CHECKED], values, rtol=tolerance)


JOBS = [
    Job(
        "norms (1, 2)",
        [
            Contender("pqi", bind_norms, 1e-12),
            Contender("numpy", numpy_norms, 1e-2),
            Contender("torch", torch_norms, 0.5),  # its float32 sums are wrong by this much at 1e8
            Contender("numba", numba_norms, 1e-9, ("float32", "float64")),
        ],
        expected_norms,
        check_norms,
        axes=frozenset({"dtype"}),
    ),
    Job(
        "20 power means",
        [
            Contender("pqi", bind_means, 1e-11),
            Contender("numpy", numpy_means, 1e-4),
            Contender("torch", torch_means, 1e-4),
        ],
        expected_means,
        check_means,
        axes=frozenset({"dtype"}),
    ),
]


@pytest.mark.parametrize(("job", "contender", "point"), cases(JOBS))
def test_norms(benchmark: BenchmarkFixture, job: Job, contender: Contender, point: Point) -> None:
    run(benchmark, job, contender, point)
