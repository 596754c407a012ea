"""``.npy`` and ``.npz``: numpy's own files to the bit, and headers that numpy would evaluate or unpickle."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pqi
from checkpoint.files import GOOD, good_npz, put, refusal
from pqi.checkpoint import numpy_file

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "float64": RNG.normal(size=(5, 7)),
    "float32": RNG.normal(size=(5, 7)).astype(np.float32),
    "float16": RNG.normal(size=(5, 7)).astype(np.float16),
    "int8": RNG.integers(-128, 127, (5, 7), np.int8),
    "uint16": RNG.integers(0, 65535, (5, 7), np.uint16),
    "column major": np.asfortranarray(RNG.normal(size=(5, 7, 2))),
    "big endian": RNG.normal(size=(5, 7)).astype(">f4"),
    "big endian columns": np.asfortranarray(RNG.normal(size=(5, 7)).astype(">f8")),
    "bool": RNG.random((5, 7)) > 0.5,
    "vector": RNG.normal(size=5),
    "scalar": np.array(3.0),
}


@pytest.mark.parametrize("values", ARRAYS.values(), ids=ARRAYS.keys())
@pytest.mark.parametrize("form", ["npy", "npz", "compressed"])
def test_arrays_equal_to_the_bit(form: str, values: Any, tmp_path: Path) -> None:
    path = tmp_path / ("w.npy" if form == "npy" else "w.npz")
    if form == "npy":
        np.save(path, values)
    else:
        (np.savez if form == "npz" else np.savez_compressed)(path, w=values)
    (found,) = pqi.scan(path).tensors
    assert found.name == "w"
    assert found.shape == values.shape
    assert found.measures is not None
    assert found.measures.gini == pqi.gini(values)
    assert found.measures.pairs[0].index == pqi.index(values)
    assert found.measures.zeros == np.count_nonzero(values == 0)
    if found.spread is not None:
        assert found.spread.median == np.median(pqi.index(values, axis=tuple(range(1, values.ndim))))


class Bomb:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("bomb-went-off"),)


def test_objects_are_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("w.npy", np.array([Bomb()], object), allow_pickle=True)
    np.savez("w.npz", w=np.array([Bomb()], object))
    for name in ("w.npy", "w.npz"):
        assert "plain numbers" in refusal(tmp_path / name)
    assert not Path("bomb-went-off").exists()
    assert pickle.dumps(Bomb())


def npy(header: bytes, data: bytes = bytes(64), version: int = 1) -> bytes:
    return b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(2 if version == 1 else 4, "little") + header + data


GOOD_HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions(version: int, tmp_path: Path) -> None:
    assert pqi.scan(put(tmp_path, "w.npy", npy(GOOD_HEADER, version=version))).tensors[0].shape == (2, 3)


HOSTILE = {
    "version": (npy(GOOD_HEADER, version=4), "version"),
    "no header": (b"\x93NUMPY\x01\x00", "mark"),
    "header length": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + GOOD_HEADER, "header of at most"),
    "code": (npy(GOOD_HEADER.replace(b"(2, 3)", b"__import__('os').abort()")), "damaged"),
    "deep": (npy(b"{'shape': " + b"(" * 5000), "plain numbers"),
    "records": (npy(GOOD_HEADER.replace(b"'<f4'", b"[('a', '<f4')]")), "records"),
    "objects": (npy(GOOD_HEADER.replace(b"<f4", b"|O")), "plain numbers"),
    "dates": (npy(GOOD_HEADER.replace(b"<f4", b"<M8[s]")), "plain numbers"),
    "negative shape": (npy(GOOD_HEADER.replace(b"2, 3", b"-2, 3")), "damaged"),
    "huge shape": (npy(GOOD_HEADER.replace(b"2, 3", b"999999999999999, 3")), "bytes of elements"),
    "endless integer": (npy(GOOD_HEADER.replace(b"2, 3", b"9" * 5000)), "non-negative"),
    "too many dimensions": (npy(GOOD_HEADER.replace(b"2, 3", b"1," * 65)), "at most 64"),
    "missing key": (npy(b"{'descr': '<f4', 'shape': (2, 3), }"), "fortran_order"),
    "twice": (npy(b"{'shape': (1,), 'shape': (2,)}"), "damaged"),
    "truth for a type": (npy(b"{'descr': True, 'fortran_order': False, 'shape': (2, 3), }"), "plain numbers"),
    "a type for truth": (npy(b"{'descr': '<f4', 'fortran_order': 'x', 'shape': (2, 3), }"), "fortran_order"),
    "too few elements": (npy(GOOD_HEADER, bytes(23)), "24 bytes of elements, got 23"),
}


@pytest.mark.parametrize(("content", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_headers(content: bytes, reason: str, tmp_path: Path) -> None:
    assert reason in refusal(put(tmp_path, "w.npy", content))


def test_other_types_are_listed(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.array(["ab", "c"]))
    assert pqi.scan(tmp_path / "w.npy").tensors[0].note == "type without measures"


def test_archives_may_not_inflate_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_file, "LARGEST_INFLATED", 100)
    assert "inflate to at most 100" in refusal(put(tmp_path, "w.npz", good_npz(compressed=True)))


def test_a_member_of_another_size_than_it_says(tmp_path: Path) -> None:
    content = bytearray(GOOD["deflated.npz"])
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = (10**6).to_bytes(4, "little")
    assert "must inflate to 1000000" in refusal(put(tmp_path, "w.npz", bytes(content)))
