"""`set_workspace_limit`, `release_workspace`: memory kept between calls is bounded, releasable and nobody's twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pqi
from cases import draw

N = 400_000


@pytest.fixture(autouse=True)
def restore_limit() -> Iterator[None]:
    """Start without any kept memory, and put the limit back."""
    before = pqi.info()["workspace_limit"]
    pqi.release_workspace()
    yield
    pqi.set_workspace_limit(before)


def held() -> int:
    """Return the bytes kept now."""
    kept: int = pqi.info()["workspace_bytes"]
    return kept


def test_a_call_leaves_its_workspace_and_the_next_one_uses_it() -> None:
    x = draw("normal", N)
    first = pqi.gini(x)
    kept = held()
    assert kept >= 2 * N  # the 16-bit lows of the partition
    for _ in range(10):
        assert pqi.gini(x) == first
        assert held() < 1.5 * kept  # how many small blocks there are at once is the threads' timing
    pqi.release_workspace()
    assert held() == 0


@pytest.mark.parametrize("limit", [0, 100_000, 3 << 20])
def test_the_limit_holds(limit: int) -> None:
    x = draw("normal", N)
    expected = (pqi.gini(x), pqi.topk_mask(x, N // 2).tobytes(), pqi.gini(x.astype(np.float64)))
    pqi.set_workspace_limit(limit)
    assert held() <= limit
    for _ in range(2):
        assert (pqi.gini(x), pqi.topk_mask(x, N // 2).tobytes(), pqi.gini(x.astype(np.float64))) == expected
        assert held() <= limit


def test_lowering_the_limit_gives_memory_back() -> None:
    pqi.gini(draw("normal", N))
    kept = held()
    pqi.set_workspace_limit(kept // 2)
    assert 0 < held() <= kept // 2


def test_sizes_that_vary_do_not_pile_up() -> None:
    pqi.set_workspace_limit(8 << 20)
    for n in range(280_000, 700_000, 30_000):
        pqi.gini(draw("normal", n))
        assert held() <= 8 << 20


def test_a_large_mask_gives_its_memory_back_with_its_last_view() -> None:
    x = draw("normal", 3 << 20).reshape(3, -1)
    mask = pqi.topk_mask(x, 1_000)
    idle = held()
    view = mask[1:]
    kept = view.copy()
    del mask
    assert held() == idle
    again = pqi.topk_mask(-x[::-1], 1_000)
    assert not np.shares_memory(view, again)
    np.testing.assert_array_equal(view, kept)
    idle = held()
    del view
    assert held() >= idle + x.size
    idle = held()
    assert pqi.topk_mask(x, 1_000).sum() == 1_000
    assert held() == idle
    pqi.release_workspace()
    assert held() == 0
    assert again.sum() == 1_000


def test_callers_never_share_a_block() -> None:
    arrays = [draw(name, N, seed) for seed, name in enumerate(("normal", "int4", "lognormal"))]
    expected = [(pqi.gini(x), pqi.topk_mask(x, N // 3).tobytes()) for x in arrays]
    wrong: list[int] = []

    def measure(place: int) -> None:
        x = arrays[place]
        for _ in range(5):
            if (pqi.gini(x), pqi.topk_mask(x, N // 3).tobytes()) != expected[place]:
                wrong.append(place)
            if place == 0:
                pqi.release_workspace()

    callers = [threading.Thread(target=measure, args=(place,)) for place in range(len(arrays))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


AFTER_A_FORK = """
import os, threading
import pqi
from cases import draw
x = draw("normal", 400_000)
expected = pqi.gini(x)
stop = threading.Event()
def keep_busy():
    while not stop.is_set():
        pqi.gini(x)
busy = threading.Thread(target=keep_busy)
busy.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        same = pqi.gini(x) == expected
        pqi.release_workspace()
        os._exit(0 if same and pqi.info()["workspace_bytes"] == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
busy.join()
print("same" if pqi.gini(x) == expected else "different")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_fork_goes_on_while_another_thread_computes() -> None:
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", AFTER_A_FORK]
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout) == (0, "same\n"), run.stderr


@pytest.mark.parametrize(
    ("value", "error"), [(-1, ValueError), (1 << 63, ValueError), (1.5, TypeError), ("1", TypeError)]
)
def test_wrong_limits(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"limit must .*, got"):
        pqi.set_workspace_limit(value)
