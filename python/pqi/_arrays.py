"""The one file that tells array libraries apart: views for the core from whatever comes in, the caller's kind back."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pqi import _check, _check_out
from pqi._core import View
from pqi._pooled import Pooled
from pqi._segments import Segments

if TYPE_CHECKING:
    from typing import TypedDict

    class TorchNames(TypedDict, total=False):
        """torch's names for `axis` and `keepdims`, understood for torch tensors."""

        dim: int | tuple[int, ...] | None
        keepdim: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """How results are handed back to the owner of an input."""

    scalar: Callable[[Any], Any]
    array: Callable[[np.ndarray[Any, Any]], Any]
    empty_mask: Callable[[tuple[int, ...]], Any]

    def wrap(self, values: np.ndarray[Any, Any]) -> Any:
        """A 0-d result as the kind's scalar, anything else as its array."""
        return self.scalar(values[()]) if values.ndim == 0 else self.array(values)


def _empty_bool(shape: tuple[int, ...]) -> Any:
    return np.empty(shape, dtype=np.bool_)


_NUMPY = Kind(scalar=lambda value: value, array=lambda values: values, empty_mask=_empty_bool)
_ONE_NUMPY = [_NUMPY]
_PYTHON = Kind(scalar=lambda value: value.item(), array=lambda values: values, empty_mask=_empty_bool)


def _torch() -> Any:
    return sys.modules.get("torch")


def is_torch(x: Any) -> bool:
    """Whether `x` is a torch tensor; torch is never imported for it."""
    torch = _torch()
    return torch is not None and isinstance(x, torch.Tensor)


def _torch_kind() -> Kind:
    torch = _torch()
    return Kind(
        scalar=lambda value: torch.from_numpy(np.asarray(value)),
        array=torch.from_numpy,
        empty_mask=lambda shape: torch.empty(shape, dtype=torch.bool),
    )


def _foreign_kind(x: Any) -> Kind:
    """Results of another DLPack producer go back through its own `from_dlpack`, if its namespace offers one."""
    namespace = x.__array_namespace__() if hasattr(x, "__array_namespace__") else None
    build = getattr(namespace, "from_dlpack", None)
    if build is None:
        return _NUMPY
    return Kind(lambda value: build(np.asarray(value)), build, _empty_bool)


def _torch_view(x: Any, name: str = "x") -> View:
    torch = _torch()
    if x.layout != torch.strided:
        _check.refuse_array(name, f"be a strided tensor, got layout {x.layout}; pass x.to_dense() or x.values()")
    if x.device.type != "cpu":
        _check.refuse_array(name, f"lie on the CPU, got device {x.device}; pass x.cpu()")
    if x.dtype.is_complex or x.is_quantized:
        _check.refuse_array(name, f"hold real numbers, got dtype {x.dtype}")
    return View.of_dlpack(x.detach().resolve_neg().__dlpack__(), name)


def _numpy_view(x: Any, name: str = "x") -> View:
    if isinstance(x, np.ma.MaskedArray):
        _check.refuse_array(name, "not be a masked array; pass x.data with where=~x.mask")
    try:
        array = np.asarray(x)
    except ValueError as error:
        _check.refuse_ragged(name, error)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return View.of_numpy(array, name)


def _foreign_view(x: Any, name: str = "x") -> View:
    try:
        capsule = x.__dlpack__(max_version=(1, 0))
    except TypeError:
        capsule = x.__dlpack__()
    return View.of_dlpack(capsule, name)


def _view_and_kind(x: Any, name: str) -> tuple[View, Kind]:
    if isinstance(x, (np.ndarray, np.generic)):
        return _numpy_view(x, name), _NUMPY
    if is_torch(x):
        return _torch_view(x, name), _torch_kind()
    if hasattr(x, "__dlpack__"):
        return _foreign_view(x, name), _foreign_kind(x)
    if isinstance(x, (list, tuple, int, float, range)):
        return _numpy_view(x, name), _PYTHON
    return _numpy_view(x, name), _NUMPY


def _mask_view(where: Any, shape: tuple[int, ...]) -> View:
    """A mask as a view with its array's shape; broadcasting copies nothing."""
    found = tuple(np.shape(where)) if not is_torch(where) else tuple(where.shape)
    try:
        if np.broadcast_shapes(found, shape) != shape:
            _check.mask_shape(found, shape)
    except ValueError:
        _check.mask_shape(found, shape)
    if is_torch(where):
        _check.mask_dtype(where.dtype is _torch().bool, where.dtype)
        return _torch_view(where.expand(shape), "where")
    array = np.from_dlpack(where) if not isinstance(where, np.ndarray) and hasattr(where, "__dlpack__") else where
    array = np.asarray(array)
    _check.mask_dtype(array.dtype == np.bool_, array.dtype)
    return View.of_numpy(np.broadcast_to(array, shape), "where")


# The axes that make a group, the offsets between groups, or None: all elements are one.
Grouping = tuple[int, ...] | np.ndarray[Any, np.dtype[np.int64]] | None


@dataclass(slots=True)
class Batch:
    """A call's groups, as the core takes them, and the form of what goes back."""

    views: list[View]
    masks: list[View]
    grouping: Grouping
    kinds: list[Kind]
    group_shape: tuple[int, ...]  # of the reduced result, kept dimensions included
    result_shape: tuple[int, ...]  # the same with keepdims

    @property
    def core(self) -> tuple[list[View], list[View], Grouping]:
        """The leading arguments of every function of the core."""
        return self.views, self.masks, self.grouping

    def wrap(self, values: np.ndarray[Any, Any], trailing: tuple[int, ...] = ()) -> Any:
        """Results, one per group (and `trailing` more dimensions), in the caller's kind."""
        if not self.result_shape and not trailing:
            return self.kinds[0].scalar(values.flat[0])
        return self.kinds[0].wrap(values.reshape(self.result_shape + trailing))

    def sizes(self) -> int | np.ndarray[Any, Any]:
        """Entries of each group, live or not: one number where all groups are of a size."""
        if self.grouping is None:
            return sum(view.size for view in self.views) if len(self.views) != 1 else self.views[0].size
        if isinstance(self.grouping, tuple):
            return math.prod(self.views[0].shape[axis] for axis in self.grouping)
        return np.diff(self.grouping)


def _reduced(shape: tuple[int, ...], axes: tuple[int, ...] | None, *, keepdims: bool) -> tuple[int, ...]:
    kept = [i for i in range(len(shape)) if axes is not None and i not in axes]
    if keepdims:
        return tuple(shape[i] if i in kept else 1 for i in range(len(shape)))
    return tuple(shape[i] for i in kept)


def prepare(x: Any, axis: Any, keepdims: Any, where: Any, torch_names: TorchNames | None = None) -> Batch:
    """Check a measure's array arguments and turn them into views."""
    if axis is None and where is None and keepdims is False and not torch_names:
        if type(x) is np.ndarray and x.dtype.isnative:
            return Batch([View.of_numpy(x, "x")], [], None, _ONE_NUMPY, (), ())
        if not isinstance(x, (Pooled, Segments)):
            view, kind = _view_and_kind(x, "x")
            return Batch([view], [], None, [kind], (), ())
    if isinstance(x, (Pooled, Segments)):
        axis, keepdims = _check.torch_names(axis, keepdims, dict(torch_names or {}), is_torch=True)
        keepdims = _check.flag("keepdims", keepdims)
        if isinstance(x, Pooled):
            return _prepare_pooled(x, axis, keepdims, where)
        return _prepare_segments(x, axis, keepdims, where)
    axis, keepdims = _check.torch_names(axis, keepdims, dict(torch_names or {}), is_torch=is_torch(x))
    keepdims = _check.flag("keepdims", keepdims)
    view, kind = _view_and_kind(x, "x")
    axes = _check.axes(axis, len(view.shape))
    masks = [] if where is None else [_mask_view(where, view.shape)]
    plain = _reduced(view.shape, axes, keepdims=False)
    return Batch([view], masks, axes, [kind], plain, _reduced(view.shape, axes, keepdims=keepdims))


def _prepare_pooled(x: Pooled, axis: Any, keepdims: bool, where: Any) -> Batch:
    _check.pooled_has_no_axes(axis, keepdims)
    pairs = [_view_and_kind(array, f"arrays[{i}]") for i, array in enumerate(x.arrays)]
    views = [view for view, _ in pairs]
    masks = []
    if where is not None:
        given = where.arrays if isinstance(where, Pooled) else _check.masks_match(where, len(views))
        _check.masks_match(given, len(views))
        masks = [_mask_view(mask, view.shape) for mask, view in zip(given, views, strict=True)]
    return Batch(views, masks, None, [kind for _, kind in pairs] or [_NUMPY], (), ())


def _prepare_segments(x: Segments, axis: Any, keepdims: bool, where: Any) -> Batch:
    _check.segments_have_no_axes(axis, keepdims)
    view, kind = _view_and_kind(x.values, "values")
    masks = [] if where is None else [_mask_view(where, view.shape)]
    shape = (x.offsets.size - 1,)
    return Batch([view], masks, x.offsets, [kind], shape, shape)


def empty_masks(batch: Batch) -> tuple[list[Any], list[View]]:
    """An uninitialised mask for each input array, in its kind, and the core's view of it."""
    if batch.kinds is _ONE_NUMPY:
        mask = _empty_bool(batch.views[0].shape)
        return [mask], [View.of_numpy(mask, "out")]
    masks = [kind.empty_mask(view.shape) for kind, view in zip(batch.kinds, batch.views, strict=False)]
    return masks, [_torch_view(mask, "out") if is_torch(mask) else View.of_numpy(mask, "out") for mask in masks]


def given_masks(batch: Batch, out: Any, *, pooled: bool) -> tuple[list[Any], list[View]]:
    """The caller's masks to be written, checked, and the core's views of them."""
    masks = _check_out.masks(out, len(batch.views) if pooled else None)
    views: dict[str, View] = {}
    for i, (mask, array) in enumerate(zip(masks, batch.views, strict=True)):
        name = f"out[{i}]" if pooled else "out"
        tensor = is_torch(mask)
        plain = isinstance(mask, np.ndarray) and not isinstance(mask, np.ma.MaskedArray)
        is_bool = mask.dtype is _torch().bool if tensor else plain and mask.dtype == np.bool_
        _check_out.dtype(name, is_bool, f"dtype {mask.dtype}" if hasattr(mask, "dtype") else type(mask).__name__)
        views[name] = _torch_view(mask, name) if tensor else View.of_numpy(mask, name)
        _check_out.place(name, views[name], array.shape)
    inputs = {f"arrays[{i}]" if pooled else "x": view for i, view in enumerate(batch.views)}
    _check_out.apart(views, inputs | {f"where[{i}]" if pooled else "where": view for i, view in enumerate(batch.masks)})
    return masks, list(views.values())


def finish_mask(mask: Any, kind: Kind) -> Any:
    """A filled mask in the caller's kind."""
    return kind.array(mask) if isinstance(mask, np.ndarray) else mask


def to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """Small numeric arguments (counts, indices) of any library as a numpy array."""
    return np.asarray(x.detach().cpu().numpy() if is_torch(x) else x)


def like(x: Any) -> Kind:
    """The kind that answers a function of numbers rather than of weights."""
    if is_torch(x):
        return _torch_kind()
    return _NUMPY if isinstance(x, (np.ndarray, np.generic)) else _PYTHON
