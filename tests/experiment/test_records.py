"""Records survive JSON exactly, nan included, and damage is told from data."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from pqi.experiment import records
from pqi.prune import GroupReport, GroupStats, IndexAt, IndexGrid, IterationRecord, ModelResult, StepReport

STATS: dict[str, Any] = {
    "name": "fc.weight",
    "total": 10,
    "live": 7,
    "zeros": 7,
    "index": math.nan,
    "gini": math.nan,
    "bound": math.nan,
}
RESULT = ModelResult(
    metrics={"test": {"accuracy": 0.1 + 0.2, "loss": math.nan}},
    weights=GroupStats(**STATS),
    layers=(GroupStats(**{**STATS, "index": 0.1, "gini": 5e-324, "bound": 1 / 3}),),
    indices=(IndexAt(p=0.5, q=1.0, index=math.nan),),
)
STEP = StepReport(
    groups=(GroupReport(**STATS, ratio=math.nan, clamped=True, pruned=0),), pruned=0, remaining=7, total=10
)
GRIDDED = replace(RESULT, grid=IndexGrid(p=(0.5, 1.0), q=(1.0, 2.0), index=((0.1, 1 / 3), (math.nan, 0.2))))
FULL = IterationRecord(
    iteration=0, training={"loss": 2.5}, retrained=GRIDDED, step=STEP, pruned=RESULT, reference=RESULT
)
LAST = IterationRecord(iteration=1, training={}, retrained=RESULT, step=None, pruned=None, reference=None)


@pytest.mark.parametrize("record", [FULL, LAST])
def test_a_record_survives_its_line(record):
    line = records.to_line(record)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert repr(records.from_line(line)) == repr(record)
    assert records.to_line(records.from_line(line)) == line


def test_records_from_before_there_was_a_grid_are_read():
    values = json.loads(records.to_line(FULL))
    del values["retrained"]["grid"]
    assert records.from_line(json.dumps(values)).retrained.grid is None


def test_lines_are_strict_json():
    def refuse(constant):
        raise AssertionError(constant)

    assert json.loads(records.to_line(FULL), parse_constant=refuse)["retrained"]["weights"]["index"] is None


@pytest.mark.parametrize("line", ["", "{", "3", "[]", "{}", '{"iteration": 0}', records.to_line(FULL)[:-40]])
def test_damaged_lines_are_refused(line):
    with pytest.raises(ValueError, match="a record must be a line of JSON as written by a run"):
        records.from_line(line)
