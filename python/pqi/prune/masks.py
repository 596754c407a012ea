"""Masks that hold: pruned weights stay zero through momentum, weight decay and adaptive steps.

Nothing is added to the model: no hooks, no renamed parameters, no extra buffers. Its ``state_dict`` keys, tied weights,
``deepcopy`` and pickling stay as they were; the masks act through step hooks of the optimizer alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

WORDS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""The integer type of each width in bytes: −1 has all bits set."""


class HeldMasks:
    """Boolean masks of some parameters of a model (True = live), and the hooks that hold them.

    Masks follow their weights between devices. A copied or unpickled object is not attached to any optimizer. Holding a
    tensor costs one word per weight, of the weight's own width, and next to no time; a tensor that is all live costs
    nothing.

    Parameters
    ----------
    model : torch.nn.Module
    names : sequence of str
        Parameters to mask; all weights are live at first.
    """

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        self.model = model
        self._masks = {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in names}
        self._pruned: list[str] = []
        self._words: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def weights(self) -> dict[str, nn.Parameter]:
        """Look up the masked parameters anew: a model may replace them when it is moved."""
        return {name: self.model.get_parameter(name) for name in self._masks}

    def get(self) -> dict[str, Tensor]:
        """Return the masks, each on its weight's device; not to be written to."""
        for name, weight in self.weights().items():
            self._masks[name] = self._masks[name].to(weight.device)
        return dict(self._masks)

    def set(self, masks: Mapping[str, Tensor]) -> None:
        """Replace all masks; they are copied. Weights change with the next `apply`.

        Raises
        ------
        ValueError
            Unless `masks` has the same names, shapes and dtype bool.
        """
        weights = self.weights()
        _check_names(masks, weights)
        for name, weight in weights.items():
            if masks[name].dtype != torch.bool or masks[name].shape != weight.shape:
                raise ValueError(
                    f"the mask of {name!r} must be bool of shape {tuple(weight.shape)}, "
                    f"got {masks[name].dtype} of shape {tuple(masks[name].shape)}"
                )
        self._masks = {name: masks[name].to(weight.device, copy=True) for name, weight in weights.items()}
        self._pruned = [name for name, mask in self._masks.items() if not mask.all()]
        self._words = {}

    def narrow(self, masks: Mapping[str, Tensor]) -> None:
        """Take over, without a copy, masks of some parameters that leave fewer weights live than the present ones.

        The caller answers for names, shapes, dtype and device, and keeps no hand on them.
        """
        self._masks.update(masks)
        self._pruned = [name for name in self._masks if name in masks or name in self._pruned]
        for (name, _, _), words in self._words.items():
            if name in masks:
                words.copy_(masks[name]).neg_()  # in place: fresh memory would cost more than this

    def apply(self) -> None:
        """Set pruned weights to zero in place, NaN and inf included."""
        for name in self._pruned:
            self._clear(name, self.model.get_parameter(name))

    def mask_gradients(self) -> None:
        """Set the gradients of pruned weights to zero in place; sparse gradients are left as they are."""
        for name in self._pruned:
            self._after_gradient(name, self.model.get_parameter(name))

    def revived(self) -> dict[str, int]:
        """How many pruned weights are not zero, for each tensor that has any."""
        masks = self.get()
        counts = {name: int((~masks[name] & (weight != 0)).sum()) for name, weight in self.weights().items()}
        return {name: count for name, count in counts.items() if count}

    def attach(self, *optimizers: Optimizer, early: bool = False) -> None:
        """Hold the masks through every step of `optimizers` instead of the previous ones'.

        Gradients are masked before a step, so that moments and norms see live weights only, or with `early` as soon as
        they are there, which hooks on the weights do; weights are masked after the step, because momentum and weight
        decay move weights that have no gradient.
        """
        self.detach()
        self.apply()
        for optimizer in optimizers:
            self._handles.append(optimizer.register_step_pre_hook(self._before_step))
            self._handles.append(optimizer.register_step_post_hook(self._after_step))
        for name, weight in self.weights().items() if early else ():
            if weight.requires_grad:
                mask = partial(self._after_gradient, name)
                self._handles.append(weight.register_post_accumulate_grad_hook(mask))  # type: ignore[no-untyped-call] # torch's

    def detach(self) -> None:
        """Remove the hooks, if there are any."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _clear(self, name: str, tensor: Tensor) -> None:
        """Set pruned entries to +0 by their bits: right for NaN and inf, and far faster than a masked fill."""
        bits = tensor.detach().view(WORDS[tensor.element_size()])
        key = (name, bits.device, bits.dtype)
        if key not in self._words:
            self._words[key] = torch.empty_like(bits).copy_(self._masks[name]).neg_()
        bits.bitwise_and_(self._words[key])

    def _after_gradient(self, name: str, weight: Tensor) -> None:
        if name in self._pruned and weight.grad is not None and weight.grad.layout is torch.strided:
            self._clear(name, weight.grad)

    def _before_step(self, *_: Any) -> None:
        self.mask_gradients()

    def _after_step(self, *_: Any) -> None:
        self.apply()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_words": {}, "_handles": []}


def pack(masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Masks as one bit per weight: uint8 vectors on the CPU, the first weight in the highest bit.

    Examples
    --------
    >>> pack({"weight": torch.tensor([[True, False], [True, True]])})
    {'weight': tensor([176], dtype=torch.uint8)}
    """
    return {name: torch.from_numpy(np.packbits(mask.cpu().numpy())) for name, mask in masks.items()}


def unpack(packed: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `pack` for masks of `weights`, onto their devices.

    Raises
    ------
    ValueError
        If the names differ or a packed mask has the wrong length.
    """
    _check_names(packed, weights)
    masks = {}
    for name, weight in weights.items():
        expected = (weight.numel() + 7) // 8
        if packed[name].shape != (expected,):
            raise ValueError(f"the packed mask of {name!r} must have {expected} bytes, got {tuple(packed[name].shape)}")
        bits = np.unpackbits(packed[name].cpu().numpy(), count=weight.numel())
        masks[name] = torch.from_numpy(bits).bool().reshape(weight.shape).to(weight.device)
    return masks


def _check_names(masks: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    missing, unexpected = sorted(weights.keys() - masks.keys()), sorted(masks.keys() - weights.keys())
    if missing or unexpected:
        raise ValueError(f"masks must be those of the pruned weights, got missing {missing}, unexpected {unexpected}")
