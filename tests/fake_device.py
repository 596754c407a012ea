"""A CUDA device that is none: block programs run on the CPU, on arrays that only say they lie elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import blocks
from cases import bits
from pqi import _arrays, _device
from pqi._device_libraries import TorchDevice

torch = pytest.importorskip("torch")

STREAM = 4711


class Cuda:
    """`pqi._cuda` over host memory; remembers what it was asked for and on which stream."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.waits = 0  # how often the host asked for what a stream has yet to compute
        self.View = SimpleNamespace(of_dlpack=blocks.module().View.of_numpy)

    def device_count(self) -> int:
        return 1

    def sketch_rows(self, arrays: Any, bits: int) -> Any:
        return blocks.module().sketch_rows(arrays, bits)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            self.calls.append((name, arguments[-1]))
            return getattr(blocks.module(), name)(*arguments[:-1], 0)

        return run


class HostTensors(TorchDevice):
    """Tensors in host memory; a numpy array stands for the capsule."""

    cuda: Cuda

    def stream(self) -> int:
        return STREAM

    def current(self) -> Any:
        return nullcontext()

    def capsule(self, array: Any) -> Any:
        return array.detach().numpy()

    def to_host(self, array: Any) -> Any:
        self.cuda.waits += 1
        return super().to_host(array)


class Stand:
    """An array that says it lies on a CUDA device, in the manner of CuPy's, and is used only while that is current."""

    cuda: Cuda

    def __init__(self, values: Any, place: int | None = None) -> None:
        self.values = np.asarray(values)
        self.place = Place.current if place is None else place
        self.shape, self.dtype = self.values.shape, self.values.dtype

    def _beside(self, values: Any) -> Stand:
        assert self.place == Place.current
        return Stand(values)

    @property
    def device(self) -> Any:
        return Place(self.place)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.place

    def __dlpack__(self, *, stream: int) -> Any:
        assert self.place == Place.current
        assert stream == STREAM
        return self.values

    def reshape(self, shape: tuple[int, ...]) -> Stand:
        return Stand(self.values.reshape(shape), self.place)

    def clip(self, low: int) -> Stand:
        return self._beside(self.values.clip(low))

    def get(self) -> Any:
        self.cuda.waits += 1
        return self.values.copy()

    def __getitem__(self, place: Any) -> Stand:
        return Stand(self.values[place], self.place)

    def copy(self) -> Stand:
        return self._beside(self.values.copy())

    def __iter__(self) -> Iterator[Stand]:
        return (Stand(row, self.place) for row in self.values)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("implicit conversion to numpy")  # as CuPy refuses it

    def __mul__(self, other: Stand) -> Stand:
        return self._beside(self.values * other.values)

    def __truediv__(self, other: Stand) -> Stand:
        return self._beside(self.values / other.values)

    def __abs__(self) -> Stand:
        return self._beside(abs(self.values))

    def __sub__(self, other: float) -> Stand:
        return self._beside(self.values - other)


Stand.__module__ = "cupy"


class Place:
    """A device: the context in which it is the current one."""

    current = 0

    def __init__(self, number: int) -> None:
        self.id = number
        self._before: list[int] = []

    def __enter__(self) -> None:
        self._before.append(Place.current)
        Place.current = self.id

    def __exit__(self, *_: object) -> None:
        Place.current = self._before.pop()


def install(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    """Let every tensor pass for one on a device."""
    module, real = Cuda(), _arrays.on_cuda
    monkeypatch.setattr(HostTensors, "cuda", module, raising=False)
    monkeypatch.setattr(Stand, "cuda", module, raising=False)
    monkeypatch.setattr(_device, "load", lambda: module)
    monkeypatch.setattr(_device, "TorchDevice", HostTensors)
    monkeypatch.setattr(_arrays, "on_cuda", lambda x: isinstance(x, torch.Tensor) or real(x))
    return module


def cupy_of_stands() -> Any:
    """Return a library in CuPy's place."""
    library: Any = ModuleType("cupy")
    library.empty = lambda shape, dtype: Stand(np.empty(shape, dtype))
    library.asarray = Stand
    library.broadcast_to = lambda array, shape: Stand(np.broadcast_to(array.values, shape), array.place)
    library.ascontiguousarray = lambda array, dtype: array._beside(np.ascontiguousarray(array.values, dtype))
    library.cuda = SimpleNamespace(get_current_stream=lambda: SimpleNamespace(ptr=STREAM))
    return library


def host(results: Any) -> Any:
    """Return what a stand-in's results hold."""
    return [host(result) for result in results] if isinstance(results, (list, tuple)) else results.values


def same(found: Any, expected: Any) -> None:
    """Demand the same bits of one result or several."""
    if isinstance(expected, (list, tuple)):
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    else:
        assert bits(np.asarray(found)) == bits(expected)
