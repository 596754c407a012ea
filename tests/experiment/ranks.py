"""One process of several that train together, for tests that start them: ``python -m experiment.ranks DIRECTORY``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from experiment import original
from pqi.experiment import models
from pqi.experiment.config import Training
from pqi.experiment.data.dataset import Dataset, Images, Normalisation, assemble
from pqi.experiment.launch import Launch
from pqi.experiment.place import Place
from pqi.experiment.train import Evaluator, Trainer
from pqi.experiment.world import World, joined
from pqi.prune import Pruner

TRAINING = Training(epochs=2, batch=21, augment=True)


def dataset() -> Dataset:
    """Return a small data set of coloured images, 63 of them for training: batches that two cannot share evenly."""
    images = Images(original.pictures((70, 3, 8, 8), 0), original.labels(70, 3, 0))
    return assemble(images, images, 3, Normalisation((0.4,) * 3, (0.2,) * 3))


def network(name: str = "cnn") -> torch.nn.Module:
    """Return a network for it."""
    return models.build(name, (3, 8, 8), 3, seed=0)


def trained(name: str, world: World) -> dict[str, Any]:
    """Prune, train and prune once more."""
    data, model, place = dataset(), network(name), Place(world=world)
    pruner = Pruner(model)
    pruner.step()
    metrics = Trainer(data, TRAINING, seed=0, place=place)(model, pruner, 0)
    found = {"metrics": metrics, "test": Evaluator(data, place)(model, "test"), "revived": pruner.revived()}
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    pruner.step()
    return {**found, "model": state, "masks": pruner.masks}


def disagreement(world: World) -> str:
    """Return what is said about processes whose networks differ."""
    model = network()
    with torch.no_grad():
        next(model.parameters()).view(-1)[3] += world.rank
    try:
        world.settle(model)
    except RuntimeError as error:
        return str(error)
    return ""


def main(directory: str) -> None:
    """Train in every way, and save what came out."""
    torch.set_num_threads(1)
    with joined(Launch.of_environment(), "cpu") as world:
        results: dict[str, Any] = {name: trained(name, world) for name in ("mlp", "cnn")}
        results["disagreement"] = disagreement(world)
        torch.save(results, Path(directory) / f"{world.rank}.pt")


if __name__ == "__main__":
    main(sys.argv[1])
