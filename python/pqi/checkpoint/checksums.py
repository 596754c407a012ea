"""The CRC-32 of an archive's members that were written anew."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Container
from pathlib import Path

from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.stored import Bytes

BLOCK = 4 << 20
DIRECTORY_ENTRY, DATA_DESCRIPTOR = 46, b"PK\x07\x08"


def is_archive(memory: Bytes) -> bool:
    """Whether a file is a zip archive."""
    return memory[:2].tobytes() == b"PK"


def renew(source: Path, written: Path, changed: Container[int], patch: Callable[[int, bytes], None]) -> None:
    """Put the checksums of the members that begin at these bytes into headers, descriptors and directory entries."""
    with zipfile.ZipFile(source) as archive:
        place, found = archive.start_dir, archive.infolist()
    before, after = map_file(source), map_file(written)
    for info in found:
        lengths = struct.unpack("<HHH", before[place + 28 : place + 34].tobytes())
        header = info.header_offset
        local = sum(struct.unpack("<HH", before[header + 26 : header + 30].tobytes()))
        begin = header + 30 + local
        if begin in changed:
            checksum = struct.pack("<I", _crc(after[begin : begin + info.file_size]))
            patch(place + 16, checksum)
            end = begin + info.file_size
            if info.flag_bits & 8:
                marked = before[end : end + 4].tobytes() == DATA_DESCRIPTOR
                patch(end + 4 * marked, checksum)
            else:
                patch(header + 14, checksum)
        place += DIRECTORY_ENTRY + sum(lengths)


def _crc(content: Bytes) -> int:
    checksum = 0
    for begin in range(0, content.size, BLOCK):
        checksum = zlib.crc32(content[begin : begin + BLOCK].data, checksum)
    return checksum
