"""What is accepted: dtypes, layouts, libraries, axis, keepdims and where; and in which kind the answer comes."""

from __future__ import annotations

import array
import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pqi
import reference
from cases import BFLOAT16, DTYPES, LAYOUTS, bits, sample

# Each gives one number per group; beside it the reference of one group.
SCALARS: dict[str, tuple[Callable[..., Any], Callable[[Any], float]]] = {
    "index": (pqi.index, reference.index),
    "index(.7, 1.3)": (lambda x, **rest: pqi.index(x, 0.7, 1.3, **rest), lambda v: reference.index(v, 0.7, 1.3)),
    "gini": (pqi.gini, reference.gini),
    "norm": (lambda x, **rest: pqi.norms(x, 1, 2, **rest)[1], lambda v: reference.norm(v, 2)),
    "bound": (pqi.retained_bound, reference.retained_bound),
    "threshold": (lambda x, **rest: pqi.topk_threshold(x, 2, **rest), lambda v: reference.topk_threshold(v, 2)),
}
SHAPE = (4, 5, 6)
GROUPED: list[Any] = [0, 2, (0, 2)]
AXES: list[Any] = [None, 0, 1, 2, -1, -3, (0,), (0, 1), (2, 0), (1, -1), (0, 1, 2)]


def some_live(shape: tuple[int, ...]) -> np.ndarray:
    """Return a mask with at least two live entries in every group, along any axis."""
    live = np.random.default_rng(4).random(shape) < 0.5
    for axis in range(len(shape)):
        live[(slice(None),) * axis + (slice(2),)] = True
    return live


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_layouts(layout: str, dtype: np.dtype[Any]) -> None:
    """A layout changes no bit, whole or by group, and masks come back in the array's own order."""
    x = sample(dtype, (13, 7, 29))
    view = LAYOUTS[layout](x)
    for function, _ in SCALARS.values():
        assert bits(function(view)) == bits(function(x))
        for axis in GROUPED:
            assert bits(function(view, axis=axis)) == bits(function(x, axis=axis))
    np.testing.assert_array_equal(pqi.topk_mask(view, 500), pqi.topk_mask(x, 500))
    for axis in GROUPED:
        np.testing.assert_array_equal(pqi.topk_mask(view, 10, axis=axis), pqi.topk_mask(x, 10, axis=axis))


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1"])
def test_axis_keepdims_and_where(name: str, axis: Any, dtype: str) -> None:
    function, definition = SCALARS[name]
    x = sample(np.dtype(dtype), SHAPE, seed=3)
    live = some_live(SHAPE)
    for where in (None, live):
        for keepdims in (False, True):
            expected = reference.by_group(definition, x, axis, where=where, keepdims=keepdims)
            result = function(x, axis=axis, where=where, keepdims=keepdims)
            assert np.shape(result) == expected.shape
            np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", SCALARS)
def test_where_is_broadcast(name: str) -> None:
    function, _ = SCALARS[name]
    x = sample(np.dtype(np.float32), SHAPE)
    for shape in ((6,), (5, 1), (4, 1, 1), (1, 5, 6)):
        live = np.random.default_rng(5).random(shape) < 0.5
        live.flat[0] = True
        assert bits(function(x, where=live)) == bits(function(x, where=np.broadcast_to(live, SHAPE)))
        everywhere = np.broadcast_to(live, SHAPE).copy()
        everywhere[:, :2] = True
        assert bits(function(x, axis=(0, 1), where=everywhere[:1])) == bits(
            function(x, axis=(0, 1), where=np.broadcast_to(everywhere[:1], SHAPE).copy())
        )


@pytest.mark.parametrize("name", SCALARS)
def test_layouts_of_where(name: str) -> None:
    function, _ = SCALARS[name]
    x = sample(np.dtype(np.float32), SHAPE)
    live = some_live(SHAPE)
    for layout in LAYOUTS.values():
        assert bits(function(x, where=layout(live))) == bits(function(x, where=live))
        assert bits(function(layout(x), axis=2, where=layout(live))) == bits(function(x, axis=2, where=live))


def test_where_hides_what_is_not_finite() -> None:
    x = np.array([3.0, math.nan, 0.0, math.inf, -1.0])
    live = np.isfinite(x)
    assert pqi.index(x, where=live) == pytest.approx(reference.index(x[live]), abs=1e-15)
    assert pqi.gini(x, where=live) == pytest.approx(reference.gini(x[live]), abs=1e-15)
    assert pqi.topk_mask(x, 1, where=live).tolist() == [True, False, False, False, False]


def test_where_true_everywhere_changes_no_bit() -> None:
    x = sample(np.dtype(np.float32), 20_000)
    for function, _ in SCALARS.values():
        assert bits(function(x, where=np.ones(x.size, dtype=bool))) == bits(function(x))


def test_nothing_live_is_an_empty_group() -> None:
    x = np.ones((2, 3))
    live = np.array([[True] * 3, [False] * 3])
    for function, full in ((pqi.index, 0), (pqi.gini, 0), (pqi.retained_bound, 3)):
        np.testing.assert_allclose(function(x, axis=1, where=live), [full, math.nan], rtol=0, atol=1e-15)
    assert math.isnan(pqi.index(x, where=False))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_zero_strides(dtype: np.dtype[Any]) -> None:
    row = sample(dtype, (1, 6, 1))
    x = np.broadcast_to(row, (5, 6, 7))
    copy = x.copy()
    for function, _ in SCALARS.values():
        for axis in (None, 0, (0, 2), 1):
            assert bits(function(x, axis=axis)) == bits(function(copy, axis=axis))
    np.testing.assert_array_equal(pqi.topk_mask(x, 50), pqi.topk_mask(copy, 50))


def test_zero_size() -> None:
    for function in (pqi.index, pqi.gini, pqi.retained_bound):
        assert math.isnan(function(np.zeros(0)))
        assert np.isnan(function(np.zeros((0, 3)), axis=0)).tolist() == [True] * 3
        assert function(np.zeros((0, 3)), axis=1).shape == (0,)
        assert function(np.zeros((2, 0, 3)), axis=(1, 2), keepdims=True).shape == (2, 1, 1)


def test_zero_dimensions() -> None:
    for value in (np.array(-4.0), np.float32(3), 2, 2.5, True):
        assert pqi.index(value) == 0
        assert pqi.gini(value) == 0
        assert pqi.retained_bound(value) == 1
        assert pqi.topk_threshold(value, 1) == abs(value)
    assert pqi.topk_mask(np.array(-4.0), 1).shape == ()
    assert bool(pqi.topk_mask(np.array(-4.0), 1))
    assert math.isnan(pqi.index(0.0))


def test_single_entries() -> None:
    assert np.asarray(pqi.index(np.array([[5.0], [0.0]]), axis=1)).tolist()[0] == 0


def test_numpy_answers_in_numpy() -> None:
    x = sample(np.dtype(np.float32), SHAPE)
    for function, _ in SCALARS.values():
        assert type(function(x)) is np.float64
        rows = function(x, axis=1)
        assert type(rows) is np.ndarray
        assert rows.dtype == np.float64
    assert type(pqi.topk_mask(x, 3)) is np.ndarray
    assert pqi.power_means(x, [1.0, 2.0]).dtype == np.float64


def test_sequences_answer_in_floats() -> None:
    for x in ([3.0, 0, 0, 1], (3, 0, 0, 1), [[3.0, 0], [0, 1.0]], range(4), [True, False]):
        for function, definition in SCALARS.values():
            assert type(function(x)) is float
            assert function(x) == pytest.approx(definition(np.array(x)), abs=1e-14)
    assert pqi.index([3.0, 0, 0, 1]) == pytest.approx(0.5334936490538904, abs=1e-15)
    assert np.asarray(pqi.topk_mask([3, -4, 1, 4], 2)).tolist() == [False, True, False, True]


def test_buffers() -> None:
    values = [3.0, 0.0, -2.0, 1.0]
    for buffer in (array.array("d", values), array.array("f", values), memoryview(array.array("d", values))):
        assert float(pqi.index(buffer)) == pytest.approx(reference.index(np.array(values)), abs=1e-15)


def test_bytes_in_another_order() -> None:
    x = sample(np.dtype(np.float32), 1000)
    for function, _ in SCALARS.values():
        assert bits(function(x.astype(x.dtype.newbyteorder()))) == bits(function(x))


class Producer:
    """The least that the DLPack protocol asks of an array."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __dlpack__(self, **rest: Any) -> Any:
        return self.inner.__dlpack__(**rest)

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self.inner.__dlpack_device__()
        return device


class OldProducer(Producer):
    """A producer from before the protocol had versions."""

    def __dlpack__(self, stream: None = None) -> Any:  # type: ignore[override]
        return self.inner.__dlpack__()


@pytest.mark.parametrize("kind", [Producer, OldProducer])
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != BFLOAT16], ids=str)
def test_dlpack_producers(kind: type[Producer], dtype: np.dtype[Any]) -> None:
    x = sample(dtype, (9, 8))
    for function, _ in SCALARS.values():
        assert bits(np.asarray(function(kind(x)))) == bits(np.asarray(function(x)))
        assert bits(np.asarray(function(kind(x.T[::-1]), axis=0))) == bits(function(x.T[::-1], axis=0))
    np.testing.assert_array_equal(np.asarray(pqi.topk_mask(kind(x), 20)), pqi.topk_mask(x, 20))


def test_dlpack_producers_in_a_pool() -> None:
    x = sample(np.dtype(np.float32), (9, 8))
    assert bits(np.asarray(pqi.index(pqi.pooled([Producer(x[:4]), x[4:]])))) == bits(np.asarray(pqi.index(x)))


def test_many_dimensions() -> None:
    x = sample(np.dtype(np.float32), 2**10).reshape((2,) * 10)
    assert bits(pqi.index(x)) == bits(pqi.index(x.ravel()))
    axes = (0, 2, 4, 6, 8)
    np.testing.assert_allclose(
        pqi.index(x, axis=axes), reference.by_group(reference.index, x, axes), rtol=0, atol=1e-13
    )
    transposed = x.transpose(*range(9, -1, -1))
    assert bits(pqi.index(transposed)) == bits(pqi.index(np.ascontiguousarray(transposed)))


class Tensor(ctypes.Structure):
    """DLPack's DLManagedTensor, flat."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    ]


class Packed:
    """Sixteen signed integers of some bits, offered through DLPack."""

    def __init__(self, bits: int) -> None:
        self.memory = (ctypes.c_uint8 * 64)(*([1] * 64))
        self.shape = (ctypes.c_int64 * 1)(16)
        data = ctypes.cast(self.memory, ctypes.c_void_p)
        self.tensor = Tensor(data, (1, 0), 1, 0, bits, 1, self.shape, None, 0, None, None)

    def __dlpack__(self) -> Any:
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return new(ctypes.addressof(self.tensor), b"dltensor", None)


@pytest.mark.parametrize("bits", [1, 4, 128])
def test_integers_of_other_widths_are_refused(bits: int) -> None:
    """Packed 4-bit integers were read as 64-bit ones, far past their end."""
    assert pqi.index(Packed(8)) == 0
    with pytest.raises(TypeError, match=f"with {bits} bits"):
        pqi.index(Packed(bits))
