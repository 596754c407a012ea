"""The jobs that gpu.py times on one array: calls of the CUDA module, torch's peers, and the bars they are held to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

import pqi

try:
    from pqi import _core, _cuda
except ImportError as error:
    raise SystemExit(f"this needs pqi built with a CUDA compiler (-C cmake.define.PQI_CUDA=ON): {error}") from error

BAR_ELEMENTS = 10**9  # the bars are milliseconds for so many, of float32 where nothing else is said
DEVICE = "cuda"
WIDTH = 256  # of the rows
FLOATS = (torch.float32, torch.float64)


@dataclass
class Job:
    """One call on one array."""

    name: str
    call: Callable[[], Any]
    bytes_read: int  # by one read of what the call is given
    bar: float | None = None
    peer: str = ""
    peer_call: Callable[[], Any] | None = None


def is_reached() -> bool:
    """Return whether there is a device that both pqi and torch can use."""
    return bool(_cuda.device_count() > 0 and torch.cuda.is_available())


def view(tensor: torch.Tensor) -> Any:
    """Return a tensor as the CUDA module takes it."""
    return _cuda.View.of_dlpack(tensor.__dlpack__(stream=-1), "x")


def stream() -> int:
    """Return torch's current stream."""
    return int(torch.cuda.current_stream().cuda_stream)


def size_of(*tensors: torch.Tensor) -> int:
    """Return how many bytes tensors hold."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def doubles(*shape: int) -> Any:
    """Return an output."""
    return view(torch.empty(shape, dtype=torch.float64, device=DEVICE))


def both_norms(x: torch.Tensor, p: float, q: float) -> Any:
    """Return what torch has for `norms`."""
    return torch.linalg.vector_norm(x, p), torch.linalg.vector_norm(x, q)


def largest(x: torch.Tensor, k: int) -> Any:
    """Return what torch has for `topk_mask`."""
    return torch.topk(x.abs(), k)


def sums(x: torch.Tensor) -> Iterator[Job]:
    """Yield the jobs that add powers up."""
    array, n = [view(x)], size_of(x)
    is_barred = x.dtype == torch.float32
    for p, q, bar in ((0.5, 1.0, 1.2), (1.0, 2.0, 1.2), (0.7, 1.3, 5.0)):
        own = partial(_cuda.norms, array, [], None, p, q, doubles(2, 1), stream())
        peer = partial(both_norms, x, p, q) if x.dtype in (*FLOATS, torch.bfloat16) else None
        yield Job(f"norms ({p:g}, {q:g})", own, n, bar if is_barred else None, "torch" if peer else "", peer)
    powers = [0.5, 1.0, 2.0]
    yield Job("power means (½, 1, 2)", partial(_cuda.power_means, array, [], None, powers, doubles(1, 3), stream()), n)
    p_values, q_values = [i / 10 for i in range(1, 11)], [1 + i / 10 for i in range(11)]
    grid = partial(_cuda.index_grid, array, [], None, p_values, q_values, doubles(1, 10, 11), stream())
    yield Job("index grid 10 × 11", grid, n)


def ranked(x: torch.Tensor) -> Iterator[Job]:
    """Yield the Gini index, exact and within intervals, and the summary."""
    array, n = [view(x)], size_of(x)
    is_barred = x.dtype == torch.float32
    peer = (lambda: torch.sort(x.abs())) if is_barred else None
    name = "torch.sort" if is_barred else ""
    exact = partial(_cuda.gini, array, [], None, doubles(1), stream())
    yield Job("Gini", exact, n, 20.0 if is_barred else None, name, peer)
    for tol in (1e-6, 1e-8) if is_barred else ():
        bits, out = _core.interval_bits(tol), doubles(5, 1)
        within = partial(_cuda.gini_intervals, array, [], None, None, bits, False, out, stream())
        yield Job(f"Gini within {tol:g}", within, n, None, name, peer)
    yield Job("summary (public function)", partial(pqi.summary, x), n)


def selected(x: torch.Tensor) -> Iterator[Job]:
    """Yield the top-k masks."""
    array, n = [view(x)], size_of(x)
    out = [view(torch.empty(x.numel(), dtype=torch.bool, device=DEVICE))]
    for share in (100, 10, 2):
        k = x.numel() // share
        own = partial(_cuda.topk_mask, array, [], None, k, out, stream())
        bar = 3.0 if x.dtype == torch.float32 else None
        yield Job(f"top-k mask {100 // share} %", own, n, bar, "torch.topk", partial(largest, x, k))
    live = x > -1
    masked = partial(_cuda.topk_mask, array, [view(live)], None, x.numel() // 10, out, stream())
    yield Job("top-k mask 10 % of live entries", masked, n + size_of(live))


def of_rows(x: torch.Tensor) -> Iterator[Job]:
    """Yield the jobs on rows."""
    matrix = x[: x.numel() // WIDTH * WIDTH].view(-1, WIDTH)
    rows, n = [view(matrix)], size_of(matrix)
    bars = (5.0, 3.0) if x.dtype == torch.float32 else (None, None)
    gini = partial(_cuda.gini, rows, [], (1,), doubles(matrix.shape[0]), stream())
    yield Job(f"rows of {WIDTH}: Gini", gini, n, bars[0], "torch.sort", lambda: matrix.abs().sort())
    out = [view(torch.empty(matrix.shape, dtype=torch.bool, device=DEVICE))]
    mask = partial(_cuda.topk_mask, rows, [], (1,), WIDTH // 10, out, stream())
    yield Job(
        f"rows of {WIDTH}: top-k mask 10 %", mask, n, bars[1], "torch.topk", partial(largest, matrix, WIDTH // 10)
    )


def pooled(x: torch.Tensor) -> Iterator[Job]:
    """Yield jobs on the array as a hundred pieces."""
    pieces: Sequence[torch.Tensor] = x.tensor_split(100)
    arrays, n = [view(piece) for piece in pieces], size_of(x)
    yield Job("pool of 100: norms (1, 2)", partial(_cuda.norms, arrays, [], None, 1.0, 2.0, doubles(2, 1), stream()), n)
    out = [view(torch.empty(piece.shape, dtype=torch.bool, device=DEVICE)) for piece in pieces]
    own = partial(_cuda.topk_mask, arrays, [], None, x.numel() // 10, out, stream())
    yield Job("pool of 100: top-k mask 10 %", own, n)


def counted(x: torch.Tensor) -> Iterator[Job]:
    """Yield the histogram of a one- or two-byte type."""
    counts = view(torch.empty(1 << 16, dtype=torch.int64, device=DEVICE))
    own = partial(_cuda.histogram, [view(x)], [], counts, stream())
    yield Job("histogram", own, size_of(x), 1.0 if x.element_size() == 2 else None)


PARTS: dict[torch.dtype, tuple[Callable[[torch.Tensor], Iterator[Job]], ...]] = {
    torch.float32: (sums, ranked, selected, of_rows, pooled),
    torch.bfloat16: (sums, counted, ranked, selected, of_rows),
    torch.float64: (sums, ranked),
    torch.float8_e4m3fn: (sums, counted),
}


def jobs(x: torch.Tensor) -> Iterator[Job]:
    """Yield every job for the array's type, one at a time: each holds its outputs."""
    return itertools.chain.from_iterable(part(x) for part in PARTS[x.dtype])
