"""Augmentation of small images: flips from left to right, and crops after padding by reflected pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PAD = 4


def moved(images: NDArray[Any], moves: NDArray[np.int64]) -> NDArray[Any]:
    """Return images (N, C, H, W) moved as `moves` says, one row (flip, top, left) each.

    Each is padded by `PAD` pixels, reflected at its edges without repeating them, and cropped to its size from (top,
    left) in [0, 2 PAD]; (0, PAD, PAD) leaves it as it is. Then, where flip is 1, left and right are exchanged.
    """
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (PAD, PAD), (PAD, PAD)), mode="reflect")
    result = np.empty_like(images)
    for image, source, (flip, top, left) in zip(result, padded, moves.tolist(), strict=True):
        crop = source[:, top : top + height, left : left + width]
        image[:] = crop[:, :, ::-1] if flip else crop
    return result
