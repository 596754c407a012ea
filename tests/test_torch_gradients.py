"""Gradients of `index`, `norms` and `power_means`: against differences, at their edges, and at work as a penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pqi

torch = pytest.importorskip("torch")

LIVE = torch.from_numpy(np.random.default_rng(1).random((3, 5)) < 0.7)
PAIRS = [(0.5, 1.0), (1.0, 2.0), (0.7, 1.3), (0.1, 3.0)]
ARGUMENTS: dict[str, dict[str, Any]] = {
    "whole": {},
    "rows": {"axis": 1},
    "kept": {"axis": (0, 1), "keepdims": True},
    "live columns": {"axis": 0, "where": LIVE},
    "one mask for all rows": {"where": LIVE[0]},
    "elements": {"axis": ()},
}
MEASURES: dict[str, Callable[..., Any]] = {
    "index": pqi.index,
    "norms": pqi.norms,
    "power_means": lambda x, p, q, **rest: pqi.power_means(x, [p, q, 1.0], **rest),
}


def weights(shape: tuple[int, ...] = (3, 5), dtype: Any = torch.float64, seed: int = 0) -> Any:
    """Return a leaf that requires a gradient, with no entry near zero."""
    values = np.random.default_rng(seed).standard_normal(shape)
    return torch.from_numpy(values + 0.1 * np.sign(values)).to(dtype).requires_grad_()


@pytest.mark.parametrize("rest", ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize("measure", MEASURES)
def test_against_differences(measure: str, rest: dict[str, Any]) -> None:
    for p, q in PAIRS:
        assert torch.autograd.gradcheck(lambda x, p=p, q=q: MEASURES[measure](x, p, q, **rest), weights())


@pytest.mark.parametrize("measure", MEASURES)
def test_of_pools(measure: str) -> None:
    def of_both(a: Any, b: Any) -> Any:
        return MEASURES[measure](pqi.pooled([a, b]), 0.5, 2.0, where=[LIVE, LIVE[0]])

    assert torch.autograd.gradcheck(of_both, (weights(), weights((5,), seed=3)))
    constant = weights((5,), seed=3).detach()
    assert torch.autograd.gradcheck(lambda a: of_both(a, constant), weights())


@pytest.mark.parametrize("measure", MEASURES)
def test_second_derivatives(measure: str) -> None:
    assert torch.autograd.gradgradcheck(lambda x: MEASURES[measure](x, 0.5, 3.0, axis=1), weights())


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0, 1.5])
def test_zeros_and_masked_entries_have_none(p: float) -> None:
    x = torch.tensor([[2.0, 0.0, -0.0, 1e-30, 1.0], [0.0] * 5, [np.nan, 1.0, np.inf, 3.0, 1.0]], requires_grad=True)
    live = torch.tensor([[True] * 5, [True] * 5, [False, True, False, True, True]])
    pqi.index(x, p, 2.0, axis=1, where=live).nansum().backward()
    gradient = x.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert not gradient[0, 1:3].any()
    assert not gradient[1].any()
    assert not gradient[2, [0, 2]].any()
    assert gradient[0, 0] != 0
    assert gradient[2, 1] != 0


def test_groups_without_an_index_give_their_entries_nan() -> None:
    x = torch.tensor([[1.0, np.inf, 0.0], [1.0, np.nan, 0.0], [1.0, 2.0, 0.0]], requires_grad=True)
    pqi.index(x, axis=1)[2].backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad[2]).all()
    x.grad = None
    pqi.index(x, axis=1).sum().backward()
    assert x.grad[:2, :2].isnan().all()
    assert not x.grad[:, 2].any()


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2], ids=str
)
def test_in_the_type_of_the_input_from_float64(dtype: Any) -> None:
    x = weights((4, 50), dtype)
    pqi.index(x, 0.3, 1.7, axis=0).sum().backward()
    wide = x.detach().to(torch.float64).requires_grad_()
    pqi.index(wide, 0.3, 1.7, axis=0).sum().backward()
    assert x.grad is not None
    assert wide.grad is not None
    assert x.grad.dtype == dtype
    assert torch.equal(x.grad.to(torch.float64), wide.grad.to(dtype).to(torch.float64))


def test_beyond_the_type_the_largest_number() -> None:
    """The derivative at 6e-8 among ones is about 1e6, which float16 has no number for."""
    x = torch.tensor([6e-8, 1.0, 1.0], dtype=torch.float16, requires_grad=True)
    pqi.index(x, 0.1, 1.0).backward()
    assert x.grad is not None
    assert float(x.grad[0]) == -torch.finfo(torch.float16).max


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_at_every_scale(scale: float) -> None:
    """The index does not change with the scale of its weights, so its gradient falls with it."""
    unit, scaled = weights(), (weights().detach() * scale).requires_grad_()
    pqi.index(unit, 0.1, 2.0).backward()
    pqi.index(scaled, 0.1, 2.0).backward()
    assert unit.grad is not None
    assert scaled.grad is not None
    torch.testing.assert_close(scaled.grad * scale, unit.grad, rtol=1e-12, atol=0)


def test_moving_along_it_moves_the_index() -> None:
    """A layer that is trained with the index as a penalty gets denser, with its negative sparser."""

    def trained(strength: float) -> float:
        torch.manual_seed(0)
        layer = torch.nn.Linear(20, 10)
        inputs = torch.randn(256, 20)
        targets = inputs @ torch.randn(20, 10) * 0.2
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(60):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(layer(inputs), targets)
            (loss + strength * pqi.index(layer.weight, p=1, q=2, dim=1).mean()).backward()
            optimizer.step()
        return float(pqi.index(layer.weight).detach())

    sparser, free, denser = trained(-0.3), trained(0.0), trained(0.3)
    assert sparser > free + 0.05
    assert denser < free - 0.03


def test_a_changed_input_is_noticed() -> None:
    x = weights()
    doubled = x * 2
    index = pqi.index(doubled)
    doubled.mul_(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        index.backward()
