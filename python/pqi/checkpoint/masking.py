"""Prune a checkpoint file without a model or data: same names, types and metadata, fewer non-zero weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import pqi
from pqi.checkpoint import block_file
from pqi.checkpoint.apply import Plan, Pruned, plan_group
from pqi.checkpoint.output import Output
from pqi.checkpoint.page_cache import absorbed
from pqi.checkpoint.quotas import SCOPES
from pqi.checkpoint.selection import Selection
from pqi.checkpoint.sizes import LARGEST_DEFLATED, Sizes, deflate, measure_sizes
from pqi.checkpoint.stored import Checkpoint, StoredTensor, refuse
from pqi.checkpoint.targets import Targets, plan_targets

if TYPE_CHECKING:
    from pqi.prune.amount import Amount


@dataclass(frozen=True, slots=True)
class MaskReport:
    """What was pruned."""

    tensors: tuple[Pruned, ...]
    targets: Targets
    sizes: Sizes
    left_out: int
    """Prunable integer tensors that stay as they are, since they lie beside floats."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The weights' files that were written."""
        return tuple(self.targets.weights.values())

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
    folder: bool = False,
    on_advance: Callable[[int], None] = lambda _: None,
) -> MaskReport:
    """Write a pruned copy of a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
    out : Path
        File to write, or for an index or a folder the folder to write its files into, made if need be. A folder's
        small files, such as its configuration and tokenizer, are copied.
    amount : pqi.prune.SAP or pqi.prune.Fraction
        How many entries each group loses; all its d entries are live, zeros included.
    scope : {"global", "layer", "neuron"}
        Entries ranked together: of all prunable tensors, of each, or of each entry of its first axis. All together are
        those of `Selection.together`: integers beside floats stay as they are, unless the selection includes them.
    selection : Selection, optional
        Tensors to prune, of the prunable ones; all by default.
    compress : bool, optional
        Whether to measure the compressed size; by default up to 256 MiB.
    overwrite : bool
        Whether files that exist may be replaced.
    folder : bool
        Whether `out` is a folder for a single file, too.
    on_advance : callable
        Called with a number of bytes whenever as many have been written.

    Raises
    ------
    OSError
        If an output cannot be written.
    ValueError
        If nothing is prunable, a weight is NaN or infinite, tensors share storage, or an archive is compressed.
    """
    tensors, left_out = to_prune(checkpoint, scope, selection or Selection())
    targets = plan_targets(checkpoint, out, folder=folder, overwrite=overwrite)
    threads = int(pqi.info()["num_threads"])
    with ThreadPoolExecutor(threads) as pool:
        plans = [plan for group in SCOPES[scope](tensors, amount) for plan in plan_group(group, pool)]
        on_advance(sum(plan.tensor.nbytes for plan in plans if plan.clearing is None))
        pruned = _write(plans, targets.weights, threads, on_advance)
    targets.copy()
    report = MaskReport(tuple(pruned), targets, measure_sizes(pruned, tuple(targets.weights.values())), left_out)
    return with_compressed(report) if is_compressed(report, compress) else report


def is_compressed(report: MaskReport, compress: bool | None) -> bool:
    """Whether to measure the compressed sizes, where None leaves it to what was written."""
    return report.sizes.dense <= LARGEST_DEFLATED if compress is None else compress


def with_compressed(report: MaskReport, on_advance: Callable[[int], None] = lambda _: None) -> MaskReport:
    """Return the report with its compressed sizes; `on_advance` is called with bytes read, before and after."""
    compressed = deflate(tuple(report.targets.weights), report.files, on_advance)
    return replace(report, sizes=replace(report.sizes, compressed=compressed))


def _write(
    plans: Sequence[Plan], targets: Mapping[Path, Path], threads: int, on_advance: Callable[[int], None]
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


def to_prune(checkpoint: Checkpoint, scope: str, selection: Selection) -> tuple[list[StoredTensor], int]:
    """Return the tensors to prune, tied weights once, and how many integer ones stay since they lie beside floats.

    Raises
    ------
    ValueError
        If there is no such scope, nothing is to be pruned, or an archive is compressed.
    """
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {', '.join(SCOPES)}, got {scope!r}")
    found: dict[object, StoredTensor] = {}
    for tensor in selection.of(checkpoint):
        if tensor.prunable:
            found.setdefault(tensor.identity or tensor.name, tensor)
    tensors = list(found.values())
    chosen = selection.together(tensors) if scope == "global" else tensors
    if not chosen:
        refuse(checkpoint.path, "must hold at least one prunable tensor that was selected, got none")
    for tensor in chosen:
        if tensor.origin is None:
            refuse(checkpoint.path, "compressed archives cannot be pruned: save the arrays with numpy.savez")
    return chosen, len(tensors) - len(chosen)
