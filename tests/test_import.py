"""Importing is light; the core survives forks, shares the process with torch, and lets other threads run."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import pqi
from cases import draw

HEAVY = ("torch", "matplotlib", "rich", "sklearn", "scipy", "jinja2", "pandas", "ml_dtypes", "importlib.metadata")


def run_program(program: str, *, timeout: float = 120) -> str:
    """Run a program in a fresh interpreter and return what it printed."""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=timeout)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_only_numpy_is_imported() -> None:
    loaded = run_program(
        "import sys, numpy; before = set(sys.modules); import pqi; pqi.index([3.0, 0, 0, 1]); "
        "print(*(set(sys.modules) - before))"
    ).split()
    assert not [name for name in loaded if name.split(".")[0] in HEAVY or name in HEAVY]
    outside = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"numpy", "pqi"}
    assert not outside


def test_it_works_where_nothing_but_numpy_is_installed() -> None:
    program = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import numpy as np, pqi
x = np.arange(12.0).reshape(3, 4)
print(pqi.index([3.0, 0, 0, 1]), pqi.gini(x, axis=1).shape, pqi.topk_mask(x, 5).sum(), pqi.summary(x).zeros)
"""
    value, *rest = run_program(program).split()
    assert float(value) == pytest.approx(0.5334936490538904, abs=1e-15)
    assert rest == ["(3,)", "5", "1"]


FORK = """
import os, signal, sys
import numpy as np
{imports}
x = np.random.default_rng(0).standard_normal(3_000_000).astype(np.float32)
pqi.set_num_threads(3)
def everything():
    return repr((pqi.index(x), pqi.index(x, .7, 1.3), pqi.gini(x), int(pqi.topk_mask(x, 1000).sum()),
                 pqi.gini(x.reshape(-1, 1000), axis=1).sum(), pqi.index(x.astype(np.float16))))
before = everything()
{torch_work}
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    signal.alarm(60)  # a hang in the child ends it
    os.write(writing, everything().encode())
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert os.read(reading, 1 << 16).decode() == before
assert everything() == before
print("same")
"""
TORCH_WORK = "torch.set_num_threads(3); torch.rand(2_000_000).exp().sum(); assert everything() == before"


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork on this system")
@pytest.mark.parametrize(
    ("imports", "torch_work"),
    [("import pqi", ""), ("import pqi, torch", TORCH_WORK), ("import torch, pqi", TORCH_WORK)],
    ids=["alone", "before torch", "after torch"],
)
def test_a_forked_child_computes(imports: str, torch_work: str) -> None:
    """After a parallel region a forked child must not wait for threads that it doesn't have."""
    if "torch" in imports:
        pytest.importorskip("torch")
    assert run_program(FORK.format(imports=imports, torch_work=torch_work)) == "same\n"


def test_many_threads_at_once() -> None:
    arrays = [draw("normal", 100_000 + 1_000 * i, seed=i) for i in range(8)]

    def everything(i: int) -> tuple[object, ...]:
        x = arrays[i % len(arrays)]
        rows = x[:100_000].reshape(100, 1000)
        mask = pqi.topk_mask(x, 777)
        return pqi.index(x), pqi.index(x, 0.7, 1.3), pqi.gini(x), mask.tobytes(), pqi.gini(rows, axis=1).tobytes()

    expected = [everything(i) for i in range(len(arrays))]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(everything, range(64)))
    for i, result in enumerate(results):
        assert result == expected[i % len(arrays)]


def ticks_during(function: Callable[[np.ndarray], object], x: np.ndarray) -> int:
    """Return how often this thread got to run well inside a call that another thread makes."""
    span: list[float] = []

    def work() -> None:
        span.append(time.perf_counter())
        function(x)
        span.append(time.perf_counter())

    thread = threading.Thread(target=work)
    ticks = []
    thread.start()
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(1e-4)
    start, end = span
    margin = 0.2 * (end - start)
    return sum(start + margin < tick < end - margin for tick in ticks)


@pytest.mark.parametrize("function", [pqi.gini, lambda x: pqi.index(x, 0.7, 1.3), lambda x: pqi.topk_mask(x, 10**5)])
def test_other_threads_run_meanwhile(function: Callable[[np.ndarray], object]) -> None:
    """A call that held the interpreter's lock would leave no tick between its start and its end."""
    x = np.tile(draw("normal", 1_000_000).astype(np.float64), 8)
    before = pqi.info()["num_threads"]
    pqi.set_num_threads(1)
    try:
        assert any(ticks_during(function, x) for _ in range(5))
    finally:
        pqi.set_num_threads(before)
