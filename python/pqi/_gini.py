"""The Gini index of magnitudes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from pqi import _arrays, _check, _core
from pqi._gini_sketch import GiniInterval
from pqi._whole import whole

if TYPE_CHECKING:
    from typing import Unpack

    from pqi._arrays import TorchNames


@overload
def gini(
    x: Any,
    *,
    tol: None = None,
    unbiased: bool = False,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    where: Any = None,
    **torch_names: Unpack[TorchNames],
) -> Any: ...


@overload
def gini(
    x: Any,
    *,
    tol: float,
    unbiased: bool = False,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    where: Any = None,
    **torch_names: Unpack[TorchNames],
) -> GiniInterval: ...


@whole
def gini(
    x: Any,
    *,
    tol: float | None = None,
    unbiased: bool = False,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    where: Any = None,
    **torch_names: Unpack[TorchNames],
) -> Any:
    """Gini index of the magnitudes, exact or within a proven interval.

    G = Σ_k (2k − d − 1) w_(k) / (d ‖w‖_1) with w_(1) ≤ … ≤ w_(d) the sorted magnitudes.

    Parameters
    ----------
    x : array_like, any shape
        As in `index`.
    tol : float, optional
        Ask for an interval no wider than this that is proven to hold the exact value, mostly from one read (see
        `gini_sketch`). Where that does not tell so much, and for groups below 2^18 entries and one- and two-byte
        types, the exact value is computed; the interval is then its rounding error, 4 ulp and 1e-18. None: the exact
        value alone.
    unbiased : bool
        Multiply by d / (d − 1), the form that other fields use; its upper end is 1. nan for d = 1.
    axis, keepdims, where, **torch_names
        As in `index`.

    Returns
    -------
    float, numpy.float64, numpy.ndarray or torch.Tensor
        float64 in the caller's kind, within [0, 1 − 1/d]: 0 for equal magnitudes, the upper end for one non-zero
        entry. nan for a group that is empty, all zero, or holds an infinity or NaN. With `tol` a `GiniInterval` of
        three of them: value, low, high.

    Raises
    ------
    TypeError, ValueError
        As `index`; also if `tol` is negative or not finite.

    Notes
    -----
    All ranked sums are integers, so the result is that of exact arithmetic, rounded once: it depends on neither order
    nor threads. Only 64-bit integers beyond 2^53 are rounded (to float64) before. Carries no gradient.

    Costs one read and no workspace for one- and two-byte types from 2^20 entries a group; two reads and a workspace of
    half the input's bytes for four-byte types; two reads and as many bytes as the input for eight-byte types. Groups
    below 2^18 entries are sorted in cache. With `tol` larger groups of wider types cost one read and a few MiB, unless
    they are discrete (few distinct magnitudes), which adds the cost of the exact value.

    On CUDA devices groups of up to 4096 entries are ranked in shared memory, and narrow types counted as above. All
    others are sorted in two buffers of keys: twice the input's bytes for four- and eight-byte types (8 bytes an entry
    for narrower ones), many groups in batches of up to 1 GiB. With `tol` the host decides what needs the exact value,
    and waits for the intervals' widths once or twice; without `tol` nothing waits.

    With `tol` no registered operator is called: torch tensors are measured eagerly, and ``torch.compile`` does not
    trace the call (``fullgraph=True`` refuses it).

    References
    ----------
    Hurley and Rickard, *Comparing Measures of Sparsity*, IEEE Trans. Inf. Theory 2009.

    Examples
    --------
    >>> import pqi
    >>> pqi.gini([1, 2, 3, -4])
    0.25
    >>> pqi.gini([0.0, 0.0, 0.0, 7.0]), pqi.gini([0.0, 0.0, 0.0, 7.0], unbiased=True)
    (0.75, 1.0)
    >>> pqi.gini(range(1, 1_000_001), tol=1e-6).value.__round__(6)
    0.333333
    """
    unbiased = _check.flag("unbiased", unbiased)
    limit = None if tol is None else _check.tolerance(tol)
    if limit is not None:
        batch = _arrays.prepare_views(x, axis, keepdims, where, torch_names)
        return GiniInterval(*map(batch.wrap, batch.engine.gini_within(*batch.core, limit, unbiased)))
    return _arrays.prepare(x, axis, keepdims, where, torch_names).apply(of_magnitudes, unbiased)


def of_magnitudes(batch: _arrays.Batch, unbiased: bool) -> Any:
    """`gini` of checked arguments."""
    values = batch.engine.gini(*batch.core)
    if unbiased:
        live = batch.convert(batch.engine.count_live(*batch.core), "float64")
        current = nullcontext() if batch.engine is _core else batch.engine.library.current()
        with current, np.errstate(invalid="ignore"):  # d = 1 gives 0/0, a NaN whose sign is the processor's own
            values = abs(values * live / (live - 1.0))
    return batch.wrap(values)
