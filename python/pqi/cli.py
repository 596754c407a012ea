"""The command ``pqindex``: prune a network by the paper's Algorithm 1, and report on what was run.

Exit status: 0 when all is well, 1 when a run failed, 2 for a wrong command or input, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from pqi import __version__
from pqi.checkpoint.commands import add_commands as add_checkpoint_commands
from pqi.experiment.config import SCOPES, RunConfig, Training, setting_type
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.presets import METHODS, PRESETS

NEEDED = {
    "torch": "torch",
    "rich": "rich",
    "matplotlib": "matplotlib",
    "jinja2": "jinja2",
    "sklearn": "scikit-learn",
}
"""Modules that the commands import, with the names under which they are installed."""

NUMBER = "N"

METHOD_HELP = """\
methods:
  sap:P,Q[,eta=…][,gamma=…][,beta=…]   how much to prune is read off the weights (default 0.5,1)
  lottery-ticket[:SHARE]               a fixed share of the remaining weights (default 0.2)
  one-shot[:SHARE]                     the same amounts, ranked by the once-trained dense weights

Interrupt with Ctrl-C whenever you like: the same command goes on after the last finished iteration,
and runs that are finished are not repeated.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print `message` and leave with status 2."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or the process's own, and return its exit status."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if "run" in options:
        return int(options.run(options))
    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if missing:
        return _complain(f"pqindex {options.command} needs {', '.join(missing)}: pip install 'pqindex[all]'")
    try:
        return report(options.directory) if options.command == "report" else prune(options)
    except (ValueError, OSError) as error:
        return _complain(f"pqindex {options.command}: error: {error}")
    except KeyboardInterrupt:
        print("interrupted: finished iterations are kept, the same command resumes", file=sys.stderr)
        return 130


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(prog="pqindex", description="Sparsity measures, and pruning steered by them.")
    parser.add_argument("--version", action="version", version=f"pqindex {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    _add_prune(
        commands.add_parser(
            "prune",
            help="train, prune and rewind a network, again and again",
            description="Run the paper's Algorithm 1 with one or several methods and compare them.",
            epilog=METHOD_HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        ),
        seeds=(0,),
        out=None,
    )
    _add_prune(
        commands.add_parser(
            "demo",
            help="prune with the digits preset, three seeds, into runs/demo: one to four minutes",
            description="Compare SAP(0.5, 1), SAP(1, 2), Lottery Ticket and One Shot on scikit-learn's digits. "
            "The same as prune with other defaults.",
            epilog=METHOD_HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        ),
        seeds=(0, 1, 2),
        out=Path("runs/demo"),
    )
    reporting = commands.add_parser(
        "report",
        help="write figures and an HTML page about runs",
        description="Write figures/ and report.html about all runs in a directory, finished or not.",
    )
    reporting.add_argument("directory", type=Path, metavar="DIR", help="directory that holds the runs, or one run")
    add_checkpoint_commands(commands)
    return parser


def prune(options: argparse.Namespace) -> int:
    """Run what the options ask for, then report on everything in the output directory."""
    from rich.console import Console

    from pqi.experiment.progress import progress_bars
    from pqi.experiment.study import default_jobs, execute_all

    configs = configurations(options)
    for config in configs:
        config.method.method()
    out = options.out or Path("runs") / options.preset
    jobs = default_jobs() if options.jobs is None else options.jobs
    with progress_bars(configs, Console(stderr=True)) as on_advance:
        failures = execute_all(configs, out, jobs=jobs, on_advance=on_advance)
    for failure in failures:
        _complain(f"pqindex {options.command}: error: {failure.run}: {failure.error}")
    if len(failures) == len(configs):
        return 1
    return report(out) or int(bool(failures))


def report(directory: Path) -> int:
    """Write figures and page about the runs in `directory`, and print the tables."""
    from rich.console import Console

    from pqi.experiment.report import print_tables, write_report

    written = write_report(directory)
    print_tables(written.studies, Console())
    print(f"report: {written.page}   figures: {written.figures[0].parent}")
    return 0


def configurations(options: argparse.Namespace) -> list[RunConfig]:
    """Return the configurations that the options ask for, each once.

    Raises
    ------
    ValueError
        For a setting outside its range.
    """
    preset = PRESETS[options.preset]
    model = options.model or preset.model
    if model not in preset.models:
        raise ValueError(f"model must be one of {', '.join(preset.models)} with preset {options.preset}, got {model!r}")
    given = {item.name: getattr(options, item.name) for item in dataclasses.fields(Training)}
    overridden = {name: value for name, value in given.items() if value is not None}
    found = (
        RunConfig(
            dataset=preset.dataset,
            model=model,
            scope=scope,
            method=method,
            seed=seed,
            iterations=preset.iterations if options.iterations is None else options.iterations,
            training=dataclasses.replace(preset.training, **overridden),
            threads=options.threads,
        )
        for scope in options.scope
        for seed in options.seeds
        for method in options.method or METHODS
    )
    return list(dict.fromkeys(found))


def _add_prune(parser: argparse.ArgumentParser, *, seeds: Sequence[int], out: Path | None) -> None:
    models = sorted({model for preset in PRESETS.values() for model in preset.models})
    what = parser.add_argument_group("what to run")
    what.add_argument("--preset", choices=PRESETS, default="digits", help="data set and settings (default digits)")
    what.add_argument("--model", choices=models, help=f"network {_by_preset('model')}")
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
        default=["global"],
        help="weights that are ranked together: of a neuron, a layer, or all (default global)",
    )
    shown = " ".join(map(str, seeds))
    what.add_argument(
        "--seeds", nargs="+", type=int, metavar=NUMBER, default=list(seeds), help=f"one run each (default {shown})"
    )
    what.add_argument("--iterations", type=int, metavar=NUMBER, help=f"number of prunings {_by_preset('iterations')}")
    training = parser.add_argument_group("training")
    for item in dataclasses.fields(Training):
        flag, text = (
            f"--{item.name.replace('_', '-')}",
            f"{item.metadata['help']} {_by_preset(f'training.{item.name}')}",
        )
        if setting_type(item) is bool:
            training.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            training.add_argument(flag, type=setting_type(item), metavar=NUMBER, help=text)
    where = parser.add_argument_group("where and how")
    where.add_argument(
        "--out", type=Path, metavar="DIR", default=out, help=f"directory of the runs (default {out or 'runs/PRESET'})"
    )
    where.add_argument(
        "--jobs", type=_jobs, metavar=NUMBER, help="runs side by side (default one per processor, at most 4)"
    )
    where.add_argument(
        "--threads", type=int, metavar=NUMBER, default=1, help="threads of each run; part of the settings (default 1)"
    )


def _by_preset(path: str) -> str:
    """Return what the presets set, for a help text."""
    values = []
    for name, preset in PRESETS.items():
        value: object = preset
        for part in path.split("."):
            value = getattr(value, part)
        values.append(f"{name}: {value}")
    return f"({', '.join(values)})"


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


def _complain(message: str) -> int:
    print(" ".join(message.split()), file=sys.stderr)
    return 2
