"""Grids: the studies that come with the package, files of one's own, and what is wrong with the others."""

import json

import pytest

from pqi.experiment.grid import Grid, Part, grid_names
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.presets import METHODS, PRESETS

STUDY = "digits-study"


def written(path, **values):
    path.write_text(json.dumps({"preset": "digits", "parts": [{}], **values}))
    return path


@pytest.mark.parametrize("name", grid_names())
def test_every_grid_of_the_package_can_be_run(name):
    grid = Grid.load(name)
    configs = grid.configurations()
    assert grid.title
    assert len({config.name for config in configs}) == len(configs) > 0
    assert {config.seed for config in configs} == {0, 1, 2, 3}
    for config in configs:
        config.method.method()


def test_the_digits_study_compares_methods_scopes_and_ablations_and_shares_runs():
    grid = Grid.load(STUDY)
    configs = grid.configurations()
    assert sum(len(part.methods) * len(part.scopes) for part in grid.parts) == 12 + 10 + 5 + 5
    assert len(configs) == 4 * (12 + 8 + 4 + 4)
    assert {config.training for config in configs} == {PRESETS["digits"].training}
    labels = {config.method.label for config in configs if config.scope == "global"}
    assert {method.label for method in METHODS} <= labels
    assert {"SAP(0.2, 1)", "SAP(1, 1.8)", "SAP(½, 1), η=0.001", "SAP(½, 1), γ=9"} <= labels


@pytest.mark.parametrize(
    ("name", "dataset", "model", "scopes", "methods", "iterations"),
    [
        ("paper-fig2", "fashionmnist", "mlp", 1, 4, 30),
        ("paper-fig3", "cifar10", "resnet18", 1, 4, 15),
        ("paper-fig4", "cifar10", "cnn", 3, 4, 30),
        ("paper-fig5", "cifar10", "resnet18", 1, 10, 15),
        ("paper-fig6", "cifar10", "resnet18", 1, 9, 15),
        ("paper-heatmap", "cifar10", "resnet18", 1, 4, 15),
    ],
)
def test_the_papers_studies_are_those_of_its_figures(name, dataset, model, scopes, methods, iterations):
    configs = Grid.load(name).configurations()
    assert {(config.dataset, config.model, config.iterations) for config in configs} == {(dataset, model, iterations)}
    assert len({config.scope for config in configs}) == scopes
    assert len({config.method for config in configs}) == methods
    assert len(configs) == 4 * scopes * methods
    assert {config.training.epochs for config in configs} == {200}


def test_all_runs_of_a_seed_come_before_those_of_the_next():
    seeds = [config.seed for config in Grid.load(STUDY).configurations()]
    assert seeds == sorted(seeds)


def test_a_file_says_what_differs_from_the_preset(tmp_path):
    part = {"methods": ["sap:1,2,gamma=2"], "scopes": ["layer"]}
    path = written(tmp_path / "own.json", model="linear", iterations=3, training={"epochs": 2}, parts=[part], seeds=[7])
    (config,) = Grid.load(path).configurations()
    assert (config.model, config.iterations, config.scope, config.seed) == ("linear", 3, "layer", 7)
    assert config.method == MethodSpec.parse("sap:1,2,gamma=2")
    assert (config.training.epochs, config.training.batch) == (2, PRESETS["digits"].training.batch)


def test_a_part_without_methods_is_the_papers_comparison(tmp_path):
    (part,) = Grid.load(written(tmp_path / "own.json")).parts
    assert part == Part(METHODS, ("global",))


def test_parts_of_a_grid_are_chosen_by_method_and_scope():
    (one,) = Grid.load(STUDY).only(methods=[MethodSpec.parse("one")], scopes=["layer"]).parts
    assert ([method.label for method in one.methods], one.scopes) == (["One Shot"], ("layer",))
    with pytest.raises(ValueError, match=r"grid must have runs with .*, got none with \['layer', 'SAP\(1, 1.8\)'\]"):
        Grid.load(STUDY).only(methods=[MethodSpec.parse("sap:1,1.8")], scopes=["layer"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"speed": 3}, r"unknown \['speed'\]"),
        ({"parts": {}}, "parts must be a list of Mapping, got {}"),
        ({"parts": [3]}, "parts must be a list of Mapping"),
        ({"parts": [{"scope": ["layer"]}]}, r"a part must have known settings, .* unknown \['scope'\]"),
        ({"parts": [{"methods": "sap"}]}, "methods must be a list of str, got 'sap'"),
        ({"parts": [{"methods": ["magic"]}]}, "method must be one of sap, lottery-ticket, one-shot, got 'magic'"),
        ({"seeds": ["0"]}, "seeds must be a list of int"),
    ],
)
def test_damaged_grids_are_refused_and_named(tmp_path, values, message):
    path = written(tmp_path / "own.json", **values)
    with pytest.raises(ValueError, match=f"own.json must hold a grid: .*{message}"):
        Grid.load(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"preset": "digits"}'])
def test_a_file_that_is_no_grid_is_refused(tmp_path, text):
    (tmp_path / "own.json").write_text(text)
    with pytest.raises(ValueError, match="own.json must hold a grid"):
        Grid.load(tmp_path / "own.json")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "digit"}, "preset must be one of digits.*, got 'digit'"),
        ({"model": "vgg"}, "model must be one of .*, got 'vgg'"),
        ({"training": {"speed": 1}}, r"training must have known settings, got missing \[\], unknown \['speed'\]"),
        ({"training": {"epochs": 0}}, "epochs must be >= 1, got 0"),
        ({"parts": [{"scopes": ["channel"]}]}, "scope must be one of neuron, layer, global, got 'channel'"),
    ],
)
def test_settings_outside_their_range_are_refused_before_any_run(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        Grid.load(written(tmp_path / "own.json", **values)).configurations()
