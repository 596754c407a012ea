"""Segments, masks to be written, histograms and sketches of arrays on a device, without one (see fake_device.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pqi
from cases import draw, fortran, sample, strided
from test_segments import MEASURES, ragged

torch = pytest.importorskip("torch")
from fake_device import Cuda, Stand, host, same  # noqa: E402 - there is no device without torch

LARGE = (1 << 18) + 1001  # the least groups that are sketched have 2^18 entries
N, OFFSETS = ragged([0, 1, 2, 30, 30, 70, 400])
X = draw("normal", N)
LIVE = np.random.default_rng(1).random(N) < 0.7
FIELDS = pqi.summary([1.0]).__slots__

Make = Callable[[Any], Any]
# How arrays of a library are made, and what their results hold.
LIBRARIES: dict[str, tuple[Make, Make]] = {"torch": (torch.from_numpy, lambda x: x), "cupy": (Stand, host)}


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, cupy: Cuda) -> tuple[Make, Make]:
    """Return how to make an array, and how to read one."""
    return LIBRARIES[request.param]


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "norms"])
def test_segments(name: str, library: tuple[Make, Make]) -> None:
    make, read = library
    measure = MEASURES[name]
    same(read(measure(pqi.segments(make(X), OFFSETS))), measure(pqi.segments(X, OFFSETS)))
    found = measure(pqi.segments(make(X), OFFSETS), where=make(LIVE))
    same(read(found), measure(pqi.segments(X, OFFSETS), where=LIVE))


def test_pairs_and_summaries_of_segments(library: tuple[Make, Make], cuda: Cuda) -> None:
    make, read = library
    same(read(pqi.norms(pqi.segments(make(X), OFFSETS), 0.5, 2)), list(pqi.norms(pqi.segments(X, OFFSETS), 0.5, 2)))
    found, expected = pqi.summary(pqi.segments(make(X), OFFSETS)), pqi.summary(pqi.segments(X, OFFSETS))
    for field in FIELDS:
        same(read(getattr(found, field)), getattr(expected, field))
    assert cuda.waits == 0


def test_selections_of_segments(library: tuple[Make, Make]) -> None:
    make, read = library
    sizes = np.diff(OFFSETS)
    k = sizes // 2
    groups, expected = pqi.segments(make(X), OFFSETS), pqi.segments(X, OFFSETS)
    for given in (k, make(k), k.tolist()):
        same(read(pqi.topk_mask(groups, given)), pqi.topk_mask(expected, k))
        same(read(pqi.topk_threshold(groups, given)), pqi.topk_threshold(expected, k))
    same(read(pqi.topk_mask(groups, make(sizes + 9))), pqi.topk_mask(expected, sizes))  # clamped on the device
    same(read(pqi.topk_mask(groups, make(-sizes))), pqi.topk_mask(expected, 0))
    live = pqi.summary(expected, where=LIVE).live
    same(read(pqi.topk_mask(groups, make(sizes), where=make(LIVE))), pqi.topk_mask(expected, live, where=LIVE))
    with pytest.raises(ValueError, match="k must satisfy 0 <= k <= 0 .*in group"):
        pqi.topk_mask(groups, 1)
    with pytest.raises(ValueError, match="axis must be None and keepdims False for segments"):
        pqi.index(groups, axis=0)


def test_offsets_on_the_device_are_fetched(library: tuple[Make, Make]) -> None:
    make, read = library
    same(read(pqi.gini(pqi.segments(make(X), make(OFFSETS)))), pqi.gini(pqi.segments(X, OFFSETS)))
    with pytest.raises(ValueError, match="offsets must not decrease"):
        pqi.segments(make(X), make(OFFSETS[::-1].copy()))


@pytest.mark.parametrize("layout", [np.array, strided, fortran])
def test_masks_to_write(layout: Any, library: tuple[Make, Make]) -> None:
    make, _ = library
    x = X[:500].reshape(20, 25)
    for axis, k in ((None, 77), (1, 3), (0, np.arange(25) % 20)):
        out = layout(np.ones(x.shape, np.bool_))
        given = make(out)
        assert pqi.topk_mask(make(x), k, axis=axis, out=given) is given
        np.testing.assert_array_equal(out, pqi.topk_mask(x, k, axis=axis))
    flat = np.ones(N, np.bool_)
    pqi.topk_mask(pqi.segments(make(X), OFFSETS), 0, out=make(flat))
    assert not flat.any()
    parts = [np.ones(X[:9].shape, np.bool_), np.ones(X[9:].shape, np.bool_)]
    pqi.topk_mask(pqi.pooled([make(X[:9]), make(X[9:])]), 40, out=[make(part) for part in parts])
    np.testing.assert_array_equal(np.concatenate(parts), pqi.topk_mask(X, 40))


def test_masks_that_cannot_be_written(library: tuple[Make, Make]) -> None:
    make, _ = library
    x = make(X)
    pqi.topk_mask(x, 3)
    for out, error, message in (
        (np.ones(N, np.bool_), TypeError, "out must be a .* as x is, of bool, got ndarray"),
        (make(np.ones(N, np.uint8)), TypeError, "out must be .* of bool, got .*uint8"),
        (make(np.ones(N + 1, np.bool_)), ValueError, "out must have x's shape"),
        ([1, 2], TypeError, "out must be .* of bool, got list"),
    ):
        with pytest.raises(error, match=message):
            pqi.topk_mask(x, 3, out=out)
    flags = np.ones(N, np.bool_)
    with pytest.raises(ValueError, match="out must lie apart from where in memory"):
        pqi.topk_mask(x, 3, where=make(flags), out=make(flags))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_intervals(dtype: str, library: tuple[Make, Make], cuda: Cuda) -> None:
    make, read = library
    x = (draw("normal", LARGE) * np.float32(1e6)).astype(dtype)
    for unbiased in (False, True):
        cuda.waits = 0
        same(
            list(map(read, pqi.gini(make(x), tol=1e-6, unbiased=unbiased))),
            list(pqi.gini(x, tol=1e-6, unbiased=unbiased)),
        )
        assert cuda.waits == 1
    cuda.waits = 0
    same(list(map(read, pqi.gini(make(x), tol=1e-12))), list(pqi.gini(x, tol=1e-12)))
    assert cuda.waits == 0


def test_intervals_that_need_more(library: tuple[Make, Make], cuda: Cuda) -> None:
    """More bits for smooth data within one power of two, the exact value for discrete data, each for its row alone."""
    make, read = library
    rng = np.random.default_rng(0)
    x = np.stack([draw("normal", LARGE), rng.uniform(1, 1.5, LARGE).astype(np.float32), draw("int4", LARGE)])
    expected = pqi.gini(x, tol=1e-6, axis=1)
    same(list(map(read, pqi.gini(make(x), tol=1e-6, axis=1))), list(expected))
    assert (expected.high - expected.low < 1e-6).all()
    assert cuda.waits == 2
    assert [name for name, _ in cuda.calls].count("gini_intervals") == 3
    flat, offsets = x.ravel(), [5, 10, LARGE, 3 * LARGE]
    same(
        list(map(read, pqi.gini(pqi.segments(make(flat), offsets), tol=1e-6))),
        list(pqi.gini(pqi.segments(flat, offsets), tol=1e-6)),
    )


@pytest.mark.parametrize("dtype", ["f4", "f8", "u4", "f2", "i1"])
def test_sketches(dtype: str, library: tuple[Make, Make]) -> None:
    make, _ = library
    x = sample(np.dtype(dtype), 5000)
    if dtype == "u4":
        make = Stand  # torch has few operations for it
    for tol in (1e-6, 1e-8):
        sketch = pqi.gini_sketch(make(x), tol=tol)
        assert sketch == pqi.gini_sketch(x, tol=tol)
        assert sketch + pqi.gini_sketch(x[:7], tol=tol) == pqi.gini_sketch(np.concatenate([x, x[:7]]), tol=tol)
    live = x != 0
    pool = pqi.pooled([make(x), make(x[:9])])
    found = pqi.gini_sketch(pool, where=[make(live), make(live[:9])])
    assert found == pqi.gini_sketch(pqi.pooled([x, x[:9]]), where=[live, live[:9]])
    assert pqi.gini_sketch(make(x[:0])) == pqi.gini_sketch(x[:0])


@pytest.mark.parametrize("dtype", ["f2", "i1", "i2"])
def test_histograms(dtype: str, library: tuple[Make, Make], cuda: Cuda) -> None:
    make, _ = library
    x = sample(np.dtype(dtype), 5000)
    found = pqi.histogram(make(x), where=make(x != 0))
    assert found == pqi.histogram(x, where=x != 0)
    assert cuda.waits == 1
    assert found + pqi.histogram(x) == pqi.histogram(np.concatenate([x[x != 0], x]))
    with pytest.raises(TypeError, match="one- or two-byte type"):
        pqi.histogram(make(X))


def test_power_sums_say_what_to_do(library: tuple[Make, Make]) -> None:
    make, _ = library
    pqi.index(make(X))
    with pytest.raises(TypeError, match=r"chunk must lie on the CPU .*pass chunk.cpu\(\), or .*pooled"):
        pqi.PowerSums([0.5]).update(make(X))


def test_libraries_are_not_mixed(cupy: Cuda) -> None:
    pqi.index(Stand(X))
    for arrays, name in (
        ([torch.from_numpy(X), X], 1),
        ([Stand(X), torch.from_numpy(X)], 1),
        ([torch.from_numpy(X), Stand(X)], 1),
    ):
        with pytest.raises(TypeError, match=rf"arrays\[{name}\] must be a torch tensor or a CuPy array"):
            pqi.index(pqi.pooled(arrays))
