"""The command ``pqindex``: prune a network by the paper's Algorithm 1, and report on what was run.

Exit status: 0 when all is well, 1 when a run failed, 2 for a wrong command or input, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pqi import __version__
from pqi.checkpoint.commands import add_commands as add_checkpoint_commands
from pqi.checkpoint.commands import leave_unread
from pqi.experiment.launch import Launch
from pqi.experiment.options import add_prune_options, grid_of
from pqi.experiment.resources import Resources

if TYPE_CHECKING:
    from pqi.experiment.config import RunConfig
    from pqi.experiment.study import Failure

NEEDED = {
    "torch": "torch",
    "rich": "rich",
    "matplotlib": "matplotlib",
    "jinja2": "jinja2",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
}
"""Modules that the commands import, with the names under which they are installed."""

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
        if options.command == "report":
            return report(options.directory, running_mean=options.running_mean)
        return prune(options)
    except (ValueError, OSError) as error:
        unread = isinstance(error, BrokenPipeError)
        return leave_unread(1) if unread else _complain(f"pqindex {options.command}: error: {error}")
    except KeyboardInterrupt:
        print("interrupted: finished iterations are kept, the same command resumes", file=sys.stderr)
        return 130


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(prog="pqindex", description="Sparsity measures, and pruning steered by them.")
    parser.add_argument("--version", action="version", version=f"pqindex {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    add_prune_options(
        commands.add_parser(
            "prune",
            help="train, prune and rewind a network, again and again",
            description="Run the paper's Algorithm 1 with one or several methods and compare them.",
            epilog=METHOD_HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        ),
        seeds=(),
        out=None,
    )
    add_prune_options(
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
    reporting.add_argument(
        "--running-mean",
        action="store_true",
        help="add figures of the accuracy's mean over the iterations so far, which is what the published code plotted",
    )
    add_checkpoint_commands(commands)
    return parser


def prune(options: argparse.Namespace) -> int:
    """Run what the options ask for, then report on everything in the output directory."""
    grid, launch = grid_of(options), Launch.of_environment()
    configs = grid.configurations()
    for config in configs:
        config.method.method()
    out = options.out or Path("runs") / (Path(options.grid).stem if options.grid else grid.preset)
    if options.list:
        return list_runs(configs, out)
    resources = Resources(options.data, options.workers)
    resources.check(config.dataset for config in configs)
    failures = run_all(configs, out, options.jobs, resources, launch)
    for error in dict.fromkeys(str(failure.error) for failure in failures):
        runs = [failure.run for failure in failures if str(failure.error) == error]
        others = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
        _complain(f"pqindex {options.command}: error: {runs[0]}{others}: {error}")
    if len(failures) == len(configs) or (launch.size > 1 and failures):
        return 1
    return 0 if launch.rank else report(out) or int(bool(failures))


def run_all(
    configs: Sequence[RunConfig], out: Path, jobs: int | None, resources: Resources, launch: Launch
) -> list[Failure]:
    """Run all configurations and draw their progress, in the first process if there are several."""
    from rich.console import Console

    from pqi.experiment.progress import progress_bars
    from pqi.experiment.study import default_jobs, execute_all
    from pqi.experiment.world import joined

    console = Console(stderr=True, quiet=launch.rank > 0)
    with joined(launch, configs[0].device), progress_bars(configs, console) as on_advance:
        return execute_all(
            configs,
            out,
            jobs=default_jobs(configs[0].device) if jobs is None else jobs,
            on_advance=on_advance,
            resources=resources,
        )


def list_runs(configs: Sequence[RunConfig], out: Path) -> int:
    """Print each run's directory, how many of its trainings are finished there, and whether it ended early."""
    from pqi.experiment.runs import RunDirectory

    for config in configs:
        run = RunDirectory(out / config.name)
        phase = run.stopped()
        print(f"{run.finished()}/{config.iterations + 1} {run.path}{f' stopped at {phase}' if phase else ''}")
    sys.stdout.flush()
    return 0


def report(directory: Path, *, running_mean: bool = False) -> int:
    """Write figures and page about the runs in `directory`, and print the tables."""
    from rich.console import Console

    from pqi.experiment.report import print_tables, write_report

    written = write_report(directory, running_mean=running_mean)
    print_tables(written.sections, Console())
    print(f"report: {written.page}   figures: {written.figures[0].parent}")
    return 0


def _complain(message: str) -> int:
    print(" ".join(message.split()), file=sys.stderr)
    return 2
