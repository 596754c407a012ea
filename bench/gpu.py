"""Every job of the CUDA module beside its peers: milliseconds and multiples of a measured read of the same bytes.

Run by bench/gpu.sh on a machine with a GPU.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime as dt
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

try:
    from pqi import _core, _cuda
except ImportError as error:
    raise SystemExit(f"this needs pqi built with a CUDA compiler (-C cmake.define.PQI_CUDA=ON): {error}") from error

REPEATS = 20


@dataclass
class Row:
    """One job on one array, timed."""

    job: str
    dtype: str
    milliseconds: float
    passes: float
    peer: str
    peer_milliseconds: float


def median_ms(call: Callable[[], Any]) -> float:
    """Return the median time of a call on the device, after two calls that do not count."""
    times = []
    for i in range(REPEATS + 2):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        call()
        end.record()
        end.synchronize()
        if i > 1:
            times.append(start.elapsed_time(end))
    return float(statistics.median(times))


def view(tensor: torch.Tensor) -> Any:
    """Return a tensor as the CUDA module takes it."""
    return _cuda.View.of_dlpack(tensor.__dlpack__(stream=-1), "x")


def both_norms(x: torch.Tensor, p: float, q: float) -> Any:
    """Return what torch has for `norms`."""
    return torch.linalg.vector_norm(x, p), torch.linalg.vector_norm(x, q)


def largest(x: torch.Tensor, k: int) -> Any:
    """Return what torch has for `topk_mask`."""
    return torch.topk(x.abs(), k)


def jobs(x: torch.Tensor) -> Iterator[tuple[str, Callable[[], Any], str, Callable[[], Any] | None]]:
    """Yield each job, and a peer where torch has one that takes so many elements."""
    stream = torch.cuda.current_stream().cuda_stream
    array, rows = [view(x)], [view(x[: x.numel() // 256 * 256].view(-1, 256))]
    one, two = (view(torch.empty(n, dtype=torch.float64, device="cuda")) for n in (1, 2))
    many = view(torch.empty(x.numel() // 256, dtype=torch.float64, device="cuda"))
    mask = torch.empty(x.numel(), dtype=torch.bool, device="cuda")
    row_mask = mask[: x.numel() // 256 * 256].view(-1, 256)
    for p, q in ((0.5, 1.0), (1.0, 2.0), (0.7, 1.3)):
        own = partial(_cuda.norms, array, [], None, p, q, two, stream)
        yield f"norms ({p:g}, {q:g})", own, "torch", partial(both_norms, x, p, q)
    gini_peer = (lambda: torch.sort(x.abs())) if x.dtype == torch.float32 else None
    yield "Gini", lambda: _cuda.gini(array, [], None, one, stream), "torch.sort", gini_peer
    if x.dtype == torch.float32:
        interval = view(torch.empty(5, dtype=torch.float64, device="cuda"))
        for tol in (1e-6, 1e-8):
            sketch = partial(
                _cuda.gini_intervals, array, [], None, None, _core.interval_bits(tol), False, interval, stream
            )
            yield f"Gini within {tol:g}", sketch, "torch.sort", gini_peer
    for share in (100, 10, 2):
        k = x.numel() // share
        own = partial(_cuda.topk_mask, array, [], None, k, [view(mask)], stream)
        yield f"top-k mask {100 // share} %", own, "torch.topk", partial(largest, x, k)
    matrix = x[: x.numel() // 256 * 256].view(-1, 256)
    yield "rows of 256: Gini", lambda: _cuda.gini(rows, [], (1,), many, stream), "torch.sort", matrix.abs().sort
    yield (
        "rows of 256: top-k mask 10 %",
        lambda: _cuda.topk_mask(rows, [], (1,), 25, [view(row_mask)], stream),
        "torch.topk",
        partial(largest, matrix, 25),
    )


def measure(elements: int, dtype: torch.dtype, cub: Path | None) -> Iterator[Row]:
    """Yield a row for every job; a peer that runs out of memory is left out."""
    x = torch.randn(elements, device="cuda").to(dtype)
    read = median_ms(x.view(torch.int16 if x.element_size() == 2 else torch.int32).max)
    yield Row("one read (torch max)", str(dtype), read, 1.0, "", 0.0)
    if cub is not None:
        yield from cub_rows(cub, x, read)
        torch.cuda.empty_cache()
    for name, call, peer, peer_call in jobs(x):
        own, other = median_ms(call), 0.0
        try:
            other = median_ms(peer_call) if peer_call is not None else 0.0
        except torch.OutOfMemoryError:
            other = float("inf")
        torch.cuda.empty_cache()
        yield Row(name, str(dtype), own, own / read, peer, other)


class Cub:
    """Jobs of bench/cub_peers.cu on the magnitudes of an array, in scratch memory of torch's."""

    def __init__(self, library: Path, x: torch.Tensor) -> None:
        self._library = ctypes.CDLL(str(library))
        width = torch.int16 if x.element_size() == 2 else torch.int32
        self._keys, self._out = x.abs().view(width), torch.empty_like(x).view(width)
        self._scratch = {name: torch.empty(self._run(name, None), dtype=torch.uint8) for name in ("sort", "max")}
        self._scratch = {name: scratch.cuda() for name, scratch in self._scratch.items()}

    def _run(self, name: str, scratch: int | None) -> int:
        size = ctypes.c_size_t(self._scratch[name].numel() if scratch is not None else 0)
        failed = getattr(self._library, f"cub_{name}")(
            ctypes.c_void_p(scratch),
            ctypes.byref(size),
            ctypes.c_void_p(self._keys.data_ptr()),
            ctypes.c_void_p(self._out.data_ptr()),
            ctypes.c_int64(self._keys.numel()),
            self._keys.element_size(),
            ctypes.c_void_p(torch.cuda.current_stream().cuda_stream),
        )
        if failed:
            raise RuntimeError(f"cub_{name} failed with CUDA's error {failed}")
        return size.value

    def sort(self) -> None:
        """Sort the magnitudes."""
        self._run("sort", self._scratch["sort"].data_ptr())

    def max(self) -> None:
        """Find the largest."""
        self._run("max", self._scratch["max"].data_ptr())


def cub_rows(library: Path, x: torch.Tensor, read: float) -> Iterator[Row]:
    """Yield what CUB takes for the same array."""
    cub = Cub(library, x)
    for name, call in (("one read (CUB max)", cub.max), ("the magnitudes sorted (CUB)", cub.sort)):
        taken = median_ms(call)
        yield Row(name, str(x.dtype), taken, taken / read, "", 0.0)


def copy_bandwidth() -> float:
    """Return bytes read and written a second by a copy of 1 GiB."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() / (median_ms(lambda: target.copy_(source)) * 1e-3)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--elements", type=float, default=1e9)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--card", default="", help="name and driver, for the table's first line")
    parser.add_argument("--cub", type=Path, help="bench/cub_peers.cu as a shared library")
    given = parser.parse_args()
    if _cuda.device_count() == 0 or not torch.cuda.is_available():
        parser.exit(1, "this needs a GPU, its driver, and a torch built for CUDA\n")
    provenance = (
        f"{given.card or torch.cuda.get_device_name()}, {dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M} UTC, "
        f"torch {torch.__version__}, CUDA {torch.version.cuda}, copy {copy_bandwidth() / 1e12:.2f} TB/s, "
        f"{given.elements:g} elements, medians of {REPEATS}"
    )
    with given.output.open("w") as table:  # line by line, so that a failure leaves what was measured
        print(
            provenance,
            "\n\n| job | type | ms | × one read | peer | ms |\n|---|---|---|---|---|---|",
            sep="",
            file=table,
        )
        for dtype in (torch.float32, torch.bfloat16):
            for row in measure(int(given.elements), dtype, given.cub):
                peer = f"{row.peer_milliseconds:.2f}" if row.peer_milliseconds else "–"
                print(
                    f"| {row.job} | {row.dtype.removeprefix('torch.')} | {row.milliseconds:.2f} | {row.passes:.2f} "
                    f"| {row.peer} | {peer} |",
                    file=table,
                    flush=True,
                )


if __name__ == "__main__":
    main()
