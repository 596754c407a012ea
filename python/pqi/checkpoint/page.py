"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2

from pqi.checkpoint.columns import Column, columns, is_absent, label, total_name
from pqi.checkpoint.report import Report, TensorReport, Total
from pqi.checkpoint.stored import plural


def render(reports: Sequence[Report], errors: Sequence[str] = ()) -> str:
    """Return the page about these reports, and about the files that could not be read."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pqi.checkpoint", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    template = environment.get_template("scan.html")
    return template.render(reports=[_report(report) for report in reports], errors=list(errors))


def _report(report: Report) -> dict[str, Any]:
    every = columns(report.pairs)
    total = report.total
    return {
        "path": str(report.path),
        "format": report.format,
        "files": len(report.files),
        "metadata": sorted(report.metadata.items()),
        "columns": every,
        "pairs": [label(pair) for pair in report.pairs],
        "rows": [_row(tensor, every) for tensor in report.tensors],
        "total": [total_name(report), *(column.cell(total) for column in every[1:])],
        "facts": _facts(report, every),
        "notes": _notes(total),
        "tensors": plural(len(report.tensors), "tensor"),
    }


def _facts(report: Report, every: Sequence[Column]) -> list[tuple[str, str]]:
    """Return the figures at the head of a report."""
    total = report.total
    wanted = ("zeros", "index", "keep", "gini")
    measures = [(column.heading, column.cell(total)) for column in every if column.key.partition("(")[0] in wanted]
    return [("prunable entries", f"{total.d:,}"), ("bytes", f"{sum(t.nbytes for t in report.tensors):,}"), *measures]


def _notes(total: Total) -> list[str]:
    left = f"{plural(total.left_out, 'integer tensor')} beside floats: not in the total; --include counts them in"
    return [note for note in (total.note, left if total.left_out else "") if note]


def _row(tensor: TensorReport, every: Sequence[Column]) -> dict[str, Any]:
    pairs = tensor.measures.pairs if tensor.measures is not None else ()
    return {
        "cells": [(column.cell(tensor), _key(column.value(tensor)), column.numeric) for column in every],
        "prunable": tensor.prunable,
        "note": tensor.note,
        "chart": [[_finite(pair.index), _finite(pair.keep)] for pair in pairs] if tensor.prunable else [],
    }


def _key(value: Any) -> Any:
    """Return what a cell is sorted by in the browser; empty where there is nothing."""
    if isinstance(value, tuple):
        return value[0] if value else ""
    return "" if is_absent(value) else value


def _finite(value: float) -> float | None:
    return None if is_absent(value) else value
