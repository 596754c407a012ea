"""scikit-learn's handwritten digits, which come with the library."""

from __future__ import annotations

import numpy as np
import torch

from pqi.experiment.data.dataset import Dataset, Split

DIGITS_SIZES = (1200, 250, 347)


def digits_indices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row numbers of scikit-learn's digits in each split.

    The split does not depend on a run's seed, so every run is compared on the same images. `RandomState` is
    used because numpy guarantees its stream forever; the newer `Generator` may change between versions.
    """
    order = np.random.RandomState(0).permutation(sum(DIGITS_SIZES))
    train, validation, _ = DIGITS_SIZES
    return order[:train], order[train : train + validation], order[train + validation :]


def digits() -> Dataset:
    """Return scikit-learn's 1,797 handwritten 8x8 digits, standardised by the training images' mean and deviation."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.asarray(bunch.images, dtype=np.float64) / 16.0
    targets = np.asarray(bunch.target, dtype=np.int64)
    if len(images) != sum(DIGITS_SIZES):
        raise ValueError(f"digits must hold {sum(DIGITS_SIZES)} images, got {len(images)}")
    train, validation, test = digits_indices()
    mean, deviation = images[train].mean(), images[train].std()

    def split(rows: np.ndarray) -> Split:
        inputs = ((images[rows, None] - mean) / deviation).astype(np.float32)
        return Split(torch.from_numpy(inputs), torch.from_numpy(targets[rows]))

    return Dataset(split(train), split(validation), split(test), classes=10)
