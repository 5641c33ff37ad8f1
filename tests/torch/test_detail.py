"""``detail=True`` of steelyard.torch: what a step did to each parameter."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from steelyard.optim import StepTensors
from steelyard.torch import SGD, Adam, AdamW, Lion

COLUMNS = ("grad_norm", "param_norm", "update_norm", "ratio", "lost")


def parameters(dtype: torch.dtype = torch.float32) -> list[torch.nn.Parameter]:
    draw = torch.Generator().manual_seed(0)
    found = [
        torch.nn.Parameter(torch.randn(shape, generator=draw).to(dtype)) for shape in ((70, 90), (5,), (2, 3, 4, 5))
    ]
    for param in found:
        param.grad = torch.randn(param.shape, generator=draw).to(dtype)
    return found


def stepped(optimizer: Any) -> StepTensors:
    optimizer.step()
    found = optimizer.step_info.tensors
    assert isinstance(found, StepTensors)
    return found


@pytest.mark.parametrize("make", [AdamW, Adam, Lion, SGD])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_norms_are_torchs_and_no_bit_changes(make: Any, dtype: torch.dtype) -> None:
    ours, plain = parameters(dtype), parameters(dtype)
    before = [param.detach().double().clone() for param in ours]
    tensors = stepped(make(ours, lr=1e-2, max_norm=1.0, detail=True))
    make(plain, lr=1e-2, max_norm=1.0).step()
    for i, (param, start) in enumerate(zip(ours, before, strict=True)):
        assert torch.equal(param, plain[i])
        assert tensors.grad_norm[i] == pytest.approx(param.grad.double().norm().item(), rel=1e-12)
        assert tensors.param_norm[i] == pytest.approx(start.norm().item(), rel=1e-12)
        if dtype.itemsize > 2:  # in 16 bits much of an update is rounded away
            moved = (param.detach().double() - start).norm().item()
            assert tensors.update_norm[i] == pytest.approx(moved, rel=1e-4)
    assert tensors.names == ("params[0]", "params[1]", "params[2]")


def test_names_and_missing_gradients() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    groups = [
        {"params": list(module[0].named_parameters("0")), "lr": 0.0, "weight_decay": 0.0},
        {"params": list(module[1].named_parameters("1"))},
    ]
    optimizer = AdamW(groups, detail=True)
    module(torch.ones(4, 3)).sum().backward()
    module[1].bias.grad = None
    tensors = stepped(optimizer)
    assert [name.rsplit(".", 1)[-1] for name in tensors.names] == ["weight", "bias"] * 2
    assert np.isnan(tensors.lost).tolist() == [False, False, False, True]
    assert tensors.update_norm[:2].tolist() == [0, 0]
    assert tensors.update_norm[2] > 0


def test_gradients_are_those_after_the_division_by_a_scale_and_before_clipping() -> None:
    for max_norm in (None, 1e-3):
        plain, scaled = parameters(), parameters()
        for param in scaled:
            param.grad.mul_(1024.0)
        own, other = AdamW(plain, max_norm=max_norm, detail=True), AdamW(scaled, max_norm=max_norm, detail=True)
        other.grad_scale = torch.tensor(1024.0)
        first, second = stepped(own), stepped(other)
        assert first.grad_norm == pytest.approx(second.grad_norm, rel=1e-15)
        assert np.array_equal(first.lost, second.lost)
        assert first.update_norm == pytest.approx(second.update_norm, rel=1e-6)


def test_what_a_scaler_leaves_out_is_reported_without_numbers() -> None:
    optimizer = AdamW(parameters(), detail=True)
    optimizer.found_inf = torch.tensor(1.0)
    assert np.isnan(stepped(optimizer).update_norm).all()


@pytest.mark.parametrize("lr", [1e-3, 1e-5])
def test_the_share_lost_in_bfloat16_is_that_of_the_bits_that_stay(lr: float) -> None:
    param = torch.nn.Parameter(torch.randn(100_001).to(torch.bfloat16))
    param.grad = torch.randn(100_001).abs().add(0.1).to(torch.bfloat16)
    before = param.detach().clone()
    tensors = stepped(AdamW([param], lr=lr, detail=True))
    assert tensors.lost[0] == (param == before).double().mean().item()
    assert (tensors.lost[0] > 0.9) == (lr == 1e-5)


@pytest.mark.parametrize("options", [{"state_dtype": "8bit"}, {"rounding": "stochastic"}, {"state_dtype": "float32"}])
def test_other_ways_of_storing_change_no_bit(options: dict[str, Any]) -> None:
    ours, plain = parameters(torch.bfloat16), parameters(torch.bfloat16)
    before = ours[0].detach().clone()
    tensors = stepped(AdamW(ours, lr=1e-4, detail=True, **options))
    AdamW(plain, lr=1e-4, **options).step()
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))
    assert tensors.lost[0] == (ours[0] == before).double().mean().item()


def test_layouts_are_reported_alike() -> None:
    plain, other = parameters(), parameters()
    other[2] = torch.nn.Parameter(other[2].detach().contiguous(memory_format=torch.channels_last))
    other[2].grad = plain[2].grad.clone()
    a, b = stepped(AdamW(plain, detail=True)), stepped(AdamW(other, detail=True))
    for name in COLUMNS:
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-14)


def test_torchs_convention_reports_none() -> None:
    with pytest.raises(ValueError, match="detail: expected False with convention='torch'"):
        AdamW(parameters(), convention="torch", detail=True)
    optimizer = AdamW(parameters(), convention="torch")
    with pytest.raises(ValueError, match="detail"):
        optimizer.detail = True


def test_it_is_off_by_default_can_be_set_and_is_copied() -> None:
    optimizer = AdamW(parameters())
    optimizer.step()
    assert (optimizer.detail, optimizer.step_info.tensors) == (False, None)
    optimizer.detail = True
    assert stepped(optimizer).names
    for again in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert again.detail
    optimizer.load_state_dict(AdamW(parameters()).state_dict())
    assert optimizer.detail
    with pytest.raises(TypeError, match="detail"):
        optimizer.detail = "yes"
