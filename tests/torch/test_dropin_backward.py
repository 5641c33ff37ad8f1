"""``optimizer.hook_backward``: updates or norms during backward give what a plain step gives."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.weak import TensorWeakRef

from steelyard.torch import AdamW

from .dropin import assert_same_bits, drawn, small_model, values

X = drawn(8, 16, seed=1)


def run(hooked: bool, steps: int = 4, **options: Any) -> tuple[AdamW, list[torch.Tensor]]:
    model = small_model()
    optimizer = AdamW(model.parameters(), lr=0.0625, **options)
    if hooked:
        optimizer.hook_backward(model)
    for _ in range(steps):
        optimizer.zero_grad()
        model(X).square().sum().backward()
        optimizer.step()
    return optimizer, values(optimizer)


@pytest.mark.parametrize(
    "options",
    [{}, {"max_norm": 0.5}, {"max_norm": 1e9}, {"nonfinite": "skip"}, {"lr_schedule": True}, {"amsgrad": True}],
    ids=str,
)
def test_the_same_bits_as_without_hooks(options: dict[str, Any]) -> None:
    options = {key: value for key, value in options.items() if key != "lr_schedule"}
    hooked, plain = run(True, **options), run(False, **options)
    assert_same_bits(hooked[1], plain[1])
    assert hooked[0].step_info == plain[0].step_info


def test_a_rate_that_is_a_function_counts_updates() -> None:
    results = []
    for hooked in (True, False):
        model = small_model()
        optimizer = AdamW(model.parameters(), lr=lambda step: 0.5**step)
        if hooked:
            optimizer.hook_backward(model)
        for _ in range(4):
            model(X).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        assert optimizer.step_info.lr == 0.125
        results.append(values(optimizer))
    assert_same_bits(*results)


def test_parameters_are_updated_and_gradients_freed_during_backward() -> None:
    model = small_model()
    optimizer = AdamW(model.parameters())
    optimizer.hook_backward(model)
    before = [p.detach().clone() for p in model.parameters()]
    model(X).square().sum().backward()
    assert all(p.grad is None for p in model.parameters())
    assert not any(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_with_a_limit_nothing_is_updated_before_the_norm_is_known() -> None:
    model = small_model()
    optimizer = AdamW(model.parameters(), max_norm=0.5)
    optimizer.hook_backward(model)
    before = [p.detach().clone() for p in model.parameters()]
    model(X).square().sum().backward()
    assert_same_bits([p.detach() for p in model.parameters()], before)
    optimizer.step()
    assert optimizer.step_info.clip_factor < 1


def test_a_gradient_that_is_written_to_after_backward_is_measured_again() -> None:
    results = []
    for hooked in (True, False):
        model = small_model()
        optimizer = AdamW(model.parameters(), max_norm=0.5)
        if hooked:
            optimizer.hook_backward(model)
        for _ in range(2):
            optimizer.zero_grad()
            model(X).square().sum().backward()
            model[0].weight.grad *= 100
            model[2].bias.grad = torch.ones(16)
            optimizer.step()
        results.append((optimizer.step_info.grad_norm, values(optimizer)))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-15)
    assert_same_bits(results[0][1], results[1][1])


@pytest.mark.parametrize("options", [{}, {"max_norm": 0.5}], ids=str)
def test_gradients_add_up_while_hooks_are_paused(options: dict[str, Any]) -> None:
    results = []
    for hooked in (True, False):
        model = small_model()
        optimizer = AdamW(model.parameters(), **options)
        hooks = optimizer.hook_backward(model) if hooked else None
        for _ in range(2):
            optimizer.zero_grad()
            if hooks is None:
                model(X).square().sum().backward()
            else:
                with hooks.paused():
                    model(X).square().sum().backward()
            model(2 * X).square().sum().backward()
            optimizer.step()
        results.append(values(optimizer))
    assert_same_bits(*results)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_gradients_that_are_not_finite_stop_every_parameter(value: float) -> None:
    model = small_model()
    optimizer = AdamW(model.parameters(), max_norm=0.5, nonfinite="skip")
    optimizer.hook_backward(model)
    before = [p.detach().clone() for p in model.parameters()]
    (model(X).square().sum() * value).backward()
    optimizer.step()
    assert optimizer.step_info.skipped
    assert_same_bits([p.detach() for p in model.parameters()], before)
    optimizer.nonfinite = "raise"
    with pytest.raises(ValueError, match=r"^params\[0\].grad: expected finite gradients; got 1072 NaN or infinite"):
        optimizer.step()


def test_a_frozen_parameter_and_one_that_another_optimizer_has_are_left_alone() -> None:
    model = small_model()
    model[0].bias.requires_grad_(False)
    optimizer = AdamW([model[0].weight, model[0].bias, model[2].weight])
    optimizer.hook_backward(model)
    model(X).square().sum().backward()
    assert model[2].bias.grad is not None
    assert set(optimizer.state) == {model[0].weight, model[2].weight}


def test_hooks_come_off_and_do_not_survive_copies() -> None:
    model = small_model()
    optimizer = AdamW(model.parameters())
    hooks = optimizer.hook_backward(model)
    with pytest.raises(ValueError, match="call remove"):
        optimizer.hook_backward(model)
    copied, other = copy.deepcopy((optimizer, model))
    other(X).square().sum().backward()
    assert other[0].weight.grad is not None
    copied.step()
    hooks.remove()
    model(X).square().sum().backward()
    assert model[0].weight.grad is not None
    optimizer.step()
    assert_same_bits(values(copied), values(optimizer))
    optimizer.hook_backward(model).remove()


def test_a_scaler_is_refused_where_backward_has_updated() -> None:
    model = small_model()
    optimizer = AdamW(model.parameters())
    optimizer.hook_backward(model)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(model(X).square().sum()).backward()
    optimizer.grad_scale = torch.tensor(4.0)
    with pytest.raises(ValueError, match="grad_scale: expected nothing, since backward has updated already"):
        optimizer.step()


def test_what_cannot_be_hooked() -> None:
    optimizer = AdamW(small_model().parameters())
    with pytest.raises(TypeError, match=r"model: expected a torch.nn.Module; got list"):
        optimizer.hook_backward([])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="model: expected a module some of whose parameters this optimizer has"):
        optimizer.hook_backward(nn.Linear(2, 2))


def test_gradients_that_a_scaler_has_unscaled_are_measured_again() -> None:
    """torch's unscale_ divides them without raising their version."""
    norms = []
    for hooked in (False, True):
        torch.manual_seed(0)
        model, x = torch.nn.Linear(8, 1), torch.randn(32, 8)
        optimizer = AdamW(model.parameters(), lr=1e-2, max_norm=1.0)
        if hooked:
            optimizer.hook_backward(model)
        scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
        scaler.scale(model(x).square().mean()).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        norms.append(optimizer.step_info.grad_norm)
    assert norms[1] == pytest.approx(norms[0], rel=1e-14)


def _moves(hooked: bool, change: Callable[[AdamW], None], **options: Any) -> list[torch.Tensor]:
    """How two layers with rates of their own move in a step, where the optimizer is changed after its hooks are on."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    groups = [{"params": list(model[0].parameters()), "lr": 0.001}, {"params": list(model[1].parameters()), "lr": 0.5}]
    optimizer = AdamW(groups, weight_decay=0.0, **options)
    before = [param.detach().clone() for param in model.parameters()]
    if hooked:
        optimizer.hook_backward(model)
    change(optimizer)
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    return [param.detach() - old for param, old in zip(model.parameters(), before, strict=True)]


@pytest.mark.parametrize(
    "change",
    [
        lambda optimizer: optimizer.param_groups.reverse(),
        lambda optimizer: optimizer.param_groups.pop(0),
        lambda optimizer: optimizer.param_groups[1]["params"].reverse(),
        lambda optimizer: setattr(optimizer, "max_norm", 1e-9),
        lambda optimizer: setattr(optimizer, "nonfinite", "skip"),
    ],
    ids=["reversed", "popped", "params reversed", "max_norm", "nonfinite"],
)
def test_hooks_follow_what_is_changed_after_they_are_on(change: Callable[[AdamW], None]) -> None:
    for own, hooked in zip(_moves(False, change, eps=1.0), _moves(True, change, eps=1.0), strict=True):
        torch.testing.assert_close(hooked, own, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("options", [{"max_norm": 1.0}, {"nonfinite": "raise"}], ids=str)
def test_a_gradient_that_is_not_finite_is_named_as_without_hooks(options: dict[str, Any]) -> None:
    messages, infos = [], []
    for hooked in (True, False):
        model = small_model()
        optimizer = AdamW(model.named_parameters(), lr=0.0625, **({"nonfinite": "raise"} | options))
        if hooked:
            optimizer.hook_backward(model)
        model(X).square().sum().backward()
        model[2].weight.grad[1, 3] = float("nan")
        with pytest.raises(ValueError, match=r'^params\["2.weight"\].grad') as caught:
            optimizer.step()
        messages.append(str(caught.value))
        infos.append(optimizer.step_info)
    assert messages[0] == messages[1]
    assert (infos[0].nonfinite, infos[0].first_nonfinite, infos[0].first_element) == (
        infos[1].nonfinite,
        infos[1].first_nonfinite,
        infos[1].first_element,
    )


@pytest.mark.parametrize("zero", ["optimizer", "model", "by hand"])
def test_gradients_that_are_set_to_none_are_freed(zero: str) -> None:
    model = small_model()
    optimizer = AdamW(model.parameters(), max_norm=1.0)
    optimizer.hook_backward(model)
    model(X).square().sum().backward()
    grads = [TensorWeakRef(param.grad) for param in model.parameters()]
    if zero == "by hand":
        for param in model.parameters():
            param.grad = None
    else:
        {"optimizer": optimizer, "model": model}[zero].zero_grad()
    assert [grad() for grad in grads] == [None] * 4
