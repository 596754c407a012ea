"""Callbacks without the trainers: the events that trainers send, in their order, to duck-typed objects."""

import ast
import copy
import inspect
import pickle
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pqi.prune import Fraction, HuggingFaceCallback, LightningCallback, OptimizerCallback, Pruner, Target, callbacks
from prune.networks import blobs, normalised, same


def backward(model, optimizer):
    x, y = blobs()
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()


def fit_lightning(callback, module, optimizer, epochs, *, start=0):
    """Send what Lightning sends; gradients are computed inside the step, by a closure."""

    def closure():
        backward(module, optimizer)
        callback.on_before_optimizer_step(trainer, module, optimizer)

    trainer = SimpleNamespace(optimizers=[optimizer], current_epoch=start)
    callback.setup(trainer, module, stage="fit")
    callback.on_fit_start(trainer, module)
    callback.on_train_start(trainer, module)
    for trainer.current_epoch in range(start, epochs):
        callback.on_train_epoch_start(trainer, module)
        for _ in range(3):
            optimizer.step(closure)
            assert callback.pruner.revived() == {}
        callback.on_train_epoch_end(trainer, module)
    callback.on_train_end(trainer, module)
    callback.teardown(trainer, module, stage="fit")


def fit_transformers(callback, model, optimizer, steps, *, start=0):
    """Send what the Trainer sends; it clips without a hook before."""
    state, control = SimpleNamespace(global_step=start), object()
    given = {"model": model, "optimizer": optimizer, "lr_scheduler": None}
    callback.on_train_begin(None, state, control, **given)
    while state.global_step < steps:
        callback.on_step_begin(None, state, control, **given)
        backward(model, optimizer)
        for name, weight in callback.pruner.weights().items():
            assert not weight.grad[~callback.pruner.masks[name]].any(), "clipping comes next"
        callback.on_pre_optimizer_step(None, state, control, **given)
        optimizer.step()
        assert callback.pruner.revived() == {}
        state.global_step += 1
        callback.on_step_end(None, state, control, **given)
    callback.on_train_end(None, state, control, **given)


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


@pytest.mark.parametrize(
    ("kind", "fit", "length", "every", "prunings", "times"),
    [
        (LightningCallback, fit_lightning, 6, 2, None, 2),
        (LightningCallback, fit_lightning, 7, 2, None, 3),
        (LightningCallback, fit_lightning, 9, 1, 3, 3),
        (LightningCallback, fit_lightning, 5, None, None, 0),
        (HuggingFaceCallback, fit_transformers, 20, 5, None, 3),
        (HuggingFaceCallback, fit_transformers, 21, 5, 2, 2),
        (HuggingFaceCallback, fit_transformers, 5, None, None, 0),
    ],
)
def test_pruning_between_epochs_or_steps(kind, fit, length, every, prunings, times):
    model = normalised()
    callback = kind(Pruner(model, amount=Fraction(0.2)), every=every, prunings=prunings)
    optimizer = sgd(model)
    fit(callback, model, optimizer, length)
    assert len(callback.reports) == times
    assert callback.pruner.revived() == {}
    assert not optimizer._optimizer_step_post_hooks
    assert not any(weight._post_accumulate_grad_hooks for weight in callback.pruner.weights().values())


def test_momentum_of_weights_pruned_from_the_start_stays_empty_inside_a_closure():
    model = normalised()
    pruner = Pruner(model, amount=Fraction(0.5))
    pruner.step()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit_lightning(LightningCallback(pruner), model, optimizer, 2)
    for name, weight in pruner.weights().items():
        assert not optimizer.state[weight]["momentum_buffer"][~pruner.masks[name]].any()


def test_train_prune_and_rewind_around_whole_fits():
    model = normalised()
    initial = copy.deepcopy(model.state_dict())
    pruner = Pruner(model, amount=Target(0.5, 3))
    for _ in range(3):
        fit_lightning(LightningCallback(pruner), model, sgd(model), 2)
        pruner.step()
        pruner.rewind()
    masks = pruner.masks
    assert same(model.state_dict(), {name: v * masks[name] if name in masks else v for name, v in initial.items()})
    assert pruner.remaining == pruner.total // 2


def test_lightning_resumes_where_the_checkpoint_was():
    def parts(seed=0):
        model = normalised(seed)
        callback = LightningCallback(Pruner(model, amount=Target(0.8, 4), scope="layer"), every=2)
        return model, sgd(model), callback

    model, optimizer, callback = parts()
    torch.manual_seed(1)
    fit_lightning(callback, model, optimizer, 4)
    middle = copy.deepcopy((model.state_dict(), optimizer.state_dict(), callback.state_dict(), torch.get_rng_state()))
    fit_lightning(callback, model, optimizer, 9, start=4)

    again, again_optimizer, again_callback = parts(seed=5)
    again.load_state_dict(middle[0])
    again_optimizer.load_state_dict(middle[1])
    again_callback.load_state_dict(pickle.loads(pickle.dumps(middle[2])))
    torch.set_rng_state(middle[3])
    fit_lightning(again_callback, again, again_optimizer, 9, start=4)
    assert same(again_callback.pruner.masks, callback.pruner.masks)
    assert same(again.state_dict(), model.state_dict())
    assert (len(callback.reports), len(again_callback.reports)) == (4, 3)


@pytest.mark.parametrize("stop", [1, 5, 6, 10, 11, 13])
def test_the_trainer_resumes_from_the_zeros_of_its_checkpoint(stop):
    def parts(seed=0):
        model = normalised(seed)
        callback = HuggingFaceCallback(Pruner(model, amount=Target(0.8, 3)), every=5)
        return model, sgd(model), callback

    model, optimizer, callback = parts()
    torch.manual_seed(1)
    fit_transformers(callback, model, optimizer, stop)
    middle = copy.deepcopy((model.state_dict(), optimizer.state_dict(), torch.get_rng_state()))
    fit_transformers(callback, model, optimizer, 18, start=stop)

    again, again_optimizer, again_callback = parts(seed=5)
    again.load_state_dict(middle[0])
    again_optimizer.load_state_dict(middle[1])
    torch.set_rng_state(middle[2])
    fit_transformers(again_callback, again, again_optimizer, 18, start=stop)
    assert same(again_callback.pruner.masks, callback.pruner.masks)
    assert same(again.state_dict(), model.state_dict())
    assert again_callback.pruner.remaining == 176 - 176 * 8 // 10


def test_a_bare_optimizer_prunes_by_itself():
    model = normalised()
    optimizer = sgd(model)
    callback = OptimizerCallback(Pruner(model, amount=Target(0.5, 2)), optimizer, every=4, prunings=2)
    live = []
    for _ in range(10):
        backward(model, optimizer)
        optimizer.step()
        live.append(callback.pruner.remaining)
        assert callback.pruner.revived() == {}
    assert live == [176] * 3 + [125] * 4 + [88] * 3
    callback.remove()
    assert not optimizer._optimizer_step_post_hooks
    backward(model, optimizer)
    optimizer.step()
    assert callback.pruner.revived() != {}


@pytest.mark.parametrize("make", [LightningCallback, HuggingFaceCallback])
def test_unknown_events_are_answered_and_unknown_names_are_not(make):
    callback = make(Pruner(normalised()), every=1)
    assert callback.on_something_of_the_future(1, key=2) is None
    with pytest.raises(AttributeError, match="object has no attribute 'predict'"):
        _ = callback.predict
    assert copy.deepcopy(callback).pruner.model is not callback.pruner.model
    pickle.loads(pickle.dumps(callback))


def test_no_trainer_is_imported():
    tree = ast.parse(inspect.getsource(callbacks))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert found <= {"torch"}


def test_a_pruner_of_another_model_is_refused():
    message = "the pruner must be of the model that is trained, got one with another '0.weight'"
    other = normalised(1)
    with pytest.raises(ValueError, match=message):
        fit_lightning(LightningCallback(Pruner(normalised())), other, sgd(other), 1)
    with pytest.raises(ValueError, match=message):
        fit_transformers(HuggingFaceCallback(Pruner(normalised())), other, sgd(other), 1)


def test_a_part_of_the_model_is_enough():
    whole = nn.ModuleDict({"body": normalised(), "head": nn.Linear(3, 3)})
    LightningCallback(Pruner(whole["body"])).setup(None, whole, stage="fit")


def test_wrapped_optimizers_are_unwrapped():
    class Wrapper(torch.optim.Optimizer):
        def __init__(self, optimizer):
            self.optimizer = optimizer

    inner = sgd(normalised())
    assert callbacks.bare(Wrapper(Wrapper(inner))) is inner
    assert callbacks.bare(inner) is inner
    with pytest.raises(TypeError, match="optimizer must be a torch optimizer or wrap one, got int"):
        callbacks.bare(3)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"every": 0}, "every must be >= 1 or None, got 0"), ({"prunings": -1}, "prunings must be >= 0 or None, got -1")],
)
@pytest.mark.parametrize("make", [LightningCallback, HuggingFaceCallback])
def test_errors_name_value_and_rule(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(Pruner(normalised()), **options)
