"""`pqi.scan`: totals, selections, and what it costs."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from rich.console import Console

import pqi
from checkpoint.files import GOOD, put, safetensors
from pqi.checkpoint.columns import total_name
from pqi.checkpoint.page import render
from pqi.checkpoint.report import write_csv
from pqi.checkpoint.table import print_report

RNG = np.random.default_rng(0)
PAIRS = [(0.5, 1.0), (1.0, 2.0), (0.3, 1.5)]


def weights(**arrays: Any) -> bytes:
    """Return a safetensors file of arrays; bfloat16 if they are."""
    names = {
        "int8": "I8",
        "uint8": "U8",
        "float32": "F32",
        "bfloat16": "BF16",
        "float64": "F64",
        "int64": "I64",
        "bool": "BOOL",
    }
    header, data = {}, b""
    for name, values in arrays.items():
        begin, data = len(data), data + values.tobytes()
        header[name] = {
            "dtype": names[values.dtype.name],
            "shape": list(values.shape),
            "data_offsets": [begin, len(data)],
        }
    return safetensors(header, data)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_the_total_is_the_vector_of_all_prunable_tensors(dtype: Any, tmp_path: Path) -> None:
    a, b = (RNG.normal(size=shape).astype(dtype) for shape in ((1100, 1000), (30, 4, 3)))
    b[0] = 0
    path = put(tmp_path, "m.safetensors", weights(a=a, b=b, bias=np.ones(9, np.float32)))
    report = pqi.scan(path, pairs=PAIRS, exact=True)
    whole, total = pqi.pooled([a, b]), report.total.measures
    assert total is not None
    assert (report.total.tensors, report.total.d) == (2, a.size + b.size)
    assert total.gini == pqi.gini(whole)
    assert (total.zeros, total.max) == (12, float(pqi.summary(whole).max))
    assert total.exact
    assert total.mean == pqi.power_means(whole, [1])[0]
    for pair in total.pairs:
        assert pair.index == pqi.index(whole, pair.p, pair.q)
        assert pair.bound == pqi.retained_bound(whole, pair.p, pair.q)
        assert pair.keep == pair.bound / report.total.d


def test_what_is_prunable(tmp_path: Path) -> None:
    content = weights(
        w=np.ones((2, 3), np.float32),
        bias=np.ones(3, np.float32),
        positions=np.ones((1, 5), np.int64),
        mask=np.ones((2, 2), np.bool_),
        empty=np.ones((0, 3), np.float32),
        **{"optimizer.w": np.ones((2, 3), np.float32)},
    )
    report = pqi.scan(put(tmp_path, "m.safetensors", content))
    assert [tensor.name for tensor in report.tensors if tensor.prunable] == ["w"]
    assert len(report.tensors) == 6


def test_integers_beside_floats_are_counted_if_they_are_asked_for(tmp_path: Path) -> None:
    w, small = RNG.normal(size=(20, 30)).astype(np.float32), RNG.normal(size=(3, 5)).astype(ml_dtypes.bfloat16)
    quantised = RNG.integers(-128, 128, (40, 50), np.int8)
    path = put(tmp_path, "m.safetensors", weights(w=w, small=small, q=quantised))
    floats = put(tmp_path, "floats.safetensors", weights(w=w, small=small))
    report, asked, alone = pqi.scan(path), pqi.scan(path, include=["*"]), pqi.scan(path, exclude=["w", "small"])
    assert report.total.measures == pqi.scan(floats).total.measures
    assert (report.total.tensors, report.total.d, report.total.left_out) == (2, 615, 1)
    assert (asked.total.d, asked.total.left_out) == (2615, 0)
    assert asked.total.measures is not None
    assert asked.total.measures.pairs[0].index == pqi.index(pqi.pooled([quantised, small, w]))
    assert (alone.total.d, alone.total.left_out) == (2000, 0)
    rows = [{tensor.name: tensor for tensor in found.tensors}["q"] for found in (report, asked, alone)]
    assert [row.note for row in rows] == [
        "integers beside floats are not in the total; --include counts them in",
        "",
        "",
    ]
    assert rows[0].measures == rows[1].measures == rows[2].measures
    assert {row.prunable for row in rows} == {True}
    assert total_name(report) == "all 2 prunable floating tensors"
    assert "1 integer tensor beside floats" in render([report])


@pytest.mark.parametrize("shape", [(2, 3), (1024, 1100)])
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_what_keeps_an_index_from_being_is_named(dtype: Any, shape: tuple[int, int], tmp_path: Path) -> None:
    ones = np.ones(shape, dtype)
    bad = {"nan": ones.copy(), "inf": ones.copy(), "zero": 0 * ones}
    bad["nan"][1, 1], bad["inf"][1, 1] = np.nan, -np.inf
    path = put(tmp_path, "m.safetensors", weights(fine=ones, also=bad["nan"], **bad))
    report = pqi.scan(path)
    assert {tensor.name: tensor.note for tensor in report.tensors} == {
        "also": "holds NaN",
        "fine": "",
        "inf": "holds infinity",
        "nan": "holds NaN",
        "zero": "all zero",
    }
    assert report.total.note == "holds NaN: also, nan"
    assert pqi.scan(path, include=["fine", "inf", "zero"]).total.note == "holds infinity: inf"
    assert pqi.scan(path, include=["fine", "zero"]).total.note == ""
    assert pqi.scan(path, include=["zero"]).total.note == "all zero: zero"
    plain = report.to_dict()
    assert [tensor["values"] for tensor in plain["tensors"]] == [
        "holds NaN",
        "finite",
        "holds infinity",
        "holds NaN",
        "all zero",
    ]
    assert (plain["total"]["values"], plain["total"]["note"]) == ("holds NaN", report.total.note)
    file = io.StringIO()
    write_csv([report], file)
    assert "5 tensors as one vector; holds NaN: also, nan" in file.getvalue()
    console = Console(file=file, width=120)
    print_report(report, console)
    assert "all 5 prunable tensors: holds NaN: also, nan" in file.getvalue()
    assert "holds NaN: also, nan" in render([report])


def test_spread_over_units(tmp_path: Path) -> None:
    w = RNG.normal(size=(9, 4, 3)).astype(np.float32)
    w[3] = 0
    report = pqi.scan(put(tmp_path, "m.safetensors", weights(w=w)))
    values = pqi.index(np.delete(w, 3, axis=0), axis=(1, 2))
    found = report.tensors[0].spread
    assert found is not None
    assert (found.units, found.min, found.median, found.max) == (9, values.min(), np.median(values), values.max())
    assert pqi.scan(report.path, spread=False).tensors[0].spread is None


def test_selection_by_patterns(tmp_path: Path) -> None:
    one = np.ones((2, 2), np.float32)
    path = put(tmp_path, "m.safetensors", weights(**{"a.w": one, "a.v": one, "b.w": one}))
    names = [tensor.name for tensor in pqi.scan(path, include=["a.*", "b.*"], exclude=["*.v"]).tensors]
    assert names == ["a.w", "b.w"]
    for patterns in ({"include": ["none"]}, {"exclude": ["*"]}):
        with pytest.raises(ValueError, match="must hold at least one tensor that was selected"):
            pqi.scan(path, **patterns)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_undefined_measures_are_nan_and_null(value: float, tmp_path: Path) -> None:
    path = put(tmp_path, "m.safetensors", weights(w=np.full((2, 2), value, np.float32)))
    report = pqi.scan(path)
    measures = report.tensors[0].measures
    assert measures is not None
    assert measures.exact
    assert np.isnan([measures.pairs[0].index, measures.pairs[0].keep, measures.gini]).all()
    assert report.to_dict()["tensors"][0]["pairs"][0]["index"] is None
    assert report.tensors[0].spread is None


def measures_of(report: Any) -> Any:
    """Return the measures of the first tensor and of the total."""
    return report.tensors[0].measures, report.total.measures


def test_wide_types_have_a_proven_interval(tmp_path: Path) -> None:
    a, b = (RNG.normal(size=shape).astype(np.float32) for shape in ((300, 1000), (40, 10)))
    path = put(tmp_path, "m.safetensors", weights(a=a, b=b))
    whole = pqi.pooled([a, b])
    for found, x in zip(measures_of(pqi.scan(path)), (a, whole), strict=True):
        assert (found.gini, found.gini_low, found.gini_high) == pqi.gini(x, tol=1e-6)
        assert found.gini_low < pqi.gini(x) < found.gini_high
        assert not found.exact
        assert (found.zeros, found.max) == (0, float(pqi.summary(x).max))
        assert found.mean == pytest.approx(float(pqi.summary(x).mean), rel=1e-15)
    for found, x in zip(measures_of(pqi.scan(path, exact=True)), (a, whole), strict=True):
        assert found.gini == found.gini_low == found.gini_high == pqi.gini(x)
    small = pqi.scan(path).tensors[1].measures
    assert small is not None
    assert small.gini == pqi.gini(b)
    assert small.exact


def test_wide_intervals_become_exact_within_the_workspace(tmp_path: Path) -> None:
    a = (RNG.integers(-8, 8, size=(300, 1000)) * 0.037).astype(np.float32)
    a[0, :5] = -0.0
    path = put(tmp_path, "m.safetensors", weights(a=a))
    found, total = measures_of(pqi.scan(path, workspace=2 * a.size))
    assert found == total
    assert found.gini == pqi.gini(a)
    assert found.exact
    for exact in (False, True):
        report = pqi.scan(path, workspace=2 * a.size - 1, exact=exact)
        kept, _ = measures_of(report)
        assert 1e-6 < kept.gini_high - kept.gini_low < 1e-3
        assert kept.gini_low <= found.gini <= kept.gini_high
        assert (kept.zeros, kept.max, kept.pairs) == (found.zeros, found.max, found.pairs)
        assert report.tensors[0].note == "a narrower Gini interval would take 600,000 bytes"
    assert measures_of(pqi.scan(path, tol=1e-2))[0].gini_low < found.gini


def test_totals_of_mixed_types(tmp_path: Path) -> None:
    """Sketches of float32 and narrower types add; with float64 the vector is read anew."""
    arrays = {
        "a": RNG.normal(size=(600, 500)).astype(np.float32),
        "b": RNG.normal(size=(300, 10)).astype(ml_dtypes.bfloat16),
        "c": RNG.normal(size=(600, 500)),
    }
    for names in ("ab", "abc", "ac"):
        chosen = {name: arrays[name] for name in names}
        path = put(tmp_path, "m.safetensors", weights(**chosen))
        _, total = measures_of(pqi.scan(path))
        exact = pqi.gini(pqi.pooled(chosen.values()))
        assert total.gini_low <= exact <= total.gini_high <= total.gini_low + 1e-6
        assert not total.exact
        assert measures_of(pqi.scan(path, exact=True))[1].gini == exact


def test_the_interval_is_shown(tmp_path: Path) -> None:
    from pqi.checkpoint.columns import columns

    path = put(tmp_path, "m.safetensors", weights(a=RNG.normal(size=(300, 1000)).astype(np.float32)))
    report, exact = pqi.scan(path), pqi.scan(path, exact=True)
    column = next(column for column in columns(report.pairs) if column.key == "gini")
    assert re.fullmatch(r"0\.41\d\d±[1-9]e-7", column.cell(report.total))
    assert re.fullmatch(r"0\.41\d\d", column.cell(exact.total))
    plain = report.to_dict()["total"]
    assert plain["gini_low"] < plain["gini"] < plain["gini_high"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"pairs": []}, "at least one"),
        ({"pairs": [(1, 0.5)]}, "0 < p < q"),
        ({"workspace": -1}, "workspace"),
        ({"tol": -1}, "tol must be"),
    ],
)
def test_wrong_options(options: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        pqi.scan(put(tmp_path, "m.npy", GOOD["good.npy"]), **options)


def test_progress_adds_up(tmp_path: Path) -> None:
    from pqi.checkpoint.reading import open_checkpoint
    from pqi.checkpoint.scanning import work
    from pqi.checkpoint.selection import Selection

    for name, content in GOOD.items():
        path = put(tmp_path, name, content)
        done: list[int] = []
        pqi.scan(path, on_advance=done.append)
        assert sum(done) == work(open_checkpoint(path), Selection()) > 0


@pytest.mark.parametrize("name", GOOD)
def test_no_other_library_is_imported(name: str, tmp_path: Path) -> None:
    path = put(tmp_path, name, GOOD[name])
    code = "import sys, pqi; pqi.scan(sys.argv[1]); print({'torch', 'ml_dtypes', 'safetensors'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_pqi_alone_does_not_import_checkpoints() -> None:
    code = "import sys, pqi; assert not [m for m in sys.modules if 'checkpoint' in m]; pqi.scan; pqi.nothing"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "has no attribute 'nothing'" in found.stderr
