"""A training and an evaluation for the loop, with randomness from every global generator, and a storage of bytes."""

import io
import random

import numpy as np
import torch
from torch import nn

from pqi.prune import METHODS, Memory, run_loop
from prune.networks import blobs, normalised

X, Y = blobs()
HELD_OUT = {"validation": blobs(seed=2), "test": blobs(seed=3)}


class InterruptedTrainingError(Exception):
    """Stands for whatever ends a process."""


def train(model, pruner, iteration, *, steps=6, fail_at=None):
    """Train with randomness from every global generator; optionally break off in the middle."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-3)
    pruner.attach(optimizer)
    model.train()
    for step in range(steps):
        if (iteration, step) == fail_at:
            raise InterruptedTrainingError
        rows = torch.randperm(len(X))[:32]
        noise = np.random.standard_normal() * 0.01 + random.gauss(0, 0.01)  # noqa: NPY002
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[rows] + noise), Y[rows])
        loss.backward()
        pruner.mask_gradients()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return {"loss": loss.item()}


@torch.no_grad()
def evaluate(model, split):
    x, y = HELD_OUT[split]
    model.eval()
    logits = model(x)
    return {
        "accuracy": float((logits.argmax(1) == y).double().mean()),
        "loss": float(nn.functional.cross_entropy(logits, y)),
    }


def seed_all(seed=0):
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)


def start(method, storage=None, *, iterations=3, seed=0, **options):
    seed_all(seed)
    model = normalised(seed)
    options = {"train": train, "evaluate": evaluate, **options}
    return model, run_loop(model, METHODS[method], iterations=iterations, storage=storage, **options)


class OnDisk(Memory):
    """A storage that keeps bytes only, as files would."""

    def save(self, record, state):
        super().save(record, as_bytes(state))

    def load_last(self):
        return None if self.state is None else from_bytes(self.state)

    def save_tensors(self, name, tensors):
        super().save_tensors(name, as_bytes(dict(tensors)))

    def load_tensors(self, name):
        return from_bytes(super().load_tensors(name))


def as_bytes(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def from_bytes(value):
    return torch.load(io.BytesIO(value), weights_only=True)
