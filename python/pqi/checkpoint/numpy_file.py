"""``.npy`` and ``.npz``: numpy's header read by a fixed grammar, never evaluated, and never unpickled."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pqi.checkpoint.archive import Member, open_archive
from pqi.checkpoint.element import TYPES, ElementType
from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.raw_tensor import row_major
from pqi.checkpoint.stored import Bytes, Checkpoint, Origin, StoredTensor, check_tensors, refuse, shown

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000
LARGEST_INFLATED = 1 << 30
"""Bytes that the compressed arrays of one file may inflate to: they have to be held in memory."""

FIELD = rb"""\s*['"](\w+)['"]\s*:\s*(?:['"]([^'"\\]{1,32})['"]|(True|False)|\(([\d\s,L]*)\)|(\[))\s*"""
KINDS = {
    "f2": "float16",
    "f4": "float32",
    "f8": "float64",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "u1": "uint8",
    "u2": "uint16",
    "u4": "uint32",
    "u8": "uint64",
    "b1": "bool",
    "c8": "complex64",
    "c16": "complex128",
}


@dataclass(frozen=True)
class Header:
    """What precedes an array's elements."""

    element: ElementType
    swapped: bool
    column_major: bool
    shape: tuple[int, ...]
    length: int
    """Bytes before the first element."""

    @property
    def strides(self) -> tuple[int, ...] | None:
        """In elements; None for row-major arrays."""
        return row_major(self.shape[::-1])[::-1] if self.column_major else None


def read_npy(path: Path) -> Checkpoint:
    """Read one array, named after its file.

    Raises
    ------
    OSError, ValueError
        If the file cannot be opened, is damaged, or holds Python objects.
    """
    memory = map_file(path)
    tensor = _tensor(path, path.stem, memory, lambda: memory, size=memory.size, origin=Origin(path, 0))
    check_tensors(path, (tensor,), memory.size)
    return Checkpoint(path, "npy", (tensor,), (path,))


def read_npz(path: Path) -> Checkpoint:
    """Read the arrays of an archive; stored ones are mapped, compressed ones inflated when they are measured.

    Raises
    ------
    OSError, ValueError
        As `read_npy`; also if the compressed arrays would need too much memory.
    """
    archive = open_archive(path)
    tensors, inflated = [], 0
    for member in archive.members.values():
        name = member.name.removesuffix(".npy")
        if member.stored:
            memory = archive.bytes_of(member)
            origin = Origin(path, member.begin)
            tensors.append(_tensor(path, name, memory, partial(_same, memory), size=member.size, origin=origin))
        else:
            inflated += member.size
            if inflated > LARGEST_INFLATED:
                refuse(path, f"compressed arrays must inflate to at most {LARGEST_INFLATED} bytes")
            start = np.frombuffer(_inflate(path, member, LONGEST_HEADER + 16), np.uint8)
            tensors.append(_tensor(path, name, start, partial(_inflated, path, member), size=member.size, origin=None))
    if not tensors:
        refuse(path, "the archive must hold arrays, got none")
    check_tensors(path, tuple(tensors), archive.memory.size + inflated)
    return Checkpoint(path, "npz", tuple(tensors), (path,))


def _tensor(
    path: Path, name: str, start: Bytes, memory: Callable[[], Bytes], *, size: int, origin: Origin | None
) -> StoredTensor:
    """Describe the array whose file begins with `start` and has `size` bytes."""
    header = _header(path, name, start)
    tensor = StoredTensor(
        name=name,
        element=header.element,
        shape=header.shape,
        memory=memory,
        strides=header.strides,
        offset=header.length,
        swapped=header.swapped and header.element.bits > 8,
        origin=origin,
    )
    available = size - header.length
    if tensor.nbytes > available:
        refuse(path, f"array {shown(name)} must have {shown(tensor.nbytes)} bytes of elements, got {available}")
    return tensor


def _header(path: Path, name: str, start: Bytes) -> Header:
    head = start[: LONGEST_HEADER + 16].tobytes()
    if not head.startswith(MAGIC) or len(head) < 12:
        refuse(path, f"array {shown(name)} must begin with numpy's mark")
    width = {1: 2, 2: 4, 3: 4}.get(head[6])
    if width is None:
        refuse(path, f"array {shown(name)} must have format version 1, 2 or 3, got {head[6]}")
    length = 8 + width + int.from_bytes(head[8 : 8 + width], "little")
    if length > min(len(head), LONGEST_HEADER):
        refuse(path, f"array {shown(name)} must have a header of at most {LONGEST_HEADER} bytes, got {length}")
    fields = _fields(path, name, head[8 + width : length])
    descr, shape = fields.get("descr"), fields.get("shape")
    if (
        fields.keys() != {"descr", "fortran_order", "shape"}
        or not isinstance(descr, str)
        or not isinstance(shape, tuple)
    ):
        refuse(path, f"array {shown(name)} must hold plain numbers, with descr, fortran_order and shape in its header")
    if fields["fortran_order"] not in (True, False):
        refuse(path, f"array {shown(name)} must have a fortran_order of True or False")
    element = _element(path, name, descr)
    return Header(element, descr[0] == ">", bool(fields["fortran_order"]) and len(shape) > 1, shape, length)


def _element(path: Path, name: str, descr: str) -> ElementType:
    match = re.fullmatch(r"([<>|=]?)([a-zA-Z])(\d{1,4})", descr)
    if match and match[2] + match[3] in KINDS:
        return TYPES[KINDS[match[2] + match[3]]]
    if match and match[2] in "VfgUS" and int(match[3]) > 0:
        return ElementType(f"numpy {descr}", int(match[3]) * (32 if match[2] == "U" else 8))
    return refuse(path, f"array {shown(name)} must hold plain numbers, got dtype {shown(descr)}")


def _fields(path: Path, name: str, text: bytes) -> dict[str, object]:
    """Read ``{'key': value, …}``, where a value is a string, a truth value or a tuple of integers."""
    fields: dict[str, object] = {}
    body = re.fullmatch(rb"\s*\{(.*)\}\s*", text, re.DOTALL)
    place, inner = 0, body[1] if body else b""
    while place < len(inner) and inner[place:].strip():
        match = re.compile(FIELD).match(inner, place)
        if match is None or match[5] or match[1].decode() in fields:
            refuse(path, f"array {shown(name)} has a damaged header, or one of records, near byte {place}")
        key, string, truth, numbers = match[1].decode(), match[2], match[3], match[4]
        if string is not None:
            fields[key] = string.decode("latin-1")
        elif truth is not None:
            fields[key] = truth == b"True"
        else:
            fields[key] = _shape(path, name, numbers)
        place = match.end()
        if place < len(inner):
            if inner[place : place + 1] != b",":
                refuse(path, f"array {shown(name)} has a damaged header near byte {place}")
            place += 1
    return fields


def _shape(path: Path, name: str, text: bytes) -> tuple[int, ...]:
    items = text.split(b",")
    if items and not items[-1].strip():
        items.pop()
    if not all(re.fullmatch(rb"\s*\d{1,18}L?\s*", item) for item in items) or len(items) > 64:
        refuse(path, f"array {shown(name)} must have a shape of at most 64 non-negative integers, got {shown(text)}")
    return tuple(int(item.strip().rstrip(b"L")) for item in items)


def _same(memory: Bytes) -> Bytes:
    return memory


def _inflated(path: Path, member: Member) -> Bytes:
    return np.frombuffer(_inflate(path, member, member.size), np.uint8)


def _inflate(path: Path, member: Member, length: int) -> bytes:
    """Return the first `length` bytes of a compressed member, and never more."""
    with zipfile.ZipFile(path) as archive:
        try:
            with archive.open(member.name) as file:
                found = file.read(min(length, member.size))
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            KeyError,
            OSError,
        ) as error:
            refuse(path, f"member {shown(member.name)} is damaged: {error}")
    if len(found) < min(length, member.size):
        refuse(path, f"member {shown(member.name)} must inflate to {member.size} bytes, got {len(found)}")
    return found
