"""PyTorch's archives: torch's own files to the bit, and pickles that would run code."""

from __future__ import annotations

import os
import pickle
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import pqi
from checkpoint.files import PICKLE, WEIGHTS, put, refusal, torch_zip
from pqi.checkpoint import torch_file

torch: Any = pytest.importorskip("torch")

TYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "uint16",
]


def save(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "m.pt")
    return folder / "m.pt"


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_to_the_bit(dtype: str, tmp_path: Path) -> None:
    values = (torch.randn(6, 9, generator=torch.Generator().manual_seed(0)) * 3).abs().to(getattr(torch, dtype))
    (found,) = pqi.scan(save({"w": values}, tmp_path)).tensors
    assert (found.name, found.dtype, found.shape) == ("w", dtype, (6, 9))
    assert found.measures is not None
    assert found.measures.gini == pqi.gini(values).item()
    assert [pair.index for pair in found.measures.pairs] == [
        pqi.index(values, pair.p, pair.q).item() for pair in found.measures.pairs
    ]


def test_a_model_and_its_optimizer(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    content = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "note": "as text"}
    report = pqi.scan(save(content, tmp_path))
    names = [tensor.name for tensor in report.tensors]
    assert names[: len(model.state_dict())] == [f"model.{name}" for name in model.state_dict()]
    assert "optimizer.state.0.exp_avg" in names
    assert [tensor.name for tensor in report.tensors if tensor.prunable] == ["model.0.weight"]
    assert report.total.d == 108


def test_views_tied_weights_and_parameters(tmp_path: Path) -> None:
    base = torch.randn(6, 8)
    tied = torch.nn.Parameter(base)
    content = {"w": tied, "again": tied, "t": base.t(), "part": base[1:4, ::2], "one": base[2, 3], "list": [base[0]]}
    found = {tensor.name: tensor for tensor in pqi.scan(save(content, tmp_path)).tensors}
    for name in ("w", "t", "part", "one"):
        assert found[name].measures.pairs[0].index == pqi.index(content[name].detach()).item()  # type: ignore[union-attr]
    assert found["again"].note == "same as w"
    assert not found["again"].prunable
    assert found["list.0"].shape == (8,)


def test_a_single_tensor_is_named_after_its_file(tmp_path: Path) -> None:
    assert pqi.scan(save(torch.ones(2, 2), tmp_path)).tensors[0].name == "m"


def test_the_handmade_file_is_one_of_torch(tmp_path: Path) -> None:
    path = put(tmp_path, "m.pt", torch_zip())
    assert torch.load(path, weights_only=True)["w"].tolist() == WEIGHTS.tolist()
    assert pqi.scan(path).tensors[0].shape == (2, 3)


class Bomb:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


BOMBS = {
    "posix.mkdir": Bomb(os.mkdir, "went-off"),
    "builtins.exec": Bomb(exec, "import os; os.mkdir('went-off')"),
    "builtins.getattr": Bomb(getattr, os, "mkdir"),
    "torch.load": Bomb(torch.load, "m.pt"),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("name", BOMBS)
def test_code_is_refused_by_name_and_not_run(
    name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "builtins.getattr":
        pickled = b"\x80\x02cbuiltins\ngetattr\n."
    else:
        pickled = pickle.dumps({"w": BOMBS[name]}, protocol=protocol)
    message = refusal(put(tmp_path, "m.pt", torch_zip(pickled)))
    assert "nothing was run" in message
    assert name.rpartition(".")[2] in message
    assert not (tmp_path / "went-off").exists()


def changed(old: bytes, new: bytes) -> bytes:
    assert PICKLE.count(old) == 1
    return torch_zip(PICKLE.replace(old, new))


HOSTILE = {
    "negative shape": (changed(b"K\x02K\x03\x86q\x08", b"J\xff\xff\xff\xffK\x03\x86q\x08"), "non-negative"),
    "huge shape": (changed(b"K\x02K\x03\x86q\x08", b"J\xff\xff\xff\x7fK\x03\x86q\x08"), "within its storage"),
    "strides": (changed(b"K\x03K\x01\x86q\t", b"M\xff\xffK\x01\x86q\t"), "within its storage"),
    "more strides": (changed(b"K\x03K\x01\x86q\t", b"K\x03K\x01K\x01\x87q\t"), "strides"),
    "offset": (changed(b"QK\x00", b"QK\x01"), "within its storage"),
    "endless view": (
        changed(b"K\x02K\x03\x86q\x08K\x03K\x01\x86q\t", b"J\xff\xff\xff\x7fK\x03\x86q\x08K\x00K\x01\x86q\t"),
        "times over",
    ),
    "no such storage": (changed(b"\x01\x00\x00\x000q\x05", b"\x01\x00\x00\x009q\x05"), "in the archive"),
    "path for a storage": (changed(b"X\x01\x00\x00\x000q\x05", b"X\x07\x00\x00\x00../../aq\x05"), "in the archive"),
    "unknown storage": (changed(b"FloatStorage", b"BlobStorage"), "BlobStorage"),
    "no tensors": (torch_zip(b"\x80\x02}."), "got none"),
    "empty pickle": (torch_zip(b""), "too early"),
    "no stop": (torch_zip(b"\x80\x02}"), "too early"),
    "empty stack": (torch_zip(b"\x80\x02."), "stack is empty"),
    "no mark": (torch_zip(b"\x80\x02t."), "no mark"),
    "memo": (torch_zip(b"\x80\x02h\x05."), "remembered"),
    "huge memo": (torch_zip(b"\x80\x02}r\xff\xff\xff\xff."), "got none"),
    "huge text": (torch_zip(b"\x80\x02X\xff\xff\xff\x7f."), "too early"),
    "huge bytes": (torch_zip(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."), "too early"),
    "unknown operation": (torch_zip(b"\x80\x02i"), "must not occur"),
    "inside itself": (torch_zip(b"\x80\x02]q\x00h\x00a."), "nest at most"),
    "deep": (torch_zip(b"\x80\x02" + b"]" * 10_000 + b"a" * 9_999 + b"."), "nest at most"),
}


@pytest.mark.parametrize(("content", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_pickles(content: bytes, reason: str, tmp_path: Path) -> None:
    assert reason in refusal(put(tmp_path, "m.pt", content))


def doubling(innermost: bytes) -> bytes:
    """Return a pickle of a few hundred bytes in which a value is met 2**40 times."""
    levels = [b"q" + bytes([i]) + b"0](h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(0x80, 0x80 + 40)]
    return b"\x80\x02" + innermost + b"".join(levels) + b"."


def seconds_until_refused(content: bytes, reason: str, folder: Path) -> float:
    path = put(folder, "m.pt", content)
    start = time.process_time()
    assert reason in refusal(path)
    return time.process_time() - start


@pytest.mark.parametrize("innermost", [b"]", PICKLE[2:-1]], ids=["empty", "tensor"])
def test_containers_that_double_and_double(innermost: bytes, tmp_path: Path) -> None:
    assert seconds_until_refused(torch_zip(doubling(innermost)), "endlessly", tmp_path) < 2


def test_long_keys_are_joined_for_tensors_alone(tmp_path: Path) -> None:
    """Three thousand empty lists under a key of a megabyte, and lists of as many plain values, cost no name each."""
    key = b"X" + (1 << 20).to_bytes(4, "little") + b"k" * (1 << 20)
    for inner in (b"]" * 3000, b"](K\x01e" * 3000):
        nested = torch_zip(b"\x80\x02}" + key + b"](" + inner + b"es.")
        tracemalloc.start()
        assert seconds_until_refused(nested, "got none", tmp_path) < 2
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 << 20


def test_names_are_bounded_one_by_one_and_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save({"k" * 4000: {"w" * 95: torch.ones(2, 2), "v": torch.ones(2)}}, tmp_path)
    assert len(pqi.scan(path).tensors[0].name) == 4096
    monkeypatch.setattr(torch_file, "MOST_NAMED", 4096)
    assert "at most 4096 characters together" in refusal(path)
    monkeypatch.undo()
    assert "at most 4096 characters, got 4097" in refusal(save({"k" * 4001: {"w" * 95: torch.ones(2, 2)}}, tmp_path))


def test_a_state_dict_may_be_shared(tmp_path: Path) -> None:
    state = {str(i): torch.ones(1) for i in range(300)}
    found = pqi.scan(save({"model": state, "ema": [state, (), ()]}, tmp_path)).tensors
    assert [tensor.name for tensor in found[299:301]] == ["model.299", "ema.0.0"]
    assert found[300].note == "same as model.0"


def test_the_format_before_zip_is_named(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2, 2)}, tmp_path / "m.pt", _use_new_zipfile_serialization=False)
    assert "before 1.6" in refusal(tmp_path / "m.pt")


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    assert "torch.nn.modules.linear.Linear" in refusal(save(torch.nn.Linear(2, 2), tmp_path))
