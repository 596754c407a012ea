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


def check_index(_groups: Array, values: Array, result: Any, tolerance: float) -> None:
    np.testing.assert_allclose(np.ravel(result), values, rtol=0, atol=tolerance)


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


def expected_threshold(groups: Array) -> Array:
    absolute = magnitudes(groups[:, live(groups.shape[1])])
    k = absolute.shape[1] // 10
    return np.asarray(np.partition(absolute, absolute.shape[1] - k, axis=1)[:, absolute.shape[1] - k])


def check_mask(groups: Array, values: Array, result: Any, tolerance: float) -> None:
    """Everything above the threshold is kept, nothing below it, and as many as wanted but for ties that numpy keeps."""
    kept, wanted = np.asarray(result).reshape(groups.shape), np.count_nonzero(live(groups.shape[1])) // 10
    absolute, alive = magnitudes(groups), live(groups.shape[1])
    assert not kept[:, ~alive].any()
    assert (kept | ~alive | (absolute <= values[:, None])).all()
    assert not (kept & (absolute < values[:, None])).any()
    assert wanted <= np.count_nonzero(kept) <= wanted + tolerance * groups.shape[1]


JOBS = [
    Job(
        "index (½, 1), 60% live",
        [Contender("pqi", index_by_pqi, 1e-11), Contender("numpy", index_by_numpy, 1e-4)],
        expected_index,
        check_index,
    ),
    Job(
        "top 10% mask, 60% live",
        [Contender("pqi", mask_by_pqi, 0), Contender("numpy", mask_by_numpy, 1)],
        expected_threshold,
        check_mask,
    ),
]


@pytest.mark.parametrize(("job", "contender", "point"), cases(JOBS))
def test_masked(benchmark: BenchmarkFixture, job: Job, contender: Contender, point: Point) -> None:
    run(benchmark, job, contender, point)
