"""Splits, normalisation and what is common to every data set."""

import numpy as np
import pytest
import torch

from experiment import original
from pqi.experiment import data
from pqi.experiment.data.dataset import Images, Normalisation, Split, assemble, hold_out


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match="dataset must be one of digits, fashionmnist, .*, got 'mnist'"):
        data.load("mnist", tmp_path)
    with pytest.raises(ValueError, match="split must be one of train, validation, test, got 'all'"):
        data.load("digits").split("all")
    with pytest.raises(ValueError, match=r"data must be the folder with the original files of cifar10, got none"):
        data.load("cifar10")


@pytest.mark.parametrize("count", [2, 9, 10, 100, 1999])
def test_validation_images_are_drawn_from_those_for_training(count):
    train, validation = hold_out(count)
    assert sorted([*train, *validation]) == list(range(count))
    assert len(validation) == max(1, count // 10)
    assert list(train) == sorted(train)
    with pytest.raises(ValueError, match="at least 2 training images, got 1"):
        hold_out(1)


def test_the_draw_is_this_one_for_ever():
    assert hold_out(50)[1].tolist() == [2, 10, 11, 28, 41]


@pytest.mark.parametrize("name", original.WRITERS)
def test_every_data_set_is_whole_and_its_test_split_is_apart(name, tmp_path):
    found = data.load(name, original.WRITERS[name](tmp_path / "files"))
    splits = [found.split(each) for each in ("train", "validation", "test")]
    sizes = {"fashionmnist": (36, 4, 10), "tinyimagenet": (27, 3, 6)}.get(name, (36, 4, 10))
    assert tuple(map(len, splits)) == sizes
    assert found.classes == {"cifar100": 100, "tinyimagenet": 3}.get(name, 10)
    assert found.input_shape == {"fashionmnist": (1, 28, 28), "tinyimagenet": (3, 64, 64)}.get(name, (3, 32, 32))
    images = [image.numpy().tobytes() for split in splits for image in split.inputs]
    assert len(set(images)) == len(images) == sum(sizes)
    for split in splits:
        assert (split.inputs.dtype, split.labels.dtype) == (torch.uint8, torch.int64)
        assert 0 <= split.labels.min() <= split.labels.max() < found.classes
        assert split.normalisation == found.train.normalisation


def test_pixels_are_normalised_channel_by_channel():
    images = torch.tensor([[[[0, 255]], [[51, 102]]]], dtype=torch.uint8)
    split = Split(images, torch.tensor([0]), Normalisation((0.5, 0.2), (0.25, 0.1)))
    assert torch.allclose(split.ready(images), torch.tensor([[[[-2.0, 2.0]], [[0.0, 2.0]]]]), atol=1e-6)
    assert split.ready(images).dtype == torch.float32


def test_statistics_are_those_of_all_pixels_of_a_channel():
    pixels = original.pictures((2300, 3, 5, 4), 0)
    pixels[:, 2] = 7
    found = Normalisation.of(pixels)
    values = pixels.transpose(1, 0, 2, 3).reshape(3, -1) / 255
    assert found.mean == pytest.approx(values.mean(1), rel=1e-12)
    assert found.deviation[:2] == pytest.approx(values.std(1)[:2], rel=1e-12)
    assert found.deviation[2] == 1, "a channel without any spread is not divided by 0"


def test_statistics_look_at_the_training_split_alone():
    pixels, labels = original.pictures((50, 3, 4, 4), 0), np.zeros(50, np.int64)
    train, _ = hold_out(50)
    found = assemble(Images(pixels, labels), Images(255 - pixels, labels), classes=2)
    assert found.train.normalisation == found.test.normalisation == Normalisation.of(pixels[train])
