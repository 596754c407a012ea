"""A run gets its device and its threads, and gives them back."""

import os

import pytest
import torch

import pqi
from experiment.tiny import configuration
from pqi.experiment import place
from pqi.experiment.place import placed


def test_threads_are_held_and_given_back():
    torch.set_num_threads(2)
    with placed(configuration(threads=3), workers=4) as found:
        assert (torch.get_num_threads(), pqi.info()["num_threads"]) == (3, 3)
        assert (found.device, found.workers, found.world.size) == (torch.device("cpu"), 4, 1)
    assert torch.get_num_threads() == 2


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with (
        pytest.raises(ValueError, match="device must be one that torch can reach, got cuda"),
        placed(configuration(device="cuda"), workers=0),
    ):
        pass


def test_cuda_is_asked_for_deterministic_algorithms(monkeypatch):
    monkeypatch.setattr(place, "device_of", lambda kind: torch.device(kind, 1))
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = torch.backends.cudnn.deterministic
    with placed(configuration(device="cuda"), workers=0) as found:
        assert found.device == torch.device("cuda", 1)
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert torch.backends.cudnn.deterministic == before


def test_another_number_of_processes_is_refused():
    with (
        pytest.raises(ValueError, match=r"processes must be 2 as configured, got 1 \(see torchrun\)"),
        placed(configuration(processes=2), workers=0),
    ):
        pass
