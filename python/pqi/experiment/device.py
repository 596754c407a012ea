"""Devices by the kinds that configurations name."""

from __future__ import annotations

import torch

CPU = torch.device("cpu")


def device_of(kind: str, number: int | None = None) -> torch.device:
    """Return the device of this kind; of several, the current one or that of this number.

    Raises
    ------
    ValueError
        If torch cannot reach it.
    """
    if kind == "cpu":
        return CPU
    if not torch.cuda.is_available():
        raise ValueError(f"device must be one that torch can reach, got {kind}")
    wanted = torch.cuda.current_device() if number is None else number
    if wanted >= torch.cuda.device_count():
        raise ValueError(f"device must be one of {torch.cuda.device_count()} that torch can reach, got {kind}:{wanted}")
    return torch.device(kind, wanted)
