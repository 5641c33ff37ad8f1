"""DPO: loss and gradients of a million pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

import steelyard as sy

from .harness import Row, torch_with_threads

N = 1_000_000


def _columns() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(rng.standard_normal(N) * 15 - 100).astype(np.float32) for _ in range(4)]


def _agree(ours: sy.preference.PreferenceLoss, peer: Any) -> None:
    losses, grad_chosen, grad_rejected = (tensor.numpy() for tensor in peer)
    np.testing.assert_allclose(ours.losses, losses, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours.grad_chosen, grad_chosen, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(ours.grad_rejected, grad_rejected, rtol=1e-4, atol=1e-7)


def _agree_with_rewards(ours: sy.preference.PreferenceLoss, peer: Any) -> None:
    *loss, rewards_chosen, rewards_rejected = peer
    _agree(ours, loss)
    np.testing.assert_allclose(ours.rewards_chosen, rewards_chosen.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.rewards_rejected, rewards_rejected.numpy(), rtol=1e-5, atol=1e-5)


def dpo() -> Row:
    """DPO loss, gradients and rewards, 1e6 pairs f32

    The loss as its authors published it and as torchtune has it: with label smoothing (here 0), and with rewards.
    """
    torch = torch_with_threads()
    columns = _columns()
    tensors = [torch.from_numpy(column) for column in columns]
    logsigmoid = torch.nn.functional.logsigmoid
    beta, smoothing = 0.1, 0.0

    def theirs() -> Any:
        chosen, rejected = (t.detach().requires_grad_() for t in tensors[:2])
        reference_chosen, reference_rejected = tensors[2:]
        z = beta * ((chosen - rejected) - (reference_chosen - reference_rejected))
        losses = -logsigmoid(z) * (1 - smoothing) - logsigmoid(-z) * smoothing
        rewards_chosen = beta * (chosen - reference_chosen).detach()
        rewards_rejected = beta * (rejected - reference_rejected).detach()
        losses.sum().backward()
        return losses.detach(), chosen.grad, rejected.grad, rewards_chosen, rewards_rejected

    return Row(
        work="DPO loss, gradients and rewards, 1e6 pairs f32",
        ours=lambda: sy.preference_loss(*columns, beta=beta),
        peer=theirs,
        against="the published loss, eager forward + backward",
        package="torch",
        at_least=3.0,
        agree=_agree_with_rewards,
    )


def dpo_bare() -> Row:
    """The same call of ours against as little as possible in torch: no smoothing, no rewards"""
    torch = torch_with_threads()
    columns = _columns()
    tensors = [torch.from_numpy(column) for column in columns]

    def theirs() -> Any:
        chosen, rejected = (t.detach().requires_grad_() for t in tensors[:2])
        z = 0.1 * ((chosen - tensors[2]) - (rejected - tensors[3]))
        losses = -torch.nn.functional.logsigmoid(z)
        losses.sum().backward()
        return losses.detach(), chosen.grad, rejected.grad

    return Row(
        work="DPO loss, gradients and rewards, 1e6 pairs f32",
        ours=lambda: sy.preference_loss(*columns),
        peer=theirs,
        against="`-logsigmoid(z)` without rewards, eager forward + backward",
        package="torch",
        agree=_agree,
    )


ROWS = [dpo, dpo_bare]
