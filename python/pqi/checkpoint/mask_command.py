"""The command ``pqindex mask``: prune a checkpoint file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pqi
from pqi.checkpoint.commands import (
    PRUNABLE,
    add_selection,
    complain,
    explain,
    leave_unread,
    positive,
    progress,
    selection_of,
)
from pqi.checkpoint.stored import plural, shown

if TYPE_CHECKING:
    from pqi.checkpoint.masking import MaskReport
    from pqi.checkpoint.sizes import Sizes
    from pqi.prune.amount import Amount

EPILOG = """\
examples:
  pqindex mask model.safetensors -o pruned.safetensors
  pqindex mask model-folder --method fraction --share 0.5 --scope layer -o pruned-folder

No training follows, so accuracy is not looked after: this is what the weights alone say.

"""

MOST_NAMED = 12
"""Files of a kind that are printed by name; --json has all of them."""
SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))

SAP_OPTIONS = (
    ("p", 0.5, "smaller exponent of the index"),
    ("q", 1.0, "larger exponent"),
    ("eta", 0.0, "η of the bound"),
    ("gamma", 1.0, "scale γ of the share"),
    ("beta", 0.9, "largest share β"),
)


def add_mask(commands: Any) -> None:
    """Add the command to those of the command line."""
    masking = commands.add_parser(
        "mask",
        help="prune a checkpoint file: no model, no data",
        description="Write a copy of a checkpoint in which the smallest weights are zero: exactly as many as the "
        "method says. Names, types, metadata and file layout stay.",
        epilog=EPILOG + PRUNABLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    masking.set_defaults(run=run_mask)
    masking.add_argument("path", type=Path, metavar="PATH", help="checkpoint, as for scan; not compressed")
    masking.add_argument("-o", "--out", required=True, metavar="OUT", help="file, or folder for several; OUT/ is one")
    how = masking.add_argument_group("how much")
    how.add_argument("--method", choices=("sap", "fraction"), default="sap", help="default sap")
    how.add_argument(
        "--scope",
        choices=("neuron", "layer", "global"),
        default="global",
        help="weights that are ranked together: of an output unit, a tensor, or all (default global)",
    )
    for name, default, text in SAP_OPTIONS:
        how.add_argument(f"--{name}", type=float, metavar="N", help=f"sap: {text} (default {default})")
    how.add_argument("--share", metavar="N", help="fraction: share of each group (default 0.2)")
    add_selection(how)
    output = masking.add_argument_group("output")
    output.add_argument("--force", action="store_true", help="overwrite files")
    output.add_argument(
        "--compressed",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="measure the compressed size before and after: one to two seconds per 12 MB and thread (default up to "
        "256 MiB)",
    )
    output.add_argument("--json", action="store_true", help="print the result as JSON")
    output.add_argument("--threads", type=positive, metavar="N", help="default one per processor")


def run_mask(options: argparse.Namespace) -> int:
    """Prune the checkpoint, print what came of it, and return the exit status."""
    try:
        if options.threads is not None:
            pqi.set_num_threads(options.threads)
        return _finish(_mask(options), options)
    except ImportError as error:
        return complain(f"pqindex mask needs {error.name}: pip install 'pqindex[all]'")
    except FileExistsError as error:
        return complain(f"pqindex mask: error: {shown(error.filename, 400)}: file exists; --force overwrites it")
    except BrokenPipeError:
        return leave_unread(0)
    except (ValueError, OSError) as error:
        return complain(f"pqindex mask: error: {explain(error)}")
    except KeyboardInterrupt:
        return complain("pqindex mask: interrupted before all was written; no file is half-written", status=130)


def _mask(options: argparse.Namespace) -> MaskReport:
    from pqi.checkpoint.masking import mask_checkpoint, to_prune
    from pqi.checkpoint.reading import open_checkpoint

    amount = _amount(options)
    selection = selection_of(options)
    checkpoint = open_checkpoint(options.path)
    tensors, _ = to_prune(checkpoint, options.scope, selection)
    with progress("prune", sum(tensor.nbytes for tensor in tensors)) as advance:
        return mask_checkpoint(
            checkpoint,
            Path(options.out),
            amount,
            scope=options.scope,
            selection=selection,
            compress=False,
            overwrite=options.force,
            folder=options.out.endswith(SEPARATORS),
            on_advance=advance,
        )


def _finish(report: MaskReport, options: argparse.Namespace) -> int:
    """Measure compressed sizes, print the report and return the exit status.

    All is written by then: an interrupt ends the measuring alone.
    """
    from pqi.checkpoint.masking import is_compressed, with_compressed

    status = 0
    try:
        if is_compressed(report, options.compressed):
            with progress("compress", 2 * report.sizes.dense) as advance:
                report = with_compressed(report, advance)
    except KeyboardInterrupt:
        status = complain("pqindex mask: interrupted while sizes were measured; the output is complete", status=130)
    if options.json:
        json.dump(_plain(report), sys.stdout, indent=1)
        print()
    else:
        _print(report)
    sys.stdout.flush()
    return status


def _amount(options: argparse.Namespace) -> Amount:
    from pqi.prune.amount import SAP, Fraction

    given = {name: getattr(options, name) for name, _, _ in SAP_OPTIONS if getattr(options, name) is not None}
    if options.method == "fraction":
        if given:
            raise ValueError(f"--{next(iter(given))} belongs to --method sap, and --method is fraction")
        return Fraction("0.2" if options.share is None else options.share)
    if options.share is not None:
        raise ValueError("--share belongs to --method fraction, and --method is sap")
    return SAP(**({name: default for name, default, _ in SAP_OPTIONS} | given))


def _plain(report: MaskReport) -> dict[str, Any]:
    deflated = report.sizes.compressed
    return {
        "files": [str(file) for file in report.files],
        "prunable": report.total,
        "kept": report.kept,
        "pruned": report.total - report.kept,
        "left_out": report.left_out,
        "copied": [str(file) for file in report.targets.copies.values()],
        "not_copied": [str(file) for file in report.targets.left],
        "bytes": {
            "dense": report.sizes.dense,
            "packed": report.sizes.packed,
            "compressed": None if deflated is None else deflated.after,
            "compressed_before": None if deflated is None else deflated.before,
        },
        "tensors": [
            {
                "name": found.tensor.name,
                "d": found.tensor.count,
                "kept": found.kept,
                "pruned": found.tensor.count - found.kept,
                "nonzero": found.nonzero,
            }
            for found in report.tensors
        ],
    }


def _print(report: MaskReport) -> None:
    pruned, targets = report.total - report.kept, report.targets
    tensors = plural(len(report.tensors), "tensor")
    print(f"pruned {pruned:,} of {report.total:,} weights ({pruned / report.total:.2%}) in {tensors}")
    if report.left_out:
        left = plural(report.left_out, "integer tensor")
        print(f"as before: {left} beside floats; --include or another scope prunes them")
    print(f"written: {', '.join(map(str, report.files))}")
    if targets.copies:
        print(f"copied: {_names(tuple(targets.copies))}")
    if targets.left:
        print(f"not copied: {_names(targets.left)}")
    _print_sizes(report.sizes)


def _names(files: Sequence[Path]) -> str:
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return ", ".join(shown(file.name) for file in files[:MOST_NAMED]) + more


def _print_sizes(sizes: Sizes) -> None:
    deflated = sizes.compressed
    before = "" if deflated is None else f"; it was {deflated.before:,} before, {deflated.after / deflated.before:.1%}"
    for name, size, text in (
        ("dense", sizes.dense, "as written: zeros take as much as any weight"),
        ("packed", sizes.packed, "one bit a weight and the non-zero values, where that is less"),
        ("compressed", None if deflated is None else deflated.after, f"the files as written, deflated{before}"),
    ):
        amount = "not measured (--compressed)" if size is None else f"{size:,} bytes ({size / sizes.dense:.1%})"
        print(f"  {name:<11}{amount}: {text}")
