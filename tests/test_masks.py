"""`where`: what the core reads of masked elements is what a copy without them holds, in registers and at their ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pqi
from cases import BFLOAT16, Array, bits, sample, strided
from pqi import _core

TYPES = [np.dtype(name) for name in ("float32", "float64", "float16", "int8", "int64", "uint16", "uint32")] + [BFLOAT16]
SIZES = [1, 7, 8, 15, 16, 17, 63, 64, 65, 130, 4_095, 4_096, 4_097, 9_000]


pytestmark = pytest.mark.usefixtures("restore_settings")


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
@pytest.mark.parametrize("width", [5, 64, 130, 600, 5_000])
def test_rows_and_segments(width: int, isa: str) -> None:
    pqi.use_isa(isa)
    x = sample(np.dtype(np.float32), 30_000 // width * width).reshape(-1, width)
    live = np.random.default_rng(width).random(x.shape) < 0.6
    segments = pqi.segments(x.ravel(), np.arange(0, x.size + 1, width))
    k = np.count_nonzero(live, axis=1) // 2
    masks = pqi.topk_mask(x, k, axis=1, where=live)
    for i, (row, alive) in enumerate(zip(x[:4], live[:4], strict=True)):
        cleared = np.where(alive, row, 0)
        assert bits(pqi.norms(x, 1, 2, axis=1, where=live)[1][i]) == bits(pqi.norms(cleared, 1, 2)[1])
        assert bits(pqi.gini(segments, where=live.ravel())[i]) == bits(pqi.gini(row[alive]))
        np.testing.assert_array_equal(masks[i][alive], pqi.topk_mask(row[alive], k[i]))


@pytest.mark.parametrize("isa", pqi.info()["isas"])
@pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float16), BFLOAT16], ids=str)
def test_dead_elements_may_be_anything(dtype: np.dtype[Any], isa: str) -> None:
    """They set no pivot and no scale, in rows that are summed where they lie, in longer ones and in a whole array."""
    pqi.use_isa(isa)
    rng = np.random.default_rng(1)
    scales = np.repeat([1.0, 1e-6, 1e4, 2.0 if dtype == np.float16 else 1e-30], 5)[:, None]
    with np.errstate(over="ignore"):
        dead = np.array([np.nan, np.inf, np.finfo(np.float16).max, 6e-8, -1e-40, 3e38]).astype(dtype)
    for width in (1, 40, 777, 5_000):
        x = (rng.standard_normal((20, width)) * scales).astype(dtype)
        live = rng.random(x.shape) < 0.5
        live[:, 0] = False
        cleared, x[~live] = np.where(live, x, np.zeros_like(x)), rng.choice(dead, np.count_nonzero(~live))
        for exponents in ([0.5, 1], [1, 2], [0.5, 1, 2], [2], [0.7, 1.3, 4]):
            for axis in (1, None):
                found = pqi.power_means(x, exponents, axis=axis, where=live)
                lives = live.sum(axis=axis)[..., None]
                sums = pqi.power_means(cleared, exponents, axis=axis) ** exponents * cleared[0].size
                with np.errstate(divide="ignore", invalid="ignore"):
                    expected = (sums * (20 if axis is None else 1) / lives) ** (1 / np.array(exponents))
                np.testing.assert_allclose(found, expected, rtol=1e-12)
            p, q = exponents[0], exponents[-1]
            if p < q:
                found_norms, norms = pqi.norms(x, p, q, axis=1, where=live), pqi.norms(cleared, p, q, axis=1)
                assert bits(np.array(found_norms)) == bits(np.array(norms))


@pytest.mark.parametrize("isa", pqi.info()["isas"])
@pytest.mark.parametrize("dtype", [np.dtype(np.float32), BFLOAT16], ids=str)
def test_masked_rows_that_leave_the_scale_of_their_first_element(dtype: np.dtype[Any], isa: str) -> None:
    pqi.use_isa(isa)
    rng = np.random.default_rng(2)
    x = np.exp2(rng.uniform(-60, 60, (40, 300))).astype(dtype)
    x[:, 1] = 2.0**-100
    live = rng.random(x.shape) < 0.5
    live[:, 0], live[:, 1] = False, True
    cleared, x[~live] = np.where(live, x, np.zeros_like(x)), np.inf
    for p, q in ((0.5, 1), (1, 2), (0.5, 2)):
        found, expected = pqi.norms(x, p, q, axis=1, where=live), pqi.norms(cleared, p, q, axis=1)
        assert np.isfinite(found).all()
        assert bits(np.array(found)) == bits(np.array(expected))


@pytest.mark.parametrize("isa", pqi.info()["isas"])
def test_any_byte_but_zero_is_true(isa: str) -> None:
    pqi.use_isa(isa)
    odd = np.random.default_rng(0).integers(0, 3, 1_000, dtype=np.uint8) * 100
    for dtype in TYPES:
        packed = np.zeros(1_000, dtype=[("odd", "i1"), ("x", dtype)])
        packed["x"] = sample(dtype, 1_000)
        x = packed["x"]  # at odd addresses
        kept, where = x[odd != 0], odd.view(bool)
        assert pqi.gini(x, where=where) == pqi.gini(kept)
        assert pqi.summary(x, where=where).live == np.count_nonzero(odd)
        assert pqi.norms(x, 1, 2, where=where) == pqi.norms(np.where(odd != 0, x, np.zeros_like(x)), 1, 2)
        mask = pqi.topk_mask(x, 100, where=where)
        assert (mask.view(np.uint8) <= 1).all()
        np.testing.assert_array_equal(mask[odd != 0], pqi.topk_mask(kept, 100))


def test_a_mask_that_was_emptied_after_its_count() -> None:
    """Another thread may clear it between the count and the selection: any answer, and the next row's is right."""
    x, live, out = (
        sample(np.dtype(np.float32), 2_000).reshape(2, -1),
        np.ones((2, 1_000), bool),
        np.ones((2, 1_000), bool),
    )
    live[0] = False
    views, masks, outs = ([_core.View.of_numpy(array, "x")] for array in (x, live, out))
    one = np.array([1, 1], np.uint64)
    assert _core.topk_threshold(views, masks, (1,), one, one)[1] == np.abs(x[1]).max()
    _core.topk_mask(views, masks, (1,), one, one, outs)
    assert not out[0].any()
    np.testing.assert_array_equal(out[1], pqi.topk_mask(x[1], 1))
