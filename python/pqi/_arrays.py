"""The one file that tells array libraries apart: views for the core from whatever comes in, the caller's kind back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pqi import _check, _check_out, _core
from pqi._core import View
from pqi._pooled import Pooled
from pqi._segments import Segments
from pqi._tensors import are_torch, check_tensor, is_torch, library, prepare_tensors

if TYPE_CHECKING:
    from typing import TypedDict

    class TorchNames(TypedDict, total=False):
        """torch's names for `axis` and `keepdims`, understood for torch tensors."""

        dim: int | tuple[int, ...] | None
        keepdim: bool


CUDA_MEMORY = (2, 13)  # kDLCUDA and kDLCUDAManaged in csrc/bindings/dlpack.h


@dataclass(frozen=True, slots=True)
class Kind:
    """How results are handed back to the owner of an input."""

    scalar: Callable[[np.ndarray[Any, Any]], Any]  # of a 0-d array
    array: Callable[[np.ndarray[Any, Any]], Any]
    empty_mask: Callable[[tuple[int, ...]], Any]

    def wrap(self, values: np.ndarray[Any, Any]) -> Any:
        """A 0-d result as the kind's scalar, anything else as its array."""
        return self.scalar(values) if values.ndim == 0 else self.array(values)


def _torch_mask(shape: tuple[int, ...]) -> Any:
    """Small ones are torch's own and can be resized, large ones lie in the workspace."""
    if math.prod(shape) < _core.SMALLEST_OWN_MASK:
        return library().empty(shape, dtype=library().bool)
    return library().from_numpy(_core.new_mask(shape))


_NUMPY = Kind(scalar=lambda value: value[()], array=lambda values: values, empty_mask=_core.new_mask)
_ONE_NUMPY = [_NUMPY]
_PYTHON = Kind(scalar=lambda value: value.item(), array=lambda values: values, empty_mask=_core.new_mask)
_TORCH = Kind(
    scalar=lambda value: library().from_numpy(value),
    array=lambda values: library().from_numpy(values),
    empty_mask=_torch_mask,
)


def _foreign_kind(x: Any) -> Kind:
    """Results of another DLPack producer go back through its own `from_dlpack`, if its namespace offers one."""
    namespace = x.__array_namespace__() if hasattr(x, "__array_namespace__") else None
    build = getattr(namespace, "from_dlpack", None)
    if build is None:
        return _NUMPY
    return Kind(build, build, _core.new_mask)


def _torch_view(x: Any, name: str = "x") -> View:
    check_tensor(x, name)
    if x.device.type != "cpu":
        _check.refuse_array(name, f"lie on the CPU, got device {x.device}; pass x.cpu()")
    return _strided_view(x, name)


def _strided_view(x: Any, name: str) -> View:
    """A CPU tensor that was checked, or that only a checked one's operator can have been given."""
    if x.is_neg():
        x = x.resolve_neg()
    if hasattr(type(x), "__dlpack_c_exchange_api__"):
        return View.of_exchange(x, name)
    return View.of_dlpack(x.detach().__dlpack__(), name)


def _numpy_view(x: Any, name: str = "x") -> View:
    _check.not_masked(name, x, "; pass x.data with where=~x.mask")
    array = _check.array(name, x)
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
        return _torch_view(x, name), _TORCH
    if hasattr(x, "__dlpack__"):
        return _foreign_view(x, name), _foreign_kind(x)
    if isinstance(x, (list, tuple, int, float, range)):
        return _numpy_view(x, name), _PYTHON
    return _numpy_view(x, name), _NUMPY


def _mask_view(where: Any, shape: tuple[int, ...]) -> View:
    """A mask as a view with its array's shape; broadcasting copies nothing."""
    _check.not_masked("where", where)
    _check.mask_shape(tuple(where.shape if is_torch(where) else np.shape(where)), shape)
    if is_torch(where):
        _check.mask_dtype(where.dtype is library().bool, where.dtype)
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
    engine: Any = _core  # what computes: the core, or `_device.Engine` with functions of the same names

    @property
    def core(self) -> tuple[list[View], list[View], Grouping]:
        """The leading arguments of every function of the core."""
        return self.views, self.masks, self.grouping

    def wrap(self, values: np.ndarray[Any, Any], trailing: tuple[int, ...] = ()) -> Any:
        """Results, one per group (and `trailing` more dimensions), in the caller's kind."""
        if self.kinds is _ONE_NUMPY and not trailing:
            return values.flat[0]
        if self.engine is not _core:
            return values.reshape(self.result_shape + trailing)
        if not self.result_shape and not trailing:
            return self.kinds[0].scalar(values.reshape(()))
        return self.kinds[0].wrap(values.reshape(self.result_shape + trailing))

    def sizes(self) -> int | np.ndarray[Any, Any]:
        """Entries of each group, live or not: one number where all groups are of a size."""
        if self.grouping is None:
            return sum(view.size for view in self.views) if len(self.views) != 1 else self.views[0].size
        if isinstance(self.grouping, tuple):
            return math.prod(self.views[0].shape[axis] for axis in self.grouping)
        return np.diff(self.grouping)

    def apply(self, measure: Callable[..., Any], *arguments: Any) -> Any:
        """Compute a measure; a `TensorCall` calls its operator instead."""
        return measure(self, *arguments)

    def count(self, k: Any) -> Any:
        """Counts per group as `measure` takes them."""
        return k

    def convert(self, counts: Any, dtype: str) -> Any:
        """Counts, which engines give as integers of their choice, in another type."""
        return counts.astype(dtype) if self.engine is _core else self.engine.library.convert(counts, dtype)


def _reduced(shape: Sequence[int], axes: Sequence[int] | None, *, keepdims: bool) -> tuple[int, ...]:
    kept = [i for i in range(len(shape)) if axes is not None and i not in axes]
    if keepdims:
        return tuple(shape[i] if i in kept else 1 for i in range(len(shape)))
    return tuple(shape[i] for i in kept)


def on_cuda(x: Any) -> bool:
    """Whether an array of any library lies in memory of a CUDA device."""
    if is_torch(x):
        return bool(x.device.type == "cuda")
    if isinstance(x, np.ndarray) or not hasattr(x, "__dlpack_device__"):
        return False
    return int(x.__dlpack_device__()[0]) in CUDA_MEMORY


def _lies_on_cuda(x: Any) -> bool:
    """Whether the first array does; the others then have to."""
    if isinstance(x, Pooled):
        return bool(x.arrays) and on_cuda(x.arrays[0])
    return on_cuda(x.values if isinstance(x, Segments) else x)


def reduced_shape(arrays: Sequence[Any], axes: Sequence[int] | None = None, keepdims: bool = False) -> tuple[int, ...]:
    """Shape of a reduction's result; many arrays are one vector."""
    return _reduced(arrays[0].shape, axes, keepdims=keepdims) if len(arrays) == 1 else ()


def prepare(x: Any, axis: Any, keepdims: Any, where: Any, torch_names: TorchNames | None = None) -> Any:
    """Check a measure's array arguments: a `Batch`, or a `TensorCall` where all arrays are tensors."""
    if type(x) is np.ndarray:
        if axis is None and where is None and keepdims is False and not torch_names and x.dtype.isnative:
            return Batch([View.of_numpy(x, "x")], [], None, _ONE_NUMPY, (), ())
    elif are_torch(x):
        return prepare_tensors(x, axis, keepdims, where, dict(torch_names or {}))
    return prepare_views(x, axis, keepdims, where, torch_names)


def prepare_views(x: Any, axis: Any, keepdims: Any, where: Any, torch_names: TorchNames | None = None) -> Batch:
    """Check a measure's array arguments and turn them into views, tensors too."""
    if type(x) is not np.ndarray and _lies_on_cuda(x):
        from pqi import _device

        return _device.prepare(x, axis, keepdims, where, dict(torch_names or {}))
    plain = axis is None and where is None and keepdims is False and not torch_names
    if plain and not isinstance(x, (Pooled, Segments)):
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
    kept = _reduced(view.shape, axes, keepdims=False)
    return Batch([view], masks, axes, [kind], kept, _reduced(view.shape, axes, keepdims=keepdims))


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


def of_tensors(
    tensors: Sequence[Any],
    masks: Sequence[Any] | None = None,
    axes: Sequence[int] | None = None,
    keepdims: bool = False,
) -> Batch:
    """Views of tensors whose arguments were checked: what an operator's kernel starts from."""
    if on_cuda(tensors[0]):
        from pqi import _device

        return _device.of_tensors(tensors, masks or (), None if axes is None else tuple(axes), keepdims)
    name = "x" if len(tensors) == 1 else "arrays"
    views = [_strided_view(tensor, name) for tensor in tensors]
    kinds = [_TORCH] * len(views)
    if axes is None and not masks and not keepdims:
        return Batch(views, [], None, kinds, (), ())
    pairs = zip(masks or (), tensors, strict=False)
    live = [_strided_view(mask.expand(tensor.shape), "where") for mask, tensor in pairs]
    grouping = None if axes is None else tuple(axes)
    return Batch(views, live, grouping, kinds, reduced_shape(tensors, axes), reduced_shape(tensors, axes, keepdims))


def empty_masks(batch: Batch) -> tuple[list[Any], list[Any]]:
    """An uninitialised mask for each input array, in its kind, and the engine's view of it."""
    if batch.kinds is _ONE_NUMPY:
        mask = _core.new_mask(batch.views[0].shape)
        return [mask], [View.of_numpy(mask, "out")]
    if batch.engine is not _core:
        masks, views = batch.engine.empty_masks(batch.views)
        return masks, views
    masks = [kind.empty_mask(view.shape) for kind, view in zip(batch.kinds, batch.views, strict=False)]
    return masks, [_torch_view(mask, "out") if is_torch(mask) else View.of_numpy(mask, "out") for mask in masks]


def _given_mask(mask: Any, name: str) -> View:
    tensor = is_torch(mask)
    plain = isinstance(mask, np.ndarray) and not isinstance(mask, np.ma.MaskedArray)
    is_bool = mask.dtype is library().bool if tensor else plain and mask.dtype == np.bool_
    _check_out.dtype(name, is_bool, f"dtype {mask.dtype}" if hasattr(mask, "dtype") else type(mask).__name__)
    return _torch_view(mask, name) if tensor else View.of_numpy(mask, name)


def given_masks(batch: Batch, out: Any, *, pooled: bool) -> tuple[list[Any], list[View]]:
    """The caller's masks to be written, checked, and the engine's views of them."""
    masks = _check_out.masks(out, len(batch.views) if pooled else None)
    views: dict[str, View] = {}
    for i, (mask, array) in enumerate(zip(masks, batch.views, strict=True)):
        name = f"out[{i}]" if pooled else "out"
        views[name] = _given_mask(mask, name) if batch.engine is _core else batch.engine.given_mask(mask, name)
        _check_out.place(name, views[name], array.shape)
    inputs = {f"arrays[{i}]" if pooled else "x": view for i, view in enumerate(batch.views)}
    _check_out.apart(views, inputs | {f"where[{i}]" if pooled else "where": view for i, view in enumerate(batch.masks)})
    return masks, list(views.values())


def finish_masks(batch: Batch, masks: list[Any]) -> list[Any]:
    """Filled masks in the caller's kinds."""
    if batch.kinds is _ONE_NUMPY or batch.engine is not _core:
        return masks
    pairs = zip(masks, batch.kinds, strict=False)
    return [kind.array(mask) if isinstance(mask, np.ndarray) else mask for mask, kind in pairs]


def to_numpy(name: str, x: Any) -> np.ndarray[Any, Any]:
    """Small numeric arguments (counts, indices) of any library as a numpy array."""
    if is_torch(x):
        x = x.detach().cpu().resolve_neg()
        narrow = x.is_floating_point() and x.itemsize < 4  # numpy lacks some of these
        return np.asarray((x.double() if narrow else x).numpy())
    return _check.array(name, x)


def like(x: Any) -> Kind:
    """The kind that answers a function of numbers rather than of weights."""
    if is_torch(x):
        return _TORCH
    return _NUMPY if isinstance(x, (np.ndarray, np.generic)) else _PYTHON
