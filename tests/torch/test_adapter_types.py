"""Parameters, gradients and moments of every type, alone and mixed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from steelyard.torch import AdamW

N = 4096  # a multiple of every vector length of torch: its last elements follow another rule
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
VARIANTS: list[dict[str, Any]] = [{}, {"amsgrad": True, "maximize": True}, {"weight_decay": 0.0, "betas": (0.3, 0.99)}]


def numbers(seed: int, dtype: torch.dtype, n: int = N) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("options", VARIANTS, ids=["plain", "amsgrad, maximize", "small beta1"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type_has_the_bits_of_torchs_fused_step(dtype: torch.dtype, options: dict[str, Any], met: str) -> None:
    ours, theirs = (torch.nn.Parameter(numbers(0, dtype)) for _ in range(2))
    a, b = AdamW([ours], lr=1e-2, **options), torch.optim.AdamW([theirs], lr=1e-2, fused=True, **options)
    for seed in range(1, 5):
        for weight, optimizer in ((ours, a), (theirs, b)):
            weight.grad = numbers(seed, dtype)
            optimizer.step()
        assert torch.equal(ours, theirs), met
    for name, value in b.state[theirs].items():
        assert torch.equal(a.state[ours][name], value), name
        assert a.state[ours][name].dtype == value.dtype


def test_types_mix_in_one_step_with_one_clip() -> None:
    weights = [torch.nn.Parameter(numbers(k, dtype, 100)) for k, dtype in enumerate(DTYPES)]
    alone = [torch.nn.Parameter(weight.detach().clone()) for weight in weights]
    together = AdamW(weights, max_norm=1.0)
    for weight, other in zip(weights, alone, strict=True):
        weight.grad = torch.ones_like(weight)
        other.grad = torch.ones_like(weight)
    together.step()
    assert together.step_info.grad_norm == 20.0
    for weight, other in zip(weights, alone, strict=True):
        single = AdamW([other], max_norm=0.5)
        single.step()
        assert torch.equal(weight, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_moments_of_another_type_than_the_parameter(dtype: torch.dtype) -> None:
    kept = torch.nn.Parameter(numbers(0, dtype))
    exact = torch.nn.Parameter(kept.detach().float())
    a, b = AdamW([kept], state_dtype=torch.float32), AdamW([exact])
    for optimizer, weight in ((a, kept), (b, exact)):
        weight.grad = numbers(1, dtype).to(weight.dtype)
        optimizer.step()
    assert a.state[kept]["exp_avg"].dtype == torch.float32
    assert torch.equal(a.state[kept]["exp_avg"], b.state[exact]["exp_avg"])
    assert torch.equal(a.state[kept]["exp_avg_sq"], b.state[exact]["exp_avg_sq"])
    assert torch.equal(kept, exact.to(dtype))


def test_each_group_may_have_its_type_of_moments_and_saved_ones_keep_theirs() -> None:
    def made() -> tuple[list[torch.nn.Parameter], AdamW]:
        weights = [torch.nn.Parameter(numbers(k, torch.bfloat16)) for k in range(3)]
        groups = [{"params": weights[:1], "state_dtype": torch.float32}, {"params": weights[1:2]}]
        own = AdamW(groups, state_dtype="bfloat16")
        own.add_param_group({"params": weights[2:], "state_dtype": None})
        for weight in weights:
            weight.grad = numbers(7, torch.bfloat16)
        own.step()
        return weights, own

    weights, own = made()
    wanted = [torch.float32, torch.bfloat16, torch.bfloat16]
    assert [own.state[p]["exp_avg"].dtype for p in weights] == wanted
    others, again = made()
    again.load_state_dict(own.state_dict())
    for p, q, dtype in zip(weights, others, wanted, strict=True):
        assert again.state[q]["exp_avg_sq"].dtype == dtype
        assert torch.equal(own.state[p]["exp_avg_sq"], again.state[q]["exp_avg_sq"])


def test_loading_keeps_float32_moments_of_bfloat16_parameters_where_torch_rounds_them() -> None:
    weight = torch.nn.Parameter(numbers(0, torch.bfloat16))
    own, plain = AdamW([weight], state_dtype="float32"), AdamW([weight])
    weight.grad = numbers(1, torch.bfloat16)
    own.step()
    moments = own.state[weight]["exp_avg"]
    theirs = torch.optim.AdamW([weight])
    theirs.load_state_dict(own.state_dict())
    assert theirs.state[weight]["exp_avg"].dtype == torch.bfloat16
    saved = own.state_dict()
    del saved["param_groups"][0]["state_dtype"]
    plain.load_state_dict(saved)
    assert torch.equal(plain.state[weight]["exp_avg"], moments)
    plain.step()
    own.step()
    assert torch.equal(plain.state[weight]["exp_avg"], own.state[weight]["exp_avg"])


def test_a_module_that_is_converted_keeps_its_moments() -> None:
    module = torch.nn.Linear(8, 8)
    own = AdamW(module.parameters())
    module(torch.ones(2, 8)).sum().backward()
    own.step()
    moments = own.state[module.weight]["exp_avg"]
    module.to(torch.bfloat16)
    module.zero_grad()
    module(torch.ones(2, 8, dtype=torch.bfloat16)).sum().backward()
    own.step()
    assert own.state[module.weight]["exp_avg"] is moments
    assert module.weight.dtype == torch.bfloat16
    assert own.state[module.weight]["step"].item() == 2


def test_a_moment_that_its_type_cannot_hold_is_found_before_anything_is_written() -> None:
    weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float16))
    own = AdamW([weight], nonfinite="raise")
    weight.grad = torch.full((3,), 6e4, dtype=torch.float16)
    with pytest.raises(ValueError, match=r"^params\[0\].grad: expected gradients whose squares fit the moments' type"):
        own.step()
    assert weight.tolist() == [1.0] * 3


@pytest.mark.parametrize("value", ["float64", torch.int8, 32])
def test_types_that_moments_cannot_have(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^state_dtype: expected one of float32, bfloat16"):
        AdamW([torch.nn.Parameter(torch.ones(2))], state_dtype=value)
