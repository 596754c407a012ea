"""Sparsity of the groups of a batch: one index per group from one call per batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

import pqi
from pqi.prune.records import GroupStats, IndexAt, IndexGrid
from pqi.prune.scope import Batch


def measure(
    batch: Batch,
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    *,
    p: float = 0.5,
    q: float = 1.0,
    eta: float = 0.0,
) -> list[GroupStats]:
    """Statistics of the live weights of each group of `batch`.

    Index and bound come from the array layer, which clamps them to their ranges [0, 1 − d^(1/q − 1/p)] and [0, d]: on
    equal magnitudes rounding cannot ask for a negative count. d counts the live weights.

    Parameters
    ----------
    batch : Batch
    weights, masks : mapping of str to torch.Tensor
        By name; the masks are boolean, True = live.
    p, q, eta : float
        Exponents, 0 < p < q, and the bound's η ≥ 0.

    Returns
    -------
    list of GroupStats
        In the order of ``batch.names``; index, gini and bound are nan where no live weight is non-zero.

    Raises
    ------
    ValueError
        If a live weight is NaN or infinite; the message names the tensor.
    """
    found = pqi.summary(batch.operand(weights), p, q, eta=eta, axis=batch.axis, where=batch.where(masks))
    live, zeros, *numbers = _fetched(found.live, found.zeros, found.index, found.gini, found.bound)
    if any(map(math.isnan, numbers[0])):
        for name in batch.members:
            require_finite(name, weights[name].detach(), masks[name])
    return [
        GroupStats(name=name, total=batch.size, live=int(d), zeros=int(z), index=i, gini=g, bound=r)
        for name, d, z, i, g, r in zip(batch.names, live, zeros, *numbers, strict=True)
    ]


def index_pairs(
    batch: Batch,
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    pairs: Sequence[tuple[float, float]],
) -> tuple[IndexAt, ...]:
    """Index of a batch of one group at each (p, q) of `pairs`, from one read of the weights."""
    if not pairs:
        return ()
    p, q = sorted({pair[0] for pair in pairs}), sorted({pair[1] for pair in pairs})
    grid = index_grid(batch, weights, masks, p, q).index
    return tuple(IndexAt(p=a, q=b, index=grid[p.index(a)][q.index(b)]) for a, b in pairs)


def index_grid(
    batch: Batch,
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    p: Sequence[float],
    q: Sequence[float],
) -> IndexGrid:
    """Index of a batch of one group at every pair of `p` and `q`, from one read of the weights."""
    rows = pqi.index_grid(batch.operand(weights), p=p, q=q, where=batch.where(masks)).tolist()
    return IndexGrid(p=tuple(p), q=tuple(q), index=tuple(map(tuple, rows)))


def require_finite(name: str, values: Tensor, live: Tensor) -> None:
    """Raise ValueError, naming the tensor, if a live value is NaN or infinite."""
    wrong = int((live & ~values.isfinite()).sum())
    if wrong:
        raise ValueError(f"weight {name!r} must be finite, got {wrong} NaN or infinite live values")


def _fetched(*columns: Tensor) -> list[list[float]]:
    """Results as lists, from one wait for a device; float64 holds every count of entries below 2^53."""
    listed: list[list[float]] = torch.stack([column.reshape(-1).double() for column in columns]).tolist()
    return listed
