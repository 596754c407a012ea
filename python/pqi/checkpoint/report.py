"""The result of a scan: plain values that every form of output is made from."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pqi
from pqi.checkpoint.measure import Measures, Pair, PairResult, Spread
from pqi.checkpoint.stored import plural


@dataclass(frozen=True, slots=True)
class TensorReport:
    """One tensor."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    d: int
    nbytes: int
    prunable: bool
    """Taken for a weight matrix: two or more dimensions, a floating type or bytes, and not seen before."""
    measures: Measures | None
    """None for empty tensors and for types that have no measures."""
    spread: Spread | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Total:
    """All prunable tensors as one vector; beside floating ones, integer ones only if they were asked for."""

    tensors: int
    d: int
    nbytes: int
    measures: Measures | None
    """None where nothing is prunable."""
    left_out: int = 0
    """Prunable integer tensors that are not a part."""
    note: str = ""
    """Which tensors keep the vector from having an index."""


@dataclass(frozen=True, slots=True)
class Report:
    """What `pqi.scan` found."""

    path: Path
    format: str
    pairs: tuple[Pair, ...]
    tensors: tuple[TensorReport, ...]
    """Every tensor, in the order of the file."""
    total: Total
    files: tuple[Path, ...]
    metadata: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is undefined is None."""
        return {
            "path": str(self.path),
            "format": self.format,
            "files": [str(file) for file in self.files],
            "metadata": dict(self.metadata),
            "total": {
                "tensors": self.total.tensors,
                "d": self.total.d,
                "bytes": self.total.nbytes,
                "left_out": self.total.left_out,
                **_measures(self.total.measures, self.pairs),
                "note": self.total.note,
            },
            "tensors": [_tensor(tensor, self.pairs) for tensor in self.tensors],
        }


def write_json(reports: Sequence[Report], errors: Sequence[str], file: TextIO) -> None:
    """Write everything that was found, and what could not be read."""
    content = {"pqindex": pqi.__version__, "reports": [report.to_dict() for report in reports], "errors": list(errors)}
    json.dump(content, file, indent=1, allow_nan=False)
    file.write("\n")


def write_csv(reports: Sequence[Report], file: TextIO) -> None:
    """Write one row for each tensor, and one named ``*`` for all prunable ones of a path."""
    rows = [row for report in reports for row in _rows(report)]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(file, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)


def _rows(report: Report) -> Iterator[dict[str, Any]]:
    plain = report.to_dict()
    total = {"name": "*", "dtype": "", "shape": None, "prunable": True, **plain["total"], "spread": None}
    notes = (f"{plural(total.pop('tensors'), 'tensor')} as one vector", total["note"])
    total["note"] = "; ".join(filter(None, notes))
    del total["left_out"]
    for values in (*plain["tensors"], total):
        pairs, units = values.pop("pairs"), values.pop("spread") or {}
        row = {"path": plain["path"], **values}
        row["shape"] = "" if row["shape"] is None else "x".join(map(str, row["shape"]))
        for pair in pairs:
            at = f"({pair['p']:g},{pair['q']:g})"
            row |= {f"{key}{at}": pair[key] for key in ("index", "bound", "keep")}
        row |= {f"units_{key}": units.get(key) for key in ("min", "median", "max")}
        yield row


def _tensor(tensor: TensorReport, pairs: Sequence[Pair]) -> dict[str, Any]:
    units = tensor.spread
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "d": tensor.d,
        "bytes": tensor.nbytes,
        "prunable": tensor.prunable,
        **_measures(tensor.measures, pairs),
        "spread": units and {"units": units.units, "min": units.min, "median": units.median, "max": units.max},
        "note": tensor.note,
    }


def _measures(found: Measures | None, pairs: Sequence[Pair]) -> dict[str, Any]:
    if found is None:
        empty = [{"p": p, "q": q, "index": None, "bound": None, "keep": None} for p, q in pairs]
        return {**dict.fromkeys(("values", "zeros", "max", "mean", "gini", "gini_low", "gini_high")), "pairs": empty}
    return {
        "values": found.unusual or "finite",
        "zeros": found.zeros,
        "max": _finite(found.max),
        "mean": _finite(found.mean),
        "gini": _finite(found.gini),
        "gini_low": _finite(found.gini_low),
        "gini_high": _finite(found.gini_high),
        "pairs": [_pair(pair) for pair in found.pairs],
    }


def _pair(pair: PairResult) -> dict[str, Any]:
    numbers = {"index": pair.index, "bound": pair.bound, "keep": pair.keep}
    return {"p": pair.p, "q": pair.q, **{name: _finite(value) for name, value in numbers.items()}}


def _finite(value: float) -> float | None:
    """JSON has no NaN and no infinity: both are null, and `values` tells which it was."""
    return value if math.isfinite(value) else None
