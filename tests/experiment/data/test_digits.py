"""The digits: splits are disjoint, whole and the same for ever; normalisation looks at the training images alone."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from pqi.experiment.data.digits import digits, digits_indices


def test_splits_share_no_image_and_use_them_all():
    indices = digits_indices()
    assert [len(rows) for rows in indices] == [1200, 250, 347]
    assert sorted(np.concatenate(indices)) == list(range(1797))


def test_splits_are_these_images():
    train, validation, test = digits_indices()
    assert train[:5].tolist() == [1081, 1707, 927, 713, 262]
    assert (train.sum(), validation.sum(), test.sum()) == (1067603, 238351, 307752)


def test_they_are_scikit_learns_images_standardised_by_the_training_split():
    found, bunch = digits(), load_digits()
    train = found.train.inputs.double()
    assert abs(train.mean().item()) < 1e-6
    assert train.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    rows = digits_indices()[2]
    images = torch.from_numpy(bunch.images[rows])
    darkest, brightest = found.test.inputs.aminmax()
    ratio = (found.test.inputs[:, 0].double() - darkest) / (brightest - darkest)
    assert torch.allclose(ratio, images / 16, atol=1e-6)
    assert found.test.labels.tolist() == bunch.target[rows].tolist()


def test_they_have_one_channel_and_ten_classes_in_every_split():
    found = digits()
    assert found.input_shape == (1, 8, 8)
    assert found.train.inputs.dtype == torch.float32
    for name in ("train", "validation", "test"):
        assert set(found.split(name).labels.tolist()) == set(range(found.classes)) == set(range(10))
