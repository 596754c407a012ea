"""FashionMNIST from its four files, and what is refused."""

import numpy as np
import pytest

from experiment.original import FASHION, fashion_mnist, idx, labels, pictures
from pqi.experiment import data
from pqi.experiment.data.dataset import hold_out


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("place", [".", "FashionMNIST/raw", "fashion-mnist"])
def test_images_and_labels_are_those_of_the_files(tmp_path, place, compressed):
    fashion_mnist(tmp_path / place, compressed=compressed)
    found = data.load("fashionmnist", tmp_path)
    train, validation = hold_out(40)
    pixels, targets = pictures((40, 28, 28), 1), labels(40, 10, 2)
    for split, rows in ((found.train, train), (found.validation, validation)):
        assert np.array_equal(split.inputs[:, 0], pixels[rows])
        assert np.array_equal(split.labels, targets[rows])
    assert np.array_equal(found.test.inputs[:, 0], pictures((10, 28, 28), 3))
    assert np.array_equal(found.test.labels, labels(10, 10, 4))
    assert found.train.normalisation is not None
    assert (found.train.normalisation.mean, found.train.normalisation.deviation) == ((0.2860,), (0.3530,))


def refusal(folder):
    with pytest.raises((ValueError, OSError)) as refused:
        data.load("fashionmnist", folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (FASHION[0], pictures((40, 28, 27), 0), "must hold images of 28 x 28 pixels, got 40 x 28 x 27"),
        (FASHION[2], pictures((0, 28, 28), 0), "must hold images of 28 x 28 pixels, got 0 x 28 x 28"),
        (FASHION[1], labels(39, 10, 0).astype("u1"), "must hold one label for each of the 40 images, got 39"),
        (FASHION[3], np.array([1] * 9 + [10], "u1"), "labels must be in 0 … 9, got 10 for image 9"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, name, array, message):
    fashion_mnist(tmp_path)
    (tmp_path / name).write_bytes(idx(array))
    assert refusal(tmp_path) == f"{tmp_path / name}: {message}"


def test_missing_files_are_named(tmp_path):
    assert "must hold train-images-idx3-ubyte, train-labels-idx1-ubyte" in refusal(tmp_path)
    fashion_mnist(tmp_path)
    (tmp_path / FASHION[3]).unlink()
    assert refusal(tmp_path) == f"{tmp_path} must hold t10k-labels-idx1-ubyte, which are missing"
    assert refusal(tmp_path / "none") == f"data must be a folder, got {tmp_path / 'none'}"
