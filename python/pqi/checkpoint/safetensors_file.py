"""The safetensors format: an 8-byte length, a JSON header, and the tensors' bytes one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from pqi.checkpoint import strict_json
from pqi.checkpoint.element import TYPES, ElementType
from pqi.checkpoint.mapping import map_file
from pqi.checkpoint.stored import Checkpoint, Origin, StoredTensor, check_tensors, natural, plural, refuse, shown

LONGEST_HEADER = 100_000_000
"""The format's own limit, in bytes."""

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F6_E2M3": "float6_e2m3",
    "F6_E3M2": "float6_e3m2",
    "F4": "float4_e2m1",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}


def read_safetensors(path: Path) -> Checkpoint:
    """Read the header of one file; tensors are mapped, and in the natural order of their names, as the file has none.

    Raises
    ------
    OSError, ValueError
        If the file cannot be opened, or breaks the format in any way: the message names the file and the rule.
    """
    memory = map_file(path)
    header, begin = _header(path, memory)
    metadata = _metadata(path, header.pop("__metadata__", None))
    tensors = []
    for name, entry in header.items():
        element, shape, first = _entry(path, name, entry)
        tensors.append(
            StoredTensor(
                name=name,
                element=element,
                shape=shape,
                memory=lambda: memory,
                offset=begin + first,
                origin=Origin(path, 0),
            )
        )
    _check_cover(path, tensors, begin, memory.size)
    check_tensors(path, tuple(tensors), memory.size)
    tensors.sort(key=lambda tensor: natural(tensor.name))
    return Checkpoint(path, "safetensors", tuple(tensors), (path,), metadata)


def _header(path: Path, memory: Any) -> tuple[dict[str, Any], int]:
    if memory.size < 8:
        refuse(path, f"a safetensors file must have at least 8 bytes, got {memory.size}")
    length = int.from_bytes(memory[:8].tobytes(), "little")
    if length > min(memory.size - 8, LONGEST_HEADER):
        refuse(path, f"the header must fit in the file and in {LONGEST_HEADER} bytes, got a length of {length}")
    text = memory[8 : 8 + length].tobytes()
    if not text.startswith(b"{"):
        refuse(path, "the header must start with '{'")
    try:
        header = strict_json.parse(text)
    except ValueError as error:
        refuse(path, f"header: {error}")
    return header, 8 + length


def _metadata(path: Path, found: Any) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        refuse(path, "__metadata__ must map strings to strings")
    return found


def _entry(path: Path, name: str, entry: Any) -> tuple[ElementType, tuple[int, ...], int]:
    def wrong(rule: str, value: object) -> NoReturn:
        refuse(path, f"tensor {shown(name)} must have {rule}, got {shown(value)}")

    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        wrong("dtype, shape and data_offsets", sorted(entry) if isinstance(entry, dict) else entry)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        wrong("a dtype of the format", dtype)
    if not isinstance(shape, list) or not all(map(strict_json.is_count, shape)):
        wrong("a shape of non-negative integers", shape)
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(strict_json.is_count, offsets)):
        wrong("two non-negative data_offsets", offsets)
    element, (first, end) = TYPES[DTYPES[dtype]], offsets
    needed = element.bytes_of(_product(shape))
    if end - first != needed:
        wrong(f"as many bytes as {dtype} of shape {shown(shape)} takes", f"data_offsets {offsets}")
    return element, tuple(shape), first


def _product(shape: list[int]) -> int:
    """Elements of a shape; stops multiplying where no file could hold them, so that numbers stay small."""
    if 0 in shape:
        return 0
    count = 1
    for size in shape:
        count *= size
        if count > 2**63:
            return 2**66
    return count


def _check_cover(path: Path, tensors: list[StoredTensor], begin: int, end: int) -> None:
    """Tensors must fill the data without gap or overlap, as the format says."""
    reached, before = begin, "the header"
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.nbytes)):
        if tensor.offset != reached:
            kind = "overlaps" if tensor.offset < reached else "leaves a gap after"
            refuse(path, f"tensor {shown(tensor.name)} {kind} {shown(before)}: its data_offsets are wrong")
        reached, before = reached + tensor.nbytes, tensor.name
    if reached != end:
        difference = plural(abs(end - reached), "byte")
        refuse(path, f"the file must end with its last tensor, got {difference} {'more' if reached < end else 'fewer'}")
