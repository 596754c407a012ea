"""Original files in a folder: where they may lie, and how they are read within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray


def refuse(path: Path, rule: str) -> NoReturn:
    """Raise ValueError: this file breaks this rule, in one line."""
    raise ValueError(" ".join(f"{path}: {rule}".split()))


def find(folder: Path, places: Sequence[str], names: Sequence[str]) -> list[Path]:
    """Return the files called `names` in the first of these places under `folder` that has any of them.

    A name may be written as several, separated by ``|``, of which the first that is there counts.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or a file is missing.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"data must be a folder, got {folder}")
    tried = [folder / place for place in places]
    for place in tried:
        found = [_first(place, name) for name in names]
        if any(found):
            missing = [name.split("|")[0] for name, path in zip(names, found, strict=True) if path is None]
            if missing:
                raise FileNotFoundError(f"{place} must hold {', '.join(missing)}, which are missing")
            return [path for path in found if path is not None]
    shown = ", ".join(name.split("|")[0] for name in names)
    raise FileNotFoundError(f"data must hold {shown}, got none of them in {', '.join(map(str, tried))}")


def read_bounded(path: Path, most: int) -> bytes:
    """Return the content of a file of at most `most` bytes."""
    size = path.stat().st_size
    if size > most:
        refuse(path, f"must have at most {most:,} bytes, got {size:,}")
    with path.open("rb") as file:
        return file.read(size)


def checked_labels(path: Path, labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the labels; refuse the file if one is outside [0, classes)."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        refuse(path, f"labels must be in 0 … {classes - 1}, got {labels[wrong[0]]} for image {wrong[0]}")
    return labels


def _first(place: Path, name: str) -> Path | None:
    return next((place / option for option in name.split("|") if (place / option).exists()), None)
