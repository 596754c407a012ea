"""What is measured of a tensor, and of all weight matrices as one vector."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

import pqi
from pqi import GiniSketch, Histogram, PowerSums
from pqi.checkpoint.element import ElementType
from pqi.checkpoint.stored import StoredTensor

Pair = tuple[float, float]
Counted = TypeVar("Counted", Histogram, GiniSketch)

DEFAULT_PAIRS: tuple[Pair, ...] = ((0.5, 1.0), (1.0, 2.0))
DEFAULT_TOL = 1e-6
DEFAULT_WORKSPACE = 2 << 30
COUNTED_FROM = 1 << 20
"""From here on the bits of a histogram's measures are those of the array functions."""
SKETCHED_FROM = 1 << 18
"""Smaller vectors are sorted in cache: their exact Gini index costs less than a sketch."""
ROUNDING = 1e-14
"""An interval narrower than this is rounding error."""
MOST_UNITS = 1 << 22
"""Tensors with more output units get no spread: it has to hold one index for each."""


@dataclass(frozen=True, slots=True)
class PairResult:
    """The index at one pair of exponents, and Theorem 2's bound at η = 0."""

    p: float
    q: float
    index: float
    bound: float
    keep: float
    """Suggested keep ratio: bound / d."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The index over output units (first axis), at the first pair of exponents; units without an index left out."""

    units: int
    min: float
    median: float
    max: float


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of one vector; nan where undefined."""

    zeros: int
    max: float
    mean: float
    gini: float
    gini_low: float
    """Proven ends of the interval that holds the exact Gini index; both equal to `gini` where that is exact."""
    gini_high: float
    pairs: tuple[PairResult, ...]

    @property
    def exact(self) -> bool:
        """Whether the Gini index is exact; so is an undefined one."""
        return not self.gini_low < self.gini_high

    @property
    def unusual(self) -> str:
        """What keeps the vector from having an index; empty if nothing does."""
        if math.isnan(self.max):
            return "holds NaN"
        if math.isinf(self.max):
            return "holds infinity"
        return "all zero" if self.max == 0 else ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure."""

    pairs: tuple[Pair, ...] = DEFAULT_PAIRS
    spread: bool = True
    tol: float = DEFAULT_TOL
    """How wide the interval of a Gini index may be; one- and two-byte types and short vectors have exact ones."""
    exact: bool = False
    """Whether the Gini index is to be exact for every type."""
    workspace: int = DEFAULT_WORKSPACE
    """Bytes that the exact Gini index of a four- or eight-byte type may take; beyond, its interval stays."""

    def __post_init__(self) -> None:
        if not self.pairs:
            raise ValueError("pairs must hold at least one (p, q), got none")
        for p, q in self.pairs:
            pqi.retained_bound_from_index(0.0, 1, p, q)
        pqi.gini([1.0], tol=self.tol)
        if self.workspace < 0:
            raise ValueError(f"workspace must be >= 0, got {self.workspace}")


class Vector:
    """Tensors as one vector, measured one by one and, in the end, together; each is read once where that is possible.

    From `COUNTED_FROM` entries of a one- or two-byte type all measures follow from its histogram, from `SKETCHED_FROM`
    entries of a wider one the Gini index from its sketch, and those of tensors add up to that of the vector. What else
    there is to know of it is read anew.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tensors: list[StoredTensor] = []
        self._parts: list[Measures] = []
        self._known: set[str] = set()  # tensors that these sums hold
        self._histograms: dict[ElementType, Histogram] = {}
        self._sketches: dict[ElementType, GiniSketch] = {}

    @property
    def tensors(self) -> Sequence[StoredTensor]:
        """What was added."""
        return self._tensors

    def add(self, tensor: StoredTensor) -> Measures:
        """Measure a tensor and make it a part of the vector."""
        found, counted = _measure(tensor, self._settings)
        self._tensors.append(tensor)
        self._parts.append(found)
        if isinstance(counted, Histogram):
            self._keep(self._histograms, tensor, counted)
        if isinstance(counted, GiniSketch):
            self._keep(self._sketches, tensor, counted)
        return found

    def _keep(self, sums: dict[ElementType, Counted], tensor: StoredTensor, counted: Counted) -> None:
        before = sums.get(tensor.element)
        sums[tensor.element] = counted if before is None else before + counted
        self._known.add(tensor.name)

    def measure(self) -> Measures | None:
        """Measure the vector; None if it is empty."""
        if len(self._tensors) < 2:
            return self._parts[0] if self._parts else None
        count = sum(tensor.count for tensor in self._tensors)
        if len({tensor.element for tensor in self._tensors}) == 1 and is_counted(self._tensors[0].element, count):
            return _from_histogram(self._histogram(), self._settings)
        return self._read_anew(count)

    def _histogram(self) -> Histogram:
        rest = [tensor.array() for tensor in self._tensors if tensor.name not in self._known]
        histograms = [*self._histograms.values(), *([pqi.histogram(pqi.pooled(rest))] if rest else [])]
        return functools.reduce(operator.add, histograms)

    def _sketch(self) -> GiniSketch:
        tol = self._settings.tol
        if len({tensor.element.bits > 32 for tensor in self._tensors}) == 2:  # floats of 64 bits have other buckets
            return pqi.gini_sketch(pqi.pooled([tensor.array() for tensor in self._tensors]), tol=tol)
        sketched = {tensor.name for tensor in self._tensors if tensor.element in self._sketches} & self._known
        rest = (tensor.array() for tensor in self._tensors if tensor.name not in sketched)
        more = (pqi.gini_sketch(x, tol=tol) for x in rest)
        return functools.reduce(operator.add, (*self._sketches.values(), *more))

    def _read_anew(self, count: int) -> Measures:
        x = pqi.pooled([tensor.array() for tensor in self._tensors])
        workspace = gini_workspace(self._tensors)
        sums = _sums(x, self._settings.pairs)
        return Measures(
            sum(part.zeros for part in self._parts),
            float(np.max([part.max for part in self._parts])),
            float(sums.power_means()[sums.exponents.index(1.0)]),
            *_gini(x, count, self._sketch, workspace, self._settings),
            _results(self._settings.pairs, sums, count),
        )


def measure(tensor: StoredTensor, settings: Settings) -> Measures:
    """Measure one tensor; it must be measurable and hold at least one element."""
    return _measure(tensor, settings)[0]


def _measure(tensor: StoredTensor, settings: Settings) -> tuple[Measures, Histogram | GiniSketch | None]:
    x = tensor.array()
    if is_counted(tensor.element, tensor.count):
        histogram = pqi.histogram(x)
        return _from_histogram(histogram, settings), histogram
    if tensor.count < SKETCHED_FROM or tensor.element.itemsize <= 2:
        (p, q), *others = settings.pairs
        found = pqi.summary(x, p, q)
        zeros, largest, mean, gini = int(found.zeros), float(found.max), float(found.mean), float(found.gini)
        bound = float(found.bound)
        first = PairResult(p, q, float(found.index), bound, bound / tensor.count)
        rest = _results(others, _sums(x, others), tensor.count) if others else ()
        return Measures(zeros, largest, mean, gini, gini, gini, (first, *rest)), None
    sketch = pqi.gini_sketch(x, tol=settings.tol)
    ginis = _gini(x, tensor.count, lambda: sketch, gini_workspace([tensor]), settings)
    results = _results(settings.pairs, _sums(x, settings.pairs), tensor.count)
    return Measures(sketch.zeros, sketch.max, sketch.mean, *ginis, results), sketch


def _gini(
    x: Any, count: int, sketched: Callable[[], GiniSketch], workspace: int, settings: Settings
) -> tuple[float, float, float]:
    """Return the Gini index with the ends of its interval; exact where cheap, asked for, or else too uncertain."""
    cheap, allowed = count < SKETCHED_FROM or workspace == 0, workspace <= settings.workspace
    if not cheap and not (settings.exact and allowed):
        found = sketched().gini()
        if found.high - found.low < ROUNDING:
            return found.value, found.value, found.value
        if not (found.high - found.low > settings.tol and allowed):
            return found
    exact = float(pqi.gini(x))
    return exact, exact, exact


def _from_histogram(histogram: Histogram, settings: Settings) -> Measures:
    gini = histogram.gini()
    results = _results(settings.pairs, _Counted(histogram, settings.pairs), histogram.live)
    return Measures(histogram.zeros, histogram.max, histogram.mean, gini, gini, gini, results)


def is_counted(element: ElementType, count: int) -> bool:
    """Whether the measures of so many entries of a type are those of their histogram."""
    return element.itemsize <= 2 and count >= COUNTED_FROM


def spread(tensor: StoredTensor, settings: Settings) -> Spread | None:
    """Return the index over output units; None where there are none, too many, or units of one weight."""
    if len(tensor.shape) < 2 or tensor.shape[0] > MOST_UNITS or tensor.count < 2 * tensor.shape[0]:
        return None
    p, q = settings.pairs[0]
    values = np.asarray(pqi.index(tensor.array(), p, q, axis=tuple(range(1, len(tensor.shape)))))
    defined = values[~np.isnan(values)]
    if defined.size == 0:
        return None
    return Spread(tensor.shape[0], float(defined.min()), float(np.median(defined)), float(defined.max()))


def gini_workspace(tensors: Sequence[StoredTensor]) -> int:
    """Bytes that `pqi.gini` takes for these tensors as one vector: none for one- and two-byte types."""
    count, widest = sum(tensor.count for tensor in tensors), max(tensor.element.itemsize for tensor in tensors)
    if widest <= 2 and len({tensor.element for tensor in tensors}) == 1:
        return 0
    return count * (8 if widest == 8 else 2)


class _Sums(Protocol):
    """What the measures of pairs of exponents follow from."""

    def index(self, p: float, q: float) -> float:
        """PQ Index."""

    def retained_bound(self, p: float, q: float) -> float:
        """Theorem 2's bound at η = 0."""


class _Counted:
    """A histogram's measures of some pairs, the indices of all computed at once."""

    def __init__(self, histogram: Histogram, pairs: Sequence[Pair]) -> None:
        self._rows, self._columns = (sorted(set(exponents)) for exponents in zip(*pairs, strict=True))
        self._grid = histogram.index_grid(self._rows, self._columns)
        self.retained_bound: Callable[[float, float], float] = histogram.retained_bound

    def index(self, p: float, q: float) -> float:
        return float(self._grid[self._rows.index(p), self._columns.index(q)])


def _sums(x: Any, pairs: Sequence[Pair]) -> PowerSums:
    """Return the power sums that these pairs and the mean follow from: one read, the bits of the array functions."""
    sums = PowerSums(sorted({1.0, *itertools.chain(*pairs)}))
    sums.update(x)
    return sums


def _results(pairs: Sequence[Pair], sums: _Sums, count: int) -> tuple[PairResult, ...]:
    bounds = [sums.retained_bound(p, q) for p, q in pairs]
    return tuple(
        PairResult(p, q, sums.index(p, q), bound, bound / count) for (p, q), bound in zip(pairs, bounds, strict=True)
    )
