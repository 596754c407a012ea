"""A file of known size that is written in large blocks, in any order and by any thread."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from pathlib import Path

import numpy as np

from pqi.checkpoint.stored import Bytes

BLOCK = 4 << 20
"""Bytes written at once: the system then takes large pages and few locks."""
LARGE_PAGE = 2 << 20
SECTOR = 4096
"""What is written past the page cache must begin and end at multiples of this."""


class BlockFile:
    """A file whose room on the disk is reserved before the first byte: many times faster to fill, and full disks show.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    size : int
    direct : bool
        Whether to write past the page cache, where the file system can.

    Raises
    ------
    OSError
        If it cannot be created, or there is no room for it.
    """

    def __init__(self, path: Path, size: int, *, direct: bool = False) -> None:
        self._size, self._direct = size, direct and hasattr(os, "O_DIRECT")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            os.truncate(self._file, size)
            _reserve(self._file, size)
            if self._direct:
                self._switch(direct=True)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def direct(self) -> bool:
        """Whether it is written past the page cache."""
        return self._direct

    def write_block(self, begin: int, buffer: Bytes, count: int) -> None:
        """Write the first bytes of an `aligned` buffer: a whole block, or all that is left."""
        try:
            self._put(begin, buffer[: -(-count // SECTOR) * SECTOR if self._direct else count].data)
        except OSError as error:
            if not self._direct or error.errno != errno.EINVAL:
                raise
            self._switch(direct=False)  # larger sectors, or no such writes at all
            self._put(begin, buffer[:count].data)

    def patch(self, begin: int, data: bytes) -> None:
        """Write a few bytes anywhere; not for files written past the page cache."""
        self._put(begin, memoryview(data))

    def finish(self) -> None:
        """Cut off what the last block had too much."""
        os.truncate(self._file, self._size)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _put(self, place: int, view: memoryview) -> None:
        while view:
            written = os.pwrite(self._file, view, place)
            view, place = view[written:], place + written

    def _switch(self, *, direct: bool) -> None:
        import fcntl

        flags = fcntl.fcntl(self._file, fcntl.F_GETFL) & ~os.O_DIRECT
        try:
            fcntl.fcntl(self._file, fcntl.F_SETFL, flags | (os.O_DIRECT if direct else 0))
        except OSError:  # a file system without direct writes
            direct = False
        self._direct = direct


def aligned() -> Bytes:
    """Return a buffer of a block to write from past the page cache; of large pages, so that a disk gets few pieces."""
    memory = mmap.mmap(-1, BLOCK + LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    buffer = np.frombuffer(memory, np.uint8)
    begin = -buffer.ctypes.data % LARGE_PAGE
    return buffer[begin : begin + BLOCK]


def _reserve(file: int, size: int) -> None:
    """Reserve room where the file system can; not by writing zeros, as ``posix_fallocate`` does where it cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).fallocate
    except (AttributeError, OSError, TypeError):  # not Linux
        return
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if size > 0 and call(file, 0, 0, size) != 0:
        code = ctypes.get_errno()
        if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OSError(code, os.strerror(code))
