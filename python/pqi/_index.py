"""The PQ Index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pqi import _arrays, _check
from pqi._whole import whole

if TYPE_CHECKING:
    from typing import Unpack

    from pqi._arrays import TorchNames


@whole
def index(
    x: Any,
    p: float = 0.5,
    q: float = 1.0,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    where: Any = None,
    **torch_names: Unpack[TorchNames],
) -> Any:
    """PQ Index: how far the magnitudes are from equal, from 0 (all equal) towards 1 (one non-zero entry).

    I_{p,q}(w) = 1 − d^(1/q − 1/p) ‖w‖_p / ‖w‖_q = 1 − M_p / M_q, with the power means M_r = ((1/d) Σ|w_i|^r)^(1/r).

    Parameters
    ----------
    x : array_like, any shape
        numpy array (ml_dtypes included), torch tensor, anything with ``__dlpack__`` or the buffer protocol, or a
        sequence of numbers, or `pooled` arrays; torch tensors and CuPy arrays on CUDA devices too, where the CUDA
        module is built (`info`): results are then on their device, and nothing waits for them. float64/32/16, bfloat16,
        float8 e4m3fn/e5m2, integers and bool. Never copied, whatever its strides, unless its bytes are in foreign
        order.
    p, q : float
        Exponents, 0 < p < q.
    axis : int or tuple of int, optional
        Dimensions that make one vector; all of them by default. Any others stay, as in numpy's reductions.
    keepdims : bool
        Keep the reduced dimensions with length 1.
    where : array_like of bool, optional
        The live entries; broadcasts to `x`. The others do not exist: they count neither in the sums nor in d.
    **torch_names
        ``dim`` and ``keepdim``, torch's names for `axis` and `keepdims`, for torch tensors.

    Returns
    -------
    float, numpy.float64, numpy.ndarray or torch.Tensor
        float64 in the caller's kind, within [0, 1 − d^(1/q − 1/p)]. nan for a group that is empty, all zero, or holds
        an infinity or NaN.

    Raises
    ------
    TypeError
        If `x` holds no real numbers, or `where` is not bool.
    ValueError
        If 0 < p < q fails, an axis is out of bounds, or `where` does not broadcast to `x`.

    Notes
    -----
    Costs one read of `x` (and one of `where`), no copy; on CUDA devices as many reads as `power_means`, and one more of
    `where`. Powers are accumulated in float64 with a scale of their own, so nothing overflows or vanishes. The bits of
    the result do not depend on the instruction set, the number of threads, the memory layout or the split into pooled
    pieces, nor on a scaling of `x` by a power of two (by a power of four where `power_means` counts and p or q is ½).
    Negating or permuting entries changes the index by rounding at most.

    For torch tensors that require it the index carries a gradient, so that it can be a penalty or a reward in training:
    ∂I/∂w_i = −(1 − I) sign(w_i) (|w_i|^(p−1) / Σ|w|^p − |w_i|^(q−1) / Σ|w|^q), computed in float64 and handed back in
    the type of `x`. It is 0 for entries that are zero or not live (also for p < 1, where it grows without bound near
    zero; beyond the type's range it is the largest number), and nan for the other entries of a group with an infinity
    or NaN. Backward costs one read and about fifteen elementwise passes, with four float64 temporaries of the size of
    `x`; compiled by torch they become one loop.

    Torch tensors, alone or pooled, go through registered operators (``torch.ops.pqi``), which ``torch.compile`` traces.
    Calls on `segments`, with ``tol`` or ``out``, and `histogram`, `gini_sketch` and `PowerSums` run eagerly: they are
    not traced, and ``fullgraph=True`` refuses them.

    Of the six properties of Hurley and Rickard (2009), Scaling, Rising Tide, Cloning, Bill Gates and Babies hold for
    every 0 < p < q; Robin Hood holds exactly when p ≤ 1 ≤ q.

    References
    ----------
    Diao et al., *Pruning Deep Neural Networks from a Sparsity Perspective*, ICLR 2023, Definition 1.

    Examples
    --------
    >>> import pqi
    >>> pqi.index([1.0, 1.0, -1.0])
    0.0
    >>> pqi.index([3.0, 0, 0, 1], p=1, q=2)
    0.3675444679663241
    >>> pqi.index([[5.0, 0.0], [2.0, 2.0]], axis=1)
    array([0.5, 0. ])
    """
    p, q = _check.exponent_pair(p, q)
    batch = _arrays.prepare(x, axis, keepdims, where, torch_names)
    return batch.apply(of_pair, p, q)


def index_grid(
    x: Any,
    p: Sequence[float],
    q: Sequence[float],
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    where: Any = None,
    **torch_names: Unpack[TorchNames],
) -> Any:
    """PQ Index for every pair of exponents, from one read.

    Entry [..., i, j] is I_{p_i, q_j}; see `index` for the formula and the shared parameters.

    Parameters
    ----------
    x : array_like, any shape
        As in `index`.
    p, q : sequence of float
        Positive exponents, in any order.
    axis, keepdims, where, **torch_names
        As in `index`.

    Returns
    -------
    numpy.ndarray or torch.Tensor
        float64 of shape (..., len(p), len(q)); nan where p_i ≥ q_j and where `index` is nan.

    Raises
    ------
    TypeError, ValueError
        As `index`; also for an empty sequence of exponents.

    Notes
    -----
    Costs one read, one logarithm an element and one exponential an element and distinct exponent; on CUDA devices the
    reads and the memory of `power_means`. Carries no gradient.

    Examples
    --------
    >>> import pqi
    >>> pqi.index_grid([3.0, 0, 0, 1], p=[0.5, 1], q=[1, 2]).round(3)
    array([[0.533, 0.705],
           [  nan, 0.368]])
    """
    rows, columns = _check.exponents("p", p), _check.exponents("q", q)
    batch = _arrays.prepare(x, axis, keepdims, where, torch_names)
    return batch.apply(of_grid, rows, columns)


def of_pair(batch: _arrays.Batch, p: float, q: float) -> Any:
    """`index` of checked arguments."""
    return batch.wrap(batch.engine.index(*batch.core, p, q))


def of_grid(batch: _arrays.Batch, p: Sequence[float], q: Sequence[float]) -> Any:
    """`index_grid` of checked arguments."""
    return batch.wrap(batch.engine.index_grid(*batch.core, p, q), (len(p), len(q)))
