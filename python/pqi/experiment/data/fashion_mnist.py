"""FashionMNIST: 28x28 grey images of ten kinds of clothes in IDX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pqi.experiment.data.dataset import Dataset, Images, Normalisation, assemble
from pqi.experiment.data.files import checked_labels, find, refuse
from pqi.experiment.data.idx import read_idx

CLASSES = 10
SIDE = 28
NORMALISATION = Normalisation((0.2860,), (0.3530,))
PLACES = (".", "FashionMNIST/raw", "fashion-mnist", "FashionMNIST", "fashionmnist")
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def fashion_mnist(folder: Path) -> Dataset:
    """Return FashionMNIST from its four files, plain or with ``.gz``.

    Raises
    ------
    ValueError
        If a file is damaged, images are not 28x28, their number is not that of the labels, or a label is not in 0 … 9.
    OSError
        If a file is missing or cannot be read.
    """
    files = find(folder, PLACES, [f"{name}|{name}.gz" for name in NAMES])
    return assemble(_images(*files[:2]), _images(*files[2:]), CLASSES, NORMALISATION)


def _images(images: Path, labels: Path) -> Images:
    pixels, targets = read_idx(images, 3), read_idx(labels, 1)
    if pixels.shape[1:] != (SIDE, SIDE) or not len(pixels):
        refuse(images, f"must hold images of {SIDE} x {SIDE} pixels, got {' x '.join(map(str, pixels.shape))}")
    if len(targets) != len(pixels):
        refuse(labels, f"must hold one label for each of the {len(pixels)} images, got {len(targets)}")
    return Images(pixels[:, None], checked_labels(labels, targets.astype(np.int64), CLASSES))
