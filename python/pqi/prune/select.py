"""Which parameters of a model are prunable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

Pick = str | type[nn.Module]
"""A parameter's name, a pattern of names, or a module type."""

Select = Callable[[str, nn.Parameter], bool] | Sequence[Pick] | None
"""Prunable parameters: a predicate of name and parameter, names, patterns and types, or None for the default rule."""

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
        Axis that counts the output units: 1 for transposed convolutions and for Transformers' `Conv1D`, else 0.
    blocks : int
        Convolution groups that the input axis of a transposed convolution is divided into; else 1.
    """

    name: str
    shape: tuple[int, ...]
    output_axis: int = 0
    blocks: int = 1


@dataclass(frozen=True)
class Candidate:
    """A parameter of a model with all its names and owners: one each, unless it is tied."""

    parameter: nn.Parameter
    names: tuple[str, ...]
    owners: tuple[nn.Module, ...]

    def is_weight(self) -> bool:
        """Whether the default rule takes it."""
        return (
            "weight" in self.names[0].rpartition(".")[2]
            and not isinstance(self.owners[0], NORMALISATIONS)
            and self.parameter.ndim > 1
            and self.parameter.is_floating_point()
        )

    def fits(self, pick: Pick) -> bool:
        """Whether any of its names or owners is meant."""
        if isinstance(pick, str):
            return pick in self.names or any(fnmatchcase(name, pick) for name in self.names)
        return any(isinstance(owner, pick) for owner in self.owners)


def prunable(model: nn.Module, select: Select = None, exclude: Sequence[Pick] = ()) -> list[Prunable]:
    """List the prunable weights of `model`, in the model's order, tied ones once.

    The default rule takes the floating-point parameters with more than one axis whose own name contains "weight"
    (convolutions, linear and bilinear layers, embeddings, packed attention and recurrent weights), stem, shortcuts and
    classifier included; never biases or the parameters of normalisation layers.

    Parameters
    ----------
    model : torch.nn.Module
    select : callable, sequence or None
        ``select(name, parameter) -> bool``, or a sequence of these, each adding to the choice:

        - a name selects that parameter, whatever the default rule says of it;
        - a pattern of `fnmatch`, such as ``"encoder.*.weight"`` (``*`` crosses dots), selects the weights of the
          default rule whose names match;
        - a module type selects the weights of the default rule in modules of that type.

        Any of a tied weight's names and modules will do.
    exclude : sequence
        Names, patterns and module types whose parameters are left out of what `select` chose; a tied weight is left out
        by any of its names or modules.

    Raises
    ------
    ValueError
        If a name, pattern or type fits no parameter it could choose, if nothing is selected, if a selected parameter is
        not floating point, or if the model still has uninitialised parameters (lazy modules).
    TypeError
        If `select` or `exclude` is a string, or holds something else than strings and module types.

    Examples
    --------
    >>> model = nn.Sequential(nn.Embedding(9, 4), nn.LSTM(4, 4), nn.Linear(4, 9))
    >>> [weight.name for weight in prunable(model, exclude=[nn.Embedding, "*_hh_*"])]
    ['1.weight_ih_l0', '2.weight']
    """
    for name, parameter in model.named_parameters():
        if nn.parameter.is_lazy(parameter):
            raise ValueError(f"parameter {name!r} must be initialised: pass one batch through the model first")
    candidates = _candidates(model)
    chosen = _selected(model, candidates, select)
    _check_picks("exclude", exclude)
    for pick in exclude:
        _require_fit(model, candidates, "exclude", pick)
    chosen = [found for found in chosen if not any(found.fits(pick) for pick in exclude)]
    if not chosen:
        raise ValueError(f"select must choose at least one parameter of {type(model).__name__}, got none")
    return [_describe(found) for found in chosen]


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside ``torch.compile``'s and ``DistributedDataParallel``'s wrappers.

    They hold the same parameters under longer names.
    """
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def _selected(model: nn.Module, candidates: list[Candidate], select: Select) -> list[Candidate]:
    if select is None:
        return [found for found in candidates if found.is_weight()]
    if callable(select):
        return [found for found in candidates if select(found.names[0], found.parameter)]
    _check_picks("select", select)
    chosen: set[str] = set()
    for pick in select:
        named = [found for found in candidates if pick in found.names]
        chosen |= {found.names[0] for found in named or _require_fit(model, candidates, "select", pick)}
    return [found for found in candidates if found.names[0] in chosen]


def _check_picks(argument: str, picks: Sequence[object]) -> None:
    if isinstance(picks, str):
        raise TypeError(f"{argument} must be a list of names or a function, got the string {picks!r}")
    for pick in picks:
        if not isinstance(pick, str) and not (isinstance(pick, type) and issubclass(pick, nn.Module)):
            raise TypeError(f"{argument} must hold names, patterns and module types, got {pick!r}")


def _require_fit(model: nn.Module, candidates: list[Candidate], argument: str, pick: Pick) -> list[Candidate]:
    """Return the candidates of the default rule that `pick` fits (for an exclusion: any), at least one."""
    fitting = [found for found in candidates if found.fits(pick) and (argument == "exclude" or found.is_weight())]
    if not fitting:
        shown = repr(pick) if isinstance(pick, str) else pick.__name__
        raise ValueError(f"{argument} must name parameters of {type(model).__name__}, got {shown}")
    return fitting


def _candidates(model: nn.Module) -> list[Candidate]:
    """List every parameter once, in the model's order, with all its names and owners."""
    found: dict[int, Candidate] = {}
    for name, owner, parameter in _occurrences(model):
        seen = found.get(id(parameter), Candidate(parameter, (), ()))
        found[id(parameter)] = Candidate(parameter, (*seen.names, name), (*seen.owners, owner))
    return list(found.values())


def _occurrences(model: nn.Module) -> Iterator[tuple[str, nn.Module, nn.Parameter]]:
    for prefix, module in model.named_modules(remove_duplicate=False):
        for own_name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            yield f"{prefix}.{own_name}" if prefix else own_name, module, parameter


def _describe(found: Candidate) -> Prunable:
    name, shape, owner = found.names[0], tuple(found.parameter.shape), found.owners[0]
    if not found.parameter.is_floating_point():
        raise ValueError(f"parameter {name!r} must be floating point to be prunable, got {found.parameter.dtype}")
    if isinstance(owner, TRANSPOSED):
        return Prunable(name, shape, output_axis=1, blocks=owner.groups)
    if type(owner).__name__ == "Conv1D" and getattr(owner, "nf", None) == shape[-1]:
        return Prunable(name, shape, output_axis=1)  # Transformers' linear layer stores (in, out)
    return Prunable(name, shape)
