"""What each job is held to at the largest size of a run (1e8 float32, 2 threads), and what it aims for.

A bar says which jobs it is about, in which unit their figure is, and how large that may be, or has to be.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

WIDTHS = (64, 256, 1024, 4096)


class Unit(Enum):
    """How a job's figure comes from its time."""

    PASSES = "× read pass"
    MICROSECONDS = "µs a call"
    OVER_NUMPY = "× np speed"
    OVER_TORCH = "× torch speed"
    OVER_NORMAL = "× normal data"

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self in (Unit.OVER_NUMPY, Unit.OVER_TORCH)


class Case(NamedTuple):
    """One figure: a job on some data; `n` is the largest size of the run where it is None."""

    job: str
    dtype: str = "float32"
    distribution: str = "normal"
    n: int | None = None


class Bar(NamedTuple):
    """A line of the table; several cases make it a line of several figures, each held to the bar."""

    label: str
    cases: tuple[Case, ...]
    unit: Unit
    bar: float | None
    goal: float | None


def rows(job: str) -> tuple[Case, ...]:
    """Return a job's cases for rows of every width."""
    return tuple(Case(f"{job}, rows of {width}") for width in WIDTHS)


def narrow(*jobs: str) -> tuple[Case, ...]:
    """Return the cases of the two-byte types."""
    return tuple(Case(job, dtype) for job in jobs for dtype in ("bfloat16", "float16"))


def tied(job: str) -> tuple[Case, ...]:
    """Return the cases of discrete data."""
    return tuple(Case(job, distribution=distribution) for distribution in ("constant", "int4"))


WIDE = "rows of 64 / 256 / 1024 / 4096"
TWO_BYTE = "bfloat16 / float16"
BARS = (
    Bar("norms (1, 2)", (Case("norms (1, 2)"),), Unit.PASSES, 1.3, 1.1),
    Bar("index (1, 2)", (Case("index (1, 2)"),), Unit.PASSES, 1.3, 1.1),
    Bar("index (½, 1)", (Case("index (½, 1)"),), Unit.PASSES, 1.6, 1.25),
    Bar("index (.7, 1.3)", (Case("index (.7, 1.3)"),), Unit.PASSES, 10, 4),
    Bar(f"norms (1, 2), {TWO_BYTE}", narrow("norms (1, 2)"), Unit.PASSES, 2, 1.5),
    Bar(f"index (½, 1), {TWO_BYTE}", narrow("index (½, 1)"), Unit.PASSES, 2, 1.5),
    Bar(f"110 indices and Gini, {TWO_BYTE}", narrow("histogram, 110 indices and Gini"), Unit.PASSES, 4, 3.5),
    Bar("Gini, exact", (Case("Gini"),), Unit.PASSES, 15, 10),
    Bar("Gini within 1e-6", (Case("Gini within 1e-6"),), Unit.PASSES, 4.5, 4),
    Bar("Gini, constant / int4-like", tied("Gini"), Unit.OVER_NORMAL, 2, None),
    Bar("top 1 / 10 / 50% mask", tuple(Case(f"top {s}% mask") for s in (1, 10, 50)), Unit.PASSES, 3.5, 2),
    Bar("top 10% mask, constant / int4-like", tied("top 10% mask"), Unit.OVER_NORMAL, 2, None),
    Bar(f"top 10% mask, {TWO_BYTE}", narrow("top 10% mask"), Unit.PASSES, 5, 3.5),
    Bar(f"index (½, 1), {WIDE}", rows("index (½, 1)"), Unit.PASSES, 1.8, 1.3),
    Bar(f"Gini, {WIDE}", rows("Gini"), Unit.OVER_NUMPY, 4, 6),
    Bar(f"Gini, {WIDE}", rows("Gini"), Unit.OVER_TORCH, 30, 50),
    Bar(f"top 10% mask, {WIDE}", rows("top 10% mask"), Unit.PASSES, 5, 3.5),
    Bar("index (½, 1), 1024 columns", (Case("index (½, 1), 1024 columns"),), Unit.PASSES, None, None),
    Bar("Gini, 1024 columns", (Case("Gini, 1024 columns"),), Unit.PASSES, None, None),
    Bar("top 10% mask, 1024 columns", (Case("top 10% mask, 1024 columns"),), Unit.PASSES, None, None),
    Bar("index (½, 1), ragged groups", (Case("index (½, 1), ragged groups of 1 to 511"),), Unit.PASSES, None, None),
    Bar("index (½, 1), 60% live", (Case("index (½, 1), 60% live"),), Unit.PASSES, None, None),
    Bar("top 10% mask, 60% live", (Case("top 10% mask, 60% live"),), Unit.PASSES, None, None),
    Bar("norms (1, 2) of 1,000", (Case("norms (1, 2)", n=1000),), Unit.MICROSECONDS, 3, 1),
    Bar("index (½, 1) of 1,000", (Case("index (½, 1)", n=1000),), Unit.MICROSECONDS, 3, 1),
    Bar("Gini of 1,000", (Case("Gini", n=1000),), Unit.MICROSECONDS, 3, 1),
    Bar("top 10% mask of 1,000", (Case("top 10% mask", n=1000),), Unit.MICROSECONDS, 3, 1),
)
