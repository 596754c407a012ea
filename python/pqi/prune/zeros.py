"""Masks from the zeros that a pruned checkpoint holds already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn


def masks_from_zeros(
    model: nn.Module, weights: Mapping[str, Tensor], checkpoint: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Boolean masks of `weights`, False where the checkpoint's weight is exactly zero (−0 too; NaN counts as live).

    Parameters
    ----------
    model : torch.nn.Module
        Knows all names of a tied weight: a checkpoint may use any.
    weights : mapping of str to torch.Tensor
        The prunable weights.
    checkpoint : mapping of str to torch.Tensor or None
        Weights by ``state_dict`` key; None takes `weights`. A weight that ``torch.nn.utils.prune`` left as
        ``NAME_orig`` and ``NAME_mask`` is understood.

    Raises
    ------
    ValueError
        If a weight is missing from the checkpoint or has another shape there.

    Examples
    --------
    >>> import torch
    >>> model = nn.Linear(2, 1, bias=False)
    >>> masks_from_zeros(model, {"weight": model.weight}, {"weight": torch.tensor([[0.0, 0.5]])})
    {'weight': tensor([[False,  True]])}
    """
    if checkpoint is None:
        return {name: weight.detach() != 0 for name, weight in weights.items()}
    aliases: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        aliases.setdefault(id(parameter), []).append(name)
    masks = {}
    for name, weight in weights.items():
        names = aliases.get(id(weight), [name])
        found = next((live for alias in names for live in _live(checkpoint, alias)), None)
        if found is None:
            raise ValueError(f"checkpoint must hold every prunable weight, got none for {name!r}")
        if found.shape != weight.shape:
            shapes = f"{tuple(weight.shape)}, got {tuple(found.shape)}"
            raise ValueError(f"checkpoint[{name!r}] must have the weight's shape {shapes}")
        masks[name] = found.to(weight.device)
    return masks


def _live(checkpoint: Mapping[str, Tensor], name: str) -> Iterator[Tensor]:
    if name in checkpoint:
        yield checkpoint[name].detach() != 0
    elif f"{name}_orig" in checkpoint and f"{name}_mask" in checkpoint:
        yield (checkpoint[f"{name}_orig"].detach() != 0) & (checkpoint[f"{name}_mask"] != 0)
