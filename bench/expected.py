"""What the measures are, from numpy in float64 and a part of the values at a time, to hold every contender to.

Everything takes a matrix, a group a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from data import Array, magnitudes

PART = 1 << 22  # values that are widened at once


def blocks(groups: Array) -> Iterator[tuple[int, Array]]:
    """Yield the first group of a block with the block's magnitudes in float64: whole groups, or parts of one."""
    count, d = groups.shape
    height, width = max(1, PART // d), min(PART, d)
    for first in range(0, count, height):
        for start in range(0, d, width):
            block = groups[first : first + height, start : start + width]
            yield first, magnitudes(block).astype(np.float64)


def largest(groups: Array) -> float:
    """Return the largest magnitude of all."""
    return max(float(block.max()) for _, block in blocks(groups))


def power_means(groups: Array, exponents: Sequence[float], scale: float = 1.0) -> Array:
    """Return M_r / scale by group and exponent."""
    sums = np.zeros((len(groups), len(exponents)))
    for first, block in blocks(groups):
        x = block / scale
        for e, r in enumerate(exponents):
            sums[first : first + len(x), e] += (np.sqrt(x) if r == 0.5 else x**r).sum(axis=-1)
    means: Array = (sums / groups.shape[1]) ** (1 / np.array(exponents))
    return means


def index(groups: Array, p: float, q: float) -> Array:
    """Return 1 − M_p / M_q by group."""
    means = power_means(groups, [p, q], largest(groups))
    return 1 - means[:, 0] / means[:, 1]


def gini(groups: Array) -> Array:
    """Return Σ (2k − d − 1) w_(k) / (d Σ w) by group."""
    count, d = groups.shape
    height = max(1, PART // d)
    found = []
    for first in range(0, count, height):
        ordered = np.sort(magnitudes(groups[first : first + height]), axis=-1)
        ranked, total = np.zeros(len(ordered)), np.zeros(len(ordered))
        for start in range(0, d, PART):
            block = ordered[:, start : start + PART].astype(np.float64)
            ranked += block @ np.arange(2 * start + 1 - d, 2 * (start + block.shape[1]) - d, 2, dtype=np.float64)
            total += block.sum(axis=-1)
        found.append(ranked / (d * total))
    return np.concatenate(found)


def assert_close(_groups: Array, values: Array, result: Any, tolerance: float) -> None:
    """Compare one value a group, as a job's check."""
    np.testing.assert_allclose(np.ravel(result), values, rtol=0, atol=tolerance)


class Ties(IntEnum):
    """Which of the entries equal to the smallest kept one a mask keeps; the tolerance of top-k contenders."""

    FIRST = 0  # by position
    ANY = 1
    ALL = 2  # more than k, if there are more


def assert_top(groups: Array, mask: Array, k: int, ties: Ties) -> None:
    """Assert that nothing dropped is larger than what is kept, how many are kept, and which of the ties."""
    height = max(1, 16 * PART // groups.shape[1])
    for first in range(0, len(groups), height):
        x, kept = magnitudes(groups[first : first + height]), mask[first : first + height]
        threshold = x.min(axis=-1, where=kept, initial=np.inf)[:, None]
        assert np.all(x.max(axis=-1, where=~kept, initial=0)[:, None] <= threshold)
        count, tied = np.count_nonzero(kept, axis=-1), x == threshold
        if ties is Ties.ALL:
            assert np.all(kept | ~tied)
            assert np.all((count - np.count_nonzero(tied, axis=-1) < max(k, 1)) & (count >= k))
        else:
            assert np.all(count == k)
        if ties is Ties.FIRST:
            dropped = tied & ~kept
            tied &= kept
            last_kept = x.shape[1] - 1 - tied[:, ::-1].argmax(axis=-1)
            assert np.all(~dropped.any(axis=-1) | (last_kept < dropped.argmax(axis=-1)))
