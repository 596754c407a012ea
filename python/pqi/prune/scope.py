"""How a scope divides the prunable weights into groups.

A scope is a list of batches. A batch holds the groups that one array call handles: one weight tensor with the axes that
are reduced (neuron), one whole tensor (layer) or all tensors as one vector (global). What measures, counts and masks
sees batches only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

import pqi
from pqi.prune.select import Prunable


@dataclass(frozen=True)
class Batch:
    """Groups of equal size that one array call handles together.

    Attributes
    ----------
    names : tuple of str
        The groups, in the order of the flattened result of the call.
    members : tuple of str
        The weight tensors they are made of; several are one vector.
    size : int
        Weights per group.
    axis : tuple of int or None
        Axes reduced within the single member; None reduces everything.
    blocks : int
        The first axis of the single member is divided into this many blocks, as an axis of its own.
    """

    names: tuple[str, ...]
    members: tuple[str, ...]
    size: int
    axis: tuple[int, ...] | None = None
    blocks: int = 1

    def operand(self, tensors: Mapping[str, Tensor]) -> Any:
        """`tensors` (weights, by name) as the first argument of an array function; nothing is copied."""
        parts = self.operands(tensors)
        return parts[0] if len(parts) == 1 else pqi.pooled(parts)

    def where(self, masks: Mapping[str, Tensor]) -> Any:
        """`masks` (by name) as the ``where`` argument that belongs to `operand`."""
        parts = self.operands(masks)
        return parts[0] if len(parts) == 1 else parts

    def keep(
        self, ranking: Mapping[str, Tensor], masks: Mapping[str, Tensor], counts: Sequence[int]
    ) -> dict[str, Tensor]:
        """Return masks that keep, in each group, the `counts` live weights of largest |ranking|.

        Ties keep the lowest flat index, so that the counts are exact.
        """
        k = counts[0] if self.axis is None else torch.tensor(counts).reshape(self._result_shape(ranking))
        kept = pqi.topk_mask(self.operand(ranking), k, axis=self.axis, where=self.where(masks))
        parts = [kept] if len(self.members) == 1 else kept
        return {name: part.reshape(masks[name].shape) for name, part in zip(self.members, parts, strict=True)}

    def operands(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """`tensors` of the members, one by one, in the shape that `axis` refers to."""
        parts = [tensors[name].detach() for name in self.members]
        return parts if self.blocks == 1 else [parts[0].view(self.blocks, -1, *parts[0].shape[1:])]

    def _result_shape(self, tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
        shape = self.operands(tensors)[0].shape
        return tuple(n for axis, n in enumerate(shape) if axis not in (self.axis or ()))


Divide = Callable[[Sequence[Prunable]], list[Batch]]


def neuron(weights: Sequence[Prunable]) -> list[Batch]:
    """One group per output unit: all that is multiplied into it, flattened.

    For a grouped transposed convolution, stored as (in, out / groups, ...), unit o belongs to the convolution group
    o // (out / groups), and only that group's inputs reach it.
    """
    return [_units(weight) for weight in weights]


def layer(weights: Sequence[Prunable]) -> list[Batch]:
    """One group per weight tensor."""
    return [Batch((weight.name,), (weight.name,), math.prod(weight.shape)) for weight in weights]


def everything(weights: Sequence[Prunable]) -> list[Batch]:
    """One group, all weights as one vector in the order of the model."""
    names = tuple(weight.name for weight in weights)
    return [Batch(("global",), names, sum(math.prod(weight.shape) for weight in weights))]


def custom(weights: Sequence[Prunable], groups: Mapping[str, str | Sequence[str]]) -> list[Batch]:
    """One group per entry of `groups`: the weights whose names fit its patterns, as one vector.

    A weight belongs to the first group that it fits.

    Raises
    ------
    ValueError
        If a weight fits no group or a group is left without a weight.
    """
    members: dict[str, list[Prunable]] = {name: [] for name in groups}
    for weight in weights:
        for name, patterns in groups.items():
            if any(fnmatchcase(weight.name, p) for p in ([patterns] if isinstance(patterns, str) else patterns)):
                members[name].append(weight)
                break
        else:
            raise ValueError(f"scope must have a group for every weight (* for the rest), got none for {weight.name!r}")
    for name, found in members.items():
        if not found:
            raise ValueError(f"every group of scope must have a weight, got none for {name!r}")
    return [
        Batch((name,), tuple(weight.name for weight in found), sum(math.prod(weight.shape) for weight in found))
        for name, found in members.items()
    ]


SCOPES: Mapping[str, Divide] = {"neuron": neuron, "layer": layer, "global": everything}

Scope = str | Mapping[str, str | Sequence[str]] | Divide
"""``"neuron"``, ``"layer"``, ``"global"``, name patterns by group, or a function from the weights to batches."""


def divide(weights: Sequence[Prunable], scope: Scope) -> list[Batch]:
    """Divide `weights` into the groups of `scope`.

    A mapping pools the weights whose names fit its patterns (`fnmatch`), each in the first group that it fits. A
    function may leave weights out, which are then never pruned.

    Raises
    ------
    ValueError
        If `scope` is a string other than the three names, if a mapping leaves a weight or a group without the other, or
        if a function puts a weight into several batches.

    Examples
    --------
    >>> weights = [Prunable("fc1.weight", (2, 3)), Prunable("fc2.weight", (2, 2)), Prunable("head.weight", (1, 2))]
    >>> for batch in divide(weights[:1], "neuron"):
    ...     print(batch.names, batch.axis)
    ('fc1.weight[0]', 'fc1.weight[1]') (1,)
    >>> for batch in divide(weights, {"body": "fc*", "head": ["head.*"]}):
    ...     print(batch.names, batch.members)
    ('body',) ('fc1.weight', 'fc2.weight')
    ('head',) ('head.weight',)
    """
    if isinstance(scope, Mapping):
        return custom(weights, scope)
    if callable(scope):
        batches = scope(weights)
        members = [name for batch in batches for name in batch.members]
        for name in members:
            if members.count(name) > 1:
                raise ValueError(f"scope must put a weight into one batch, got {members.count(name)} for {name!r}")
        return batches
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {', '.join(map(repr, SCOPES))} or a function, got {scope!r}")
    return SCOPES[scope](weights)


def _units(weight: Prunable) -> Batch:
    shape = weight.shape
    kept: tuple[int, ...] = (weight.output_axis,)
    if weight.blocks > 1:
        shape = (weight.blocks, shape[0] // weight.blocks, *shape[1:])
        kept = (0, weight.output_axis + 1)
    axis = tuple(i for i in range(len(shape)) if i not in kept)
    units = math.prod(shape[i] for i in kept)
    return Batch(
        names=tuple(f"{weight.name}[{unit}]" for unit in range(units)),
        members=(weight.name,),
        size=math.prod(shape[i] for i in axis),
        axis=axis,
        blocks=weight.blocks,
    )
