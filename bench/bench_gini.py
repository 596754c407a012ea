"""The exact Gini index, whole, by rows and by columns, beside sorting in numpy and torch; and within a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import expected
import pqi
from data import Array, Data, magnitudes, tensor, weights
from harness import COLUMNS, ROWS, WHOLE, Call, Contender, Job, Vectors, run
from plan import Point, cases

TOLERANCE = 1e-6


def by_pqi(data: Data, vectors: Vectors) -> Call:
    x = vectors.of(weights(data))
    return lambda: pqi.gini(x, axis=vectors.axis)


def within(data: Data, vectors: Vectors) -> Call:
    """Return the interval's value, the interval checked."""
    x = vectors.of(weights(data))

    def gini() -> Any:
        found = pqi.gini(x, tol=TOLERANCE)
        assert found.high - found.low <= TOLERANCE
        return found.value

    return gini


def by_numpy(data: Data, vectors: Vectors) -> Call:
    """Return a sort in the type itself and a dot product in float64."""
    x = vectors.groups(vectors.of(weights(data)))
    d = x.shape[-1]

    def gini() -> Any:
        ordered = np.sort(magnitudes(x), axis=-1)
        ranks = np.arange(1 - d, d, 2, dtype=np.float64)  # in float32 the product is -1 for 1e8 weights
        return (ordered @ ranks) / (d * ordered.sum(axis=-1, dtype=np.float64))

    return gini


def by_torch(data: Data, vectors: Vectors) -> Call:
    import torch

    x = vectors.of(tensor(data))
    x = x.movedim(0, -1) if vectors.axis == 0 else x
    d = x.shape[-1]

    def gini() -> Any:
        ordered = torch.sort(x.abs() if x.element_size() > 2 else x.float().abs(), dim=-1).values
        ranks = torch.arange(1 - d, d, 2, dtype=ordered.dtype)
        return (ordered @ ranks / (d * ordered.sum(dim=-1, dtype=torch.float64))).numpy()

    return gini


def check(_groups: Array, values: Array, result: Any, tolerance: float) -> None:
    np.testing.assert_allclose(np.ravel(result), values, rtol=0, atol=tolerance)


def job(vectors: Vectors) -> Job:
    contenders = [
        Contender("pqi", by_pqi, 1e-12),
        Contender("numpy", by_numpy, 1e-2),
        Contender("torch", by_torch, 1e-2),
    ]
    axes = frozenset({"dtype", "distribution", "threads"} if vectors is WHOLE else ())
    return Job(f"Gini{vectors}", contenders, expected.gini, check, vectors, axes)


JOBS = [
    *(job(vectors) for vectors in (WHOLE, *ROWS, COLUMNS)),
    Job(
        "Gini within 1e-6",
        [Contender("pqi", within, TOLERANCE)],
        expected.gini,
        check,
        WHOLE,
        frozenset({"dtype", "distribution", "threads"}),
    ),
]


@pytest.mark.parametrize(("job", "contender", "point"), cases(JOBS))
def test_gini(benchmark: BenchmarkFixture, job: Job, contender: Contender, point: Point) -> None:
    run(benchmark, job, contender, point)
