"""``preference.policy_loss`` against torch's autograd of the plain formulas, also at the limits of the clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from steelyard._registries import REGISTRIES
from steelyard.preference import policy_loss

LOSSES = list(REGISTRIES["preference.policy.loss"])
N, T = 9, 33
RNG = np.random.default_rng(5)
LOGPROB = -2 * RNG.random((N, T))
OLD = np.minimum(LOGPROB + 0.3 * RNG.standard_normal((N, T)), 0.0)
REFERENCE = np.minimum(LOGPROB + 0.3 * RNG.standard_normal((N, T)), 0.0)
ADVANTAGE = RNG.standard_normal(N)
LENGTHS = RNG.integers(1, T + 1, N)


def plain(
    loss: str, logprob: torch.Tensor, old: torch.Tensor, advantage: torch.Tensor, mask: torch.Tensor, clip: Any
) -> torch.Tensor:
    """Each formula as it is written, with torch's exp, clamp and min."""
    advantage = advantage[:, None]
    difference = logprob - old
    counts = mask.sum(-1)
    if loss == "gspo":
        difference = ((difference * mask).sum(-1) / counts)[:, None].expand_as(logprob)
    ratio = torch.exp(difference)
    clipped = torch.clamp(ratio, 1 - clip[0], 1 + clip[1])
    each = -torch.min(ratio * advantage, clipped * advantage)
    if loss == "cispo":
        each = -clipped.detach() * advantage * logprob
    if loss in ("grpo", "gspo"):
        return ((each * mask).sum(-1) / counts).mean()
    return (each * mask).sum() / (mask.numel() if loss == "dr_grpo" else mask.sum())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kl_weight", [0.0, 0.4])
def test_values_and_gradients_are_torchs(loss: Any, kl_weight: float) -> None:
    clip = (0.1, 0.2) if loss != "gspo" else (0.01, 0.02)
    mask = torch.from_numpy(np.arange(T) < LENGTHS[:, None]).double()
    logprob = torch.from_numpy(LOGPROB).requires_grad_()
    want = plain(loss, logprob, torch.from_numpy(OLD), torch.from_numpy(ADVANTAGE), mask, clip)
    if kl_weight:
        d = torch.from_numpy(REFERENCE) - logprob
        terms = (torch.expm1(d) - d) * mask
        per_answer = (terms.sum(-1) / mask.sum(-1)).mean()
        over = mask.numel() if loss == "dr_grpo" else mask.sum()
        want = want + kl_weight * (per_answer if loss in ("grpo", "gspo") else terms.sum() / over)
    want.backward()
    options: dict[str, Any] = {"reference_logprob": REFERENCE, "kl_weight": kl_weight} if kl_weight else {}
    got = policy_loss(LOGPROB, OLD, ADVANTAGE, loss=loss, clip=clip, lengths=LENGTHS, **options)
    assert got.loss.value == pytest.approx(want.item(), rel=1e-12)
    assert got.clip_share.value > 0
    assert logprob.grad is not None
    assert got.gradient is not None
    np.testing.assert_allclose(got.gradient, logprob.grad.numpy(), rtol=1e-11, atol=1e-16)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_ratios_near_a_limit_have_torchs_gradient(sign: float) -> None:
    """A step inside and outside the limits; at a limit, half of it where torch's clamp has no derivative at its ends."""
    steps = np.array([[0.0, 1e-12, -1e-12, 0.5, -0.5]])
    ends = torch.ones(1, requires_grad=True)
    torch.clamp(ends, 1.0, 2.0).sum().backward()
    assert ends.grad is not None
    share = 0.5 * (1.0 + ends.grad.item())
    for clip in ((0.0, 0.0), (0.0, 0.2), (0.2, 0.0), (0.2, 0.2)):
        logprob = torch.from_numpy(steps - 1).requires_grad_()
        old, mask = torch.full((1, 5), -1.0, dtype=torch.float64), torch.ones((1, 5), dtype=torch.float64)
        plain("ppo", logprob, old, torch.tensor([sign], dtype=torch.float64), mask, clip).backward()
        got = policy_loss(steps - 1, old.numpy(), [sign], clip=clip)
        assert logprob.grad is not None
        assert got.gradient is not None
        factor = np.where((steps == 0) & (0.0 in clip), share, 1.0)
        np.testing.assert_allclose(got.gradient * factor, logprob.grad.numpy(), rtol=1e-14)


def test_tensors_that_require_grad_are_refused() -> None:
    logprob = torch.from_numpy(LOGPROB).requires_grad_()
    with pytest.raises(TypeError, match="logprob: expected a tensor that does not require grad"):
        policy_loss(logprob, OLD, ADVANTAGE)  # type: ignore[arg-type]
    single = torch.from_numpy(LOGPROB).to(torch.float32)
    got = policy_loss(single, torch.from_numpy(OLD).to(torch.float32), ADVANTAGE)  # type: ignore[arg-type]
    assert got.gradient is not None
    assert got.gradient.dtype == np.float32
