"""The same bits for every instruction set, number of threads, stride, container and split."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pqi
from cases import BFLOAT16, DISTRIBUTIONS, bits, draw, reversed_memory, sample, strided, to_torch

THREADS = [1, 2, 7]
N = 700_001  # several blocks of the reduction, with a ragged end


pytestmark = pytest.mark.usefixtures("restore_settings")


def inputs() -> dict[str, np.ndarray]:
    """Return arrays of every kernel family: wide and narrow types, integers, rows."""
    normal = draw("normal", N)
    arrays = {f"float32 {name}": draw(name, N // 4) for name in DISTRIBUTIONS}
    return arrays | {
        "float32": normal,
        "float64": normal.astype(np.float64) ** 3,
        "float16": normal.astype(np.float16),
        "bfloat16": normal.astype(BFLOAT16),
        "int8": sample(np.dtype(np.int8), N),
        "int16": sample(np.dtype(np.int16), 50_000),
        "int32": sample(np.dtype(np.int32), N // 4),
        "uint64": sample(np.dtype(np.uint64), N // 4),
    }


def fingerprint(x: Any) -> str:
    """Return a digest of every result of every function on x, whole and by rows."""
    digest = hashlib.sha256()
    rows = x[: x.shape[0] // 500 * 500].reshape(-1, 500)
    calls: list[tuple[Any, dict[str, Any]]] = [(x, {}), (rows, {"axis": 1}), (rows, {"axis": 0})]
    for array, rest in calls:
        for p, q in ((0.5, 1.0), (1.0, 2.0), (0.7, 1.3), (0.1, 3.0)):
            digest.update(bits(pqi.index(array, p, q, **rest)))
            digest.update(bits(np.array(pqi.norms(array, p, q, **rest))))
        digest.update(bits(pqi.index_grid(array, [0.2, 0.5], [1.0, 1.7], **rest)))
        digest.update(bits(pqi.gini(array, **rest)))
        digest.update(bits(pqi.retained_bound(array, 0.6, 1.1, eta=0.01, **rest)))
        group = 500 if rest == {"axis": 1} else array.shape[0]
        for k in (0, 1, group // 10, group // 2, group):
            digest.update(bits(pqi.topk_mask(array, k, **rest)))
            digest.update(bits(pqi.topk_threshold(array, k, **rest)))
        live = np.arange(array.size).reshape(array.shape) % 3 > 0
        digest.update(bits(pqi.index(array, 0.7, 1.3, where=live, **rest)))
        digest.update(bits(pqi.gini(array, where=live, **rest)))
    return digest.hexdigest()


@pytest.mark.parametrize("name", inputs())
def test_instruction_sets_and_threads(name: str) -> None:
    x = inputs()[name]
    results = {}
    for isa in pqi.info()["isas"]:
        pqi.use_isa(isa)
        for threads in THREADS:
            pqi.set_num_threads(threads)
            assert (pqi.info()["isa"], pqi.info()["num_threads"]) == (isa, threads)
            results[isa, threads] = fingerprint(x)
    assert len(set(results.values())) == 1, results


def masked_fingerprint(x: np.ndarray) -> str:
    """Return a digest of every function's results on the live entries of x, whole, by rows and by columns."""
    digest = hashlib.sha256()
    rows = x[: x.size // 500 * 500].reshape(-1, 500)
    calls: list[tuple[Any, dict[str, Any]]] = [(x, {}), (rows, {"axis": 1}), (rows, {"axis": 0})]
    for array, rest in calls:
        live = np.random.default_rng(5).random(array.shape) < 0.6
        k = np.count_nonzero(live, **rest) // 3
        digest.update(bits(pqi.index_grid(array, [0.1, 0.5], [1.0, 2.0], where=live, **rest)))
        digest.update(bits(np.array(pqi.norms(array, 0.6, 1.9, where=live, **rest))))
        digest.update(bits(pqi.power_means(array, [0.3, 1.0, 4.5], where=live, **rest)))
        digest.update(bits(pqi.gini(array, where=live, **rest)))
        digest.update(bits(pqi.retained_bound(array, 0.6, 1.1, where=live, **rest)))
        digest.update(bits(pqi.topk_mask(array, k, where=live, **rest)))
        digest.update(bits(pqi.topk_threshold(array, k, where=live, **rest)))
    return digest.hexdigest()


@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16", "int8", "uint64", "float32 int4"])
def test_instruction_sets_and_threads_under_a_mask(name: str) -> None:
    x = inputs()[name][:160_000]
    results = set()
    for isa in pqi.info()["isas"]:
        pqi.use_isa(isa)
        for threads in THREADS:
            pqi.set_num_threads(threads)
            results.add(masked_fingerprint(x))
    assert len(results) == 1


@pytest.mark.parametrize("dtype", [BFLOAT16, np.dtype(np.float16), np.dtype(np.int8)], ids=str)
def test_histograms(dtype: np.dtype[Any]) -> None:
    """From 2^20 entries on narrow types are counted: whole, strided, masked or pooled, by whichever processor."""
    x = sample(dtype, (1 << 20) + 4_321)
    live = np.random.default_rng(5).random(x.size) < 0.6
    pool = pqi.pooled(np.split(x, [1, 5_000, 700_000]))
    results: set[tuple[bytes, ...]] = set()
    for isa in pqi.info()["isas"]:
        pqi.use_isa(isa)
        for threads in THREADS:
            pqi.set_num_threads(threads)
            for array in (x, strided(x), pool):
                grid = pqi.index_grid(array, [0.1, 0.7], [1.0, 2.0])
                results.add((bits(grid), bits(pqi.gini(array)), bits(pqi.topk_threshold(array, 9_999))))
            masked = pqi.index(x, where=live), pqi.gini(x, where=live), pqi.topk_threshold(x, 9_999, where=live)
            results.add((b"masked", *(bits(value) for value in masked)))
    assert len(results) == 2


def test_python_threads_share_data() -> None:
    """Calls from several threads at once, on the same arrays, with OpenMP's own threads in each."""
    arrays = [inputs()[name][:120_000] for name in ("float32", "float64", "bfloat16", "float32 int4")]
    for x in arrays:
        x.flags.writeable = False
    expected = [fingerprint(x) for x in arrays]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(fingerprint, arrays * 3))
    assert found == expected * 3


WHOLE_PROGRAM = """
import test_reproducible as t
print(t.fingerprint(t.draw("lognormal", 300_001)), t.fingerprint(t.sample(t.np.dtype("i1"), 300_001)))
"""


def test_omp_num_threads() -> None:
    """The environment's own setting changes the number of threads, not the bits."""
    outputs = set()
    for threads in THREADS:
        env = dict(os.environ, OMP_NUM_THREADS=str(threads), PYTHONPATH=str(Path(__file__).parent))
        run = subprocess.run(
            [sys.executable, "-c", WHOLE_PROGRAM], env=env, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        outputs.add(run.stdout)
    assert len(outputs) == 1
    assert outputs == {f"{fingerprint(draw('lognormal', 300_001))} {fingerprint(sample(np.dtype('i1'), 300_001))}\n"}


@pytest.mark.parametrize("isa", pqi.info()["isas_compiled"])
def test_environment_chooses_the_instruction_set(isa: str) -> None:
    """PQI_ISA names one; where this processor lacks it, the import or the first call says so."""
    program = "import pqi; print(pqi.info()['isa'], float(pqi.index([3.0, 0, 0, 1])).hex())"
    env = dict(os.environ, PQI_ISA=isa)
    run = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    if isa in pqi.info()["isas"]:
        assert run.stdout.split() == [isa, float(pqi.index([3.0, 0, 0, 1])).hex()], run.stderr
    else:
        assert run.returncode != 0
        assert isa in run.stderr


@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16", "int8", "float32 int4"])
def test_strides_and_containers(name: str) -> None:
    x = inputs()[name][:150_000]
    expected = fingerprint(x)
    assert fingerprint(strided(x)) == expected
    assert fingerprint(reversed_memory(x)) == expected
    matrix = np.ascontiguousarray(x.reshape(300, 500).T)
    assert bits(pqi.index(matrix.T, 0.7, 1.3)) == bits(pqi.index(x, 0.7, 1.3))
    assert bits(pqi.gini(matrix.T)) == bits(pqi.gini(x))


@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16", "int8", "float32 int4", "float32 lognormal"])
def test_pooled_splits(name: str) -> None:
    x = inputs()[name][:120_000]
    k = x.size // 3
    rng = np.random.default_rng(11)
    for pieces in ([x], np.split(x, [1, 4096, 4097, 60_000]), np.split(x, np.sort(rng.integers(0, x.size, 300)))):
        pool = pqi.pooled([strided(piece) if i % 3 == 1 else piece for i, piece in enumerate(pieces)])
        for p, q in ((0.5, 1.0), (1.0, 2.0), (0.7, 1.3)):
            assert bits(pqi.index(pool, p, q)) == bits(pqi.index(x, p, q))
        assert bits(pqi.gini(pool)) == bits(pqi.gini(x))
        assert bits(pqi.topk_threshold(pool, k)) == bits(pqi.topk_threshold(x, k))
        np.testing.assert_array_equal(np.concatenate(pqi.topk_mask(pool, k)), pqi.topk_mask(x, k))


@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16", "int8"])
def test_a_row_has_the_bits_of_a_vector(name: str) -> None:
    rows = inputs()[name][:60_000].reshape(12, 5_000)
    for measure in (pqi.index, pqi.gini, lambda x, **rest: pqi.index(x, 0.7, 1.3, **rest)):
        by_row = np.asarray(measure(rows, axis=1))
        by_column = np.asarray(measure(np.ascontiguousarray(rows.T), axis=0))
        alone = np.array([measure(row) for row in rows])
        assert bits(by_row) == bits(by_column) == bits(alone)


def test_torch_has_the_bits_of_numpy() -> None:
    pytest.importorskip("torch")
    for name in ("float32", "bfloat16"):
        x = inputs()[name]
        assert bits(pqi.index(to_torch(x), 0.7, 1.3).numpy()) == bits(np.asarray(pqi.index(x, 0.7, 1.3)))


def test_the_power_of_two_in_a_scale_changes_no_bit() -> None:
    for name in ("float32", "float32 lognormal", "float32 half-zero"):
        x = inputs()[name].astype(np.float64)
        for p, q in ((0.5, 1.0), (1.0, 2.0), (0.7, 1.3), (0.1, 3.0)):
            assert len({bits(pqi.index(x * 2.0**e, p, q)) for e in (0, 1, -1, 37, -400, 601)}) == 1
        assert len({bits(pqi.gini(x * 2.0**e)) for e in (0, 1, -1, 37, -400, 601)}) == 1
