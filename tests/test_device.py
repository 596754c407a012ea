"""How calls reach the CUDA module, without a GPU: its block programs run on the CPU.

What is real here is the path through the package: operators, checks, views, outputs, streams. What is not is the
device: tensors, and the arrays of a stand-in for CuPy, lie in host memory and only say that they do not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pqi
from pqi import _arrays, _device

torch = pytest.importorskip("torch")
from fake_device import Cuda, Stand, host, same  # noqa: E402 - there is no device without torch

X = np.random.default_rng(0).standard_normal((5, 300)).astype(np.float32)
LIVE = np.random.default_rng(1).random(X.shape) < 0.7

CALLS: dict[str, Callable[..., Any]] = {
    "index": lambda x, rest: pqi.index(x, 0.7, 1.3, **rest),
    "index_grid": lambda x, rest: pqi.index_grid(x, [0.5, 1.0], [1.0, 2.0, 3.0], **rest),
    "norms": lambda x, rest: pqi.norms(x, 0.5, 2.0, **rest),
    "power_means": lambda x, rest: pqi.power_means(x, [0.5, 3.0], **rest),
    "gini": lambda x, rest: pqi.gini(x, **rest),
    "unbiased": lambda x, rest: pqi.gini(x, unbiased=True, **rest),
    "retained_bound": lambda x, rest: pqi.retained_bound(x, eta=0.1, **rest),
    "topk_threshold": lambda x, rest: pqi.topk_threshold(x, 2, **rest),
    "summary": lambda x, rest: [getattr(pqi.summary(x, **rest), f) for f in pqi.summary([1.0]).__slots__],
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "whole": {},
    "rows": {"axis": 1},
    "kept columns": {"axis": (0,), "keepdims": True},
    "live": {"where": LIVE},
    "live rows": {"where": LIVE[0], "axis": -1},
}


@pytest.mark.parametrize("rest", ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize("name", CALLS)
def test_tensors(name: str, rest: dict[str, Any], cuda: Cuda) -> None:
    expected = CALLS[name](X, rest)
    if "where" in rest:
        rest = rest | {"where": torch.from_numpy(rest["where"].copy())}
    same(CALLS[name](torch.from_numpy(X), rest), expected)


def test_masks_and_counts(cuda: Cuda) -> None:
    x, k = torch.from_numpy(X), np.array([0, 3, 300, 1, 7])
    for given in (k, k.tolist(), torch.from_numpy(k), torch.from_numpy(k).to(torch.int16)):
        same(pqi.topk_mask(x, given, dim=1), pqi.topk_mask(X, k, axis=1))
        same(pqi.topk_threshold(x, given, dim=1), pqi.topk_threshold(X, k, axis=1))
    for one in (7, np.int64(7), torch.tensor(7)):
        same(pqi.topk_mask(x, one), pqi.topk_mask(X, 7))


def test_counts_on_the_device_are_clamped_and_others_checked(cuda: Cuda) -> None:
    x = torch.from_numpy(X)
    beyond = torch.tensor([-3, 0, 9999, 300, 5])
    same(pqi.topk_mask(x, beyond, dim=1), pqi.topk_mask(X, np.array([0, 0, 300, 300, 5]), axis=1))
    live = torch.from_numpy(LIVE)
    assert torch.equal(pqi.topk_mask(x, 300, dim=1, where=live), live)
    with pytest.raises(ValueError, match="k must satisfy 0 <= k <= 300"):
        pqi.topk_mask(x, 301, dim=1)
    with pytest.raises(TypeError, match="k must be an integer"):
        pqi.topk_mask(x, beyond.to(torch.float32), dim=1)
    with pytest.raises(ValueError, match=r"k must .*shape \(5,\), got \(4,\)"):
        pqi.topk_mask(x, beyond[:4], dim=1)


def test_pools(cuda: Cuda) -> None:
    pieces = [X[:2], X[2], X[3:, ::3]]
    pool, expected = pqi.pooled([torch.from_numpy(p.copy()) for p in pieces]), pqi.pooled(pieces)
    masks = [torch.from_numpy(p > -1) for p in pieces]
    same(pqi.index(pool, where=masks), pqi.index(expected, where=[p > -1 for p in pieces]))
    same(pqi.topk_mask(pool, 77), pqi.topk_mask(expected, 77))
    same(pqi.gini(pool), pqi.gini(expected))


def test_bound_of_an_index(cuda: Cuda) -> None:
    index, d = np.array([[0.25], [np.nan]]), np.array([10, 1000])
    for lengths in (d, torch.from_numpy(d)):
        found = pqi.retained_bound_from_index(torch.from_numpy(index), lengths, 1, 2)
        same(found, pqi.retained_bound_from_index(index, d, 1, 2))


def test_compiled_and_differentiated(cuda: Cuda) -> None:
    x = torch.from_numpy(X).requires_grad_()
    torch._dynamo.reset()
    found = torch.compile(lambda x: pqi.index(x, dim=1), fullgraph=True, backend="aot_eager")(x)
    same(found.detach(), pqi.index(X, axis=1))
    found.sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    torch._dynamo.reset()


@pytest.mark.parametrize("scope", ["neuron", "layer", "global"])
def test_pruning_stays_on_the_device(scope: str, cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same masks as on the CPU, and no tensor is moved there on the way to them."""
    from pqi.prune import SAP, Pruner

    def pruned() -> dict[str, Any]:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(30, 20), torch.nn.ReLU(), torch.nn.Linear(20, 5))
        pruner = Pruner(model, amount=SAP(1.0, 2.0), scope=scope)
        for _ in range(3):
            pruner.step()
        return pruner.masks

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("moved to the CPU")

    with monkeypatch.context() as context:
        context.setattr(torch.Tensor, "cpu", refuse)
        found = pruned()
    asked = {name for name, _ in cuda.calls}
    assert {"mean_index_bound", "gini", "topk_mask"} <= asked
    with monkeypatch.context() as context:
        context.setattr(_arrays, "on_cuda", lambda _: False)
        expected = pruned()
    for name, mask in expected.items():
        assert torch.equal(found[name], mask)


def test_statistics_of_a_batch_are_fetched_at_once(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    from pqi.prune.measure import measure
    from pqi.prune.scope import Batch

    weights, live = torch.from_numpy(X), torch.from_numpy(LIVE)
    fetched: list[Any] = []
    real = torch.Tensor.tolist

    def tolist(tensor: Any) -> Any:
        fetched.append(tensor)
        return real(tensor)

    monkeypatch.setattr(torch.Tensor, "tolist", tolist)
    found = measure(Batch(tuple("abcde"), ("w",), 300, axis=(1,)), {"w": weights}, {"w": live})
    assert len(fetched) == 1
    expected = pqi.summary(X, axis=1, where=LIVE)
    for name, field in (("live", "live"), ("zeros", "zeros"), ("index", "index"), ("gini", "gini"), ("bound", "bound")):
        values = [getattr(group, name) for group in found]
        assert values == getattr(expected, field).tolist()
        assert all(type(value) is (int if name in ("live", "zeros") else float) for value in values)


@pytest.mark.parametrize("rest", ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize("name", CALLS)
def test_arrays_of_another_library(name: str, rest: dict[str, Any], cupy: Cuda) -> None:
    expected = CALLS[name](X, rest)
    if "where" in rest:
        rest = rest | {"where": Stand(rest["where"])}
    same(host(CALLS[name](Stand(X), rest)), expected)


def test_masks_of_another_library(cupy: Cuda) -> None:
    k = np.array([0, 3, 300, 1, 7])
    for given in (k, Stand(k), Stand(k.astype(np.int32))):
        same(host(pqi.topk_mask(Stand(X), given, axis=1)), pqi.topk_mask(X, k, axis=1))
    same(host(pqi.topk_mask(pqi.pooled([Stand(X), Stand(X[0])]), 50)), pqi.topk_mask(pqi.pooled([X, X[0]]), 50))
    same(host(pqi.topk_mask(Stand(X), 9, where=LIVE)), pqi.topk_mask(X, 9, where=LIVE))
    with pytest.raises(ValueError, match="k must satisfy 0 <= k <= 300 .*, got -3 in group 2"):
        pqi.topk_mask(Stand(X), [1, 2, -3, 4, 5], axis=1)
    with pytest.raises(ValueError, match="all arrays must lie on one device, got cuda:0 and cuda:1"):
        pqi.index(pqi.pooled([Stand(X), Stand(X, place=1)]))
    with pytest.raises(TypeError, match=r"arrays\[1\] must be a torch tensor or a CuPy array"):
        pqi.index(pqi.pooled([Stand(X), X]))
    with pytest.raises(ValueError, match="where must broadcast"):
        pqi.index(Stand(X), where=Stand(LIVE[:, :7]))
    with pytest.raises(TypeError, match="where must be bool"):
        pqi.index(Stand(X), where=Stand(X))


class Strange:
    """An array of a library that pqi does not know, on a device."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)
        self.shape = self.values.shape

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


def test_other_libraries_are_read_as_tensors(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "from_dlpack", lambda array: torch.from_numpy(array.values))
    k, offsets = np.array([0, 3, 300, 1, 7]), [0, 100, 1500]
    for name, call in CALLS.items():
        found = call(Strange(X), {"axis": 1, "where": Strange(LIVE)})
        same(found, CALLS[name](X, {"axis": 1, "where": LIVE}))
    same(pqi.topk_mask(Strange(X), Strange(k), axis=1), pqi.topk_mask(X, k, axis=1))
    pools = [pqi.pooled(arrays) for arrays in ([Strange(X), torch.from_numpy(X[0])], [X, X[0]])]
    same(pqi.gini(pools[0], where=[Strange(LIVE), LIVE[0]]), pqi.gini(pools[1], where=[LIVE, LIVE[0]]))
    parts = pqi.segments(Strange(X.ravel()), offsets)
    same(pqi.index(parts), pqi.index(pqi.segments(X.ravel(), offsets)))
    assert isinstance(parts.values, Strange)
    index = np.array([0.1, 0.9])
    same(pqi.retained_bound_from_index(Strange(index), 300), pqi.retained_bound_from_index(index, 300))
    assert isinstance(pqi.index(Strange(X)), torch.Tensor)


def test_other_libraries_without_a_torch_that_reaches_the_device() -> None:
    with pytest.raises(TypeError, match="x must be a torch tensor or a CuPy array .* where torch reaches the device"):
        pqi.index(Strange(X))


def test_without_the_module_or_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    _device.load.cache_clear()
    monkeypatch.setitem(sys.modules, "pqi._cuda", None)
    absent = {"compiled": False, "devices": [], "architectures": [], "workspace_bytes": 0}
    assert pqi.info()["cuda"] == absent
    with pytest.raises(RuntimeError, match=r"built without: .*PQI_CUDA=ON, or pass x.cpu\(\)"):
        _device.load()
    idle = SimpleNamespace(
        device_count=lambda: 0,
        device_names=list,
        architectures=lambda: ["sm_90"],
        workspace_bytes=lambda: 0,
        why_no_device=lambda: "no driver",
    )
    monkeypatch.setitem(sys.modules, "pqi._cuda", idle)
    assert pqi.info()["cuda"] == absent | {"compiled": True, "architectures": ["sm_90"]}
    with pytest.raises(RuntimeError, match="need a CUDA driver and a device .*, got no driver"):
        _device.load()
    _device.load.cache_clear()
