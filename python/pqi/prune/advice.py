"""When to stop pruning, read off the PQ Index of the retrained weights.

The paper's hypothesis: while pruning regularises a model, its index falls; it rises when the weights are as
compressible as they get and under-fitting starts; it falls again when the model collapses. `advise` finds the two
turns. It is a hypothesis: a run may show neither, and the advice says nothing about how good the model is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Phase = Literal["regularised", "under-fitting", "collapse"]
StopAt = Literal["collapse", "underfit", "never"]


@dataclass(frozen=True)
class Turn:
    """A turning point of the index.

    Attributes
    ----------
    at : int
        Iteration of the extremum, the last one of the phase before.
    confirmed : int
        Iteration at which the index had moved far enough away to tell; nothing later changes the turn.
    """

    at: int
    confirmed: int


@dataclass(frozen=True)
class Advice:
    """Phases of a run.

    Attributes
    ----------
    phases : tuple of {"regularised", "under-fitting", "collapse"}
        One per iteration, as it looks in hindsight of them all.
    trough : Turn or None
        Where the index stopped falling: under-fitting starts after it.
    peak : Turn or None
        Where it stopped rising: the collapse comes after it.
    """

    phases: tuple[Phase, ...]
    trough: Turn | None
    peak: Turn | None

    def stops(self, at: StopAt) -> bool:
        """Whether the phase named by `at` has been confirmed by now; a collapse is under-fitting too."""
        if at not in ("collapse", "underfit", "never"):
            raise ValueError(f"stop_at must be 'collapse', 'underfit' or 'never', got {at!r}")
        found = {"collapse": self.peak is not None, "underfit": self.trough is not None or self.peak is not None}
        return found.get(at, False)


def advise(
    indices: Sequence[float],
    accuracies: Sequence[float] | None = None,
    *,
    tolerance: float = 0.1,
    drop: float = 0.01,
) -> Advice:
    """Divide a run into its phases.

    The rule, applied to one iteration after the other, with δ = `tolerance` times the largest index so far:

    1. A run starts regularised. When the index exceeds its lowest value so far by more than δ, that lowest value (the
       first one of several equal ones) is the trough, and the iterations after it are under-fitting.
    2. From there on, when the index is below its highest value since the trough by more than δ, that highest value (the
       first of several) is the peak, and the iterations after it are a collapse, to the end of the run.
    3. An index that is nan (no live weight is non-zero) is a collapse by itself; the iteration before (−1 if there is
       none) counts as the peak.

    With accuracies, a turn by rule 1 or 2 is confirmed only once the accuracy is also below its best so far by more
    than `drop`: a rise of the index that costs no accuracy is not under-fitting yet. Moves within δ, which random
    initial values and batches cause, change nothing. A turn once confirmed stays, so that the advice on the first
    iterations of a run is never contradicted by the later ones.

    Parameters
    ----------
    indices : sequence of float
        PQ Index of the retrained weights after each training, all weights as one vector, from iteration 0 (dense).
    accuracies : sequence of float or None
        Held-out accuracy of the same models, in the unit of `drop`; nan never confirms.
    tolerance : float
        In (0, 1). The default is about twice what the index of a small network varies by between trainings, once few of
        its weights are left; larger networks vary less.
    drop : float
        At least 0.

    Returns
    -------
    Advice

    Raises
    ------
    ValueError
        If a parameter is outside its range, an index is infinite or negative, or the lengths differ.

    Examples
    --------
    >>> advise([0.20, 0.12, 0.08, 0.07, 0.08, 0.12, 0.20, 0.25, 0.15])
    ... # doctest: +NORMALIZE_WHITESPACE
    Advice(phases=('regularised', 'regularised', 'regularised', 'regularised', 'under-fitting', 'under-fitting',
    'under-fitting', 'under-fitting', 'collapse'), trough=Turn(at=3, confirmed=5), peak=Turn(at=7, confirmed=8))
    """
    _check(indices, accuracies, tolerance, drop)
    trough: Turn | None = None
    peak: Turn | None = None
    extremum, largest, best = 0, 0.0, -math.inf
    for t, index in enumerate(indices):
        if math.isnan(index):
            peak = Turn(t - 1, t)
            break
        largest = max(largest, index)
        accuracy = math.nan if accuracies is None else accuracies[t]
        best = max(best, accuracy) if not math.isnan(accuracy) else best
        costs = accuracies is None or accuracy < best - drop
        delta = tolerance * largest
        if trough is None:
            extremum = t if index < indices[extremum] else extremum
            if costs and index > indices[extremum] + delta:
                trough, extremum = Turn(extremum, t), _highest(indices, extremum, t)
        else:
            extremum = t if index > indices[extremum] else extremum
            if costs and index < indices[extremum] - delta:
                peak = Turn(extremum, t)
                break
    return Advice(_phases(len(indices), trough, peak), trough, peak)


def _highest(indices: Sequence[float], start: int, end: int) -> int:
    """First iteration after `start`, up to `end`, with the largest index."""
    return max(range(start + 1, end + 1), key=lambda t: (indices[t], -t))


def _phases(count: int, trough: Turn | None, peak: Turn | None) -> tuple[Phase, ...]:
    underfits = count if trough is None else trough.at + 1
    collapses = count if peak is None else peak.at + 1
    return tuple(
        "collapse" if t >= collapses else "under-fitting" if t >= underfits else "regularised" for t in range(count)
    )


def _check(indices: Sequence[float], accuracies: Sequence[float] | None, tolerance: float, drop: float) -> None:
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must satisfy 0 < tolerance < 1, got {tolerance}")
    if not drop >= 0:
        raise ValueError(f"drop must be >= 0, got {drop}")
    if accuracies is not None and len(accuracies) != len(indices):
        raise ValueError(f"accuracies must be as many as indices, {len(indices)}, got {len(accuracies)}")
    for t, index in enumerate(indices):
        if not math.isnan(index) and not 0 <= index < math.inf:
            raise ValueError(f"indices must be >= 0 and finite or nan, got {index} at {t}")
