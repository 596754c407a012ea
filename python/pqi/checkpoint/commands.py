"""The commands ``pqindex scan`` and ``pqindex mask``: their options, and what they print.

Exit status: 0 when all is well, 2 if a file could not be read or written, 130 after Ctrl-C. Files that can be read are
scanned whatever the others are.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pqi
from pqi.checkpoint.measure import DEFAULT_PAIRS, DEFAULT_TOL, DEFAULT_WORKSPACE, Pair, Settings
from pqi.checkpoint.stored import shown

if TYPE_CHECKING:
    from pqi.checkpoint.report import Report
    from pqi.checkpoint.report_files import Targets
    from pqi.checkpoint.selection import Selection
    from pqi.checkpoint.stored import Checkpoint

Item = TypeVar("Item")
Result = TypeVar("Result")

SCAN_EPILOG = """\
examples:
  pqindex scan model.safetensors --sort keep --top 20
  pqindex scan model-folder --exclude '*embed*' --html report.html
  pqindex scan a.pt b.npz --pq 0.5,1 --pq 1,2 --json -

Columns: name, dtype, shape, d, zeros, index, keep, gini, units, max, mean; a narrow terminal shows the most important.
The bound of Theorem 2 is keep times d; --json and --csv hold it as well.

"""
PRUNABLE = """\
Prunable are tensors of two or more dimensions whose type is floating or an integer of one byte; of tied weights the
first, and no optimizer state. All of them as one vector are what scan calls the total and mask the global scope.
Integers have scales of their own, so that beside floats they are left out of it; --include counts in what it names.
"""


def add_commands(commands: Any) -> None:
    """Add the commands to those of the command line."""
    from pqi.checkpoint.mask_command import add_mask

    add_mask(commands)
    scanning = commands.add_parser(
        "scan",
        help="how compressible is a checkpoint file? no model, no data",
        description="Measure every tensor of checkpoint files, and all weight matrices as one vector: zeros, PQ Index, "
        "Gini index, and the share of the weights that Theorem 2 says to keep.",
        epilog=SCAN_EPILOG + PRUNABLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scanning.set_defaults(run=run_scan)
    scanning.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="safetensors file, index.json of shards, model folder, PyTorch zip checkpoint, .npy or .npz",
    )
    _add_what(scanning)
    scanning.add_argument("--no-units", action="store_true", help="leave out the spread over output units")
    output = scanning.add_argument_group("output")
    output.add_argument(
        "--sort",
        metavar="COLUMN",
        help="largest first, names from the front; by keep the prunable tensors first, of them the most compressible "
        "(default the file's order)",
    )
    output.add_argument("--reverse", action="store_true", help="the other way round")
    output.add_argument("--top", type=positive, metavar="N", help="show N rows in the terminal (default all)")
    output.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON; - for standard output")
    output.add_argument("--csv", type=Path, metavar="FILE", help="write a row for each tensor; - for standard output")
    output.add_argument("--html", type=Path, metavar="FILE", help="write a page that needs nothing but itself")


def run_scan(options: argparse.Namespace) -> int:
    """Scan the paths, write what was asked for, and return the exit status."""
    lacking = [module for module in ("rich", "jinja2") if find_spec(module) is None]
    if lacking:
        return complain(f"pqindex scan needs {', '.join(lacking)}: pip install 'pqindex[cli]'")
    try:
        pairs = tuple(options.pq or DEFAULT_PAIRS)
        settings = Settings(pairs, not options.no_units, options.tol, options.exact, options.workspace)
        if options.threads is not None:
            pqi.set_num_threads(options.threads)
        targets = _targets(options, pairs)
        reports, errors = _scan_all(options.paths, settings, selection_of(options), targets)
        for error in errors:
            complain(f"pqindex scan: error: {error}")
        unwritten = _write(reports, errors, options, targets)
        for error in unwritten:
            complain(f"pqindex scan: error: {error}")
    except BrokenPipeError:
        return leave_unread(2 if errors else 0)
    except (ValueError, OSError) as error:
        return complain(f"pqindex scan: error: {explain(error)}")
    except KeyboardInterrupt:
        return complain("pqindex scan: interrupted", status=130)
    return 2 if errors or unwritten else 0


def leave_unread(status: int) -> int:
    """Where nobody reads on, as behind `head`, keep the last flush from saying so, and return the exit status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _targets(options: argparse.Namespace, pairs: Sequence[Pair]) -> Targets:
    """Return where the reports go, once that and the column to sort by are known to be right."""
    from pqi.checkpoint.columns import column_named
    from pqi.checkpoint.report_files import check_targets

    column_named(pairs, options.sort)
    given = {f"--{name}": getattr(options, name) for name in ("json", "csv", "html")}
    targets = {option: path for option, path in given.items() if path is not None}
    check_targets(targets, options.paths)
    return targets


def complain(message: str, status: int = 2) -> int:
    """Print one line to standard error and return the exit status."""
    print(shown(" ".join(message.split()), 500), file=sys.stderr)
    return status


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what to measure")
    what.add_argument(
        "--pq",
        action="append",
        type=_pair,
        metavar="P,Q",
        help="exponents of the index, 0 < P < Q; repeat for several (default 0.5,1 and 1,2)",
    )
    add_selection(what)
    what.add_argument(
        "--tol",
        type=float,
        metavar="WIDTH",
        default=DEFAULT_TOL,
        help="how wide the proven interval of the Gini index may be for types of four and eight bytes; others are "
        "always exact (default 1e-6)",
    )
    what.add_argument("--exact", action="store_true", help="compute the exact Gini index for every type")
    what.add_argument(
        "--workspace",
        type=_bytes,
        metavar="BYTES",
        default=DEFAULT_WORKSPACE,
        help="memory that the exact Gini index of float32 (2 bytes an entry), float64 (8) or mixed types may take; "
        "beyond, its interval is shown (default 2G)",
    )
    what.add_argument("--threads", type=positive, metavar="N", help="default one per processor")


def add_selection(group: Any) -> None:
    """Add the options that name tensors."""
    for name, text in (("include", "look at these tensors only"), ("exclude", "leave these tensors out")):
        group.add_argument(
            f"--{name}", action="append", default=[], metavar="PATTERN", help=f"{text}; a shell pattern, repeatable"
        )


def selection_of(options: argparse.Namespace) -> Selection:
    """Return which tensors the options name."""
    from pqi.checkpoint.selection import Selection

    return Selection(tuple(options.include), tuple(options.exclude))


def _scan_all(
    paths: Sequence[Path], settings: Settings, selection: Selection, targets: Targets
) -> tuple[list[Report], list[str]]:
    """Scan one path after the other; a damaged one becomes an error and does not keep the others from being scanned."""
    from pqi.checkpoint.reading import open_checkpoint
    from pqi.checkpoint.report_files import check_apart
    from pqi.checkpoint.scanning import scan_checkpoint, work

    opened, errors = _each(paths, open_checkpoint)
    check_apart(targets, (file for checkpoint in opened for file in _files(checkpoint)))
    with progress("scan", sum(work(checkpoint, selection) for checkpoint in opened)) as advance:
        reports, later = _each(opened, lambda checkpoint: scan_checkpoint(checkpoint, settings, selection, advance))
    return reports, errors + later


def _files(checkpoint: Checkpoint) -> list[Path]:
    return [*checkpoint.files, *([] if checkpoint.index is None else [checkpoint.index])]


def _each(items: Iterable[Item], do: Callable[[Item], Result]) -> tuple[list[Result], list[str]]:
    """Return the results and, of the items for which there is none, the errors."""
    results, errors = [], []
    for item in items:
        try:
            results.append(do(item))
        except (ValueError, OSError) as error:  # noqa: PERF203 (one item's failure must not end the others)
            errors.append(explain(error))
    return results, errors


def explain(error: Exception) -> str:
    """Return an error as one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{shown(error.filename, 400)}: {error.strerror}"
    return str(error)


def progress(name: str, total: int) -> Any:
    """Return a context whose value is called with bytes done; it draws a bar if standard error is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        return nullcontext(lambda _: None)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return _Bar(Progress(*columns, console=console, transient=True), name, total)


class _Bar:
    """A progress bar as a context."""

    def __init__(self, bars: Any, name: str, total: int) -> None:
        self._bars, self._task = bars, bars.add_task(name, total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._bars.start()
        return lambda done: self._bars.advance(self._task, done)

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


def _write(
    reports: Sequence[Report], errors: Sequence[str], options: argparse.Namespace, targets: Targets
) -> list[str]:
    """Write the files, then what goes to standard output; return what could not be written."""
    from pqi.checkpoint.page import render
    from pqi.checkpoint.report import write_csv, write_json
    from pqi.checkpoint.report_files import STDOUT, write_reports
    from pqi.checkpoint.table import print_report, terminal

    unwritten = write_reports(
        targets,
        {
            "--json": lambda file: write_json(reports, errors, file),
            "--csv": lambda file: write_csv(reports, file),
            "--html": lambda file: file.write(render(reports, errors)),
        },
    )
    if STDOUT not in targets.values():
        for report in reports:
            print_report(report, terminal(), sort=options.sort, top=options.top, reverse=options.reverse)
        sys.stdout.flush()
    return unwritten


def _pair(text: str) -> Pair:
    try:
        p, q = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"exponents are written P,Q as in 0.5,1, got {text!r}") from None
    return p, q


def positive(text: str) -> int:
    """Read a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def _bytes(text: str) -> int:
    scale = {"K": 10, "M": 20, "G": 30, "T": 40}.get(text[-1:].upper(), 0)
    digits = text[:-1] if scale else text
    if not digits.isdecimal():
        raise argparse.ArgumentTypeError(f"bytes are written as in 512M or 2G, got {text!r}")
    return int(digits) << scale
