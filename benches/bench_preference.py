"""DPO: loss and gradients of a million pairs, the metrics of a thousand settings, pairs scored from logits; a policy on
two million tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import steelyard as sy

from .harness import Row, read_once, torch_with_threads

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


BETAS = np.linspace(0.01, 1.0, 1000)


def _agree_with_metrics(ours: sy.preference.PreferenceLoss, peer: Any) -> None:
    for mine, theirs in zip((ours.loss, ours.reward_accuracy, ours.reward_margin), peer, strict=True):
        np.testing.assert_allclose(mine.value, theirs, rtol=1e-3, atol=1e-4)


def dpo_sweep() -> Row:
    """Mean loss, accuracy and margin of 1,000 values of beta, 1e6 pairs f32

    Ours has an interval beside each number, in float64; torch's loop takes the log-ratios once, before the loop.
    """
    torch = torch_with_threads()
    columns = _columns()
    tensors = [torch.from_numpy(column) for column in columns]
    logsigmoid = torch.nn.functional.logsigmoid

    def theirs() -> Any:
        with torch.no_grad():
            gap = (tensors[0] - tensors[2]) - (tensors[1] - tensors[3])
            found = []
            for beta in BETAS.tolist():
                z = beta * gap
                found.append((-logsigmoid(z).mean(), (z > 0).float().mean(), z.mean()))
            return np.array([[number.item() for number in one] for one in found]).T

    def ours() -> sy.preference.PreferenceLoss:
        found = sy.preference_loss(*columns, beta=BETAS)
        assert found.loss.value.shape == BETAS.shape
        return found

    return Row(
        work="DPO metrics at 1,000 values of beta, 1e6 pairs f32",
        ours=ours,
        peer=theirs,
        against="a loop of `-logsigmoid(beta gap).mean()`, accuracy and margin",
        package="torch",
        agree=_agree_with_metrics,
    )


PAIRS, LENGTH, WORDS = 4, 512, 32_000


def pair_scores() -> Row:
    """Log-probabilities of 4 pairs of answers of 512 tokens from logits, f32 [8, 512, 32000]

    The logits of 64 answers are 4 GiB; these, of half a gigabyte, have rows of the same width.
    """
    torch = torch_with_threads()
    torch.manual_seed(0)
    logits = 3 * torch.randn(2 * PAIRS, LENGTH, WORDS)
    ids = torch.randint(0, WORDS, (2 * PAIRS, LENGTH))

    def theirs() -> Any:
        with torch.no_grad():
            selected = torch.gather(logits, -1, ids.unsqueeze(-1)).squeeze(-1)
            log_sums = torch.stack([torch.logsumexp(row, dim=-1) for row in logits])
            return (selected - log_sums).sum(-1)

    def agree(ours: Any, peer: Any) -> None:
        np.testing.assert_allclose(ours, peer.numpy(), rtol=1e-5)

    return Row(
        work=f"log-probabilities of {PAIRS} pairs of answers from logits, f32 [{2 * PAIRS}, {LENGTH}, {WORDS}]",
        ours=lambda: sy.token_scores(logits, ids).sequence_logprob,
        peer=theirs,
        against="TRL's `selective_log_softmax` and a sum, its lines written out",
        package="torch",
        at_least=6.0,
        limit=read_once(logits.numpy()),
        limit_bytes=logits.nbytes,
        agree=agree,
    )  # fmt: skip


def grpo() -> Row:
    """GRPO with a reference: loss, gradient, clip share, ratio and divergences, 4,096 answers of up to 512 tokens, f32"""
    torch = torch_with_threads()
    rng = np.random.default_rng(1)
    shape = (4096, 512)
    logprob = -rng.standard_exponential(shape, dtype=np.float32)
    old, reference = (
        np.minimum(logprob + width * rng.standard_normal(shape, dtype=np.float32), np.float32(0))
        for width in (0.1, 0.2)
    )
    advantage, lengths = rng.standard_normal(shape[0]), rng.integers(64, shape[1] + 1, shape[0])
    mask = torch.from_numpy(np.arange(shape[1]) < lengths[:, None]).float()
    tensors = [torch.from_numpy(x) for x in (logprob, old, reference)]
    worth = torch.from_numpy(advantage.astype(np.float32))[:, None]

    def theirs() -> Any:
        given = tensors[0].detach().requires_grad_()
        ratio = torch.exp(given - tensors[1])
        clipped = torch.clamp(ratio, 0.8, 1.2)
        d = tensors[2] - given
        kl = torch.exp(d) - d - 1
        each = -torch.min(ratio * worth, clipped * worth) + 0.04 * kl
        loss = ((each * mask).sum(-1) / mask.sum(-1)).mean()
        loss.backward()
        with torch.no_grad():
            total = mask.sum()
            low, high = (ratio < 0.8) & (worth < 0), (ratio > 1.2) & (worth > 0)
            told = [(x * mask).sum() / total for x in (low.float(), high.float(), ratio, kl)]
        return loss.detach(), given.grad, told

    def ours() -> Any:
        found = sy.preference.policy_loss(
            logprob, old, advantage, loss="grpo", lengths=lengths, reference_logprob=reference, kl_weight=0.04
        )
        return found, found.loss, found.clip_share_low, found.clip_share_high, found.ratio, found.kl, found.reference_kl

    def agree(mine: Any, peer: Any) -> None:
        found, loss, low, high, ratio, _, kl = mine
        np.testing.assert_allclose(found.gradient, peer[1].numpy(), rtol=2e-3, atol=1e-10)
        np.testing.assert_allclose(float(loss), peer[0].item(), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose([float(x) for x in (low, high, ratio, kl)], [x.item() for x in peer[2]], rtol=1e-3)

    return Row(
        work="GRPO loss, gradient and metrics with intervals, 2.1e6 tokens f32",
        ours=ours,
        peer=theirs,
        against="the plain formula with the means that TRL logs, eager forward + backward",
        package="torch",
        agree=agree,
    )


ROWS = [dpo, dpo_bare, dpo_sweep, pair_scores, grpo]
