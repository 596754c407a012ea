"""The data sets of the experiments, from files in their original formats.

A data set is whole tensors in memory: a train, a validation and a test split, fixed once and for all. Files are treated
as a stranger's: a damaged or hostile one is refused in one line, and nothing in it is ever run.

================  ====================================================================================================
``digits``        scikit-learn's, which need no files
``fashionmnist``  ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``,
                  ``t10k-labels-idx1-ubyte``, plain or with ``.gz``
``cifar10``       ``data_batch_1`` … ``data_batch_5`` and ``test_batch``, or the folder ``cifar-10-batches-py`` of them
``cifar100``      ``train`` and ``test``, or the folder ``cifar-100-python`` of them
``tinyimagenet``  ``wnids.txt``, ``train/`` and ``val/``, or the folder ``tiny-imagenet-200`` of them; takes 1.4 GB of
                  memory, and twice as much while it is read
================  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pqi.experiment.data.cifar import cifar10, cifar100
from pqi.experiment.data.dataset import Dataset, Split
from pqi.experiment.data.digits import digits
from pqi.experiment.data.fashion_mnist import fashion_mnist
from pqi.experiment.data.tiny_imagenet import tiny_imagenet

FROM_FILES: dict[str, Callable[[Path], Dataset]] = {
    "fashionmnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "tinyimagenet": tiny_imagenet,
}
"""Functions of the folder that holds the original files."""

DATASETS = ("digits", *FROM_FILES)

__all__ = ["DATASETS", "FROM_FILES", "Dataset", "Split", "load"]


def load(name: str, folder: Path | None = None) -> Dataset:
    """Return the data set called `name`, one of `DATASETS`; all but the digits are read from `folder`.

    Raises
    ------
    ValueError
        If there is no such data set, no folder is given, or a file is not what it should be.
    OSError
        If a file is missing or cannot be read.
    """
    if name not in DATASETS:
        raise ValueError(f"dataset must be one of {', '.join(DATASETS)}, got {name!r}")
    if name == "digits":
        return digits()
    if folder is None:
        raise ValueError(f"data must be the folder with the original files of {name}, got none (--data DIR)")
    return FROM_FILES[name](folder)
