"""TinyImageNet: 64x64 colour images of 200 classes as JPEG files in folders.

The labels of its test images were never published: as usual, the images of ``val`` are the test split, and validation
images are drawn from those for training. Pixels are normalised by the mean and deviation of each channel over the
training split, computed when it is read.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pqi.experiment.data.dataset import Dataset, Images, assemble
from pqi.experiment.data.files import find, read_bounded, refuse

SIDE = 64
LARGEST_IMAGE = 1 << 20
LARGEST_LIST = 16 << 20
MOST_CLASSES = 1000


def tiny_imagenet(folder: Path) -> Dataset:
    """Return TinyImageNet from ``wnids.txt``, ``train/CLASS/images/`` and ``val/``.

    Raises
    ------
    ValueError
        If a list is damaged, an image is broken or not of 64x64 pixels, or a class is unknown.
    OSError
        If a file is missing or cannot be read.
    """
    wnids, annotations = find(folder, (".", "tiny-imagenet-200"), ["wnids.txt", "val/val_annotations.txt"])
    classes = _classes(wnids)
    training = _training(wnids.parent / "train", classes)
    return assemble(_decoded(training), _decoded(_annotated(annotations, classes)), len(classes))


def _lines(path: Path) -> list[str]:
    try:
        return read_bounded(path, LARGEST_LIST).decode("ascii").splitlines()
    except UnicodeDecodeError:
        refuse(path, "must be text in ASCII")


def _classes(path: Path) -> dict[str, int]:
    """Return the number of each class: its line in the list of their names."""
    names = [line.strip() for line in _lines(path) if line.strip()]
    if not 1 <= len(names) <= MOST_CLASSES or len(set(names)) < len(names):
        refuse(
            path, f"must name 1 to {MOST_CLASSES} different classes, got {len(names)} names, {len(set(names))} of them"
        )
    for name in names:
        if not name.isalnum():
            refuse(path, f"names of classes must be letters and digits, got {name[:40]!r}")
    return {name: number for number, name in enumerate(names)}


def _training(folder: Path, classes: dict[str, int]) -> list[tuple[Path, int]]:
    """Return the files of the images for training with their classes, in an order that no file system decides."""
    found = []
    for name, number in classes.items():
        images = folder / name / "images"
        if not images.is_dir():
            raise FileNotFoundError(f"{images} must be a folder of images, which is missing")
        paths = sorted(path for path in images.iterdir() if path.suffix.lower() in (".jpeg", ".jpg"))
        if not paths:
            raise FileNotFoundError(f"{images} must hold images, got no .JPEG file")
        found += [(path, number) for path in paths]
    return found


def _annotated(annotations: Path, classes: dict[str, int]) -> list[tuple[Path, int]]:
    """Return the files of ``val`` with their classes: a name, a class and a box on each line."""
    found = []
    for number, line in enumerate(_lines(annotations), start=1):
        name, _, rest = line.partition("\t")
        label = rest.partition("\t")[0]
        if not name or Path(name).name != name or "\\" in name or name in (".", ".."):
            refuse(annotations, f"line {number} must begin with the name of a file, got {name[:40]!r}")
        if label not in classes:
            refuse(annotations, f"line {number} must have a class of wnids.txt, got {label[:40]!r}")
        found.append((annotations.parent / "images" / name, classes[label]))
    if not found:
        refuse(annotations, "must have a line for each image, got none")
    return found


def _decoded(files: Sequence[tuple[Path, int]]) -> Images:
    pixels = np.empty((len(files), 3, SIDE, SIDE), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of sizes, which are checked
        for place, (path, _) in zip(pixels, files, strict=True):
            place[:] = read_jpeg(path).transpose(2, 0, 1)
    return Images(pixels, np.array([label for _, label in files], np.int64))


def read_jpeg(path: Path) -> NDArray[np.uint8]:
    """Return an image (height, width, 3); grey ones are made coloured. Sizes are checked before anything is decoded.

    Raises
    ------
    ValueError
        If the file is no JPEG image of 64x64 pixels, or is broken.
    OSError
        If it cannot be opened.
    """
    from PIL import Image, UnidentifiedImageError

    content = read_bounded(path, LARGEST_IMAGE)
    broken = (Image.DecompressionBombError, OSError, SyntaxError, LookupError, TypeError, struct.error)
    try:
        image = Image.open(io.BytesIO(content), formats=["JPEG"])
        if image.size != (SIDE, SIDE):
            return refuse(path, f"must have {SIDE} x {SIDE} pixels, got {image.size[0]} x {image.size[1]}")
        return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:
        return refuse(path, "must be a JPEG image")
    except broken as error:
        return refuse(path, f"must be a whole JPEG image: {str(error)[:80]}")
