"""p-norms and power means beside numpy, torch and numba."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pqi
from harness import THREADS, Array, Call, Contender, Job, cases, run, tensor, weights

# The paper's heat map, p in .1 … 1 by q in 1 … 2, takes twenty power sums.
GRID = [round(0.1 * i, 1) for i in range(1, 21)]


def numpy_means(x: Array, exponents: list[float]) -> list[float]:
    """Return power means from float32 powers and float64 sums."""
    magnitudes = np.abs(x.astype(np.float32, copy=False))
    return [float(np.mean(magnitudes**r, dtype=np.float64)) ** (1 / r) for r in exponents]


def numpy_norms(dtype: str, n: int, _width: int | None) -> Call:
    x = weights(dtype, n)
    if dtype == "float32":
        return lambda: (np.linalg.norm(x, 1), np.linalg.norm(x, 2))
    return lambda: [np.linalg.norm(wide, r) for wide in [x.astype(np.float32)] for r in (1, 2)]


def torch_norms(dtype: str, n: int, _width: int | None) -> Call:
    import torch

    x = tensor(dtype, n)
    return lambda: [float(torch.linalg.vector_norm(x, r, dtype=torch.float32)) for r in (1, 2)]


def torch_means(dtype: str, n: int, _width: int | None) -> Call:
    x = tensor(dtype, n)

    def means() -> list[float]:
        magnitudes = x.float().abs()
        return [float(magnitudes.pow(r).double().mean()) ** (1 / r) for r in GRID]

    return means


def numba_norms(dtype: str, n: int, _width: int | None) -> Call:
    import numba

    numba.set_num_threads(THREADS)

    def loop(x: Array) -> tuple[float, float]:
        first, second = 0.0, 0.0
        for i in numba.prange(x.size):
            magnitude = np.float64(abs(x[i]))
            first += magnitude
            second += magnitude * magnitude
        return first, np.sqrt(second)

    norms: Any = numba.njit(parallel=True)(loop)
    x = weights(dtype, n)
    return lambda: norms(x)


def check_norms(x: Array, _width: int | None, result: Any, tolerance: float) -> None:
    """Compare with numpy in float64."""
    expected = [np.linalg.norm(x, 1), np.linalg.norm(x, 2)]
    np.testing.assert_allclose(np.array(result, dtype=np.float64), expected, rtol=tolerance)


def check_means(x: Array, _width: int | None, result: Any, tolerance: float) -> None:
    """Compare with numpy in float64."""
    expected = [np.mean(np.abs(x) ** r) ** (1 / r) for r in GRID]
    np.testing.assert_allclose(np.asarray(result), expected, rtol=tolerance)


def bind_norms(dtype: str, n: int, _width: int | None) -> Call:
    x = weights(dtype, n)
    return lambda: pqi.norms(x, 1, 2)


def bind_means(dtype: str, n: int, _width: int | None) -> Call:
    x = weights(dtype, n)
    return lambda: pqi.power_means(x, GRID)


JOBS = [
    Job(
        "norms (1, 2)",
        [
            Contender("pqi", bind_norms, 1e-12),
            Contender("numpy", numpy_norms, 1e-2),
            Contender("torch", torch_norms, 1e-1),
            Contender("numba", numba_norms, 1e-9, ("float32",)),
        ],
        check_norms,
    ),
    Job(
        "20 power means",
        [
            Contender("pqi", bind_means, 1e-11),
            Contender("numpy", lambda dtype, n, _: lambda: numpy_means(weights(dtype, n), GRID), 1e-4),
            Contender("torch", torch_means, 1e-4),
        ],
        check_means,
    ),
]


@pytest.mark.parametrize(("job", "contender", "dtype", "n"), cases(JOBS))
def test_norms(benchmark: BenchmarkFixture, job: Job, contender: Contender, dtype: str, n: int) -> None:
    run(benchmark, job, contender, dtype, n)
