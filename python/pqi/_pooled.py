"""Many arrays as one vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pqi import _check


class Pooled:
    """Many arrays that every function takes as one vector; made by `pooled`."""

    __slots__ = ("arrays",)

    def __init__(self, arrays: Iterable[Any]) -> None:
        self.arrays: list[Any] = _check.pooled_arrays(arrays)

    def __repr__(self) -> str:
        return f"pooled({len(self.arrays)} arrays)"


def pooled(arrays: Iterable[Any]) -> Pooled:
    """Treat many arrays as one vector, without concatenating them.

    The vector is the arrays' elements in C order, one array after the other. Every measure of the result has the same
    bits as that of the concatenation, and top-k masks come back as a list, one per array.

    Parameters
    ----------
    arrays : iterable of array_like
        Any number of arrays, none included; shapes and libraries may differ. Element types may differ too: values are
        then compared and summed as float32 where that holds all of them exactly, else as float64 (integers only: as
        unsigned magnitudes).

    Returns
    -------
    Pooled
        Accepted wherever an array is; `axis` must then be None, and `where` a sequence of masks, one per array.

    Raises
    ------
    TypeError
        If `arrays` is not an iterable.

    Notes
    -----
    Costs O(1) memory; the arrays are read in place.

    Examples
    --------
    >>> import pqi
    >>> layers = [[3.0, 0.0], [[0.0, 1.0]]]
    >>> pqi.index(pqi.pooled(layers)) == pqi.index([3.0, 0.0, 0.0, 1.0])
    True
    """
    return Pooled(arrays)
