"""Arrays and masks that another thread changes during a call: any result or a clear error, never a crash."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest

import pqi
from cases import BFLOAT16, draw

ROUNDS = 4
LAYOUTS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "one vector": ((300_000,), {}),
    "rows of a tile": ((3_000, 100), {"axis": 1}),
    "rows sorted one by one": ((150, 2_000), {"axis": 1}),
    "long rows": ((60, 5_000), {"axis": 1}),
    "columns": ((5_000, 60), {"axis": 0}),
}
CALLS: dict[str, Callable[..., Any]] = {
    "index": pqi.index,
    "general": lambda x, **rest: pqi.index(x, 0.7, 1.3, **rest),
    "gini": pqi.gini,
    "summary": pqi.summary,
}


@contextmanager
def changing(x: np.ndarray, live: np.ndarray) -> Iterator[None]:
    """Overwrite values and mask from two threads until the block ends."""
    done = threading.Event()
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(x.shape).astype(x.dtype), np.zeros_like(x), np.full_like(x, 3)]
    masks = [np.zeros_like(live), np.ones_like(live), rng.random(live.shape) < 0.5]

    def keep_writing(target: np.ndarray, states: list[np.ndarray]) -> None:
        while not done.is_set():
            for state in states:
                np.copyto(target, state)
                time.sleep(1e-4)  # the callers need the interpreter too

    writers = [threading.Thread(target=keep_writing, args=pair) for pair in ((x, values), (live, masks))]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        done.set()
        for writer in writers:
            writer.join()


def select(x: np.ndarray, live: np.ndarray, rest: dict[str, Any]) -> None:
    """Select with counts that hold at one moment and may be too many at the next."""
    for share in (1, 2, 10):
        counts = live.sum(axis=rest.get("axis")) // share
        for function in (pqi.topk_mask, pqi.topk_threshold):
            with suppress(ValueError):  # too many by the time they are checked
                function(x, counts, where=live, **rest)
        mask = pqi.topk_mask(x, x.shape[rest.get("axis", 0)] // 3, **rest)
        assert mask.view(np.uint8).max() <= 1


@pytest.mark.parametrize("dtype", [np.dtype(np.float32), BFLOAT16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_that_change_during_a_call(layout: str, dtype: np.dtype[Any]) -> None:
    shape, rest = LAYOUTS[layout]
    x = draw("normal", int(np.prod(shape))).reshape(shape).astype(dtype)
    live = np.ones(shape, dtype=np.bool_)
    with changing(x, live):
        for _ in range(ROUNDS):
            select(x, live, rest)
            for call in CALLS.values():
                call(x, where=live, **rest)
                call(x, **rest)


@pytest.mark.parametrize("dtype", [np.dtype(np.float16), BFLOAT16], ids=str)
def test_counted_inputs_that_change_during_a_call(dtype: np.dtype[Any]) -> None:
    x = draw("normal", 1 << 20).astype(dtype)
    live = np.ones(x.shape, dtype=np.bool_)
    with changing(x, live):
        for _ in range(2):
            select(x, live, {})
            pqi.gini(x, where=live)
            for call in (pqi.index, lambda x, **rest: pqi.norms(x, 1, 2, **rest)):
                call(x, where=live)
                call(x)


def test_many_callers_at_once() -> None:
    """Every thread gets the result that it would get alone."""
    arrays = [draw(name, 200_000 + 60_000 * i) for i, name in enumerate(("normal", "int4", "lognormal", "normal"))]
    expected = [(pqi.index(x), pqi.gini(x), pqi.topk_mask(x, x.size // 3).tobytes()) for x in arrays]
    found: list[list[Any]] = [[] for _ in arrays]

    def measure(place: int) -> None:
        x = arrays[place]
        for _ in range(ROUNDS):
            found[place].append((pqi.index(x), pqi.gini(x), pqi.topk_mask(x, x.size // 3).tobytes()))

    callers = [threading.Thread(target=measure, args=(place,)) for place in range(len(arrays))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [[one] * ROUNDS for one in expected]


@pytest.mark.usefixtures("restore_settings")
def test_instruction_sets_that_change_during_a_call() -> None:
    x = draw("normal", 1 << 20).astype(BFLOAT16)

    def measure() -> list[float]:
        return [*pqi.power_means(x, [0.5, 1]).tolist(), *pqi.norms(x, 1, 2), pqi.gini(x)]

    expected = measure()
    done = threading.Event()

    def keep_changing() -> None:
        while not done.is_set():
            for isa in pqi.info()["isas"]:
                pqi.use_isa(isa)

    changer = threading.Thread(target=keep_changing)
    changer.start()
    try:
        for _ in range(60):
            assert measure() == expected
    finally:
        done.set()
        changer.join()
