"""Scanning and pruning a generated bfloat16 checkpoint in four shards, beside a read pass over its bytes.

``PQI_BENCH_SCAN_GB`` sets the size (default 0.5), the first of ``PQI_BENCH_THREADS`` the threads and
``PQI_BENCH_SCAN_DIR`` the folder in which the files are made; they are in the page cache when they are timed.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pqi
from plan import THREAD_AXIS
from pqi import _core
from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.reading import open_checkpoint

THREADS = THREAD_AXIS[0]
GIGABYTES = float(os.environ.get("PQI_BENCH_SCAN_GB", "0.5"))
SHARDS, WIDTH = 4, 4096
PAIRS = [(0.5, 1.0), (1.0, 2.0), (0.5, 2.0)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the index of a checkpoint whose layers are ever sparser."""
    chosen = os.environ.get("PQI_BENCH_SCAN_DIR")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("scan")
    yield generate(folder, int(GIGABYTES * 1e9))
    for path in folder.glob("*.safetensors"):
        path.unlink()


def generate(folder: Path, size: int) -> Path:
    """Write shards of bfloat16 matrices of altogether about `size` bytes, and return their index."""
    rng = np.random.default_rng(0)
    rows = 14336 if size > 2**31 else 1024
    layers = max(1, size // SHARDS // (2 * rows * WIDTH))
    where = {}
    for shard in range(SHARDS):
        header, name = {}, f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        for layer in range(layers):
            begin = layer * rows * WIDTH * 2
            key = f"layers.{shard * layers + layer}.weight"
            header[key] = {"dtype": "BF16", "shape": [rows, WIDTH], "data_offsets": [begin, begin + rows * WIDTH * 2]}
            where[key] = name
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with (folder / name).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for layer in range(layers):
                values = rng.standard_normal((rows, WIDTH), np.float32)
                values *= 0.02 * np.exp(0.1 * layer * values)
                file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return index


def read_pass(index: Path) -> float:
    """Seconds of a sum over all bytes of the shards, freshly mapped, on the same threads."""
    start = time.perf_counter()
    for path in sorted(index.parent.glob("*.safetensors")):
        _core.read_pass(_core.View.of_numpy(map_file(path), "x"))
    return time.perf_counter() - start


def memory() -> dict[str, int]:
    """Return the process's resident bytes by kind."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {fields[0]: int(fields[1]) * 1024 for fields in lines if fields[0] in ("RssAnon:", "RssFile:")}


def watched(call: Callable[[], Any]) -> tuple[Any, int]:
    """Return a call's result, and by how many bytes the memory beyond mapped files grew at most."""
    before, most, done = memory()["RssAnon:"], 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.01):
            most = max(most, memory()["RssAnon:"] - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return call(), most
    finally:
        done.set()
        watcher.join()


def timed(
    benchmark: BenchmarkFixture, checkpoint: Path, call: Callable[[], Any], clean: Callable[[], None] = lambda: None
) -> Any:
    """Time a call in rounds, each after a clean-up and a read pass, and note the ratio and the memory."""
    pqi.set_num_threads(THREADS)
    result, anonymous = watched(call)
    passes: list[float] = []

    def prepare() -> None:
        clean()
        passes.append(read_pass(checkpoint))

    benchmark.pedantic(call, setup=prepare, rounds=3, iterations=1)  # type: ignore[no-untyped-call]
    benchmark.extra_info.update(read_pass=float(np.median(passes)), anonymous_bytes=anonymous, threads=THREADS)
    stats: Any = benchmark.stats
    print(
        f"\n{benchmark.name}: {stats.stats.median:.3f} s, read pass {np.median(passes):.3f} s, "
        f"ratio {stats.stats.median / np.median(passes):.2f}, {anonymous / 1e6:.0f} MB beyond the mapped files"
    )
    return result


@pytest.mark.parametrize("spread", [False, True], ids=["vector", "units"])
def test_scan(benchmark: BenchmarkFixture, checkpoint: Path, spread: bool) -> None:
    report = timed(benchmark, checkpoint, lambda: pqi.scan(checkpoint, pairs=PAIRS, spread=spread))
    first = next(tensor for tensor in open_checkpoint(checkpoint).tensors if tensor.name == report.tensors[0].name)
    measures = report.tensors[0].measures
    assert measures.gini == pqi.gini(first.array())
    assert [pair.index for pair in measures.pairs] == [pqi.index(first.array(), *pair) for pair in PAIRS]


@pytest.mark.parametrize("scope", ["global", "layer", "neuron"])
def test_mask(benchmark: BenchmarkFixture, checkpoint: Path, tmp_path: Path, scope: str) -> None:
    from pqi.checkpoint.masking import mask_checkpoint
    from pqi.prune import SAP

    def call() -> Any:
        return mask_checkpoint(
            open_checkpoint(checkpoint), tmp_path / "out", SAP(), scope=scope, compress=False, overwrite=True
        )

    def clean() -> None:
        """Remove the output: giving an old file's pages back is not what is timed."""
        for path in (tmp_path / "out").iterdir():
            path.unlink()

    report = timed(benchmark, checkpoint, call, clean)
    assert sum(found.kept for found in report.tensors) == report.kept
    written = pqi.scan(tmp_path / "out" / checkpoint.name, spread=False)
    assert written.total.measures is not None
    assert written.total.measures.zeros == report.total - sum(found.nonzero for found in report.tensors)
    clean()
