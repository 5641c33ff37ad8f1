"""Training loops as people write them: mixed precision, compiled models, checkpointing, tied weights, averages."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize
from torch.optim import swa_utils
from torch.utils.checkpoint import checkpoint

from .dropin import Make, assert_same_bits, assert_same_run, drawn, ours, small_model, theirs, values

X, Y = drawn(8, 16, seed=1), drawn(8, 16, seed=2)


def fit(make: Make, model: nn.Module, steps: int = 4, **options: Any) -> list[torch.Tensor]:
    optimizer = make(model.parameters(), **({"lr": 0.0625} | options))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X), Y)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    assert losses[-1] < losses[0]
    return [*losses, *values(optimizer)]


def test_a_plain_loop(make: Make) -> None:
    assert_same_run(make, lambda make: fit(make, small_model()))


def test_tied_weights(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        model = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16))
        with torch.no_grad():
            for k, param in enumerate(model.parameters()):
                param.copy_(drawn(*param.shape, seed=k) / 4)
        model[2].weight = model[0].weight
        assert len(list(model.parameters())) == 3
        return fit(make, model)

    assert_same_run(make, script)


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.orthogonal], ids=lambda f: f.__name__)
def test_parametrized_weights(norm: Any, make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        model = small_model()
        norm(model[0])
        assert parametrize.is_parametrized(model[0])
        return fit(make, model)

    assert_same_run(make, script)


def test_gradient_checkpointing(make: Make) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = small_model()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return checkpoint(self.inner, x, use_reentrant=False)

    def script(make: Make) -> list[torch.Tensor]:
        return fit(make, Checkpointed())

    assert_same_run(make, script)
    assert_same_bits(script(make), fit(make, small_model()))


def test_gradients_from_torch_func(make: Make) -> None:
    """They may come with other strides than the parameters, which torch's fused step does not notice."""

    def script(make: Make) -> list[torch.Tensor]:
        model = small_model()
        optimizer = make(model.parameters(), lr=0.0625)
        for _ in range(3):
            params = {name: param.detach() for name, param in model.named_parameters()}

            def loss(params: Any) -> torch.Tensor:
                return nn.functional.mse_loss(torch.func.functional_call(model, params, X), Y)

            for name, grad in torch.func.grad(loss)(params).items():
                model.get_parameter(name).grad = grad.contiguous() if make is theirs else grad
            optimizer.step()
        return values(optimizer)

    assert_same_bits(script(make), script(theirs))


def test_a_transposed_gradient_goes_to_the_right_elements(make: Make) -> None:
    """torch's fused step pairs elements by their place in memory: 10 of 20 get the update of another one."""
    weight = nn.Parameter(torch.zeros(4, 5))
    weight.grad = torch.arange(-9.0, 11.0).reshape(5, 4).t()
    sign = weight.grad.sign()
    make([weight], lr=1.0, weight_decay=0.0).step()
    wrong = int((weight.detach().sign() != -sign).sum())
    assert wrong == 0 if make is ours else wrong > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(dtype: torch.dtype, make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        model = small_model()
        optimizer = make(model.parameters(), lr=0.0625)
        for _ in range(3):
            with torch.autocast("cpu", dtype):
                loss = nn.functional.mse_loss(model(X).float(), Y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return values(optimizer)

    assert_same_run(make, script)


def scaled(make: Make, unscale: bool, clip: bool, bad: int = 2, scale: float = 2.0**16) -> list[Any]:
    """Five steps with a scaler, of which one has an infinite gradient."""
    model = small_model()
    optimizer = make(model.parameters(), lr=0.0625)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=2)
    scales = []
    for step in range(5):
        optimizer.zero_grad()
        scaler.scale(nn.functional.mse_loss(model(X), Y)).backward()
        if step == bad:
            model[0].weight.grad[1, 2] = torch.inf
        if unscale:
            scaler.unscale_(optimizer)
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    return [torch.tensor(scales), *values(optimizer)]


@pytest.mark.parametrize(("unscale", "clip"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("scale", [2.0**16, 2.0**40])
def test_grad_scaler(unscale: bool, clip: bool, scale: float, make: Make) -> None:
    """With a scale that is a power of two, dividing by it and multiplying by its reciprocal are the same."""
    found, expected = scaled(make, unscale, clip, scale=scale), scaled(theirs, unscale, clip, scale=scale)
    assert_same_bits(found, expected)
    assert len(set(found[0].tolist())) > 1  # the scale fell after the infinity, and grew again


def test_grad_scaler_counts_only_the_steps_that_were_made(make: Make) -> None:
    found = scaled(make, False, False)
    steps = [value.item() for value in found if value.shape == ()]
    assert steps == [4.0] * 4


def test_grad_scaler_does_not_touch_the_gradient_of_ours() -> None:
    """torch's fused step writes the unscaled gradient back: 4 more bytes per parameter."""
    kept = {}
    for make in (ours, theirs):
        weight = nn.Parameter(torch.ones(16))
        optimizer = make([weight])
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        scaler.scale(weight.sum()).backward()
        scaler.step(optimizer)
        kept[make] = weight.grad[0].item()
    assert kept == {ours: 4.0, theirs: 1.0}


def test_grad_scaler_and_our_clip() -> None:
    """The limit holds for the unscaled gradient, whether or not the scaler was asked to unscale first."""
    results = []
    for unscale in (False, True):
        model = small_model()
        optimizer = ours(model.parameters(), max_norm=0.25)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        scaler.scale(nn.functional.mse_loss(model(X), Y)).backward()
        if unscale:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        results.append((optimizer.step_info.grad_norm, optimizer.step_info.clip_factor, values(optimizer)))
    assert results[0][:2] == results[1][:2]
    assert results[0][1] < 1
    assert_same_bits(results[0][2], results[1][2])


def test_stochastic_weight_averages(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        model = small_model()
        averages = [
            swa_utils.AveragedModel(model),
            swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9)),
        ]
        optimizer = make(model.parameters(), lr=0.0625)
        schedule = swa_utils.SWALR(optimizer, 0.03125, anneal_epochs=2)
        for _ in range(4):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(X), Y).backward()
            optimizer.step()
            schedule.step()
            for average in averages:
                average.update_parameters(model)
        return [*values(optimizer), *(p.detach() for average in averages for p in average.parameters())]

    assert_same_run(make, script)


def test_accumulated_gradients(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        model = small_model()
        optimizer = make(model.parameters(), lr=0.0625)
        for _ in range(3):
            optimizer.zero_grad()
            for x, y in zip(X.split(2), Y.split(2), strict=True):
                (nn.functional.mse_loss(model(x), y) / 4).backward()
            optimizer.step()
        return values(optimizer)

    assert_same_run(make, script)


def test_two_optimizers_over_one_model(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        model = small_model()
        both = [make(model[0].parameters(), lr=0.0625), make(model[2].parameters(), lr=0.125)]
        for _ in range(3):
            nn.functional.mse_loss(model(X), Y).backward()
            for optimizer in both:
                optimizer.step()
                optimizer.zero_grad()
        return [value for optimizer in both for value in values(optimizer)]

    assert_same_run(make, script)


def test_under_inference_and_no_grad(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        model = small_model()
        optimizer = make(model.parameters())
        nn.functional.mse_loss(model(X), Y).backward()
        with torch.no_grad():
            optimizer.step()
        return values(optimizer)

    assert_same_run(make, script)


def test_a_float64_default_type(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        torch.set_default_dtype(torch.float64)
        try:
            model = nn.Linear(16, 16)
            with torch.no_grad():
                model.weight.copy_(drawn(16, 16, dtype=torch.float64))
                model.bias.zero_()
            optimizer = make(model.parameters())
            model(X.double()).square().sum().backward()
            optimizer.step()
            return [v for v in values(optimizer) if v.ndim]
        finally:
            torch.set_default_dtype(torch.float32)

    assert_same_run(make, script)


def _compiles() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.compile(lambda x: x + 1)(torch.ones(3)).sum().item() == 6
        except Exception as error:
            pytest.skip(f"torch.compile needs a C++ compiler: {error.__class__.__name__}")


def test_a_compiled_model(make: Make) -> None:
    assert _compiles()

    def script(make: Make) -> list[torch.Tensor]:
        torch.compiler.reset()
        return fit(make, torch.compile(small_model()))

    assert_same_run(make, script)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_a_compiled_training_step_calls_our_step_outside_the_graph() -> None:
    """``torch.compile`` of a function that calls ``step``: the graph breaks there, and nothing is traced into it."""
    assert _compiles()
    torch.compiler.reset()
    model, twin = small_model(), small_model()
    optimizer, plain = ours(model.parameters(), lr=0.0625), ours(twin.parameters(), lr=0.0625)

    @torch.compile
    def train_step() -> torch.Tensor:
        loss = nn.functional.mse_loss(model(X), Y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    for _ in range(3):
        compiled_loss = train_step()
        loss = nn.functional.mse_loss(twin(X), Y)
        loss.backward()
        plain.step()
        plain.zero_grad()
    torch.testing.assert_close(compiled_loss, loss)
    for a, b in zip(values(optimizer), values(plain), strict=True):
        torch.testing.assert_close(a, b)
