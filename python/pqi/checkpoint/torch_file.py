"""PyTorch's zip checkpoints, without torch and without running what they say.

The pickle inside is read as data; the only symbols admitted are those from which tensors are rebuilt, and a few that
hold plain values. Storages are mapped where they lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pqi.checkpoint.archive import Archive, Member, open_archive
from pqi.checkpoint.element import TYPES, ElementType
from pqi.checkpoint.pickled import Call, Pairs, Persistent, Symbol, read_pickle
from pqi.checkpoint.raw_tensor import extent
from pqi.checkpoint.stored import (
    LONGEST_NAME,
    MOST_NAMED,
    MOST_TENSORS,
    Checkpoint,
    Origin,
    StoredTensor,
    check_tensors,
    refuse,
    shown,
)

LARGEST_PICKLE = 64 << 20
DEEPEST = 64
MOST_REPEATED = 50_000
"""Items of containers that are met again, as shared state dicts are; a short pickle can repeat them endlessly."""

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
UNTYPED = {Symbol("torch.storage", "UntypedStorage"), Symbol("torch", "UntypedStorage")}

REBUILDS = {
    Symbol("torch._utils", "_rebuild_tensor"): "plain",
    Symbol("torch._utils", "_rebuild_tensor_v2"): "plain",
    Symbol("torch._utils", "_rebuild_tensor_v3"): "typed",
    Symbol("torch._utils", "_rebuild_parameter"): "parameter",
    Symbol("torch._utils", "_rebuild_parameter_with_state"): "parameter",
    Symbol("torch._tensor", "_rebuild_from_type_v2"): "subclass",
}

HARMLESS = {
    "collections": {"OrderedDict", "defaultdict", "Counter"},
    "torch": {*STORAGES, "UntypedStorage", "Size", "device", "Tensor", *TYPES, "half", "float", "double", "long"},
    "torch.storage": {"UntypedStorage", "TypedStorage"},
    "torch._utils": {symbol.name for symbol in REBUILDS if symbol.module == "torch._utils"},
    "torch._tensor": {"_rebuild_from_type_v2"},
    "torch.nn.parameter": {"Parameter", "Buffer"},
    "torch.serialization": {"_get_layout"},
    "argparse": {"Namespace"},
    "_codecs": {"encode"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"scalar", "_reconstruct"},
    "numpy._core.multiarray": {"scalar", "_reconstruct"},
    "numpy.dtypes": {"Float64DType", "Float32DType", "Int64DType", "Int32DType", "BoolDType"},
    "__builtin__": {"int", "float", "bool", "str", "list", "dict", "tuple", "set", "bytearray", "complex", "slice"},
    "builtins": {"int", "float", "bool", "str", "list", "dict", "tuple", "set", "bytearray", "complex", "slice"},
}
"""Symbols that a state dict and the plain values beside it refer to, by module."""


@dataclass(frozen=True, slots=True)
class Found:
    """A tensor as the pickle describes it."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any
    dtype: Any


def read_torch(path: Path) -> Checkpoint:
    """Read what ``torch.save`` wrote.

    Nested dictionaries and lists give names joined by dots.

    Raises
    ------
    OSError, ValueError
        If the file cannot be opened or is damaged, refers to anything but tensors and plain values, or has no tensor.
    """
    archive = open_archive(path)
    root, pickle = _pickle_of(archive)
    try:
        content = read_pickle(pickle, _check_symbol)
    except ValueError as error:
        refuse(path, str(error))
    reader = _Reader(archive, root)
    tensors = []
    for name, found in _walk(path, content):
        tensors.append(reader.tensor(name or path.stem, found))
        if len(tensors) > MOST_TENSORS:
            refuse(path, f"must hold at most {MOST_TENSORS} tensors")
    if not tensors:
        refuse(path, "must hold a state dict with tensors, got none; save model.state_dict()")
    check_tensors(path, tuple(tensors), archive.memory.size)
    return Checkpoint(path, "torch", tuple(tensors), (path,))


def _pickle_of(archive: Archive) -> tuple[str, bytes]:
    roots = [
        name.removesuffix("data.pkl") for name in archive.members if name.endswith("/data.pkl") or name == "data.pkl"
    ]
    if len(roots) != 1:
        refuse(archive.path, f"must hold one data.pkl, got {len(roots)}")
    root = roots[0]
    order = archive.members.get(f"{root}byteorder")
    if order is not None and order.size <= 16 and archive.bytes_of(order).tobytes() != b"little":
        refuse(archive.path, "must be in little-endian byte order")
    member = archive.members[f"{root}data.pkl"]
    if member.size > LARGEST_PICKLE:
        refuse(archive.path, f"data.pkl must have at most {LARGEST_PICKLE} bytes, got {member.size}")
    return root, archive.bytes_of(member).tobytes()


def _check_symbol(symbol: Symbol) -> None:
    if symbol.name not in HARMLESS.get(symbol.module, ()):
        raise ValueError(f"the pickle refers to {shown(symbol)}, which no state dict needs; nothing was run")


@dataclass(frozen=True, slots=True)
class _Place:
    """A key on the way to a tensor. Names are joined for tensors alone: a long key may have millions below it."""

    above: _Place | None
    key: Any
    depth: int


def _walk(path: Path, content: Any) -> Iterator[tuple[str, Found]]:
    """Yield the tensors in nested containers, in order, with their names."""
    left: list[tuple[_Place | None, Any]] = [(None, content)]
    met, repeated, named = set[int](), 0, 0
    while left:
        place, value = left.pop()
        if place is not None and place.depth > DEEPEST:
            refuse(path, f"containers must nest at most {DEEPEST} deep")
        if isinstance(value, Call):
            found = _rebuilt(value)
            if found is not None:
                name = _name(path, place)
                named += len(name)  # which repeats keys that the pickle holds once
                if named > MOST_NAMED:
                    refuse(path, f"tensor names must have at most {MOST_NAMED} characters together")
                yield name, found
            continue
        items = _items(value)
        repeated += len(items) if id(value) in met else 0
        if repeated > MOST_REPEATED:
            refuse(path, "containers must not repeat endlessly")
        met.add(id(value))
        depth = 1 if place is None else place.depth + 1
        pairs = items if isinstance(value, Pairs) else list(enumerate(items))
        left.extend((_Place(place, key, depth), inner) for key, inner in reversed(pairs) if _holds(inner))


def _holds(value: Any) -> bool:
    """Whether a tensor may be found in it."""
    return isinstance(value, Call) or bool(_items(value))


def _items(value: Any) -> Sequence[Any]:
    """Return a container's items, of a dictionary with their keys; none for any other value."""
    if isinstance(value, Pairs):
        return value.items
    return value if isinstance(value, (list, tuple)) else ()


def _name(path: Path, place: _Place | None) -> str:
    keys: list[str] = []
    while place is not None:
        keys.append(str(place.key) if isinstance(place.key, (str, int)) else type(place.key).__name__)
        place = place.above
    name = ".".join(reversed(keys))
    if len(name) > LONGEST_NAME:
        refuse(path, f"tensor names must have at most {LONGEST_NAME} characters, got {len(name)}: {shown(name)}")
    return name


def _rebuilt(call: Call, depth: int = 0) -> Found | None:
    """Interpret a call that rebuilds a tensor; None for any other."""
    kind = REBUILDS.get(call.function) if isinstance(call.function, Symbol) else None
    arguments = call.arguments
    if kind is None or not isinstance(arguments, tuple) or depth > 4:
        return None
    if kind in ("plain", "typed") and len(arguments) >= 4:
        dtype = arguments[6] if kind == "typed" and len(arguments) > 6 else None
        storage, offset, shape, strides = arguments[:4]
        return Found(storage, offset, shape, strides, dtype)
    if kind == "parameter" and arguments and isinstance(arguments[0], Call):
        return _rebuilt(arguments[0], depth + 1)
    if kind == "subclass" and len(arguments) >= 3:
        return _rebuilt(Call(arguments[0], arguments[2]), depth + 1)
    return None


class _Reader:
    """Turns what the pickle describes into tensors of the archive, each value checked."""

    def __init__(self, archive: Archive, root: str) -> None:
        self._archive, self._root = archive, root

    def tensor(self, name: str, found: Found) -> StoredTensor:
        """Return the tensor; its elements must lie within its storage."""
        path = self._archive.path
        shape, strides, offset = _counts(found.shape), _counts(found.strides), found.offset
        if shape is None or strides is None or len(shape) != len(strides) or _counts((offset,)) is None:
            refuse(path, f"tensor {shown(name)} must have a shape, strides and an offset of non-negative integers")
        element, member = self._storage(name, found)
        if element.bits % 8:
            refuse(path, f"tensor {shown(name)} must have elements of whole bytes, got {element.name}")
        begin, end = offset * element.itemsize, (offset + extent(shape, strides)) * element.itemsize
        if end > member.size:
            refuse(path, f"tensor {shown(name)} must lie within its storage of {member.size} bytes, got {shown(end)}")
        memory = self._archive.bytes_of(member)
        return StoredTensor(
            name=name,
            element=element,
            shape=shape,
            memory=lambda: memory,
            strides=strides,
            offset=begin,
            identity=(path, member.begin, begin, shape, strides, element.name),
            origin=Origin(path, member.begin),
        )

    def _storage(self, name: str, found: Found) -> tuple[ElementType, Member]:
        path = self._archive.path
        identifier = found.storage.identifier if isinstance(found.storage, Persistent) else None
        if not isinstance(identifier, tuple) or len(identifier) != 5 or identifier[0] != "storage":
            refuse(path, f"tensor {shown(name)} must have a storage")
        kind, key = identifier[1], identifier[2]
        symbol = found.dtype if found.dtype is not None else kind
        known = _element(symbol) if isinstance(symbol, Symbol) else None
        if known is None:
            refuse(path, f"tensor {shown(name)} must have a known dtype, got {shown(symbol)}")
        member = self._archive.members.get(f"{self._root}data/{key}") if isinstance(key, str) else None
        if member is None:
            refuse(path, f"tensor {shown(name)} must have its storage in the archive, got {shown(key)}")
        return known, member


def _element(symbol: Symbol) -> ElementType | None:
    if symbol.module not in ("torch", "torch.storage"):
        return None
    return TYPES.get(STORAGES.get(symbol.name, symbol.name))


def _counts(values: Any) -> tuple[int, ...] | None:
    """Return a tuple of counts; None for anything else."""
    if isinstance(values, Call) and values.function == Symbol("torch", "Size") and isinstance(values.arguments, tuple):
        values = values.arguments[0] if len(values.arguments) == 1 else None
    if not isinstance(values, (tuple, list)) or not all(type(value) is int and 0 <= value < 2**62 for value in values):
        return None
    return tuple(values)
