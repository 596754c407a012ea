"""Reports of ``pqindex scan``: none replaces a checkpoint, all are whole, and one that fails stops no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from checkpoint.files import GOOD, put
from pqi import cli
from pqi.checkpoint import scanning


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("good.safetensors", "good.npz"):
        put(model, name, GOOD[name])
    put(model, "config.json", b"{}")
    put(tmp_path, "victim.pt", GOOD["good.pt"])
    put(tmp_path, "unnamed", GOOD["good.safetensors"])
    put(tmp_path, "array", GOOD["good.npy"])
    put(tmp_path, "empty.bin", b"")
    (tmp_path / "link.json").symlink_to("model/good.npz")
    os.link(model / "good.npz", tmp_path / "hard.csv")
    where = {"weight_map": {"fc.weight": "good.safetensors", "fc.bias": "good.safetensors"}}
    put(model, "model.safetensors.index.json", json.dumps(where).encode())
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


REFUSED = [
    ("good.npz --json victim.pt", "--json must not overwrite a checkpoint"),
    ("good.npz --csv model/good.npz", "--csv must not overwrite an input"),
    ("good.npz --json link.json", "--json must not overwrite an input"),
    ("good.npz --csv hard.csv", "--csv must not overwrite an input"),
    ("good.npz --html unnamed", "--html must not overwrite a checkpoint"),
    ("good.npz --html array", "--html must not overwrite a checkpoint"),
    ("good.npz --html empty.bin", "--html must not overwrite a checkpoint"),
    (". --json model/config.json", "--json must not overwrite an input"),
    ("model.safetensors.index.json --json model/model.safetensors.index.json", "must not overwrite an input"),
    ("model.safetensors.index.json --csv model/good.safetensors", "must not overwrite"),
    ("good.npz --json a --csv ./a", "--csv and --json must go to files of their own"),
    ("good.npz --json - --csv -", "--csv and --json must go to files of their own"),
    ("good.npz --json gone/a.json", "gone: No such file"),
    ("good.npz --json model", "model: Is a directory"),
    ("good.npz --json a.json --sort colour", "sort must be one of name"),
]


@pytest.mark.parametrize(("line", "reason"), REFUSED, ids=[line for line, _ in REFUSED])
def test_refused_before_any_work(
    line: str, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(scanning, "scan_checkpoint", lambda *_: pytest.fail("scanned"))
    before = contents(folder)
    path, *options = line.split()
    assert cli.main(["scan", f"model/{path}", *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert reason in err
    assert contents(folder) == before


def test_a_shard_without_a_telling_name_is_an_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index, shard = put(folder, "m.index.json", b'{"weight_map": {"0": "part"}}'), put(folder, "part", b"")
    assert cli.main(["scan", str(index), "--json", str(shard)]) == 2
    put(folder, "part", GOOD["good.safetensors"])
    put(folder, "m.index.json", b'{"weight_map": {"fc.bias": "part"}}')
    assert cli.main(["scan", str(index), "--json", str(shard)]) == 2
    assert "--json must not overwrite" in capsys.readouterr().err
    assert shard.read_bytes() == GOOD["good.safetensors"]


def test_reports_are_replaced_through_links_and_devices_are_written_to(folder: Path) -> None:
    put(folder, "old.json", b"old")
    (folder / "to-old.json").symlink_to("old.json")
    source = str(folder / "victim.pt")
    assert cli.main(["scan", source, "--json", str(folder / "to-old.json"), "--csv", "/dev/null"]) == 0
    assert json.loads((folder / "old.json").read_text())["errors"] == []
    assert (folder / "to-old.json").is_symlink()
    assert not Path("/dev/null").is_file()


def test_one_report_that_fails_stops_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Any, __: Any, file: Any) -> None:
        file.write("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pqi.checkpoint.report.write_json", fail)
    put(folder, "a.json", b"before")
    options = ["--json", str(folder / "a.json"), "--csv", str(folder / "a.csv")]
    assert cli.main(["scan", str(folder / "victim.pt"), *options]) == 2
    out, err = capsys.readouterr()
    assert f"--json: {folder / 'a.json'}: No space left on device" in err
    assert (folder / "a.json").read_bytes() == b"before"
    assert (folder / "a.csv").read_text().startswith("path,name")
    assert "victim.pt" in out.replace("\n", "")
    assert not list(folder.glob(".*partial"))


@pytest.mark.parametrize("options", [["--csv", "-"], []], ids=["csv", "table"])
def test_a_reader_that_goes_away_is_no_error(options: list[str], folder: Path) -> None:
    paths = [str(folder / "model" / "good.npz")] * (2000 if options else 300)
    command = [sys.executable, "-m", "pqi", "scan", *paths, *options, "--html", str(folder / "page.html")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == f"written: {folder / 'page.html'}\n".encode()
    process.stderr.close()
    assert process.wait() == 0


def test_a_page_in_the_scanned_folder_is_written_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, page = folder / "model", folder / "model" / "report.html"
    (model / "good.npz").unlink()
    for text in (None, "an earlier page"):
        if text is not None:
            page.write_text(text)
        assert cli.main(["scan", str(model), "--html", str(page)]) == 0
        assert "<html" in page.read_text()
    capsys.readouterr()
