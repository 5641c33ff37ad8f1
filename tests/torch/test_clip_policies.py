"""The torch optimizer with limits that follow the history of the norm."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from steelyard.optim import AutoClip, ZClip
from steelyard.torch import AdamW

NORMS = [1.0, 1.2, 0.9, 1.1, 5.0, 1.0, 0.8, 30.0]
MADE: list[Any] = [lambda: ZClip(warmup_steps=3, max_norm=None), lambda: AutoClip(50)]


@pytest.mark.parametrize("make", MADE)
def test_a_step_is_clipped_to_the_limit_for_its_norm(make: Any) -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    policy, alone = make(), make()
    optimizer = AdamW([weight], max_norm=policy, nonfinite="skip")
    for norm in NORMS:
        weight.grad = torch.tensor([norm, 0.0])
        exact = float(weight.grad[0])
        limit = alone.limit(exact)
        optimizer.step()
        assert optimizer.step_info.clip_factor == (limit / exact if exact > limit else 1.0)
    weight.grad = torch.tensor([torch.nan, 0.0])
    optimizer.step()
    assert policy.state_dict() == alone.state_dict()
    twin = copy.deepcopy(optimizer)
    assert twin.max_norm.state_dict() == alone.state_dict()
    assert twin.max_norm is not policy


def test_the_loss_scale_is_divided_out() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    policy = AutoClip(50)
    optimizer = AdamW([weight], max_norm=policy)
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(8.0), torch.tensor(0.0)
    for norm in (1.0, 3.0):
        weight.grad = torch.tensor([8.0 * norm, 0.0])
        optimizer.step()
    assert policy.state_dict()["state"] == [1.0, 3.0]
    assert optimizer.step_info.clip_factor == pytest.approx(2.0 / 3.0)
