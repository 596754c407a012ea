"""Rows are summed and finished 16 at a time: no row's bits depend on its neighbours, its place or where it lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pqi
from cases import BFLOAT16, bits

Array = np.ndarray
WIDTHS = [1, 9, 27, 64, 500, 1024, 4096, 4097, 5000]
DTYPES = [np.dtype(np.float32), np.dtype(np.float16), BFLOAT16, np.dtype(np.float64)]
MEASURES: dict[str, Callable[..., Any]] = {
    "index": pqi.index,
    "index of 1 and 2": lambda x, **rest: pqi.index(x, 1, 2, **rest),
    "index of special and general": lambda x, **rest: pqi.index(x, 0.5, 1.3, **rest),
    "index of general exponents": lambda x, **rest: pqi.index(x, 0.1, 3.0, **rest),
    "index_grid": lambda x, **rest: pqi.index_grid(x, [0.5, 1.0], [1.0, 2.0], **rest),
    "norms": lambda x, **rest: np.stack(pqi.norms(x, 0.5, 2, **rest), axis=-1),
    "power_means": lambda x, **rest: pqi.power_means(x, [0.5, 1.0, 1.0, 4.5], **rest),
    "retained_bound": lambda x, **rest: pqi.retained_bound(x, eta=0.1, **rest),
    "retained_bound of 1 and 2": lambda x, **rest: pqi.retained_bound(x, 1, 2, **rest),
    "gini": pqi.gini,
    "summary": lambda x, **rest: pqi.summary(x, **rest).bound,
}


pytestmark = pytest.mark.usefixtures("restore_settings")


def ordinary(dtype: np.dtype[Any], count: int, width: int) -> Array:
    """Return rows of normal values, each of another magnitude."""
    rng = np.random.default_rng(width)
    limits = (-2, 3) if dtype == np.float16 else (-30, 30)
    scales = 10.0 ** rng.uniform(*limits, (count, 1))
    return (rng.standard_normal((count, width)) * scales).astype(dtype)


def exceptional(dtype: np.dtype[Any], count: int, width: int) -> Array:
    """Return rows half of which are of the kinds that leave the common path, in no order."""
    x = ordinary(dtype, count, width)
    tiny, huge = (6e-8, 6e4) if dtype == np.float16 else (1e-38, 3e38)
    kinds: list[Callable[[Array], None]] = [
        lambda row: row.fill(0),
        lambda row: row.fill(np.nan),
        lambda row: row.fill(np.inf),
        lambda row: row[:1].fill(0),
        lambda row: row[: row.size // 2].fill(0),
        lambda row: row[:1].fill(-np.inf),
        lambda row: row[-1:].fill(np.nan),
        lambda row: row.fill(tiny / 64),  # subnormal
        lambda row: np.copyto(row, np.where(np.arange(row.size) == 0, tiny, huge), casting="unsafe"),
        lambda row: np.copyto(row, np.where(np.arange(row.size) == 0, huge, tiny), casting="unsafe"),
    ]
    rng = np.random.default_rng(1)
    for i, place in enumerate(rng.permutation(count)[: count // 2]):
        kinds[i % len(kinds)](x[place])
    return x


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rows_have_the_bits_of_vectors(dtype: np.dtype[Any], width: int) -> None:
    count = 7 if width > 4096 else 37  # no multiple of a tile
    for make in (ordinary, exceptional):
        x = make(dtype, count, width)
        spaced = np.zeros((count, width + 3), dtype)[:, 1 : width + 1]
        spaced[:] = x
        unaligned = np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(dtype).reshape(x.shape)
        for name, measure in MEASURES.items():
            alone = bits(np.array([measure(row) for row in x]))
            for rows in (x, spaced, unaligned, x[::-1][::-1], np.asfortranarray(x)):
                assert bits(measure(rows, axis=1)) == alone, name
            assert bits(measure(x.reshape(count, 1, width), axis=2)[:, 0]) == alone, name
            assert bits(measure(x[5:], axis=1)) == bits(np.array([measure(row) for row in x[5:]])), name


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", [27, 500])
def test_masked_rows_have_the_bits_of_masked_vectors(dtype: np.dtype[Any], width: int) -> None:
    for make in (ordinary, exceptional):
        x = make(dtype, 37, width)
        live = np.random.default_rng(3).random(x.shape) < 0.6
        live[4] = False
        for name, measure in MEASURES.items():
            alone = np.array([measure(row, where=mask) for row, mask in zip(x, live, strict=True)])
            assert bits(measure(x, axis=1, where=live)) == bits(alone), name


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_instruction_sets_and_threads(dtype: np.dtype[Any]) -> None:
    rows = [make(dtype, 37, width) for make in (ordinary, exceptional) for width in (9, 64, 500, 4096)]
    results = set()
    for isa in pqi.info()["isas"]:
        pqi.use_isa(isa)
        for threads in (1, 3):
            pqi.set_num_threads(threads)
            results.add(b"".join(bits(measure(x, axis=1)) for x in rows for measure in MEASURES.values()))
    assert len(results) == 1


def ordered_sum(x: Array) -> Array:
    """Return the sums of float64 rows in the order that the definition states."""
    count, width = x.shape
    pairs = -(-width // 32)
    padded = np.zeros((count, pairs * 32))
    padded[:, :width] = x
    lanes = np.zeros((count, 16))
    for pair in padded.reshape(count, pairs, 2, 16).swapaxes(0, 1):
        lanes += pair[:, 0] + pair[:, 1]
    for half in (8, 4, 2, 1):
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


@pytest.mark.parametrize("width", WIDTHS[:7])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rows_are_summed_in_the_stated_order(dtype: np.dtype[Any], width: int) -> None:
    x = ordinary(dtype, 37, width)
    wide = np.abs(x.astype(np.float64))
    one, two = pqi.norms(x, 1, 2, axis=1)
    np.testing.assert_array_equal(one, ordered_sum(wide))
    np.testing.assert_array_equal(two, np.sqrt(ordered_sum(wide * wide)))
