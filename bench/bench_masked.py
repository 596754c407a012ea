"""The index and a mask of the live elements alone, beside numpy, which copies them first.

A read pass is one over the values; the mask adds a quarter of their bytes for float32.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import expected
import pqi
from data import Array, Data, magnitudes, weights
from expected import Ties
from harness import Call, Contender, Job, Vectors, run
from plan import Point, cases


@cache
def live(n: int) -> Array:
    """Return a mask that keeps 60 % of n values."""
    return np.asarray(np.random.default_rng(2).random(n, dtype=np.float32) < 0.6)


def index_by_pqi(data: Data, _vectors: Vectors) -> Call:
    x, kept = weights(data), live(data.n)
    return lambda: pqi.index(x, where=kept)


def index_by_numpy(data: Data, _vectors: Vectors) -> Call:
    x, kept = weights(data), live(data.n)

    def index() -> float:
        absolute = magnitudes(x[kept])
        return float(1 - np.mean(np.sqrt(absolute), dtype=np.float64) ** 2 / np.mean(absolute, dtype=np.float64))

    return index


def expected_index(groups: Array) -> Array:
    return expected.index(groups[:, live(groups.shape[1])], 0.5, 1)


def mask_by_pqi(data: Data, _vectors: Vectors) -> Call:
    x, kept = weights(data), live(data.n)
    k = int(np.count_nonzero(kept)) // 10
    return lambda: pqi.topk_mask(x, k, where=kept)


def mask_by_numpy(data: Data, _vectors: Vectors) -> Call:
    x, kept = weights(data), live(data.n)
    k = int(np.count_nonzero(kept)) // 10

    def mask() -> Array:
        absolute = magnitudes(x[kept])
        threshold = np.partition(absolute, absolute.size - k)[absolute.size - k]
        return np.asarray(kept & (magnitudes(x) >= threshold))

    return mask


def check_mask(groups: Array, _expected: Any, result: Any, ties: float) -> None:
    kept, mask = live(groups.shape[1]), np.asarray(result).reshape(groups.shape)
    assert not mask[:, ~kept].any()
    expected.assert_top(groups[:, kept], mask[:, kept], int(np.count_nonzero(kept)) // 10, Ties(int(ties)))


JOBS = [
    Job(
        "index (½, 1), 60% live",
        [Contender("pqi", index_by_pqi, 1e-11), Contender("numpy", index_by_numpy, 1e-4)],
        expected_index,
        expected.assert_close,
    ),
    Job(
        "top 10% mask, 60% live",
        [Contender("pqi", mask_by_pqi, Ties.FIRST), Contender("numpy", mask_by_numpy, Ties.ALL)],
        lambda _groups: None,
        check_mask,
    ),
]


@pytest.mark.parametrize(("job", "contender", "point"), cases(JOBS))
def test_masked(benchmark: BenchmarkFixture, job: Job, contender: Contender, point: Point) -> None:
    run(benchmark, job, contender, point)
