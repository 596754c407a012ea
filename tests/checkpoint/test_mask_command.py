"""``pqindex mask``: what it prints, where it writes, and what it says when it is interrupted."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkpoint.conftest import Run
from checkpoint.files import GOOD, put
from checkpoint.test_scanning import weights
from pqi.checkpoint import mask_command, masking, targets

HALF = ("--method", "fraction", "--share", "0.5")


def test_sizes_are_honest(run: Run, tmp_path: Path) -> None:
    source, out = put(tmp_path, "w.npy", GOOD["good.npy"]), tmp_path / "out.npy"
    status, text, err = run("mask", source, "-o", out, *HALF)
    assert (status, err) == (0, "")
    assert "pruned 3 of 6 weights (50.00%) in 1 tensor\n" in text
    assert f"dense      {out.stat().st_size} bytes" in text
    before, after = (len(zlib.compress(path.read_bytes())) for path in (source, out))
    assert f"deflated; it was {before} before, {after / before:.1%}" in text
    assert np.count_nonzero(np.load(out)) == 3
    status, _, err = run("mask", source, "-o", out)
    assert (status, err) == (2, f"pqindex mask: error: {out}: file exists; --force overwrites it\n")
    found = json.loads(run("mask", source, "-o", out, "--force", "--json")[1])["bytes"]
    assert found["compressed_before"] == before
    status, text, _ = run("mask", source, "-o", out, "--force", "--json", "--beta", 0.5, "--no-compressed")
    found = json.loads(text)
    assert (found["prunable"], found["kept"], found["bytes"]["compressed"]) == (6, 5, None)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--method", "fraction", "--share", "2"], "share"),
        (["--beta", "2"], "beta"),
        (["--p", "2"], "0 < p < q"),
        (["--share", "0.5"], "--share belongs to --method fraction"),
        (["--method", "fraction", "--eta", "0.1"], "--eta belongs to --method sap"),
    ],
)
def test_wrong_amounts(options: list[str], reason: str, run: Run, tmp_path: Path) -> None:
    source = put(tmp_path, "w.npy", GOOD["good.npy"])
    status, _, err = run("mask", source, "-o", tmp_path / "out.npy", *options)
    assert (status, err.count("\n")) == (2, 1)
    assert reason in err


def test_integers_that_stay_are_told(run: Run, tmp_path: Path) -> None:
    content = weights(w=np.ones((2, 3), np.float32), q=np.ones((2, 2), np.int8))
    source, out = put(tmp_path, "m.safetensors", content), tmp_path / "out"
    assert "as before: 1 integer tensor beside floats" in run("mask", source, "-o", out, *HALF)[1]
    found = json.loads(run("mask", source, "-o", out, *HALF, "--force", "--json", "--include", "*")[1])
    assert (found["left_out"], found["prunable"]) == (0, 10)


def interrupt(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_an_interrupt_says_what_is_true(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = put(tmp_path, "w.npy", GOOD["good.npy"]), tmp_path / "out.npy"
    with monkeypatch.context() as patch:
        patch.setattr(masking, "plan_group", interrupt)
        status, text, err = run("mask", source, "-o", out, *HALF)
    assert (status, text) == (130, "")
    assert "interrupted before all was written; no file is half-written" in err
    assert not out.exists()
    monkeypatch.setattr(masking, "deflate", interrupt)
    status, text, err = run("mask", source, "-o", out, *HALF)
    assert status == 130
    assert "interrupted while sizes were measured; the output is complete" in err
    assert "pruned 3 of 6" in text
    assert "compressed not measured" in text
    assert np.count_nonzero(np.load(out)) == 3


def test_where_the_output_goes(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = put(tmp_path, "w.npy", GOOD["good.npy"])
    assert run("mask", source, "-o", "new/", *HALF)[0] == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["w.npy"]
    status, _, err = run("mask", source, "-o", "gone/below/w.npy")
    assert (status, err) == (2, "pqindex mask: error: gone/below: No such file or directory\n")
    assert run("mask", source, "-o", "gone/below/")[2] == "pqindex mask: error: gone: No such file or directory\n"
    assert run("mask", source, "-o", "w.npy/", "--force")[2] == "pqindex mask: error: w.npy: Not a directory\n"


def test_what_lies_beside_the_weights_is_copied(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    model.mkdir()
    for name in "ab":
        put(model, f"model-{name}.safetensors", weights(**{name: np.eye(3, dtype=np.float32)}))
    shards = {name: f"model-{name}.safetensors" for name in "ab"}
    put(model, "model.safetensors.index.json", json.dumps({"weight_map": shards}).encode())
    for name in ("config.json", "tokenizer.model", "README.md", ".hidden"):
        put(model, name, name.encode())
    for name in ("optimizer.pt", "pytorch_model.bin", "large.txt", "pytorch_model.bin.index.json"):
        put(model, name, b"x" * 100)
    (model / "runs").mkdir()
    monkeypatch.setattr(targets, "LARGEST_COPIED", 99)
    status, text, _ = run("mask", model, "-o", out, *HALF)
    assert status == 0
    copied = ["README.md", "config.json", "tokenizer.model", "model.safetensors.index.json"]
    assert f"copied: {', '.join(copied)}\n" in text
    left = "large.txt, optimizer.pt, pytorch_model.bin, pytorch_model.bin.index.json, runs"
    assert f"not copied: {left}\n" in text
    assert {path.name for path in out.iterdir()} == {*shards.values(), *copied}
    assert (out / "config.json").read_bytes() == b"config.json"
    for name in shards.values():
        (out / name).unlink()
    assert f"{out / 'README.md'}: file exists" in run("mask", model, "-o", out, *HALF)[2]
    found = json.loads(run("mask", model, "-o", out, *HALF, "--force", "--json")[1])
    assert found["copied"] == [str(out / name) for name in copied]
    assert found["not_copied"][-1] == str(model / "runs")
    monkeypatch.setattr(mask_command, "MOST_NAMED", 2)
    text = run("mask", model, "-o", out, *HALF, "--force")[1]
    assert "\ncopied: README.md, config.json and 2 more\nnot copied: large.txt, optimizer.pt and 3 more\n" in text
    assert run("scan", out)[0] == 0


def test_progress_while_sizes_are_measured_adds_up(tmp_path: Path) -> None:
    from pqi.checkpoint.sizes import deflate

    source, done = put(tmp_path, "w.npy", GOOD["good.npy"]), list[int]()
    deflate([source], [source], done.append)
    assert sum(done) == 2 * source.stat().st_size


@pytest.mark.parametrize("method", ["sap", "fraction"])
@pytest.mark.parametrize("scope", ["neuron", "layer", "global"])
def test_no_torch_is_needed(method: str, scope: str, tmp_path: Path) -> None:
    source, out = put(tmp_path, "w.npy", GOOD["good.npy"]), tmp_path / "out.npy"
    code = "import sys; sys.modules['torch'] = None; from pqi import cli; sys.exit(cli.main(sys.argv[1:]))"
    arguments = ["mask", source, "--method", method, "--scope", scope, "-o", out]
    found = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, check=False)
    assert (found.returncode, found.stderr) == (0, b"")
    assert out.exists()
