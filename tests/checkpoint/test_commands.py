"""``pqindex scan`` and ``pqindex mask``: exit statuses and outputs, whatever the files hold."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

import pqi
from checkpoint.conftest import Run
from checkpoint.files import GOOD, WEIGHTS, entry, put, safetensors
from checkpoint.test_scanning import weights
from pqi import cli
from pqi.checkpoint import commands
from pqi.checkpoint.page import render
from pqi.checkpoint.table import print_report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in GOOD.items():
        put(tmp_path, name, content)
    put(tmp_path, "bad.safetensors", GOOD["good.safetensors"][:-1])
    return tmp_path


def model(folder: Path) -> Path:
    """Write a model whose names would be markup, and HTML, if they could."""
    header, data = {}, b""
    for i, name in enumerate(["layers.0.[red]weight", "layers.1.<b>weight</b>", "layers.10.weight", "layers.2.bias"]):
        values = np.random.default_rng(i).normal(size=(4, 6) if "weight" in name else 3).astype(np.float32) ** (i + 1)
        header[name] = entry("F32", list(values.shape), len(data), len(data) + values.nbytes)
        data += values.tobytes()
    return put(folder, "model.safetensors", safetensors({**header, "__metadata__": {"</script>": "<i>"}}, data))


def test_a_bad_file_does_not_keep_the_others_from_being_scanned(run: Run, folder: Path) -> None:
    status, out, err = run("scan", folder / "bad.safetensors", folder / "good.pt", folder / "gone", "--json", "-")
    found = json.loads(out)
    assert status == 2
    assert [report["path"] for report in found["reports"]] == [str(folder / "good.pt")]
    assert [line.partition(": error: ")[0] for line in err.splitlines()] == ["pqindex scan"] * 2
    assert len(found["errors"]) == 2
    assert "1 byte fewer" in found["errors"][0]
    assert "No such file" in found["errors"][1]


@pytest.mark.parametrize("name", GOOD)
def test_every_format_ends_well(name: str, run: Run, folder: Path) -> None:
    status, out, err = run("scan", folder / name)
    assert (status, err) == (0, "")
    assert name in out.replace("\n", "")


def test_json_and_csv_say_the_same(run: Run, folder: Path) -> None:
    run("scan", folder / "good.safetensors", "--pq", "0.5,1", "--pq", "1,3", "--json", folder / "a.json")
    _, out, _ = run("scan", folder / "good.safetensors", "--pq", "0.5,1", "--pq", "1,3", "--csv", "-")
    (report,) = json.loads((folder / "a.json").read_text())["reports"]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["name"] for row in rows] == ["fc.bias", "fc.weight", "*"]
    assert float(rows[1]["index(1,3)"]) == report["tensors"][1]["pairs"][1]["index"] == pqi.index(WEIGHTS, 1, 3)
    assert float(rows[2]["gini"]) == report["total"]["gini"] == pqi.gini(WEIGHTS)
    assert rows[1]["shape"] == "2x3"
    assert report["metadata"] == {"made": "by hand"}


def test_wide_types_are_certified_unless_exact_values_are_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = np.random.default_rng(0).normal(size=(600, 500)).astype(np.float32)
    path = put(tmp_path, "w.safetensors", safetensors({"w": entry("F32", [600, 500], 0, w.nbytes)}, w.tobytes()))
    widths = []
    for options in (["--tol", "1e-5"], ["--tol", "1e-8"], ["--exact"], ["--exact", "--workspace", "1K"]):
        _, out, _ = run("scan", path, *options, "--json", "-")
        found = json.loads(out)["reports"][0]["total"]
        assert found["gini_low"] <= pqi.gini(w) <= found["gini_high"]
        widths.append(found["gini_high"] - found["gini_low"])
    assert 1e-5 > widths[0] == widths[3] > 1e-8 > widths[1] > widths[2] == 0
    monkeypatch.setenv("COLUMNS", "200")
    assert "±" in run("scan", path)[1]
    assert "±" not in run("scan", path, "--exact")[1]


def test_patterns_and_threads(run: Run, folder: Path) -> None:
    _, out, _ = run("scan", folder / "good.safetensors", "--exclude", "*bias", "--threads", 2, "--json", "-")
    assert [tensor["name"] for tensor in json.loads(out)["reports"][0]["tensors"]] == ["fc.weight"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--pq", "1,0.5"],
        ["--pq", "half,1"],
        ["--pq", "1"],
        ["--top", "0"],
        ["--workspace", "much"],
        ["--tol", "-1"],
        ["--tol", "tight"],
        ["--sort", "colour"],
        ["--html", "/no/such/folder/page.html"],
        [],
    ],
)
def test_wrong_commands_end_with_a_line_and_status_2(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(folder / "good.npy")] if arguments else []
    try:
        status = cli.main(["scan", *paths, *arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    error = capsys.readouterr().err
    assert (status, error.count("\n")) == (2, 1), error


def test_sizes_are_read_with_their_letter() -> None:
    assert [commands._bytes(text) for text in ("7", "2K", "3m", "2G")] == [7, 2048, 3 << 20, 2 << 30]


def shown(folder: Path, width: int, **options: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    print_report(pqi.scan(model(folder)), console, **options)
    file: Any = console.file
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_the_table_fits_the_terminal(width: int, tmp_path: Path) -> None:
    lines = shown(tmp_path, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text
    assert "layers.0.[red]weight" in text
    assert "all 3 prunable tensors" in text
    assert ("mean" in text) == (width > 160)


@pytest.mark.parametrize("name", ["层权重" * 13, "é" * 60, "e\u0301" * 30 + "层" * 20])
def test_wide_characters_are_cut_by_the_columns_they_take(name: str, tmp_path: Path) -> None:
    values = np.ones((2, 3), np.float32)
    path = put(tmp_path, "m.safetensors", weights(**{f"{name}end": values, "short": values, "层": values}))
    console = Console(file=io.StringIO(), width=80)
    print_report(pqi.scan(path), console)
    file: Any = console.file
    rows = [line for line in file.getvalue().splitlines() if "0.0 %" in line]
    assert len(rows) == 4
    assert len({cell_len(row.rstrip()) for row in rows}) == 1
    assert cell_len(rows[0].rstrip()) <= 80
    cut = next(row for row in rows if "end" in row)
    assert cut.lstrip().startswith(name[:8])
    assert "…" in cut


def test_one_tensor_is_one_tensor(run: Run, folder: Path) -> None:
    _, text, _ = run("scan", folder / "good.npy", "--html", folder / "page.html")
    assert "(npy, 1 tensor)" in " ".join(text.split())
    assert "npy, 1 file, 1 tensor<" in (folder / "page.html").read_text()
    assert "1 tensor as one vector" in run("scan", folder / "good.npy", "--csv", "-")[1]
    assert "1 more tensor not shown" in run("scan", folder / "good.safetensors", "--top", 1)[1]


def test_the_table_is_sorted_and_cut(tmp_path: Path) -> None:
    rows = [line for line in shown(tmp_path, 120, sort="index", top=2) if "layers" in line]
    assert [row.split()[0] for row in rows] == ["layers.10.weight", "layers.2.bias"]
    rows = [line for line in shown(tmp_path, 120, sort="name") if "layers" in line]
    assert [row.split()[0].split(".")[1] for row in rows] == ["0", "1", "2", "10"]
    assert "2 more tensors not shown" in shown(tmp_path, 120, top=2)


def test_the_most_compressible_weights_come_first(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = {f"w{i}": (generator.normal(size=(4, 40)) ** (2 * i + 1)).astype(np.float32) for i in range(3)}
    path = put(
        tmp_path, "m.safetensors", weights(bias=np.eye(40, dtype=np.float32)[0], empty=arrays["w0"][:0], **arrays)
    )

    def order(**options: Any) -> str:
        console = Console(file=io.StringIO(), width=120)
        print_report(pqi.scan(path), console, **options)
        file: Any = console.file
        lines = [line.split() for line in file.getvalue().splitlines()]
        return " ".join(line[0] for line in lines if line and line[0] in {*arrays, "bias", "empty"})

    assert order(sort="keep") == "w2 w1 w0 bias empty"
    assert order(sort="keep", reverse=True) == "w0 w1 w2 bias empty"
    assert order(sort="max", reverse=True).split()[-1] == "empty"
    assert order(sort="name", reverse=True) == "w2 w1 w0 empty bias"
    assert order(reverse=True).split() == order().split()[::-1]


def test_the_options_reach_the_table_and_a_selection_of_nothing_is_an_error(run: Run, folder: Path) -> None:
    path = folder / "good.safetensors"
    names = [line.split()[0] for line in run("scan", path, "--reverse")[1].splitlines() if "fc." in line]
    assert names == ["fc.weight", "fc.bias"]
    for options in (["--include", "gone*"], ["--exclude", "*"]):
        status, _, err = run("scan", path, *options)
        assert (status, err.count("\n")) == (2, 1)
        assert f"got none by {options[0][2:]} {options[1]}" in err
        assert run("mask", path, "-o", folder / "out", *options)[0] == 2


def test_help_says_what_is_prunable(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("scan", "mask"):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert "two or more dimensions whose type is floating or an integer of one byte" in text
        assert "--include" in text


class Page(HTMLParser):
    """Collects what a page would fetch, and the cells of its table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href") and value != "data:,"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_needs_nothing_but_itself_and_escapes_names(tmp_path: Path) -> None:
    text = render([pqi.scan(model(tmp_path))], ["x.pt: <damaged>"])
    page = Page(text)
    assert page.fetched == []
    assert {"b", "i"}.isdisjoint(page.tags)
    assert page.tags.count("script") == 1
    assert "layers.1.<b>weight</b>" in page.texts
    assert "Not scanned: x.pt: <damaged>" in page.texts
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

PROBE = """
<script>
const shown = () => [...document.querySelectorAll("tbody tr")].filter(row => !row.hidden);
const rows = () => shown().map(row => row.cells[0].textContent);
const answer = {bars: document.querySelectorAll("svg rect").length, start: rows()};
document.querySelectorAll("thead button")[5].click(); answer.sorted = rows();
const filter = document.querySelector("input[type=search]");
filter.value = "LAYERS.1"; filter.dispatchEvent(new Event("input")); answer.filtered = rows();
answer.left = document.querySelectorAll("svg rect").length;
document.title = JSON.stringify(answer);
</script></body>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
def test_sorting_filtering_and_the_chart_in_a_browser(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(render([pqi.scan(model(tmp_path))]).replace("</body>", PROBE))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    shot = tmp_path / "shot.png"
    command = [str(CHROMIUM), *options, profile, f"--screenshot={shot}", "--dump-dom", page.as_uri()]
    without = {
        name: value for name, value in os.environ.items() if name != "LD_PRELOAD"
    }  # a sanitizer's, of this Python
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=without)
    titles = [line for line in found.stdout.splitlines() if "<title>" in line]
    answer = json.loads(
        titles[0].partition("<title>")[2].partition("</title>")[0].replace("&lt;", "<").replace("&gt;", ">")
    )
    assert answer["bars"] == 6
    assert answer["start"] == ["layers.0.[red]weight", "layers.1.<b>weight</b>", "layers.2.bias", "layers.10.weight"]
    assert answer["sorted"][0] == "layers.10.weight"
    assert set(answer["filtered"]) == {"layers.1.<b>weight</b>", "layers.10.weight"}
    assert answer["left"] == 4
    assert shot.stat().st_size > 10_000
