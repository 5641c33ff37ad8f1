"""Trainers of other libraries take our class where they take torch's: transformers, Accelerate, Lightning.

Each test trains a tiny model that it makes itself, with both classes, to equal bits. Warnings are errors; those that
the libraries give by themselves, with torch's class too, are let through by their text.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from steelyard.torch import AdamW

from .dropin import Make, assert_same_bits, assert_same_run, drawn, every_parameter, ours, small_model, theirs, values

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Left to themselves, these libraries look for accelerators and for trackers that write to other machines.
os.environ.setdefault("WANDB_DISABLED", "true")

X, Y = drawn(32, 16, seed=1), drawn(32, 16, seed=2)


def needs(package: str) -> Any:
    """The package; where it is missing or does not load, the test is skipped with a word on what is missing."""
    return pytest.importorskip(package, reason=f"needs {package}", exc_type=ImportError)


def language_model(seed: int = 0) -> nn.Module:
    transformers = needs("transformers")
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=64, n_positions=16, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def texts() -> list[dict[str, torch.Tensor]]:
    tokens = torch.randint(0, 64, (32, 16), generator=torch.Generator().manual_seed(3))
    return [{"input_ids": row, "labels": row} for row in tokens]


def kind_and_options(make: Make) -> tuple[type, dict[str, Any]]:
    return (AdamW, {}) if make is ours else (torch.optim.AdamW, {"fused": True})


def trainer(make: Make, folder: Path, **options: Any) -> Any:
    transformers = needs("transformers")
    needs("accelerate")
    kind, extra = kind_and_options(make)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), use_cpu=True, report_to=[], max_steps=6, per_device_train_batch_size=4, seed=0,
        logging_steps=2, save_steps=3, disable_tqdm=True, lr_scheduler_type="cosine", warmup_steps=2,
        weight_decay=0.1, dataloader_pin_memory=False, **options,
    )  # fmt: skip
    return transformers.Trainer(
        model=language_model(),
        args=arguments,
        train_dataset=texts(),
        optimizer_cls_and_kwargs=(kind, {"lr": 1e-2} | extra),
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient_accumulation_steps": 2}, {"max_grad_norm": 0.0}, {"bf16": True}],
    ids=str,
)
def test_transformers_trainer(options: dict[str, Any], make: Make, tmp_path: Path) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        run = trainer(make, tmp_path / make.__name__, **options)
        run.train()
        optimizer = run.optimizer.optimizer  # inside Accelerate's wrapper
        assert type(optimizer) is kind_and_options(make)[0]
        assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]
        losses = [entry["loss"] for entry in run.state.log_history if "loss" in entry]
        assert len(losses) == 3
        return [torch.tensor(losses), *values(optimizer)]

    assert_same_run(make, script)


@pytest.mark.parametrize(("first", "second"), [(theirs, ours), (ours, theirs), (ours, ours)])
def test_a_trainers_checkpoint_goes_on_in_the_other_class(first: Make, second: Make, tmp_path: Path) -> None:
    whole = trainer(theirs, tmp_path / "whole")
    whole.train()
    trainer(first, tmp_path / "run").train()
    resumed = trainer(second, tmp_path / "run")
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-3"))
    if first is theirs or second is ours:
        assert_same_bits(values(resumed.optimizer.optimizer), values(whole.optimizer.optimizer))
    else:  # our checkpoint says fused=None, with which torch goes on by its for-loop
        for a, b in zip(values(resumed.optimizer.optimizer), values(whole.optimizer.optimizer), strict=True):
            torch.testing.assert_close(a, b)


def test_our_clip_instead_of_the_trainers(tmp_path: Path) -> None:
    """``max_norm`` in the step saves the pass that writes the gradients; the trainer's own is switched off by 0."""
    transformers = needs("transformers")
    needs("accelerate")
    results = []
    for own in (True, False):
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path), use_cpu=True, report_to=[], max_steps=3, disable_tqdm=True,
            save_strategy="no", max_grad_norm=0.0 if own else 0.5, dataloader_pin_memory=False,
        )  # fmt: skip
        options = {"lr": 1e-2} | ({"max_norm": 0.5} if own else {})
        run = transformers.Trainer(
            model=language_model(), args=arguments, train_dataset=texts(), optimizer_cls_and_kwargs=(AdamW, options)
        )
        run.train()
        if own:
            assert run.optimizer.optimizer.step_info.clip_factor < 1
        results.append(values(run.optimizer.optimizer))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)  # torch's factor has an epsilon


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("clip", [None, 0.25])
def test_accelerate(steps: int, clip: float | None, make: Make) -> None:
    accelerate = needs("accelerate")

    def script(make: Make) -> list[torch.Tensor]:
        accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
        accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=steps)
        model = small_model()
        optimizer = make(model.parameters(), lr=0.0625)
        data = torch.utils.data.DataLoader(list(zip(X, Y, strict=True)), batch_size=4)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        model, optimizer, data, scheduler = accelerator.prepare(model, optimizer, data, scheduler)
        made = 0
        for x, y in data:
            with accelerator.accumulate(model):
                accelerator.backward(nn.functional.mse_loss(model(x), y))
                if clip is not None and accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
            made += not optimizer.step_was_skipped and accelerator.sync_gradients
        assert made == 8 // steps
        inner = optimizer.optimizer
        assert inner.param_groups[0]["lr"] == 0.0625 * 0.5**made
        assert inner.state[every_parameter(inner)[0]]["step"] == made
        return values(inner)

    assert_same_run(make, script)


def test_accelerate_saves_and_loads(make: Make, tmp_path: Path) -> None:
    accelerate = needs("accelerate")

    def script(make: Make) -> list[torch.Tensor]:
        accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
        accelerator = accelerate.Accelerator(cpu=True)
        model = small_model()
        model, optimizer = accelerator.prepare(model, make(model.parameters(), lr=0.0625))

        def train() -> None:
            for x, y in zip(X.split(8), Y.split(8), strict=True):
                accelerator.backward(nn.functional.mse_loss(model(x), y))
                optimizer.step()
                optimizer.zero_grad()

        train()
        folder = tmp_path / make.__name__
        accelerator.save_state(str(folder))
        train()
        after = values(optimizer.optimizer)
        accelerator.load_state(str(folder))
        train()
        assert_same_bits(values(optimizer.optimizer), after)
        return after

    assert_same_run(make, script)


@pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated:FutureWarning")
@pytest.mark.parametrize("options", [{}, {"gradient_clip_val": 0.25}, {"accumulate_grad_batches": 2}], ids=str)
def test_lightning(options: dict[str, Any], make: Make, tmp_path: Path) -> None:
    lightning = needs("lightning")

    class Module(lightning.LightningModule):
        def __init__(self, make: Make) -> None:
            super().__init__()
            self.inner, self.make = small_model(), make

        def training_step(self, batch: Any) -> torch.Tensor:
            x, y = batch
            return nn.functional.mse_loss(self.inner(x), y)

        def configure_optimizers(self) -> dict[str, Any]:
            optimizer = self.make(self.parameters(), lr=0.0625)
            schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def script(make: Make) -> list[torch.Tensor]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        run = lightning.Trainer(
            accelerator="cpu", devices=1, max_epochs=1, logger=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=folder, **options,
        )  # fmt: skip
        data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=4)
        run.fit(Module(make), data)
        (path,) = folder.rglob("*.ckpt")
        saved = torch.load(path, weights_only=True)["optimizer_states"][0]
        optimizer = run.optimizers[0]
        assert saved["state"].keys() == optimizer.state_dict()["state"].keys()
        return values(optimizer)

    assert_same_run(make, script)
