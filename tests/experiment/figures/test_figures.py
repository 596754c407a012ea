"""Every figure shows what it says: lines where the numbers are, names on axes and in legends, real pictures."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from experiment import made
from pqi.experiment import figures
from pqi.experiment.ablations import ablations
from pqi.experiment.figures.sheet import SPAN
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.runs import find_runs
from pqi.experiment.series import Result, studies
from pqi.experiment.theme import DARK, LIGHT, drawing

(STUDY,) = studies(
    [made.run(), made.run(seed=1, accuracies=(0.9, 0.9, 0.9)), made.run(method=MethodSpec.parse("one-shot"))]
)
GAMMAS = [made.run(method=MethodSpec.parse(f"sap:0.5,1,gamma={n}"), clamped=n > 1) for n in (5, 1, 3)]
(GAMMA,) = ablations(studies(GAMMAS)[0])
METHODS = figures.of_methods(STUDY, running_mean=True)
SCOPES = figures.of_scopes(
    studies([made.run(scope=scope, method=MethodSpec.parse("sap:0.5,1")) for scope in ("layer", "neuron")])
)
EVERY = [*METHODS, *SCOPES, *figures.of_ablation(GAMMA)]


def drawn(name, found=METHODS):
    with drawing(LIGHT):
        return next(one for one in found if one.name == name).draw(LIGHT)


def drawn_of(name, *runs):
    (study,) = studies(runs)
    return drawn(name, figures.of_methods(study))


@pytest.fixture(scope="module")
def real_study(tiny_root):
    (study,) = studies([Result.read(run) for run in find_runs(tiny_root)])
    return study


@pytest.mark.parametrize("number", range(len(METHODS)), ids=[one.name for one in METHODS])
def test_files_are_pictures_with_something_on_them(number, real_study):
    picture = figures.of_methods(real_study, running_mean=True)[number].render(DARK, "svg", "png")
    with Image.open(io.BytesIO(picture.files["png"])) as pixels:
        assert min(pixels.size) > 400
        assert len(np.unique(np.asarray(pixels.convert("L")))) > 20
    assert picture.files["svg"].startswith(b"<?xml")
    assert DARK.background.encode() in picture.files["svg"]


def test_a_picture_is_saved_as_a_file(tmp_path):
    METHODS[0].save_png(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("one", [one for one in EVERY if one.name != "heatmap"], ids=lambda one: one.title)
def test_panels_have_names_and_series_a_legend(one):
    with drawing(LIGHT):
        sheet = one.draw(LIGHT)
    assert all(axes.get_xlabel() for axes in sheet.axes)
    assert sheet.axes[0].get_ylabel()
    assert sheet.axes[0].get_title(loc="left")
    (legend,) = sheet.figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    expected = {"layers": ["classifier.weight"], "curves": ["γ = 1", "γ = 3", "γ = 5"]}
    assert labels == expected.get(one.name, ["SAP(½, 1)"] if one in SCOPES else ["SAP(1, 2)", "One Shot"])


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.title)
def test_figures_are_reproducible_and_their_points_lie_within_them(one):
    first, second = one.render(LIGHT, "svg"), one.render(LIGHT, "svg")
    assert (first.files, first.points) == (second.files, second.points)
    assert first.points
    for curve in first.points:
        assert len(curve["at"]) == 2 * len(curve["texts"])
        assert all(0 < place < 1000 for place in curve["at"])
        assert curve["label"]
    json.dumps(first.points, allow_nan=False)


def test_points_are_where_the_curve_is_drawn():
    one = next(one for one in METHODS if one.name == "tradeoff")
    curve = one.render(LIGHT, "svg").points[0]
    assert curve["label"] == "SAP(1, 2)"
    assert curve["texts"] == ["t = 0, 100: 94 ± 5.7", "t = 1, 50: 94 ± 5.7", "t = 2, 8: 93.5 ± 4.9"]
    (x0, y0), (x1, y1), (x2, y2) = np.reshape(curve["at"], (3, 2)).tolist()
    assert x0 < x1 < x2 < 500, "fewer weights are further right, in the left panel"
    assert y0 == y1 < y2, "a lower accuracy is further down"


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


def test_the_running_mean_is_labelled_as_such_and_drawn_only_when_asked_for():
    assert "running-mean" not in [one.name for one in figures.of_methods(STUDY)]
    left, _ = drawn("running-mean").axes
    assert left.get_lines()[1].get_ydata() == pytest.approx([98, 98, (98 + 98 + 97) / 3])
    assert left.get_ylabel() == "Test accuracy (%), mean of iterations 0 to t"


def test_the_tradeoff_runs_from_all_weights_on_the_left_to_few_on_the_right():
    left, _ = drawn("tradeoff").axes
    assert left.get_lines()[0].get_xdata() == pytest.approx([100, 50, 8])
    assert left.get_xscale() == "log"
    assert left.xaxis_inverted()


def test_labels_of_a_wide_logarithmic_scale_do_not_crowd():
    axes = drawn_of("tradeoff", made.run((1000, 100, 10, 1), (0.9,) * 4)).axes[0]
    low, high = sorted(axes.get_xlim())
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == pytest.approx([0.1, 1, 10, 100])


def test_noise_of_an_image_or_two_does_not_fill_a_panel():
    low, high = drawn_of("accuracy", made.run(accuracies=(0.98, 0.981, 0.979))).axes[0].get_ylim()
    assert high - low >= SPAN


def test_steps_that_beta_decided_are_ringed():
    runs = made.run((1000, 100, 90), clamped=True), made.run(method=MethodSpec.parse("lottery"))
    _, right = drawn_of("remaining", *runs).axes
    (rings,) = right.collections
    assert np.asarray(rings.get_offsets()) == pytest.approx(np.array([[0, 90], [1, 10]]))
    assert drawn("remaining").axes[1].get_legend() is None


def test_turning_points_of_every_seed_are_marked_on_the_curve_of_their_index():
    indices = (0.2, 0.1, 0.3, 0.1)
    run = made.run((1000, 500, 200, 100), (0.9,) * 4, indices=indices, method=MethodSpec.parse("one-shot"))
    upper, lower = drawn_of("pqi", run).axes[::2]
    trough, peak = upper.collections
    assert np.asarray(trough.get_offsets()) == pytest.approx(np.array([[1, 0.1]]))
    assert np.asarray(peak.get_offsets()) == pytest.approx(np.array([[2, 0.3]]))
    assert [text.get_text() for text in upper.get_legend().get_texts()] == ["under-fitting starts", "collapse starts"]
    assert not lower.collections, "the method does not go by these exponents"


def test_indices_start_at_zero():
    for name in ("pqi", "gini"):
        assert all(axes.get_ylim()[0] == 0 for axes in drawn(name).axes)


def test_an_ablation_is_in_the_order_of_its_values_and_shows_the_clamp():
    (one,) = figures.of_ablation(GAMMA)
    with drawing(LIGHT):
        sheet = one.draw(LIGHT)
    assert [line.get_label() for line in sheet.axes[0].get_lines()] == ["γ = 1", "γ = 3", "γ = 5"]
    assert len({line.get_color() for line in sheet.axes[0].get_lines()}) == 3
    (rings,) = sheet.axes[1].collections
    assert len(np.asarray(rings.get_offsets())) == 4, "two steps at each of two values"


def test_the_heat_map_shows_the_recorded_grid_at_the_first_and_the_last_iteration(real_study):
    sheet = drawn("heatmap", figures.of_methods(real_study))
    one, columns = real_study.series[0], 3
    for axes, t in ((sheet.axes[0], 0), (sheet.axes[columns - 1], 2)):
        (image,) = axes.get_images()
        expected = np.mean([result.records[t].retrained.grid.index for result in one.results], axis=0)
        assert np.ma.filled(image.get_array(), np.nan) == pytest.approx(expected, nan_ok=True)
    cells = sheet.points[0]
    assert len(cells.texts) == 10 * 11 - 1, "p = q = 1 is no pair"
    assert cells.texts[0].startswith("p = 0.1, q = 1: 0.")


def test_runs_without_a_grid_have_no_heat_map():
    assert "heatmap" not in [one.name for one in METHODS]


def test_an_unfinished_or_single_iteration_can_be_drawn():
    (study,) = studies([replace(made.run(), records=made.run().records[:1])])
    for one in figures.of_methods(study):
        assert one.render(LIGHT, "svg").files["svg"]
