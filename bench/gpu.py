"""Every job of the CUDA module beside its peers: milliseconds, multiples of measured reads of the same bytes, bars.

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

import gpu_jobs
from gpu_jobs import Job

REPEATS = 20
HEAD = "| job | type | ms | bar | × bytes at copy rate | × torch max | peer | ms |\n|---|---|---|---|---|---|---|---|"


@dataclass
class Row:
    """One job on one array, timed."""

    job: Job
    dtype: str
    elements: int
    milliseconds: float
    rate: float  # bytes a second of a copy, read and written
    read: float  # milliseconds of torch's maximum
    peer_milliseconds: float = 0.0

    def verdict(self) -> str:
        """Return the bar and whether the job kept it, for as many elements as the bars are about."""
        if self.job.bar is None or self.elements != gpu_jobs.BAR_ELEMENTS:
            return "–"
        return f"{self.job.bar:g} {'kept' if self.milliseconds <= self.job.bar else 'missed'}"

    def __str__(self) -> str:
        floor = self.job.bytes_read / self.rate * 1e3
        peer = f"{self.peer_milliseconds:.2f}" if self.peer_milliseconds else "–"
        return (
            f"| {self.job.name} | {self.dtype} | {self.milliseconds:.2f} | {self.verdict()} "
            f"| {self.milliseconds / floor:.2f} | {self.milliseconds / self.read:.2f} | {self.job.peer} | {peer} |"
        )


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


def measure(elements: int, dtype: torch.dtype, rate: float, cub: Path | None) -> Iterator[Row]:
    """Yield a row for every job; a peer that runs out of memory is left out."""
    x = torch.randn(elements, device=gpu_jobs.DEVICE).to(dtype)
    whole = x.view({1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()])
    read = median_ms(whole.max)
    of_type = partial(Row, dtype=str(dtype).removeprefix("torch."), elements=elements, rate=rate, read=read)
    yield of_type(Job("one read (torch max)", whole.max, gpu_jobs.size_of(x)), milliseconds=read)
    if cub is not None and x.element_size() in (2, 4):
        for job in cub_jobs(cub, x):
            yield of_type(job, milliseconds=median_ms(job.call))
        torch.cuda.empty_cache()
    for job in gpu_jobs.jobs(x):
        own, other = median_ms(job.call), 0.0
        try:
            other = median_ms(job.peer_call) if job.peer_call is not None else 0.0
        except torch.OutOfMemoryError:
            other = float("inf")
        torch.cuda.empty_cache()
        yield of_type(job, milliseconds=own, peer_milliseconds=other)


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


def cub_jobs(library: Path, x: torch.Tensor) -> Iterator[Job]:
    """Yield what CUB does with the same array."""
    cub, n = Cub(library, x), gpu_jobs.size_of(x)
    yield Job("one read (CUB max)", cub.max, n)
    yield Job("the magnitudes sorted (CUB)", cub.sort, n)


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
    if not gpu_jobs.is_reached():
        parser.exit(1, "this needs a GPU, its driver, and a torch built for CUDA\n")
    rate = copy_bandwidth()
    provenance = (
        f"{given.card or torch.cuda.get_device_name()}, {dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M} UTC, "
        f"torch {torch.__version__}, CUDA {torch.version.cuda}, copy {rate / 1e12:.2f} TB/s, "
        f"{given.elements:g} elements, medians of {REPEATS}; bars are for {gpu_jobs.BAR_ELEMENTS:g} elements"
    )
    with given.output.open("w") as table:  # line by line, so that a failure leaves what was measured
        print(provenance, HEAD, sep="\n\n", file=table)
        for dtype in gpu_jobs.PARTS:
            for row in measure(int(given.elements), dtype, rate, given.cub):
                print(row, file=table, flush=True)


if __name__ == "__main__":
    main()
