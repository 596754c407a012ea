"""What adds up over chunks, shards and ranks: the contract of `Histogram`, `GiniSketch` and `PowerSums`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from pqi import _arrays, _check_accumulator
from pqi._segments import Segments

if TYPE_CHECKING:
    from typing import Self

State = dict[str, np.ndarray[Any, Any]]


class Accumulator(ABC):
    """Counts or sums of a vector, from which measures follow; those of two vectors add up to those of both together."""

    __slots__ = ()

    @property
    @abstractmethod
    def live(self) -> int:
        """Entries taken in: the d of the measures."""

    @property
    @abstractmethod
    def state(self) -> State:
        """All that it holds as plain arrays, to be shipped or stored; `from_state` takes it back."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: State) -> Self:
        """Return the accumulator with this state."""

    @abstractmethod
    def _sum(self, other: Self) -> Self:
        """Return the accumulator of both vectors together."""

    def __add__(self, other: Self) -> Self:
        """Return the accumulator of both vectors together; neither changes."""
        return self._sum(other) if type(other) is type(self) else NotImplemented

    def __eq__(self, other: object) -> bool:
        """Whether the states have the same bits."""
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = self.state, other.state
        return all(mine[key].tobytes() == theirs[key].tobytes() for key in mine)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_state, (self.state,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(live={self.live:,})"


def one_vector(x: Any, where: Any) -> _arrays.Batch:
    """Views of an array or of pooled arrays, and of their masks."""
    _check_accumulator.one_vector(isinstance(x, Segments))
    return _arrays.prepare_views(x, None, False, where)
