"""Clearing small magnitudes: any type, any place in memory, any stretch of a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pqi
from pqi import _core
from pqi.checkpoint.clearing import NOTHING, Read, Thresholds, Units, clear_below
from pqi.checkpoint.element import TYPES
from pqi.checkpoint.magnitude import keys

WEIGHTS = [name for name, element in TYPES.items() if element.is_weight]
RNG = np.random.default_rng(0)


@pytest.fixture(params=_core.isas_usable())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    pqi.use_isa(request.param)
    yield request.param
    pqi.use_isa("auto")


def finite(name: str, count: int) -> Any:
    """Return the bits of finite elements, every kind of them."""
    element = TYPES[name]
    bits = RNG.integers(0, 256, count * element.itemsize, np.uint8).view(f"u{element.itemsize}")
    bits[::7] = 0
    if element.is_floating:
        exponent = {"float64": 0x7FF << 52, "float32": 0xFF << 23, "float16": 0x1F << 10, "bfloat16": 0xFF << 7}
        special = exponent.get(name, 0x7C if name == "float8_e5m2" else 0x7F)
        bits[(bits & special) == special] = 0
    return bits


def expected(bits: Any, name: str, least: int) -> Any:
    found = keys(bits, TYPES[name], np.empty_like(bits)).astype(object)
    return np.where([key >= least for key in found], bits, 0).astype(bits.dtype)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("name", WEIGHTS)
def test_every_type_at_every_alignment(name: str) -> None:
    width = TYPES[name].itemsize
    bits = finite(name, 1003)
    found = np.sort(keys(bits, TYPES[name], np.empty_like(bits)))
    for least in (0, 1, int(found[500]), int(found[-1]), int(found[-1]) + 1, NOTHING):
        for place in (0, 1, width - 1):
            source, out = (np.full(bits.nbytes + 16, 77, np.uint8) for _ in range(2))
            source[place : place + bits.nbytes] = bits.view(np.uint8)
            clear_below(TYPES[name], source[place : place + bits.nbytes], least, out[3 : 3 + bits.nbytes])
            assert (out[3 : 3 + bits.nbytes].view(bits.dtype) == expected(bits, name, least)).all()
            assert (out[:3] == 77).all()
            assert (out[3 + bits.nbytes :] == 77).all()


def test_every_bfloat16_and_int8() -> None:
    for name in ("bfloat16", "float16", "int8", "uint8"):
        bits = finite(name, 1 << 17)
        for least in (1, 77, 128, 255, 256, 0x3F80):
            out = np.empty(bits.nbytes, np.uint8)
            clear_below(TYPES[name], bits.view(np.uint8), least, out)
            assert (out.view(bits.dtype) == expected(bits, name, least)).all()


def test_what_would_write_out_of_bounds_is_refused() -> None:
    x, out = np.zeros(8, np.float32), np.zeros(8, np.uint32)
    view = _core.View.of_numpy
    for bad in (out[:7], out[::2], x):
        with pytest.raises(ValueError, match="out"):
            _core.clear_below(view(x, "x"), 1, view(bad, "out"))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="contiguous"):
        _core.clear_below(view(x, "x"), 1, view(out, "out"))


def reading(bits: Any) -> Read:
    stored, width = bits.view(np.uint8), bits.itemsize
    return lambda begin, end: stored[begin * width : end * width]


def in_stretches(clearing: Any, bits: Any, step: int) -> tuple[Any, int]:
    """Return what a clearing makes of elements that are asked for piece by piece, and what it counted."""
    out, width, counted = np.empty(bits.nbytes, np.uint8), bits.itemsize, 0
    for first in range(0, bits.size, step):
        counted += clearing.fill(reading(bits), first, out[first * width : (first + step) * width])
    return out.view(bits.dtype), counted


@pytest.mark.parametrize("step", [1, 7, 100, 5000])
def test_thresholds_change_at_stops(step: int) -> None:
    bits = finite("bfloat16", 1000)
    stops, least = (0, 10, 10, 503, 1000), (5, 0, 9, 0x3F80, NOTHING)
    whole = np.concatenate(
        [expected(bits[a:b], "bfloat16", key) for a, b, key in zip((0, *stops), stops, least, strict=False) if a < b]
    )
    assert (in_stretches(Thresholds(TYPES["bfloat16"], stops, least), bits, step)[0] == whole).all()


@pytest.mark.parametrize("step", [1, 50, 64, 5000])
def test_units_are_ranked_wherever_they_are_cut(step: int) -> None:
    values = RNG.normal(size=(20, 50)).astype(np.float32)
    values[3], values[4, ::2] = 1, 0
    kept = RNG.integers(0, 51, 20)
    mask = pqi.topk_mask(values, kept, axis=1)
    found, counted = in_stretches(Units(TYPES["float32"], 50, kept), values.view(np.uint32).reshape(-1), step)
    assert (found.view(np.float32) == (values * mask).reshape(-1)).all()
    assert counted == np.count_nonzero(values * mask)
