"""Prunable weights: the default rule, names, predicates, tied weights."""

import pytest
import torch
from torch import nn

from pqi.prune.select import prunable, unwrapped
from prune.networks import Everything, Tied, compiled, normalised


def names(model, select=None, exclude=()):
    return [weight.name for weight in prunable(model, select, exclude)]


def test_weights_of_every_layer_but_no_bias_and_no_normalisation():
    assert names(Everything()) == [
        "stem.weight",
        "grouped.weight",
        "up.weight",
        "up_grouped.weight",
        "embedding.weight",
        "head.weight",
    ]


def test_a_normalisation_weight_of_two_axes_is_not_prunable():
    model = Everything()
    assert model.layer_norm.weight.ndim == 2
    assert "layer_norm.weight" not in names(model)


def test_biases_of_several_axes_are_not_prunable():
    model = nn.MultiheadAttention(4, 2, add_bias_kv=True)
    assert model.get_parameter("bias_k").ndim == 3
    assert names(model) == ["in_proj_weight", "out_proj.weight"]


def test_packed_recurrent_weights_are_prunable():
    assert names(nn.LSTM(3, 4)) == ["weight_ih_l0", "weight_hh_l0"]


def test_frozen_weights_are_prunable():
    model = nn.Linear(3, 2).requires_grad_(False)
    assert names(model) == ["weight"]


def test_a_tied_weight_counts_once_under_its_first_name():
    assert names(Tied()) == ["embedding.weight", "hidden.weight"]


@pytest.mark.parametrize("alias", ["embedding.weight", "head.weight"])
def test_any_name_of_a_tied_weight_selects_it(alias):
    assert names(Tied(), [alias]) == ["embedding.weight"]


def test_names_keep_the_order_of_the_model():
    assert names(normalised(), ["4.weight", "0.weight", "4.weight"]) == ["0.weight", "4.weight"]


def test_a_predicate_sees_every_parameter_once():
    model, seen = Tied(), []

    def all_but_biases(name, parameter):
        seen.append((name, parameter))
        return parameter.ndim > 1

    assert names(model, all_but_biases) == ["embedding.weight", "hidden.weight"]
    assert seen == list(model.named_parameters())
    assert names(model, lambda name, _: name.startswith("hidden")) == ["hidden.weight", "hidden.bias"]


def test_names_are_keys_of_the_state_dict():
    model = Everything()
    assert set(names(model)) <= model.state_dict().keys()


@pytest.mark.parametrize(
    ("module", "axis", "blocks"),
    [
        (nn.Linear(4, 6), 0, 1),
        (nn.Conv1d(4, 6, 3, groups=2), 0, 1),
        (nn.ConvTranspose1d(4, 6, 3), 1, 1),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), 1, 2),
        (nn.ConvTranspose3d(4, 6, 3), 1, 1),
    ],
)
def test_output_axis(module, axis, blocks):
    (weight,) = prunable(module)
    assert (weight.output_axis, weight.blocks) == (axis, blocks)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"select must name parameters of Sequential, got 'fc.weight'"):
        prunable(normalised(), ["fc.weight"])


def test_one_string_is_not_a_list_of_names():
    with pytest.raises(TypeError, match="select must be a list of names or a function, got the string '0.weight'"):
        prunable(normalised(), "0.weight")


@pytest.mark.parametrize("select", [None, [], lambda name, parameter: False])
def test_nothing_to_prune(select):
    with pytest.raises(ValueError, match="select must choose at least one parameter of BatchNorm1d, got none"):
        prunable(nn.BatchNorm1d(3), select)


def test_an_integer_parameter_cannot_be_selected():
    model = nn.Linear(2, 2)
    model.table = nn.Parameter(torch.zeros(2, 2, dtype=torch.int32), requires_grad=False)
    with pytest.raises(ValueError, match=r"parameter 'table' must be floating point to be prunable, got torch.int32"):
        prunable(model, ["table"])


def test_uninitialised_parameters():
    with pytest.raises(ValueError, match="parameter 'weight' must be initialised"):
        prunable(nn.LazyLinear(2))


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        (["up*"], ["up.weight", "up_grouped.weight"]),
        (
            ["*.weight"],
            ["stem.weight", "grouped.weight", "up.weight", "up_grouped.weight", "embedding.weight", "head.weight"],
        ),
        ([nn.Conv2d], ["stem.weight", "grouped.weight"]),
        ([nn.Linear, "st?m.*"], ["stem.weight", "head.weight"]),
        (["head.bias", nn.Embedding], ["embedding.weight", "head.bias"]),
    ],
)
def test_patterns_and_types_select_weights_of_the_default_rule(select, expected):
    assert names(Everything(), select) == expected


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        (["head.weight"], ["stem.weight", "grouped.weight", "up.weight", "up_grouped.weight", "embedding.weight"]),
        (["*up*", nn.Embedding], ["stem.weight", "head.weight"]),
        ([nn.modules.conv._ConvNd], ["embedding.weight", "head.weight"]),
    ],
)
def test_exclusions(exclude, expected):
    assert names(Everything(), exclude=exclude) == expected


def test_exclusions_apply_to_any_selection():
    assert names(Everything(), [nn.Conv2d], ["stem.*"]) == ["grouped.weight"]
    assert names(Everything(), lambda name, _: name.startswith("head"), ["*.bias"]) == ["head.weight"]


@pytest.mark.parametrize("pick", [nn.Embedding, nn.Linear, "head.*", "embedding.*"])
def test_a_tied_weight_is_meant_by_any_of_its_names_and_modules(pick):
    assert "embedding.weight" in names(Tied(), [pick])
    if pick is not nn.Linear:  # which would leave nothing
        assert "embedding.weight" not in names(Tied(), exclude=[pick])


def test_a_module_that_is_used_twice_counts_once():
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    assert names(model) == ["0.weight"]
    assert names(model, ["2.weight"]) == ["0.weight"]


def test_a_name_is_taken_literally_before_it_is_a_pattern():
    model = nn.ModuleDict({"a[b]": nn.Linear(2, 2), "ab": nn.Linear(2, 2)})
    assert names(model, ["a[b].weight"]) == ["a[b].weight"]
    assert names(model, ["a[b].wei*"]) == ["ab.weight"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select": ["decoder.*"]}, r"select must name parameters of Everything, got 'decoder.\*'"),
        ({"select": ["*.bias"]}, r"select must name parameters of Everything, got '\*.bias'"),
        ({"select": [nn.LSTM]}, "select must name parameters of Everything, got LSTM"),
        ({"exclude": ["typo"]}, "exclude must name parameters of Everything, got 'typo'"),
        ({"exclude": ["*"]}, "select must choose at least one parameter of Everything, got none"),
    ],
)
def test_what_fits_nothing_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        names(Everything(), **options)


@pytest.mark.parametrize("picks", [[3], [nn.Linear(2, 2)], [int]])
@pytest.mark.parametrize("argument", ["select", "exclude"])
def test_picks_are_names_and_module_types(argument, picks):
    with pytest.raises(TypeError, match=f"{argument} must hold names, patterns and module types, got"):
        names(Everything(), **{argument: picks})


def test_a_transformers_linear_layer_counts_outputs_on_its_second_axis():
    class Conv1D(nn.Module):
        def __init__(self):
            super().__init__()
            self.nf = 6
            self.weight = nn.Parameter(torch.rand(4, 6))

    (weight,) = prunable(Conv1D())
    assert (weight.output_axis, weight.blocks) == (1, 1)


def test_wrappers_are_looked_through():
    model = nn.Linear(2, 2)
    assert unwrapped(compiled(model)) is model
    assert unwrapped(nn.DataParallel(model)) is model
    assert unwrapped(model) is model
