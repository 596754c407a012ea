"""IDX files: what is read, and that a header's or a stream's lies cost no memory."""

import gzip
import resource
import struct
import tracemalloc

import numpy as np
import pytest

from experiment.original import idx, pictures
from pqi.experiment.data.idx import read_idx

ARRAY = pictures((5, 4, 3), 0)
CONTENT = idx(ARRAY)


def put(folder, content):
    path = folder / "file"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:])]
)
def test_arrays_are_read_plain_and_compressed(tmp_path, pack):
    assert np.array_equal(read_idx(put(tmp_path, pack(CONTENT)), 3), ARRAY)


def header(*dimensions, magic=(0, 0, 8)):
    return bytes((*magic, len(dimensions))) + struct.pack(f">{len(dimensions)}I", *dimensions)


WRONG = {
    "empty": (b"", "must begin with the magic number 0x00000803, got 0x$"),
    "magic": (b"\0\0\x0d\3" + CONTENT[4:], "must begin with the magic number 0x00000803, got 0x00000d03"),
    "dimensions": (idx(ARRAY[0]), "must begin with the magic number 0x00000803, got 0x00000802"),
    "header": (CONTENT[:10], "is truncated within its header"),
    "truncated": (CONTENT[:-1], "is truncated: its header says 60 bytes of content, got 59"),
    "longer": (CONTENT + b"\0", "must end after the 60 bytes of content"),
    "absurd": (header(2**31, 28, 28), "at most 1,073,741,824 bytes, got dimensions 2147483648 x 28 x 28"),
    "large": (header(1_000_000, 28, 28), "is truncated: its header says 784,000,000 bytes of content, got 0"),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", WRONG)
def test_damaged_files_are_refused_in_one_line(tmp_path, name, compressed):
    content, message = WRONG[name]
    path = put(tmp_path, gzip.compress(content) if compressed else content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=message) as refused:
        read_idx(path, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)
    assert peak < 4 << 20


@pytest.mark.parametrize("damage", [lambda c: c[:-9], lambda c: c[:20], lambda c: c[:15] + b"\xff\xff" + c[17:]])
def test_damaged_compression_is_refused(tmp_path, damage):
    with pytest.raises(ValueError, match="the compressed content is damaged"):
        read_idx(put(tmp_path, damage(gzip.compress(CONTENT))), 3)


def test_a_bomb_is_not_inflated(tmp_path):
    """A few hundred kilobytes that would become 300 MB are left where the header says the content ends."""
    zeros = gzip.compress(bytes(3 << 20), 9) * 100
    tracemalloc.start()
    for start in (header(1, 2, 3), header(2**31, 28, 28)):
        with pytest.raises(ValueError, match="must end after the 6 bytes|must have at most"):
            read_idx(put(tmp_path, gzip.compress(start) + zeros), 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_damage_anywhere_is_either_read_or_refused(tmp_path):
    rng = np.random.RandomState(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = []
    for number in range(700):
        content = bytearray(gzip.compress(CONTENT) if number % 2 else CONTENT)
        for _ in range(rng.randint(1, 4)):
            content[rng.randint(len(content))] = rng.choice((0, 1, 127, 128, 255, rng.randint(256)))
        try:
            assert (
                read_idx(put(tmp_path, content[: rng.choice((len(content), rng.randint(len(content))))]), 3).ndim == 3
            )
        except ValueError as error:
            refused.append(str(error))
    assert 200 < len(refused) < 700
    assert [message for message in refused if "\n" in message] == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10, "kilobytes"
