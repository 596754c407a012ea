"""Masks that hold, and a model that does not notice."""

import copy
import io
import math
import pickle

import pytest
import torch
from torch import nn

from pqi.prune import Pruner
from pqi.prune.masks import HeldMasks, pack, unpack
from prune.networks import Tied, blobs, normalised, same

OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-3),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1),
}


def train(model, optimizer, steps=5, clip=None):
    x, y = blobs()
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        if clip is not None:
            clip()
        optimizer.step()


def random_masks(held, live=0.5):
    return {name: torch.rand(weight.shape) < live for name, weight in held.weights().items()}


@pytest.fixture
def model():
    return normalised()


@pytest.fixture
def held(model):
    return HeldMasks(model, ["0.weight", "4.weight"])


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_masks_hold_through_momentum_and_weight_decay(model, held, make):
    optimizer = make(model.parameters())
    held.attach(optimizer)
    train(model, optimizer)  # dense steps fill the moments
    held.set(random_masks(held))
    held.apply()
    for _ in range(10):
        train(model, optimizer, steps=1)
        assert held.revived() == {}
    live = held.get()["0.weight"]
    assert (model[0].weight[live] != 0).all()


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_masking_gradients_alone_would_revive_every_pruned_weight(model, held, make):
    optimizer = make(model.parameters())
    train(model, optimizer)
    held.set(random_masks(held))
    held.apply()
    train(model, optimizer, steps=1, clip=held.mask_gradients)
    assert held.revived() == {name: int((~mask).sum()) for name, mask in held.get().items()}


def test_moments_of_pruned_weights_stay_empty(model, held):
    held.set(random_masks(held))
    optimizer = OPTIMIZERS["adamw"](model.parameters())
    held.attach(optimizer)
    train(model, optimizer)
    for name, weight in held.weights().items():
        pruned = ~held.get()[name]
        assert not optimizer.state[weight]["exp_avg"][pruned].any()
        assert not optimizer.state[weight]["exp_avg_sq"][pruned].any()


def test_clipping_after_masking_counts_live_gradients_only(model, held):
    held.set(random_masks(held))
    x, y = blobs()
    nn.functional.cross_entropy(model(x), y).backward()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    for name, mask in held.get().items():
        gradients[name][~mask] = 0
    held.mask_gradients()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    assert norm.item() == pytest.approx(math.sqrt(sum(float((g**2).sum()) for g in gradients.values())))


def test_gradients_that_are_missing_or_sparse_are_left_alone():
    model = nn.Embedding(4, 2, sparse=True)
    held = HeldMasks(model, ["weight"])
    held.set({"weight": torch.zeros(4, 2, dtype=torch.bool)})
    held.mask_gradients()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    held.attach(optimizer)
    model(torch.tensor([1, 1])).sum().backward()
    optimizer.step()
    assert held.revived() == {}


def test_only_the_last_attached_optimizer_holds(model, held):
    first, second = (torch.optim.SGD(model.parameters(), lr=0.1) for _ in range(2))
    held.set(random_masks(held))
    held.attach(first)
    held.attach(second)
    train(model, second)
    assert held.revived() == {}
    train(model, first)
    assert held.revived() != {}
    held.attach(second)
    held.detach()
    train(model, second)
    assert held.revived() != {}


def test_nan_at_a_pruned_place_becomes_zero(model, held):
    with torch.no_grad():
        model[0].weight[0, 0] = math.nan
        model[0].weight[0, 1] = math.inf
    masks = held.get()
    masks["0.weight"][0, :2] = False
    held.set(masks)
    assert held.revived() == {"0.weight": 2}
    held.apply()
    assert model[0].weight[0, :2].tolist() == [0, 0]


def test_the_model_does_not_notice(model):
    keys = list(model.state_dict())
    modules = [type(module) for module in model.modules()]
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    Pruner(model, optimizer).step()
    train(model, optimizer)
    assert list(model.state_dict()) == keys
    assert [type(module) for module in model.modules()] == modules
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(isinstance(parameter, nn.Parameter) and parameter.is_leaf for parameter in model.parameters())


def test_a_deep_copy_of_the_model_is_free_and_equal(model):
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    pruner = Pruner(model, optimizer)
    pruner.step()
    twin = copy.deepcopy(model)
    assert same(twin.state_dict(), model.state_dict())
    train(twin, OPTIMIZERS["sgd"](twin.parameters()))
    assert pruner.revived() == {}
    assert int((twin[0].weight != 0).sum()) > int((model[0].weight != 0).sum()), "nothing holds the copy's zeros"


def test_model_and_optimizer_can_be_pickled(model):
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    Pruner(model, optimizer).step()
    train(model, optimizer)
    again, again_optimizer = pickle.loads(pickle.dumps((model, optimizer)))
    assert same(again.state_dict(), model.state_dict())
    train(again, again_optimizer)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda pruner: pickle.loads(pickle.dumps(pruner))], ids=["copy", "pickle"]
)
def test_a_copied_pruner_brings_its_own_model_and_no_optimizer(model, duplicate):
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    optimizer.register_step_post_hook(lambda *_: None)  # somebody else's, and one that cannot be pickled
    pruner = Pruner(model, optimizer)
    pruner.step()
    twin = duplicate(pruner)
    assert twin.model is not model
    assert same(twin.masks, pruner.masks)
    fresh = OPTIMIZERS["sgd"](twin.model.parameters())
    twin.attach(fresh)
    train(twin.model, fresh)
    assert twin.revived() == {}


def test_tied_weights_stay_tied_and_are_masked_in_both_places():
    model = Tied()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    pruner = Pruner(model, optimizer)
    pruner.step()
    tokens = torch.arange(11)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens), tokens.flip(0)).backward()
        optimizer.step()
    assert model.head.weight is model.embedding.weight
    assert "head.weight" in model.state_dict()
    assert pruner.masks.keys() == {"embedding.weight", "hidden.weight"}
    assert pruner.total == 11 * 6 + 6 * 6
    assert not model.head.weight[~pruner.masks["embedding.weight"]].any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_masks_survive_a_change_of_dtype(model, held, dtype):
    held.set(random_masks(held))
    held.apply()
    before = model.get_parameter("0.weight").detach().clone()
    model.to(dtype)
    nn.init.ones_(model.get_parameter("4.weight"))
    held.apply()
    assert held.revived() == {}
    assert torch.equal(model.get_parameter("0.weight"), before.to(dtype)), "live weights keep their bits"


def test_other_layouts_in_memory_are_masked_alike():
    model = nn.Conv2d(4, 6, 3)
    held = HeldMasks(model, ["weight"])
    masks = random_masks(held)
    held.set(masks)
    expected = model.weight.detach() * masks["weight"]
    model.weight.data = model.weight.data.to(memory_format=torch.channels_last)
    held.apply()
    assert torch.equal(model.weight, expected)


def test_dense_weights_are_not_touched(model, held):
    versions = [weight._version for weight in held.weights().values()]
    held.apply()
    assert [weight._version for weight in held.weights().values()] == versions


def test_a_learning_rate_schedule_does_not_interfere(model, held):
    held.set(random_masks(held))
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    held.attach(optimizer)
    for _ in range(5):
        train(model, optimizer, steps=1)
        schedule.step()
        assert held.revived() == {}


def test_masks_are_copied_when_set(held):
    masks = random_masks(held)
    held.set(masks)
    masks["0.weight"].zero_()
    assert held.get()["0.weight"].any()


@pytest.mark.parametrize("shape", [(1,), (7,), (8,), (3, 5), (2, 3, 4, 5)])
def test_packed_masks_come_back(shape):
    masks = {"w": torch.rand(shape) < 0.5}
    packed = pack(masks)
    assert packed["w"].dtype == torch.uint8
    assert packed["w"].numel() == math.ceil(math.prod(shape) / 8)
    assert same(unpack(packed, {"w": torch.empty(shape)}), masks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda masks: masks.pop("4.weight"), r"got missing \['4.weight'\], unexpected \[\]"),
        (lambda masks: masks.update(bias=torch.ones(3).bool()), r"got missing \[\], unexpected \['bias'\]"),
        (lambda masks: masks.update({"4.weight": torch.ones(3, 16)}), r"'4.weight' must be bool .*got torch.float32"),
        (
            lambda masks: masks.update({"4.weight": torch.ones(16, 3).bool()}),
            r"of shape \(3, 16\), got torch.bool of shape \(16, 3\)",
        ),
    ],
)
def test_wrong_masks_are_refused(held, change, message):
    masks = random_masks(held)
    change(masks)
    with pytest.raises(ValueError, match=message):
        held.set(masks)
    assert all(mask.all() for mask in held.get().values())


def test_wrong_packed_masks_are_refused():
    weights = {"w": torch.empty(9)}
    with pytest.raises(ValueError, match=r"the packed mask of 'w' must have 2 bytes, got \(1,\)"):
        unpack({"w": torch.zeros(1, dtype=torch.uint8)}, weights)
    with pytest.raises(ValueError, match=r"missing \['w'\], unexpected \['v'\]"):
        unpack({"v": torch.zeros(2, dtype=torch.uint8)}, weights)


def test_narrower_masks_of_some_tensors_hold_too_and_the_others_stay():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    held = HeldMasks(model, ["0.weight", "1.weight"])
    first, second = torch.rand(3, 4) < 0.7, torch.rand(2, 3) < 0.5
    for masks in ({"0.weight": first}, {"1.weight": second}, {"0.weight": first & (torch.rand(3, 4) < 0.5)}):
        held.narrow(masks)
        for weight in model.parameters():
            weight.data.fill_(2.0)
        held.apply()
        expected = {"0.weight": torch.ones(3, 4).bool(), "1.weight": torch.ones(2, 3).bool()} | held.get()
        for name, mask in expected.items():
            assert torch.equal(model.get_parameter(name), 2.0 * mask)
        assert torch.equal(held.get()[next(iter(masks))], next(iter(masks.values())))
    assert torch.equal(held.get()["1.weight"], second)
