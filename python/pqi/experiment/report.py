"""The report of a directory of runs: figures as PNG files, and one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from rich import box
from rich.console import Console
from rich.table import Table as TerminalTable

from pqi.experiment import tables
from pqi.experiment.figures import Drawing
from pqi.experiment.runs import find_runs, write_atomically
from pqi.experiment.sections import Section, sections
from pqi.experiment.series import Result, Series, Study, studies
from pqi.experiment.summary import TARGET, TOLERANCE
from pqi.experiment.theme import DARK, LIGHT

Keep = Callable[[Section, Drawing, bytes], None]


@dataclass(frozen=True)
class Report:
    """What was written, and what it shows."""

    page: Path
    figures: tuple[Path, ...]
    sections: tuple[Section, ...]


def write_report(root: Path, *, running_mean: bool = False) -> Report:
    """Read the runs in `root` and write ``report.html`` and ``figures/`` there.

    Parameters
    ----------
    root : pathlib.Path
    running_mean : bool
        Whether to add the accuracies' running means over iterations, which is what the published code plotted.

    Raises
    ------
    FileNotFoundError
        If there is no run.
    ValueError
        If a run's files are damaged, or no run has finished an iteration.
    """
    found = read_studies(root)
    shown = sections(found, running_mean=running_mean)
    folder = root / "figures"
    folder.mkdir(exist_ok=True)
    pictures: list[Path] = []

    def keep(section: Section, drawn: Drawing, picture: bytes) -> None:
        pictures.append(folder / f"{section.name}-{drawn.name}.png")
        write_atomically(pictures[-1], picture)

    page = root / "report.html"
    write_atomically(page, render(shown, keep).encode())
    return Report(page, tuple(pictures), tuple(shown))


def read_studies(root: Path) -> list[Study]:
    """Return the studies in a directory of runs; raises as `write_report`."""
    found = studies([Result.read(run) for run in find_runs(root)])
    if not found:
        raise ValueError(f"runs in {root} must have finished an iteration, got none that has")
    return found


def render(shown: Sequence[Section], keep: Keep | None = None) -> str:
    """Return the HTML page with these sections; `keep` is given each figure as a PNG file."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pqi.experiment", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html").render(sections=[_section(section, keep) for section in shown])


def print_tables(shown: Sequence[Section], console: Console) -> None:
    """Print one table of milestones per comparison of methods."""
    for section in shown:
        if section.compared is None:
            continue
        table = tables.brief(section.compared)
        printed = TerminalTable(box=box.SIMPLE_HEAD, title=section.title, pad_edge=False)
        printed.title_style, printed.title_justify = "bold", "left"
        for number, heading in enumerate(table.headings):
            repeated = number > 0 and table.headings[number - 1].group == heading.group
            group = "" if repeated else heading.group
            printed.add_column(f"{group}\n{heading.name}", justify="right" if number else "left", no_wrap=True)
        for row in table.rows:
            printed.add_row(*map(str, row))
        console.print(printed)
    note = (
        "accuracy: on the test split, %; left: weights remaining, %; "
        f"< {TARGET:g} %: first iteration t with so few left, within {TOLERANCE:g} points of the dense network"
    )
    console.print(note, style="dim")


def _section(section: Section, keep: Keep | None) -> dict[str, Any]:
    return {
        "title": section.title,
        "name": section.name,
        "lead": section.lead,
        "tables": section.tables,
        "figures": [_figure(section, drawn, keep) for drawn in section.drawings],
        "series": [_details(series) for series in section.series],
        "seeds": sorted({seed for series in section.series for seed in series.seeds}),
    }


def _figure(section: Section, drawn: Drawing, keep: Keep | None) -> dict[str, Any]:
    light, dark = drawn.render(LIGHT, "svg", "png") if keep else drawn.render(LIGHT, "svg"), drawn.render(DARK, "svg")
    if keep:
        keep(section, drawn, light.files["png"])
    return {
        "title": drawn.title,
        "caption": drawn.caption,
        "light": base64.b64encode(light.files["svg"]).decode(),
        "dark": base64.b64encode(dark.files["svg"]).decode(),
        "points": light.points,
    }


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
