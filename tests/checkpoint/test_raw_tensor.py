"""Raw bytes as DLPack tensors: values, lifetimes and bounds."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import pqi
from pqi.checkpoint import raw_tensor
from pqi.checkpoint.element import TYPES
from pqi.checkpoint.raw_tensor import RawTensor

RNG = np.random.default_rng(0)


def raw(values: Any, name: str, **options: Any) -> RawTensor:
    return RawTensor(np.frombuffer(values.tobytes(), np.uint8), TYPES[name], values.shape, **options)


@pytest.mark.parametrize(
    "name",
    ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int8", "uint16", "bool"],
)
def test_bits_are_those_of_the_library_that_knows_the_type(name: str) -> None:
    dtype = getattr(ml_dtypes, name, name)
    values = (np.abs(RNG.normal(size=(7, 11))) * 3).astype(dtype)
    x = raw(values, name)
    assert pqi.index(x) == pqi.index(values)
    assert pqi.gini(x) == pqi.gini(values)
    assert (pqi.index(x, axis=1) == pqi.index(values, axis=1)).all()
    assert (pqi.topk_mask(x, 9) == pqi.topk_mask(values, 9)).all()


def test_strides_and_unaligned_offsets() -> None:
    values = RNG.normal(size=(6, 8)).astype(np.float32)
    memory = np.frombuffer(b"\0" + values.tobytes(), np.uint8)
    x = RawTensor(memory, TYPES["float32"], (8, 3), (1, 16), offset=1)
    assert pqi.index(x) == pqi.index(values[::2].T)


def test_other_libraries_read_it() -> None:
    torch = pytest.importorskip("torch")
    values = RNG.normal(size=(2, 3)).astype(np.float32)
    assert torch.from_dlpack(raw(values, "float32")).tolist() == values.tolist()


@pytest.mark.parametrize("options", [{"offset": 1}, {"offset": -1}, {"strides": (3, 2)}, {"strides": (-3, 1)}])
def test_no_element_may_lie_outside(options: Any) -> None:
    with pytest.raises(ValueError, match="elements must lie within 24 bytes"):
        raw(np.zeros((2, 3), np.float32), "float32", **options)


def test_memory_lives_exactly_as_long_as_needed() -> None:
    memory: Any = np.zeros(24, np.uint8)
    alive = weakref.ref(memory)
    capsule = RawTensor(memory, TYPES["float32"], (2, 3)).__dlpack__(max_version=(1, 0))
    del memory
    gc.collect()
    assert alive() is not None
    del capsule
    gc.collect()
    assert alive() is None
    pqi.index(raw(np.ones((2, 3), np.float32), "float32"))
    assert raw_tensor._lent == {}


def test_consumers_that_might_write_are_turned_away() -> None:
    with pytest.raises(BufferError, match="read-only"):
        raw(np.zeros(3, np.float32), "float32").__dlpack__()
