"""What DeepSpeed 0.19 gets wrong, by its issues and by measurement, and what is right here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from steelyard.reference import rules
from steelyard.torch import AdamW, clip_grad_norm_

BETAS = (0.9, 0.999)


def weight(n: int = 64) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(n, generator=torch.Generator().manual_seed(0)))


def gradient(n: int = 64, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


def stepped(param: torch.Tensor, state: dict[str, Any], step: int) -> np.ndarray[Any, Any]:
    """What a step makes of a parameter, by the readable formula."""
    assert param.grad is not None
    arrays = (param.detach(), param.grad, state["exp_avg"], state["exp_avg_sq"])
    p, g, m, v = (array.float().numpy().copy() for array in arrays)
    found: np.ndarray[Any, Any] = rules.adam(p, g, m, v, step=step, lr=1e-2, betas=BETAS, eps=1e-8, weight_decay=1e-2)[
        "p"
    ]
    return found


def test_a_bfloat16_gradient_of_a_float32_weight_is_read_as_bfloat16() -> None:
    """DeepSpeed never checks the type of a gradient: 43 of 64 values became wrong."""
    if not hasattr(torch.Tensor, "grad_dtype"):
        pytest.skip("torch takes no gradient of another type than its parameter's before 2.10")
    mine, plain = weight(), weight()
    mine.grad_dtype = torch.bfloat16
    mine.grad = gradient().bfloat16()
    plain.grad = gradient().bfloat16().float()
    for param in (mine, plain):
        AdamW([param], lr=1e-2).step()
    assert torch.equal(mine, plain)


def test_a_parameter_that_joins_later_counts_its_own_steps() -> None:
    """One number of steps for all parameters corrects the bias of a newer one wrongly (its issues 1643 and 7982)."""
    first, second = weight(), weight()
    optimizer = AdamW([first, second], lr=1e-2)
    first.grad = gradient()
    for _ in range(5):
        optimizer.step()
    second.grad = gradient()
    expected = weight()
    expected.grad = gradient()
    AdamW([expected], lr=1e-2).step()
    optimizer.step()
    assert torch.equal(second, expected)
    assert [optimizer.state[param]["step"].item() for param in (first, second)] == [6, 1]


@pytest.mark.parametrize("step", [1000, 1_000_000])
def test_the_bias_correction_of_a_late_step_is_a_function_of_its_number(step: int) -> None:
    """DeepSpeed multiplies float32 powers of the betas step by step, which drift, and begin anew where it resumes."""
    param = weight()
    optimizer = AdamW([param], lr=1e-2, betas=BETAS)
    param.grad = gradient()
    optimizer.step()
    optimizer.state[param]["step"].fill_(step - 1)
    expected = stepped(param, optimizer.state[param], step)
    optimizer.step()
    assert np.array_equal(param.detach().numpy(), expected)


def test_a_negative_weight_decay_is_refused_and_the_default_is_that_of_adamw() -> None:
    """DeepSpeed leaves a negative one out in silence, and decays nothing by default in its mode "AdamW" (its issue 5214)."""
    with pytest.raises(ValueError, match=r"^weight_decay: expected a number that is at least 0; got -0.1"):
        AdamW([weight()], weight_decay=-0.1)
    assert AdamW([weight()]).defaults["weight_decay"] == 0.01


def test_amsgrad_and_maximize_are_there() -> None:
    """DeepSpeed raises for the one and has not the other."""
    mine, theirs = weight(), weight()
    ours = AdamW([mine], amsgrad=True, maximize=True)
    torchs = torch.optim.AdamW([theirs], amsgrad=True, maximize=True, fused=True)
    for seed in range(3):
        for param, optimizer in ((mine, ours), (theirs, torchs)):
            param.grad = gradient(seed=seed)
            optimizer.step()
    assert torch.equal(mine, theirs)


@pytest.mark.parametrize("order", [1.0, 3.0])
def test_norms_of_other_orders_are_of_all_elements(order: float) -> None:
    """DeepSpeed squares the norms of the tensors whatever the order is."""
    params = [weight(), weight(5)]
    for seed, param in enumerate(params):
        param.grad = gradient(param.numel(), seed)
    every = torch.cat([param.grad for param in params if param.grad is not None]).double()
    found = clip_grad_norm_(params, 1e9, norm_type=order)
    assert float(found) == pytest.approx(float((every.abs() ** order).sum() ** (1 / order)), rel=1e-6)


def test_a_norm_that_is_not_finite_does_not_turn_gradients_around() -> None:
    """DeepSpeed's bfloat16 path says "not finite" by a norm of -1, by which it then clips (its pull request 8614)."""
    param = torch.nn.Parameter(torch.ones(64, dtype=torch.bfloat16))
    param.grad = torch.ones(64, dtype=torch.bfloat16)
    param.grad[3] = float("inf")
    before = param.detach().clone()
    optimizer = AdamW([param], lr=1e-2, max_norm=1.0, nonfinite="skip")
    optimizer.step()
    assert torch.equal(param, before)
    assert optimizer.step_info is not None
    assert optimizer.step_info.grad_norm == float("inf")
    clip_grad_norm_([param], 1.0)
    assert not bool((param.grad < 0).any())
