"""Wait until a machine that others share is quiet."""

from __future__ import annotations

import os
import time

import numpy as np

import pqi

PATIENCE = float(os.environ.get("PQI_BENCH_QUIET", "10"))  # seconds, for all rounds of a case together
FIRST_LOOK = min(3.0, PATIENCE)  # seconds, on each number of threads
TOLERANCE = 1.2  # as the tables say
CALLS = 8  # a yardstick's, a millisecond or two
VALUES = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float32)

least: dict[int, float] = {}  # of all yardsticks so far, by the number of threads


def yardstick() -> float:
    """Return how long work within the caches takes on the threads that are set, in seconds."""
    start = time.perf_counter()
    for _ in range(CALLS):
        pqi.index(VALUES)
    return time.perf_counter() - start


def is_quiet() -> bool:
    """Whether that takes little longer than it ever did: no neighbour has a part of the processors."""
    threads = pqi.info()["num_threads"]
    if threads not in least:
        least[threads] = yardstick()
        end = time.perf_counter() + FIRST_LOOK
        while time.perf_counter() < end:
            least[threads] = min(yardstick(), least[threads])
    now = yardstick()
    least[threads] = min(now, least[threads])
    return now <= TOLERANCE * least[threads]


class Patience:
    """How much longer a case's rounds may wait, and how many began while it was not quiet."""

    def __init__(self) -> None:
        self.left = PATIENCE
        self.disturbed = 0

    def wait(self) -> None:
        """Return once it is quiet, or when patience is at an end."""
        quiet, start = is_quiet(), time.perf_counter()
        while not quiet and time.perf_counter() < start + self.left:
            quiet = is_quiet()
        self.left = max(0.0, self.left - (time.perf_counter() - start))
        self.disturbed += not quiet
