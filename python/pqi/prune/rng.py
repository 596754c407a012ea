"""State of the global random generators of torch, numpy and `random`, as tensors and plain values."""

from __future__ import annotations

import random
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor


class NumpyState(TypedDict):
    """State of numpy's global Mersenne twister."""

    key: Tensor
    pos: int
    has_gauss: int
    gauss: float


class RngState(TypedDict):
    """Everything that `restore` needs; safe for ``torch.save`` and loading with ``weights_only``."""

    torch: Tensor
    cuda: list[Tensor]
    numpy: NumpyState
    python: tuple[int, tuple[int, ...], float | None]


def capture() -> RngState:
    """Copy the state of every global generator, CUDA's included where it is in use."""
    in_use: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call] # torch leaves it unannotated
    twister = np.random.get_state(legacy=False)  # noqa: NPY002 - user code draws from the global generator
    return RngState(
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state_all() if in_use else [],
        numpy=NumpyState(
            key=torch.from_numpy(twister["state"]["key"].astype(np.int64)),
            pos=int(twister["state"]["pos"]),
            has_gauss=int(twister["has_gauss"]),
            gauss=float(twister["gauss"]),
        ),
        python=random.getstate(),
    )


def restore(state: RngState) -> None:
    """Set every global generator back to a captured state."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    twister = state["numpy"]
    key = twister["key"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, twister["pos"], twister["has_gauss"], twister["gauss"]))  # noqa: NPY002 - as above
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
