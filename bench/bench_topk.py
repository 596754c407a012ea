"""Masks of the k largest magnitudes, whole and by rows, beside partitioning in numpy and torch.

numpy's partition and comparison keeps every tie at the threshold; the others keep exactly k.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pqi
from harness import Array, Call, Contender, Job, cases, rows, run, tensor, weights


def bind(share: float) -> Contender:
    """Return this library's call."""

    def prepare(dtype: str, n: int, width: int | None) -> Call:
        x, axis = rows(weights(dtype, n), width), None if width is None else 1
        k = round(share * x.shape[-1])
        return lambda: pqi.topk_mask(x, k, axis=axis)

    return Contender("pqi", prepare, 0)


def in_numpy(share: float) -> Contender:
    """Return np.partition and a comparison."""

    def prepare(dtype: str, n: int, width: int | None) -> Call:
        x = rows(weights(dtype, n), width)
        k = round(share * x.shape[-1])

        def mask() -> Any:
            magnitudes = np.abs(x.astype(np.float32, copy=False))
            return magnitudes >= np.partition(magnitudes, -k, axis=-1)[..., -k : magnitudes.shape[-1] - k + 1]

        return mask

    return Contender("numpy", prepare, 0.05)


def in_torch(share: float) -> Contender:
    """Return torch.topk and a scatter."""

    def prepare(dtype: str, n: int, width: int | None) -> Call:
        import torch

        x = rows(tensor(dtype, n), width)
        k = round(share * x.shape[-1])

        def mask() -> Any:
            chosen = torch.topk(x.abs(), k, dim=-1, sorted=False).indices
            return torch.zeros(x.shape, dtype=torch.bool).scatter_(-1, chosen, value=True).numpy()

        return mask

    return Contender("torch", prepare, 0)


def job(share: float, width: int | None = None) -> Job:
    """Return the comparison for one share of entries to keep."""

    def check(x: Array, _width: int | None, result: Any, tolerance: float) -> None:
        """Assert the count, and that nothing dropped is larger than what is kept."""
        magnitudes = np.abs(x)
        d = x.shape[-1]
        kept = np.where(result, magnitudes, np.inf).min(axis=-1)
        dropped = np.where(result, -1, magnitudes).max(axis=-1)
        assert np.all(dropped <= kept)
        surplus = np.count_nonzero(result, axis=-1) - round(share * d)
        assert np.mean(np.abs(surplus)) <= tolerance * d

    name = f"top {share:.0%} mask" if width is None else f"top {share:.0%} mask, rows of {width}"
    return Job(name, [bind(share), in_numpy(share), in_torch(share)], check, width)


JOBS = [job(0.01), job(0.1), job(0.5), job(0.1, 256), job(0.1, 1000)]


@pytest.mark.parametrize(("job", "contender", "dtype", "n"), cases(JOBS))
def test_topk(benchmark: BenchmarkFixture, job: Job, contender: Contender, dtype: str, n: int) -> None:
    run(benchmark, job, contender, dtype, n)
