"""CIFAR10 and CIFAR100: 32x32 colour images in batches that were pickled by Python 2.

The pickles are read as data by a machine that has no way to call anything (`pqi.checkpoint.pickled`). They may refer to
numpy's array, its dtype and the function that makes one, and none of these is called either.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pqi.checkpoint.pickled import Call, Pairs, Symbol, read_pickle
from pqi.experiment.data.dataset import Dataset, Images, Normalisation, assemble
from pqi.experiment.data.files import checked_labels, find, read_bounded, refuse

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
LARGEST = 256 << 20
"""Bytes of a batch; the largest, of CIFAR100, has 155 million."""

RECONSTRUCT = tuple(Symbol(module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray"))
ARRAY, DTYPE = Symbol("numpy", "ndarray"), Symbol("numpy", "dtype")


def cifar10(folder: Path) -> Dataset:
    """Return CIFAR10 from the five batches for training and the one for testing.

    Raises
    ------
    ValueError
        If a file is no such batch, refers to anything but arrays, or has a label outside 0 … 9.
    OSError
        If a file is missing or cannot be read.
    """
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    *batches, test = find(folder, (".", "cifar-10-batches-py"), names)
    normalisation = Normalisation((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    training = Images.joined([_batch(path, "labels", 10) for path in batches])
    return assemble(training, _batch(test, "labels", 10), 10, normalisation)


def cifar100(folder: Path) -> Dataset:
    """Return CIFAR100, with its fine labels (0 … 99), from the files for training and testing.

    Raises
    ------
    ValueError, OSError
        As `cifar10`.
    """
    train, test = find(folder, ("cifar-100-python", "."), ["train", "test"])
    normalisation = Normalisation((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
    return assemble(_batch(train, "fine_labels", 100), _batch(test, "fine_labels", 100), 100, normalisation)


def _batch(path: Path, key: str, classes: int) -> Images:
    try:
        content = read_pickle(read_bounded(path, LARGEST), _check_symbol)
    except ValueError as error:
        refuse(path, str(error).removeprefix(f"{path}: "))
    entries = _entries(content)
    for needed in ("data", key):
        if needed not in entries:
            refuse(path, f"must be a dictionary with {needed!r}, got {sorted(entries) or type(content).__name__}")
    pixels = _array(path, entries["data"])
    labels = _labels(path, entries[key])
    if len(labels) != len(pixels):
        refuse(path, f"must hold one label for each of the {len(pixels)} images, got {len(labels)}")
    return Images(pixels.reshape(-1, *SHAPE), checked_labels(path, labels, classes))


def _check_symbol(symbol: Symbol) -> None:
    if symbol not in (*RECONSTRUCT, ARRAY, DTYPE):
        shown = repr(str(symbol)[:60])[1:-1]
        raise ValueError(f"the pickle refers to {shown}, which no batch of images needs; nothing was run")


def _entries(content: Any) -> dict[str, Any]:
    """Return the pickled dictionary; Python 2 wrote its keys as bytes."""
    pairs = content.items if isinstance(content, Pairs) else []
    named = ((key.decode("latin-1") if isinstance(key, bytes) else key, value) for key, value in pairs)
    return {key: value for key, value in named if isinstance(key, str)}


def _array(path: Path, value: Any) -> NDArray[np.uint8]:
    """Return the array of unsigned bytes that a call of numpy's would have made."""
    made = value if isinstance(value, Call) and value.function in RECONSTRUCT else None
    state: Sequence[Any] = made.state if made is not None and isinstance(made.state, tuple) else ()
    if len(state) != 5:
        refuse(path, "its 'data' must be an array")
    _, shape, dtype, by_columns, content = state
    if not (isinstance(dtype, Call) and dtype.function == DTYPE and dtype.arguments[:1] in ((b"u1",), ("u1",))):
        refuse(path, "its 'data' must be an array of unsigned bytes")
    proper = isinstance(shape, tuple) and len(shape) == 2 and all(type(n) is int for n in shape)
    if not proper or shape[0] < 1 or shape[1] != PIXELS or by_columns is not False:
        refuse(path, f"its 'data' must have {PIXELS} values for each image, row by row, got {str(shape)[:60]}")
    if not isinstance(content, bytes) or len(content) != shape[0] * shape[1]:
        got = len(content) if isinstance(content, bytes) else type(content).__name__
        refuse(path, f"its 'data' must have the {shape[0] * shape[1]:,} bytes of its shape, got {got}")
    return np.array(np.frombuffer(content, np.uint8).reshape(shape))


def _labels(path: Path, value: Any) -> NDArray[np.int64]:
    if not isinstance(value, list) or not all(type(label) is int and abs(label) < 2**31 for label in value):
        refuse(path, "its labels must be a list of integers")
    return np.array(value, np.int64)
