"""The registered operators: torch's own checks of them, and torch.compile through the public functions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pqi
from cases import bits

torch = pytest.importorskip("torch")

X = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 6)))
LIVE = torch.from_numpy(np.random.default_rng(1).random((4, 6)) < 0.7)
COUNTS = torch.tensor([1, 3, 2, 1])


def weights(dtype: Any = torch.float64) -> Any:
    """Return a leaf that requires a gradient."""
    return X.clone().to(dtype).requires_grad_()


WHOLE = (None, None, False)
ROWS = ([LIVE], [1], True)
OPERATORS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "index.default": lambda: ([weights()], 0.5, 1.0),
    "index_grid.default": lambda: ([weights()], [0.3, 0.9], [1.0, 2.0, 3.0]),
    "norms.default": lambda: ([weights()], 0.5, 1.0),
    "power_means.default": lambda: ([weights()], [0.5, 1.0, 3.0]),
    "gini.default": lambda: ([weights()], True),
    "topk_mask.default": lambda: ([weights()], 2),
    "topk_mask.per_group": lambda: ([weights()], COUNTS),
    "topk_threshold.default": lambda: ([weights()], 2),
    "topk_threshold.per_group": lambda: ([weights()], COUNTS),
    "retained_bound.default": lambda: ([weights()], 0.5, 1.0, 0.1),
    "summary.default": lambda: ([weights()], 0.5, 1.0, 0.0),
}


def overload(name: str) -> Any:
    """Return the operator of a name such as index.default."""
    pqi.index(X)  # the first tensor registers all
    packet, _, which = name.partition(".")
    return getattr(getattr(torch.ops.pqi, packet), which)


def test_every_operator_is_checked() -> None:
    overload("index.default")
    defined = {name.removeprefix("pqi::") for name in torch._C._dispatch_get_all_op_names() if name.startswith("pqi::")}
    listed = {name.removesuffix(".default") for name in OPERATORS}
    assert defined == listed | {"retained_bound_from_index"}


@pytest.mark.parametrize("common", [WHOLE, ROWS], ids=["whole", "rows"])
@pytest.mark.parametrize("name", OPERATORS)
def test_opcheck(name: str, common: tuple[Any, ...]) -> None:
    if name.endswith("per_group") and common is WHOLE:
        common = (None, [1], False)
    torch.library.opcheck(overload(name), (*OPERATORS[name](), *common))


@pytest.mark.parametrize("name", ["index.default", "norms.default", "topk_mask.default", "summary.default"])
def test_opcheck_of_pools(name: str) -> None:
    _, *own = OPERATORS[name]()
    mixed = [weights(), weights(torch.float32)[0].detach().requires_grad_(), torch.arange(3)]
    masks = [LIVE, LIVE[0], torch.ones((), dtype=torch.bool)]
    torch.library.opcheck(overload(name), (mixed, *own, masks, None, False))


def test_opcheck_of_numbers() -> None:
    numbers = (torch.rand(3), torch.tensor([[4], [5]]), 0.5, 1.0, 0.0)
    torch.library.opcheck(overload("retained_bound_from_index.default"), numbers)


CALLS: dict[str, Callable[[Any], Any]] = {
    "index": pqi.index,
    "index of live rows": lambda x: pqi.index(x, 1, 2, axis=-1, keepdims=True, where=x > 0),
    "dim": lambda x: pqi.norms(x, 0.7, 1.3, dim=0, keepdim=True),
    "grid": lambda x: pqi.index_grid(x, [0.5, 1], [1, 2], axis=(0,)),
    "power means": lambda x: pqi.power_means(x, [0.5, 3.0]),
    "gini": lambda x: pqi.gini(x, unbiased=True, axis=1),
    "bound": lambda x: pqi.retained_bound(x, eta=0.1, where=x < 1),
    "bound of an index": lambda x: pqi.retained_bound_from_index(pqi.index(x, axis=0), x.shape[0]),
    "pool": lambda x: pqi.index(pqi.pooled([x, x[0], x.t()])),
    "masks of a pool": lambda x: pqi.topk_mask(pqi.pooled([x, x[0]]), 5, where=[x > 0, x[0] < 2]),
    "mask": lambda x: x * pqi.topk_mask(x, 3),
    "a share of a length": lambda x: pqi.topk_mask(x, x.shape[0] * 2),
    "a count per row": lambda x: pqi.topk_mask(x, (x > 0).sum(1) // 2, dim=1),
    "threshold": lambda x: pqi.topk_threshold(x, 2, axis=1, keepdims=True),
    "summary": lambda x: [getattr(pqi.summary(x, axis=1), name) for name in ("live", "max", "index", "gini", "bound")],
    "half precision": lambda x: pqi.index(x.to(torch.bfloat16)),
    "integers": lambda x: pqi.gini((x * 100).to(torch.int8)),
}


@pytest.fixture
def compiled() -> Iterator[Callable[..., Any]]:
    """Compile without a backend's own rounding: traced, functionalised, then run operator by operator."""
    torch._dynamo.reset()
    yield lambda function, **rest: torch.compile(function, fullgraph=True, backend="aot_eager", **rest)
    torch._dynamo.reset()


def all_bits(results: Any) -> list[bytes]:
    """Return the bits of one result or several."""
    return [bits(result.numpy()) for result in (results if isinstance(results, (list, tuple)) else [results])]


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", CALLS)
def test_calls_are_traced_whole(name: str, dynamic: bool, compiled: Callable[..., Any]) -> None:
    traced = compiled(CALLS[name], dynamic=dynamic)
    for shape in ((4, 6), (7, 5)):
        x = torch.from_numpy(np.random.default_rng(2).standard_normal(shape).astype(np.float32))
        assert all_bits(traced(x)) == all_bits(CALLS[name](x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, when it loads inductor
def test_tracing_with_inductor(compiled: Callable[..., Any]) -> None:
    def penalty(x: Any) -> Any:
        return pqi.index(x * 2, dim=1).sum()

    x = weights(torch.float32)
    torch.compile(penalty, fullgraph=True)(x).backward()
    found, x.grad = x.grad, None
    penalty(x).backward()
    torch.testing.assert_close(found, x.grad, rtol=1e-6, atol=0)


def test_the_first_call_may_be_a_traced_one() -> None:
    program = (
        "import torch, pqi\n"
        "x = torch.arange(6.0)\n"
        "traced = torch.compile(lambda x: pqi.index(x) + 1, fullgraph=True, backend='eager')(x)\n"
        "assert float(traced) == float(pqi.index(x)) + 1\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", CALLS)
def test_shapes_and_types_without_data(name: str) -> None:
    """Fake and meta tensors are answered with the shapes and types that real ones are."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    real = CALLS[name](X)
    with FakeTensorMode() as mode:
        fake = CALLS[name](mode.from_tensor(X))
    meta = CALLS[name](X.to("meta"))
    for expected, *found in zip(*(r if isinstance(r, (list, tuple)) else [r] for r in (real, fake, meta)), strict=True):
        for answer in found:
            assert (answer.shape, answer.dtype, answer.stride()) == (expected.shape, expected.dtype, expected.stride())


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int16],
    ids=str,
)
def test_types(dtype: Any) -> None:
    x = (X * 30).to(dtype)
    wide = x.to(torch.float64)
    assert float(pqi.index(x)) == pytest.approx(float(pqi.index(wide)), abs=1e-14)
    assert torch.equal(pqi.topk_mask(x, 7, where=LIVE), pqi.topk_mask(wide, 7, where=LIVE))
    assert torch.equal(pqi.summary(x, axis=0).live, torch.full((6,), 4))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_modes(mode: Any) -> None:
    expected = pqi.index(X)
    with mode():
        x = weights()
        assert torch.equal(pqi.index(x), expected)
        assert not pqi.index(x).requires_grad
        assert torch.equal(pqi.topk_mask(x, 5), pqi.topk_mask(X, 5))


@pytest.mark.parametrize(
    "name", ["gini", "grid", "bound", "threshold", "bound of an index", "summary", "a count per row"]
)
def test_the_others_carry_no_gradient(name: str) -> None:
    results = CALLS[name](weights())
    assert not any(result.requires_grad for result in (results if isinstance(results, list) else [results]))


def test_errors_come_out_of_operators_as_they_are() -> None:
    with pytest.raises(ValueError, match=r"k must satisfy 0 <= k <= 6 \(live entries\), got 9 in group 2"):
        pqi.topk_mask(X, torch.tensor([1, 2, 9, 0]), dim=1)
    with pytest.raises(TypeError, match="k must be an integer"):
        pqi.topk_mask(X, torch.tensor([1.0, 2, 2, 0]), dim=1)
    with pytest.raises(TypeError, match="x must hold real numbers"):
        pqi.index(X.to(torch.float8_e4m3fnuz))
    with pytest.raises(ValueError, match="where must lie on x's device, got cpu and meta"):
        pqi.index(X, where=LIVE.to("meta"))
    with pytest.raises(ValueError, match="all arrays must lie on one device, got cpu and meta"):
        pqi.index(pqi.pooled([X, X.to("meta")]))


def test_masks_and_counts_of_other_libraries() -> None:
    live = LIVE.numpy()
    live.flags.writeable = False
    assert bits(pqi.index(X, where=live).numpy()) == bits(pqi.index(X, where=LIVE).numpy())
    for k in (np.int64(3), np.array(3), torch.tensor(3), 3):
        assert torch.equal(pqi.topk_mask(X, k), pqi.topk_mask(X, 3))
    for counts in (COUNTS.numpy(), COUNTS.tolist(), COUNTS.to(torch.uint8)):
        assert torch.equal(pqi.topk_mask(X, counts, dim=1), pqi.topk_mask(X, COUNTS, dim=1))


def test_pools_of_tensors_and_arrays() -> None:
    """Tensors beside other libraries' arrays are read in place too; the first array decides what answers."""
    mixed, alike = pqi.pooled([X, X.numpy()]), pqi.pooled([X, X])
    assert torch.equal(pqi.index(mixed), pqi.index(alike))
    first, second = pqi.topk_mask(mixed, 9)
    assert isinstance(first, torch.Tensor)
    assert isinstance(second, np.ndarray)
    assert bits(pqi.index(pqi.pooled([X.numpy(), X]))) == bits(pqi.index(alike).numpy())
