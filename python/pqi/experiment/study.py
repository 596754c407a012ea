"""Runs of several configurations, one after another or side by side; each resumes on its own.

Side by side, every run has a process to itself, so that its results are the ones it has alone. Workers end with the
process that started them, whichever way that ends.
"""

from __future__ import annotations

import itertools
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

from pqi.experiment import data, models
from pqi.experiment.config import RunConfig
from pqi.experiment.place import placed
from pqi.experiment.quantities import GRID
from pqi.experiment.resources import Resources
from pqi.experiment.runs import RunDirectory
from pqi.experiment.train import Evaluator, Trainer
from pqi.experiment.world import SharedStorage, World
from pqi.prune import Storage, run_loop

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from pqi.prune import StopAt


NOTHING = Resources()
"""What runs on embedded data need."""
RUN_ERRORS = (ValueError, RuntimeError, OSError)
"""What a run may stop with; anything else is a defect and stops everything."""


@dataclass(frozen=True)
class Advance:
    """How far a run has come: `iteration` iterations are finished, and `epochs` epochs of the next one."""

    run: str
    iteration: int
    epochs: int = 0
    stopped: bool = False
    """Whether the run ends here, at the phase that it was to stop at."""


OnAdvance = Callable[[Advance], None]


@dataclass(frozen=True)
class Failure:
    """A run that stopped with an error; the others went on."""

    run: str
    error: Exception


def execute(config: RunConfig, root: Path, on_advance: OnAdvance, resources: Resources = NOTHING) -> None:
    """Run one configuration to its end in its directory under `root`, from where it was left.

    Processes that `joined` each other train together, and the first of them writes.

    Raises
    ------
    ValueError
        For settings that contradict each other, before any work; for weights that training made NaN or infinite.
    BlockingIOError
        If another process is running it.
    """
    method = config.method.method()
    dataset = data.load(config.dataset, resources.data)
    model = models.build(config.model, dataset.input_shape, dataset.classes, seed=config.seed)

    def on_epoch(iteration: int, epochs: int) -> None:
        on_advance(Advance(config.name, iteration, epochs))

    with placed(config, resources.workers) as place, _opened(root, config, place.world) as storage:
        _seed_everything(config.seed)
        model.to(place.device)
        state = storage.load_last()
        done = 0 if state is None else state["iteration"]
        on_advance(Advance(config.name, done))
        steps = run_loop(
            model,
            method,
            train=Trainer(dataset, config.training, config.seed, on_epoch, place),
            evaluate=Evaluator(dataset, place),
            iterations=config.iterations,
            scope=config.scope,
            grid=GRID,
            storage=storage,
            stop_at=cast("StopAt", config.stop_at),
            compat=None if config.compat == "paper" else "published",
        )
        for record in steps:
            done = record.iteration + 1
            on_advance(Advance(config.name, done))
        if done <= config.iterations:
            on_advance(Advance(config.name, done, stopped=True))


def execute_all(
    configs: Sequence[RunConfig], root: Path, *, jobs: int, on_advance: OnAdvance, resources: Resources = NOTHING
) -> list[Failure]:
    """Run all configurations, `jobs` at a time, and return those that failed.

    Processes that `joined` each other run them one by one, and stop at the first failure: it may be one's own.

    Ctrl-C and other exceptions of the calling thread end the workers at once; finished iterations are kept.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be >= 1, got {jobs}")
    if World.current().size > 1:
        failures = _one_by_one(configs, root, on_advance, resources)
        return list(itertools.islice(failures, 1))
    if jobs == 1 or len(configs) == 1:
        return list(_one_by_one(configs, root, on_advance, resources))
    return _side_by_side(configs, root, min(jobs, len(configs)), on_advance, resources)


def default_jobs(device: str = "cpu") -> int:
    """Return how many runs to train side by side: one per usable processor, at most 4; one on a GPU."""
    if device != "cpu":
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, 4)


@contextmanager
def _opened(root: Path, config: RunConfig, world: World) -> Iterator[Storage]:
    """Open the run's directory and lock it, in the process that writes."""
    if not world.leads:
        yield SharedStorage(world, None)
        return
    run = RunDirectory.create(root, config)
    with run.locked():
        yield run if world.size == 1 else SharedStorage(world, run)


def _one_by_one(
    configs: Sequence[RunConfig], root: Path, on_advance: OnAdvance, resources: Resources
) -> Iterator[Failure]:
    for config in configs:
        error = _error(partial(execute, config, root, on_advance, resources))
        if error is not None:
            yield Failure(config.name, error)


def _side_by_side(
    configs: Sequence[RunConfig], root: Path, jobs: int, on_advance: OnAdvance, resources: Resources
) -> list[Failure]:
    context = multiprocessing.get_context("spawn")
    events: Queue[Advance] = context.Queue()
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(events,))
    try:
        futures = {executor.submit(_work, config, root, resources): config.name for config in configs}
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


def _work(config: RunConfig, root: Path, resources: Resources) -> None:
    if _events is None:
        raise RuntimeError("a worker must be started with its queue")
    execute(config, root, _events.put, resources)


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is part of the loop's state
    torch.manual_seed(seed)
