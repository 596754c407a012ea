"""A tensor in a file: what a reader found, and the way to its elements."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pqi.checkpoint.element import ElementType
from pqi.checkpoint.raw_tensor import RawTensor, row_major

Bytes = NDArray[np.uint8]

MOST_DIMENSIONS = 64
SURROGATES = re.compile("[\ud800-\udfff]")
MOST_TENSORS = 200_000
"""A file with more tensors is refused: nothing that large is known, and a hostile one could ask for endless memory."""
LONGEST_NAME = 4096
"""Characters of a tensor's name: the longest that is known has under 200, and tables sort and print them."""
MOST_NAMED = 16 << 20
"""Characters of all names of a file, several times those of any that is known: to sort more takes many seconds."""
MOST_READS = 4
"""Tensors may share storage (tied weights, views), but must not read a file more often than this."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tensor's storage begins in a file that holds it as it is, byte for byte."""

    file: Path
    begin: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One named tensor of a checkpoint."""

    name: str
    element: ElementType
    shape: tuple[int, ...]
    memory: Callable[[], Bytes]
    """The storage: mapped, or inflated when it is called."""
    strides: tuple[int, ...] | None = None
    """In elements; None: row-major."""
    offset: int = 0
    """Byte of the storage at which the first element lies."""
    swapped: bool = False
    """Whether the bytes of each element are in big-endian order."""
    identity: object = None
    """Equal for tensors that are the same elements in the same storage; None where that cannot be."""
    origin: Origin | None = None
    """The storage's place in a file, unless it is compressed."""

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return -(-self.count * self.element.bits // 8)

    @property
    def contiguous(self) -> bool:
        """Whether the elements follow each other in row-major order."""
        return self.strides is None or self.strides == row_major(self.shape)

    @property
    def is_optimizer_state(self) -> bool:
        """Whether the name says that a training state was saved with the weights."""
        return self.name.startswith("optim")

    @property
    def prunable(self) -> bool:
        """Whether it is taken for a weight matrix: two or more dimensions of a type that weights have."""
        return len(self.shape) > 1 and self.count > 0 and self.element.is_weight and not self.is_optimizer_state

    def array(self) -> Any:
        """Return the tensor as something that every array function takes; only big-endian ones are copied."""
        if self.swapped:
            return self.as_numpy()
        return RawTensor(self.memory(), self.element, self.shape, self.strides, self.offset)

    def as_numpy(self) -> NDArray[Any]:
        """Return the tensor as a numpy array over the storage; numpy must know its type."""
        dtype = np.dtype(self.element.name).newbyteorder(">" if self.swapped else "<")
        width = self.element.itemsize
        strides = tuple(stride * width for stride in self.strides or row_major(self.shape))
        return np.ndarray(self.shape, dtype, self.memory().data, self.offset, strides)


@dataclass(frozen=True)
class Checkpoint:
    """What one path holds."""

    path: Path
    format: str
    tensors: tuple[StoredTensor, ...]
    files: tuple[Path, ...]
    metadata: dict[str, str] = field(default_factory=dict)
    index: Path | None = None
    """The file that lists the shards, if there is one."""


def refuse(path: Path, reason: str) -> NoReturn:
    """Raise the error of a damaged or hostile file."""
    raise ValueError(f"{shown(path, longest=4096)}: {reason}")


def shown(text: object, longest: int = 80) -> str:
    r"""Return a text from a file so that it fits on a line: no control characters, no endless names.

    Examples
    --------
    >>> shown("a" * 100, longest=8)
    'aaaa…aaa'
    >>> shown("red\x1b[31m")
    'red\\x1b[31m'
    """
    given = str(text)
    if len(given) > 2 * longest:
        given = given[:longest] + given[-longest:]
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in given)
    if len(plain) <= longest:
        return plain
    return plain[: longest // 2] + "…" + plain[len(plain) - (longest - 1) // 2 :]


def plural(count: int, noun: str) -> str:
    """Return a number of things.

    Examples
    --------
    >>> plural(1, "tensor"), plural(1200, "tensor")
    ('1 tensor', '1,200 tensors')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def natural(name: str) -> str:
    r"""Sort key of a name in which numbers count as numbers.

    One text for each name, as tuples of parts would take a hundred times the memory of a hostile name: of each part the
    number of digits, the part, and an end that sorts before every character, for which the first two make room.

    Examples
    --------
    >>> sorted(["layers.10", "layers.9"], key=natural)
    ['layers.9', 'layers.10']
    """
    parts = re.split(r"(\d+)", name.replace("\1", "\1\1").replace("\0", "\1\0"))
    return "".join(f"{chr(len(part.lstrip('0')) if part.isdigit() else 0)}{part}\0" for part in parts)


def check_tensors(path: Path, tensors: tuple[StoredTensor, ...], size: int) -> None:
    """Refuse a file whose tensors are too many, share a name, have too many dimensions, or reread it endlessly."""
    if len(tensors) > MOST_TENSORS:
        refuse(path, f"must hold at most {MOST_TENSORS} tensors, got {len(tensors)}")
    names: set[str] = set()
    distinct: dict[object, int] = {}
    for tensor in tensors:
        if len(tensor.name) > LONGEST_NAME:
            length = len(tensor.name)
            refuse(
                path, f"tensor names must have at most {LONGEST_NAME} characters, got {length}: {shown(tensor.name)}"
            )
        if tensor.name in names:
            refuse(path, f"tensor names must be unique, got {shown(tensor.name)} twice")
        names.add(tensor.name)
        if SURROGATES.search(tensor.name):
            refuse(path, f"tensor names must be text, got {shown(tensor.name)}")
        if len(tensor.shape) > MOST_DIMENSIONS:
            refuse(
                path,
                f"tensor {shown(tensor.name)} must have at most {MOST_DIMENSIONS} dimensions, got {len(tensor.shape)}",
            )
        distinct[tensor.name if tensor.identity is None else tensor.identity] = tensor.nbytes
    if sum(len(tensor.name) for tensor in tensors) > MOST_NAMED:
        refuse(path, f"tensor names must have at most {MOST_NAMED} characters together")
    if sum(distinct.values()) > MOST_READS * size:
        refuse(path, f"tensors must not read the file more than {MOST_READS} times over")
