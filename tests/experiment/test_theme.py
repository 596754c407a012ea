"""Series can be told apart: many styles without a repetition, and colours for every kind of vision and page."""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from pqi.experiment.theme import DARK, LIGHT, drawing, styles

# Full colour blindness of three kinds, on linear RGB (Machado, Oliveira, Fernandes 2009).
VISIONS = {
    "ordinary": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color):
    """Return linear RGB."""
    values = np.array(to_rgb(color))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(color, vision):
    """Return CIE Lab coordinates of a colour as it is seen."""
    xyz = TO_XYZ @ np.clip(vision @ linear(color), 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one, other):
    """Return the contrast ratio of WCAG 2."""
    light, dark = sorted(((TO_XYZ @ linear(color))[1] for color in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_styles_differ_and_stand_out(theme):
    assert len(set(styles(42, theme))) == 42
    assert contrast(theme.text, theme.background) >= 7
    assert min(contrast(color, theme.background) for color in theme.series) >= 3
    depths = [mpl.colormaps[theme.depth](end) for end in theme.depth_range]
    assert min(contrast(color, theme.background) for color in depths) >= 2


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_differ_in_every_kind_of_vision(theme, vision):
    seen = [lab(color, VISIONS[vision]) for color in theme.series]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 15


def test_drawing_gives_matplotlibs_settings_back():
    before = dict(mpl.rcParams)
    with drawing(DARK):
        assert mpl.rcParams["text.color"] == DARK.text
    assert dict(mpl.rcParams) == before
