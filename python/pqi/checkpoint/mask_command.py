"""The command ``pqindex mask``: prune a checkpoint file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pqi
from pqi.checkpoint.commands import PRUNABLE, add_selection, complain, explain, positive, progress, selection_of
from pqi.checkpoint.stored import shown

if TYPE_CHECKING:
    from pqi.checkpoint.masking import MaskReport
    from pqi.prune.amount import Amount

EPILOG = """\
examples:
  pqindex mask model.safetensors -o pruned.safetensors
  pqindex mask model-folder --method fraction --share 0.5 --scope layer -o pruned-folder

No training follows, so accuracy is not looked after: this is what the weights alone say.

"""

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
    masking.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="file, or folder for several")
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
        help="measure the compressed size, about a second per 30 MB and thread (default up to 1 GiB)",
    )
    output.add_argument("--json", action="store_true", help="print the result as JSON")
    output.add_argument("--threads", type=positive, metavar="N", help="default one per processor")


def run_mask(options: argparse.Namespace) -> int:
    """Prune the checkpoint, print what came of it, and return the exit status."""
    try:
        if options.threads is not None:
            pqi.set_num_threads(options.threads)
        report = _mask(options)
        if options.json:
            json.dump(_plain(report), sys.stdout, indent=1)
            print()
        else:
            _print(report)
    except ImportError as error:
        return complain(f"pqindex mask needs {error.name}: pip install 'pqindex[all]'")
    except FileExistsError as error:
        return complain(f"pqindex mask: error: {shown(error.filename)}: file exists; --force overwrites it")
    except (ValueError, OSError) as error:
        return complain(f"pqindex mask: error: {explain(error)}")
    except KeyboardInterrupt:
        return complain("pqindex mask: interrupted; nothing was written", status=130)
    return 0


def _mask(options: argparse.Namespace) -> MaskReport:
    from pqi.checkpoint.masking import mask_checkpoint
    from pqi.checkpoint.reading import open_checkpoint

    amount = _amount(options)
    selection = selection_of(options)
    checkpoint = open_checkpoint(options.path)
    total = sum(tensor.nbytes for tensor in checkpoint.tensors if tensor.prunable and tensor.name in selection)
    with progress(total) as advance:
        return mask_checkpoint(
            checkpoint,
            options.out,
            amount,
            scope=options.scope,
            selection=selection,
            compress=options.compressed,
            overwrite=options.force,
            on_advance=advance,
        )


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
    return {
        "files": [str(file) for file in report.files],
        "prunable": report.total,
        "kept": report.kept,
        "pruned": report.total - report.kept,
        "bytes": {
            "dense": report.sizes.dense,
            "packed": report.sizes.packed,
            "compressed": report.sizes.compressed,
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
    pruned = report.total - report.kept
    tensors = "1 tensor" if len(report.tensors) == 1 else f"{len(report.tensors)} tensors"
    print(f"pruned {pruned:,} of {report.total:,} weights ({pruned / report.total:.2%}) in {tensors}")
    print(f"written: {', '.join(map(str, report.files))}")
    sizes = report.sizes
    for name, size, text in (
        ("dense", sizes.dense, "as written: zeros take as much as any weight"),
        ("packed", sizes.packed, "one bit a weight and the non-zero values, where that is less"),
        ("compressed", sizes.compressed, "the files as written, deflated"),
    ):
        amount = "not measured (--compressed)" if size is None else f"{size:,} bytes ({size / sizes.dense:.1%})"
        print(f"  {name:<11}{amount}: {text}")
