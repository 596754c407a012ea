"""p-norms and power means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pqi import _arrays, _check
from pqi._whole import whole

if TYPE_CHECKING:
    from typing import Unpack

    from pqi._arrays import TorchNames


@whole
def norms(
    x: Any,
    p: float = 0.5,
    q: float = 1.0,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    where: Any = None,
    **torch_names: Unpack[TorchNames],
) -> tuple[Any, Any]:
    """Two p-norms from one read: ‖x‖_r = (Σ|x_i|^r)^(1/r) for r = p and r = q.

    Parameters
    ----------
    x : array_like, any shape
        As in `index`.
    p, q : float
        Exponents, 0 < p < q.
    axis, keepdims, where, **torch_names
        As in `index`.

    Returns
    -------
    (norm_p, norm_q)
        float64 in the caller's kind. 0 for empty and all-zero groups; inf where an entry is infinite, nan where one is
        NaN. A norm beyond float64 is inf (for small p that happens early: use `power_means` or `index`).

    Raises
    ------
    TypeError, ValueError
        As `index`.

    Notes
    -----
    Costs one read of `x`, on CUDA devices as many as `power_means`. Same accuracy and reproducibility as `index`. For
    torch tensors that require it carries a gradient, ∂‖x‖_r/∂x_i = sign(x_i) (|x_i| / ‖x‖_r)^(r−1), with the rules and
    the cost of `index`'s.

    Examples
    --------
    >>> import pqi
    >>> pqi.norms([3.0, -4.0], p=1, q=2)
    (7.0, 5.0)
    """
    p, q = _check.exponent_pair(p, q)
    batch = _arrays.prepare(x, axis, keepdims, where, torch_names)
    norm_p, norm_q = batch.apply(of_pair, p, q)
    return norm_p, norm_q


def power_means(
    x: Any,
    exponents: Sequence[float],
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    where: Any = None,
    **torch_names: Unpack[TorchNames],
) -> Any:
    """Power means M_r = ((1/d) Σ|x_i|^r)^(1/r) for any number of exponents, from one read.

    Parameters
    ----------
    x : array_like, any shape
        As in `index`.
    exponents : sequence of float
        Positive exponents r, in any order.
    axis, keepdims, where, **torch_names
        As in `index`.

    Returns
    -------
    numpy.ndarray or torch.Tensor
        float64 of shape (..., len(exponents)), non-decreasing in r up to rounding. 0 for all-zero groups, nan for empty
        ones and where an entry is NaN, inf where one is infinite.

    Raises
    ------
    TypeError, ValueError
        As `index`; also for an empty sequence of exponents.

    Notes
    -----
    Costs one read, one logarithm an element and one exponential an element and exponent; ½, 1 and 2 are cheaper. On
    CUDA devices there is a second read where, of numbers that float32 holds, exponents beyond 3.5 meet others up to 3.5
    that are not ½, 1 or 2, and one for every 16 exponents (fewer where a block's shared memory does not hold 8 KiB for
    each); the sums take 24 bytes a group and exponent, in batches of up to 1 GiB, and as many for each 2^18 entries of
    larger groups. One- and two-byte types are counted in one read from 2^20 entries a group, where Σ√|x|, Σ|x| and Σx²
    are the exact sums of these powers in float64 (of float16's roots to 46 bits, 1.2e-14 at worst), rounded once. Where
    it takes less time the CPU adds up instead of counting, with the same bits: float16 and bfloat16 for the exponents 1
    and 2; for ½ and 1 float16 with AVX-512, half of the elements, and bfloat16 where that has byte permutations and dot
    products (VBMI, VNNI).

    A mean stays between the least and the greatest magnitude, up to rounding, so unlike a norm it does not overflow.
    Carries a gradient for torch tensors that require it, ∂M_r/∂x_i = sign(x_i) (|x_i| / M_r)^(r−1) / d, with the rules
    of `index`'s.

    Examples
    --------
    >>> import pqi
    >>> pqi.power_means([1.0, 9.0], [0.5, 1, 2]).round(6)
    array([4.      , 5.      , 6.403124])
    """
    checked = _check.exponents("exponents", exponents)
    batch = _arrays.prepare(x, axis, keepdims, where, torch_names)
    return batch.apply(of_means, checked)


def of_pair(batch: _arrays.Batch, p: float, q: float) -> tuple[Any, Any]:
    """`norms` of checked arguments."""
    norm_p, norm_q = batch.engine.norms(*batch.core, p, q)
    return batch.wrap(norm_p), batch.wrap(norm_q)


def of_means(batch: _arrays.Batch, exponents: Sequence[float]) -> Any:
    """`power_means` of checked arguments."""
    return batch.wrap(batch.engine.power_means(*batch.core, exponents), (len(exponents),))
