"""The few numbers by which methods are compared: dense, at the target, smallest within tolerance, last."""

from __future__ import annotations

from dataclasses import dataclass

from pqi.experiment.quantities import accuracy, remaining, retrained
from pqi.experiment.series import Series

TARGET = 10.0
"""Percent of the weights that a method is asked to go below."""
TOLERANCE = 1.5
"""Points of the dense network's test accuracy that it may lose on the way."""


@dataclass(frozen=True)
class Point:
    """Where a series is after some retrainings: weights remaining and test accuracy, in percent, mean over seeds."""

    retrainings: int
    remaining: float
    accuracy: float
    deviation: float


@dataclass(frozen=True)
class Summary:
    """Milestones of one series.

    Attributes
    ----------
    dense : Point
        The unpruned network.
    target : Point or None
        First iteration below `TARGET` percent of the weights within `TOLERANCE` points of the dense accuracy.
    smallest : Point
        Fewest weights within `TOLERANCE` points; the dense network at worst.
    last : Point
        Last finished iteration.
    """

    series: Series
    dense: Point
    target: Point | None
    smallest: Point
    last: Point


def summarise(series: Series) -> Summary:
    """Return the milestones of `series`, of which at least one iteration is finished."""
    left, right = series.curve(remaining(retrained)).mean, series.curve(accuracy(retrained))
    points = [Point(t, float(left[t]), float(right.mean[t]), float(right.deviation[t])) for t in range(series.finished)]
    within = [point for point in points if point.accuracy >= points[0].accuracy - TOLERANCE]
    return Summary(
        series=series,
        dense=points[0],
        target=next((point for point in within if point.remaining < TARGET), None),
        smallest=min(within, key=lambda point: point.remaining),
        last=points[-1],
    )
