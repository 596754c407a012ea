"""The report of a directory of runs: figures as PNG files, and one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from rich import box
from rich.console import Console
from rich.table import Table as TerminalTable

from pqi.experiment import figures, tables
from pqi.experiment.runs import find_runs, write_atomically
from pqi.experiment.series import Result, Series, Study, studies
from pqi.experiment.summary import TARGET, TOLERANCE
from pqi.experiment.theme import DARK, LIGHT


@dataclass(frozen=True)
class Report:
    """What was written, and the studies that it shows."""

    page: Path
    figures: tuple[Path, ...]
    studies: tuple[Study, ...]


def write_report(root: Path) -> Report:
    """Read the runs in `root` and write ``report.html`` and ``figures/`` there.

    Raises
    ------
    FileNotFoundError
        If there is no run.
    ValueError
        If a run's files are damaged, or no run has finished an iteration.
    """
    found = studies([Result.read(run) for run in find_runs(root)])
    if not found:
        raise ValueError(f"runs in {root} must have finished an iteration, got none that has")
    folder = root / "figures"
    folder.mkdir(exist_ok=True)
    pictures = []
    for study in found:
        for drawing in figures.DRAWINGS:
            path = folder / f"{study.name}-{drawing.name}.png"
            figures.save_png(drawing, study, path)
            pictures.append(path)
    page = root / "report.html"
    write_atomically(page, render(found).encode())
    return Report(page, tuple(pictures), tuple(found))


def render(found: Sequence[Study]) -> str:
    """Return the HTML page about these studies."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pqi.experiment", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html").render(studies=[_study(study) for study in found])


def print_tables(found: Sequence[Study], console: Console) -> None:
    """Print one table of milestones per study."""
    for study in found:
        table = tables.brief(study)
        shown = TerminalTable(box=box.SIMPLE_HEAD, title=_title(study), pad_edge=False)
        shown.title, shown.title_style, shown.title_justify = _title(study), "bold", "left"
        for number, heading in enumerate(table.headings):
            repeated = number > 0 and table.headings[number - 1].group == heading.group
            group = "" if repeated else heading.group
            shown.add_column(f"{group}\n{heading.name}", justify="right" if number else "left", no_wrap=True)
        for row in table.rows:
            shown.add_row(*map(str, row))
        console.print(shown)
    note = (
        "accuracy: on the test split, %; left: weights remaining, %; "
        f"< {TARGET:g} %: first iteration t with so few left, within {TOLERANCE:g} points of the dense network"
    )
    console.print(note, style="dim")


def _study(study: Study) -> dict[str, Any]:
    return {
        "title": _title(study),
        "name": study.name,
        "milestones": tables.milestones(study),
        "figures": [_figure(drawing, study) for drawing in figures.DRAWINGS],
        "series": [_details(series) for series in study.series],
        "seeds": sorted({seed for series in study.series for seed in series.seeds}),
    }


def _figure(drawing: figures.Drawing, study: Study) -> dict[str, str]:
    light, dark = (base64.b64encode(figures.to_svg(drawing, study, theme)).decode() for theme in (LIGHT, DARK))
    return {"title": drawing.title, "caption": drawing.caption, "light": light, "dark": dark}


def _details(series: Series) -> dict[str, Any]:
    return {
        "label": series.label,
        "iterations": tables.iterations(series),
        "layers": tables.layers(series),
        "settings": _settings(series),
        "environment": sorted({result.environment for result in series.results}),
        "runs": [result.config.name for result in series.results],
    }


def _settings(series: Series) -> list[tuple[str, str]]:
    plain = series.config.to_dict()
    method, training = plain.pop("method"), plain.pop("training")
    plain["seed"] = ", ".join(map(str, series.seeds))
    return [(name.replace("_", " "), str(value)) for name, value in {**plain, **method, **training}.items()]


def _title(study: Study) -> str:
    return f"{study.model} on {study.dataset}, {study.scope} scope"
