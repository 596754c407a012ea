"""The CUDA module's block programs on the CPU: built once a session, called as the core is called."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pqi import _core

Array = npt.NDArray[Any]
Grouping = tuple[int, ...] | Array | None

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "blocks"


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")


@cache
def module() -> ModuleType:
    """Build `_blocks` (only what changed since the last time) and import it."""
    tools = Path(sys.executable).parent
    cmake, ninja = (shutil.which(name, path=f"{tools}{os.pathsep}{os.environ['PATH']}") for name in ("cmake", "ninja"))
    if cmake is None or ninja is None or importlib.util.find_spec("pybind11") is None:
        pytest.skip("needs cmake, ninja and pybind11, as `make` installs them")
    if not (ROOT / "csrc").is_dir():
        pytest.skip("needs the C++ sources beside the tests")
    if not (BUILD / "build.ninja").exists():
        find = subprocess.run(
            [sys.executable, "-m", "pybind11", "--cmakedir"], capture_output=True, text=True, check=True
        )
        _run(
            *(cmake, "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DPQI_BLOCKS=ON", "-DSKBUILD_PROJECT_VERSION=0"),
            *(f"-DCMAKE_MAKE_PROGRAM={ninja}", f"-DPython_EXECUTABLE={sys.executable}"),
            f"-DCMAKE_PREFIX_PATH={find.stdout.strip()}",
        )
    _run(ninja, "-C", BUILD, "_blocks")
    (built,) = BUILD.glob("_blocks*.so")
    spec = importlib.util.spec_from_file_location("_blocks", built)
    assert spec is not None
    assert spec.loader is not None
    blocks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(blocks)
    return blocks


class Data:
    """Arrays with their masks and groups (reduced axes, offsets of segments), as both modules take them."""

    def __init__(
        self, arrays: Array | list[Array], masks: Array | list[Array] | None = None, axes: Grouping = None
    ) -> None:
        self.arrays = arrays if isinstance(arrays, list) else [arrays]
        self.masks = [] if masks is None else masks if isinstance(masks, list) else [masks]
        self.axes = axes
        if isinstance(axes, np.ndarray):
            self.groups = axes.size - 1
            return
        shape = self.arrays[0].shape if axes is not None else ()
        self.groups = int(np.prod([extent for i, extent in enumerate(shape) if axes is not None and i not in axes]))

    @property
    def blocks(self) -> tuple[Any, Any, Grouping]:
        """Return the leading arguments of a function of `_blocks`."""
        view = module().View.of_numpy
        return [view(x, "x") for x in self.arrays], [view(m, "mask") for m in self.masks], self.axes

    @property
    def core(self) -> tuple[Any, Any, Grouping]:
        """Return those of a function of `_core`."""
        view = _core.View.of_numpy
        return [view(x, "x") for x in self.arrays], [view(m, "mask") for m in self.masks], self.axes

    def call(self, name: str, *arguments: Any, shape: tuple[int, ...], dtype: Any = np.float64) -> Array:
        """Return what a function of `_blocks` writes into memory of this shape."""
        out = np.zeros(shape, dtype)
        getattr(module(), name)(*self.blocks, *arguments, module().View.of_numpy(out, "out"), 0)
        return out


def same(found: Array, expected: Array) -> None:
    """Demand the same bits."""
    np.testing.assert_array_equal(found, np.asarray(expected).reshape(found.shape))
    assert found.tobytes() == np.ascontiguousarray(expected, dtype=found.dtype).tobytes()


def check_sums(data: Data) -> None:
    """Compare everything that comes from power sums."""
    for p, q in ((0.5, 1.0), (1.0, 2.0), (0.7, 1.3), (0.1, 3.0), (2.0, 8.0)):
        same(data.call("norms", p, q, shape=(2, data.groups)), np.stack(_core.norms(*data.core, p, q)))
        same(data.call("index", p, q, shape=(data.groups,)), _core.index(*data.core, p, q))
        three = np.stack(_core.mean_index_bound(*data.core, p, q, 0.01))
        same(data.call("mean_index_bound", p, q, 0.01, shape=(3, data.groups)), three)
        same(data.call("retained_bound", p, q, 0.01, shape=(data.groups,)), three[2])
    rows, columns = [0.2, 0.5, 0.9, 1.7], [1.0, 1.3, 2.0, 4.0, 0.5]
    grid = data.call("index_grid", rows, columns, shape=(data.groups, 4, 5))
    same(grid, _core.index_grid(*data.core, rows, columns))


def check_many_exponents(data: Data) -> None:
    """Compare more exponents than one launch sums, and than travel with a program's arguments."""
    exponents = [*np.linspace(0.1, 5.0, 70).tolist(), 1.0, 0.5, 1.0]
    found = data.call("power_means", exponents, shape=(data.groups, len(exponents)))
    same(found, _core.power_means(*data.core, exponents))


def check_counts(data: Data) -> None:
    """Compare counts and extremes."""
    same(data.call("count_live", shape=(data.groups,), dtype=np.int64), _core.count_live(*data.core))
    largest, counts = np.zeros(data.groups), np.zeros((2, data.groups), np.uint64)
    view = module().View.of_numpy
    module().extent(*data.blocks, view(largest, "largest"), view(counts, "counts"), 0)
    expected = _core.extent(*data.core)
    same(largest, expected[0])
    same(counts, np.stack(expected[1:]))


def check_gini(data: Data) -> None:
    """Compare the Gini index."""
    same(data.call("gini", shape=(data.groups,)), _core.gini(*data.core))


def check_interval(data: Data, tol: float, unbiased: bool = False) -> bool:
    """Compare intervals of as many bits as a tolerance asks for with what the core finds first; return if sketched."""
    bits = _core.interval_bits(tol)
    out = np.zeros((5, data.groups))
    view = module().View.of_numpy(out, "out")
    sketched = module().gini_intervals(*data.blocks, None, bits, unbiased, view, 0)
    same(out[4], out[2] - out[1])
    biased = np.zeros((5, data.groups))
    module().gini_intervals(*data.blocks, None, bits, False, module().View.of_numpy(biased, "out"), 0)
    same(out[3], biased[4])
    # A coarser tolerance is met by the first sketch, so that the core goes no further.
    settled = np.stack(_core.gini_within(*data.core, tol, unbiased))
    done = np.isnan(out[4]) | (out[4] <= tol) & (out[3] <= tol)
    assert done.all()
    same(np.ascontiguousarray(out[:3]), settled)
    return bool(sketched)


def check_sketch(data: Data, tol: float) -> None:
    """Compare a sketch's state."""
    bits, view = _core.sketch_bits(tol), module().View.of_numpy
    arrays, masks, _ = data.blocks
    head, rows = np.zeros(6, np.uint64), np.zeros((module().sketch_rows(arrays, bits), 4), np.uint64)
    module().gini_sketch(arrays, masks, bits, view(head, "head"), view(rows, "rows"), 0)
    expected = _core.gini_sketch(*data.core[:2], tol).state()
    assert head[5] == len(expected[1])
    same(head[:5], expected[0])
    same(np.ascontiguousarray(rows[: len(expected[1])]), expected[1])


def check_topk(data: Data, k: Any, layout: Any = lambda mask: mask) -> None:
    """Compare masks, written into memory of this layout, and thresholds; too large a k means all."""
    view = module().View.of_numpy
    wanted = np.broadcast_to(np.asarray(k, np.uint64), (data.groups,)).copy()
    live = _core.count_live(*data.core)
    clamped = np.minimum(wanted, live)
    expected = [np.zeros(x.shape, np.bool_) for x in data.arrays]
    _core.topk_mask(*data.core, clamped, live, [_core.View.of_numpy(mask, "out") for mask in expected])
    for given in (view(wanted, "k"), *([int(k)] if np.ndim(k) == 0 else [])):
        found = [layout(np.ones(x.shape, np.bool_)) for x in data.arrays]
        module().topk_mask(*data.blocks, given, [view(mask, "out") for mask in found], 0)
        for mask, right in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mask, right)
    same(
        data.call("topk_threshold", view(wanted, "k"), shape=(data.groups,)),
        _core.topk_threshold(*data.core, clamped, live),
    )
