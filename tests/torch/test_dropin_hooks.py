"""Hooks, closures, groups and gradients: what surrounds a step, in the order of torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .dropin import (
    Make,
    assert_same_bits,
    assert_same_run,
    drawn,
    every_parameter,
    give_gradients,
    parameters,
    small_model,
    theirs,
    train,
    values,
)


def test_all_step_hooks_run_in_torchs_order(make: Make) -> None:
    seen: list[str] = []
    optimizer = make(parameters())
    handles = [
        register_optimizer_step_pre_hook(lambda *_: seen.append("global pre")),
        register_optimizer_step_post_hook(lambda *_: seen.append("global post")),
        optimizer.register_step_pre_hook(lambda *_: seen.append("pre")),
        optimizer.register_step_post_hook(lambda *_: seen.append("post")),
    ]
    try:
        train(optimizer, 1)
    finally:
        for handle in handles:
            handle.remove()
    assert seen == ["global pre", "pre", "post", "global post"]
    train(optimizer, 1)
    assert len(seen) == 4


def test_a_pre_hook_may_change_what_the_step_gets(make: Make) -> None:
    called = []
    optimizer = make(parameters())
    give_gradients(every_parameter(optimizer))

    def closure() -> float:
        called.append(1)
        return 2.5

    optimizer.register_step_pre_hook(lambda self, args, kwargs: ((self, closure), {}))
    assert optimizer.step() == 2.5
    assert called == [1]
    optimizer.register_step_pre_hook(lambda *_: "nonsense")
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        optimizer.step()


def test_a_pre_hook_may_replace_gradients_and_rates(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        optimizer = make(parameters())

        def change(self: Any, args: Any, kwargs: Any) -> None:
            for param in every_parameter(self):
                param.grad = param.grad * 2
            self.param_groups[0]["lr"] *= 0.5

        optimizer.register_step_pre_hook(change)
        return values(train(optimizer))

    assert_same_run(make, script)


def test_hooks_do_not_survive_copies_as_in_torch(make: Make) -> None:
    from copy import deepcopy

    seen = []
    optimizer = make(parameters())
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    train(deepcopy(optimizer), 1)
    assert seen == []


def test_state_dict_hooks(make: Make) -> None:
    seen: list[str] = []
    optimizer = train(make(parameters()))
    optimizer.register_state_dict_pre_hook(lambda _: seen.append("second"))
    optimizer.register_state_dict_pre_hook(lambda _: seen.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda _, state: state | {"extra": 1})
    saved = optimizer.state_dict()
    assert seen == ["first", "second"]
    assert saved["extra"] == 1
    fresh = make(parameters())
    fresh.register_load_state_dict_pre_hook(lambda _, state: seen.append(f"pre {state['extra']}"))
    fresh.register_load_state_dict_post_hook(lambda self: seen.append(f"post {len(self.state)}"))
    fresh.load_state_dict(saved)
    assert seen[2:] == ["pre 1", "post 2"]
    assert_same_bits(values(fresh)[1:4], values(optimizer)[1:4])


def test_a_load_hook_may_rewrite_the_state(make: Make) -> None:
    """As when parameters were renamed or reordered between two versions of a model."""

    def halve(self: Any, state_dict: dict[str, Any]) -> dict[str, Any]:
        scaled = {
            key: state | {"exp_avg": state["exp_avg"] * 0.5, "step": state["step"] + 4}
            for key, state in state_dict["state"].items()
        }
        return state_dict | {"state": scaled}

    def script(make: Make) -> list[torch.Tensor]:
        saved = train(make(parameters())).state_dict()
        fresh = make(parameters())
        fresh.register_load_state_dict_pre_hook(halve)
        fresh.load_state_dict(saved)
        return values(train(fresh))

    assert_same_run(make, script)


def test_a_closure_computes_the_loss_with_gradients(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        model, x = small_model(), drawn(4, 16)
        optimizer = make(model.parameters())
        losses = []

        def closure() -> torch.Tensor:
            assert torch.is_grad_enabled()
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            return loss

        for _ in range(4):
            with torch.no_grad():
                losses.append(optimizer.step(closure).detach())
        assert losses[-1] < losses[0]
        return [*losses, *values(optimizer)]

    assert_same_run(make, script)


def test_a_closure_that_fails_leaves_everything(make: Make) -> None:
    optimizer = train(make(parameters()))
    before = values(optimizer)

    def closure() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        optimizer.step(closure)
    assert_same_bits(values(optimizer), before)


def test_a_closure_that_adds_a_group(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        optimizer = train(make(parameters()))
        give_gradients(every_parameter(optimizer))

        def closure() -> None:
            late = nn.Parameter(torch.ones(16))
            late.grad = torch.ones(16)
            optimizer.add_param_group({"params": [late], "lr": 0.25})

        optimizer.step(closure)
        return values(optimizer)

    assert_same_run(make, script)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(set_to_none: bool, make: Make) -> None:
    optimizer = train(make(parameters()))
    held = [p.grad for p in every_parameter(optimizer)]
    optimizer.zero_grad(set_to_none=set_to_none)
    for param, grad in zip(every_parameter(optimizer), held, strict=True):
        if set_to_none:
            assert param.grad is None
        else:
            assert param.grad is grad
            assert not grad.any()


def test_groups_have_options_of_their_own(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        a, b, c, d = parameters((16, 8), (32,), (48,), (16,))
        optimizer = make(
            [
                {"params": [a, b]},
                {"params": iter([c]), "lr": 0.1, "weight_decay": 0.0, "amsgrad": True},
                {"params": d, "betas": (0.2, 0.5), "eps": 1e-3, "maximize": True},
            ],
            lr=0.01,
        )
        train(optimizer)
        optimizer.param_groups[0]["lr"] = 0.5
        optimizer.param_groups[1]["weight_decay"] = 0.25
        optimizer.param_groups[2]["betas"] = (0.5, 0.75)
        return values(train(optimizer, seed=1))

    assert_same_run(make, script)


def test_amsgrad_that_is_switched_on_later(make: Make) -> None:
    """torch fails with a KeyError: it makes the third moment with the others only."""
    optimizer = train(make(parameters()))
    optimizer.param_groups[0]["amsgrad"] = True
    if "steelyard" not in type(optimizer).__module__:
        with pytest.raises(KeyError, match="max_exp_avg_sq"):
            train(optimizer)
        return
    train(optimizer, 1, seed=1)
    for state in optimizer.state.values():
        assert torch.equal(state["max_exp_avg_sq"], state["exp_avg_sq"])


def test_a_group_added_late_counts_its_own_steps(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        a, b = parameters()
        optimizer = train(make([a]))
        optimizer.add_param_group({"params": [b], "lr": 0.1})
        train(optimizer, seed=1)
        assert [optimizer.state[p]["step"].item() for p in (a, b)] == [6, 3]
        return values(optimizer)

    assert_same_run(make, script)


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ({"params": []}, None),
        ({}, KeyError),
        ({"params": [3]}, TypeError),
        ({"params": [torch.ones(2, requires_grad=True) * 2]}, ValueError),
        ({"params": {torch.ones(2)}}, TypeError),
        ([], TypeError),
    ],
)
def test_groups_that_torch_refuses_are_refused(group: Any, kind: type[Exception] | None, make: Make) -> None:
    optimizer = train(make(parameters()))
    if kind is None:
        optimizer.add_param_group(group)
        assert len(optimizer.param_groups) == 2
    else:
        with pytest.raises(kind):
            optimizer.add_param_group(group)
        assert len(optimizer.param_groups) == 1
    train(optimizer)


def test_frozen_and_unfrozen_parameters(make: Make) -> None:
    def script(make: Make) -> list[torch.Tensor]:
        model, x = small_model(), drawn(4, 16)
        model[0].requires_grad_(False)
        optimizer = make(model.parameters())
        for step in range(6):
            model[0].requires_grad_(step >= 3)
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
        assert [s["step"].item() for s in map(optimizer.state.get, model.parameters())] == [3, 3, 6, 6]
        return values(optimizer)

    assert_same_run(make, script)


def test_autograd_knows_that_parameters_were_written(make: Make) -> None:
    """A backward pass through values that a step has overwritten is an error, not a wrong gradient.

    torch's fused step on the CPU does not tell autograd, and the gradient is silently wrong.
    """
    param = nn.Parameter(torch.ones(16))
    optimizer = make([param])
    loss = (param * param).sum()
    param.grad = torch.ones(16)
    optimizer.step()
    if make is theirs:
        loss.backward()
        assert not torch.equal(param.grad, torch.full((16,), 3.0))
        return
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_the_gradient_is_only_read(make: Make) -> None:
    optimizer = make(parameters(), weight_decay=0.1, maximize=True)
    give_gradients(every_parameter(optimizer))
    before = [p.grad.clone() for p in every_parameter(optimizer)]
    versions = [p.grad._version for p in every_parameter(optimizer)]
    optimizer.step()
    assert_same_bits([p.grad for p in every_parameter(optimizer)], before)
    assert [p.grad._version for p in every_parameter(optimizer)] == versions


def test_profiler_sees_the_step(make: Make) -> None:
    optimizer = make(parameters())
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        train(optimizer, 1)
        optimizer.zero_grad()
    names = {event.key for event in profile.key_averages()}
    assert {"Optimizer.step#AdamW.step", "Optimizer.zero_grad#AdamW.zero_grad"} <= names


def test_a_class_derived_from_ours_is_hooked_too() -> None:
    from steelyard.torch import AdamW

    class Mine(AdamW):
        def step(self, closure: Any = None) -> Any:
            self.before = [p.detach().clone() for p in every_parameter(self)]
            return super().step(closure)

    seen = []
    optimizer = Mine(parameters())
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    train(optimizer)
    assert len(seen) in (3, 6)  # torch wraps both methods: its own classes behave alike
    assert not torch.equal(optimizer.before[0], every_parameter(optimizer)[0])
