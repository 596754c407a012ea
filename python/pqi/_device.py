"""Arrays on CUDA devices: `pqi._cuda` behind the functions of the core.

Results are allocated by the library that the arrays are from, on their device; arrays of other libraries than torch and
CuPy are read as torch's and answered so. Everything is enqueued on the stream
that is current there, and nothing waits for it but what the host goes on with: counts of a histogram, a sketch, and
the widths of the intervals of `gini(tol=)`. `pqi._cuda` is imported with the first such array.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Sequence
from copy import copy
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from pqi import _arrays, _check, _check_device, _core, _tensors
from pqi._arrays import Grouping
from pqi._device_libraries import CupyDevice, Library, TorchDevice
from pqi._pooled import Pooled
from pqi._segments import Segments

Views = Sequence[Any]


@cache
def load() -> Any:
    """Import the CUDA module, once there is a device to run it."""
    try:
        module = importlib.import_module("pqi._cuda")
    except ImportError as error:
        _check.no_cuda_module(error)
    if module.device_count() == 0:
        _check.no_cuda_device(module.why_no_device())
    return module


def state() -> dict[str, Any]:
    """What `pqi.info` tells of CUDA."""
    try:
        module = importlib.import_module("pqi._cuda")
    except ImportError:
        return {"compiled": False, "devices": [], "architectures": [], "workspace_bytes": 0}
    names, architectures, kept = module.device_names(), module.architectures(), module.workspace_bytes()
    return {"compiled": True, "devices": names, "architectures": architectures, "workspace_bytes": kept}


def release_workspace() -> None:
    """Give back what devices keep for the next call, where the module was ever used."""
    if (module := sys.modules.get("pqi._cuda")) is not None:
        module.release_workspace()


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

    def index(self, arrays: Views, masks: Views, grouping: Grouping, p: float, q: float) -> Any:
        return self._filled("index", (_groups(arrays, grouping),), arrays, masks, grouping, p, q)

    def index_grid(
        self, arrays: Views, masks: Views, grouping: Grouping, p: Sequence[float], q: Sequence[float]
    ) -> Any:
        return self._filled("index_grid", (_groups(arrays, grouping), len(p), len(q)), arrays, masks, grouping, p, q)

    def power_means(self, arrays: Views, masks: Views, grouping: Grouping, exponents: Sequence[float]) -> Any:
        shape = _groups(arrays, grouping), len(exponents)
        return self._filled("power_means", shape, arrays, masks, grouping, exponents)

    def norms(self, arrays: Views, masks: Views, grouping: Grouping, p: float, q: float) -> list[Any]:
        return self.library.rows(self._filled("norms", (2, _groups(arrays, grouping)), arrays, masks, grouping, p, q))

    def retained_bound(self, arrays: Views, masks: Views, grouping: Grouping, *pair_and_eta: float) -> Any:
        return self._filled("retained_bound", (_groups(arrays, grouping),), arrays, masks, grouping, *pair_and_eta)

    def mean_index_bound(self, arrays: Views, masks: Views, grouping: Grouping, *pair_and_eta: float) -> list[Any]:
        shape = 3, _groups(arrays, grouping)
        return self.library.rows(self._filled("mean_index_bound", shape, arrays, masks, grouping, *pair_and_eta))

    def gini(self, arrays: Views, masks: Views, grouping: Grouping) -> Any:
        return self._filled("gini", (_groups(arrays, grouping),), arrays, masks, grouping)

    def extent(self, arrays: Views, masks: Views, grouping: Grouping) -> tuple[Any, Any, Any]:
        groups = _groups(arrays, grouping)
        largest, counts = self.library.empty((groups,), "float64"), self.library.empty((2, groups), "int64")
        outputs = self.view(largest, "out"), self.view(counts, "out")
        self._module.extent(arrays, masks, grouping, *outputs, self._stream)
        zeros, live = self.library.rows(counts)
        return largest, zeros, live

    def count_live(self, arrays: Views, masks: Views, grouping: Grouping) -> Any:
        out = self.library.empty((_groups(arrays, grouping),), "int64")
        self._module.count_live(arrays, masks, grouping, self.view(out, "out"), self._stream)
        return out

    def topk_mask(self, arrays: Views, masks: Views, grouping: Grouping, k: Any, _live: None, out: Views) -> None:
        self._module.topk_mask(arrays, masks, grouping, k, out, self._stream)

    def topk_threshold(self, arrays: Views, masks: Views, grouping: Grouping, k: Any, _live: None) -> Any:
        return self._filled("topk_threshold", (_groups(arrays, grouping),), arrays, masks, grouping, k)

    def retained_bound_from_index(self, index: Any, d: Any, p: float, q: float, eta: float) -> Any:
        views = self.view(index, "index"), self.view(d, "d")
        return self._filled("retained_bound_from_index", tuple(index.shape), *views, p, q, eta)

    def histogram(self, arrays: Views, masks: Views) -> tuple[int, np.ndarray[Any, Any]]:
        counts = self.library.empty((1 << 16,), "int64")
        number = self._module.histogram(arrays, masks, self.view(counts, "out"), self._stream)
        return number, self.library.to_host(counts).view(np.uint64)

    def gini_sketch(self, arrays: Views, masks: Views, tol: float) -> _core.GiniSketch:
        bits = _core.sketch_bits(tol)
        most = self._module.sketch_rows(arrays, bits)
        if most is None:
            return _core.histogram_sketch(*self.histogram(arrays, masks))
        head, rows = self.library.empty((6,), "int64"), self.library.empty((most, 4), "int64")
        self._module.gini_sketch(arrays, masks, bits, self.view(head, "out"), self.view(rows, "out"), self._stream)
        numbers = self.library.to_host(head).view(np.uint64)
        return _core.GiniSketch.of_state(numbers[:5], self.library.to_host(rows[: int(numbers[5])]).view(np.uint64))

    def gini_within(self, arrays: Views, masks: Views, grouping: Grouping, tol: float, unbiased: bool) -> list[Any]:
        found = self.library.empty((5, _groups(arrays, grouping)), "float64")
        view = self.view(found, "out")

        def fill(chosen: list[int] | None, bits: int) -> bool:
            return bool(
                self._module.gini_intervals(arrays, masks, grouping, chosen, bits, unbiased, view, self._stream)
            )

        bits = _core.interval_bits(tol)
        if fill(None, bits):
            biased, widths = self.library.to_host(found[3:])
            finer: dict[int, list[int]] = {}
            for group in np.flatnonzero(biased > tol).tolist():
                finer.setdefault(_core.finer_sketch_bits(biased[group], bits, tol), []).append(group)
            finer.pop(0, None)
            for more, groups in finer.items():
                fill(groups, more)
            wide = np.flatnonzero((self.library.to_host(found[4:])[0] if finer else widths) > tol)
            if wide.size:
                fill(wide.tolist(), 0)
        return self.library.rows(found[:3])

    def given_mask(self, mask: Any, name: str) -> Any:
        """The view of a mask to be written."""
        fits = self.library.holds(mask) and str(mask.dtype).removeprefix("torch.") == "bool"
        kind = (
            f"{type(mask).__name__} on {mask.device} of {mask.dtype}"
            if hasattr(mask, "device")
            else type(mask).__name__
        )
        _check_device.mask_to_write(name, fits, str(self.library), kind)
        return self.view(mask, name)

    def empty_masks(self, arrays: Views) -> tuple[list[Any], list[Any]]:
        """An uninitialised mask for each array, and a view of it."""
        masks = [self.library.empty(tuple(array.shape), "bool") for array in arrays]
        return masks, [self.view(mask, "out") for mask in masks]

    def counts(self, k: Any, batch: _arrays.Batch) -> Any:
        """How many to select: on the host checked against the groups' sizes, on the device clamped to live entries."""
        k = adopted(k)
        if not _arrays.on_cuda(k):
            host = k if type(k) is int else _arrays.to_numpy("k", k)
            checked = _check.counts(host, batch.sizes(), batch.group_shape)
            if np.ndim(host) == 0:
                return int(host)
            return self.view(self.library.from_host(checked.view(np.int64)), "k")
        _check.count_dtype(np.dtype(str(k.dtype).removeprefix("torch.")).kind in "iu", k.dtype)
        _check.count_shape(tuple(k.shape), batch.group_shape)
        with self.library.current():
            given = self.library.broadcast(self.library.convert(k, "int64").clip(0), batch.group_shape)
        return self.view(self.library.convert(given, "int64"), "k")


def _groups(arrays: Views, grouping: Grouping) -> int:
    if isinstance(grouping, np.ndarray):
        return grouping.size - 1
    return 1 if grouping is None else math.prod(n for i, n in enumerate(arrays[0].shape) if i not in grouping)


def of_arrays(
    library: Library, arrays: Views, masks: Views, axes: tuple[int, ...] | None, keepdims: bool
) -> _arrays.Batch:
    """Views of arrays of one library on one device whose arguments were checked."""
    engine = Engine(library)
    views = [engine.view(array, name) for array, name in zip(arrays, _names(arrays), strict=True)]
    pairs = zip(masks, arrays, strict=False)
    live = [engine.view(library.broadcast(mask, tuple(array.shape)), "where") for mask, array in pairs]
    shapes = [_arrays.reduced_shape(arrays, axes, keepdims=keep) for keep in (False, keepdims)]
    return _arrays.Batch(views, live, axes, [], shapes[0], shapes[1], engine)


def _names(arrays: Views) -> list[str]:
    return ["x"] if len(arrays) == 1 else [f"arrays[{i}]" for i in range(len(arrays))]


def of_tensors(tensors: Views, masks: Views, axes: tuple[int, ...] | None, keepdims: bool) -> _arrays.Batch:
    """Views of CUDA tensors."""
    return of_arrays(TorchDevice(tensors[0].device), tensors, masks, axes, keepdims)


def adopted(x: Any) -> Any:
    """Arrays on a device as tensors that share their memory.

    Those of torch and CuPy stay what they are, and so does everything where no torch reaches the device.
    """
    if isinstance(x, Pooled):
        return Pooled([adopted(array) for array in x.arrays])
    if isinstance(x, Segments):
        x = copy(x)
        x.values = adopted(x.values)
        return x
    if isinstance(x, (list, tuple)):
        return [adopted(array) for array in x]
    if not _arrays.on_cuda(x) or _kind(x) in ("torch", "cupy") or find_spec("torch") is None:
        return x
    torch = _tensors.library()
    return torch.from_dlpack(x) if torch.cuda.is_available() else x


def _kind(array: Any) -> str:
    return "torch" if _tensors.is_torch(array) else type(array).__module__.partition(".")[0]


def prepare(x: Any, axis: Any, keepdims: Any, where: Any, names: dict[str, Any]) -> _arrays.Batch:
    """Check a measure's array arguments where the first array is on a device."""
    x, where = adopted(x), adopted(where)
    if isinstance(x, Segments):
        return _prepare_segments(x, axis, keepdims, where, names)
    if _tensors.are_torch(x):
        call = _tensors.prepare_tensors(x, axis, keepdims, where, names)
        masks, axes, keepdims = call.common
        return of_tensors(call.tensors, masks or (), axes, keepdims)
    arrays = x.arrays if isinstance(x, Pooled) else [x]
    axis, keepdims = _check.torch_names(axis, keepdims, names, is_torch=isinstance(x, Pooled))
    keepdims = _check.flag("keepdims", keepdims)
    library = _library_of(arrays, _names(arrays))
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
    checked = [_mask(library, mask, array) for mask, array in zip(masks, arrays, strict=False)]
    return of_arrays(library, arrays, checked, axes, keepdims)


def _prepare_segments(x: Segments, axis: Any, keepdims: Any, where: Any, names: dict[str, Any]) -> _arrays.Batch:
    axis, keepdims = _check.torch_names(axis, keepdims, names, is_torch=True)
    _check.segments_have_no_axes(axis, _check.flag("keepdims", keepdims))
    library = _library_of([x.values], ["values"])
    masks = [] if where is None else [_mask(library, where, x.values)]
    batch = of_arrays(library, [x.values], masks, None, False)
    batch.grouping, batch.group_shape = x.offsets, (x.offsets.size - 1,)
    batch.result_shape = batch.group_shape
    return batch


def _library_of(arrays: Views, names: Sequence[str]) -> Library:
    kinds = [_kind(array) for array in arrays]
    for kind, name, array in zip(kinds, names, arrays, strict=True):
        if kind not in ("torch", "cupy") or kind != kinds[0]:
            _check_device.refuse_library(name, type(array).__name__)
    if kinds[0] == "torch":
        for name, array in zip(names, arrays, strict=True):
            _tensors.check_tensor(array, name)
        return TorchDevice(arrays[0].device)
    _check.one_device([f"cuda:{array.device.id}" for array in arrays])
    return CupyDevice(arrays[0].device)


def _mask(library: Library, where: Any, x: Any) -> Any:
    if _tensors.is_torch(x):
        return _tensors.mask_beside(where, x)
    mask = where if _arrays.on_cuda(where) else library.from_host(_arrays.to_numpy("where", where))
    _check.mask_dtype(mask.dtype == np.bool_, mask.dtype)
    _check.mask_shape(tuple(mask.shape), tuple(x.shape))
    return mask


def bound_of_tensors(index: Any, d: Any, p: float, q: float, eta: float) -> Any:
    """`retained_bound_from_index` of arrays on a device; whether a d that lies there is ≥ 0 is not looked at."""
    index, d = adopted(index), adopted(d)
    library = _library_of([index], ["index"])
    if not _arrays.on_cuda(d):
        d = library.from_host(_check.indices_and_lengths(np.zeros(()), _arrays.to_numpy("d", d))[1].copy())
    for name, numbers in (("index", index), ("d", d)):
        _check_device.beside_index(name, library.holds(numbers), str(library), str(numbers.dtype))
    shape = _check_device.common_shape(tuple(index.shape), tuple(d.shape))
    numbers, lengths = (
        library.convert(library.broadcast(library.convert(x, "float64"), shape), "float64") for x in (index, d)
    )
    return Engine(library).retained_bound_from_index(numbers, lengths, p, q, eta)
