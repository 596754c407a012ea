"""The PQI-bound of Theorem 2: how many entries have to stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pqi import _arrays, _check, _core, _tensors
from pqi._whole import whole

if TYPE_CHECKING:
    from typing import Unpack

    from pqi._arrays import TorchNames


@whole
def retained_bound(
    x: Any,
    p: float = 0.5,
    q: float = 1.0,
    *,
    eta: float = 0.0,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    where: Any = None,
    **torch_names: Unpack[TorchNames],
) -> Any:
    """Least number of entries to keep so that the others hold at most `eta` times the kept ones' p-th powers.

    r ≥ d (1 + η)^(−q/(q−p)) (1 − I_{p,q}(w))^(pq/(q−p)).

    Parameters
    ----------
    x : array_like, any shape
        As in `index`.
    p, q : float
        Exponents, 0 < p < q.
    eta : float
        η ≥ 0: the largest admitted ratio of Σ|w_i|^p over the dropped to that over the kept entries. Larger values give
        lower bounds.
    axis, keepdims, where, **torch_names
        As in `index`.

    Returns
    -------
    float, numpy.float64, numpy.ndarray or torch.Tensor
        float64 in the caller's kind, a real number within [0, d], not rounded; nan where `index` is nan.

    Raises
    ------
    TypeError, ValueError
        As `index`; also if eta is negative or not finite.

    Notes
    -----
    Costs one read, as `index`; on CUDA devices what `power_means` does. It follows from M_p/M_q itself, to about
    1e-14 · (1 + 1/p) relative. Carries no gradient.

    References
    ----------
    Diao et al., ICLR 2023, Theorem 2.

    Examples
    --------
    >>> import pqi
    >>> pqi.retained_bound([3.0, 0.0, 0.0, 1.0], p=1, q=2)
    1.6
    """
    p, q = _check.exponent_pair(p, q)
    eta = _check.eta(eta)
    batch = _arrays.prepare(x, axis, keepdims, where, torch_names)
    return batch.apply(of_arrays, p, q, eta)


def of_arrays(batch: _arrays.Batch, p: float, q: float, eta: float) -> Any:
    """`retained_bound` of checked arguments."""
    return batch.wrap(batch.engine.retained_bound(*batch.core, p, q, eta))


def retained_bound_from_index(index: Any, d: Any, p: float = 0.5, q: float = 1.0, *, eta: float = 0.0) -> Any:
    """Theorem 2's bound from indices that are known already; elementwise.

    Parameters
    ----------
    index : float or array_like of float
        PQ Indices for the exponents `p` and `q`; values outside [0, 1] count as the nearer end.
    d : int or array_like of int
        Vector lengths (live entries), ≥ 0; broadcasts with `index`.
    p, q, eta : float
        As in `retained_bound`.

    Returns
    -------
    float, numpy.float64, numpy.ndarray or torch.Tensor
        float64 in the kind of `index`, within [0, d]; nan where the index is nan.

    Raises
    ------
    ValueError
        If the exponents or eta are out of range, d is negative or NaN (one that lies on a CUDA device is not looked
        at), or the shapes do not broadcast.

    Notes
    -----
    An index is rounded to a multiple of about 1e-16, so where it is near 1 the bound has few digits: for one non-zero
    entry among 10,000 and q = 1 the bound is right to 1e-12 if p = ½, to 4e-5 if p = ¼, and not at all if p = 0.1.
    `retained_bound` has all its digits. Carries no gradient.

    Examples
    --------
    >>> import pqi
    >>> pqi.retained_bound_from_index(0.5, 100, p=1, q=2)
    25.0
    """
    p, q = _check.exponent_pair(p, q)
    eta = _check.eta(eta)
    if _tensors.is_torch(index):
        return _tensors.call_on_numbers(of_numbers, index, d, p, q, eta)
    return of_numbers(index, d, p, q, eta)


def of_numbers(index: Any, d: Any, p: float, q: float, eta: float) -> Any:
    """`retained_bound_from_index` of checked parameters."""
    if _arrays.on_cuda(index):
        from pqi import _device

        return _device.bound_of_tensors(index, d, p, q, eta)
    values, lengths = _check.indices_and_lengths(_arrays.to_numpy("index", index), _arrays.to_numpy("d", d))
    bounds = _core.retained_bound_from_index(
        np.ascontiguousarray(values).reshape(-1), np.ascontiguousarray(lengths).reshape(-1), p, q, eta
    )
    return _arrays.like(index).wrap(bounds.reshape(values.shape))
