"""Small networks, and the data to train them on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Everything(nn.Module):
    """Every kind of layer whose output axis or grouping matters; it is measured and pruned, never run."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.grouped = nn.Conv2d(4, 6, 3, groups=2)
        self.up = nn.ConvTranspose2d(6, 4, 3)
        self.up_grouped = nn.ConvTranspose1d(4, 6, 3, groups=2)
        self.layer_norm = nn.LayerNorm([2, 3])
        self.embedding = nn.Embedding(7, 5)
        self.head = nn.Linear(5, 7)


class Tied(nn.Module):
    """A vocabulary whose embedding is its classifier too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.hidden = nn.Linear(6, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Any:
        return self.head(torch.tanh(self.hidden(self.embedding(tokens))))


def normalised(seed: int = 0) -> nn.Sequential:
    """Return a multilayer perceptron with batch normalisation and dropout, so that training draws random numbers."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))


def compiled(model: nn.Module, backend: str = "eager") -> nn.Module:
    """Return the module that ``torch.compile`` makes of `model`."""
    module = torch.compile(model, backend=backend)
    assert isinstance(module, nn.Module)
    return module


def blobs(n: int = 96, features: int = 8, classes: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Return points around one centre per class, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(classes, features, generator=generator)
    y = torch.randint(classes, (n,), generator=generator)
    return centres[y] + torch.randn(n, features, generator=generator), y


def quantise(model: nn.Module, steps: int = 3) -> None:
    """Round all parameters to few magnitudes, so that there are ties and zeros everywhere."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter / parameter.abs().max().clamp(min=1e-9) * steps).round() / steps)


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    """Return whether two sets of named tensors are equal, names and dtypes too."""
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and torch.equal(left[name], right[name]) for name in left
    )
