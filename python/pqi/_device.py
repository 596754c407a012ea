"""Arrays on CUDA devices: `pqi._cuda` behind the functions of the core.

Results are allocated by the library that the arrays are from, on their device. Everything is enqueued on the stream
that is current there, and nothing waits for it. `pqi._cuda` is imported with the first such array.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from pqi import _arrays, _check
from pqi._device_libraries import CupyDevice, Library, TorchDevice
from pqi._pooled import Pooled

Views = Sequence[Any]
Axes = tuple[int, ...] | None


@cache
def load() -> Any:
    """Import the CUDA module, once there is a device to run it."""
    try:
        module = importlib.import_module("pqi._cuda")
    except ImportError as error:
        _check.no_cuda_module(error)
    if module.device_count() == 0:
        _check.no_cuda_device()
    return module


def state() -> dict[str, Any]:
    """What `pqi.info` tells of CUDA."""
    try:
        module = importlib.import_module("pqi._cuda")
    except ImportError:
        return {"compiled": False, "devices": [], "architectures": []}
    return {"compiled": True, "devices": module.device_names(), "architectures": module.architectures()}


class Engine:
    """The functions of the core for arrays of one device; results are arrays of their library."""

    def __init__(self, library: Library) -> None:
        self._module = load()
        self.library = library
        self._stream = library.stream()

    def view(self, array: Any, name: str) -> Any:
        """An array as `pqi._cuda` takes it."""
        return self._module.View.of_dlpack(self.library.capsule(array), name)

    def _filled(self, name: str, shape: tuple[int, ...], *arguments: Any) -> Any:
        out = self.library.empty(shape, "float64")
        getattr(self._module, name)(*arguments, self.view(out, "out"), self._stream)
        return out

    def index(self, arrays: Views, masks: Views, axes: Axes, p: float, q: float) -> Any:
        return self._filled("index", (_groups(arrays, axes),), arrays, masks, axes, p, q)

    def index_grid(self, arrays: Views, masks: Views, axes: Axes, p: Sequence[float], q: Sequence[float]) -> Any:
        return self._filled("index_grid", (_groups(arrays, axes), len(p), len(q)), arrays, masks, axes, p, q)

    def power_means(self, arrays: Views, masks: Views, axes: Axes, exponents: Sequence[float]) -> Any:
        shape = _groups(arrays, axes), len(exponents)
        return self._filled("power_means", shape, arrays, masks, axes, exponents)

    def norms(self, arrays: Views, masks: Views, axes: Axes, p: float, q: float) -> list[Any]:
        return self.library.rows(self._filled("norms", (2, _groups(arrays, axes)), arrays, masks, axes, p, q))

    def retained_bound(self, arrays: Views, masks: Views, axes: Axes, *pair_and_eta: float) -> Any:
        return self._filled("retained_bound", (_groups(arrays, axes),), arrays, masks, axes, *pair_and_eta)

    def mean_index_bound(self, arrays: Views, masks: Views, axes: Axes, *pair_and_eta: float) -> list[Any]:
        shape = 3, _groups(arrays, axes)
        return self.library.rows(self._filled("mean_index_bound", shape, arrays, masks, axes, *pair_and_eta))

    def gini(self, arrays: Views, masks: Views, axes: Axes) -> Any:
        return self._filled("gini", (_groups(arrays, axes),), arrays, masks, axes)

    def extent(self, arrays: Views, masks: Views, axes: Axes) -> tuple[Any, Any, Any]:
        groups = _groups(arrays, axes)
        largest, counts = self.library.empty((groups,), "float64"), self.library.empty((2, groups), "int64")
        outputs = self.view(largest, "out"), self.view(counts, "out")
        self._module.extent(arrays, masks, axes, *outputs, self._stream)
        zeros, live = self.library.rows(counts)
        return largest, zeros, live

    def count_live(self, arrays: Views, masks: Views, axes: Axes) -> Any:
        out = self.library.empty((_groups(arrays, axes),), "int64")
        self._module.count_live(arrays, masks, axes, self.view(out, "out"), self._stream)
        return out

    def topk_mask(self, arrays: Views, masks: Views, axes: Axes, k: Any, _live: None, out: Views) -> None:
        self._module.topk_mask(arrays, masks, axes, k, out, self._stream)

    def topk_threshold(self, arrays: Views, masks: Views, axes: Axes, k: Any, _live: None) -> Any:
        return self._filled("topk_threshold", (_groups(arrays, axes),), arrays, masks, axes, k)

    def retained_bound_from_index(self, index: Any, d: Any, p: float, q: float, eta: float) -> Any:
        views = self.view(index, "index"), self.view(d, "d")
        return self._filled("retained_bound_from_index", tuple(index.shape), *views, p, q, eta)

    def empty_masks(self, arrays: Views) -> tuple[list[Any], list[Any]]:
        """An uninitialised mask for each array, and a view of it."""
        masks = [self.library.empty(tuple(array.shape), "bool") for array in arrays]
        return masks, [self.view(mask, "out") for mask in masks]

    def counts(self, k: Any, batch: _arrays.Batch) -> Any:
        """How many to select: on the host checked against the groups' sizes, on the device clamped to live entries."""
        if not _arrays.on_cuda(k):
            host = k if type(k) is int else _arrays.to_numpy("k", k)
            checked = _check.counts(host, _size(batch), batch.group_shape)
            if np.ndim(host) == 0:
                return int(host)
            return self.view(self.library.from_host(checked.view(np.int64)), "k")
        _check.count_dtype(np.dtype(str(k.dtype).removeprefix("torch.")).kind in "iu", k.dtype)
        _check.count_shape(tuple(k.shape), batch.group_shape)
        given = self.library.broadcast(self.library.convert(k, "int64").clip(0), batch.group_shape)
        return self.view(self.library.convert(given, "int64"), "k")


def _groups(arrays: Views, axes: Axes) -> int:
    return 1 if axes is None else math.prod(n for i, n in enumerate(arrays[0].shape) if i not in axes)


def _size(batch: _arrays.Batch) -> int:
    """Entries of each group."""
    shapes = [tuple(view.shape) for view in batch.views]
    return sum(map(math.prod, shapes)) if batch.grouping is None else math.prod(shapes[0][a] for a in batch.grouping)


def of_arrays(library: Library, arrays: Views, masks: Views, axes: Axes, keepdims: bool) -> _arrays.Batch:
    """Views of arrays of one library on one device whose arguments were checked."""
    engine = Engine(library)
    names = ["x"] if len(arrays) == 1 else [f"arrays[{i}]" for i in range(len(arrays))]
    views = [engine.view(array, name) for array, name in zip(arrays, names, strict=True)]
    pairs = zip(masks, arrays, strict=False)
    live = [engine.view(library.broadcast(mask, tuple(array.shape)), "where") for mask, array in pairs]
    shapes = [_arrays.reduced_shape(arrays, axes, keepdims=keep) for keep in (False, keepdims)]
    return _arrays.Batch(views, live, axes, [], shapes[0], shapes[1], engine)


def of_tensors(tensors: Views, masks: Views, axes: Axes, keepdims: bool) -> _arrays.Batch:
    """Views of CUDA tensors."""
    return of_arrays(TorchDevice(tensors[0].device), tensors, masks, axes, keepdims)


def prepare(x: Any, axis: Any, keepdims: Any, where: Any, names: dict[str, Any]) -> _arrays.Batch:
    """Check a measure's array arguments where the first array is not torch's but on a device."""
    arrays = x.arrays if isinstance(x, Pooled) else [x]
    axis, keepdims = _check.torch_names(axis, keepdims, names, is_torch=isinstance(x, Pooled))
    keepdims = _check.flag("keepdims", keepdims)
    library = _library_of(arrays)
    if isinstance(x, Pooled):
        _check.pooled_has_no_axes(axis, keepdims)
        masks = (
            []
            if where is None
            else _check.masks_match(where.arrays if isinstance(where, Pooled) else where, len(arrays))
        )
    else:
        masks = [] if where is None else [where]
    axes = _check.axes(axis, len(arrays[0].shape))
    checked = [_mask(library, mask, tuple(array.shape)) for mask, array in zip(masks, arrays, strict=False)]
    return of_arrays(library, arrays, checked, axes, keepdims)


def _library_of(arrays: Views) -> Library:
    for i, array in enumerate(arrays):
        name = "x" if len(arrays) == 1 else f"arrays[{i}]"
        if type(array).__module__.partition(".")[0] != "cupy":
            rule = "be a torch tensor or a CuPy array if it lies on a CUDA device"
            _check.refuse_array(
                name, f"{rule}, got {type(array).__name__}; pass torch.from_dlpack(x), which copies nothing"
            )
    _check.one_device([f"cuda:{array.device.id}" for array in arrays])
    return CupyDevice(arrays[0].device)


def _mask(library: Library, where: Any, shape: tuple[int, ...]) -> Any:
    mask = where if _arrays.on_cuda(where) else library.from_host(_arrays.to_numpy("where", where))
    _check.mask_dtype(mask.dtype == np.bool_, mask.dtype)
    _check.mask_shape(tuple(mask.shape), shape)
    return mask


def bound_of_tensors(index: Any, d: Any, p: float, q: float, eta: float) -> Any:
    """`retained_bound_from_index` of CUDA tensors; whether d ≥ 0 is not looked at."""
    library = TorchDevice(index.device)
    numbers, lengths = (library.convert(x, "float64") for x in (index, d))
    shape = tuple((numbers + lengths).shape)
    numbers, lengths = (library.convert(library.broadcast(x, shape), "float64") for x in (numbers, lengths))
    return Engine(library).retained_bound_from_index(numbers, lengths, p, q, eta)
