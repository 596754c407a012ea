"""The exact Gini index, whole and by rows, beside sorting in numpy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pqi
from harness import Array, Call, Contender, Job, cases, rows, run, tensor, weights


def by_pqi(dtype: str, n: int, width: int | None) -> Call:
    x, axis = rows(weights(dtype, n), width), None if width is None else 1
    return lambda: pqi.gini(x, axis=axis)


def sorted_gini(x: Array) -> Any:
    """Return the Gini index of the last axis from np.sort and a dot product."""
    ordered = np.sort(np.abs(x), axis=-1)
    d = x.shape[-1]
    ranks = np.arange(1 - d, d, 2, dtype=np.float32 if x.dtype == np.float32 else np.float64)
    return (ordered @ ranks) / (d * ordered.sum(axis=-1, dtype=np.float64))


def by_numpy(dtype: str, n: int, width: int | None) -> Call:
    x = rows(weights(dtype, n), width)
    return lambda: sorted_gini(x.astype(np.float32, copy=False))


def by_torch(dtype: str, n: int, width: int | None) -> Call:
    import torch

    x = rows(tensor(dtype, n), width)

    def gini() -> Any:
        ordered = torch.sort(x.float().abs(), dim=-1).values
        d = x.shape[-1]
        ranks = torch.arange(1 - d, d, 2, dtype=torch.float32)
        return (ordered @ ranks / (d * ordered.sum(dim=-1, dtype=torch.float64))).numpy()

    return gini


def check(x: Array, _width: int | None, result: Any, tolerance: float) -> None:
    """Compare with numpy in float64."""
    np.testing.assert_allclose(result, sorted_gini(x), rtol=0, atol=tolerance)


CONTENDERS = [
    Contender("pqi", by_pqi, 1e-12),
    Contender("numpy", by_numpy, 1e-3),
    Contender("torch", by_torch, 1e-3),
]
JOBS = [
    Job("Gini", CONTENDERS, check),
    Job("Gini, rows of 256", CONTENDERS, check, 256),
    Job("Gini, rows of 1000", CONTENDERS, check, 1000),
]


@pytest.mark.parametrize(("job", "contender", "dtype", "n"), cases(JOBS))
def test_gini(benchmark: BenchmarkFixture, job: Job, contender: Contender, dtype: str, n: int) -> None:
    run(benchmark, job, contender, dtype, n)
