"""What runs may use, and what changes none of their results: files, and processes that load batches.

Nothing here imports torch, so that the command's help and its errors are instant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Resources:
    """The folder with the original files of a data set, and processes that load batches beside each training."""

    data: Path | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"workers must be >= 0, got {self.workers}")

    def check(self, datasets: Iterable[str]) -> None:
        """Refuse data sets whose files cannot be there.

        Raises
        ------
        ValueError, NotADirectoryError
            If there is no folder for them.
        """
        from_files = sorted(set(datasets) - {"digits"})
        if from_files and self.data is None:
            raise ValueError(
                f"data must be the folder with the original files of {from_files[0]}, got none (--data DIR)"
            )
        if self.data is not None and not self.data.is_dir():
            raise NotADirectoryError(f"data must be a folder, got {self.data}")
