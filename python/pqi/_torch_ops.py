"""The measures as torch operators (`torch.ops.pqi.*`): kernels for CPU and CUDA tensors, shapes for tracing, gradients.

Imported with the first torch tensor, never before. A kernel is the measure itself on views of its tensors; nothing is
defined a second time here. Every operator takes the tensors of one vector as a list, its own arguments, then masks,
axes and keepdims, and allocates what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pqi import _arrays, _bound, _gini, _index, _norms, _summary, _topk, _torch_gradients

LIBRARY: Any = torch.library.Library("pqi", "DEF")  # type: ignore[no-untyped-call] # torch leaves it unannotated
COMMON = "Tensor[]? where, int[]? axis, bool keepdims"  # no defaults: backward answers for every argument

Shape = tuple[int, ...]
Common = tuple[list[Tensor] | None, Shape | None, bool]  # masks, axes, keepdims


@dataclass(frozen=True)
class Operator:
    """How a measure is registered."""

    name: str
    measure: Callable[..., Any]
    own: str
    returns: str
    fake: Callable[..., Any]
    backward: Callable[..., Any] | None = None

    @property
    def schema(self) -> str:
        """What torch parses."""
        return f"{self.name}({', '.join(filter(None, ('Tensor[] x', self.own, COMMON)))}) -> {self.returns}"

    @property
    def own_count(self) -> int:
        """How many arguments the measure takes besides its arrays."""
        return self.own.count(",") + 1 if self.own else 0


def _floats(tensors: Sequence[Tensor], shape: Shape, *_: Any) -> Tensor:
    return tensors[0].new_empty(shape, dtype=torch.float64)


def _two(tensors: Sequence[Tensor], shape: Shape, *_: Any) -> tuple[Tensor, Tensor]:
    return _floats(tensors, shape), _floats(tensors, shape)


def _row(tensors: Sequence[Tensor], shape: Shape, exponents: Sequence[float]) -> Tensor:
    return _floats(tensors, (*shape, len(exponents)))


def _grid(tensors: Sequence[Tensor], shape: Shape, p: Sequence[float], q: Sequence[float]) -> Tensor:
    return _floats(tensors, (*shape, len(p), len(q)))


def _summarised(tensors: Sequence[Tensor], shape: Shape, *_: Any) -> tuple[Tensor, ...]:
    counts = tuple(tensors[0].new_empty(shape, dtype=torch.int64) for _ in range(3))
    return *counts, *(_floats(tensors, shape) for _ in range(5))


def _masks(tensors: Sequence[Tensor], *_: Any) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape, dtype=torch.bool) for tensor in tensors]


PAIR = "float p, float q"
EIGHT = f"({', '.join(['Tensor'] * 8)})"
GROUPED = [
    Operator("index", _index.of_pair, PAIR, "Tensor", _floats, _torch_gradients.index),
    Operator("index_grid", _index.of_grid, "float[] p, float[] q", "Tensor", _grid),
    Operator("norms", _norms.of_pair, PAIR, "(Tensor, Tensor)", _two, _torch_gradients.norms),
    Operator("power_means", _norms.of_means, "float[] exponents", "Tensor", _row, _torch_gradients.power_means),
    Operator("gini", _gini.of_magnitudes, "bool unbiased", "Tensor", _floats),
    Operator("topk_mask", _topk.of_largest, "SymInt k", "Tensor[]", _masks),
    Operator("topk_mask.per_group", _topk.of_largest, "Tensor k", "Tensor[]", _masks),
    Operator("topk_threshold", _topk.of_last, "SymInt k", "Tensor", _floats),
    Operator("topk_threshold.per_group", _topk.of_last, "Tensor k", "Tensor", _floats),
    Operator("retained_bound", _bound.of_arrays, f"{PAIR}, float eta", "Tensor", _floats),
    Operator("summary", _summary.of_arrays, f"{PAIR}, float eta", EIGHT, _summarised),
]


def _register(operator: Operator) -> Any:
    """Define an operator with all its kernels and return what calls it."""
    measure, own, fake = operator.measure, operator.own_count, operator.fake

    def kernel(tensors: list[Tensor], *arguments: Any) -> Any:
        return measure(_arrays.of_tensors(tensors, *arguments[own:]), *arguments[:own])

    def shapes(tensors: list[Tensor], *arguments: Any) -> Any:
        return fake(tensors, _arrays.reduced_shape(tensors, *arguments[own + 1 :]), *arguments[:own])

    LIBRARY.define(operator.schema, tags=(torch.Tag.pt2_compliant_tag,))
    for key in ("CPU", "CUDA"):
        LIBRARY.impl(operator.name, kernel, key)
    torch.library.register_fake(f"pqi::{operator.name}", shapes, lib=LIBRARY)
    if operator.backward is None:
        LIBRARY.impl(operator.name, torch.library.fallthrough_kernel, "Autograd")
    else:
        torch.library.register_autograd(
            f"pqi::{operator.name}", operator.backward, setup_context=_torch_gradients.remember, lib=LIBRARY
        )
    packet, _, overload = operator.name.partition(".")
    return getattr(getattr(torch.ops.pqi, packet), overload or "default")


def _register_all() -> dict[Callable[..., Any], list[Any]]:
    overloads: dict[Callable[..., Any], list[Any]] = {}
    for operator in GROUPED:
        overloads.setdefault(operator.measure, []).append(_register(operator))
    return overloads


def _register_elementwise(name: str, measure: Callable[..., Any], own: str) -> Any:
    LIBRARY.define(f"{name}(Tensor index, Tensor d, {own}) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))
    for key in ("CPU", "CUDA"):
        LIBRARY.impl(name, measure, key)
    LIBRARY.impl(name, torch.library.fallthrough_kernel, "Autograd")
    torch.library.register_fake(f"pqi::{name}", _broadcast, lib=LIBRARY)
    return getattr(torch.ops.pqi, name).default


def _broadcast(first: Tensor, second: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(first + second, dtype=torch.float64, memory_format=torch.contiguous_format)


OVERLOADS = _register_all()
ELEMENTWISE = {
    _bound.of_numbers: _register_elementwise("retained_bound_from_index", _bound.of_numbers, f"{PAIR}, float eta")
}
DIFFERENTIABLE = frozenset(operator.measure for operator in GROUPED if operator.backward is not None)


def call(measure: Callable[..., Any], tensors: list[Tensor], common: Common, arguments: tuple[Any, ...]) -> Any:
    """Call the operator of `measure`, or the measure itself where it has none."""
    overloads = OVERLOADS.get(measure)
    if overloads is None:
        return measure(_arrays.of_tensors(tensors, *common), *arguments)
    operator = overloads[-1 if isinstance(arguments[0], Tensor) else 0]
    arguments += common
    if measure not in DIFFERENTIABLE or torch.compiler.is_compiling() or _needs_gradient(tensors):
        return operator(tensors, *arguments)
    with torch._C._AutoDispatchBelowAutograd():  # the gradient's bookkeeping costs more than a small call
        return operator(tensors, *arguments)


def _needs_gradient(tensors: list[Tensor]) -> bool:
    if torch.is_grad_enabled():
        for tensor in tensors:
            if tensor.requires_grad:
                return True
    return False
