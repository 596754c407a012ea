"""`topk_mask` of many short rows, which are cut many at a time: widths around a register, ties, `where`, `out=`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pqi
import reference
from cases import BFLOAT16

DTYPES = [np.dtype(t) for t in (np.float32, np.float64, np.int8, np.uint32, np.int64)] + [BFLOAT16]
WIDTHS = [1, 3, 4, 17, 63, 64, 250, 512, 513]
ROWS = 37  # two tiles and five rows


@pytest.fixture(params=pqi.info()["isas"])
def _isa(request: pytest.FixtureRequest) -> Iterator[None]:
    before = pqi.info()["isa"]
    pqi.use_isa(request.param)
    yield
    pqi.use_isa(before)


def rows_of_kinds(dtype: np.dtype[Any], width: int) -> Iterator[np.ndarray]:
    """Yield continuous rows, rows of few values, of many zeros, of very different scales, of NaN and infinities."""
    rng = np.random.default_rng(width)
    normal = rng.standard_normal((ROWS, width))
    whole = dtype.kind in "iu"
    kinds = [normal * 40, rng.integers(-7, 8, normal.shape), np.where(rng.random(normal.shape) < 0.9, 0, normal * 9)]
    if not whole:
        kinds.append(normal * 10.0 ** rng.integers(-30, 30, (ROWS, 1)))
        kinds.append(np.where(rng.random(normal.shape) < 0.3, [[np.nan], *[[np.inf]] * (ROWS - 1)], normal))
    elif dtype.kind == "u":
        kinds = [np.abs(kind) for kind in kinds] + [rng.integers(2**32 - 3, 2**32, normal.shape)]
    for kind in kinds:
        with np.errstate(invalid="ignore"):
            yield np.clip(kind, -128, 127).astype(dtype) if dtype == np.int8 else np.asarray(kind).astype(dtype)


@pytest.mark.usefixtures("_isa")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rows_equal_a_stable_argsort(dtype: np.dtype[Any]) -> None:
    for width in WIDTHS:
        any_k = np.random.default_rng(1).integers(0, width, ROWS, endpoint=True)
        for x in rows_of_kinds(dtype, width):
            for k in (width // 10 + 1, width, any_k):
                np.testing.assert_array_equal(pqi.topk_mask(x, k, axis=1), reference.topk_mask_by_group(x, k, 1))


@pytest.mark.usefixtures("_isa")
@pytest.mark.parametrize("width", [5, 64, 250])
def test_dead_entries_tie_with_no_zero(width: int) -> None:
    for x in rows_of_kinds(np.dtype(np.float32), width):
        live = np.random.default_rng(2).random(x.shape) < 0.6
        k = (live.sum(axis=1) * np.random.default_rng(3).random(ROWS)).astype(int)
        for wanted in (k, live.sum(axis=1)):
            expected = reference.topk_mask_by_group(x, wanted, 1, where=live)
            out = np.ones((ROWS, 3 * width), dtype=np.bool_)[:, 1::3]
            assert pqi.topk_mask(x, wanted, axis=1, where=live, out=out) is out
            np.testing.assert_array_equal(out, expected)


@pytest.mark.usefixtures("_isa")
def test_thresholds_are_those_of_rows_alone() -> None:
    """Sorted rows, reversed rows and a strided view of them: what the tile before suggests changes nothing."""
    for x in rows_of_kinds(np.dtype(np.float32), 64):
        for view in (np.sort(x, axis=1), x[:, ::-1], x[:, ::2], x[::-3]):
            width = view.shape[1]
            found = pqi.topk_threshold(view, width // 3, axis=1)
            expected = [reference.topk_threshold(row, width // 3) for row in view]
            np.testing.assert_array_equal(found, np.asarray(expected))


@pytest.mark.usefixtures("_isa")
def test_segments_of_any_sizes() -> None:
    sizes = np.random.default_rng(4).integers(0, 120, 60)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    x = np.random.default_rng(5).integers(-5, 6, offsets[-1]).astype(np.float32)
    k = sizes // 3
    mask = pqi.topk_mask(pqi.segments(x, offsets), k)
    for begin, end, wanted in zip(offsets[:-1], offsets[1:], k, strict=True):
        np.testing.assert_array_equal(mask[begin:end], reference.topk_mask(x[begin:end], int(wanted)))
