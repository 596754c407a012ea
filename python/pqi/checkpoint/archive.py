"""Zip archives of strangers: where each stored member lies in the mapped file."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.stored import Bytes, refuse, shown

LARGEST_DIRECTORY = 32 << 20
"""Bytes of a central directory: room for 300,000 members, which Python needs a few hundred MB to hold."""
LOCAL_HEADER = 30


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive."""

    name: str
    begin: int
    """First byte of its content in the file."""
    size: int
    """Bytes of the content when it is not compressed."""
    stored: bool
    """Whether the content lies in the file as it is."""
    header: int
    """First byte of the member's own header in the file."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A mapped archive and its members by name."""

    path: Path
    memory: Bytes
    members: dict[str, Member]

    def bytes_of(self, member: Member) -> Bytes:
        """Return a stored member's content, mapped."""
        if not member.stored:
            refuse(self.path, f"member {shown(member.name)} must be stored, not compressed")
        return self.memory[member.begin : member.begin + member.size]


def open_archive(path: Path) -> Archive:
    """Map an archive and find its members.

    Raises
    ------
    OSError, ValueError
        If it cannot be opened, is damaged or encrypted, or names a member twice.
    """
    memory = map_file(path)
    _check_directory(path, memory)
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        struct.error,
        UnicodeError,
        OverflowError,
        EOFError,
        ValueError,
        OSError,
    ) as error:
        refuse(path, f"the zip archive is damaged: {shown(error)}")
    members: dict[str, Member] = {}
    for info in found:
        if info.filename in members:
            refuse(path, f"archive members must have names of their own, got {shown(info.filename)} twice")
        members[info.filename] = _locate(path, memory, info)
    return Archive(path, memory, members)


def _check_directory(path: Path, memory: Bytes) -> None:
    """Refuse a directory of millions of members before Python builds an object for each."""
    tail = memory[max(0, memory.size - 65_557) :].tobytes()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < 22:
        refuse(path, "the zip archive is damaged: it has no end record")
    size = int.from_bytes(tail[place + 12 : place + 16], "little")
    wide = tail.rfind(b"PK\x06\x06", 0, place)
    if wide >= 0:
        size = int.from_bytes(tail[wide + 40 : wide + 48], "little")
    if size > min(LARGEST_DIRECTORY, memory.size):
        refuse(path, f"the zip archive's directory must have at most {LARGEST_DIRECTORY} bytes, got {size}")


def _locate(path: Path, memory: Bytes, info: zipfile.ZipInfo) -> Member:
    name, header = info.filename, info.header_offset
    if info.flag_bits & 1:
        refuse(path, f"member {shown(name)} must not be encrypted")
    local = memory[header : header + LOCAL_HEADER].tobytes() if 0 <= header < memory.size else b""
    if len(local) < LOCAL_HEADER or not local.startswith(b"PK\x03\x04"):
        refuse(path, f"member {shown(name)} must have a header where the directory says")
    name_length, extra_length = struct.unpack("<HH", local[26:30])
    begin = header + LOCAL_HEADER + name_length + extra_length
    if info.file_size < 0 or info.compress_size < 0 or begin + info.compress_size > memory.size:
        refuse(path, f"member {shown(name)} must lie within the file")
    stored = info.compress_type == zipfile.ZIP_STORED
    if stored and info.file_size != info.compress_size:
        refuse(path, f"member {shown(name)} must have one size, got {info.file_size} and {info.compress_size}")
    return Member(name, begin, info.file_size, stored, header)
