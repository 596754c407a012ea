"""Masks hold under what people train with: torch.compile, gradient scaling, accumulation, autocast, DDP, EMA."""

import math

import pytest
import torch
from torch import nn
from torch.multiprocessing.spawn import start_processes

from pqi.prune import Fraction, Pruner, Target
from prune import parallel
from prune.networks import blobs, compiled, normalised, same


def steps(model, optimizer, pruner, *, count=6, loss=None):
    x, y = blobs()
    for step in range(count):
        optimizer.zero_grad()
        (nn.functional.cross_entropy(model(x), y) if loss is None else loss(model, x, y)).backward()
        optimizer.step()
        assert pruner.revived() == {}
        if step % 2:
            pruner.step()


def adamw(model):
    return torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)


@pytest.mark.parametrize("backend", ["eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("wrapped", [False, True], ids=["pruner-of-model", "pruner-of-compiled"])
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
def test_compiled_models(backend, wrapped):
    torch.compiler.reset()
    plain = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    model = compiled(plain, backend)
    optimizer = adamw(model)
    pruner = Pruner(model if wrapped else plain, optimizer, amount=Fraction(0.3))
    steps(model, optimizer, pruner)
    assert pruner.masks.keys() == {"0.weight", "2.weight"}
    assert 0 < pruner.density() < 0.4
    x, _ = blobs()
    assert torch.allclose(model(x), plain(x), atol=1e-6), "the compiled graph reads the pruned weights"
    pruner.rewind()
    assert torch.allclose(model(x), plain(x), atol=1e-6)


def test_gradient_scaling_and_autocast():
    model = normalised()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    pruner = Pruner(model, optimizer, amount=Fraction(0.3))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    x, y = blobs()
    for step in range(8):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss * (math.inf if step == 3 else 1)).backward()
        scaler.unscale_(optimizer)
        pruner.mask_gradients()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        before = model.get_parameter("0.weight").detach().clone()
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(before, model.get_parameter("0.weight")) == (step == 3), "an overflow skips the step"
        assert pruner.revived() == {}
        if step % 2:
            pruner.step()
    assert 0 < pruner.density() < 0.3


def test_gradient_accumulation_is_that_of_the_whole_batch():
    """Masked gradients of parts of a batch add up to the masked gradient of the batch."""
    x, y = blobs()
    results = []
    for parts in (1, 4):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).double()
        optimizer = adamw(model)
        pruner = Pruner(model, optimizer, amount=Fraction(0.3))
        for step in range(6):
            optimizer.zero_grad()
            for rows in torch.arange(len(x)).chunk(parts):
                (nn.functional.cross_entropy(model(x[rows].double()), y[rows]) / parts).backward()
            optimizer.step()
            assert pruner.revived() == {}
            if step % 2:
                pruner.step()
        results.append((pruner.masks, model.state_dict()))
    assert same(results[0][0], results[1][0])
    assert all(torch.allclose(a, b) for a, b in zip(results[0][1].values(), results[1][1].values(), strict=True))


def test_early_masking_sees_every_accumulated_gradient():
    model = normalised()
    optimizer = adamw(model)
    pruner = Pruner(model, amount=Fraction(0.5))
    pruner.step()
    pruner.attach(optimizer, early=True)
    x, y = blobs()
    for _ in range(3):
        nn.functional.cross_entropy(model(x), y).backward()
        for name, weight in pruner.weights().items():
            assert weight.grad is not None
            assert not weight.grad[~pruner.masks[name]].any()
            assert weight.grad[pruner.masks[name]].any()
    pruner.detach()
    model.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    gradients = {name: weight.grad for name, weight in pruner.weights().items()}
    assert any(g is not None and g[~pruner.masks[name]].any() for name, g in gradients.items())


def test_a_frozen_weight_is_held_too():
    model = normalised()
    model.get_parameter("0.weight").requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    pruner = Pruner(model, amount=Fraction(0.5))
    pruner.attach(optimizer, early=True)
    pruner.step()
    steps(model, optimizer, pruner, count=2)


@pytest.mark.parametrize("make", ["foreach", "fused", "closure"])
def test_every_way_of_stepping(make):
    model = normalised()
    if make == "closure":
        optimizer: torch.optim.Optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), foreach=make == "foreach", fused=make == "fused")
    pruner = Pruner(model, optimizer, amount=Fraction(0.5))
    pruner.step()
    x, y = blobs()

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
        assert pruner.revived() == {}


def test_an_averaged_model_keeps_the_zeros():
    model = normalised()
    pruner = Pruner(model, optimizer := adamw(model), amount=Target(0.5, 1))
    pruner.step()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    for _ in range(3):
        steps(model, optimizer, pruner, count=1)
        averaged.update_parameters(model)
    assert not averaged.module.get_parameter("0.weight")[~pruner.masks["0.weight"]].any()


def test_two_processes_of_ddp_hold_the_same_masks(tmp_path):
    start_processes(parallel.train, args=(str(tmp_path),), nprocs=2, start_method="spawn")
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for view in ("False", "True"):
        first, second = (found[view] for found in ranks)
        assert first["revived"] == second["revived"] == 0
        assert same(first["masks"], second["masks"])
        assert same(first["model"], second["model"])
        assert first["names"] == ["0.weight", "2.weight"]
        assert sum(int(mask.sum()) for mask in first["masks"].values()) == 176 - 88
