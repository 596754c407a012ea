"""Pickles read as data: a machine that builds containers and symbols, and has no way to call anything.

What a pickle asks to call becomes a `Call` of a `Symbol` with its arguments, for the reader to interpret; the machine
imports nothing, and knows only the operations that pickles of tensors and arrays consist of.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

MOST_OPERATIONS = 4_000_000
"""Operations of a pickle: 80,000 tensors need as many. Each makes at most one small object."""
LONGEST_INTEGER = 16


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name that the pickle refers to; never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True)
class Call:
    """What the pickle asks to call or to make, and the state that the object would have taken."""

    function: Any
    arguments: Any
    state: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Persistent:
    """An object outside the pickle, by its identifier."""

    identifier: Any


@dataclass(slots=True)
class Pairs:
    """A dictionary as the list of what was set, so that any key will do."""

    items: list[tuple[Any, Any]] = field(default_factory=list)


class Opaque:
    """A value that no tensor depends on."""

    __slots__ = ()


OPAQUE = Opaque()


def read_pickle(data: bytes, check: Callable[[Symbol], None] | None = None) -> Any:
    """Return the object that `data` describes; `check` sees every symbol at once and may refuse it.

    Raises
    ------
    ValueError
        If the pickle is damaged, too long, or uses other operations.

    Examples
    --------
    >>> import pickle
    >>> read_pickle(pickle.dumps([1, (2.0, "three")], protocol=2))
    [1, (2.0, 'three')]
    >>> read_pickle(pickle.dumps(print, protocol=2)) == Symbol("__builtin__", "print")
    True
    """
    return Machine(data, check or void).run()


class Machine:
    """The stack, the memo and the place in the data."""

    def __init__(self, data: bytes, check: Callable[[Symbol], None]) -> None:
        self._data, self._check = data, check
        self._place = 0
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Execute until STOP."""
        for _ in range(MOST_OPERATIONS):
            code = self._take(1)
            if code == b".":
                return self._pop()
            operation = OPERATIONS.get(code)
            if operation is None:
                self._refuse(f"operation {code!r} must not occur")
            operation(self)
        return self._refuse(f"it must have at most {MOST_OPERATIONS} operations")

    def _refuse(self, reason: str) -> NoReturn:
        raise ValueError(f"the pickle is damaged or of no known kind near byte {self._place}: {reason}")

    def _take(self, length: int) -> bytes:
        end = self._place + length
        if end > len(self._data):
            self._refuse("it ends too early")
        found = self._data[self._place : end]
        self._place = end
        return found

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _line(self) -> str:
        end = self._data.find(b"\n", self._place)
        if end < 0:
            self._refuse("it ends too early")
        text = self._take(end - self._place)
        self._take(1)
        return self._text(text)

    def _text(self, found: bytes) -> str:
        try:
            return found.decode("utf-8")
        except UnicodeDecodeError:
            return self._refuse("text must be UTF-8")

    def _pop(self) -> Any:
        if not self._stack:
            self._refuse("the stack is empty")
        return self._stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        if not self._below:
            self._refuse("there is no mark")
        items, self._stack = self._stack, self._below.pop()
        return items

    def _top(self, kind: type[Any]) -> Any:
        if not self._stack or not isinstance(self._stack[-1], (kind, Call, Opaque)):
            self._refuse(f"items need a {kind.__name__.lower()} to go into")
        return self._stack[-1]

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def push_number(self, form: str) -> None:
        """Push the number stored in this form."""
        self.push(self._number(form))

    def push_text(self, form: str) -> None:
        """Push the text whose length is stored in this form."""
        self.push(self._text(self._take(self._number(form))))

    def push_bytes(self, form: str) -> None:
        """Push the bytes whose length is stored in this form."""
        self.push(self._take(self._number(form)))

    def push_integer(self, form: str) -> None:
        """Push an integer of any width; a wider one than checkpoints have is opaque."""
        length = self._number(form)
        if length < 0:
            self._refuse("lengths must not be negative")
        found = self._take(length)
        self.push(int.from_bytes(found, "little", signed=True) if length <= LONGEST_INTEGER else OPAQUE)

    def mark(self) -> None:
        """Begin a list of items."""
        self._below.append(self._stack)
        self._stack = []

    def pop(self) -> None:
        """Drop the topmost value, or the mark."""
        if self._stack:
            self._stack.pop()
        else:
            self._pop_to_mark()

    def duplicate(self) -> None:
        """Push the topmost value again."""
        value = self._pop()
        self.push(value)
        self.push(value)

    def pop_to_mark(self) -> None:
        """Drop everything down to the mark."""
        self._pop_to_mark()

    def opaque_to_mark(self) -> None:
        """Replace everything down to the mark by an opaque value."""
        self._pop_to_mark()
        self.push(OPAQUE)

    def memoize(self, form: str | None) -> None:
        """Remember the topmost value under the stored number, or the next one."""
        number = len(self._memo) if form is None else self._number(form)
        value = self._pop()
        self.push(value)
        self._memo[number] = value

    def recall(self, form: str) -> None:
        """Push what is remembered under the stored number."""
        number = self._number(form)
        if number not in self._memo:
            self._refuse(f"nothing is remembered under {number}")
        self.push(self._memo[number])

    def tuple_of(self, length: int | None) -> None:
        """Push a tuple of the topmost values, or of all down to the mark."""
        items = self._pop_to_mark() if length is None else [self._pop() for _ in range(length)][::-1]
        self.push(tuple(items))

    def list_of(self) -> None:
        """Push a list of everything down to the mark."""
        self.push(self._pop_to_mark())

    def append(self, items: list[Any]) -> None:
        """Append to the topmost list; what a call would have made takes nothing."""
        target = self._top(list)
        if isinstance(target, list):
            target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        """Set keys and values of the topmost dictionary."""
        if len(items) % 2:
            self._refuse("a key has no value")
        target = self._top(Pairs)
        if isinstance(target, Pairs):
            target.items.extend(zip(items[::2], items[1::2], strict=True))

    def symbol(self, module: Any, name: Any) -> None:
        """Push a symbol."""
        if not isinstance(module, str) or not isinstance(name, str):
            self._refuse("a symbol must have a name")
        found = Symbol(module, name)
        self._check(found)
        self.push(found)

    def call(self, *, keywords: bool = False) -> None:
        """Push the call of a function with the topmost tuple; an ordered dictionary is a dictionary."""
        if keywords:
            self._pop()
        arguments, function = self._pop(), self._pop()
        self.push(Pairs() if function == ORDERED and arguments == () else Call(function, arguments))

    def build(self) -> None:
        """Keep the state that the topmost object would have taken, if a call makes it."""
        state = self._pop()
        if not self._stack:
            self._refuse("the stack is empty")
        if isinstance(self._stack[-1], Call):
            self._stack[-1].state = state


ORDERED = Symbol("collections", "OrderedDict")


def _stack_symbol(machine: Machine) -> None:
    name, module = machine._pop(), machine._pop()
    machine.symbol(module, name)


OPERATIONS: dict[bytes, Callable[[Machine], None]] = {
    b"\x80": lambda m: void(m._number("<B")),
    b"\x95": lambda m: void(m._number("<Q")),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push_number("<i"),
    b"K": lambda m: m.push_number("<B"),
    b"M": lambda m: m.push_number("<H"),
    b"G": lambda m: m.push_number(">d"),
    b"\x8a": lambda m: m.push_integer("<B"),
    b"\x8b": lambda m: m.push_integer("<i"),
    b"X": lambda m: m.push_text("<I"),
    b"\x8c": lambda m: m.push_text("<B"),
    b"\x8d": lambda m: m.push_text("<Q"),
    b"B": lambda m: m.push_bytes("<I"),
    b"C": lambda m: m.push_bytes("<B"),
    b"\x8e": lambda m: m.push_bytes("<Q"),
    b"T": lambda m: m.push_bytes("<I"),
    b"U": lambda m: m.push_bytes("<B"),
    b"]": lambda m: m.push([]),
    b")": lambda m: m.push(()),
    b"}": lambda m: m.push(Pairs()),
    b"\x8f": lambda m: m.push(OPAQUE),
    b"(": Machine.mark,
    b"0": Machine.pop,
    b"1": Machine.pop_to_mark,
    b"2": Machine.duplicate,
    b"q": lambda m: m.memoize("<B"),
    b"r": lambda m: m.memoize("<I"),
    b"\x94": lambda m: m.memoize(None),
    b"h": lambda m: m.recall("<B"),
    b"j": lambda m: m.recall("<I"),
    b"t": lambda m: m.tuple_of(None),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"l": Machine.list_of,
    b"\x91": Machine.opaque_to_mark,
    b"\x90": Machine.pop_to_mark,
    b"a": lambda m: m.append([m._pop()]),
    b"e": lambda m: m.append(m._pop_to_mark()),
    b"s": lambda m: m.set_items([m._pop(), m._pop()][::-1]),
    b"u": lambda m: m.set_items(m._pop_to_mark()),
    b"c": lambda m: m.symbol(m._line(), m._line()),
    b"\x93": _stack_symbol,
    b"Q": lambda m: m.push(Persistent(m._pop())),
    b"R": Machine.call,
    b"\x81": Machine.call,
    b"\x92": lambda m: m.call(keywords=True),
    b"b": Machine.build,
}
"""The operations of protocols 2 to 5 that make containers, numbers, texts and symbols."""


def void(_: Any) -> None:
    """Ignore a protocol's or a frame's number."""
