"""Prune a checkpoint file without a model or data: same names, types and metadata, fewer non-zero weights."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pqi
from pqi.checkpoint.apply import Pruned, prune_group
from pqi.checkpoint.magnitude import Bits
from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.output import BLOCK, Output
from pqi.checkpoint.quotas import SCOPES
from pqi.checkpoint.scanning import Selection
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
    groups = SCOPES[scope](tensors, amount)
    threads = int(pqi.info()["num_threads"])
    with ThreadPoolExecutor(threads) as pool:
        with ExitStack() as stack:
            outputs = {
                source: stack.enter_context(Output(source, target, [t for t in tensors if _file(t) == source]))
                for source, target in targets.items()
            }

            def write(tensor: StoredTensor, first: int, bits: Bits) -> None:
                outputs[_file(tensor)].write(tensor, first, bits)
                on_advance(bits.nbytes)

            pruned = [found for group in groups for found in prune_group(group, write, pool)]
            for output in outputs.values():
                output.finish(pool)
        files = tuple(targets.values())
        sizes = _sizes(pruned, files, pool, compress=compress)
    return MaskReport(tuple(pruned), files, sizes)


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
    for source, target in targets.items():
        if target.exists() and target.samefile(source):
            raise ValueError(f"the output must not be the input, got {target}")
        if target.exists() and not overwrite:
            raise FileExistsError(errno.EEXIST, "file exists, and overwriting was not asked for", str(target))
    if checkpoint.index is not None and out.is_dir():
        (out / checkpoint.index.name).write_bytes(checkpoint.index.read_bytes())
    return targets


def _file(tensor: StoredTensor) -> Path:
    return tensor.origin.file if tensor.origin is not None else Path()


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
        return len(zlib.compress(memory[begin : begin + BLOCK].data))

    return sum(pool.map(length, range(0, memory.size, BLOCK)))
