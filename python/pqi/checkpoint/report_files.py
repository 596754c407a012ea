"""The files that reports go to: checked before anything is measured, and each written whole or not at all."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TextIO

from pqi.checkpoint.numpy_file import MAGIC
from pqi.checkpoint.stored import shown

STDOUT = Path("-")
CHECKPOINTS = {".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz"}
REPORTS = {".html", ".csv"}
STARTS = (MAGIC, b"PK\x03\x04", b"\x80\x02")
"""How arrays, archives and pickles begin."""

Targets = Mapping[str, Path]
"""Where each report goes, by its option."""


def check_targets(targets: Targets, paths: Iterable[Path]) -> None:
    """Refuse reports that could not be written, or would replace a checkpoint or anything in a folder that is scanned.

    Raises
    ------
    OSError
        If a report's folder is missing, or it or the file must not be written.
    ValueError
        If a report would replace an input, a checkpoint or another report.
    """
    inputs, taken = list(paths), dict[str, str]()
    for option, target in targets.items():
        place = str(target) if target == STDOUT else os.path.realpath(target)
        if place in taken:
            raise ValueError(f"{option} and {taken[place]} must go to files of their own, got {shown(target)} twice")
        taken[place] = option
        if target != STDOUT:
            _check_writable(target)
            _check_harmless(option, target, inputs)


def check_apart(targets: Targets, files: Iterable[Path]) -> None:
    """Refuse reports that would replace one of the files that are read.

    Raises
    ------
    ValueError
        If there is one.
    """
    present = {option: target for option, target in targets.items() if target != STDOUT and target.exists()}
    for file in files if present else ():
        for option, target in present.items():
            if file.exists() and target.samefile(file):
                raise ValueError(f"{option} must not overwrite an input, got {shown(target, 400)}")


def write_reports(targets: Targets, forms: Mapping[str, Callable[[TextIO], object]]) -> list[str]:
    """Write every report that can be written, and return what kept the others from it.

    Raises
    ------
    BrokenPipeError
        If nobody reads standard output any more; the files are written before.
    """
    errors = []
    for option in sorted(targets, key=lambda option: targets[option] == STDOUT):
        try:
            _write(targets[option], forms[option])
        except OSError as error:  # noqa: PERF203 (one report's failure must not keep the others from being written)
            if isinstance(error, BrokenPipeError):
                raise
            errors.append(f"{option}: {shown(targets[option], 400)}: {error.strerror}")
    return errors


def _check_writable(target: Path) -> None:
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target.parent))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    folder = Path(os.path.realpath(target)).parent
    for needed in (target,) if _is_special(target) else (folder, target):
        if needed.exists() and not os.access(needed, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(needed))


def _check_harmless(option: str, target: Path, inputs: Iterable[Path]) -> None:
    if not target.is_file():
        return
    check_apart({option: target}, (file for path in inputs for file in _files_of(path)))
    with target.open("rb") as file:
        start = file.read(9)
    header = start[8:9] == b"{" and int.from_bytes(start[:8], "little") < target.stat().st_size
    if target.suffix.lower() in CHECKPOINTS or start.startswith(STARTS) or header:
        raise ValueError(f"{option} must not overwrite a checkpoint, got {shown(target, 400)}")


def _files_of(path: Path) -> Iterable[Path]:
    """The files that a path may be read from; pages and tables in a folder are reports of an earlier scan."""
    return (file for file in path.iterdir() if file.suffix not in REPORTS) if path.is_dir() else [path]


def _write(target: Path, write: Callable[[TextIO], object]) -> None:
    if target == STDOUT:
        write(sys.stdout)
        sys.stdout.flush()
        return
    if _is_special(target):
        with target.open("w", encoding="utf-8", newline="") as file:
            write(file)
        return
    place = Path(os.path.realpath(target))  # a link stays one
    partial = place.with_name(f".{place.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            write(file)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
    print(f"written: {target}", file=sys.stderr)


def _is_special(target: Path) -> bool:
    """Whether it is a pipe or a device, which is written to as it is."""
    return target.exists() and not target.is_file()
