"""Keys of magnitudes: the order of the values, for every element of the narrow types."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pqi.checkpoint.element import TYPES
from pqi.checkpoint.magnitude import cut, keys

NARROW = ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8", "uint8"]


def every_value(name: str) -> tuple[Any, Any]:
    element = TYPES[name]
    bits = np.arange(2**element.bits).astype(f"u{element.itemsize}")
    values = bits.view(getattr(ml_dtypes, name, name)).astype(np.float32 if "float" in name else np.int32)
    finite = np.isfinite(values)
    return bits[finite], np.abs(values[finite].astype(np.float64))


@pytest.mark.parametrize("name", NARROW)
def test_keys_order_as_magnitudes_do(name: str) -> None:
    bits, magnitudes = every_value(name)
    order = np.argsort(magnitudes, kind="stable")
    found, sorted_magnitudes = keys(bits, TYPES[name])[order].astype(int), magnitudes[order]
    assert ((np.diff(found) > 0) == (np.diff(sorted_magnitudes) > 0)).all()
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("name", NARROW)
def test_a_cut_separates_what_it_says(name: str) -> None:
    bits, magnitudes = every_value(name)
    found = keys(bits, TYPES[name]).astype(int)
    thresholds = [0.0, *np.unique(magnitudes)[::17], 0.3, 1e-9, float(magnitudes.max()), 1e30]
    for threshold in thresholds:
        where = cut(TYPES[name], threshold)
        assert ((found >= where.above) == (magnitudes > threshold)).all()
        assert ((found >= where.at) == (magnitudes >= threshold)).all()


@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize("threshold", [0.0, 1.0, 0.1, 1 / 3, 1e-40, 3e38, 1e-320])
def test_wide_types(name: str, threshold: float) -> None:
    element = TYPES[name]
    near = np.asarray(threshold, name)
    values = np.array(
        [-near, near, np.nextafter(near, near.dtype.type(0)), np.nextafter(near, np.asarray(np.inf, name))]
    )
    found = keys(values.view(f"u{element.itemsize}"), element).astype(object)
    where, magnitudes = cut(element, threshold), np.abs(values.astype(np.float64))
    assert [key >= where.above for key in found] == list(magnitudes > threshold)
    assert [key >= where.at for key in found] == list(magnitudes >= threshold)
