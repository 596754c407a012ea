"""`pqi.scan`: read a checkpoint, measure every tensor, and all weight matrices as one vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from pqi.checkpoint.measure import (
    DEFAULT_PAIRS,
    DEFAULT_TOL,
    DEFAULT_WORKSPACE,
    Measures,
    Pair,
    Settings,
    Spread,
    Vector,
    gini_workspace,
    measure,
    spread,
)
from pqi.checkpoint.reading import open_checkpoint
from pqi.checkpoint.report import Report, TensorReport, Total
from pqi.checkpoint.selection import Selection
from pqi.checkpoint.stored import Checkpoint, StoredTensor, shown

Advance = Callable[[int], None]

BESIDE_FLOATS = "integers beside floats are not in the total; --include counts them in"
MOST_NAMED = 3
"""Tensors that a note names."""


def scan(
    path: str | PathLike[str],
    *,
    pairs: Sequence[Pair] = DEFAULT_PAIRS,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    spread: bool = True,
    tol: float = DEFAULT_TOL,
    exact: bool = False,
    workspace: int = DEFAULT_WORKSPACE,
    on_advance: Advance | None = None,
) -> Report:
    """Measure how compressible a checkpoint is, from the file alone: no model is built and no code of it is run.

    Parameters
    ----------
    path : str or os.PathLike
        A safetensors file, an ``index.json`` of shards, a model folder, a PyTorch zip checkpoint, ``.npy`` or
        ``.npz``. float64/32/16, bfloat16, float8 e4m3fn/e5m2, integers and bool are measured; other types are listed.
    pairs : sequence of (float, float)
        Exponents (p, q) of the index, 0 < p < q. The first pair also serves the spread over units.
    include, exclude : sequence of str
        Shell patterns; a tensor is looked at if its name matches one of `include` (or there is none) and none of
        `exclude`.
    spread : bool
        Whether to measure every output unit of the tensors with two or more dimensions.
    tol : float
        How wide the interval that is proven to hold the Gini index of a four- or eight-byte type may be, as in `gini`;
        it comes from one read. Where that leaves it wider, the exact value is computed.
    exact : bool
        Whether to compute the exact value for every type.
    workspace : int
        Bytes that the exact value may take for four- and eight-byte types: 2 an element for float32, 8 for float64, of
        the tensor or of all of them as one vector. Where it needs more, the interval is reported, whatever its width.
    on_advance : callable, optional
        Called with a number of bytes whenever as many have been measured.

    Returns
    -------
    Report
        Every selected tensor with its measures, and all prunable ones as one vector: those with two or more
        dimensions of a floating or one-byte integer type; tied weights once, optimizer state never. Integers beside
        floats are left out of the vector unless `include` selects tensors.

    Raises
    ------
    OSError
        If a file cannot be opened.
    ValueError
        If the exponents fail 0 < p < q, `tol` or `workspace` is negative, the patterns select nothing, or the file is
        damaged, hostile, or of no known format.

    Notes
    -----
    Files are mapped and every tensor is read where it lies; extra memory is that of `workspace`, and of compressed or
    big-endian arrays. The values are those of `index`, `gini` (with this `tol`) and `retained_bound` on the same
    tensors, to the bit; a measure is nan where they are. An output unit is an entry of the first axis.

    Examples
    --------
    >>> import numpy as np, pqi, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "weights.npy")
    ...     np.save(path, np.array([[4.0, 0.0], [0.0, 4.0]]))
    ...     report = pqi.scan(path, pairs=[(1, 2)])
    >>> report.total.measures.pairs[0].keep.__round__(6)
    0.5
    """
    settings = Settings(tuple((float(p), float(q)) for p, q in pairs), spread, tol, exact, workspace)
    selection = Selection(tuple(include), tuple(exclude))
    return scan_checkpoint(open_checkpoint(Path(path)), settings, selection, on_advance or (lambda _: None))


def scan_checkpoint(checkpoint: Checkpoint, settings: Settings, selection: Selection, on_advance: Advance) -> Report:
    """Measure the selected tensors of a checkpoint."""
    reports: list[TensorReport] = []
    vector = Vector(settings)
    seen: dict[object, TensorReport] = {}
    selected = selection.of(checkpoint)
    together = {tensor.name for tensor in selection.together(selected)}
    for tensor in selected:
        twin = seen.get(tensor.identity) if tensor.identity is not None else None
        if twin is not None:
            reports.append(_again(tensor, twin))
            continue
        reports.append(_first(tensor, settings, vector, counted=tensor.name in together))
        on_advance(tensor.nbytes)
        seen[tensor.identity] = reports[-1]
    return Report(
        checkpoint.path,
        checkpoint.format,
        settings.pairs,
        tuple(reports),
        _total(vector, reports),
        checkpoint.files,
        checkpoint.metadata,
    )


def work(checkpoint: Checkpoint, selection: Selection) -> int:
    """Bytes that `scan_checkpoint` reports to have advanced in the end."""
    distinct = {tensor.identity or tensor.name: tensor for tensor in checkpoint.tensors if tensor.name in selection}
    return sum(tensor.nbytes for tensor in distinct.values())


def _first(tensor: StoredTensor, settings: Settings, vector: Vector, *, counted: bool) -> TensorReport:
    if tensor.count == 0 or not tensor.element.measurable:
        note = "empty" if tensor.count == 0 else "type without measures"
        return _describe(tensor, None, None, note, prunable=tensor.prunable)
    measures = vector.add(tensor) if counted else measure(tensor, settings)
    units = spread(tensor, settings) if settings.spread and tensor.prunable else None
    notes = [measures.unusual]
    if measures.gini_high - measures.gini_low > (0 if settings.exact else settings.tol):
        notes.append(f"a narrower Gini interval would take {gini_workspace([tensor]):,} bytes")
    if tensor.prunable and not counted:
        notes.append(BESIDE_FLOATS)
    return _describe(tensor, measures, units, "; ".join(filter(None, notes)), prunable=tensor.prunable)


def _again(tensor: StoredTensor, twin: TensorReport) -> TensorReport:
    return _describe(tensor, twin.measures, twin.spread, f"same as {twin.name}", prunable=False)


def _describe(
    tensor: StoredTensor, measures: Measures | None, units: Spread | None, note: str, *, prunable: bool
) -> TensorReport:
    return TensorReport(
        name=tensor.name,
        dtype=tensor.element.name,
        shape=tensor.shape,
        d=tensor.count,
        nbytes=tensor.nbytes,
        prunable=prunable,
        measures=measures,
        spread=units,
        note=note,
    )


def _total(vector: Vector, reports: Sequence[TensorReport]) -> Total:
    tensors = vector.tensors
    count, nbytes = sum(tensor.count for tensor in tensors), sum(tensor.nbytes for tensor in tensors)
    found = vector.measure()
    left = sum(report.prunable for report in reports) - len(tensors)
    names = {tensor.name for tensor in tensors}
    causes = [report for report in reports if report.name in names and report.measures and report.measures.unusual]
    note = "" if found is None or not found.unusual else _causes(found, causes)
    return Total(len(tensors), count, nbytes, found, left, note)


def _causes(found: Measures, causes: Sequence[TensorReport]) -> str:
    """Say by which tensors a vector has no measures."""
    named = [shown(report.name) for report in causes if report.measures and report.measures.unusual == found.unusual]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return f"{found.unusual}: {', '.join(named[:MOST_NAMED])}{more}"
