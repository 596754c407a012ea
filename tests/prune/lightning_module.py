"""A LightningModule around any classifier, where Lightning is installed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn


def lightning_module(model: nn.Module) -> tuple[Any, Any]:
    """Return the package `lightning` and a module that trains `model`; skip the test where there is none."""
    lightning: Any = pytest.importorskip("lightning", reason="lightning is not installed", exc_type=ImportError)

    class Classifier(lightning.LightningModule):  # type: ignore[misc] # a class of an optional package
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any) -> Any:
            return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=0.01, weight_decay=0.1)

    return lightning, Classifier()
