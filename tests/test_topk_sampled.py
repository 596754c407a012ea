"""`topk_mask` of long vectors, whose threshold two samples bracket: data that samples are wrong about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pqi
import reference
from cases import BFLOAT16

N = 400_009
RNG = np.random.default_rng(7)
NORMAL = RNG.standard_normal(N)
RUN = np.arange(N) // 32

VECTORS: dict[str, Callable[[], np.ndarray]] = {
    "sorted": lambda: np.sort(NORMAL),
    "runs of one value": lambda: NORMAL[RUN],
    "runs of one sign of the threshold": lambda: NORMAL * np.where(NORMAL[RUN] > 0, 1e3, 1e-3),
    "large where no sample looks": lambda: np.where(np.arange(N) % 2048 < 900, NORMAL * 1e3, NORMAL),
    "half one value": lambda: np.where(RNG.random(N) < 0.5, 1.0, NORMAL),
    "few values": lambda: np.round(NORMAL, 1),
    "mostly zero": lambda: np.where(RNG.random(N) < 0.97, 0.0, NORMAL),
    "mostly not finite": lambda: np.where(RNG.random(N) < 0.7, np.where(RNG.random(N) < 0.5, np.nan, np.inf), NORMAL),
    "a level inside a level": lambda: np.where(RNG.random(N) < 0.01, 1.0, 1 + NORMAL * 1e-3),
}


@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float64), BFLOAT16], ids=str)
def test_masks_equal_a_stable_argsort(dtype: np.dtype[Any], kind: str) -> None:
    x = VECTORS[kind]().astype(dtype)
    order = reference.descending(x)
    for k in (1, N // 100, N // 10, N // 2, N - N // 50, N - 1):
        expected = np.zeros(N, dtype=np.bool_)
        expected[order[:k]] = True
        np.testing.assert_array_equal(pqi.topk_mask(x, k), expected)


@pytest.mark.parametrize("kind", VECTORS)
def test_dead_stretches(kind: str) -> None:
    """Runs of a sample that hold no live entry at all, or few."""
    x = VECTORS[kind]().astype(np.float32)
    for live in (NORMAL[RUN] > 1, np.arange(N) < 20_000, RNG.random(N) < 0.02):
        k = int(live.sum()) // 3
        np.testing.assert_array_equal(
            pqi.topk_mask(x, k, where=live), reference.topk_mask_by_group(x, k, 0, where=live)
        )
