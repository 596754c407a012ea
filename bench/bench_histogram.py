"""Everything about a two-byte type from one histogram: the paper's grid of 10 × 11 indices and the exact Gini."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import expected
import pqi
from data import Array, Data, weights
from harness import Call, Contender, Job, Vectors, run
from plan import Point, cases

P = [round(0.1 * i, 1) for i in range(1, 11)]
Q = [round(1 + 0.1 * i, 1) for i in range(11)]


class Found(NamedTuple):
    """What follows from the counts."""

    grid: Array
    gini: float


def everything(data: Data, _vectors: Vectors) -> Call:
    x = weights(data)

    def measure() -> Found:
        counts = pqi.histogram(x)
        return Found(counts.index_grid(P, Q), counts.gini())

    return measure


def expect(groups: Array) -> Found:
    """Return a corner of the grid, at the cost of two powers, and the Gini index."""
    return Found(expected.index(groups, P[4], Q[10]), float(expected.gini(groups)[0]))


def check(_groups: Array, values: Found, result: Any, tolerance: float) -> None:
    np.testing.assert_allclose(result.grid[4, 10], values.grid[0], rtol=0, atol=tolerance)
    np.testing.assert_allclose(result.gini, values.gini, rtol=0, atol=tolerance)


JOBS = [
    Job(
        "histogram, 110 indices and Gini",
        [Contender("pqi", everything, 1e-11)],
        expect,
        check,
        axes=frozenset({"dtype"}),
        dtypes=("bfloat16", "float16"),
    )
]


@pytest.mark.parametrize(("job", "contender", "point"), cases(JOBS))
def test_histogram(benchmark: BenchmarkFixture, job: Job, contender: Contender, point: Point) -> None:
    run(benchmark, job, contender, point)
