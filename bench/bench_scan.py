"""Scanning and pruning a generated bfloat16 checkpoint in four shards, beside a read pass over its bytes.

``PQI_BENCH_SCAN_GB`` sets the size (default 0.5) and the first of ``PQI_BENCH_THREADS`` the threads; files are made
anew, or kept from run to run in the folder ``PQI_BENCH_SCAN_DIR``. They are in the page cache when they are timed. In
every round a read pass and both scans go before what is timed, so that ratios are between neighbours. At the end comes
a table with the bars: a scan as the command makes it, with the spread over units, and three pairs of exponents, takes
up to six read passes, and a mask up to three such scans.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import pqi
from plan import THREAD_AXIS
from pqi import _core
from pqi.checkpoint.block_file import BLOCK, BlockFile, aligned
from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.page_cache import absorbed
from pqi.checkpoint.reading import open_checkpoint

THREADS = THREAD_AXIS[0]
GIGABYTES = float(os.environ.get("PQI_BENCH_SCAN_GB", "0.5"))
SHARDS, WIDTH = 4, 4096
PAIRS = [(0.5, 1.0), (1.0, 2.0), (0.5, 2.0)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the index of a checkpoint whose layers are ever sparser."""
    chosen, size = os.environ.get("PQI_BENCH_SCAN_DIR"), int(GIGABYTES * 1e9)
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("scan")
    kept = folder / "model.safetensors.index.json"
    made = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    yield kept if chosen and kept.exists() and size * 0.95 < made <= size * 1.01 else generate(folder, size)
    if not chosen:
        remove(folder)


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
        noise = rng.standard_normal((rows, WIDTH), np.float32)
        with (folder / name).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for layer in range(layers):
                values = noise * (0.02 * np.exp(0.1 * layer * noise))
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


@dataclass(frozen=True)
class Row:
    """What is said about one job: medians over the rounds."""

    job: str
    seconds: float
    passes: float
    """Ratio to the read pass."""
    scans: tuple[float, float]
    """Ratios to the scan with the spread over units, and without."""
    anonymous: int


ROWS: list[Row] = []
BARS = {"scan[units]": "passes <= 6", "mask[global]": "scans <= 3", "mask[layer]": "scans <= 3"}


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Print all results and their bars at the end."""
    yield
    print(f"\n\n{GIGABYTES:g} GB of bfloat16 in {SHARDS} shards, {THREADS} threads; bars: scan[units] and mask\n")
    print(f"{'job':<14}{'seconds':>9}{'/ read pass':>13}{'/ scan':>9}{'/ scan without units':>22}{'MB':>6}  bar")
    for row in ROWS:
        with_units, without = row.scans
        bar = BARS.get(row.job, "")
        kept = (row.passes <= 6) if bar.startswith("passes") else (with_units <= 3)
        print(
            f"{row.job:<14}{row.seconds:>9.2f}{row.passes:>13.2f}{with_units:>9.2f}{without:>22.2f}"
            f"{row.anonymous / 1e6:>6.0f}  {bar + (': kept' if kept else ': NOT KEPT') if bar else ''}"
        )
    print("MB: resident beyond the mapped files; bar 300")


def timed(
    benchmark: BenchmarkFixture, checkpoint: Path, call: Callable[[], Any], clean: Callable[[], None] = lambda: None
) -> Any:
    """Time a call in rounds, each after a clean-up, a read pass and both scans, and note the ratios and the memory."""
    pqi.set_num_threads(THREADS)
    result, anonymous = watched(call)
    neighbours: list[tuple[float, float, float]] = []

    def prepare() -> None:
        clean()
        passed = read_pass(checkpoint)
        neighbours.append((passed, seconds(checkpoint, spread=True), seconds(checkpoint, spread=False)))

    benchmark.pedantic(call, setup=prepare, rounds=3, iterations=1)  # type: ignore[no-untyped-call]
    found: Any = benchmark.stats
    # pytest-benchmark keeps the rounds in order.
    ratios = np.median(np.array(found.stats.data)[:, None] / np.array(neighbours), axis=0)
    name = benchmark.name.removeprefix("test_")
    ROWS.append(Row(name, found.stats.median, ratios[0], (ratios[1], ratios[2]), anonymous))
    benchmark.extra_info.update(read_pass=ratios[0], scans=list(ratios[1:]), anonymous_bytes=anonymous, threads=THREADS)
    return result


def seconds(checkpoint: Path, *, spread: bool) -> float:
    """Seconds that a scan takes."""
    start = time.perf_counter()
    pqi.scan(checkpoint, pairs=PAIRS, spread=spread)
    return time.perf_counter() - start


@pytest.mark.parametrize("spread", [True, False], ids=["units", "vector"])
def test_scan(benchmark: BenchmarkFixture, checkpoint: Path, spread: bool) -> None:
    report = timed(benchmark, checkpoint, lambda: pqi.scan(checkpoint, pairs=PAIRS, spread=spread))
    first = next(tensor for tensor in open_checkpoint(checkpoint).tensors if tensor.name == report.tensors[0].name)
    measures = report.tensors[0].measures
    assert measures.gini == pqi.gini(first.array())
    assert [pair.index for pair in measures.pairs] == [pqi.index(first.array(), *pair) for pair in PAIRS]
    assert [pair.bound for pair in measures.pairs] == [pqi.retained_bound(first.array(), *pair) for pair in PAIRS]


def test_histograms(benchmark: BenchmarkFixture, checkpoint: Path) -> None:
    """What a mask has to read before it can write: the counts that the bound and the threshold follow from."""
    timed(benchmark, checkpoint, lambda: [pqi.histogram(x.array()) for x in open_checkpoint(checkpoint).tensors])


def test_write(benchmark: BenchmarkFixture, checkpoint: Path, tmp_path: Path) -> None:
    """The floor of a mask: as many bytes, ready in memory, to as many new files."""
    sizes = [path.stat().st_size for path in sorted(checkpoint.parent.glob("*.safetensors"))]
    direct, buffers = sum(sizes) > absorbed(), threading.local()

    def put(job: tuple[BlockFile, int, int]) -> None:
        file, begin, size = job
        if not hasattr(buffers, "block"):
            buffers.block = aligned()
            buffers.block[:] = np.random.default_rng(0).integers(0, 256, BLOCK, np.uint8)
        file.write_block(begin, buffers.block, min(BLOCK, size - begin))

    def call() -> None:
        files = [BlockFile(tmp_path / str(place), size, direct=direct) for place, size in enumerate(sizes)]
        with ThreadPoolExecutor(THREADS * (2 if direct else 1)) as pool:
            jobs = [
                (file, begin, size) for file, size in zip(files, sizes, strict=True) for begin in range(0, size, BLOCK)
            ]
            list(pool.map(put, sorted(jobs, key=lambda job: job[1])))
        for file in files:
            file.finish()
            file.close()

    timed(benchmark, checkpoint, call, lambda: remove(tmp_path))
    remove(tmp_path)


def remove(folder: Path) -> None:
    """Remove a folder's files: giving an old file's pages back is not what is timed."""
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize("scope", ["global", "layer", "neuron"])
def test_mask(benchmark: BenchmarkFixture, checkpoint: Path, tmp_path: Path, scope: str) -> None:
    from pqi.checkpoint.masking import mask_checkpoint
    from pqi.prune import SAP

    out = tmp_path / "out"

    def call() -> Any:
        return mask_checkpoint(open_checkpoint(checkpoint), out, SAP(), scope=scope, compress=False, overwrite=True)

    report = timed(benchmark, checkpoint, call, lambda: remove(out))
    assert sum(found.kept for found in report.tensors) == report.kept
    written = pqi.scan(out / checkpoint.name, spread=False)
    assert written.total.measures is not None
    assert written.total.measures.zeros == report.total - sum(found.nonzero for found in report.tensors)
    remove(out)
