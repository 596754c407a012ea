"""The CUDA module on a GPU, against the core: the same bits. Skipped where torch or the module finds no device.

`bench/gpu.sh` runs it, with PQI_REQUIRE_GPU=1: then nothing is skipped for want of a device, but all of it fails. The
tests named small run also under compute-sanitizer. What they compare is compared without a GPU in test_cuda.py and its
neighbours.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import pqi
from cases import BFLOAT16, DISTRIBUTIONS, DTYPES, Array, bits, draw, sample, to_torch
from pqi import _core
from test_segments import LARGE, MEASURES, MIXED, ragged

IS_REQUIRED = os.environ.get("PQI_REQUIRE_GPU") == "1"


def needed(name: str) -> Any:
    """Return a module; a missing one skips the file, or is an error where a GPU is required."""
    return importlib.import_module(name) if IS_REQUIRED else pytest.importorskip(name, exc_type=ImportError)


torch = needed("torch")
_cuda = needed("pqi._cuda")
IS_REACHED = _cuda.device_count() > 0 and torch.cuda.is_available()
pytestmark = pytest.mark.skipif(not IS_REACHED, reason="there is no CUDA device")
if IS_REQUIRED and not IS_REACHED:
    raise RuntimeError(
        f"PQI_REQUIRE_GPU=1 demands a device that pqi and torch reach, got {_cuda.device_count()} of pqi's and "
        f"torch.cuda.is_available() = {torch.cuda.is_available()} with torch {torch.__version__}"
    )

UNSIGNED = {np.dtype("u2"), np.dtype("u4"), np.dtype("u8")}  # torch has few operations for them
TYPES = [dtype for dtype in DTYPES if dtype not in UNSIGNED]


class OnDevice:
    """Arrays on the device and on the CPU, as both modules take them."""

    def __init__(
        self, arrays: Sequence[Array], masks: Sequence[Array] = (), axes: tuple[int, ...] | Array | None = None
    ) -> None:
        self.tensors = [to_torch(x).cuda() for x in arrays]
        self.live = [to_torch(mask).cuda() for mask in masks]
        self.device = [view(x) for x in self.tensors], [view(mask) for mask in self.live], axes
        of_numpy = _core.View.of_numpy
        self.core = [of_numpy(x, "x") for x in arrays], [of_numpy(mask, "mask") for mask in masks], axes
        if isinstance(axes, np.ndarray):
            self.groups = axes.size - 1
            return
        kept = [extent for i, extent in enumerate(arrays[0].shape) if axes is not None and i not in axes]
        self.groups = int(np.prod(kept, dtype=np.int64))

    def call(self, name: str, *arguments: Any, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """Return what a function of the CUDA module writes."""
        out = torch.empty(shape, dtype=dtype or torch.float64, device="cuda")
        getattr(_cuda, name)(*self.device, *arguments, view(out), torch.cuda.current_stream().cuda_stream)
        return np.asarray(out.cpu().numpy())


def view(tensor: Any) -> Any:
    """Return a tensor of the device as the CUDA module takes it."""
    return _cuda.View.of_dlpack(tensor.__dlpack__(stream=-1), "x")


def check(data: OnDevice, k: int) -> None:
    """Compare every function."""
    for p, q in ((0.5, 1.0), (1.0, 2.0), (0.7, 1.3), (0.1, 3.0), (2.0, 8.0)):
        three = np.stack(_core.mean_index_bound(*data.core, p, q, 0.01))
        assert bits(data.call("mean_index_bound", p, q, 0.01, shape=three.shape)) == bits(three)
        both = np.stack(_core.norms(*data.core, p, q))
        assert bits(data.call("norms", p, q, shape=both.shape)) == bits(both)
    grid = _core.index_grid(*data.core, [0.2, 0.9], [1.0, 1.7])
    assert bits(data.call("index_grid", [0.2, 0.9], [1.0, 1.7], shape=grid.shape)) == bits(grid)
    gini = _core.gini(*data.core)
    assert bits(data.call("gini", shape=gini.shape)) == bits(gini)
    live = _core.count_live(*data.core)
    assert (data.call("count_live", shape=live.shape, dtype=torch.int64) == live).all()
    counts = np.minimum(np.full(data.groups, k, np.uint64), live)
    threshold = _core.topk_threshold(*data.core, counts, live)
    assert bits(data.call("topk_threshold", k, shape=threshold.shape)) == bits(threshold)
    masks = [np.zeros(tuple(x.shape), np.bool_) for x in data.tensors]
    _core.topk_mask(*data.core, counts, live, [_core.View.of_numpy(mask, "out") for mask in masks])
    found = [torch.ones(tuple(x.shape), dtype=torch.bool, device="cuda") for x in data.tensors]
    _cuda.topk_mask(*data.device, k, [view(mask) for mask in found], torch.cuda.current_stream().cuda_stream)
    for mask, right in zip(found, masks, strict=True):
        np.testing.assert_array_equal(mask.cpu().numpy(), right)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_small(dtype: np.dtype[Any]) -> None:
    for n in (0, 1, 33, 1025, 5000):
        x = sample(dtype, n)
        check(OnDevice([x]), n // 3)
        check(OnDevice([x], [x != 0]), n // 3)
    check(OnDevice([sample(dtype, (7, 300))], axes=(1,)), 30)
    check(OnDevice([sample(dtype, (300, 7))], axes=(0,)), 30)
    n, offsets = ragged(MIXED)
    check(OnDevice([sample(dtype, n)], axes=offsets), 10)
    check_sketch(sample(dtype, 5000))


@pytest.mark.parametrize("n", [(1 << 18) + 1, (1 << 20) + 1])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_small_merges(dtype: np.dtype[Any], n: int) -> None:
    """The least sizes that take several blocks a group, and for narrow types histograms."""
    x = sample(dtype, n)
    check(OnDevice([x]), n // 3)
    check(OnDevice([x], [x != 0]), n // 3)
    check_sketch(x)


def check_sketch(x: Array, *tolerances: float) -> None:
    """Compare sketches, and intervals with the refinements that the host decides upon."""
    tensor = to_torch(x).cuda()
    for tol in tolerances or (1e-6, 1e-8):
        assert pqi.gini_sketch(tensor, tol=tol) == pqi.gini_sketch(x, tol=tol)
        for unbiased in (False, True):
            found = pqi.gini(tensor, tol=tol, unbiased=unbiased)
            assert [bits(end.cpu().numpy()) for end in found] == [
                bits(np.asarray(end)) for end in pqi.gini(x, tol=tol, unbiased=unbiased)
            ]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions(name: str) -> None:
    for x in (draw(name, 3_000_001), draw(name, 700_000).astype(np.float64)):
        check(OnDevice([x]), x.size // 10)


@pytest.mark.parametrize("dtype", [np.dtype("f2"), BFLOAT16, np.dtype("i1"), np.dtype("i2")], ids=str)
def test_histograms(dtype: np.dtype[Any]) -> None:
    check(OnDevice([sample(dtype, 3_000_001)]), 300_000)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sketches(name: str, dtype: str) -> None:
    """Discrete and narrow ones turn to more bits and to the exact value."""
    check_sketch(draw(name, 3_000_001).astype(dtype), 1e-3, 1e-6, 2e-8)


def test_segments() -> None:
    n, offsets = ragged(LARGE)
    x = draw("normal", n)
    check(OnDevice([x], axes=offsets), 0)
    groups, expected = pqi.segments(to_torch(x).cuda(), torch.from_numpy(offsets).cuda()), pqi.segments(x, offsets)
    for measure in ("index", "gini", "unbiased gini", "retained_bound", "power_means"):
        assert bits(MEASURES[measure](groups).cpu().numpy()) == bits(MEASURES[measure](expected))
    k = np.diff(offsets) // 2
    out = torch.ones(n, dtype=torch.bool, device="cuda")
    assert pqi.topk_mask(groups, torch.from_numpy(k).cuda(), out=out) is out
    np.testing.assert_array_equal(out.cpu().numpy(), pqi.topk_mask(expected, k))


def test_counts_on_the_device_are_clamped() -> None:
    x = draw("normal", 5000).reshape(5, 1000)
    beyond = torch.tensor([-3, 0, 9999, 1000, 5], device="cuda")
    found = pqi.topk_mask(to_torch(x).cuda(), beyond, dim=1)
    np.testing.assert_array_equal(found.cpu().numpy(), pqi.topk_mask(x, np.array([0, 0, 1000, 1000, 5]), axis=1))


def test_histograms_are_fetched() -> None:
    x = sample(np.dtype("i2"), 100_000)
    assert pqi.histogram(to_torch(x).cuda()) == pqi.histogram(x)


def test_arrays_of_different_devices_are_refused() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    with pytest.raises(ValueError, match="all arrays must lie on one device, got cuda:0 and cuda:1"):
        pqi.index(pqi.pooled([torch.ones(3, device="cuda:0"), torch.ones(3, device="cuda:1")]))


def test_rows_and_pools() -> None:
    x = draw("normal", 2_000_000)
    check(OnDevice([x.reshape(-1, 256)], axes=(1,)), 25)
    check(OnDevice([x.reshape(100, -1)], axes=(1,)), 2_000)
    check(OnDevice(np.split(x, [1, 70_000, 70_003])), 200_000)


def test_other_streams_and_graphs() -> None:
    """Work goes to the stream it is given, so a graph captures it."""
    x = torch.randn(1_000_000, device="cuda")
    out = torch.empty(2, dtype=torch.float64, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        _cuda.norms([view(x)], [], None, 0.5, 1.0, view(out), torch.cuda.current_stream().cuda_stream)
    x.normal_()
    graph.replay()
    expected = np.stack(_core.norms([_core.View.of_numpy(x.cpu().numpy(), "x")], [], None, 0.5, 1.0))
    assert bits(out.cpu().numpy()) == bits(expected.reshape(-1))


def test_out_of_memory_is_an_error_and_nothing_more() -> None:
    free, _ = torch.cuda.mem_get_info()
    x = torch.ones(1, device="cuda").expand(free // 4)  # sorting needs twice as much as there is
    with pytest.raises(MemoryError, match="out of memory on cuda:0"):
        _cuda.gini([view(x)], [], None, view(torch.empty(1, dtype=torch.float64, device="cuda")), 0)
    check(OnDevice([draw("normal", 1000)]), 10)
