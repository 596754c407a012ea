"""Arrays on a device that is not the current one, and what may not wait: without a GPU (see fake_device.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pqi
from cases import draw
from pqi import _tensors
from pqi._device_libraries import TorchDevice

torch = pytest.importorskip("torch")
from fake_device import Cuda, Place, Stand, host, same  # noqa: E402 - there is no device without torch

X = draw("normal", 1500).reshape(5, 300)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a tensor on cuda:1 that is exported as torch 2.13 does it: only while its device is the current one."""
    current = ["cuda:0"]

    @contextmanager
    def device(place: str) -> Iterator[None]:
        current.append(place)
        yield
        current.pop()

    class Tensor:
        device = "cuda:1"

        def detach(self) -> Tensor:
            return self

        resolve_neg = detach

        def __dlpack__(self, *, stream: int) -> str:
            if current[-1] != self.device:
                raise BufferError("Can't export tensors on a different CUDA device index.")
            return f"capsule ready on stream {stream}"

    monkeypatch.setattr(torch.cuda, "device", device)
    return Tensor()


def test_tensors_are_exported_on_their_device(elsewhere: Any) -> None:
    with pytest.raises(BufferError):
        elsewhere.__dlpack__(stream=-1)
    assert TorchDevice(elsewhere.device).capsule(elsewhere) == "capsule ready on stream -1"


def test_arrays_of_another_library_on_another_device(cupy: Cuda) -> None:
    x, live, k = X, X > -1, np.array([0, 3, 300, 1, 7])
    there = Stand(x, place=1)
    for found, expected in (
        (pqi.index(there, where=Stand(live, place=1), axis=1), pqi.index(x, where=live, axis=1)),
        (pqi.index(there, where=live), pqi.index(x, where=live)),
        (pqi.gini(there, unbiased=True, axis=1), pqi.gini(x, unbiased=True, axis=1)),
        (pqi.topk_mask(there, Stand(k, place=1), axis=1), pqi.topk_mask(x, k, axis=1)),
        (pqi.summary(there, axis=1).live, pqi.summary(x, axis=1).live),
    ):
        assert found.place == 1
        same(host(found), expected)
    assert pqi.histogram(Stand(x.astype("f2"), place=1)) == pqi.histogram(x.astype("f2"))
    assert Place.current == 0


def test_counts_and_masks_of_the_host_go_through_pinned_memory() -> None:
    """The only copies from the host that no stream is waited for."""
    asked: list[str] = []

    def to(place: Any, *, non_blocking: bool = False) -> str:
        asked.append(f"to {place.type}, non_blocking={non_blocking}")
        return "copied"

    def pin_memory() -> Any:
        asked.append("pinned")
        return SimpleNamespace(to=to)

    real = _tensors.library()
    stub = SimpleNamespace(from_numpy=lambda _: SimpleNamespace(pin_memory=pin_memory, to=to), compiler=real.compiler)
    with pytest.MonkeyPatch.context() as context:
        context.setattr(_tensors, "library", lambda: stub)
        assert _tensors.beside(np.ones(3), torch.device("cuda:1")) == "copied"
        assert asked == ["pinned", "to cuda, non_blocking=True"]
        assert _tensors.beside(np.ones(3), torch.device("cpu")) == "copied"
    assert asked[2:] == ["to cpu, non_blocking=False"]


def test_lengths_of_the_host_are_judged_there(cuda: Cuda) -> None:
    index = torch.tensor([0.25, 0.5])
    pqi.index(index)
    before = list(cuda.calls)
    for d, shown in ((-1, "-1"), (-0.5, "-0.5"), (float("nan"), "nan"), ([3, -7], "-7"), (np.array([2, -2]), "-2")):
        with pytest.raises(ValueError, match=f"d must be >= 0, got {shown}"):
            pqi.retained_bound_from_index(index, d)
    with pytest.raises(TypeError, match="d must hold real numbers, got dtype bool"):
        pqi.retained_bound_from_index(index, True)
    assert cuda.calls == before
    lengths: tuple[Any, ...] = (100, 2.5, np.float32(7), np.int64(9), [10, 20], np.array([[3], [4]], np.int16))
    for d in lengths:
        same(pqi.retained_bound_from_index(index, d), pqi.retained_bound_from_index(index.numpy(), d))


def test_one_length_is_written_on_the_device(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number needs no copy from the host."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("copied")

    index = torch.tensor([0.25, 0.5])
    monkeypatch.setattr(_tensors, "beside", refuse)
    same(pqi.retained_bound_from_index(index, 100), pqi.retained_bound_from_index(index.numpy(), 100))


@pytest.mark.parametrize("call", ["gini", "topk_mask", "segments"])
def test_calls_without_an_operator_are_not_traced(call: str) -> None:
    """As their docstrings say."""
    calls: dict[str, Callable[[Any], Any]] = {
        "gini": lambda x: pqi.gini(x, tol=1e-3).value,
        "topk_mask": lambda x: pqi.topk_mask(x, 3, out=torch.ones(X.shape, dtype=torch.bool)),
        "segments": lambda x: pqi.index(pqi.segments(x.reshape(-1), [0, 20, 1500])),
    }
    x = torch.from_numpy(X)
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(calls[call], fullgraph=True, backend="eager")(x)
    torch._dynamo.reset()
    same(calls[call](x), calls[call](X) if call != "topk_mask" else pqi.topk_mask(X, 3))


def test_bounds_of_another_library(cupy: Cuda) -> None:
    index, d = np.array([0.25, 0.5]), np.array([[10], [1000]])
    for given in (Stand(d), d, d.tolist(), 10):
        found = pqi.retained_bound_from_index(Stand(index), given)
        same(host(found), pqi.retained_bound_from_index(index, d if isinstance(given, Stand) else given))
    with pytest.raises(ValueError, match="d must be >= 0, got -3"):
        pqi.retained_bound_from_index(Stand(index), [1, -3])


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy, Stand])
def test_bounds_refuse_alike_everywhere(make: Callable[[Any], Any], cupy: Cuda) -> None:
    index = make(np.array([0.25, 0.5]))
    pqi.index(Stand(X))
    with pytest.raises(TypeError, match=r"index must hold real numbers, got dtype .*bool"):
        pqi.retained_bound_from_index(make(np.array([True])), 3)
    with pytest.raises(TypeError, match=r"d must hold real numbers, got dtype .*complex128"):
        pqi.retained_bound_from_index(index, make(np.array([1j])))
    with pytest.raises(ValueError, match=r"d must broadcast with index, got shapes \(3,\) and \(2,\)"):
        pqi.retained_bound_from_index(index, make(np.arange(3)))


def test_bounds_lie_on_one_device(cupy: Cuda) -> None:
    pqi.index(Stand(X))
    with pytest.raises(TypeError, match="d must be a CuPy array on cuda:0 as index is, or numbers of the host"):
        pqi.retained_bound_from_index(Stand(np.ones(2)), Stand(np.ones(2), place=1))
