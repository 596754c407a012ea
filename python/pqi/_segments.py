"""Stretches of one vector as groups of their own."""

from __future__ import annotations

from typing import Any

from pqi import _check
from pqi._tensors import on_host


class Segments:
    """Consecutive stretches of a vector, each a group; made by `segments`."""

    __slots__ = ("offsets", "values")

    def __init__(self, values: Any, offsets: Any) -> None:
        self.values = values
        self.offsets = _check.offsets(on_host(offsets), values)

    def __repr__(self) -> str:
        return f"segments({self.offsets.size - 1} groups)"


def segments(values: Any, offsets: Any) -> Segments:
    """Treat stretches of a vector as groups, as the rows of a compressed sparse matrix are.

    Group i is ``values[offsets[i]:offsets[i + 1]]``. Every measure gives one result per group, with the same bits as
    that of the stretch alone.

    Parameters
    ----------
    values : array_like, one-dimensional
        As in `index`.
    offsets : array_like of int, shape (n + 1,)
        Where the n groups begin, and where the last one ends: non-decreasing, within [0, len(values)]. Entries before
        the first and after the last offset belong to no group. Copied, from a device too, which is waited for.

    Returns
    -------
    Segments
        Accepted wherever an array is, but for `histogram`; `axis` must then be None, and `keepdims` False. Results have
        shape (n,), a `k` of top-k may too; `where` and top-k masks have the shape of `values`, and a mask is False
        outside all groups. Empty groups give nan.

    Raises
    ------
    TypeError
        If `offsets` are not integers.
    ValueError
        If `values` is not one-dimensional, or `offsets` decrease, leave its range or are none at all.

    Notes
    -----
    Costs 16 bytes a group beyond what the measure needs. Groups of similar size are computed side by side, in the lanes
    of vector registers where they are short; on a CUDA device by the programs for rows, groups that differ by less than
    a factor of two at a time. Of torch tensors they are measured eagerly, which `torch.compile(fullgraph=True)`
    refuses.

    Examples
    --------
    >>> import pqi
    >>> rows = pqi.segments([3.0, 0.0, 0.0, 1.0, 2.0, 2.0], offsets=[0, 4, 4, 6])
    >>> pqi.gini(rows)
    array([0.625,   nan, 0.   ])
    >>> pqi.topk_mask(rows, [1, 0, 1])
    array([ True, False, False, False,  True, False])
    """
    return Segments(values, offsets)
