"""DPO: loss and gradients of a million pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

import steelyard as sy

from .harness import Row, torch_with_threads

N = 1_000_000


def dpo() -> Row:
    """DPO loss + gradients, 1e6 pairs f32"""
    torch = torch_with_threads()
    rng = np.random.default_rng(0)
    columns = [(rng.standard_normal(N) * 20 - 100).astype(np.float32) for _ in range(4)]
    tensors = [torch.from_numpy(column) for column in columns]

    def theirs() -> Any:
        chosen, rejected = (t.detach().requires_grad_() for t in tensors[:2])
        z = 0.1 * ((chosen - tensors[2]) - (rejected - tensors[3]))
        losses = -torch.nn.functional.logsigmoid(z)
        losses.sum().backward()
        return losses.detach(), chosen.grad, rejected.grad

    def agree(ours: sy.preference.PreferenceLoss, peer: Any) -> None:
        np.testing.assert_allclose(ours.losses, peer[0].numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(ours.grad_chosen, peer[1].numpy(), rtol=1e-4, atol=1e-7)

    return Row(
        work="DPO loss + gradients, 1e6 pairs f32",
        ours=lambda: sy.preference_loss(*columns),
        peer=theirs,
        against="eager forward + backward",
        package="torch",
        at_least=3.0,
        agree=agree,
    )


ROWS = [dpo]
