"""Calls on torch tensors in the form of the registered operators; plain enough for torch.compile to trace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pqi import _check, _check_device
from pqi._pooled import Pooled

DEVICES = ("cpu", "cuda", "meta")


def library() -> Any:
    """torch, if somebody has imported it; it is never imported for the question."""
    return sys.modules.get("torch")


def is_torch(x: Any) -> bool:
    """Whether `x` is a torch tensor."""
    torch = library()
    return torch is not None and isinstance(x, torch.Tensor)


def on_host(x: Any) -> Any:
    """The same numbers where numpy can read them; waits for a device."""
    if is_torch(x):
        return x.cpu()
    return x.get() if type(x).__module__.partition(".")[0] == "cupy" else x


def are_torch(x: Any) -> bool:
    """Whether `x` is a tensor, or a pool of nothing else."""
    if isinstance(x, Pooled):
        return bool(x.arrays) and library() is not None and all(is_torch(array) for array in x.arrays)
    return is_torch(x)


def check_tensor(x: Any, name: str) -> None:
    """Refuse what the operators have no kernel for."""
    torch = library()
    if x.layout is not torch.strided:
        _check.refuse_array(name, f"be a strided tensor, got layout {x.layout}; pass x.to_dense() or x.values()")
    if x.is_nested:
        _check.refuse_array(name, "be one strided tensor, got a nested one; pass pqi.pooled(x.unbind())")
    if x.device.type not in DEVICES:
        _check.refuse_array(name, f"lie on the CPU or a CUDA device, got device {x.device}; pass x.cpu()")
    if x.dtype.is_complex or x.is_quantized:
        _check.refuse_array(name, f"hold real numbers, got dtype {x.dtype}")


class TensorCall:
    """A call whose arrays are all torch tensors: the counterpart of `Batch`, not computed yet."""

    __slots__ = ("common", "tensors")

    def __init__(self, tensors: list[Any], masks: Any, axes: tuple[int, ...] | None, keepdims: bool) -> None:
        self.tensors = tensors
        self.common = masks, axes, keepdims

    def apply(self, measure: Callable[..., Any], *arguments: Any) -> Any:
        """Call the operator that is registered for `measure`."""
        from pqi import _torch_ops

        return _torch_ops.call(measure, self.tensors, self.common, arguments)

    def count(self, k: Any) -> Any:
        """Counts per group as the operators take them: an int, or a tensor, which stays on its device."""
        if type(k) is int or is_torch(k):
            _check.count_range(k)
            return k
        given = _check.array("k", k)
        _check.count_dtype(given.dtype.kind in "iu", k)
        return int(given) if given.ndim == 0 else library().from_numpy(np.array(given, dtype=np.int64))


def prepare_tensors(x: Any, axis: Any, keepdims: Any, where: Any, names: dict[str, Any]) -> TensorCall:
    """Check a measure's array arguments."""
    if names:
        axis, keepdims = _check.torch_names(axis, keepdims, names, is_torch=True)
    keepdims = _check.flag("keepdims", keepdims)
    if isinstance(x, Pooled):
        _check.pooled_has_no_axes(axis, keepdims)
        for i, tensor in enumerate(x.arrays):
            check_tensor(tensor, f"arrays[{i}]")
        _check.one_device([str(tensor.device) for tensor in x.arrays])
        return TensorCall(x.arrays, _pooled_masks(where, x.arrays), None, False)
    check_tensor(x, "x")
    axes = None if axis is None else _check.axes(axis, x.ndim)
    return TensorCall([x], None if where is None else [mask_beside(where, x)], axes, keepdims)


def call_on_numbers(measure: Callable[..., Any], numbers: Any, others: Any, *arguments: Any) -> Any:
    """Call the operator of an elementwise `measure`; plain numbers and numpy arrays follow the tensor to its device."""
    from pqi import _torch_ops

    if not is_torch(others):
        others = _lengths(others, numbers.device)
    _check.one_device([str(numbers.device), str(others.device)], "index and d must lie on one device")
    return _torch_ops.ELEMENTWISE[measure](numbers, others, *arguments)


def _lengths(d: Any, device: Any) -> Any:
    """Vector lengths that the host knows, judged there on every device, and then on the device without a wait."""
    torch = library()
    if isinstance(d, (int, float)) and not isinstance(d, bool):
        _check_device.length(d)
        return torch.full((), d, dtype=torch.float64, device=device)
    given = _check.array("d", d)
    _check.real_numbers("d", given.dtype)
    if not torch.compiler.is_compiling():  # which traces no rule about values
        _check.indices_and_lengths(np.zeros(()), given)
    return beside(given.astype(np.float64), device)


def beside(values: np.ndarray[Any, Any], device: Any) -> Any:
    """A copy of a writable host array on a device, through torch's pinned memory: other copies wait for the stream."""
    tensor = library().from_numpy(values)
    if device.type != "cuda" or library().compiler.is_compiling():
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _pooled_masks(where: Any, tensors: Sequence[Any]) -> list[Any] | None:
    if where is None:
        return None
    given = _check.masks_match(where.arrays if isinstance(where, Pooled) else where, len(tensors))
    return [mask_beside(mask, tensor) for mask, tensor in zip(given, tensors, strict=True)]


def mask_beside(where: Any, x: Any) -> Any:
    """A mask as a tensor beside `x`, of a shape that broadcasts to it."""
    torch = library()
    if not is_torch(where):
        given = _check.array("where", where)
        _check.mask_dtype(given.dtype == np.bool_, given.dtype)
        where = beside(np.array(given), x.device)
    _check.mask_dtype(where.dtype is torch.bool, where.dtype)
    _check.mask_shape(tuple(where.shape), tuple(x.shape))
    _check.one_device([str(x.device), str(where.device)], "where must lie on x's device")
    return where
