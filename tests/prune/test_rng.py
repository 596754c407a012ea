"""Random states: captured, stored and restored exactly."""

import io
import random

import numpy as np
import torch

from pqi.prune import rng


def draws():
    return (
        torch.rand(3).tolist(),
        torch.randn(3).tolist(),
        np.random.rand(3).tolist(),  # noqa: NPY002 - the global generator is what is tested
        np.random.standard_normal(3).tolist(),  # noqa: NPY002 - an odd number of normals leaves half a pair behind
        random.random(),
        random.gauss(0, 1),
    )


def test_restored_generators_repeat_themselves():
    draws()
    state = rng.capture()
    first = draws()
    assert draws() != first
    rng.restore(state)
    assert draws() == first
    rng.restore(state)
    assert draws() == first, "a state can be restored more than once"


def test_a_state_survives_a_safe_file():
    state = rng.capture()
    first = draws()
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    rng.restore(torch.load(file, weights_only=True))
    assert draws() == first
