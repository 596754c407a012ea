"""Gradients of the measures that have one, as formulas of torch's own operations in float64.

All three are functions of power means M_r: ∂M_r/∂x_i = sign(x_i) M_r s_i with s_i = (|x_i| / M_r)^(r−1) / (d M_r).
Entries that are zero or not live have gradient 0, for p < 1 too, where the derivative is unbounded near zero; what
leaves the range of the input's dtype becomes its largest number. The formulas are differentiable in their turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pqi import _arrays


def remember(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG001 - torch's names
    """Keep the inputs: power means are one read, which is cheaper than anything else that backward does."""
    tensors, *arguments, masks, axes, _ = inputs
    ctx.save_for_backward(*tensors, *(masks or ()))
    ctx.count, ctx.arguments, ctx.axes = len(tensors), arguments, axes
    without: list[Any] = [None] * len(arguments)
    without += [None if masks is None else [None] * len(masks), [] if axes == [] else None, None]
    ctx.without = without


def index(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    """∂I/∂x_i = −(1 − I) sign(x_i) (s_i of p − s_i of q)."""
    p, q = ctx.arguments
    groups = _Groups(ctx)
    means = groups.power_means([p, q])
    slope = groups.kept(gradient) * means[0] / means[1]
    return groups.result([p, q], means, [-slope, slope])


def norms(ctx: Any, gradient_p: Tensor, gradient_q: Tensor) -> tuple[Any, ...]:
    """∂‖x‖_r/∂x_i = sign(x_i) ‖x‖_r s_i."""
    p, q = ctx.arguments
    groups = _Groups(ctx)
    found = torch.ops.pqi.norms(groups.tensors, p, q, groups.masks, groups.axes, groups.axes is not None)
    factors = [groups.kept(g) * norm for g, norm in zip((gradient_p, gradient_q), found, strict=True)]
    return groups.result([p, q], groups.power_means([p, q]), factors)


def power_means(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    """∂M_r/∂x_i = sign(x_i) M_r s_i."""
    (exponents,) = ctx.arguments
    groups = _Groups(ctx)
    means = groups.power_means(exponents)
    factors = [groups.kept(g) * mean for g, mean in zip(gradient.unbind(-1), means, strict=True)]
    return groups.result(exponents, means, factors)


class _Groups:
    """The inputs of a call in backward; results of groups have kept dimensions, so that they broadcast to them."""

    def __init__(self, ctx: Any) -> None:
        saved = ctx.saved_tensors
        self.tensors, self.masks = list(saved[: ctx.count]), list(saved[ctx.count :])
        self.axes: Sequence[int] | None = ctx.axes
        self.needed = ctx.needs_input_grad[0]
        self.without = ctx.without
        self.shape = _arrays.reduced_shape(self.tensors, self.axes, keepdims=self.axes is not None)

    def kept(self, values: Tensor) -> Tensor:
        return values.reshape(self.shape)

    def power_means(self, exponents: Sequence[float]) -> Sequence[Tensor]:
        common = self.masks, self.axes, self.axes is not None
        means: Tensor = torch.ops.pqi.power_means(self.tensors, exponents, *common)
        return means.unbind(-1)

    def live(self) -> Any:
        """Live entries of each group."""
        if not self.masks:
            return sum(_entries(tensor, self.axes) for tensor in self.tensors)
        pairs = zip(self.masks, self.tensors, strict=True)
        return sum(_count(mask.expand(tensor.shape), self.axes) for mask, tensor in pairs)

    def result(self, exponents: Sequence[float], means: Sequence[Tensor], factors: Sequence[Tensor]) -> tuple[Any, ...]:
        """Σ_r factor_r s_i sign(x_i) for each tensor that needs it, and None for the other arguments."""
        live = self.live()
        terms = []
        for exponent, mean, factor in zip(exponents, means, factors, strict=True):
            safe = mean.masked_fill(mean == 0, 1.0)  # of groups whose entries are all skipped
            terms.append((exponent, safe, factor / (safe * live)))
        gradients = [
            _gradient(tensor, self.masks[i] if self.masks else None, terms) if self.needed[i] else None
            for i, tensor in enumerate(self.tensors)
        ]
        return gradients, *self.without


def _gradient(x: Tensor, mask: Tensor | None, terms: Sequence[tuple[float, Tensor, Tensor]]) -> Tensor:
    values = x.to(torch.float64)
    counted = values != 0 if mask is None else (values != 0) & mask
    magnitudes = torch.where(counted, values.abs(), 1.0)
    total = torch.zeros_like(values)
    for exponent, mean, factor in terms:
        total = total + factor * (magnitudes / mean) ** (exponent - 1.0)
    limits = torch.finfo(x.dtype)
    return torch.where(counted, total * values.sign(), 0.0).clamp(limits.min, limits.max).to(x.dtype)


def _entries(x: Tensor, axes: Sequence[int] | None) -> int:
    entries = 1
    for axis in range(x.ndim) if axes is None else axes:
        entries *= x.shape[axis]
    return entries


def _count(mask: Tensor, axes: Sequence[int] | None) -> Tensor:
    if axes is None:
        return mask.sum()
    return mask.sum(tuple(axes), keepdim=True) if axes else mask.to(torch.int64)
