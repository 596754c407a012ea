"""Sparsity of the groups of a batch: one index per group from one call per batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

import pqi
from pqi.prune.records import GroupStats, IndexAt
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

    The index is clamped to its range [0, 1 − d^(1/q − 1/p)], so that rounding on equal magnitudes cannot push the bound
    beyond d (Theorem 2; d counts the live weights).

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
    live, zeros = _flat(found.live), _flat(found.zeros)
    index = _flat(found.index).double()
    if bool((index.isnan() & (live > zeros)).any()):
        _raise_not_finite(batch.members, weights, masks)
    index = index.clamp(min=0).minimum(1 - live.double() ** (1 / q - 1 / p))
    bound = _flat(pqi.retained_bound_from_index(index, live, p, q, eta=eta))
    columns = (column.tolist() for column in (live, zeros, index, _flat(found.gini), bound))
    return [
        GroupStats(name=name, total=batch.size, live=d, zeros=z, index=i, gini=g, bound=r)
        for name, d, z, i, g, r in zip(batch.names, *columns, strict=True)
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
    grid = pqi.index_grid(batch.operand(weights), p=p, q=q, where=batch.where(masks)).tolist()
    return tuple(IndexAt(p=a, q=b, index=grid[p.index(a)][q.index(b)]) for a, b in pairs)


def require_finite(name: str, values: Tensor, live: Tensor) -> None:
    """Raise ValueError, naming the tensor, if a live value is NaN or infinite."""
    wrong = int((live & ~values.isfinite()).sum())
    if wrong:
        raise ValueError(f"weight {name!r} must be finite, got {wrong} NaN or infinite live values")


def _raise_not_finite(members: Sequence[str], weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
    for name in members:
        require_finite(name, weights[name].detach(), masks[name])


def _flat(result: Any) -> Tensor:
    """Flatten a result of any shape to one entry per group, on the CPU."""
    return torch.as_tensor(result).reshape(-1).cpu()
