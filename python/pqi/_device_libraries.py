"""What torch and CuPy do for `_device` on one CUDA device: allocate, convert, and tell the current stream."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from pqi import _tensors


class Library(Protocol):
    """An array library on one device."""

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        """An uninitialised array in C order."""

    def current(self) -> AbstractContextManager[Any]:
        """Makes the device the current one: neither library exports or computes on arrays of another."""

    def capsule(self, array: Any) -> Any:
        """The DLPack capsule of an array that is ready on `stream`."""

    def stream(self) -> int:
        """The caller's current stream, as CUDA's runtime numbers it."""

    def broadcast(self, array: Any, shape: tuple[int, ...]) -> Any:
        """A view of another shape."""

    def convert(self, array: Any, dtype: str) -> Any:
        """The same numbers on this device, in this type and in C order; nothing waits for it."""

    def from_host(self, array: np.ndarray[Any, Any]) -> Any:
        """A copy of a host array on this device; nothing waits for it."""

    def to_host(self, array: Any) -> np.ndarray[Any, Any]:
        """A copy of a device array on the host, which waits for it."""

    def holds(self, array: Any) -> bool:
        """Whether an array is of this library and on this device."""

    def rows(self, array: Any) -> list[Any]:
        """The rows of an array, each in memory of its own."""


class TorchDevice:
    """torch, which keeps the order of its own stream and asks for none to be kept."""

    def __init__(self, device: Any) -> None:
        self._torch: Any = importlib.import_module("torch")
        self._device = device

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        return self._torch.empty(shape, dtype=getattr(self._torch, dtype), device=self._device)

    def current(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = self._torch.cuda.device(self._device)
        return context

    def capsule(self, array: Any) -> Any:
        with self.current():
            return array.detach().resolve_neg().__dlpack__(stream=-1)

    def stream(self) -> int:
        return int(self._torch.cuda.current_stream(self._device).cuda_stream)

    def broadcast(self, array: Any, shape: tuple[int, ...]) -> Any:
        return array.expand(shape)

    def convert(self, array: Any, dtype: str) -> Any:
        return array.detach().to(self._device, getattr(self._torch, dtype), non_blocking=True).contiguous()

    def from_host(self, array: np.ndarray[Any, Any]) -> Any:
        return _tensors.beside(array, self._device)

    def to_host(self, array: Any) -> np.ndarray[Any, Any]:
        host: np.ndarray[Any, Any] = array.cpu().numpy()
        return host

    def holds(self, array: Any) -> bool:
        return isinstance(array, self._torch.Tensor) and array.device == self._device

    def __str__(self) -> str:
        return f"a torch tensor on {self._device}"

    def rows(self, array: Any) -> list[Any]:
        return [row.clone() for row in array.unbind(0)]


class CupyDevice:
    """CuPy, which orders the stream that it is told of after its own."""

    def __init__(self, device: Any) -> None:
        self._cupy: Any = importlib.import_module("cupy")
        self._device = device

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        with self._device:
            return self._cupy.empty(shape, dtype=dtype)

    def current(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = self._device
        return context

    def capsule(self, array: Any) -> Any:
        with self._device:
            return array.__dlpack__(stream=self.stream() or 1)  # 1 is DLPack's number for CUDA's stream 0

    def stream(self) -> int:
        with self._device:
            return int(self._cupy.cuda.get_current_stream().ptr)

    def broadcast(self, array: Any, shape: tuple[int, ...]) -> Any:
        return self._cupy.broadcast_to(array, shape)

    def convert(self, array: Any, dtype: str) -> Any:
        with self._device:
            return self._cupy.ascontiguousarray(array, dtype=dtype)

    def from_host(self, array: np.ndarray[Any, Any]) -> Any:
        with self._device:
            return self._cupy.asarray(array)

    def to_host(self, array: Any) -> np.ndarray[Any, Any]:
        with self._device:
            host: np.ndarray[Any, Any] = array.get()
            return host

    def holds(self, array: Any) -> bool:
        return type(array).__module__.partition(".")[0] == "cupy" and array.device.id == self._device.id

    def __str__(self) -> str:
        return f"a CuPy array on cuda:{self._device.id}"

    def rows(self, array: Any) -> list[Any]:
        with self._device:
            return [row.copy() for row in array]
