"""`where`: what the core reads of masked elements is what a copy without them holds, in registers and at their ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pqi
from cases import BFLOAT16, Array, bits, sample, strided

TYPES = [np.dtype(np.float32), np.dtype(np.float64), BFLOAT16, np.dtype(np.int8), np.dtype(np.int64)]
SIZES = [1, 7, 8, 15, 16, 17, 63, 64, 65, 130, 4_095, 4_096, 4_097, 9_000]


@pytest.fixture(autouse=True)
def restore_settings() -> Iterator[None]:
    """Put the instruction set back."""
    before = pqi.info()["isa"]
    yield
    pqi.use_isa(before)


def masks(n: int) -> list[Array]:
    """Return masks of which some keep everything, nothing, or alternating elements."""
    rng = np.random.default_rng(n)
    return [rng.random(n) < share for share in (0.02, 0.5, 0.97)] + [
        np.arange(n) % 2 > 0,
        np.ones(n, bool),
        np.zeros(n, bool),
    ]


@pytest.mark.parametrize("isa", pqi.info()["isas"])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_dead_elements_count_nowhere(dtype: np.dtype[Any], isa: str) -> None:
    pqi.use_isa(isa)
    for n in SIZES:
        x = sample(dtype, n)
        for live in masks(n):
            kept, cleared = x[live], np.where(live, x, np.zeros_like(x))
            for where in (live, strided(live)):
                assert bits(np.array(pqi.norms(x, 1, 2, where=where))) == bits(np.array(pqi.norms(cleared, 1, 2)))
                assert bits(pqi.gini(x, where=where)) == bits(pqi.gini(kept))
                found, expected = pqi.summary(x, where=where), pqi.summary(kept)
                assert (found.live, found.zeros) == (expected.live, expected.zeros) == (live.sum(), (kept == 0).sum())
                k = int(live.sum()) // 2
                mask = pqi.topk_mask(x, k, where=where)
                assert not mask[~live].any()
                np.testing.assert_array_equal(mask[live], pqi.topk_mask(kept, k))


@pytest.mark.parametrize("isa", pqi.info()["isas"])
def test_any_byte_but_zero_is_true(isa: str) -> None:
    pqi.use_isa(isa)
    x = sample(np.dtype(np.float32), 1_000)
    odd = np.random.default_rng(0).integers(0, 3, 1_000, dtype=np.uint8) * 100
    assert pqi.gini(x, where=odd.view(bool)) == pqi.gini(x[odd != 0])
    assert pqi.summary(x, where=odd.view(bool)).live == np.count_nonzero(odd)
