"""Flips and crops: which pixel comes from where."""

import numpy as np
import pytest

from experiment.original import pictures
from pqi.experiment.data.augment import PAD, moved

IMAGES = pictures((6, 3, 9, 7), 0)


def one(image, flip, top, left):
    return moved(image[None], np.array([[flip, top, left]]))[0]


def test_an_image_may_stay_as_it_is():
    assert np.array_equal(moved(IMAGES, np.array([[0, PAD, PAD]] * 6)), IMAGES)


def test_left_and_right_are_exchanged():
    assert np.array_equal(moved(IMAGES, np.array([[1, PAD, PAD]] * 6)), IMAGES[..., ::-1])


@pytest.mark.parametrize("top", [0, 1, 4, 7, 8])
@pytest.mark.parametrize("left", [0, 3, 4, 8])
def test_a_crop_shifts_and_reflects_at_the_edge(top, left):
    """Pixel (i, j) comes from (i + top − 4, j + left − 4), where −1 means 1 and n means n − 2."""

    def reflected(i, n):
        return -i if i < 0 else 2 * (n - 1) - i if i >= n else i

    found = one(IMAGES[0], 0, top, left)
    for i in range(9):
        for j in range(7):
            source = IMAGES[0][:, reflected(i + top - 4, 9), reflected(j + left - 4, 7)]
            assert np.array_equal(found[:, i, j], source)
    assert np.array_equal(one(IMAGES[0], 1, top, left), found[..., ::-1])


def test_every_image_is_moved_by_its_own():
    moves = np.array([[0, 0, 8], [1, 3, 4], [0, 4, 4], [1, 8, 0], [0, 2, 2], [1, 4, 4]])
    before = IMAGES.copy()
    found = moved(IMAGES, moves)
    for number, move in enumerate(moves.tolist()):
        assert np.array_equal(found[number], one(IMAGES[number], *move))
    assert found.dtype == np.uint8
    assert np.array_equal(IMAGES, before)
