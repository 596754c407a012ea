"""Bytes in memory as a tensor of any element type, without a library that knows the type.

numpy has neither bfloat16 nor float8. DLPack names them, and the array functions take anything that speaks DLPack.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pqi.checkpoint.element import ElementType

CPU, VERSION, READ_ONLY = 1, (1, 0), 1


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    """``DLManagedTensorVersioned`` of DLPack 1.0."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


_lent: dict[int, tuple[Any, ...]] = {}
"""What capsules point to, by the address of their managed tensor, until the consumer calls the deleter."""


def _forget(address: int) -> None:
    _lent.pop(address, None)


_api = ctypes.pythonapi
_new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", _api)
)
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _api))
_get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))
_NAME = b"dltensor_versioned"


def _forget_unused(capsule: int) -> None:
    """Free what a capsule points to if nobody took it over; its address, not the object, whose count is zero."""
    if _is_valid(capsule, _NAME):
        _forget(_get_pointer(capsule, _NAME))


_delete = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_forget)
_destroy = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_forget_unused)


class RawTensor:
    """A read-only tensor over bytes, as a DLPack producer.

    Parameters
    ----------
    memory : numpy.ndarray of uint8
        One dimension, contiguous; kept alive as long as a consumer needs it. It need not be aligned.
    element : ElementType
        A measurable one.
    shape : tuple of int
    strides : tuple of int, optional
        In elements, none negative; row-major by default.
    offset : int
        Byte in `memory` at which the first element lies.

    Raises
    ------
    ValueError
        If an element would lie outside `memory`.

    Examples
    --------
    >>> import pqi
    >>> from pqi.checkpoint.element import TYPES
    >>> two_and_one = np.array([0x00, 0x40, 0x80, 0xBF], np.uint8)
    >>> float(pqi.norms(RawTensor(two_and_one, TYPES["bfloat16"], (2,)), 1, 2)[0])
    3.0
    """

    __slots__ = ("element", "memory", "offset", "shape", "strides")

    def __init__(
        self,
        memory: NDArray[np.uint8],
        element: ElementType,
        shape: tuple[int, ...],
        strides: tuple[int, ...] | None = None,
        offset: int = 0,
    ) -> None:
        self.memory, self.element, self.shape, self.offset = memory, element, shape, offset
        self.strides = row_major(shape) if strides is None else strides
        end = offset + element.itemsize * extent(shape, self.strides)
        if offset < 0 or min(self.strides, default=0) < 0 or end > memory.size:
            raise ValueError(f"elements must lie within {memory.size} bytes, got offset {offset} and end {end}")

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU, 0

    def __dlpack__(self, *, max_version: tuple[int, int] | None = None, **_: Any) -> Any:
        if max_version is None or max_version[0] < VERSION[0]:
            raise BufferError("a read-only tensor needs a consumer that speaks DLPack 1.0")
        ndim = len(self.shape)
        shape, strides = ((ctypes.c_int64 * ndim)(*values) for values in (self.shape, self.strides))
        managed = _Managed()
        managed.major, managed.minor = VERSION
        managed.deleter = ctypes.cast(_delete, ctypes.c_void_p)
        managed.flags = READ_ONLY
        tensor = managed.tensor
        tensor.data, tensor.byte_offset = self.memory.ctypes.data, self.offset
        tensor.device_type, tensor.device_id = CPU, 0
        tensor.code, tensor.bits, tensor.lanes = self.element.code, self.element.bits, 1
        tensor.ndim, tensor.shape, tensor.strides = ndim, shape, strides
        address = ctypes.addressof(managed)
        _lent[address] = (managed, shape, strides, self.memory)
        return _new_capsule(address, _NAME, ctypes.cast(_destroy, ctypes.c_void_p))


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements of a row-major array.

    Examples
    --------
    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def extent(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Elements between the first and the one past the last that a strided array touches.

    Examples
    --------
    >>> extent((2, 3), (10, 1)), extent((0, 3), (3, 1)), extent((), ())
    (13, 0, 1)
    """
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
