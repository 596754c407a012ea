"""TinyImageNet from its folders, and broken images and lists."""

import io
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from experiment.original import WNIDS, jpeg, tiny_imagenet
from pqi.experiment import data
from pqi.experiment.data.dataset import Normalisation, hold_out


def decoded(path):
    return np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)


@pytest.mark.parametrize("place", [".", "tiny-imagenet-200"])
def test_images_and_classes_are_those_of_the_folders(tmp_path, place):
    folder = tmp_path / place if place != "." else tmp_path / "files"
    tiny_imagenet(folder)
    found = data.load("tinyimagenet", tmp_path if place != "." else folder)
    files = [path for name in WNIDS for path in sorted((folder / "train" / name / "images").iterdir())]
    for split, rows in zip((found.train, found.validation), hold_out(30), strict=True):
        assert np.array_equal(split.inputs, np.stack([decoded(files[row]) for row in rows]))
        assert split.labels.tolist() == [row // 10 for row in rows]
    assert np.array_equal(found.test.inputs[5], decoded(folder / "val" / "images" / "val_5.JPEG"))
    assert found.test.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_pixels_are_normalised_by_the_training_splits_own_statistics(tmp_path):
    found = data.load("tinyimagenet", tiny_imagenet(tmp_path / "files"))
    assert found.test.normalisation == Normalisation.of(found.train.inputs.numpy())
    ready = found.train.ready(found.train.inputs).double()
    assert torch.allclose(ready.mean((0, 2, 3)), torch.zeros(3).double(), atol=1e-6)
    assert torch.allclose(ready.std((0, 2, 3), correction=0), torch.ones(3).double(), atol=1e-6)


def test_the_order_of_classes_is_that_of_the_list(tmp_path):
    found = data.load("tinyimagenet", tiny_imagenet(tmp_path / "files", wnids=WNIDS[::-1]))
    assert found.test.labels.tolist() == [0, 1, 2, 0, 1, 2]


def refusal(folder):
    tracemalloc.start()
    with pytest.raises((ValueError, OSError)) as refused:
        data.load("tinyimagenet", folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "\n" not in str(refused.value)
    assert peak < 16 << 20
    return str(refused.value).replace(str(folder), "DIR")


def image_file(**options):
    content = io.BytesIO()
    side = options.pop("side", 64)
    Image.fromarray(np.zeros((side, side, 3), "u1")).save(content, **options)
    return content.getvalue()


def enormous():
    """Return a JPEG of 64x64 pixels whose header says 65535x65535."""
    content = image_file(format="JPEG")
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :]


BROKEN = {
    "truncated": (image_file(format="JPEG")[:-200], "must be a whole JPEG image: "),
    "empty": (b"", "must be a JPEG image"),
    "text": (b"hello, world", "must be a JPEG image"),
    "another format": (image_file(format="PNG"), "must be a JPEG image"),
    "another size": (image_file(format="JPEG", side=63), "must have 64 x 64 pixels, got 63 x 63"),
    "a bomb": (enormous(), "must be a whole JPEG image: Image size"),
    "a large file": (image_file(format="JPEG") + bytes(1 << 20), "must have at most 1,048,576 bytes"),
}


@pytest.mark.parametrize("place", ["train/n01629819/images/n01629819_7.JPEG", "val/images/val_2.JPEG"])
@pytest.mark.parametrize("name", BROKEN)
def test_broken_images_are_refused_in_one_line(tmp_path, name, place):
    content, message = BROKEN[name]
    tiny_imagenet(tmp_path / "files")
    (tmp_path / "files" / place).write_bytes(content)
    assert refusal(tmp_path / "files").startswith(f"DIR/{place}: {message}")


@pytest.mark.parametrize(
    ("place", "content", "message"),
    [
        ("wnids.txt", b"", "must name 1 to 1000 different classes, got 0 names, 0 of them"),
        ("wnids.txt", b"n1\nn1\n", "must name 1 to 1000 different classes, got 2 names, 1 of them"),
        ("wnids.txt", b"../..\n", "names of classes must be letters and digits, got '../..'"),
        ("wnids.txt", b"\xff\xfe", "must be text in ASCII"),
        ("val/val_annotations.txt", b"", "must have a line for each image, got none"),
        ("val/val_annotations.txt", b"../x.JPEG\tn01443537\n", "line 1 must begin with the name of a file"),
        ("val/val_annotations.txt", b"val_0.JPEG\n", "line 1 must have a class of wnids.txt, got ''"),
        (
            "val/val_annotations.txt",
            b"val_0.JPEG\tn00000001\n",
            "line 1 must have a class of wnids.txt, got 'n00000001'",
        ),
    ],
)
def test_damaged_lists_are_refused(tmp_path, place, content, message):
    tiny_imagenet(tmp_path / "files")
    (tmp_path / "files" / place).write_bytes(content)
    assert refusal(tmp_path / "files").startswith(f"DIR/{place}: {message}")


def test_what_is_missing_is_named(tmp_path):
    folder = tiny_imagenet(tmp_path / "files")
    (folder / "val" / "images" / "val_1.JPEG").unlink()
    assert "DIR/val/images/val_1.JPEG" in refusal(folder)
    for path in (folder / "train" / WNIDS[1] / "images").iterdir():
        path.unlink()
    assert refusal(folder) == f"DIR/train/{WNIDS[1]}/images must hold images, got no .JPEG file"
    (folder / "train" / WNIDS[1] / "images").rmdir()
    assert refusal(folder) == f"DIR/train/{WNIDS[1]}/images must be a folder of images, which is missing"
    (folder / "wnids.txt").unlink()
    assert refusal(folder) == "DIR must hold wnids.txt, which are missing"


def test_damage_anywhere_is_either_read_or_refused(tmp_path):
    folder, rng = tiny_imagenet(tmp_path / "files", train=1), np.random.RandomState(0)
    path = folder / "train" / WNIDS[0] / "images" / f"{WNIDS[0]}_0.JPEG"
    jpeg(path, 0)
    good, refused = path.read_bytes(), []
    for _ in range(200):
        content = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            content[rng.randint(700 if rng.rand() < 0.7 else len(content))] = rng.randint(256)
        path.write_bytes(content[: rng.choice((len(content), rng.randint(len(content))))])
        try:
            assert len(data.load("tinyimagenet", folder).train) == 2
        except ValueError as error:
            refused.append(str(error))
    assert 50 < len(refused) < 200
    assert [message for message in refused if "\n" in message] == []
