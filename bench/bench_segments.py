"""Groups of ragged lengths as stretches of one vector, beside numpy's reductions over the same offsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pqi
from data import Array, Data, magnitudes, weights
from expected import PART, assert_close, blocks
from harness import Call, Contender, Job, Vectors, run
from plan import Point, cases


def offsets(n: int) -> Array:
    """Return where groups of 1 to 511 entries begin, and where the last one ends."""
    ends = np.cumsum(np.random.default_rng(1).integers(1, 512, n // 128 + 1))
    return np.concatenate([[0], ends[ends < n], [n]])


def by_pqi(data: Data, _vectors: Vectors) -> Call:
    segments = pqi.segments(weights(data), offsets(data.n))
    return lambda: pqi.index(segments)


def by_numpy(data: Data, _vectors: Vectors) -> Call:
    x, ends = weights(data), offsets(data.n)
    lengths = np.diff(ends)

    def index() -> Any:
        absolute = magnitudes(x)
        halves, ones = (np.add.reduceat(v, ends[:-1]) / lengths for v in (np.sqrt(absolute), absolute))
        return 1 - halves**2 / ones

    return index


def expect(groups: Array) -> Array:
    """Return the index of every group from float64 sums."""
    ends = offsets(groups.shape[1])
    sums = np.zeros((2, len(ends) - 1))
    for part, (_, block) in enumerate(blocks(groups)):
        start = part * PART
        first = int(np.searchsorted(ends, start, side="right")) - 1
        last = int(np.searchsorted(ends, start + block.size, side="left"))
        begins = np.maximum(ends[first:last] - start, 0)
        for row, values in enumerate((np.sqrt(block[0]), block[0])):
            sums[row, first:last] += np.add.reduceat(values, begins)
    halves, ones = sums / np.diff(ends)
    with np.errstate(invalid="ignore"):
        found: Array = 1 - halves**2 / ones
    return found


JOBS = [
    Job(
        "index (½, 1), ragged groups of 1 to 511",
        [Contender("pqi", by_pqi, 1e-11), Contender("numpy", by_numpy, 1e-3)],
        expect,
        assert_close,
    )
]


@pytest.mark.parametrize(("job", "contender", "point"), cases(JOBS))
def test_segments(benchmark: BenchmarkFixture, job: Job, contender: Contender, point: Point) -> None:
    run(benchmark, job, contender, point)
