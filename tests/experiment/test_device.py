"""Which device a configuration's kind is."""

import pytest
import torch

from pqi.experiment.device import CPU, device_of


def test_there_is_always_a_cpu():
    assert device_of("cpu") == device_of("cpu", 3) == CPU == torch.device("cpu")


def test_a_gpu_is_the_current_one_or_the_one_asked_for(monkeypatch):
    for name, value in (("is_available", True), ("current_device", 1), ("device_count", 2)):
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    assert device_of("cuda") == torch.device("cuda", 1)
    assert device_of("cuda", 0) == torch.device("cuda", 0)
    with pytest.raises(ValueError, match="device must be one of 2 that torch can reach, got cuda:2"):
        device_of("cuda", 2)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device must be one that torch can reach, got cuda"):
        device_of("cuda")
