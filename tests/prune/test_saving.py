"""A pruner in a safetensors file."""

import sys

import pytest
import torch
from torch import nn

from pqi.prune import Fraction, Pruner, load_pruner, save_pruner
from prune.networks import Tied, normalised, same


def pruned(model, steps=2):
    pruner = Pruner(model, amount=Fraction(0.5))
    for _ in range(steps):
        pruner.step()
    return pruner


class TestWithSafetensors:
    @pytest.fixture(autouse=True)
    def library(self):
        return pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

    @pytest.mark.parametrize("make", [normalised, Tied], ids=["normalised", "tied"])
    def test_everything_comes_back(self, make, tmp_path):
        pruner = pruned(make())
        save_pruner(pruner, tmp_path / "pruner.safetensors")
        again = Pruner(make())
        again.initial = pruned(make(), 1).initial
        load_pruner(again, tmp_path / "pruner.safetensors")
        assert same(again.masks, pruner.masks)
        assert same(dict(again.initial.tensors), dict(pruner.initial.tensors))
        assert (again.steps, again.revived()) == (2, {})

    def test_masks_alone_are_small(self, tmp_path):
        torch.manual_seed(0)
        pruner = pruned(nn.Linear(400, 400))
        save_pruner(pruner, tmp_path / "pruner", initial=False)
        assert (tmp_path / "pruner").stat().st_size < 400 * 400 / 8 + 1000
        again = Pruner(nn.Linear(400, 400))
        initial = again.initial
        load_pruner(again, tmp_path / "pruner")
        assert same(again.masks, pruner.masks)
        assert again.initial is initial

    def test_a_layout_in_memory_is_no_obstacle(self, tmp_path):
        model = nn.Conv2d(4, 6, 3)
        model.weight.data = model.weight.data.to(memory_format=torch.channels_last)
        save_pruner(pruned(model), tmp_path / "pruner")
        again = Pruner(nn.Conv2d(4, 6, 3))
        load_pruner(again, tmp_path / "pruner")
        assert torch.equal(again.initial.tensors["weight"][model.weight != 0], model.weight[model.weight != 0])

    def test_a_file_is_replaced_whole_or_not_at_all(self, library, tmp_path, monkeypatch):
        pruner = pruned(normalised())
        save_pruner(pruner, tmp_path / "pruner")
        before = (tmp_path / "pruner").read_bytes()

        def broken(tensors, path, metadata):
            path.write_bytes(b"half")
            raise OSError("no space left")

        monkeypatch.setattr(library, "save_file", broken)
        with pytest.raises(OSError, match="no space left"):
            save_pruner(pruner, tmp_path / "pruner")
        assert (tmp_path / "pruner").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["pruner"]

    def test_other_files_are_refused(self, library, tmp_path):
        library.save_file({"weight": torch.ones(2)}, tmp_path / "model")
        with pytest.raises(ValueError, match="must be a pruner's state, got a tensor 'weight'"):
            load_pruner(Pruner(normalised()), tmp_path / "model")
        library.save_file({"progress/steps": torch.tensor(1)}, tmp_path / "half")
        with pytest.raises(ValueError, match=r"state must hold 'masks', got \['progress'\]"):
            load_pruner(Pruner(normalised()), tmp_path / "half")
        save_pruner(pruned(nn.Linear(3, 2)), tmp_path / "another")
        with pytest.raises(ValueError, match="parameters and buffers must be those of the snapshot"):
            load_pruner(Pruner(normalised()), tmp_path / "another")


def test_without_safetensors_the_error_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(ImportError, match="safetensors must be installed"):
        save_pruner(pruned(normalised()), tmp_path / "pruner")
