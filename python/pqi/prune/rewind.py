"""True copies of a module's parameters and buffers, and the way back to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Snapshot:
    """Values of all parameters and buffers by name, in storage of their own.

    Biases, normalisation parameters and running statistics are included, buffers that ``state_dict`` leaves out too; a
    tied parameter is there once. A snapshot taken with `of` shares no memory with the model, and nothing here writes to
    it.
    """

    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, model: nn.Module) -> Snapshot:
        """Clone what `model` holds now."""
        return cls({name: tensor.detach().clone() for name, tensor in _held(model).items()})

    def restore(self, model: nn.Module) -> None:
        """Copy the values back in place and drop the gradients, which belong to the values that are gone.

        Raises
        ------
        ValueError
            As `check`, before anything is written.
        """
        self.check(model)
        with torch.no_grad():
            for name, tensor in _held(model).items():
                tensor.copy_(self.tensors[name])
        for parameter in model.parameters():
            parameter.grad = None

    def check(self, model: nn.Module) -> None:
        """Raise ValueError unless `model` has exactly these tensors, in names, shapes and dtypes."""
        held = _held(model)
        missing, unexpected = sorted(self.tensors.keys() - held.keys()), sorted(held.keys() - self.tensors.keys())
        if missing or unexpected:
            raise ValueError(
                f"parameters and buffers must be those of the snapshot, got missing {missing}, unexpected {unexpected}"
            )
        for name, tensor in held.items():
            kept = self.tensors[name]
            if tensor.shape != kept.shape or tensor.dtype != kept.dtype:
                raise ValueError(
                    f"{name!r} must be {kept.dtype} of shape {tuple(kept.shape)} as in the snapshot, "
                    f"got {tensor.dtype} of shape {tuple(tensor.shape)}"
                )


def _held(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
