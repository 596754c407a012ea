"""The safetensors reader: what it accepts, and every way in which a header can lie."""

from __future__ import annotations

import random
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pqi
from checkpoint.files import WEIGHTS, entry, good_safetensors, put, refusal, safetensors
from pqi.checkpoint import stored
from pqi.checkpoint.safetensors_file import DTYPES, read_safetensors
from pqi.checkpoint.stored import natural


def test_names_shapes_types_and_metadata(tmp_path: Path) -> None:
    found = read_safetensors(put(tmp_path, "m.safetensors", good_safetensors()))
    assert [(t.name, t.element.name, t.shape, t.count) for t in found.tensors] == [
        ("fc.bias", "bfloat16", (2,), 2),
        ("fc.weight", "float32", (2, 3), 6),
    ]
    assert found.metadata == {"made": "by hand"}
    assert pqi.index(found.tensors[1].array()) == pqi.index(WEIGHTS)


def test_tensors_come_in_natural_order(tmp_path: Path) -> None:
    header = {f"layers.{i}": entry("U8", [1], i, i + 1) for i in range(11)}
    found = read_safetensors(put(tmp_path, "m.safetensors", safetensors(header, bytes(11))))
    assert [tensor.name for tensor in found.tensors] == [f"layers.{i}" for i in range(11)]


def test_the_order_is_that_of_texts_and_numbers_in_turn() -> None:
    """The key is one text; it must sort as the list of a name's parts, each with the number of its digits."""

    def parts(name: str) -> list[tuple[int, str]]:
        return [(len(part.lstrip("0")) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]

    draw = random.Random(0)
    names = ["".join(draw.choices("\0\1\2a.0019\u0663\u00b2\U0010ffff", k=draw.randrange(9))) for _ in range(3000)]
    assert sorted(names, key=natural) == sorted(names, key=parts)


def test_long_names_are_refused_before_they_are_sorted(tmp_path: Path) -> None:
    path = put(tmp_path, "m.safetensors", safetensors({"1a" * 2048: A}, FOUR))
    assert len(pqi.scan(path).tensors) == 1
    path = put(tmp_path, "m.safetensors", safetensors({"1a" * 5_000_000: A}, FOUR))
    tracemalloc.start()
    assert "at most 4096 characters, got 10000000" in refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
    names = ["1a" * 2000 + str(i) for i in range(500)]
    tracemalloc.start()
    keys = [natural(name) for name in names]
    assert tracemalloc.get_traced_memory()[1] < 20 * sum(map(len, names))
    tracemalloc.stop()
    assert len(keys) == 500


def test_names_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MOST_NAMED", 16)
    header = {name: entry("U8", [1], i, i + 1) for i, name in enumerate(("a" * 8, "b" * 8))}
    path = put(tmp_path, "m.safetensors", safetensors(header, bytes(2)))
    assert len(pqi.scan(path).tensors) == 2
    header["c"] = entry("U8", [1], 2, 3)
    assert "at most 16 characters together" in refusal(put(tmp_path, "m.safetensors", safetensors(header, bytes(3))))


def test_empty_tensors_and_padding(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]}}     '
    found = read_safetensors(put(tmp_path, "m.safetensors", safetensors(header)))
    assert found.tensors[0].count == 0


A = entry("F32", [1], 0, 4)
FOUR = bytes(4)

HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty file"),
    "no length": (b"\x02\x00", "8 bytes"),
    "length beyond the file": (safetensors({"a": A}, FOUR, length=10**6), "length of 1000000"),
    "length of 2^64 - 1": (safetensors({"a": A}, FOUR, length=2**64 - 1), "length of"),
    "length too short": (safetensors({"a": A}, FOUR, length=10), "damaged"),
    "length of 0": (safetensors({"a": A}, FOUR, length=0), "start with"),
    "no object": (safetensors(b"[1, 2]"), "start with"),
    "not UTF-8": (safetensors(b'{"\xff": 1}'), "UTF-8"),
    "UTF-16": (safetensors('{"a": 1}'.encode("utf-16")), "start with"),
    "deep": (safetensors(b'{"a":' + b"[" * 100_000), "deep"),
    "deep and closed": (safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "deep"),
    "endless list": (safetensors(b'{"a":[' + b"0," * 5_000_000 + b"0]}"), "at most"),
    "endless integer": (safetensors(b'{"a":' + b"9" * 100_000 + b"}"), "digits"),
    "NaN": (safetensors(b'{"a":NaN}'), "finite"),
    "duplicate tensors": (safetensors(b'{"a":%s,"a":%s}' % ((b'{"dtype":"F32"}',) * 2)), "'a' twice"),
    "duplicate fields": (safetensors(b'{"a":{"dtype":"F32","dtype":"F32"}}'), "'dtype' twice"),
    "no entry": (safetensors({"a": 3}), "dtype, shape and data_offsets"),
    "missing field": (safetensors({"a": {"dtype": "F32", "shape": [1]}}, FOUR), "dtype, shape and data_offsets"),
    "extra field": (safetensors({"a": {**A, "code": "x"}}, FOUR), "dtype, shape and data_offsets"),
    "unknown dtype": (safetensors({"a": {**A, "dtype": "F33"}}, FOUR), "F33"),
    "dtype of another kind": (safetensors({"a": {**A, "dtype": ["F32"]}}, FOUR), "a dtype"),
    "negative shape": (safetensors({"a": {**A, "shape": [-1]}}, FOUR), "non-negative"),
    "shape of floats": (safetensors({"a": {**A, "shape": [1.0]}}, FOUR), "non-negative"),
    "shape of truth": (safetensors({"a": {**A, "shape": [True]}}, FOUR), "non-negative"),
    "shape beyond 64 bits": (safetensors({"a": {**A, "shape": [2**63]}}, FOUR), "non-negative"),
    "overflowing shape": (safetensors({"a": {**A, "shape": [2**32, 2**32]}}, FOUR), "as many bytes"),
    "wrapping shape": (safetensors({"a": {**A, "shape": [2**62, 4, 2**62, 4]}}, FOUR), "as many bytes"),
    "too many dimensions": (safetensors({"a": {**A, "shape": [1] * 65}}, FOUR), "64 dimensions"),
    "offsets out of range": (safetensors({"a": entry("F32", [2], 0, 8)}, FOUR), "4 bytes fewer"),
    "offsets reversed": (safetensors({"a": {**A, "data_offsets": [4, 0]}}, FOUR), "as many bytes"),
    "offsets negative": (safetensors({"a": {**A, "data_offsets": [-4, 0]}}, FOUR), "data_offsets"),
    "three offsets": (safetensors({"a": {**A, "data_offsets": [0, 4, 8]}}, FOUR), "data_offsets"),
    "overlap": (safetensors({"a": A, "b": entry("F32", [1], 2, 6)}, bytes(6)), "overlaps"),
    "same place": (safetensors({"a": A, "b": A}, FOUR), "overlaps"),
    "gap": (safetensors({"a": A, "b": entry("F32", [1], 8, 12)}, bytes(12)), "gap"),
    "bytes left over": (safetensors({"a": A}, bytes(9)), "5 bytes more"),
    "metadata of numbers": (safetensors({"__metadata__": {"a": 1}, "a": A}, FOUR), "__metadata__"),
    "lone surrogate": (
        safetensors(b'{"\\ud800":%s}' % b'{"dtype":"U8","shape":[1],"data_offsets":[0,1]}', b"1"),
        "text",
    ),
    "half a byte": (safetensors({"a": entry("F4", [1], 0, 1)}, b"1"), "as many bytes"),
}


@pytest.mark.parametrize(("content", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_headers_are_refused_in_a_line(content: bytes, reason: str, tmp_path: Path) -> None:
    assert reason in refusal(put(tmp_path, "m.safetensors", content))


def test_names_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    path = put(tmp_path, "m.safetensors", safetensors({"\x1b[2J\nx" * 50: {**A, "dtype": "F33"}}, FOUR))
    message = refusal(path)
    assert message.isprintable()
    assert len(message) < 300 + len(str(path))


def test_too_many_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pqi.checkpoint.stored.MOST_TENSORS", 3)
    header = {str(i): entry("U8", [1], i, i + 1) for i in range(4)}
    assert "at most 3 tensors" in refusal(put(tmp_path, "m.safetensors", safetensors(header, bytes(4))))


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I32", "I8", "U8", "BOOL"])
def test_every_type_equals_the_library_to_the_bit(dtype: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    library: Any = pytest.importorskip("safetensors.torch")
    element = getattr(torch, DTYPES[dtype])
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(17, 9)) * 3).to(element)
    path = tmp_path / "m.safetensors"
    library.save_file({"w": values, "pad": torch.zeros(1, dtype=torch.uint8)}, path)
    loaded = library.load_file(path)["w"]
    found = {tensor.name: tensor for tensor in pqi.scan(path, pairs=[(0.5, 1), (1, 2), (0.3, 1.5)]).tensors}["w"]
    assert found.dtype == DTYPES[dtype]
    assert found.shape == (17, 9)
    assert found.measures is not None
    assert found.measures.gini == pqi.gini(loaded).item()
    for pair in found.measures.pairs:
        assert pair.index == pqi.index(loaded, pair.p, pair.q).item()
        assert pair.bound == pqi.retained_bound(loaded, pair.p, pair.q).item()


def test_types_without_measures_are_listed(tmp_path: Path) -> None:
    header = {"c": entry("C64", [1], 0, 8), "f": entry("F4", [2, 2], 8, 10), "e": entry("F8_E8M0", [2], 10, 12)}
    report = pqi.scan(put(tmp_path, "m.safetensors", safetensors(header, bytes(12))))
    assert [(t.dtype, t.measures, t.note) for t in report.tensors] == [
        (name, None, "type without measures") for name in ("complex64", "float8_e8m0fnu", "float4_e2m1")
    ]
