"""Runs of several configurations, one after another or side by side; each resumes on its own.

Side by side, every run has a process to itself, so that its results are the ones it has alone. Workers end with the
process that started them, whichever way that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

import pqi
from pqi.experiment import data, models
from pqi.experiment.config import RunConfig
from pqi.experiment.quantities import GRID
from pqi.experiment.runs import RunDirectory
from pqi.experiment.train import Evaluator, Trainer
from pqi.prune import run_loop

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from pqi.prune import StopAt


RUN_ERRORS = (ValueError, RuntimeError, OSError)
"""What a run may stop with; anything else is a defect and stops everything."""


@dataclass(frozen=True)
class Advance:
    """How far a run has come: `iteration` iterations are finished, and `epochs` epochs of the next one."""

    run: str
    iteration: int
    epochs: int = 0


OnAdvance = Callable[[Advance], None]


@dataclass(frozen=True)
class Failure:
    """A run that stopped with an error; the others went on."""

    run: str
    error: Exception


def execute(config: RunConfig, root: Path, on_advance: OnAdvance) -> None:
    """Run one configuration to its end in its directory under `root`, from where it was left.

    Raises
    ------
    ValueError
        For settings that contradict each other, before any work; for weights that training made NaN or infinite.
    BlockingIOError
        If another process is running it.
    """
    method = config.method.method()
    dataset = data.load(config.dataset)
    model = models.build(config.model, dataset.input_shape, dataset.classes, seed=config.seed)
    run = RunDirectory.create(root, config)

    def on_epoch(iteration: int, epochs: int) -> None:
        on_advance(Advance(config.name, iteration, epochs))

    with run.locked(), _threads(config.threads):
        _seed_everything(config.seed)
        on_advance(Advance(config.name, len(run.records())))
        steps = run_loop(
            model,
            method,
            train=Trainer(dataset, config.training, config.seed, on_epoch),
            evaluate=Evaluator(dataset),
            iterations=config.iterations,
            scope=config.scope,
            grid=GRID,
            storage=run,
            stop_at=cast("StopAt", config.stop_at),
            compat=None if config.compat == "paper" else "published",
        )
        for record in steps:
            on_advance(Advance(config.name, record.iteration + 1))


def execute_all(configs: Sequence[RunConfig], root: Path, *, jobs: int, on_advance: OnAdvance) -> list[Failure]:
    """Run all configurations, `jobs` at a time, and return those that failed.

    Ctrl-C and other exceptions of the calling thread end the workers at once; finished iterations are kept.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be >= 1, got {jobs}")
    if jobs == 1 or len(configs) == 1:
        return _one_by_one(configs, root, on_advance)
    return _side_by_side(configs, root, min(jobs, len(configs)), on_advance)


def default_jobs() -> int:
    """Return how many runs to train side by side: one per usable processor, at most 4."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, 4)


def _one_by_one(configs: Sequence[RunConfig], root: Path, on_advance: OnAdvance) -> list[Failure]:
    errors = ((config, _error(partial(execute, config, root, on_advance))) for config in configs)
    return [Failure(config.name, error) for config, error in errors if error is not None]


def _side_by_side(configs: Sequence[RunConfig], root: Path, jobs: int, on_advance: OnAdvance) -> list[Failure]:
    context = multiprocessing.get_context("spawn")
    events: Queue[Advance] = context.Queue()
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(events,))
    try:
        futures = {executor.submit(_work, config, root): config.name for config in configs}
        while not all(future.done() for future in futures):
            _pass_on(events, on_advance)
            _failures(futures)
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    executor.shutdown()
    _pass_on(events, on_advance)
    return _failures(futures)


def _pass_on(events: Queue[Advance], on_advance: OnAdvance) -> None:
    """Wait a moment for news from the workers and hand on what there is."""
    try:
        event = events.get(timeout=0.1)
        while True:
            on_advance(event)
            event = events.get_nowait()
    except Empty:
        return


def _failures(futures: Mapping[Future[None], str]) -> list[Failure]:
    """Return the runs that have stopped with an error so far."""
    errors = ((name, _error(future.result)) for future, name in futures.items() if future.done())
    return [Failure(name, error) for name, error in errors if error is not None]


def _error(run: Callable[[], None]) -> Exception | None:
    """Return what a run stopped with; a defect is raised."""
    try:
        run()
    except RUN_ERRORS as error:
        return error
    return None


_events: Queue[Advance] | None = None


def _start_worker(events: Queue[Advance]) -> None:
    global _events  # noqa: PLW0603 - the only way to hand a queue to a pool's workers
    _events = events
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(config: RunConfig, root: Path) -> None:
    if _events is None:
        raise RuntimeError("a worker must be started with its queue")
    execute(config, root, _events.put)


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is part of the loop's state
    torch.manual_seed(seed)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Hold torch and pqi to `count` threads; only torch's results may depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    pqi.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        pqi.set_num_threads(0)
