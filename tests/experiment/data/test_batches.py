"""Batches are drawn once and loaded alike, whoever loads them."""

import numpy as np
import pytest
import torch

import pqi
from experiment.original import pictures
from pqi.experiment.data.augment import moved
from pqi.experiment.data.batches import Loader, draw_epoch
from pqi.experiment.data.dataset import Split
from pqi.prune import rng

PIXELS = pictures((50, 3, 8, 8), 0)
SPLIT = Split(torch.from_numpy(PIXELS), torch.arange(50))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def moves_of(draw):
    assert draw.moves is not None
    return draw.moves


@pytest.mark.parametrize(("batch", "sizes"), [(20, [20, 20, 10]), (25, [25, 25]), (100, [50]), (49, [49, 1])])
def test_an_epoch_is_every_image_once(batch, sizes):
    draws = draw_epoch(50, batch, generator())
    assert [len(draw.rows) for draw in draws] == sizes
    assert sorted(np.concatenate([draw.rows for draw in draws])) == list(range(50))
    assert all(draw.moves is None for draw in draws)


@pytest.mark.parametrize(("least", "sizes"), [(1, [24, 24, 2]), (2, [24, 24, 2]), (3, [24, 26]), (60, [24, 26])])
def test_a_small_last_batch_is_joined_to_the_one_before_it(least, sizes):
    draws = draw_epoch(50, 24, generator(), least=least)
    assert [len(draw.rows) for draw in draws] == sizes
    assert [len(draw.rows) for draw in draw_epoch(1, 24, generator(), least=least)] == [1]


def test_what_is_drawn_is_the_generators_alone():
    first, again = (draw_epoch(50, 20, generator(), augment=True) for _ in range(2))
    both = generator()
    next_epochs = [draw_epoch(50, 20, both, augment=True) for _ in range(2)]
    for draws in (again, next_epochs[0]):
        assert all(np.array_equal(a.rows, b.rows) for a, b in zip(first, draws, strict=True))
        assert all(np.array_equal(moves_of(a), moves_of(b)) for a, b in zip(first, draws, strict=True))
    assert not np.array_equal(next_epochs[1][0].rows, first[0].rows)
    assert not np.array_equal(moves_of(next_epochs[1][0]), moves_of(first[0]))


def test_flips_and_crops_are_uniform():
    moves = np.concatenate([moves_of(draw) for draw in draw_epoch(20_000, 500, generator(), augment=True)])
    assert moves[:, 0].mean() == pytest.approx(0.5, abs=0.02)
    for column in (1, 2):
        counts = np.bincount(moves[:, column], minlength=9)
        assert len(counts) == 9
        assert counts / 20_000 == pytest.approx(np.full(9, 1 / 9), abs=0.01)


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_parts_make_up_the_batch(parts):
    (draw,) = draw_epoch(50, 50, generator(), augment=True)
    found = [draw.part(number, parts) for number in range(parts)]
    assert np.array_equal(np.concatenate([part.rows for part in found]), draw.rows)
    assert np.array_equal(np.concatenate([moves_of(part) for part in found]), moves_of(draw))
    assert max(len(part.rows) for part in found) - min(len(part.rows) for part in found) <= 1


@pytest.mark.parametrize("augment", [False, True])
def test_loading_moves_the_drawn_images_as_drawn(augment):
    draws = draw_epoch(50, 20, generator(), augment=augment)
    for (inputs, labels), draw in zip(Loader(SPLIT).epoch(draws), draws, strict=True):
        expected = moved(PIXELS[draw.rows], moves_of(draw)) if augment else PIXELS[draw.rows]
        assert np.array_equal(inputs, expected)
        assert np.array_equal(labels, draw.rows)
        assert inputs.dtype == torch.uint8


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more processes than a small machine has cores
@pytest.mark.parametrize("workers", [1, 3])
def test_workers_load_the_same_batches_and_draw_nothing(workers):
    """Also after parallel regions of torch's and pqi's OpenMP, which a forked child must not wait for."""
    pqi.set_num_threads(3)
    torch.set_num_threads(3)
    pqi.index(np.ones(3_000_000, np.float32))
    torch.rand(3_000_000).exp().sum()
    before = rng.capture()
    loader, alone = Loader(SPLIT, workers), Loader(SPLIT)
    for epoch in range(3):
        draws = draw_epoch(50, 9, generator(epoch), augment=True)
        loaded = list(loader.epoch(draws))
        assert len(loaded) == len(draws)
        for (inputs, labels), (same, numbers) in zip(loaded, alone.epoch(draws), strict=True):
            assert torch.equal(inputs, same)
            assert torch.equal(labels, numbers)
    after = rng.capture()
    assert torch.equal(after["torch"], before["torch"])
    assert torch.equal(after["numpy"]["key"], before["numpy"]["key"])
    assert (after["numpy"]["pos"], after["python"]) == (before["numpy"]["pos"], before["python"])
    pqi.set_num_threads(0)
