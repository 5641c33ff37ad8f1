"""Losses of answers that are not paired, of ranked answers and of rewards, of tensors, with their exact gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .. import preference
from .._mode import standard_mode
from .._options import choice
from ..errors import value_error
from .losses import REDUCTIONS, Reduction, refuse_second_order
from .preference import column_of, constant

__all__ = ["ranked_loss", "reduced_rows", "reward_loss", "unpaired_loss"]

Array = np.ndarray[Any, np.dtype[Any]]


class _Losses(torch.autograd.Function):
    """Losses of rows that are computed already, with their gradients by each of some tensors."""

    @staticmethod
    def forward(ctx: Any, name: str, losses: Array, grads: list[Array], *tensors: torch.Tensor) -> torch.Tensor:
        ctx.name = name
        ctx.save_for_backward(*(torch.from_numpy(grad.copy()) for grad in grads))
        ctx.tensors = [(tensor.dtype, tensor.device) for tensor in tensors]
        return torch.from_numpy(losses.copy())

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        refuse_second_order(ctx.name, "a formula in torch's own functions")
        found: list[torch.Tensor | None] = [None] * 3
        for i, (grad, (dtype, device)) in enumerate(zip(ctx.saved_tensors, ctx.tensors, strict=True)):
            of_rows = slope.double().cpu().reshape(-1, *[1] * (grad.ndim - 1))
            found.append((of_rows * grad).to(dtype).to(device) if ctx.needs_input_grad[i + 3] else None)
        return tuple(found)


def reduced_rows(
    name: str,
    losses: Array,
    by: list[tuple[torch.Tensor, Array]],
    reduction: Reduction,
    like: torch.Tensor,
    *,
    beside: Sequence[torch.Tensor] = (),
) -> torch.Tensor:
    """The losses of all rows, or of those that have one their sum or mean, with the gradient ``by`` each tensor.

    The result is float64 where one of these tensors or of those ``beside`` them is.
    """
    tensors = [tensor for tensor, _ in by]
    found: torch.Tensor = _Losses.apply(name, losses, [grad for _, grad in by], *tensors)
    if reduction != "none":
        counted = torch.from_numpy(~np.isnan(losses))
        found = found[counted].sum() if reduction == "sum" else found[counted].mean()
    kind = torch.float64 if any(tensor.dtype == torch.float64 for tensor in (*tensors, *beside)) else torch.float32
    return found.to(kind).to(like.device)


def _plain(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor.detach() for tensor in tensors]


@standard_mode
def unpaired_loss(
    policy: torch.Tensor,
    reference: torch.Tensor,
    labels: Any,
    *,
    loss: str = "kto",
    beta: float = 0.1,
    kl: Any = None,
    shift: float | None = None,
    desirable_weight: float | None = None,
    undesirable_weight: float | None = None,
    reduction: Reduction = "mean",
) -> torch.Tensor:
    """Compute a loss of answers that are desirable or not: :func:`steelyard.preference.unpaired_loss` of tensors.

    Gradients are exact and flow to the policy, and to the reference where it requires them. None flows through what the
    rewards are compared with: the divergence of "kto", and the mean reward of "bco".

    Parameters
    ----------
    policy, reference : tensor of floats, shape [n]
        Log-probabilities of whole answers, in nats. On another device than the CPU, they are copied to it.
    labels : tensor or array of bool, shape [n]
        Which answers are desirable.
    loss : {"kto", "bco", "aot_unpaired"}
        The formula; the loss of "aot_unpaired" is one of all answers, so it has no ``reduction="none"``.
    beta, kl, shift, desirable_weight, undesirable_weight
        As in :func:`steelyard.preference.unpaired_loss`; a tensor ``kl`` is a constant.
    reduction : {"mean", "sum", "none"}
        What becomes of the answers' losses.

    Returns
    -------
    tensor
        The loss, or with ``reduction="none"`` that of each answer; float32, or float64 for float64 columns.

    Raises
    ------
    TypeError, ValueError
        For what is no tensor of floats, for a constant that requires grad, and as
        :func:`steelyard.preference.unpaired_loss` does; there is no second derivative.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import unpaired_loss
    >>> policy = torch.tensor([-4.0, -9.0, -3.0], requires_grad=True)
    >>> loss = unpaired_loss(policy, torch.tensor([-5.0, -9.5, -3.0]), [True, False, False], kl=0.5)
    >>> loss.backward()
    >>> round(loss.item(), 4), policy.grad.round(decimals=4).tolist()
    (0.4917, [-0.008299999870359898, 0.008299999870359898, 0.008299999870359898])
    """
    choice(reduction, "reduction", REDUCTIONS)
    if loss == "aot_unpaired" and reduction == "none":
        raise value_error("reduction", "mean or sum: the loss 'aot_unpaired' is one of all answers", "'none'")
    tensors = [column_of(policy, "policy"), column_of(reference, "reference")]
    x, y = _plain(tensors)
    beside = {
        "labels": labels, "kl": kl, "beta": beta, "shift": shift, "desirable_weight": desirable_weight,
        "undesirable_weight": undesirable_weight,
    }  # fmt: skip
    found = preference.unpaired_loss(
        x, y, loss=loss, **{name: constant(value, name) for name, value in beside.items()}  # type: ignore[arg-type]
    )  # fmt: skip
    assert found.grad is not None
    by = list(zip(tensors, [found.grad, -found.grad], strict=True))
    return reduced_rows("unpaired_loss", found.losses, by, reduction, policy)


@standard_mode
def ranked_loss(
    policy: torch.Tensor,
    reference: torch.Tensor | None = None,
    *,
    labels: Any,
    loss: str = "plackett_luce",
    beta: float = 0.1,
    where: Any = None,
    reduction: Reduction = "mean",
) -> torch.Tensor:
    """Compute a loss of prompts with ranked answers: :func:`steelyard.preference.ranked_loss` of tensors.

    Gradients are exact and flow to the policy, and to the reference where it requires them.

    Parameters
    ----------
    policy : tensor of floats, shape [n, k]
        Log-probabilities of k answers to each of n prompts, or without a reference scores of any size. On another
        device than the CPU, they are copied to it.
    reference : tensor of floats, shape [n, k], optional
        The same under the reference.
    labels : tensor or array of numbers, shape [n, k]
        How good each answer is, a higher number being better.
    loss : {"plackett_luce", "lipo"}
        The formula.
    beta : float
        Above 0.
    where : tensor or array of bool, shape [n, k], optional
        The answers that count.
    reduction : {"mean", "sum", "none"}
        What becomes of the prompts' losses; prompts without two answers of different labels have none (NaN in "none").

    Returns
    -------
    tensor
        The loss, or with ``reduction="none"`` that of each prompt; float32, or float64 for float64 tables.

    Raises
    ------
    TypeError, ValueError
        For what is no tensor of floats, for a constant that requires grad, and as
        :func:`steelyard.preference.ranked_loss` does; there is no second derivative.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import ranked_loss
    >>> scores = torch.tensor([[1.0, 0.5, -1.0]], requires_grad=True)
    >>> loss = ranked_loss(scores, labels=[[2, 1, 0]], beta=1.0)
    >>> loss.backward()
    >>> round(loss.item(), 4), scores.grad.round(decimals=4).tolist()
    (0.7564, [[-0.42590001225471497, 0.16580000519752502, 0.26010000705718994]])
    """
    choice(reduction, "reduction", REDUCTIONS)
    tensors = [column_of(policy, "policy")]
    if reference is not None:
        tensors.append(column_of(reference, "reference"))
    beside = {name: constant(x, name) for name, x in (("labels", labels), ("where", where), ("beta", beta))}
    found = preference.ranked_loss(*_plain(tensors), loss=loss, **beside)  # type: ignore[arg-type]
    assert found.grad is not None
    by = list(zip(tensors, [found.grad, -found.grad][: len(tensors)], strict=True))
    return reduced_rows("ranked_loss", found.losses, by, reduction, policy)


@standard_mode
def reward_loss(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    *,
    margin: Any = None,
    center: float = 0.0,
    reduction: Reduction = "mean",
) -> torch.Tensor:
    """Compute the loss of a reward model on pairs: :func:`steelyard.preference.reward_loss` of tensors.

    Gradients are exact and flow to both rewards; none flows to the margin.

    Parameters
    ----------
    chosen, rejected : tensor of floats, shape [n]
        The rewards of both answers. On another device than the CPU, they are copied to it.
    margin : float, or tensor or array of floats, shape [n], optional
        What the difference of the rewards should exceed, a constant.
    center : float
        The weight of the squared sum of the rewards, at least 0.
    reduction : {"mean", "sum", "none"}
        What becomes of the pairs' losses.

    Returns
    -------
    tensor
        The loss, or with ``reduction="none"`` that of each pair; float32, or float64 for float64 rewards.

    Raises
    ------
    TypeError, ValueError
        For what is no tensor of floats, for a constant that requires grad, and as
        :func:`steelyard.preference.reward_loss` does; there is no second derivative.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import reward_loss
    >>> chosen = torch.tensor([1.5, 0.25], requires_grad=True)
    >>> loss = reward_loss(chosen, torch.tensor([0.5, 0.25]), margin=torch.tensor([0.5, 0.0]))
    >>> loss.backward()
    >>> round(loss.item(), 4), chosen.grad.round(decimals=4).tolist()
    (0.5836, [-0.18880000710487366, -0.25])
    """
    choice(reduction, "reduction", REDUCTIONS)
    tensors = [column_of(chosen, "chosen"), column_of(rejected, "rejected")]
    beside = {"margin": constant(margin, "margin"), "center": constant(center, "center")}
    found = preference.reward_loss(*_plain(tensors), **beside)
    assert found.grad_chosen is not None
    assert found.grad_rejected is not None
    by = list(zip(tensors, [found.grad_chosen, found.grad_rejected], strict=True))
    return reduced_rows("reward_loss", found.losses, by, reduction, chosen)
