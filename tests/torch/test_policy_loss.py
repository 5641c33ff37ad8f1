"""``preference.policy_loss`` against torch's autograd of the plain formulas, also at the limits of the clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import steelyard as sy
from steelyard._registries import REGISTRIES
from steelyard.preference import policy_loss
from steelyard.torch import policy_loss as torch_loss

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


# -- as an autograd function

MASK = RNG.random((N, T)) < 0.8
CASES: dict[str, dict[str, Any]] = {
    **{loss: {"loss": loss} for loss in LOSSES},
    **{f"{loss} with a reference": {"loss": loss, "kl_weight": 0.4} for loss in LOSSES},
    **{f"{kl}": {"kl_weight": 0.4, "kl_estimator": kl} for kl in ("k1", "k2")},
    "clip": {"clip": (0.05, 0.3)},
    "one clip": {"loss": "gspo", "clip": 0.01},
    "divisor": {"loss": "dapo", "divisor": 1000.0},
    "where": {"loss": "grpo", "where": torch.from_numpy(MASK)},
    "lengths": {"loss": "gspo", "lengths": torch.from_numpy(LENGTHS)},
    "where and lengths": {"loss": "dr_grpo", "where": MASK, "lengths": LENGTHS},
    "advantages of tokens": {"advantage": torch.from_numpy(RNG.standard_normal((N, T)))},
}


def case_of(name: str, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, dict[str, Any]]:
    """The policy's log-probabilities, and the other arguments."""
    options = {"old_logprob": torch.from_numpy(OLD).to(dtype), "advantage": torch.from_numpy(ADVANTAGE), **CASES[name]}
    if "kl_weight" in options:
        options["reference_logprob"] = torch.from_numpy(REFERENCE).to(dtype)
    return torch.from_numpy(LOGPROB).to(dtype).requires_grad_(), options


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_call_without_torch(name: str) -> None:
    logprob, options = case_of(name)
    want = policy_loss(logprob.detach(), **options)  # type: ignore[arg-type]
    each = torch_loss(logprob, reduction="none", **options)
    assert each.detach().numpy().tobytes() == want.losses.tobytes()
    got = torch_loss(logprob, **options)
    assert got.item() == pytest.approx(want.loss.value, rel=1e-12)
    got.backward()
    assert logprob.grad is not None
    assert want.gradient is not None
    np.testing.assert_allclose(logprob.grad.numpy(), want.gradient, rtol=1e-15)


@pytest.mark.parametrize("name", CASES)
def test_gradcheck(name: str) -> None:
    """No ratio of these lies within the step of a limit. "cispo" takes its clipped ratio for a constant."""
    logprob, options = case_of(name)
    if options.get("loss") == "cispo":
        weight = torch.clamp(torch.exp(logprob.detach() - options["old_logprob"]), 0.0, 5.0)
        want = -(weight * options["advantage"][:, None] * logprob.detach()).sum() / logprob.numel()
        if "kl_weight" not in options:
            assert torch_loss(logprob, **options).item() == pytest.approx(want.item(), rel=1e-12)
        return
    for reduction in ("none", "mean", "sum"):
        assert torch.autograd.gradcheck(lambda x, r=reduction: torch_loss(x, reduction=r, **options), [logprob])


def test_types_are_those_of_the_columns() -> None:
    logprob, options = case_of("grpo with a reference", torch.float32)
    got = torch_loss(logprob, **options)
    got.backward()
    assert logprob.grad is not None
    assert (got.dtype, logprob.grad.dtype) == (torch.float32, torch.float32)
    want = policy_loss(logprob.detach(), **options)  # type: ignore[arg-type]
    np.testing.assert_allclose(logprob.grad.numpy(), want.gradient, rtol=2e-7)
    options["old_logprob"] = options["old_logprob"].double()
    assert torch_loss(logprob, **options).dtype == torch.float64
    with pytest.warns(sy.errors.SteelyardWarning, match="logprob: bfloat16 log-probabilities of about"):
        half = torch_loss(logprob.bfloat16(), **options | {"old_logprob": logprob.detach().bfloat16()})
    assert half.dtype == torch.float32


def test_one_step_on_policy_is_the_policy_gradient() -> None:
    """With ``old_logprob=logprob.detach()`` all ratios are 1, and the gradient is that of ``-A logprob``."""
    logprob = torch.from_numpy(LOGPROB).requires_grad_()
    torch_loss(logprob, logprob.detach(), torch.from_numpy(ADVANTAGE), loss="dapo").backward()
    want = -np.broadcast_to(ADVANTAGE[:, None], (N, T)) / (N * T)
    assert logprob.grad is not None
    np.testing.assert_allclose(logprob.grad.numpy(), want, rtol=1e-14)


def test_what_the_autograd_function_refuses() -> None:
    logprob, options = case_of("ppo with a reference")
    for name in ("old_logprob", "advantage", "reference_logprob"):
        with pytest.raises(
            ValueError, match=f"{name}: expected a constant; got a tensor that requires grad; pass {name}.d"
        ):
            torch_loss(logprob, **options | {name: options[name].clone().requires_grad_()})
    one = torch.tensor(0.5, requires_grad=True)
    for name, given in {"kl_weight": one, "divisor": one, "clip": one, r"clip\[1\]": (0.2, one)}.items():
        with pytest.raises(ValueError, match=f"{name}: expected a constant; got a tensor that requires grad"):
            torch_loss(logprob, **options | {name.partition("\\")[0]: given})
    with pytest.raises(TypeError, match="old_logprob: expected a tensor; got NoneType"):
        torch_loss(logprob, **options | {"old_logprob": None})
    with pytest.raises(TypeError, match="logprob: expected a tensor; got ndarray"):
        torch_loss(LOGPROB, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="logprob: expected a dense tensor of"):
        torch_loss(logprob.to("meta"), **options)
    with pytest.raises(TypeError, match="advantage: expected a dense tensor with values; got one of strided on meta"):
        torch_loss(logprob, **options | {"advantage": options["advantage"].to("meta")})
    with pytest.raises(TypeError, match="where: expected a dense tensor with values; got one of sparse_coo on cpu"):
        torch_loss(logprob, **options, where=torch.from_numpy(MASK).to_sparse())
    with pytest.raises(ValueError, match="reduction: expected one of"):
        torch_loss(logprob, reduction="average", **options)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="policy_loss: expected backward without create_graph=True"):
        torch_loss(logprob, **options).backward(create_graph=True)
    with pytest.raises(ValueError, match="reference_logprob: expected log-probabilities of the reference"):
        torch_loss(logprob, **options | {"reference_logprob": None})
    assert not torch_loss(logprob.detach(), **options).requires_grad
    assert logprob.grad is None


def test_tensors_that_require_grad_are_refused() -> None:
    logprob = torch.from_numpy(LOGPROB).requires_grad_()
    with pytest.raises(TypeError, match="logprob: expected a tensor that does not require grad"):
        policy_loss(logprob, OLD, ADVANTAGE)  # type: ignore[arg-type]
    single = torch.from_numpy(LOGPROB).to(torch.float32)
    got = policy_loss(single, torch.from_numpy(OLD).to(torch.float32), ADVANTAGE)  # type: ignore[arg-type]
    assert got.gradient is not None
    assert got.gradient.dtype == np.float32
