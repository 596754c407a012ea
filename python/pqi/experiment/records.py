"""Iteration records as JSON lines, and back: JSON has no nan, so nan is written as null."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from pqi.prune import GroupReport, GroupStats, IndexAt, IndexGrid, IterationRecord, Metrics, ModelResult, StepReport


def to_line(record: IterationRecord) -> str:
    """Return `record` as one line of strict JSON, line break included."""
    return json.dumps(_without_nan(dataclasses.asdict(record)), allow_nan=False) + "\n"


def from_line(line: str) -> IterationRecord:
    """Return the record that `to_line` wrote.

    Raises
    ------
    ValueError
        If the line is not such a record.
    """
    try:
        return _record(json.loads(line))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"a record must be a line of JSON as written by a run, got {line[:40]!r}: {error}") from error


def _record(values: Mapping[str, Any]) -> IterationRecord:
    return IterationRecord(
        iteration=values["iteration"],
        training=_metrics(values["training"]),
        retrained=_result(values["retrained"]),
        step=None if values["step"] is None else _step(values["step"]),
        pruned=None if values["pruned"] is None else _result(values["pruned"]),
        reference=None if values["reference"] is None else _result(values["reference"]),
    )


def _result(values: Mapping[str, Any]) -> ModelResult:
    return ModelResult(
        metrics={split: _metrics(metrics) for split, metrics in values["metrics"].items()},
        weights=GroupStats(**_with_nan(values["weights"])),
        layers=tuple(GroupStats(**_with_nan(layer)) for layer in values["layers"]),
        indices=tuple(IndexAt(**_with_nan(index)) for index in values["indices"]),
        grid=None if values.get("grid") is None else _grid(values["grid"]),
    )


def _grid(values: Mapping[str, Any]) -> IndexGrid:
    rows = tuple(tuple(math.nan if value is None else value for value in row) for row in values["index"])
    return IndexGrid(p=tuple(values["p"]), q=tuple(values["q"]), index=rows)


def _step(values: Mapping[str, Any]) -> StepReport:
    groups = tuple(GroupReport(**_with_nan(group)) for group in values["groups"])
    return StepReport(**{**values, "groups": groups})


def _metrics(values: Mapping[str, Any]) -> Metrics:
    return _with_nan(values)


def _with_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in values.items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
