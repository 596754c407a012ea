"""The README's section on the study: written from runs, with pictures that exist."""

import re
from pathlib import Path

import pytest

from experiment import made
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.series import studies
from study_section import BEGIN, END, section, with_section

ROOT = Path(__file__).parents[2]
METHODS = ("sap:0.5,1", "sap:1,2", "lottery", "one-shot")
LIVES = {"sap:1,2": (1000, 150, 80, 8), "lottery": (1000, 500, 250, 80)}
OTHER = (1000, 900, 800, 700)


def runs():
    for scope in ("global", "layer"):
        for method in METHODS:
            spec = MethodSpec.parse(method)
            for seed in (0, 1):
                yield made.run(LIVES.get(method, OTHER), (0.98,) * 4, method=spec, scope=scope, seed=seed)
    for gamma in (3, 5):
        spec = MethodSpec.parse(f"sap:0.5,1,gamma={gamma}")
        for seed in (0, 1):
            indices = (0.2, 0.1, 0.3, 0.1)
            yield made.run(OTHER, (0.98, 0.9, 0.5, 0.1), method=spec, seed=seed, indices=indices, clamped=gamma == 5)


@pytest.fixture(scope="module")
def written():
    return section(studies(runs()))


def test_the_answers_are_computed_from_the_runs(written):
    text = " ".join(written.split())
    assert "20 runs of 3 prunings" in text
    assert "2 seeds of each configuration" in text
    assert "Global scope: SAP(1, 2) 1.0 / 2.0 / 3.0 / 3.0 / 3.0, Lottery Ticket 3.0 / 3.0 / – / – / –" in text
    assert "SAP needs fewer at 20 and 10 and 5 and 2 and 1 %." in text
    assert "SAP(½, 1) still has 70 % (global), 70 % (layer)" in text
    assert "Of all 20 runs, ablations included, 4 lose 10 points of accuracy" in text
    assert "falls and rises again in 4, and falls a second time in 4. Among the other 16 it rises again in 0." in text
    assert "`--stop-at underfit` ends 4, at 50.0 % accuracy, `--stop-at collapse` ends 4, at 10.0 % accuracy" in text
    assert "of the 16 others `--stop-at underfit` ends 0." in text
    assert "| SAP(1, 2), global | 1.0 | 2.0 | 3.0 | 3.0 | 3.0 | 0.80 % | 0.80 % at 98.0 ± 0.0 % |" in written
    assert "| SAP(½, 1), γ = 5 | – | 100.00 % | 70 % at 10.0 ± 0.0 % | 6 |" in written
    assert "The largest share β decides the very first step at γ = 5 (6 steps)" in text


def test_prose_is_wrapped_and_tables_are_not(written):
    assert all(len(line) <= 120 for line in written.splitlines() if not line.startswith(("|", "!")))
    assert len([line for line in written.splitlines() if line.startswith("| SAP(½, 1), global |")]) == 2


def test_only_what_is_between_the_markers_is_replaced():
    assert with_section(f"a{BEGIN}old{END}b", "new\n") == f"a{BEGIN}\nnew\n{END}b"
    with pytest.raises(SystemExit, match="must have the lines"):
        with_section("no markers", "new")


def test_the_readme_has_the_section_and_its_pictures():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    inside = readme.partition(BEGIN)[2].partition(END)[0]
    pictures = re.findall(r"\]\((docs/study-[\w-]+\.png)\)", inside)
    assert len(pictures) == 8
    assert all((ROOT / picture).stat().st_size > 10_000 for picture in pictures)
