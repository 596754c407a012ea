"""The callbacks inside the trainers they are for; skipped where those are not installed."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pqi.prune import HuggingFaceCallback, LightningCallback, Pruner, Target
from prune.lightning_module import lightning_module
from prune.networks import blobs, same

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Watch:
    """Masks that hold after every optimizer step, counted by the optimizer's own hook."""

    def __init__(self, pruner):
        self.pruner, self.steps, self.revived = pruner, 0, 0

    def __call__(self, *_):
        self.steps += 1
        self.revived += sum(self.pruner.revived().values())


class TestLightning:
    """Training with `lightning.Trainer`."""

    def parts(self, directory, *, epochs=8, prune=True, seed=0, **options):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
        lightning, module = lightning_module(model)
        pruner = Pruner(model, amount=Target(0.75, 3), scope="layer")
        callback = LightningCallback(pruner, every=2 if prune else None)
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            devices=1,
            default_root_dir=directory,
            callbacks=[callback, *options.pop("callbacks", [])],
            **{**quiet, "enable_checkpointing": False, **options},
        )
        return trainer, module, callback

    def batches(self):
        return DataLoader(TensorDataset(*blobs()), batch_size=16)

    @pytest.mark.parametrize(
        "options",
        [{}, {"accumulate_grad_batches": 3}, {"gradient_clip_val": 0.1}, {"precision": "bf16-mixed"}],
        ids=["plain", "accumulation", "clipping", "bfloat16"],
    )
    def test_masks_hold_and_pruning_keeps_its_schedule(self, tmp_path, options):
        trainer, module, callback = self.parts(tmp_path, **options)
        watch = Watch(callback.pruner)
        make = module.configure_optimizers

        def watched():
            optimizer = make()
            callback.pruner.attach(optimizer)  # so that the watch comes after the callback's hooks
            original = callback.pruner.attach

            def attach(*optimizers):
                original(*optimizers)
                optimizers[0].register_step_post_hook(watch)

            callback.pruner.attach = attach
            return optimizer

        module.configure_optimizers = watched
        trainer.fit(module, self.batches())
        assert watch.steps == 8 * 6 // options.get("accumulate_grad_batches", 1)
        assert watch.revived == 0
        assert len(callback.reports) == 3
        assert callback.pruner.total - callback.pruner.remaining == 176 * 3 // 4
        weight = module.model.get_parameter("0.weight")
        assert int((weight == 0).sum()) == int((~callback.pruner.masks["0.weight"]).sum())
        assert list(module.state_dict()) == ["model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias"]

    @pytest.mark.parametrize("stop", [2, 3, 4, 5])
    def test_a_checkpoint_resumes_with_its_masks(self, tmp_path, stop):
        trainer, module, callback = self.parts(tmp_path)
        trainer.fit(module, self.batches())

        first, half, _ = self.parts(tmp_path, epochs=stop)
        first.fit(half, self.batches())
        first.save_checkpoint(tmp_path / "middle.ckpt")
        second, whole, again = self.parts(tmp_path, seed=9)
        second.fit(whole, self.batches(), ckpt_path=tmp_path / "middle.ckpt", weights_only=True)
        assert same(again.pruner.masks, callback.pruner.masks)
        assert same(whole.state_dict(), module.state_dict())
        assert same(dict(again.pruner.initial.tensors), dict(callback.pruner.initial.tensors))

    def test_checkpoints_of_every_epoch_are_pruned_ones(self, tmp_path):
        lightning, _ = lightning_module(nn.Linear(1, 1))
        saver = lightning.pytorch.callbacks.ModelCheckpoint(dirpath=tmp_path, save_top_k=-1, filename="{epoch}")
        trainer, module, _ = self.parts(tmp_path, callbacks=[saver], enable_checkpointing=True)
        trainer.fit(module, self.batches())
        zeros = []
        for epoch in range(8):
            state = torch.load(tmp_path / f"epoch={epoch}.ckpt", weights_only=True)["state_dict"]
            zeros.append(sum(int((value == 0).sum()) for name, value in state.items() if name.endswith("weight")))
        assert zeros == sorted(zeros)
        assert zeros[:2] == [0, 0]
        assert zeros[6:] == [132, 132]

    def test_holding_only_and_rewinding_around_fits(self, tmp_path):
        _, module, callback = self.parts(tmp_path, prune=False)
        initial, pruner = copy.deepcopy(module.state_dict()), callback.pruner
        for _ in range(3):
            trainer, _, _ = self.parts(tmp_path, epochs=2)
            trainer.callbacks[:] = [LightningCallback(pruner)]
            trainer.fit(module, self.batches())
            assert pruner.revived() == {}
            pruner.step()
            pruner.rewind()
        masks = {f"model.{name}": mask for name, mask in pruner.masks.items()}
        expected = {name: value * masks[name] if name in masks else value for name, value in initial.items()}
        assert same(module.state_dict(), expected)
        assert pruner.remaining == 44


class TestTransformers:
    """Training with `transformers.Trainer`."""

    @pytest.fixture(autouse=True)
    def transformers(self, monkeypatch):
        pytest.importorskip("accelerate", reason="accelerate is not installed", exc_type=ImportError)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        return pytest.importorskip("transformers", reason="transformers is not installed", exc_type=ImportError)

    @pytest.fixture
    def dataset(self):
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(40, (48, 12), generator=generator)
        return [{"input_ids": row, "labels": row} for row in tokens]

    def gpt2(self, transformers, seed=0):
        """A language model with Transformers' transposed linear layers, tied to its embedding."""
        transformers.set_seed(seed)
        config = transformers.GPT2Config(
            vocab_size=40, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        )
        return transformers.GPT2LMHeadModel(config)

    def train(self, transformers, model, dataset, directory, *, steps=24, prunings=3, resume=None, **options):
        pruner = Pruner(model, amount=Target(0.6, 3), scope="neuron")
        callback = HuggingFaceCallback(pruner, every=5, prunings=prunings)
        arguments = transformers.TrainingArguments(
            output_dir=str(directory),
            max_steps=steps,
            per_device_train_batch_size=8,
            learning_rate=1e-2,
            weight_decay=0.1,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            **{"save_strategy": "no", **options},
        )
        trainer = transformers.Trainer(model, arguments, train_dataset=dataset, callbacks=[callback])
        watch, attach = Watch(pruner), pruner.attach

        def attached(*optimizers, **early):
            attach(*optimizers, **early)
            optimizers[0].register_step_post_hook(watch)

        pruner.attach = attached  # type: ignore[method-assign] # to watch each step after the hooks
        trainer.train(resume_from_checkpoint=resume)
        assert watch.revived == 0
        return callback, watch

    @pytest.mark.parametrize(
        "options",
        [{}, {"gradient_accumulation_steps": 2}, {"max_grad_norm": 0.1}, {"bf16": True}],
        ids=["plain", "accumulation", "clipping", "bfloat16"],
    )
    def test_masks_hold_and_pruning_keeps_its_schedule(self, transformers, dataset, tmp_path, options):
        model = self.gpt2(transformers)
        callback, watch = self.train(transformers, model, dataset, tmp_path, **options)
        assert watch.steps == 24
        assert len(callback.reports) == 3
        pruner = callback.pruner
        assert pruner.total - pruner.remaining == pruner.total * 6 // 10
        assert model.lm_head.weight is model.transformer.wte.weight
        assert "lm_head.weight" not in pruner.masks
        pruner.finish().save_pretrained(tmp_path / "pruned")
        again = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "pruned")
        found = Pruner(again, scope="neuron")
        found.adopt_zeros()
        assert same(found.masks, pruner.masks)

    def test_a_neuron_of_a_transposed_linear_layer_is_a_column(self, transformers):
        model = self.gpt2(transformers)
        groups = Pruner(model, scope="neuron", select=["transformer.h.0.mlp.c_fc.weight"]).measure()
        assert (len(groups), groups[0].total) == (64, 16)

    @pytest.mark.parametrize("stop", [5, 8, 15, 20])
    def test_a_checkpoint_resumes_with_its_masks(self, transformers, dataset, tmp_path, stop):
        model = self.gpt2(transformers)
        saving = {"save_strategy": "steps", "save_steps": stop}
        straight, _ = self.train(transformers, model, dataset, tmp_path, **saving)
        again = self.gpt2(transformers, seed=7)
        resume = str(tmp_path / f"checkpoint-{stop}")
        resumed, watch = self.train(transformers, again, dataset, tmp_path / "again", resume=resume)
        assert watch.steps == 24 - stop
        assert len(resumed.reports) == 3 - (stop - 1) // 5
        assert resumed.pruner.remaining == straight.pruner.remaining
        assert same(resumed.pruner.masks, straight.pruner.masks)
        assert same(again.state_dict(), model.state_dict())
