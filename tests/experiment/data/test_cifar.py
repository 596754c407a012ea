"""CIFAR's batches as Python 2 wrote them, and that nothing in a pickle is ever run."""

import os
import pickle
import pickletools
import struct
import tracemalloc

import numpy as np
import pytest

from experiment.original import batch, cifar10, cifar100, labels, number, pictures, text
from pqi.experiment import data
from pqi.experiment.data.dataset import hold_out

PIXELS = pictures((10, 3072), 5)
LABELS = labels(10, 10, 5).tolist()


@pytest.mark.parametrize("place", [".", "cifar-10-batches-py"])
def test_cifar10_is_five_batches_and_one_for_testing(tmp_path, place):
    cifar10(tmp_path / place)
    found = data.load("cifar10", tmp_path)
    pixels = np.concatenate([pictures((8, 3072), seed) for seed in range(5)]).reshape(-1, 3, 32, 32)
    targets = np.concatenate([labels(8, 10, seed) for seed in range(5)])
    for split, rows in zip((found.train, found.validation), hold_out(40), strict=True):
        assert np.array_equal(split.inputs, pixels[rows])
        assert np.array_equal(split.labels, targets[rows])
    assert np.array_equal(found.test.inputs, PIXELS.reshape(-1, 3, 32, 32))
    assert found.test.labels.tolist() == LABELS
    assert found.train.normalisation is not None
    assert found.train.normalisation.mean == (0.4914, 0.4822, 0.4465)


@pytest.mark.parametrize("place", [".", "cifar-100-python"])
def test_cifar100_has_fine_labels(tmp_path, place):
    cifar100(tmp_path / place)
    found = data.load("cifar100", tmp_path)
    assert found.test.labels.tolist() == labels(10, 100, 2).tolist()
    assert np.array_equal(found.test.inputs, pictures((10, 3072), 2).reshape(-1, 3, 32, 32))


def test_the_generated_batches_are_pickles_that_numpy_reads():
    """What the tests write is what Python reads as the dictionary of the original."""
    content = batch(PIXELS, labels=LABELS)
    assert {operation.proto for operation, _, _ in pickletools.genops(content)} <= {0, 1, 2}
    found = pickle.loads(content, encoding="bytes")
    assert np.array_equal(found[b"data"], PIXELS)
    assert found[b"labels"] == LABELS


@pytest.mark.parametrize("protocol", [3, 4])
def test_batches_pickled_by_python_3_are_read_too(tmp_path, protocol):
    cifar10(tmp_path)
    (tmp_path / "test_batch").write_bytes(pickle.dumps({"data": PIXELS, "labels": LABELS}, protocol=protocol))
    assert data.load("cifar10", tmp_path).test.labels.tolist() == LABELS


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


GOOD = batch(PIXELS, labels=LABELS)
DIMENSIONS = number(10) + number(3072) + b"\x86"


def changed(old, new):
    assert GOOD.count(old) == 1, "the test changes what it means to change"
    return GOOD.replace(old, new)


HUGE = b"J" + struct.pack("<i", 2**31 - 1) + number(3072) + b"\x86"
WRONG = {
    "code": (pickle.dumps({"data": Evil(), "labels": LABELS}, 2), "refers to posix.system, .* nothing was run"),
    "code in state": (changed(b"U\x02u1", b"cos\nsystem\nU\x04exit\x85R"), "refers to os.system"),
    "getattr": (b"\x80\x02c__builtin__\ngetattr\n.", "refers to __builtin__.getattr"),
    "truncated": (GOOD[:-100], "it ends too early"),
    "no pickle": (b"hello, world", "the pickle is damaged"),
    "empty": (b"", "it ends too early"),
    "a list": (pickle.dumps([1], 2), "must be a dictionary with 'data', got list"),
    "no labels": (batch(PIXELS, fine_labels=LABELS), "must be a dictionary with 'labels', got"),
    "no array": (pickle.dumps({"data": b"1234".decode(), "labels": LABELS}, 2), "its 'data' must be an array"),
    "floats": (changed(b"U\x02u1", b"U\x02f4"), "an array of unsigned bytes"),
    "objects": (changed(b"U\x02u1", b"U\x01O"), "an array of unsigned bytes"),
    "shape": (changed(DIMENSIONS, number(3072) + number(10) + b"\x86"), "must have 3072 values for each image"),
    "by columns": (changed(b"tb\x89", b"tb\x88"), "row by row"),
    "absurd": (changed(DIMENSIONS, HUGE), "must have the 6,597,069,763,584 bytes of its shape, got 30720"),
    "negative": (changed(DIMENSIONS, b"J\xff\xff\xff\xff" + number(3072) + b"\x86"), "got \\(-1, 3072\\)"),
    "bytes": (batch(PIXELS[:, :3071], labels=LABELS), "must have 3072 values for each image"),
    "few labels": (batch(PIXELS, labels=LABELS[:9]), "one label for each of the 10 images, got 9"),
    "a high label": (batch(PIXELS, labels=[*LABELS[:9], 10]), "labels must be in 0 … 9, got 10 for image 9"),
    "a low label": (batch(PIXELS, labels=[-1, *LABELS[1:]]), "labels must be in 0 … 9, got -1 for image 0"),
    "text for a label": (pickle.dumps({"data": PIXELS, "labels": ["1"] * 10}, 3), "must be a list of integers"),
    "memo": (b"\x80\x02Nr\xff\xff\xff\xff.", "must be a dictionary"),
    "length": (b"\x80\x02T\xff\xff\xff\x7f.", "it ends too early"),
    "nothing under a number": (b"\x80\x02h\x07.", "nothing is remembered under 7"),
    "within itself": (b"\x80\x02]q\0h\0a.", "must be a dictionary with 'data', got list"),
}


@pytest.mark.parametrize("name", WRONG)
def test_damaged_and_hostile_batches_are_refused_in_one_line(tmp_path, monkeypatch, name):
    content, message = WRONG[name]
    monkeypatch.chdir(tmp_path)
    cifar10(tmp_path / "files")
    path = tmp_path / "files" / "test_batch"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=message) as refused:
        data.load("cifar10", tmp_path / "files")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
    assert peak < 16 << 20
    assert not (tmp_path / "evil").exists()


def test_a_file_that_is_far_too_large_is_not_read(tmp_path):
    cifar10(tmp_path)
    with (tmp_path / "test_batch").open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="must have at most 268,435,456 bytes, got 1,099,511,627,776"):
        data.load("cifar10", tmp_path)


def test_missing_batches_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="data must hold data_batch_1, .*, got none of them in .*-batches-py$"):
        data.load("cifar10", tmp_path)
    cifar10(tmp_path)
    (tmp_path / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match="must hold data_batch_3, which are missing"):
        data.load("cifar10", tmp_path)


def test_damage_anywhere_is_either_read_or_refused(tmp_path):
    rng, small = np.random.RandomState(0), batch(pictures((1, 3072), 0), labels=[3])
    cifar10(tmp_path, train=1)
    spice = [b"R", b"b", b"(", b"t", b"\x93", b"h\0", b"q\0", text(b"data"), b"cos\nsystem\n", b"J\xff\xff\xff\xff"]
    places = [*range(60), *range(60, 280), *range(len(small) - 60, len(small))]
    refused = []
    for _ in range(700):
        at, new = rng.choice(places), spice[rng.randint(len(spice))] if rng.rand() < 0.5 else bytes([rng.randint(256)])
        keep = at + (len(new) if rng.rand() < 0.5 else 0)
        (tmp_path / "test_batch").write_bytes(small[:at] + new + small[keep:])
        try:
            assert len(data.load("cifar10", tmp_path).test) == 1
        except ValueError as error:
            refused.append(str(error))
    assert 150 < len(refused) < 700
    assert [message for message in refused if "\n" in message] == []
