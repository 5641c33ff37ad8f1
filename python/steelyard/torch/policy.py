"""The loss of a policy on answers of an older policy, of tensors, with its exact gradient."""

from __future__ import annotations

from typing import Any

import torch

from .. import preference
from .._mode import standard_mode
from .._options import choice
from .losses import REDUCTIONS, Reduction
from .preference import column_of, constant
from .preference_sets import reduced_rows

__all__ = ["policy_loss"]


@standard_mode
def policy_loss(
    logprob: torch.Tensor,
    old_logprob: torch.Tensor,
    advantage: Any,
    *,
    loss: str = "ppo",
    clip: float | tuple[float, float] | None = None,
    where: Any = None,
    lengths: Any = None,
    reference_logprob: torch.Tensor | None = None,
    kl_weight: float | None = None,
    kl_estimator: str = "k3",
    divisor: float | None = None,
    reduction: Reduction = "mean",
) -> torch.Tensor:
    """Compute the loss of a policy that can be differentiated: :func:`steelyard.preference.policy_loss` of tensors.

    The losses, their formulas, clips and divisors are those of :func:`steelyard.preference.policy_loss`, computed in
    float64. The gradient flows to ``logprob`` alone: what it is compared with is constant, as the method has it.

    Parameters
    ----------
    logprob : tensor of floats, shape [n, T]
        Log-probabilities, in nats, of the tokens of n answers under the policy. On another device than the CPU, they
        are copied to it, and the gradient back.
    old_logprob : tensor of floats, shape [n, T]
        The same under the policy that wrote the answers, a constant: for one step on each batch ``logprob.detach()``.
    advantage : tensor or array of floats, shape [n] or [n, T]
        The advantage of each answer, or of each token ("gspo": of each answer), a constant.
    loss : {"ppo", "grpo", "dr_grpo", "bnpo", "dapo", "cispo", "gspo"}
        The formula.
    clip : float or tuple (low, high), optional
        How far below and above 1 a ratio may lie; by default as the loss has it.
    where : tensor or array of bool, shape [n, T], optional
        The tokens that count.
    lengths : tensor or array of int, shape [n], optional
        The numbers of tokens of the answers, from the first column on.
    reference_logprob : tensor of floats, shape [n, T], optional
        Log-probabilities under a reference, for ``kl_weight``, a constant.
    kl_weight, kl_estimator, divisor
        As in :func:`steelyard.preference.policy_loss`.
    reduction : {"mean", "sum", "none"}
        The loss is the mean of what the answers add to it (0 for an answer without tokens); "none" gives these.

    Returns
    -------
    tensor
        The loss, or with ``reduction="none"`` the share of each answer; float32, or float64 for float64 columns.

    Raises
    ------
    TypeError, ValueError
        For what is no tensor of floats, for a constant that requires grad, and as
        :func:`steelyard.preference.policy_loss` does; there is no second derivative.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import policy_loss
    >>> logprob = torch.tensor([[-1.0, -2.0], [-0.5, -1.5]], requires_grad=True)
    >>> old = torch.tensor([[-1.5, -2.0], [-0.5, -1.4]])
    >>> loss = policy_loss(logprob, old, torch.tensor([1.0, -1.0]), loss="grpo")
    >>> loss.backward()
    >>> round(loss.item(), 4), logprob.grad.double().round(decimals=4).tolist()
    (-0.0738, [[0.0, -0.25], [0.25, 0.2262]])

    Notes
    -----
    Clip shares, the ratio and divergences, with intervals, are what :func:`steelyard.preference.policy_loss` gives of
    ``logprob.detach()``.
    """
    choice(reduction, "reduction", REDUCTIONS)
    tensor = column_of(logprob, "logprob")
    compared = {"old_logprob": old_logprob}
    if reference_logprob is not None:
        compared["reference_logprob"] = reference_logprob
    fixed = {name: constant(column_of(x, name), name) for name, x in compared.items()}
    if isinstance(clip, tuple):
        clip = tuple(constant(limit, f"clip[{i}]") for i, limit in enumerate(clip))
    beside = {
        "advantage": advantage, "where": where, "lengths": lengths, "clip": clip, "kl_weight": kl_weight,
        "divisor": divisor,
    }  # fmt: skip
    found = preference.policy_loss(
        tensor.detach(), loss=loss, kl_estimator=kl_estimator,  # type: ignore[arg-type]
        dtype="float64", **fixed, **{name: constant(x, name) for name, x in beside.items()},
    )  # fmt: skip
    assert found.gradient is not None
    # Their mean is the loss, so the gradient of each answer's share is n times that of the loss.
    by = [(tensor, found.gradient * len(found.losses))]
    return reduced_rows("policy_loss", found.losses, by, reduction, logprob, beside=list(fixed.values()))
