"""Loop states: small, and safe to store."""

import io

import torch

from pqi.prune import Memory, Pruner, rng
from pqi.prune.masks import pack
from pqi.prune.storage import LoopState
from prune.networks import normalised, same


def state():
    masks = pack(Pruner(normalised()).masks)
    return LoopState(iteration=1, iterations=3, masks=masks, rng=rng.capture(), indices=[0.25], stopped="collapse")


def test_a_state_survives_a_safe_file():
    kept = state()
    file = io.BytesIO()
    torch.save(kept, file)
    file.seek(0)
    found = torch.load(file, weights_only=True)
    assert found.keys() == kept.keys()
    assert same(found["masks"], kept["masks"])
    assert found["rng"]["python"] == kept["rng"]["python"]
    assert (found["indices"], found["stopped"]) == ([0.25], "collapse")


def test_masks_take_one_bit_per_weight():
    assert sum(packed.numel() for packed in state()["masks"].values()) == (8 * 16 + 16 * 3) / 8


def test_memory_starts_empty_and_keeps_the_last_state():
    memory = Memory()
    assert memory.load_last() is None
    memory.save_tensors("initial", {"weight": torch.ones(2)})
    assert same(dict(memory.load_tensors("initial")), {"weight": torch.ones(2)})
