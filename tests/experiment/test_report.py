"""The report: one page that refers to nothing outside, whose tables hold the numbers, and figures as files."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from experiment import made
from experiment.tiny import configuration
from pqi.experiment import tables
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.report import print_tables, render, write_report
from pqi.experiment.runs import RunDirectory
from pqi.experiment.sections import sections
from pqi.experiment.series import studies
from pqi.experiment.study import execute


class Page(HTMLParser):
    """References, text and balance of a page."""

    def __init__(self, page):
        super().__init__()
        self.references: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.references += [
            value or "" for name, value in attributes if name in ("src", "href", "srcset", "action", "data")
        ]
        if tag not in ("meta", "link", "img", "source", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def report(tiny_report):
    return tiny_report


@pytest.fixture(scope="module")
def page(report):
    return report.page.read_text(encoding="utf-8")


def test_the_page_is_self_contained(page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.references
    assert all(reference.startswith(("data:", "#")) for reference in parsed.references)
    assert "http" not in page
    assert "@import" not in page
    assert not re.search(r"url\(", page)
    scripts = re.findall(r"<script([^>]*)>", page)
    assert set(scripts[:-1]) == {' type="application/json"'}
    assert scripts[-1] == "", "the one that shows values"
    assert not re.search(r"fetch|XMLHttp|import\(", page)


def test_embedded_figures_are_pictures_for_light_and_dark_pages(page, report):
    pictures = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) == 2 * len(report.figures)
    assert len(set(pictures)) == len(pictures)
    for picture in pictures:
        svg = base64.b64decode(picture)
        assert svg.endswith(b"</svg>\n")
        assert not re.search(rb'(href|src)="(?!#|data:)', svg)


def test_every_value_of_every_table_is_on_the_page(page, report):
    text = Page(page).text
    for series in report.sections[0].series:
        for table in (tables.iterations(series), tables.layers(series)):
            assert {cell.value for row in table.rows for cell in row} <= set(text)


def test_settings_seeds_and_versions_are_on_the_page(page):
    text = "".join(Page(page).text)
    assert "Seeds 0, 1: mean ± one sample standard deviation" in text
    assert configuration().name in text
    assert "weight decay" in text
    assert "torch 2" in text


def test_the_clamp_shows(report):
    clamped = next(series for series in report.sections[0].series if "γ=9" in series.label)
    names = [heading.name for heading in tables.iterations(clamped).headings]
    first = tables.iterations(clamped).rows[0]
    assert first[names.index("groups cut at β (%)")].value == "100"
    assert float(first[names.index("suggested (%)")].value) > 90
    assert first[names.index("pruned (%)")].value == "90.00"


def test_figures_are_written_beside_the_page(report):
    names = {path.name for path in report.figures}
    shown = ("tradeoff", "accuracy", "remaining", "pqi", "gini", "layers", "heatmap")
    assert names == {f"digits-linear-global-{name}.png" for name in shown}
    assert all(path.parent == report.page.parent / "figures" for path in report.figures)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in report.figures)


def test_the_same_runs_make_the_same_page(report, page):
    assert render(report.sections) == page


def brief(found):
    """Return the sections with one figure each."""
    return [replace(section, drawings=section.drawings[:1]) for section in sections(found)]


def test_labels_are_escaped():
    (study,) = studies([made.run()])
    page = render(brief([study]))
    name = "<script>alert(1)</script>"
    hostile = replace(study, dataset=name, model="a&b", series=(replace(study.series[0], label=name),))
    assert render(brief([hostile])).count("<script") == page.count("<script")


def test_a_study_of_one_seed_has_no_spread():
    text = "".join(Page(render(brief(studies([made.run()])))).text)
    assert "Seed 0." in " ".join(text.split())
    assert "±" not in text


def test_terminal_tables_fit_eighty_columns_uncut():
    labels = ("sap:1,2", "sap:0.5,1", "lottery", "one-shot")
    runs = [made.run(method=MethodSpec.parse(text), seed=seed) for text in labels for seed in (0, 1)]
    output = io.StringIO()
    print_tables(sections(studies(runs)), Console(file=output, width=80))
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in output.getvalue()
    assert any(
        line.split()
        == ["Lottery", "Ticket", "98.0", "±", "0.0", "2", "8.0", "97.0", "±", "0.0", "8.0", "97.0", "±", "0.0"]
        for line in lines
    )


def test_ablations_scopes_and_findings_are_sections_of_their_own():
    gammas = [made.run(method=MethodSpec.parse(f"sap:0.5,1,gamma={n}")) for n in (1, 3, 5)]
    found = sections(studies([*gammas, made.run(scope="layer")]))
    assert [section.name for section in found] == [
        "digits-linear-global",
        "digits-linear-layer",
        "digits-linear-scopes",
        "digits-linear-global-gamma-at-p0.5-q1",
        "digits-linear-retrainings",
        "digits-linear-turning-points",
        "digits-linear-lowered",
    ]
    methods, _, _, varied, *_ = found
    assert [series.label for series in methods.series] == ["SAP(½, 1)"]
    assert [series.label for series in varied.series] == ["SAP(½, 1), γ=3", "SAP(½, 1), γ=5"]
    assert len(varied.tables[0].rows) == 3


def test_the_running_mean_is_drawn_when_asked_for():
    asked, other = (sections(studies([made.run()]), running_mean=running_mean)[0] for running_mean in (True, False))
    assert [one.title for one in asked.drawings[len(other.drawings) :]] == ["Accuracy, running mean as published"]


def test_a_run_that_has_only_trained_the_dense_network_is_reported(tmp_path):
    run = RunDirectory.create(tmp_path, configuration(iterations=0))
    execute(run.config(), tmp_path, lambda advance: None)
    assert write_report(tmp_path).page.exists()


def test_nothing_to_report_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run in"):
        write_report(tmp_path)
    RunDirectory.create(tmp_path, configuration())
    with pytest.raises(ValueError, match="must have finished an iteration"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()
