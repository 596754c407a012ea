"""Index files and folders: many files as one checkpoint, and none from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pqi
from checkpoint.files import GOOD, WEIGHTS, entry, good_safetensors, put, refusal, safetensors


def shard(name: str) -> bytes:
    return safetensors({name: entry("F32", [2, 3], 0, 24)}, WEIGHTS.tobytes())


def sharded(folder: Path) -> Path:
    put(folder, "a.safetensors", shard("layers.10"))
    put(folder, "b.safetensors", shard("layers.9"))
    where = {"layers.10": "a.safetensors", "layers.9": "b.safetensors"}
    return put(folder, "model.safetensors.index.json", json.dumps({"metadata": {}, "weight_map": where}).encode())


def test_shards_are_one_vector(tmp_path: Path) -> None:
    report = pqi.scan(sharded(tmp_path))
    assert [tensor.name for tensor in report.tensors] == ["layers.9", "layers.10"]
    assert report.total.d == 12
    assert report.total.measures is not None
    assert report.total.measures.pairs[0].index == pqi.index(np.stack([WEIGHTS, WEIGHTS]))


def test_a_folder_is_read_through_its_index(tmp_path: Path) -> None:
    sharded(tmp_path)
    put(tmp_path, "pytorch_model.bin", GOOD["good.pt"])
    by_folder, by_index = pqi.scan(tmp_path), pqi.scan(tmp_path / "model.safetensors.index.json")
    assert by_folder.tensors == by_index.tensors
    assert by_folder.path == tmp_path


def test_a_folder_without_an_index(tmp_path: Path) -> None:
    put(tmp_path, "a.safetensors", shard("a"))
    put(tmp_path, "b.safetensors", shard("b"))
    assert [tensor.name for tensor in pqi.scan(tmp_path).tensors] == ["a", "b"]
    put(tmp_path, "c.safetensors", shard("a"))
    assert "in a.safetensors and in c.safetensors: pass the file that is meant" in refusal(tmp_path)


def test_of_a_model_folder_the_model_is_read(tmp_path: Path) -> None:
    """Whatever trainers leave beside it, and whichever of its forms are there."""
    others = ["training_args.bin", "optimizer.bin", "scheduler.bin", "optimizer.pt", "rng_state_0.pth", "scaler.pt"]
    for name in others:
        put(tmp_path, name, b"a pickle")
    assert "got none" in refusal(tmp_path)
    for name, tensor in (("other.bin", "o"), ("pytorch_model-1.bin", "p"), ("adapter.safetensors", "a")):
        put(tmp_path, name, shard(tensor))
        assert [found.name for found in pqi.scan(tmp_path).tensors] == [tensor]
    put(tmp_path, "model-1.safetensors", shard("m"))
    put(tmp_path, "model-2.safetensors", shard("n"))
    assert [found.name for found in pqi.scan(tmp_path).tensors] == ["m", "n"]
    put(tmp_path, "model.fp16.safetensors", shard("m"))
    assert "in model-1.safetensors and in model.fp16.safetensors: pass the file" in refusal(tmp_path)


def test_a_file_whose_name_begins_like_that_of_a_training_state_is_read(tmp_path: Path) -> None:
    put(tmp_path, "optimizers_best.pt", shard("w"))
    assert len(pqi.scan(tmp_path).tensors) == 1


def test_the_models_of_a_pipeline_are_named(tmp_path: Path) -> None:
    for name in ("unet", "vae", "scheduler"):
        (tmp_path / name).mkdir()
    put(tmp_path / "unet", "diffusion_pytorch_model.safetensors", shard("w"))
    put(tmp_path / "vae", "diffusion_pytorch_model.bin", GOOD["good.pt"])
    put(tmp_path / "scheduler", "scheduler_config.json", b"{}")
    assert "a folder without weights; pass one of its folders that hold some: unet, vae" in refusal(tmp_path)
    put(tmp_path, "model_index.json", b"{}")
    assert "a pipeline of several models; pass one of its folders that hold some: unet, vae" in refusal(tmp_path)


def test_a_link_beside_the_index_is_followed(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    (tmp_path / "blobs").mkdir()
    (tmp_path / "a.safetensors").rename(tmp_path / "blobs" / "1")
    (tmp_path / "a.safetensors").symlink_to("blobs/1")
    assert len(pqi.scan(index).tensors) == 2


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "got none" in refusal(tmp_path)


OUTSIDE = ["../a.safetensors", "/etc/passwd", "sub/a.safetensors", "..", ".", "", "a\\b", "c:a", "a\0", "x.index.json"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_shards_must_lie_beside_the_index(name: str, tmp_path: Path) -> None:
    put(tmp_path.parent, "a.safetensors", shard("a"))
    index = put(tmp_path, "m.index.json", json.dumps({"weight_map": {"a": name}}).encode())
    assert "beside the index" in refusal(index)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"[]", "weight_map"),
        (b"{}", "weight_map"),
        (b'{"weight_map": {}}', "weight_map"),
        (b'{"weight_map": {"a": 1}}', "weight_map"),
        (b'{"weight_map": {"a": "a.safetensors", "a": "a.safetensors"}}', "twice"),
        (b'{"weight_map": {"b": "a.safetensors"}}', "must be in a.safetensors"),
        (b'{"weight_map": {"a": "a.safetensors"}', "damaged"),
        (b'{"weight_map": ' + b"[" * 50_000, "deep"),
    ],
)
def test_damaged_indices(content: bytes, reason: str, tmp_path: Path) -> None:
    put(tmp_path, "a.safetensors", shard("a"))
    assert reason in refusal(put(tmp_path, "m.safetensors.index.json", content))


def test_a_missing_shard(tmp_path: Path) -> None:
    index: Any = put(tmp_path, "m.index.json", json.dumps({"weight_map": {"a": "gone.safetensors"}}).encode())
    with pytest.raises(FileNotFoundError):
        pqi.scan(index)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "m.safetensors")
    assert "regular file" in refusal(tmp_path / "m.safetensors")


def test_the_content_tells_the_format(tmp_path: Path) -> None:
    assert pqi.scan(put(tmp_path, "model.bin", good_safetensors())).format == "safetensors"
    assert pqi.scan(put(tmp_path, "weights", GOOD["good.pt"])).format == "torch"
    assert "must be a safetensors" in refusal(put(tmp_path, "notes.txt", b"hello, world; no checkpoint"))
