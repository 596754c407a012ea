"""torch tensors on the CPU: accepted as they are, answered in torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pqi
from cases import DTYPES, bits, sample, to_torch

torch = pytest.importorskip("torch")
UNSIGNED = ("uint16", "uint32", "uint64")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bits_equal_numpy(dtype: np.dtype[Any]) -> None:
    x = sample(dtype, (6, 500))
    t = to_torch(x)
    for axis in (None, 0, 1):
        for ours, theirs in (
            (pqi.index(t, axis=axis), pqi.index(x, axis=axis)),
            (pqi.gini(t, axis=axis), pqi.gini(x, axis=axis)),
            (pqi.retained_bound(t, 0.7, 1.3, axis=axis), pqi.retained_bound(x, 0.7, 1.3, axis=axis)),
            (pqi.topk_threshold(t, 5, axis=axis), pqi.topk_threshold(x, 5, axis=axis)),
            (pqi.power_means(t, [0.5, 3.0], axis=axis), pqi.power_means(x, [0.5, 3.0], axis=axis)),
        ):
            assert isinstance(ours, torch.Tensor)
            assert ours.dtype == torch.float64
            assert bits(ours.numpy()) == bits(np.asarray(theirs))
        mask = pqi.topk_mask(t, 5, axis=axis)
        assert mask.dtype == torch.bool
        np.testing.assert_array_equal(mask.numpy(), pqi.topk_mask(x, 5, axis=axis))


def test_dim_and_keepdim() -> None:
    x = sample(np.dtype(np.float32), (3, 4, 50))
    t = to_torch(x)
    for dim in (0, -1, (0, 2), (0, 1, 2), None):
        for keep in (False, True):
            result = pqi.index(t, dim=dim, keepdim=keep)
            assert bits(result.numpy()) == bits(np.asarray(pqi.index(x, axis=dim, keepdims=keep)))
    assert pqi.gini(t, dim=(0, 2)).shape == (4,)
    assert pqi.topk_mask(t, 7, dim=2).sum(dim=2).eq(7).all()


def test_k_and_where_in_torch() -> None:
    x = sample(np.dtype(np.float32), (5, 40))
    live = np.random.default_rng(0).random(x.shape) < 0.7
    k = live.sum(axis=1) // 2
    mask = pqi.topk_mask(to_torch(x), torch.from_numpy(k), dim=1, where=torch.from_numpy(live))
    np.testing.assert_array_equal(mask.numpy(), pqi.topk_mask(x, k, axis=1, where=live))
    index = pqi.index(to_torch(x), where=torch.from_numpy(live))
    assert bits(index.numpy()) == bits(np.asarray(pqi.index(x, where=live)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_tensors_that_require_grad(dtype: Any) -> None:
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 60).reshape(6, 10).to(dtype))
    for tensor in (weight, weight * 1):
        assert bits(pqi.index(tensor).detach().numpy()) == bits(pqi.index(weight.detach()).numpy())
        gini = pqi.gini(tensor)
        assert not gini.requires_grad
        assert bits(gini.numpy()) == bits(pqi.gini(weight.detach()).numpy())
        assert int(pqi.topk_mask(tensor, 9).sum()) == 9
    assert weight.grad is None


def test_strided_and_expanded_tensors() -> None:
    t = to_torch(sample(np.dtype(np.float32), (8, 9, 10)))
    for view in (t.permute(2, 0, 1), t[:, ::2, 1::3], t[0, 0, 0].expand(7, 5), t.narrow(1, 2, 0), t[3, 4, 5]):
        assert bits(pqi.index(view).numpy()) == bits(pqi.index(view.contiguous()).numpy())
        assert bits(pqi.gini(view).numpy()) == bits(pqi.gini(view.contiguous()).numpy())
        k = view.numel() // 2
        assert torch.equal(pqi.topk_mask(view, k), pqi.topk_mask(view.contiguous(), k))


def test_memory_is_shared_with_the_tensor() -> None:
    t = torch.ones(1000)
    pool = pqi.pooled([t])
    t[500:] = 0
    assert float(pqi.index(pool, 1, 2)) == pytest.approx(1 - 0.5**0.5, abs=1e-15)


def test_inference_tensors_and_no_grad() -> None:
    with torch.inference_mode():
        t = torch.arange(10.0)
        expected = float(pqi.index(np.arange(10, dtype=np.float32)))
        assert float(pqi.index(t)) == expected
    with torch.no_grad():
        assert float(pqi.index(torch.arange(10.0))) == expected


def test_negated_views() -> None:
    """torch marks the imaginary part of a conjugate as a lazily negated view; magnitudes are the same."""
    imaginary = torch.complex(torch.zeros(50), torch.linspace(-1, 2, 50)).conj().imag
    assert imaginary.is_neg()
    assert float(pqi.index(imaginary)) == float(pqi.index(imaginary.resolve_neg()))
    assert torch.equal(pqi.topk_mask(imaginary, 20), pqi.topk_mask(imaginary.resolve_neg(), 20))


def test_summary_of_a_tensor() -> None:
    x = sample(np.dtype(np.float32), (4, 30))
    ours, theirs = pqi.summary(to_torch(x)), pqi.summary(x)
    for field in ("count", "live", "zeros", "max", "mean", "index", "gini", "bound"):
        assert float(getattr(ours, field)) == float(getattr(theirs, field)), field


def test_retained_bound_from_index() -> None:
    index = torch.tensor([0.1, 0.5, float("nan")], dtype=torch.float64)
    bound = pqi.retained_bound_from_index(index, torch.tensor([10, 20, 30]), 1, 2)
    assert isinstance(bound, torch.Tensor)
    assert bound.dtype == torch.float64
    expected = pqi.retained_bound_from_index(index.numpy(), np.array([10, 20, 30]), 1, 2)
    assert bits(bound.numpy()) == bits(expected)
