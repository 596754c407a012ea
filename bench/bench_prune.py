"""A pruning step of a ResNet18 in each scope: measure, amounts and masks, beside a read pass over its weights.

The bar is a quarter of a second on two threads. The first of ``PQI_BENCH_THREADS`` is the threads (default 2), and
``PQI_BENCH_ROUNDS`` how often each step is timed (default 15), every time from the same weights and masks.
"""

from __future__ import annotations

import os
import statistics
import time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness import use_threads
from pqi import _core

torch = pytest.importorskip("torch")

from pqi.experiment import models  # noqa: E402 - both need torch
from pqi.prune import SAP, Amount, Fraction, Pruner  # noqa: E402

THREADS = int(os.environ.get("PQI_BENCH_THREADS", "2").split(",")[0])
ROUNDS = int(os.environ.get("PQI_BENCH_ROUNDS", "15"))
AMOUNTS: dict[str, Amount] = {"SAP": SAP(0.5, 1.0), "lottery-ticket": Fraction(0.2)}


@pytest.mark.parametrize("scope", ["neuron", "layer", "global"])
@pytest.mark.parametrize("amount", AMOUNTS)
def test_step(benchmark: BenchmarkFixture, amount: str, scope: str) -> None:
    use_threads(THREADS)
    pruner = Pruner(models.build("resnet18", (3, 32, 32), 10, seed=0), amount=AMOUNTS[amount], scope=scope)
    first = pruner.step()
    state = pruner.state_dict(initial=False)
    views = [_core.View.of_numpy(weight.detach().numpy(), "weight") for weight in pruner.weights().values()]
    passes: list[float] = []

    def again() -> None:
        pruner.load_state_dict(state)
        pruner.rewind()  # or what the last round pruned would be live zeros
        start = time.perf_counter()
        for view in views:
            _core.read_pass(view)
        passes.append(time.perf_counter() - start)

    report = benchmark.pedantic(  # type: ignore[no-untyped-call]
        pruner.step, setup=again, rounds=ROUNDS, iterations=1, warmup_rounds=1
    )
    assert report.remaining == first.remaining - report.pruned == sum(int(mask.sum()) for mask in pruner.masks.values())
    assert len(report.groups) == {"neuron": 4810, "layer": 21, "global": 1}[scope]
    assert report.pruned > 0
    taken: list[float] = benchmark.stats.stats.data  # type: ignore[union-attr]
    benchmark.extra_info.update(read_pass=statistics.median(passes), threads=THREADS)
    print(
        f"\nResNet18, {amount}, {scope}, {THREADS} threads: median {statistics.median(taken):.3f} s, "
        f"best {min(taken):.3f} s; read pass {1e3 * statistics.median(passes):.2f} ms, best {1e3 * min(passes):.2f} ms"
    )
