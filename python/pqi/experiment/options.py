"""The options of ``pqindex prune``, and the grid of runs that they ask for.

Nothing here imports torch, so that the command's help and its errors are instant.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pqi.experiment.config import COMPATS, DEVICES, SCOPES, STOPS, RunConfig, Training, setting_type
from pqi.experiment.grid import Grid, Part, grid_names
from pqi.experiment.launch import Launch
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.presets import DATASETS, METHODS, MODELS, PRESETS, in_families, related

NUMBER = "N"
PRESET = "digits"

OTHERS = ("threads", "stop_at", "compat", "device")
"""Settings of `RunConfig` that no preset knows, by the name of their option."""


def grid_of(options: argparse.Namespace) -> Grid:
    """Return what to run: the grid of the options, or one made of them.

    Options override a grid's settings; methods and scopes choose among its own.

    Raises
    ------
    ValueError
        If there is no such grid, or none of its runs has the methods and scopes asked for.
    """
    methods, scopes = tuple(options.method or ()), tuple(options.scope or ())
    if options.grid is None:
        seeds = tuple(options.default_seeds) or PRESETS[_preset(options, PRESET)].seeds
        grid = Grid(PRESET, seeds=seeds, parts=(Part(methods or METHODS, scopes or ("global",)),))
    else:
        grid = Grid.load(options.grid).only(methods=methods, scopes=scopes)
    given = {name: getattr(options, name) for name in ("model", "iterations", "seeds")}
    return dataclasses.replace(
        grid,
        preset=_preset(options, grid.preset),
        **_not_none(given),
        training={**grid.training, **_not_none(_values(options, [item.name for item in dataclasses.fields(Training)]))},
        others={**grid.others, **_processes(), **_not_none(_values(options, OTHERS))},
    )


def _preset(options: argparse.Namespace, start: str) -> str:
    """Return the preset that was named, or the one like `start` for the data set and the network asked for."""
    if options.preset and not options.dataset:
        return str(options.preset)
    return related(options.preset or start, dataset=options.dataset, model=options.model)


def configurations(options: argparse.Namespace) -> list[RunConfig]:
    """Return the configurations that the options ask for, each once; raises as `grid_of` and `Grid.configurations`."""
    return grid_of(options).configurations()


def add_prune_options(parser: argparse.ArgumentParser, *, seeds: Sequence[int], out: Path | None) -> None:
    """Add the options of the command, with these defaults; no seeds are those of the preset."""
    parser.set_defaults(default_seeds=tuple(seeds))
    _add_what(
        parser.add_argument_group("what to run"),
        f"default {' '.join(map(str, seeds))}" if seeds else in_families("seeds"),
    )
    _add_training(parser.add_argument_group("training"))
    where = parser.add_argument_group("where and how")
    shown = out or "runs/ and the name of the grid or preset"
    where.add_argument("--out", type=Path, metavar="DIR", default=out, help=f"directory of the runs (default {shown})")
    where.add_argument(
        "--jobs", type=_jobs, metavar=NUMBER, help="runs side by side (default one per processor, at most 4)"
    )
    where.add_argument(
        "--device",
        choices=DEVICES,
        help="what trains; part of the settings, as is the number of processes that torchrun starts (default cpu)",
    )
    where.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with the original files of the data set; digits need none"
    )
    where.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar=NUMBER,
        help="processes that load batches for each run (default 0: the run itself)",
    )
    where.add_argument("--threads", type=int, metavar=NUMBER, help="of each run; part of the settings (default 1)")
    where.add_argument("--list", action="store_true", help="print the runs and how far they have come; run nothing")


def _add_what(what: Any, seeds: str) -> None:
    what.add_argument(
        "--grid", metavar="GRID", help=f"study of many runs: {', '.join(grid_names())}, or a file ending in .json"
    )
    what.add_argument(
        "--preset",
        choices=PRESETS,
        metavar="PRESET",
        help=f"data set and settings: {PRESET} (default), or the paper's: paper-DATASET-MODEL, as in paper-cifar10-cnn",
    )
    what.add_argument("--dataset", choices=DATASETS, help="go from the preset to its like for this data set")
    what.add_argument(
        "--model", choices=MODELS, help=f"network (default {PRESETS[PRESET].model}; the paper's presets have theirs)"
    )
    what.add_argument(
        "--method",
        action="append",
        type=_method,
        metavar="METHOD",
        help="repeat to compare several (default sap:0.5,1 sap:1,2 lottery-ticket one-shot)",
    )
    what.add_argument(
        "--scope",
        nargs="+",
        choices=SCOPES,
        help="weights that are ranked together: of a neuron, a layer, or all (default global)",
    )
    what.add_argument("--seeds", nargs="+", type=int, metavar=NUMBER, help=f"one run each ({seeds})")
    what.add_argument(
        "--iterations", type=int, metavar=NUMBER, help=f"number of prunings ({in_families('iterations')})"
    )
    what.add_argument(
        "--stop-at", choices=STOPS, help="end a run when its PQ Index says that this phase has begun (default never)"
    )
    what.add_argument(
        "--compat", choices=COMPATS, help="prune by the paper's rule or by that of its published code (default paper)"
    )


def _add_training(training: Any) -> None:
    for item in dataclasses.fields(Training):
        flag = f"--{item.name.replace('_', '-')}"
        text = f"{item.metadata['help']} ({in_families(f'training.{item.name}')})"
        if setting_type(item) is bool:
            training.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            choices = item.metadata.get("choices") or None
            training.add_argument(
                flag, type=setting_type(item), choices=choices, metavar=None if choices else NUMBER, help=text
            )


def _processes() -> dict[str, int]:
    """Return the number of processes that torchrun started, which is part of the settings."""
    size = Launch.of_environment().size
    return {} if size == 1 else {"processes": size}


def _values(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(options, name) for name in names}


def _not_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _method(text: str) -> MethodSpec:
    try:
        return MethodSpec.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _jobs(text: str) -> int:
    jobs = int(text)
    if jobs < 1:
        raise argparse.ArgumentTypeError(f"jobs must be >= 1, got {jobs}")
    return jobs
