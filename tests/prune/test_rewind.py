"""Snapshots: true copies, everything restored, strict."""

import pytest
import torch
from torch import nn

from pqi.prune import Snapshot
from prune.networks import Tied, blobs, normalised, same


def trained(model):
    x, y = blobs()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def copied(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_everything_comes_back():
    model = normalised()
    before = copied(model)
    snapshot = Snapshot.of(model)
    trained(model)
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == before.keys(), "weights, biases, normalisation, running statistics and the batch counter move"
    snapshot.restore(model)
    assert same(before, model.state_dict())


def test_nothing_is_shared_with_the_model():
    model = normalised()
    pointers = {tensor.data_ptr() for tensor in model.state_dict().values()}
    snapshot = Snapshot.of(model)
    assert not pointers & {tensor.data_ptr() for tensor in snapshot.tensors.values()}
    snapshot.restore(model)
    assert {tensor.data_ptr() for tensor in model.state_dict().values()} == pointers, "restored in place"
    trained(model)
    snapshot.restore(model)
    assert same(dict(snapshot.tensors), copied(model)), "a second restore finds the same values"


def test_snapshots_ask_for_no_gradient():
    assert not any(tensor.requires_grad for tensor in Snapshot.of(normalised()).tensors.values())


def test_gradients_are_dropped():
    model = normalised()
    snapshot = Snapshot.of(model)
    trained(model)
    assert model[0].weight.grad is not None
    snapshot.restore(model)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_tied_weights_are_kept_once_and_stay_tied():
    model = Tied()
    snapshot = Snapshot.of(model)
    assert "head.weight" not in snapshot.tensors
    with torch.no_grad():
        model.head.weight.add_(1)
    snapshot.restore(model)
    assert model.head.weight is model.embedding.weight
    assert torch.equal(model.head.weight, snapshot.tensors["embedding.weight"])


def test_buffers_outside_the_state_dict_come_back():
    model = nn.Linear(2, 2)
    model.register_buffer("steps", torch.zeros(1), persistent=False)
    snapshot = Snapshot.of(model)
    model.get_buffer("steps").add_(5)
    snapshot.restore(model)
    assert model.get_buffer("steps").item() == 0


def test_other_names_are_refused():
    snapshot = Snapshot.of(normalised())
    with pytest.raises(
        ValueError, match=r"those of the snapshot, got missing \['0.bias'.*unexpected \['bias', 'weight'\]"
    ):
        snapshot.restore(nn.Linear(8, 16))


@pytest.mark.parametrize("other", [nn.Linear(3, 2), nn.Linear(2, 2).double()], ids=["shape", "dtype"])
def test_other_shapes_and_dtypes_are_refused_before_anything_is_written(other):
    snapshot = Snapshot.of(nn.Linear(2, 2))
    before = copied(other)
    with pytest.raises(
        ValueError, match=r"'weight' must be torch.float32 of shape \(2, 2\) as in the snapshot, got torch"
    ):
        snapshot.restore(other)
    assert same(before, other.state_dict())
