"""Magnitude top-k: exact masks and thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pqi import _arrays, _check, _core, _tensors
from pqi._pooled import Pooled
from pqi._whole import whole

if TYPE_CHECKING:
    from typing import Unpack

    from pqi._arrays import TorchNames


@whole
def topk_mask(
    x: Any,
    k: Any,
    *,
    axis: int | tuple[int, ...] | None = None,
    where: Any = None,
    out: Any = None,
    **torch_names: Unpack[TorchNames],
) -> Any:
    """Mask of exactly the k largest magnitudes of each group.

    Parameters
    ----------
    x : array_like, any shape
        As in `index`.
    k : int or array_like of int
        How many entries to keep, 0 ≤ k ≤ live entries (on CUDA devices a count beyond the live entries of `where`, and
        any that lies on the device itself, is clamped to them instead of refused); an array has one count per group, in
        the shape that a reduction over `axis` has.
    axis, where, **torch_names
        As in `index` (``dim`` only). Entries that are not live are never selected.
    out : numpy.ndarray or torch.Tensor of bool with the shape of `x`, or a sequence of them for pooled arrays
        Where to put the mask: any strides, in memory apart from that of `x` and `where`. A new one by default.

    Returns
    -------
    numpy.ndarray or torch.Tensor, or a list of them
        bool with the shape of `x`, exactly k True in each group; for `pooled` arrays a list with one mask per array.
        `out` itself if it is given.

    Raises
    ------
    TypeError
        As `index`; also if `k` is not an integer, or `out` not of bool.
    ValueError
        As `index`; also if a count is negative or exceeds the group's live entries, or if `out` has another shape, is
        read-only, or overlaps with `x`, `where` or itself.

    Notes
    -----
    Among equal magnitudes the lowest flat index is kept, as a stable sort would. NaN counts as the largest magnitude,
    above infinity; −0 and 0 are equal. Costs about one read of `x` and one write of the mask; discrete data a second
    look at the mask. Extra memory: the entries near the threshold, a few per cent of `x`; a mask of 1 MiB or more lies
    in the workspace, which takes its memory back when the mask and all views of it are gone; it cannot be resized in
    place. On CUDA devices `x` is read at least twice, and groups beyond 1024 entries take room for an eighth of their
    entries, each with its key (4 bytes for four-byte types, 8 for eight-byte ones, else 2) and 8 bytes of place, many
    groups in batches of up to 1 GiB.

    Carries no gradient. With `out` no registered operator is called: torch tensors are masked eagerly, and
    ``torch.compile`` does not trace the call (``fullgraph=True`` refuses it).

    Examples
    --------
    >>> import pqi
    >>> pqi.topk_mask([1.0, -3.0, 2.0, 2.0], 2)
    array([False,  True,  True, False])
    >>> pqi.topk_mask([[5.0, 1.0], [2.0, 3.0]], [0, 1], axis=1)
    array([[False, False],
           [False,  True]])
    """
    if out is not None:
        given = _arrays.prepare_views(x, axis, False, where, torch_names)
        _, views = _arrays.given_masks(given, out, pooled=isinstance(x, Pooled))
        given.engine.topk_mask(*given.core, *_counts(given, k), views)
        return out
    batch = _arrays.prepare(x, axis, False, where, torch_names)
    masks = batch.apply(of_largest, batch.count(k))
    return masks if isinstance(x, Pooled) else masks[0]


@whole
def topk_threshold(
    x: Any,
    k: Any,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    where: Any = None,
    **torch_names: Unpack[TorchNames],
) -> Any:
    """The k-th largest magnitude of each group.

    Parameters
    ----------
    x, k
        As in `topk_mask`.
    axis, keepdims, where, **torch_names
        As in `index`.

    Returns
    -------
    float, numpy.float64, numpy.ndarray or torch.Tensor
        float64 in the caller's kind; nan where k is 0, and where fewer than k magnitudes are numbers (NaN counts as the
        largest).

    Raises
    ------
    TypeError, ValueError
        As `topk_mask`.

    Notes
    -----
    Costs about one read, on CUDA devices what `topk_mask` costs. A mask made by comparing with the threshold keeps all
    ties; `topk_mask` keeps exactly k. Carries no gradient.

    Examples
    --------
    >>> import pqi
    >>> pqi.topk_threshold([1.0, -3.0, 2.0, 2.0], 3)
    2.0
    """
    batch = _arrays.prepare(x, axis, keepdims, where, torch_names)
    return batch.apply(of_last, batch.count(k))


def of_largest(batch: _arrays.Batch, k: Any) -> list[Any]:
    """`topk_mask` of checked arrays: one mask for each."""
    counts, live = _counts(batch, k)
    masks, views = _arrays.empty_masks(batch)
    batch.engine.topk_mask(*batch.core, counts, live, views)
    return _arrays.finish_masks(batch, masks)


def of_last(batch: _arrays.Batch, k: Any) -> Any:
    """`topk_threshold` of checked arrays."""
    return batch.wrap(batch.engine.topk_threshold(*batch.core, *_counts(batch, k)))


def _counts(batch: _arrays.Batch, k: Any) -> tuple[Any, np.ndarray[Any, Any] | None]:
    """How many to select of how many live entries, for each group; a mask is counted here and nowhere else."""
    if batch.engine is not _core:
        return batch.engine.counts(k, batch), None
    given = _arrays.to_numpy("k", k) if _tensors.is_torch(k) else k
    live = _core.count_live(*batch.core) if batch.masks else None
    return _check.counts(given, batch.sizes() if live is None else live, batch.group_shape), live
