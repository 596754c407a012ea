"""Every figure shows what it says: lines where the numbers are, names on axes and in legends, real pictures."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from experiment import made
from pqi.experiment import figures
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.runs import find_runs
from pqi.experiment.series import Result, studies
from pqi.experiment.theme import DARK, LIGHT, drawing

(STUDY,) = studies(
    [made.run(), made.run(seed=1, accuracies=(0.9, 0.9, 0.9)), made.run(method=MethodSpec.parse("one-shot"))]
)


def drawn(name, study=STUDY):
    with drawing(LIGHT):
        return next(one for one in figures.DRAWINGS if one.name == name).draw(study, LIGHT)


@pytest.fixture(scope="module")
def real_study(tiny_root):
    (study,) = studies([Result.read(run) for run in find_runs(tiny_root)])
    return study


@pytest.mark.parametrize("one", figures.DRAWINGS, ids=lambda one: one.name)
def test_files_are_pictures_with_something_on_them(one, real_study, tmp_path):
    path = tmp_path / "figure.png"
    figures.save_png(one, real_study, path)
    with Image.open(path) as picture:
        assert min(picture.size) > 400
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20
    svg = figures.to_svg(one, real_study, DARK)
    assert svg.startswith(b"<?xml")
    assert DARK.background.encode() in svg


@pytest.mark.parametrize("one", figures.DRAWINGS, ids=lambda one: one.name)
def test_figures_are_reproducible(one):
    assert figures.to_svg(one, STUDY, LIGHT) == figures.to_svg(one, STUDY, LIGHT)


@pytest.mark.parametrize("one", figures.DRAWINGS, ids=lambda one: one.name)
def test_panels_have_names_and_series_a_legend(one):
    figure = drawn(one.name)
    assert all(axes.get_xlabel() for axes in figure.axes)
    assert figure.axes[0].get_ylabel()
    assert figure.axes[0].get_title(loc="left")
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == (["classifier.weight"] if one.name == "layers" else ["SAP(1, 2)", "One Shot"])


def test_lines_are_means_over_seeds_and_bands_their_spread():
    left, right = drawn("accuracy").axes
    sap, one_shot = left.get_lines()
    assert sap.get_ydata() == pytest.approx([94, 94, 93.5])
    assert sap.get_xdata() == pytest.approx([0, 1, 2])
    assert one_shot.get_ydata() == pytest.approx([98, 98, 97])
    assert (sap.get_linestyle(), one_shot.get_linestyle()) == ("-", "--")
    assert len(left.collections) == 1, "one band: the other series has one seed"
    band = left.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(94 + 8 / np.sqrt(2))
    assert right.get_lines()[1].get_ydata() == pytest.approx([88, 88, np.nan], nan_ok=True)


def test_the_tradeoff_runs_from_all_weights_on_the_left_to_few_on_the_right():
    left, _ = drawn("tradeoff").axes
    assert left.get_lines()[0].get_xdata() == pytest.approx([100, 50, 8])
    assert left.get_xscale() == "log"
    assert left.xaxis_inverted()


def test_noise_of_an_image_or_two_does_not_fill_a_panel():
    (study,) = studies([made.run(accuracies=(0.98, 0.981, 0.979))])
    low, high = drawn("accuracy", study).axes[0].get_ylim()
    assert high - low >= figures.SPAN


def test_steps_that_beta_decided_are_ringed():
    (study,) = studies([made.run((1000, 100, 90), clamped=True), made.run(method=MethodSpec.parse("lottery"))])
    _, right = drawn("remaining", study).axes
    (rings,) = right.collections
    assert np.asarray(rings.get_offsets()) == pytest.approx(np.array([[0, 90], [1, 10]]))
    assert drawn("remaining").axes[1].get_legend() is None


def test_indices_start_at_zero():
    for name in ("pqi", "gini"):
        assert all(axes.get_ylim()[0] == 0 for axes in drawn(name).axes)


def test_an_unfinished_or_single_iteration_can_be_drawn():
    (study,) = studies([replace(made.run(), records=made.run().records[:1])])
    for one in figures.DRAWINGS:
        assert figures.to_svg(one, study, LIGHT)
