"""Small data sets in the original formats of the large ones: IDX files, Python 2's pickles, folders of JPEG images."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

FASHION = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array: np.ndarray) -> bytes:
    """Return an array of unsigned bytes as the content of an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def pictures(shape: Sequence[int], seed: int) -> np.ndarray:
    """Return pixels that are neither flat nor the same upside down."""
    rng = np.random.RandomState(seed)
    return np.clip(rng.normal(100, 40, shape) + 50 * rng.rand(*shape[:1], *(1 for _ in shape[1:])), 0, 255).astype("u1")


def labels(count: int, classes: int, seed: int) -> np.ndarray:
    """Return labels among which every class occurs, if there are enough."""
    return np.random.RandomState(seed).permutation(np.arange(count) % classes)


def fashion_mnist(folder: Path, train: int = 40, test: int = 10, *, compressed: bool = False) -> Path:
    """Write FashionMNIST's four files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, seed in zip(FASHION, (train, train, test, test), (1, 2, 3, 4), strict=True):
        array = pictures((count, 28, 28), seed) if "images" in name else labels(count, 10, seed).astype("u1")
        content = idx(array)
        path = folder / (f"{name}.gz" if compressed else name)
        path.write_bytes(gzip.compress(content) if compressed else content)
    return folder


def text(value: bytes) -> bytes:
    """Return a string of Python 2, as its pickles of protocol 2 have it."""
    short = len(value) < 256
    return (b"U" + bytes([len(value)]) if short else b"T" + struct.pack("<i", len(value))) + value


def number(value: int) -> bytes:
    """Return a pickled integer."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    return b"M" + struct.pack("<H", value) if 0 <= value < 65536 else b"J" + struct.pack("<i", value)


def array(pixels: np.ndarray) -> bytes:
    """Return a pickled array of unsigned bytes of a numpy of Python 2's days."""
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    shape = b"".join(map(number, pixels.shape)) + b"\x86"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return made + b"(K\x01" + shape + dtype + b"\x89" + text(pixels.tobytes()) + b"tb"


def batch(pixels: np.ndarray, **lists: Sequence[int]) -> bytes:
    """Return a batch of CIFAR's: a dictionary of pixels, lists of labels and names of files."""
    entries = text(b"batch_label") + text(b"testing batch 1 of 1") + text(b"data") + array(pixels)
    for key, values in lists.items():
        entries += text(key.encode()) + b"](" + b"".join(map(number, values)) + b"e"
    names = b"".join(text(f"image_{number}.png".encode()) for number in range(len(pixels)))
    return b"\x80\x02}q\x01(" + entries + text(b"filenames") + b"](" + names + b"eu."


def cifar10(folder: Path, train: int = 8, test: int = 10) -> Path:
    """Write CIFAR10's six batches, `train` images in each of those for training."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate([*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]):
        count = test if name == "test_batch" else train
        found = batch(pictures((count, 3072), seed), labels=labels(count, 10, seed).tolist())
        (folder / name).write_bytes(found)
    return folder


def cifar100(folder: Path, train: int = 40, test: int = 10) -> Path:
    """Write CIFAR100's two files, with coarse labels that must not be taken for the fine ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, seed in (("train", train, 1), ("test", test, 2)):
        fine = labels(count, 100, seed)
        lists = {"fine_labels": fine.tolist(), "coarse_labels": (fine // 5).tolist()}
        (folder / name).write_bytes(batch(pictures((count, 3072), seed), **lists))
    return folder


def jpeg(path: Path, seed: int, side: int = 64, mode: str = "RGB") -> None:
    """Write an image."""
    shape = (side, side, 3) if mode == "RGB" else (side, side)
    Image.fromarray(pictures(shape, seed)).save(path, "JPEG", quality=95)


WNIDS = ("n01443537", "n01629819", "n01641577")


def tiny_imagenet(folder: Path, train: int = 10, test: int = 6, wnids: Sequence[str] = WNIDS) -> Path:
    """Write TinyImageNet's folders, `train` images in each class; one of them is grey, as some really are."""
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("".join(f"{name}\n" for name in wnids))
    for number, name in enumerate(wnids):
        images = folder / "train" / name / "images"
        images.mkdir(parents=True)
        (images.parent / f"{name}_boxes.txt").write_text(f"{name}_0.JPEG\t0\t0\t63\t63\n")
        for image in range(train):
            jpeg(images / f"{name}_{image}.JPEG", 100 * number + image, mode="L" if image == 3 else "RGB")
    lines = []
    for image in range(test):
        jpeg(folder / "val" / "images" / f"val_{image}.JPEG", 1000 + image)
        lines.append(f"val_{image}.JPEG\t{wnids[image % len(wnids)]}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    return folder


WRITERS = {"fashionmnist": fashion_mnist, "cifar10": cifar10, "cifar100": cifar100, "tinyimagenet": tiny_imagenet}
