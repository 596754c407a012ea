"""`topk_mask(out=)`: masks written into arrays of the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pqi
from cases import draw, to_torch

Array = np.ndarray
X = draw("int4", 60 * 50).reshape(60, 50)

OUTPUTS: dict[str, Callable[[tuple[int, ...]], Array]] = {
    "contiguous": lambda shape: np.ones(shape, dtype=np.bool_),
    "column-major": lambda shape: np.ones(shape, dtype=np.bool_, order="F"),
    "every third": lambda shape: np.ones((*shape[:-1], 3 * shape[-1]), dtype=np.bool_)[..., 1::3],
    "backwards": lambda shape: np.ones(shape, dtype=np.bool_)[::-1],
    "bytes of another kind": lambda shape: np.full(shape, 7, dtype=np.uint8).view(np.bool_),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_the_mask_is_that_of_a_fresh_one(output: str, axis: int | None, dtype: type[Any]) -> None:
    x, live = X.astype(dtype), np.random.default_rng(0).random(X.shape) < 0.8
    for k in (0, 1, 7, 20):
        for where in (None, live):
            out = OUTPUTS[output](x.shape)
            assert pqi.topk_mask(x, k, axis=axis, where=where, out=out) is out
            np.testing.assert_array_equal(out, pqi.topk_mask(x, k, axis=axis, where=where))
            assert np.ascontiguousarray(out).view(np.uint8).max() <= 1


@pytest.mark.parametrize("output", OUTPUTS)
def test_large_groups(output: str) -> None:
    x = draw("normal", 300_000)
    out = OUTPUTS[output](x.shape)
    for k in (0, 3, 100_000, 300_000):
        assert pqi.topk_mask(x, k, out=out) is out
        np.testing.assert_array_equal(out, pqi.topk_mask(x, k))


def test_what_lies_between_is_left_alone() -> None:
    parent = np.ones((60, 150), dtype=np.bool_)
    pqi.topk_mask(X, 0, out=parent[:, 1::3])
    assert parent.sum() == 60 * 100
    assert not parent[:, 1::3].any()


def test_pools_and_segments() -> None:
    parts = [X[:7].ravel(), X[7:9], X[9:]]
    out = [np.ones(part.shape, dtype=np.bool_) for part in parts]
    assert pqi.topk_mask(pqi.pooled(parts), 500, out=out) is out
    for found, expected in zip(out, pqi.topk_mask(pqi.pooled(parts), 500), strict=True):
        np.testing.assert_array_equal(found, expected)
    groups = pqi.segments(X.ravel(), [3, 60, 60, 2_000])
    flat = np.ones(X.size, dtype=np.bool_)
    assert pqi.topk_mask(groups, [5, 0, 70], out=flat) is flat
    np.testing.assert_array_equal(flat, pqi.topk_mask(groups, [5, 0, 70]))


def test_parts_of_one_buffer_are_apart() -> None:
    buffer = np.zeros(100, dtype=np.float32).view(np.uint8)
    x, out = buffer[:320].view(np.float32), buffer[320:].view(np.bool_)
    x[:] = draw("normal", 80)
    np.testing.assert_array_equal(pqi.topk_mask(x, 9, out=out), pqi.topk_mask(x.copy(), 9))


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    x = to_torch(X)
    for out in (torch.ones(60, 50, dtype=torch.bool), torch.ones(50, 60, dtype=torch.bool).T):
        assert pqi.topk_mask(x, 5, dim=1, out=out) is out
        np.testing.assert_array_equal(out.numpy(), pqi.topk_mask(X, 5, axis=1))
    with pytest.raises(TypeError, match="out must be a numpy array or torch tensor of bool, got dtype torch.uint8"):
        pqi.topk_mask(x, 5, out=torch.ones(60, 50, dtype=torch.uint8))
    with pytest.raises(ValueError, match="out must have a place in memory for each entry"):
        pqi.topk_mask(x, 5, out=torch.ones(1, 50, dtype=torch.bool).expand(60, 50))


def read_only(out: Array) -> Array:
    """Return the array, which can't be written any more."""
    out.flags.writeable = False
    return out


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "shape": (np.ones((50, 60), dtype=np.bool_), ValueError, r"out must have x's shape \(60, 50\), got \(50, 60\)"),
    "dtype": (np.ones(X.shape, dtype=np.uint8), TypeError, "out must be .* of bool, got dtype uint8"),
    "a list": ([[True] * 50] * 60, TypeError, "out must be a numpy array or torch tensor of bool, got list"),
    "masked": (np.ma.ones(X.shape, dtype=np.bool_), TypeError, "out must be a numpy array or torch tensor of bool"),
    "read-only": (read_only(np.ones(X.shape, dtype=np.bool_)), ValueError, "out must be writable"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_outputs(name: str) -> None:
    out, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        pqi.topk_mask(X, 5, out=out)


def test_overlaps() -> None:
    x, live = X != 0, np.ones(X.shape, dtype=np.bool_)
    for given, name in (({"out": x}, "x"), ({"out": live, "where": live}, "where")):
        with pytest.raises(ValueError, match=f"out must lie apart from {name} in memory, got overlapping ranges"):
            pqi.topk_mask(x, 5, **given)
    shared = np.ones((60, 51), dtype=np.bool_)
    with pytest.raises(ValueError, match="out must lie apart from x"):
        pqi.topk_mask(shared[:, 1:], 5, out=shared[:, :-1])
    twice = np.ones(60, dtype=np.bool_)
    with pytest.raises(ValueError, match=r"out\[\d\] must lie apart from out\[\d\]"):
        pqi.topk_mask(pqi.pooled([X[0], X[1]]), 5, out=[twice[:50], twice[10:]])
    with pytest.raises(ValueError, match="out must have a place in memory for each entry"):
        pqi.topk_mask(np.ones(9), 5, out=np.lib.stride_tricks.as_strided(twice, (9,), (0,)))
    assert live.all()
    assert shared.all()


def test_wrong_lists() -> None:
    pool, mask = pqi.pooled([X, X[0]]), np.ones(X.shape, dtype=np.bool_)
    with pytest.raises(TypeError, match="out must be a sequence of masks, one per pooled array, got ndarray"):
        pqi.topk_mask(pool, 5, out=mask)
    with pytest.raises(ValueError, match=r"out must hold one mask per pooled array \(2\), got 1"):
        pqi.topk_mask(pool, 5, out=[mask])
    with pytest.raises(ValueError, match=r"out\[1\] must have x's shape \(50,\), got \(60, 50\)"):
        pqi.topk_mask(pool, 5, out=[mask, mask])


def test_nothing_is_written_when_a_count_is_wrong() -> None:
    out = np.ones(X.shape, dtype=np.bool_)
    with pytest.raises(ValueError, match="k must satisfy"):
        pqi.topk_mask(X, X.size + 1, out=out)
    assert out.all()
