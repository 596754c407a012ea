"""Reductions over axes that are not the last: columns have the bits of the same numbers in rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pqi
from cases import BFLOAT16, DTYPES, bits, draw, fortran, read_only, reversed_memory, sample, strided, unaligned

Array = np.ndarray
MEASURES: dict[str, Callable[..., Any]] = {
    "index": pqi.index,
    "norms": lambda x, **rest: np.stack(pqi.norms(x, 0.7, 2, **rest)),
    "gini": pqi.gini,
    "gini within a tolerance": lambda x, **rest: pqi.gini(x, tol=1e-6, **rest),
    "power_means": lambda x, **rest: pqi.power_means(x, [0.3, 1.0], **rest),
    "retained_bound": pqi.retained_bound,
}
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    layout.__name__: layout
    for layout in (np.ascontiguousarray, strided, reversed_memory, fortran, read_only, unaligned)
}


def rows_of(x: Array, axis: int | tuple[int, ...]) -> Array:
    """Return the groups of a reduction as contiguous rows."""
    axes = sorted(a % x.ndim for a in np.atleast_1d(axis).tolist())
    kept = [a for a in range(x.ndim) if a not in axes]
    groups = int(np.prod([x.shape[a] for a in kept]))
    return np.ascontiguousarray(x.transpose(*kept, *axes).reshape(groups, -1))


def check(x: Array, axis: int | tuple[int, ...], live: Array | None = None) -> None:
    """Assert that every measure of the columns has the bits of the rows'."""
    rows = rows_of(x, axis)
    masked: list[tuple[dict[str, Any], dict[str, Any]]] = [({}, {})]
    if live is not None:
        live_rows = rows_of(np.broadcast_to(live, x.shape), axis)
        masked = [({"where": live}, {"where": live_rows})]
    for here, there in masked:
        for measure in MEASURES.values():
            found, expected = measure(x, axis=axis, **here), measure(rows, axis=1, **there)
            assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()
        summary, of_rows = pqi.summary(x, axis=axis, **here), pqi.summary(rows, axis=1, **there)
        for field in ("count", "live", "zeros", "max", "index", "gini", "bound"):
            assert getattr(summary, field).tobytes() == getattr(of_rows, field).tobytes()
        counts = of_rows.live // 3
        mask = pqi.topk_mask(x, counts.reshape(summary.live.shape), axis=axis, **here)
        np.testing.assert_array_equal(rows_of(mask, axis), pqi.topk_mask(rows, counts, axis=1, **there))
        assert mask.view(np.uint8).max(initial=0) <= 1
        thresholds = pqi.topk_threshold(x, counts.reshape(summary.live.shape), axis=axis, **here)
        assert thresholds.tobytes() == pqi.topk_threshold(rows, counts, axis=1, **there).tobytes()


@pytest.mark.parametrize("shape", [(700, 33), (5_001, 18), (65, 700), (1_100, 64)])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_types(dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    check(sample(dtype, shape), 0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    check(LAYOUTS[layout](draw("int4", 1_500 * 31).reshape(1_500, 31)), 0)


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (0, 2), (1, 2), (2, 0)])
def test_axes(axis: int | tuple[int, ...]) -> None:
    x = sample(np.dtype(np.float32), (40, 30, 50))
    check(x, axis)
    check(np.asfortranarray(x), axis)
    check(x.transpose(1, 2, 0), axis)
    check(x[:, ::-1, 3:40], axis)


@pytest.mark.parametrize("dtype", [np.dtype(np.float32), BFLOAT16], ids=str)
def test_masks(dtype: np.dtype[Any]) -> None:
    x, rng = sample(dtype, (900, 45)), np.random.default_rng(3)
    live = rng.random(x.shape) < 0.6
    check(x, 0, live)
    check(x, 0, np.asfortranarray(live))
    check(np.asfortranarray(x), 0, live)
    check(x, 0, rng.random(45) < 0.6)
    check(x, 0, rng.random((900, 1)) < 0.6)


def test_several_slabs_of_columns_larger_than_a_block() -> None:
    """Eight MiB make a slab, 64 MiB where columns are long."""
    check(draw("normal", 2_000 * 2_500).reshape(2_000, 2_500), 0)
    check(draw("lognormal", 300_000 * 20).reshape(300_000, 20), 0)


def test_threads_and_instruction_sets() -> None:
    x, before = draw("normal", 9_000 * 70).reshape(9_000, 70), pqi.info()
    found = set()
    try:
        for isa in before["isas"]:
            for threads in (1, 2, 7):
                pqi.use_isa(isa)
                pqi.set_num_threads(threads)
                found.add(bits(pqi.index(x, axis=0)) + bits(pqi.gini(x, axis=0)) + bits(pqi.topk_mask(x, 99, axis=0)))
    finally:
        pqi.use_isa(before["isa"])
        pqi.set_num_threads(before["num_threads"])
    assert len(found) == 1
