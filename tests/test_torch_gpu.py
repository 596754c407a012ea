"""The public functions on torch tensors of a GPU: operators, gradients, pruning. Skipped or demanded as test_gpu is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pqi
import test_gpu
from cases import bits, draw, to_torch

torch = test_gpu.needed("torch")
pytestmark = test_gpu.pytestmark

CUDA = torch.device("cuda")
WEIGHTS = draw("normal", 4000).reshape(40, 100)
LIVE = WEIGHTS > -1


def same(found: Any, expected: Any) -> None:
    """Demand the same bits of one result, or of one for each of a pool."""
    if isinstance(expected, (list, tuple)):
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    else:
        assert bits(found.detach().cpu().numpy()) == bits(np.asarray(expected))


@pytest.mark.parametrize(("name", "own"), [("index", (0.5, 1.0)), ("summary", (0.5, 1.0, 0.0)), ("topk_mask", (3,))])
def test_operators_are_checked(name: str, own: tuple[Any, ...]) -> None:
    x = torch.randn(4, 6, dtype=torch.float64, device=CUDA, requires_grad=True)
    pqi.index(x)  # the first tensor registers all
    operator = getattr(torch.ops.pqi, name).default
    torch.library.opcheck(operator, ([x], *own, None, None, False))
    torch.library.opcheck(operator, ([x], *own, [x.detach() < 1], [1], True))


def test_compiled() -> None:
    torch._dynamo.reset()
    x, live = to_torch(WEIGHTS).cuda(), to_torch(LIVE).cuda()
    compiled = torch.compile(lambda x, live: pqi.index(x, where=live, dim=1), fullgraph=True, backend="aot_eager")
    same(compiled(x, live), pqi.index(WEIGHTS, where=LIVE, axis=1))
    torch._dynamo.reset()


@pytest.mark.parametrize(("p", "q"), [(0.5, 1.0), (0.7, 1.3), (1.0, 3.0)])
def test_gradients(p: float, q: float) -> None:
    leaves = [torch.from_numpy(WEIGHTS.astype(np.float64)).to(device).requires_grad_() for device in ("cpu", CUDA)]
    for leaf in leaves:
        pqi.index(leaf, p, q, dim=1, where=leaf.detach() > -1).sum().backward()
    torch.testing.assert_close(leaves[1].grad.cpu(), leaves[0].grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("scope", ["neuron", "layer", "global"])
def test_pruning(scope: str) -> None:
    """Three rounds, the later ones on the live weights of the earlier: the masks that a model on the CPU gets."""
    from pqi.prune import SAP, Pruner

    def pruned(device: Any) -> dict[str, Any]:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(30, 20), torch.nn.ReLU(), torch.nn.Linear(20, 5)).to(device)
        pruner = Pruner(model, amount=SAP(1.0, 2.0), scope=scope)
        for _ in range(3):
            pruner.step()
        return pruner.masks

    found = pruned(CUDA)
    for name, mask in pruned("cpu").items():
        assert found[name].is_cuda
        assert torch.equal(found[name].cpu(), mask)


def test_masks_on_another_device_are_refused() -> None:
    x = to_torch(WEIGHTS).cuda()
    with pytest.raises(ValueError, match="where must lie on x's device, got cuda:0 and cpu"):
        pqi.index(x, where=torch.from_numpy(LIVE))
    with pytest.raises(TypeError, match="out must be a torch tensor on cuda:0 as x is, of bool, got Tensor on cpu"):
        pqi.topk_mask(x, 3, out=torch.ones(WEIGHTS.shape, dtype=torch.bool))


def test_nothing_waits() -> None:
    """Torch refuses every wait for a stream while it is told to, whatever the host hands over."""
    x, k = to_torch(WEIGHTS).cuda(), np.arange(40)
    index = torch.linspace(0, 1, 40, dtype=torch.float64).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = [
            pqi.index(x, where=LIVE, dim=1),
            pqi.gini(x, unbiased=True, dim=1),
            pqi.topk_mask(x, k, dim=1),
            pqi.retained_bound_from_index(index, 100),
            pqi.retained_bound_from_index(index, k),
        ]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    numbers = index.cpu().numpy()
    expected = [
        pqi.index(WEIGHTS, where=LIVE, axis=1),
        pqi.gini(WEIGHTS, unbiased=True, axis=1),
        pqi.topk_mask(WEIGHTS, k, axis=1),
        pqi.retained_bound_from_index(numbers, 100),
        pqi.retained_bound_from_index(numbers, k),
    ]
    same(found, expected)


def test_tensors_on_a_device_that_is_not_current() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    x, live, k = (to_torch(array).to("cuda:1") for array in (WEIGHTS, LIVE, np.arange(40)))
    with torch.cuda.device(0):
        found = [
            pqi.index(x, where=live),
            pqi.gini(x, unbiased=True, dim=1),
            pqi.topk_mask(x, k, dim=1),
            pqi.retained_bound_from_index(pqi.index(x, dim=1), 100),
        ]
        assert torch.cuda.current_device() == 0
    assert all(result.device == x.device for result in found)
    bounds = pqi.retained_bound_from_index(pqi.index(WEIGHTS, axis=1), 100)
    ginis, masks = pqi.gini(WEIGHTS, unbiased=True, axis=1), pqi.topk_mask(WEIGHTS, np.arange(40), axis=1)
    same(found, [pqi.index(WEIGHTS, where=LIVE), ginis, masks, bounds])
