"""Which parameters of a model are prunable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

Select = Callable[[str, nn.Parameter], bool] | Sequence[str] | None
"""Prunable parameters: a predicate of name and parameter, names, or None for the default rule."""

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMALISATIONS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)


@dataclass(frozen=True)
class Prunable:
    """A prunable weight tensor.

    Attributes
    ----------
    name : str
        Key in ``state_dict``; the first one of a tied weight.
    shape : tuple of int
    output_axis : int
        Axis that counts the output units: 1 for transposed convolutions, else 0.
    blocks : int
        Convolution groups that the input axis of a transposed convolution is divided into; else 1.
    """

    name: str
    shape: tuple[int, ...]
    output_axis: int = 0
    blocks: int = 1


def prunable(model: nn.Module, select: Select = None) -> list[Prunable]:
    """List the prunable weights of `model`, in the model's order, tied ones once.

    The default rule takes the floating-point parameters with more than one axis whose own name contains "weight"
    (convolutions, linear and bilinear layers, embeddings, packed attention and recurrent weights), stem, shortcuts and
    classifier included; never biases or the parameters of normalisation layers.

    Parameters
    ----------
    model : torch.nn.Module
    select : callable, sequence of str or None
        ``select(name, parameter) -> bool``, or the names themselves (any of a tied weight's names will do).

    Raises
    ------
    ValueError
        If a name is unknown, if nothing is selected, if a selected parameter is not floating point, or if the model
        still has uninitialised parameters (lazy modules).
    TypeError
        If `select` is a string.
    """
    for name, parameter in model.named_parameters():
        if nn.parameter.is_lazy(parameter):
            raise ValueError(f"parameter {name!r} must be initialised: pass one batch through the model first")
    chosen = _selected(model, select)
    if not chosen:
        raise ValueError(f"select must choose at least one parameter of {type(model).__name__}, got none")
    return [_describe(name, parameter, module) for name, parameter, module in chosen]


def _selected(model: nn.Module, select: Select) -> list[tuple[str, nn.Parameter, nn.Module]]:
    owned = list(_owned_parameters(model))
    if select is None:
        return [found for found in owned if _is_weight(*found)]
    if callable(select):
        return [found for found in owned if select(found[0], found[1])]
    if isinstance(select, str):
        raise TypeError(f"select must be a list of names or a function, got the string {select!r}")
    named = dict(model.named_parameters(remove_duplicate=False))
    for name in select:
        if name not in named:
            raise ValueError(f"select must name parameters of {type(model).__name__}, got {name!r}")
    identities = {id(named[name]) for name in select}
    return [found for found in owned if id(found[1]) in identities]


def _owned_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, nn.Module]]:
    """Yield (name, parameter, first module that owns it), each parameter once."""
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        for own_name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield f"{prefix}.{own_name}" if prefix else own_name, parameter, module


def _is_weight(name: str, parameter: nn.Parameter, module: nn.Module) -> bool:
    return (
        "weight" in name.rpartition(".")[2]
        and not isinstance(module, NORMALISATIONS)
        and parameter.ndim > 1
        and parameter.is_floating_point()
    )


def _describe(name: str, parameter: nn.Parameter, module: nn.Module) -> Prunable:
    if not parameter.is_floating_point():
        raise ValueError(f"parameter {name!r} must be floating point to be prunable, got {parameter.dtype}")
    shape = tuple(parameter.shape)
    if isinstance(module, TRANSPOSED):
        return Prunable(name, shape, output_axis=1, blocks=module.groups)
    return Prunable(name, shape)
