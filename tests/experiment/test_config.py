"""Configurations: round trip, a hash that names them, and settings that are refused."""

import dataclasses
import json
from typing import Any

import pytest

from experiment.tiny import TRAINING, configuration
from pqi.experiment.config import RunConfig, Training
from pqi.experiment.method_spec import MethodSpec
from pqi.prune import SCOPES


def test_a_configuration_survives_json():
    config = configuration(method=MethodSpec.parse("sap:0.2,1,gamma=3"), seed=7, scope="neuron")
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_name_of_a_configuration_is_stable():
    assert configuration().name == "digits-linear-global-sap-1-2-seed0-7c5562fb"


def test_every_setting_changes_the_digest():
    config = configuration()
    others = [
        configuration(**{name: value})
        for name, value in {
            "dataset": "other",
            "model": "mlp",
            "scope": "layer",
            "method": MethodSpec.parse("one-shot"),
            "seed": 1,
            "iterations": 3,
            "threads": 2,
            "device": "cuda",
            "processes": 2,
            "stop_at": "collapse",
            "compat": "published",
        }.items()
    ]
    assert {field.name for field in dataclasses.fields(config)} - {"training"} == {
        name for other in others for name in other.to_dict() if other.to_dict()[name] != config.to_dict().get(name)
    }
    for field in dataclasses.fields(Training):
        value: Any = getattr(TRAINING, field.name)
        other: Any = {"amp": "bf16"}.get(field.name, not value if isinstance(value, bool) else value * 2)
        others.append(configuration(training=Training(**{**vars(TRAINING), field.name: other})))
    assert len({config.digest for config in [config, *others]}) == 1 + len(others)


def test_settings_that_came_later_are_described_where_they_are_not_the_default():
    plain = configuration()
    assert not {"stop_at", "compat"} & plain.to_dict().keys()
    assert RunConfig.from_dict(plain.to_dict()) == plain
    changed = configuration(stop_at="underfit", compat="published")
    assert RunConfig.from_dict(json.loads(json.dumps(changed.to_dict()))) == changed


def test_a_whole_number_in_a_float_setting_is_the_same_configuration():
    one, other = (configuration(training=dataclasses.replace(TRAINING, clip=clip)) for clip in (1, 1.0))
    assert one.digest == other.digest


def test_scopes_are_those_of_the_pruner():
    for scope in SCOPES:
        configuration(scope=scope)
    with pytest.raises(ValueError, match="scope must be one of neuron, layer, global, got 'channel'"):
        configuration(scope="channel")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 0, "epochs must be >= 1, got 0"),
        ("batch", -1, "batch must be >= 1, got -1"),
        ("lr", -0.1, "lr must be >= 0 and finite, got -0.1"),
        ("lr", float("nan"), "lr must be >= 0 and finite, got nan"),
        ("weight_decay", float("inf"), "weight_decay must be >= 0 and finite, got inf"),
        ("momentum", 0, "momentum must be > 0 with nesterov, got 0"),
        ("clip", 0, "clip must be > 0, got 0"),
        ("amp", "fp8", "amp must be one of off, bf16, fp16, got 'fp8'"),
    ],
)
def test_training_outside_its_range_is_refused(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Training(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", -1, r"seed must be >= 0 and < 2\*\*32, got -1"),
        ("iterations", -1, "iterations must be >= 0, got -1"),
        ("threads", 0, "threads must be >= 1, got 0"),
        ("device", "tpu", "device must be one of cpu, cuda, got 'tpu'"),
        ("processes", 0, "processes must be >= 1 and <= batch, got 0"),
        ("processes", 401, "processes must be >= 1 and <= batch, got 401"),
        ("training", Training(amp="fp16"), "amp must be off or bf16 on a CPU, got fp16"),
        ("stop_at", "soon", "stop_at must be one of collapse, underfit, never, got 'soon'"),
        ("compat", "old", "compat must be one of paper, published, got 'old'"),
    ],
)
def test_a_run_outside_its_range_is_refused(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        configuration(**{name: value})


def test_missing_and_unknown_settings_are_named():
    values = configuration().to_dict()
    values["speed"] = values.pop("seed")
    with pytest.raises(ValueError, match=r"missing \['seed'\], unknown \['speed'\]"):
        RunConfig.from_dict(values)
