"""The options of steelyard.torch.AdamW: torch's and ours, at the beginning and edited later; learning rates as functions."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import steelyard as sy
from steelyard.torch import AdamW


def weight(n: int = 3) -> torch.nn.Parameter:
    found = torch.nn.Parameter(torch.ones(n))
    found.grad = torch.full((n,), 0.5)
    return found


def test_tensors_as_rates_and_betas() -> None:
    ours, theirs = weight(), weight()
    rate = torch.tensor([0.1])
    a = AdamW([ours], lr=rate, betas=(torch.tensor(0.8), torch.tensor(0.9)))
    b = torch.optim.AdamW([theirs], lr=rate, betas=(torch.tensor(0.8), torch.tensor(0.9)), fused=True)
    for value in (0.1, 0.3):
        rate.fill_(value)
        a.step()
        b.step()
        assert torch.equal(ours, theirs)
    assert a.step_info.lr == float(rate)


@pytest.mark.parametrize("option", [{"foreach": True}, {"foreach": False}, {"fused": True}, {"fused": False}])
def test_ways_to_compute_are_accepted_and_change_nothing(option: dict) -> None:
    plain, other = weight(), weight()
    AdamW([plain]).step()
    AdamW([other], **option).step()
    assert torch.equal(plain, other)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"capturable": True}, r"^capturable: expected False; got True; it captures steps in CUDA graphs"),
        ({"differentiable": True}, r"^differentiable: expected False; got True; .*use torch.optim"),
        ({"lr": -0.1}, r"^lr: expected a number that is at least 0; got -0.1"),
        ({"lr": torch.ones(2)}, r"^lr: expected a number; got"),
        ({"lr": "fast"}, r"^lr: expected a number; got"),
        ({"betas": (0.9,)}, r"^betas: expected two numbers"),
        ({"betas": (1.0, 0.9)}, r"^betas\[0\]: expected at least 0 and below 1; got 1.0"),
        ({"eps": -1e-8}, r"^eps: expected a number that is at least 0"),
        ({"weight_decay": -1}, r"^weight_decay: expected a number that is at least 0; got -1"),
        ({"amsgrad": 1}, r"^amsgrad: expected True or False"),
        ({"maximize": None}, r"^maximize: expected True or False"),
        ({"max_norm": -1.0}, r"^max_norm: expected a number that is at least 0"),
        ({"nonfinite": "ignore"}, r"^nonfinite: expected one of raise, skip, propagate; got 'ignore'"),
    ],
)
def test_what_is_no_option_is_refused_by_name(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        AdamW([weight()], **options)


@pytest.mark.parametrize(
    ("group", "sentence"),
    [
        ({"lr": -1}, r"^param_groups\[1\]\['lr'\]: expected"),
        ({"capturable": True}, r"^param_groups\[1\]\['capturable'\]: expected False"),
        ({"max_norm": 1.0}, r"^param_groups\[1\]\['max_norm'\]: expected nothing; .*one norm is taken over all groups"),
    ],
)
def test_a_group_that_is_refused_is_not_added(group: dict, sentence: str) -> None:
    own = AdamW([weight()])
    with pytest.raises(ValueError, match=sentence):
        own.add_param_group({"params": [weight()], **group})
    assert len(own.param_groups) == 1
    own.add_param_group({"params": [weight()], "name": "head", "lr_scale": 2})
    assert own.param_groups[1]["lr_scale"] == 2


def test_names_are_taken_and_stand_in_messages() -> None:
    module = torch.nn.Linear(2, 2)
    own = AdamW(module.named_parameters(), lr=0.1, nonfinite="raise")
    assert own.param_groups[0]["param_names"] == ["weight", "bias"]
    module.weight.grad = torch.ones(2, 2)
    module.bias.grad = torch.tensor([1.0, float("inf")])
    with pytest.raises(ValueError, match=r'^params\["bias"\].grad: expected finite gradients; got 1 NaN or infinite'):
        own.step()
    assert own.step_info.first_nonfinite == 'params["bias"].grad'
    assert own.step_info.first_element == 1


def test_nan_goes_through_by_default_as_in_torch() -> None:
    ours, theirs = weight(), weight()
    for param, own in ((ours, AdamW([ours])), (theirs, torch.optim.AdamW([theirs], fused=True))):
        param.grad[1] = float("nan")
        own.step()
    assert torch.equal(ours, theirs) is False
    assert torch.equal(ours.isnan(), theirs.isnan())
    assert torch.equal(ours[[0, 2]], theirs[[0, 2]])


def test_options_edited_later_hold_from_the_next_step_on() -> None:
    ours, theirs = weight(), weight()
    a, b = AdamW([ours], lr=0.1), torch.optim.AdamW([theirs], lr=0.1, fused=True)
    for changes in ({"lr": 0.5}, {"betas": (0.5, 0.7)}, {"weight_decay": 0.9}, {"eps": 1e-3}, {"maximize": True}):
        for own in (a, b):
            own.param_groups[0].update(changes)
            own.step()
        assert torch.equal(ours, theirs)
    a.param_groups[0]["amsgrad"] = True  # torch raises a KeyError
    a.step()
    assert torch.equal(a.state[ours]["max_exp_avg_sq"], a.state[ours]["exp_avg_sq"])
    a.max_norm = 0.1
    a.step()
    assert a.step_info.clip_factor < 1
    with pytest.raises(ValueError, match="max_norm: expected"):
        a.max_norm = -1
    assert a.max_norm == 0.1


def test_an_eps_that_is_0_is_refused_by_the_name_of_its_group() -> None:
    own = AdamW([weight()])
    own.param_groups[0]["eps"] = 0
    with pytest.raises(
        ValueError, match=r"^param_groups\[0\]\['eps'\]: expected more than 0 in float32, .*; got 0.0: "
    ):
        own.step()


def test_a_schedule_gives_the_rate_and_the_group_shows_it() -> None:
    schedule = sy.schedules.cosine(0.1, total_steps=10, warmup_steps=3)
    own = AdamW([weight()], lr=schedule)
    assert own.param_groups[0]["lr"] == own.defaults["lr"] == float(schedule(0))
    seen = []
    for _ in range(10):
        own.step()
        seen.append(own.step_info.lr)
        assert own.param_groups[0]["lr"] == seen[-1]
    assert seen == [float(schedule(step)) for step in range(10)]


def test_each_group_may_have_its_schedule() -> None:
    own = AdamW([{"params": [weight()], "lr": lambda step: 1.0 + step}, {"params": [weight()]}], lr=0.5)
    own.add_param_group({"params": [weight()], "lr": lambda step: 10.0 + step})
    for step in range(3):
        own.step()
        assert [group["lr"] for group in own.param_groups] == [1.0 + step, 0.5, 10.0 + step]


def test_a_number_takes_the_place_of_a_schedule_and_a_function_that_of_a_number() -> None:
    own = AdamW([weight()], lr=lambda step: 1.0)
    own.step()
    own.param_groups[0]["lr"] = 0.25
    own.step()
    assert own.step_info.lr == 0.25
    own.param_groups[0]["lr"] = lambda step: 100.0 + step
    own.step()
    assert own.step_info.lr == 102.0
    own.param_groups[0]["lr"] = lambda step: -1.0
    with pytest.raises(ValueError, match=r"^param_groups\[0\]\['lr'\]: expected a number that is at least 0; got -1"):
        own.step()


def test_schedules_go_on_after_loading_copying_and_skipping() -> None:
    param = weight()
    own = AdamW([param], lr=sy.schedules.linear(1.0, total_steps=100), nonfinite="skip")
    for _ in range(3):
        own.step()
    param.grad[0] = float("nan")
    own.step()
    assert own.step_info.lr == pytest.approx(0.97)
    param.grad[0] = 0.0
    loaded = AdamW([weight()], lr=sy.schedules.linear(1.0, total_steps=100))
    loaded.load_state_dict(own.state_dict())
    for other in (own, loaded, copy.deepcopy(own), pickle.loads(pickle.dumps(own))):
        other.param_groups[0]["params"][0].grad = torch.ones(3)
        other.step()
        assert other.step_info.lr == pytest.approx(0.97)
        assert type(other.state_dict()["param_groups"][0]["lr"]) is float


def test_closures_are_called_first_with_gradients_enabled() -> None:
    param = weight()
    own = AdamW([param])

    def closure() -> torch.Tensor:
        assert torch.is_grad_enabled()
        own.zero_grad()
        loss = (param**2).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert own.step(closure).item() == 3.0
    assert own.state[param]["exp_avg"].tolist() == pytest.approx([0.2] * 3)


def test_a_step_inside_a_compiled_function() -> None:
    ours, plain = weight(), weight()
    a, b = AdamW([ours]), AdamW([plain])
    compiled = torch.compile(a.step, backend="eager")
    for _ in range(2):
        compiled()
        b.step()
    assert torch.equal(ours, plain)


def test_an_optimizer_without_gradients_makes_no_step() -> None:
    param = torch.nn.Parameter(torch.ones(2))
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    own = AdamW([param, frozen], lr=lambda step: 1.0 / (1 + step))
    own.step()
    assert own.step_info.step == 0
    param.grad = torch.ones(2)
    own.step()
    assert (own.step_info.step, own.step_info.lr) == (1, 1.0)
    assert frozen not in own.state
