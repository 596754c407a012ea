"""Prune a checkpoint file without a model or data: same names, types and metadata, fewer non-zero weights."""

from __future__ import annotations

import errno
import threading
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import pqi
from pqi.checkpoint import block_file
from pqi.checkpoint.apply import Plan, Pruned, plan_group
from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.output import Output
from pqi.checkpoint.page_cache import absorbed
from pqi.checkpoint.quotas import SCOPES
from pqi.checkpoint.selection import Selection
from pqi.checkpoint.stored import Checkpoint, StoredTensor, refuse

if TYPE_CHECKING:
    from pqi.prune.amount import Amount

LARGEST_DEFLATED = 1 << 30
"""Outputs up to this many bytes are compressed to tell how small they get, unless asked otherwise."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes that the pruned checkpoint takes."""

    dense: int
    """As written: zeros take as much as any value."""
    packed: int
    """With one bit an entry and the non-zero values, for each pruned tensor where that is less; the rest dense."""
    compressed: int | None
    """Deflated (zlib level 6, in blocks of 4 MiB); None if not measured."""


@dataclass(frozen=True, slots=True)
class MaskReport:
    """What was pruned."""

    tensors: tuple[Pruned, ...]
    files: tuple[Path, ...]
    sizes: Sizes

    @property
    def total(self) -> int:
        """Prunable entries."""
        return sum(pruned.tensor.count for pruned in self.tensors)

    @property
    def kept(self) -> int:
        """Entries that stay."""
        return sum(pruned.kept for pruned in self.tensors)


def mask_checkpoint(
    checkpoint: Checkpoint,
    out: Path,
    amount: Amount,
    *,
    scope: str = "global",
    selection: Selection | None = None,
    compress: bool | None = None,
    overwrite: bool = False,
    on_advance: Callable[[int], None] = lambda _: None,
) -> MaskReport:
    """Write a pruned copy of a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
    out : Path
        File to write, or for an index or a folder the folder to write its files into, made if need be.
    amount : pqi.prune.SAP or pqi.prune.Fraction
        How many entries each group loses; all its d entries are live, zeros included.
    scope : {"global", "layer", "neuron"}
        Entries ranked together: of all prunable tensors, of each, or of each entry of its first axis.
    selection : Selection, optional
        Tensors to prune, of the prunable ones; all by default.
    compress : bool, optional
        Whether to measure the compressed size; by default up to 1 GiB.
    overwrite : bool
        Whether files that exist may be replaced.
    on_advance : callable
        Called with a number of bytes whenever as many have been written.

    Raises
    ------
    OSError
        If an output cannot be written.
    ValueError
        If nothing is prunable, a weight is NaN or infinite, tensors share storage, or an archive is compressed.
    """
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {', '.join(SCOPES)}, got {scope!r}")
    tensors = _prunable(checkpoint, selection or Selection())
    targets = _targets(checkpoint, out, overwrite=overwrite)
    threads = int(pqi.info()["num_threads"])
    with ThreadPoolExecutor(threads) as pool:
        plans = [plan for group in SCOPES[scope](tensors, amount) for plan in plan_group(group, pool)]
        on_advance(sum(plan.tensor.nbytes for plan in plans if plan.clearing is None))
        pruned = _write(plans, targets, threads, on_advance)
        _copy_index(checkpoint, out)
        files = tuple(targets.values())
        sizes = _sizes(pruned, files, pool, compress=compress)
    return MaskReport(tuple(pruned), files, sizes)


def _write(
    plans: Sequence[Plan], targets: dict[Path, Path], threads: int, on_advance: Callable[[int], None]
) -> list[Pruned]:
    """Write all files, blocks of each in turn: a file takes one writer at a time.

    Past the page cache a writer sleeps until the disk is done; twice as many then keep the processors busy.
    """
    direct = sum(source.stat().st_size for source in targets) > absorbed()
    writers, computing, buffers = threads * (2 if direct else 1), threading.Semaphore(threads), threading.local()
    with ExitStack() as stack:
        outputs = [
            stack.enter_context(Output(source, target, _of_file(plans, source), direct=direct))
            for source, target in targets.items()
        ]

        def work(job: tuple[Output, int]) -> None:
            output, begin = job
            if not hasattr(buffers, "block"):
                buffers.block = block_file.aligned()
            with computing:
                count, advanced = output.assemble(begin, buffers.block)
            output.write(begin, buffers.block, count)
            on_advance(advanced)

        blocks = ([(output, begin) for begin in range(0, output.size, block_file.BLOCK)] for output in outputs)
        in_turn = (job for jobs in zip_longest(*blocks) for job in jobs if job is not None)
        with ThreadPoolExecutor(writers) as pool:
            for _ in pool.map(work, in_turn):
                pass
        found = {pruned.tensor.name: pruned for output in outputs for pruned in output.finish()}
    return [found[plan.tensor.name] for plan in plans]


def _of_file(plans: Sequence[Plan], source: Path) -> list[Plan]:
    return [plan for plan in plans if plan.tensor.origin is not None and plan.tensor.origin.file == source]


def _prunable(checkpoint: Checkpoint, selection: Selection) -> list[StoredTensor]:
    found: dict[object, StoredTensor] = {}
    for tensor in checkpoint.tensors:
        if tensor.prunable and tensor.name in selection:
            found.setdefault(tensor.identity or tensor.name, tensor)
    if not found:
        refuse(checkpoint.path, "must hold at least one prunable tensor that was selected, got none")
    for tensor in found.values():
        if tensor.origin is None:
            refuse(checkpoint.path, "compressed archives cannot be pruned: save the arrays with numpy.savez")
    return list(found.values())


def _targets(checkpoint: Checkpoint, out: Path, *, overwrite: bool) -> dict[Path, Path]:
    """Return where each file of the checkpoint goes."""
    if len(checkpoint.files) == 1 and not checkpoint.path.is_dir():
        targets = {checkpoint.files[0]: out / checkpoint.files[0].name if out.is_dir() else out}
    else:
        out.mkdir(exist_ok=True)
        targets = {file: out / file.name for file in checkpoint.files}
    copied = {} if checkpoint.index is None or not out.is_dir() else {checkpoint.index: out / checkpoint.index.name}
    for source, target in (targets | copied).items():
        if target.exists() and target.samefile(source):
            raise ValueError(f"the output must not be the input, got {target}")
        if target.exists() and not overwrite:
            raise FileExistsError(errno.EEXIST, "file exists, and overwriting was not asked for", str(target))
    return targets


def _copy_index(checkpoint: Checkpoint, out: Path) -> None:
    """Copy the list of shards once they are there."""
    if checkpoint.index is not None and out.is_dir():
        partial = out / f".{checkpoint.index.name}.partial"
        partial.write_bytes(checkpoint.index.read_bytes())
        partial.replace(out / checkpoint.index.name)


def _sizes(pruned: Sequence[Pruned], files: Sequence[Path], pool: Executor, *, compress: bool | None) -> Sizes:
    dense = sum(file.stat().st_size for file in files)
    packed = dense
    for found in pruned:
        bitmask = (found.tensor.count + 7) // 8 + found.nonzero * found.tensor.element.itemsize
        packed -= max(0, found.tensor.nbytes - bitmask)
    if compress is None:
        compress = dense <= LARGEST_DEFLATED
    return Sizes(dense, packed, sum(_deflated(file, pool) for file in files) if compress else None)


def _deflated(file: Path, pool: Executor) -> int:
    memory = map_file(file)

    def length(begin: int) -> int:
        return len(zlib.compress(memory[begin : begin + block_file.BLOCK].data))

    return sum(pool.map(length, range(0, memory.size, block_file.BLOCK)))
