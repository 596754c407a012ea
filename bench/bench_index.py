"""The PQ index, whole and by rows, beside numpy, torch and numba."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pqi
from harness import THREADS, Array, Call, Contender, Job, cases, rows, run, tensor, weights


def bind(p: float, q: float) -> Contender:
    """Return this library's call."""

    def prepare(dtype: str, n: int, width: int | None) -> Call:
        x, axis = rows(weights(dtype, n), width), None if width is None else 1
        return lambda: pqi.index(x, p, q, axis=axis)

    return Contender("pqi", prepare, 1e-11)


def power(magnitudes: Any, r: float, sqrt: Any) -> Any:
    """Return magnitudes to the r-th power in the cheapest way."""
    special = {0.5: sqrt, 1.0: lambda v: v, 2.0: lambda v: v * v}
    return special[r](magnitudes) if r in special else magnitudes**r


def in_numpy(p: float, q: float) -> Contender:
    """Return numpy's float32 powers with float64 means."""

    def prepare(dtype: str, n: int, width: int | None) -> Call:
        x, axis = rows(weights(dtype, n), width), None if width is None else 1

        def index() -> Any:
            magnitudes = np.abs(x.astype(np.float32, copy=False))
            mean_p, mean_q = (power(magnitudes, r, np.sqrt).mean(axis=axis, dtype=np.float64) for r in (p, q))
            return 1 - mean_p ** (1 / p) / mean_q ** (1 / q)

        return index

    return Contender("numpy", prepare, 1e-5)


def in_torch(p: float, q: float) -> Contender:
    """Return torch's float32 powers with float64 means."""

    def prepare(dtype: str, n: int, width: int | None) -> Call:
        import torch

        x, dim = rows(tensor(dtype, n), width), None if width is None else 1

        def index() -> Any:
            magnitudes = x.float().abs()
            mean_p, mean_q = (power(magnitudes, r, torch.sqrt).mean(dim=dim, dtype=torch.float64) for r in (p, q))
            return (1 - mean_p ** (1 / p) / mean_q ** (1 / q)).numpy()

        return index

    return Contender("torch", prepare, 1e-5)


def in_numba(p: float, q: float) -> Contender:
    """Return one fused parallel loop with float64 sums."""

    def prepare(dtype: str, n: int, _width: int | None) -> Call:
        import numba

        numba.set_num_threads(THREADS)
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
        x = weights(dtype, n)
        return lambda: index(x)

    return Contender("numba", prepare, 1e-9, ("float32",))


def job(p: float, q: float, width: int | None = None) -> Job:
    """Return the comparison for one pair of exponents."""

    def check(x: Array, _width: int | None, result: Any, tolerance: float) -> None:
        axis = None if width is None else 1
        mean_p, mean_q = ((np.abs(x) ** r).mean(axis=axis) for r in (p, q))
        np.testing.assert_allclose(result, 1 - mean_p ** (1 / p) / mean_q ** (1 / q), rtol=0, atol=tolerance)

    pair = f"({p:g}, {q:g})".replace("0.", ".").replace("(.5", "(½")
    name = f"index {pair}" if width is None else f"index {pair}, rows of {width}"
    contenders = [bind(p, q), in_numpy(p, q), in_torch(p, q)]
    return Job(name, contenders if width else [*contenders, in_numba(p, q)], check, width)


JOBS = [job(0.5, 1), job(1, 2), job(0.7, 1.3), job(0.5, 1, 256), job(0.5, 1, 1000)]


@pytest.mark.parametrize(("job", "contender", "dtype", "n"), cases(JOBS))
def test_index(benchmark: BenchmarkFixture, job: Job, contender: Contender, dtype: str, n: int) -> None:
    run(benchmark, job, contender, dtype, n)
