"""Masks of the k largest magnitudes, whole, by rows and by columns, beside partitioning in numpy and torch.

numpy's partition and comparison keeps every tie at the threshold; the others keep exactly k.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import expected
import pqi
from data import Array, Data, magnitudes, tensor, weights
from expected import Ties
from harness import COLUMNS, ROWS, WHOLE, Call, Contender, Job, Vectors, run
from plan import Point, cases


def length(data: Data, vectors: Vectors) -> int:
    """Return how many entries a group has."""
    if vectors.width is None:
        return data.n
    return vectors.width if vectors.axis == 1 else data.n // vectors.width


def by_pqi(share: float, data: Data, vectors: Vectors) -> Call:
    x, k = vectors.of(weights(data)), round(share * length(data, vectors))
    return lambda: pqi.topk_mask(x, k, axis=vectors.axis)


def by_numpy(share: float, data: Data, vectors: Vectors) -> Call:
    """Return np.partition and a comparison."""
    x, d, axis = vectors.of(weights(data)), length(data, vectors), vectors.axis or 0
    k = max(1, round(share * d))

    def mask() -> Any:
        absolute = magnitudes(x)
        return absolute >= np.take(np.partition(absolute, d - k, axis=axis), [d - k], axis=axis)

    return mask


def by_torch(share: float, data: Data, vectors: Vectors) -> Call:
    """Return torch.topk and a scatter."""
    import torch

    x, dim = vectors.of(tensor(data)), vectors.axis or 0
    k = round(share * length(data, vectors))

    def mask() -> Any:
        chosen = torch.topk(x.abs(), k, dim=dim, sorted=False).indices
        return torch.zeros(x.shape, dtype=torch.bool).scatter_(dim, chosen, value=True).numpy()

    return mask


def job(share: float, vectors: Vectors = WHOLE) -> Job:
    """Return the comparison for one share of entries to keep."""

    def check(groups: Array, _expected: Any, result: Any, ties: float) -> None:
        k = round(share * groups.shape[1])
        expected.assert_top(groups, vectors.groups(result), k, Ties(int(ties)))

    contenders = [
        Contender("pqi", partial(by_pqi, share), Ties.FIRST),
        Contender("numpy", partial(by_numpy, share), Ties.ALL),
        Contender("torch", partial(by_torch, share), Ties.ANY),
    ]
    axes = frozenset({"dtype", "distribution", "threads"} if vectors is WHOLE else ())
    return Job(f"top {share:.0%} mask{vectors}", contenders, lambda _groups: None, check, vectors, axes)


JOBS = [job(0.01), job(0.1), job(0.5), *(job(0.1, vectors) for vectors in (*ROWS, COLUMNS))]


@pytest.mark.parametrize(("job", "contender", "point"), cases(JOBS))
def test_topk(benchmark: BenchmarkFixture, job: Job, contender: Contender, point: Point) -> None:
    run(benchmark, job, contender, point)
