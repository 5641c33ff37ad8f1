"""``unpaired_loss``, ``ranked_loss`` and ``reward_loss`` of tensors: values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

import steelyard as sy
from steelyard.torch import ranked_loss, reward_loss, unpaired_loss

N, K = 8, 4
GOOD = torch.arange(N) % 3 == 0
LABELS = torch.tensor([[2, 0, 1, 1], [3, 2, 1, 0]] * (N // 2))
UNPAIRED: list[dict[str, Any]] = [{"loss": "kto", "kl": 0.5, "desirable_weight": 2.0}, {"loss": "bco", "shift": 0.25}]


def tensors(*shape: int, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    found = [-5 - 10 * torch.rand(*shape, generator=generator, dtype=torch.float64) for _ in range(2)]
    return [x.to(dtype).requires_grad_() for x in found]


CALLS: dict[str, tuple[tuple[int, ...], Any, Any]] = {
    **{
        options["loss"]: (
            (N,),
            lambda *x, o=options, **more: unpaired_loss(*x, GOOD, beta=0.3, **o, **more),
            lambda *x, o=options: sy.preference.unpaired_loss(*x, GOOD, beta=0.3, **o),
        )
        for options in UNPAIRED
    },
    **{
        loss: (
            (N, K),
            lambda *x, loss=loss, **more: ranked_loss(*x, labels=LABELS, loss=loss, beta=0.3, **more),
            lambda *x, loss=loss: sy.preference.ranked_loss(*x, labels=LABELS, loss=loss, beta=0.3),
        )
        for loss in ("plackett_luce", "lipo")
    },
    "rewards": (
        (N,),
        lambda *x, **more: reward_loss(*x, margin=0.5, center=0.01, **more),
        lambda *x: sy.preference.reward_loss(*x, margin=0.5, center=0.01),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients_are_those_of_the_call_without_torch(name: str) -> None:
    shape, call, plain = CALLS[name]
    given = tensors(*shape)
    want = plain(*(x.detach().numpy() for x in given))
    got = call(*given, reduction="none")
    assert got.detach().numpy().tobytes() == want.losses.tobytes()
    slope = torch.linspace(0.5, 2.0, N, dtype=torch.float64)
    got.backward(slope)
    grads = [want.grad_chosen, want.grad_rejected] if name == "rewards" else [want.grad, -want.grad]
    for x, grad in zip(given, grads, strict=True):
        assert x.grad is not None
        assert torch.equal(x.grad, slope.reshape(-1, *[1] * (len(shape) - 1)) * torch.from_numpy(grad.copy()))


@pytest.mark.parametrize("name", CALLS)
def test_gradcheck(name: str) -> None:
    shape, call, _ = CALLS[name]
    for reduction in ("none", "mean", "sum"):
        assert torch.autograd.gradcheck(lambda *x, r=reduction: call(*x, reduction=r), tensors(*shape))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradcheck_of_sorted_answers(reduction: Any) -> None:
    """Of unlike numbers of answers, and nothing is equal."""
    assert torch.autograd.gradcheck(
        lambda *x: unpaired_loss(*x, GOOD, loss="aot_unpaired", beta=0.3, reduction=reduction), tensors(N)
    )


def test_aot_is_torchs_formula_of_sorted_halves() -> None:
    mine, theirs, good = tensors(N), tensors(N), torch.arange(N) < N // 2
    got = unpaired_loss(*mine, good, loss="aot_unpaired", beta=0.3)
    ratios = theirs[0] - theirs[1]
    want = -logsigmoid(0.3 * (ratios[good].sort().values - ratios[~good].sort().values)).mean()
    got.backward()
    want.backward()
    torch.testing.assert_close(got, want)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_plackett_luce_is_torchs_formula() -> None:
    (mine, _), (theirs, _) = tensors(N, K, dtype=torch.float32), tensors(N, K, dtype=torch.float32)
    labels = torch.arange(K).expand(N, K)
    got = ranked_loss(mine, labels=labels, beta=0.3)
    want = (torch.logcumsumexp(0.3 * theirs, 1) - 0.3 * theirs).sum(1).mean()
    got.backward()
    want.backward()
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_prompts_without_a_comparison_have_no_part_in_the_mean() -> None:
    policy, _ = tensors(N, K)
    labels = LABELS.clone()
    labels[0] = 1
    got = ranked_loss(policy, labels=labels)
    want = ranked_loss(policy[1:], labels=labels[1:])
    torch.testing.assert_close(got, want)
    got.backward()
    assert policy.grad is not None
    assert torch.equal(policy.grad[0], torch.zeros(K, dtype=torch.float64))
    assert torch.isfinite(policy.grad).all()
    where = torch.ones(N, K, dtype=torch.bool)
    where[0] = False
    torch.testing.assert_close(ranked_loss(policy, labels=LABELS, where=where), want)


def test_no_gradient_flows_through_what_is_compared_with() -> None:
    policy, reference = tensors(N)
    mismatched = (policy - reference + 3).mul(0.5).detach()
    there = unpaired_loss(policy, reference, GOOD, kl=mismatched)
    there.backward()
    first = policy.grad
    policy.grad = None
    unpaired_loss(policy, reference, GOOD, kl=max(mismatched.mean().item(), 0)).backward()
    torch.testing.assert_close(policy.grad, first)
    loss = unpaired_loss(policy, reference, GOOD, loss="bco", reduction="none")
    out = sy.preference.unpaired_loss(*(x.detach() for x in (policy, reference)), GOOD, loss="bco")
    np.testing.assert_array_equal(loss.detach().numpy(), out.losses)


def test_what_is_refused() -> None:
    policy, reference = tensors(N)
    with pytest.raises(
        ValueError, match="reduction: expected mean or sum: the loss 'aot_unpaired' is one of all answers"
    ):
        unpaired_loss(policy, reference, GOOD, loss="aot_unpaired", reduction="none")
    with pytest.raises(TypeError, match="policy: expected a tensor; got list"):
        unpaired_loss([1.0], reference, GOOD)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="chosen: expected a dense tensor of"):
        reward_loss(torch.ones(N, dtype=torch.int64), reference)
    with pytest.raises(ValueError, match="labels: expected a prompt with two answers"):
        ranked_loss(policy[:, None], labels=LABELS[:, :1])
    with pytest.raises(ValueError, match="reduction: expected one of"):
        reward_loss(policy, reference, reduction="average")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="ranked_loss: expected backward without create_graph=True"):
        ranked_loss(policy[None], labels=torch.arange(N)[None]).backward(create_graph=True)
    for name, call in {
        "kl": lambda x: unpaired_loss(policy, reference, GOOD, kl=x),
        "margin": lambda x: reward_loss(policy, reference, margin=x),
        "labels": lambda x: ranked_loss(policy[None], labels=x[None]),
    }.items():
        with pytest.raises(
            ValueError, match=f"{name}: expected a constant; got a tensor that requires grad; pass {name}.d"
        ):
            call(torch.arange(float(N)).requires_grad_())
    one = torch.tensor(0.5, requires_grad=True)
    for name, call in {
        "beta": lambda x: unpaired_loss(policy, reference, GOOD, kl=0, beta=x),
        "desirable_weight": lambda x: unpaired_loss(policy, reference, GOOD, kl=0, desirable_weight=x),
        "shift": lambda x: unpaired_loss(policy, reference, GOOD, loss="bco", shift=x),
        "center": lambda x: reward_loss(policy, reference, center=x),
    }.items():
        assert call(one.detach()).requires_grad
        with pytest.raises(ValueError, match=f"{name}: expected a constant; got a tensor that requires grad"):
            call(one)
    assert not unpaired_loss(policy.detach(), reference.detach(), GOOD, kl=0).requires_grad
