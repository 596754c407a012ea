"""Files as memory: mapped, never read into the heap."""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path

import numpy as np

from pqi.checkpoint.stored import Bytes, refuse


def map_file(path: Path) -> Bytes:
    """Return the bytes of a regular file as a read-only array; the mapping lives as long as the array.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is empty, or no regular file (a pipe could make the reader wait for ever).
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            refuse(path, "must be a regular file")
        if status.st_size == 0:
            refuse(path, "must hold a checkpoint, got an empty file")
        return np.frombuffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ), np.uint8)
    finally:
        os.close(descriptor)
