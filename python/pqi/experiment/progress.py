"""Progress of several runs in the terminal: a bar for each one that is being trained, and one for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pqi.experiment.config import RunConfig
from pqi.experiment.study import Advance, OnAdvance


@contextmanager
def progress_bars(configs: Sequence[RunConfig], console: Console) -> Iterator[OnAdvance]:
    """Draw bars for these runs and yield what moves them.

    A finished run leaves one line behind; where the output is no terminal, these lines are all there is.
    """
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bars:
        yield _Bars(configs, bars)


class _Bars:
    """Turns advances of runs into the state of their bars."""

    def __init__(self, configs: Sequence[RunConfig], bars: Progress) -> None:
        self._configs = {config.name: config for config in configs}
        self._tasks: dict[str, TaskID] = {}
        self._finished: set[str] = set()
        self._bars = bars
        self._all = bars.add_task("[bold]all runs", total=sum(map(_epochs, configs)), note=self._count())

    def __call__(self, advance: Advance) -> None:
        config = self._configs[advance.run]
        if advance.run not in self._tasks:
            self._tasks[advance.run] = self._bars.add_task(_name(config), total=_epochs(config), note="")
        ended = advance.stopped or advance.iteration > config.iterations
        done = _epochs(config) if ended else advance.iteration * config.training.epochs + advance.epochs
        note = f"iteration {min(advance.iteration, config.iterations)}/{config.iterations}"
        self._bars.update(self._tasks[advance.run], completed=done, note=note)
        if ended and advance.run not in self._finished:
            self._finished.add(advance.run)
            self._bars.update(self._tasks[advance.run], visible=False)
            where = f", stopped at {config.stop_at} after {advance.iteration} trainings" if advance.stopped else ""
            self._bars.console.print(f"[green]✓[/] {_name(config)}{where}")
        completed = sum(task.completed for task in self._bars.tasks if task.id != self._all)
        self._bars.update(self._all, completed=completed, note=self._count())

    def _count(self) -> str:
        return f"{len(self._finished)}/{len(self._configs)} finished"


def _epochs(config: RunConfig) -> int:
    return (config.iterations + 1) * config.training.epochs


def _name(config: RunConfig) -> str:
    return f"{config.method.label}, {config.scope}, seed {config.seed}"
