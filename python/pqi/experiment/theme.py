"""Colours and line styles of the figures, for light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex


@dataclass(frozen=True)
class Theme:
    """Colours of one kind of page; series colours are told apart with any kind of colour vision."""

    name: str
    background: str
    text: str
    grid: str
    series: tuple[str, ...]
    depth: str
    depth_range: tuple[float, float]
    """Colour map from the first layer to the last, and the part of it that stands out from the background."""


LIGHT = Theme(
    name="light",
    background="#ffffff",
    text="#24292f",
    grid="#d8dee4",
    series=("#0072b2", "#d55e00", "#00562a", "#a531e0", "#8b6e35", "#222222"),
    depth="viridis",
    depth_range=(0.0, 0.75),
)
DARK = Theme(
    name="dark",
    background="#161b22",
    text="#d7dde4",
    grid="#30363d",
    series=("#56b4e9", "#f08030", "#35925a", "#b44dff", "#ffcc00", "#ffffff"),
    depth="viridis",
    depth_range=(0.3, 1.0),
)

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Style:
    """How one series is drawn."""

    color: str
    marker: str
    dash: str = "-"
    size: float = 4


def styles(count: int, theme: Theme, dashed: Sequence[bool] = ()) -> list[Style]:
    """Return `count` styles; 6 colours and 7 markers in step make the first 42 differ."""
    looks = islice(zip(cycle(theme.series), cycle(MARKERS), strict=False), count)
    dashes = ["--" if one else "-" for one in dashed] or ["-"] * count
    return [Style(*look, dash) for look, dash in zip(looks, dashes, strict=True)]


def ramp(count: int, theme: Theme, marker: str = "o") -> list[Style]:
    """Return `count` styles in an order that the eye can follow, from the theme's map."""
    colors = colormaps[theme.depth](np.linspace(*theme.depth_range, count))
    return [Style(to_hex(color), marker, size=3) for color in colors]


@contextmanager
def drawing(theme: Theme) -> Iterator[None]:
    """Draw in this theme; matplotlib's own settings come back afterwards."""
    settings: dict[Any, Any] = {
        "figure.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        "axes.facecolor": theme.background,
        "axes.edgecolor": theme.grid,
        "axes.labelcolor": theme.text,
        "axes.titlecolor": theme.text,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.labelsize": 9.5,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": theme.grid,
        "grid.linewidth": 0.6,
        "text.color": theme.text,
        "xtick.color": theme.text,
        "ytick.color": theme.text,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "legend.frameon": False,
        "legend.fontsize": 9.5,
        "lines.linewidth": 1.6,
        "lines.markersize": 4,
        "font.family": "DejaVu Sans",
        "svg.fonttype": "path",
        "svg.hashsalt": "pqindex",
    }
    with mpl.rc_context(settings):
        yield
