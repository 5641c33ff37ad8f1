"""Cross-entropy of hidden states and the weights of the vocabulary on the CPU, without the logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from .._options import choice
from ..errors import value_error
from ..tokens import token_scores_from_hidden
from .losses import (
    REDUCTIONS,
    Loss,
    Reduction,
    checked_classes,
    checked_tensor,
    gradient,
    loss_of,
    losses_of,
    reduced,
)

__all__ = ["linear_cross_entropy"]

# Logits that backward makes at a time: 16 MiB of float32.
AT_ONCE = 1 << 22
# Classes whose weights are multiplied at a time; those of 16 bits are converted first.
CLASSES = 1 << 12


def _blocks(rows: int, classes: int) -> Iterator[tuple[slice, slice]]:
    """Rows and classes of which backward makes the logits at a time; all rows of some classes come together."""
    wide = min(classes, CLASSES)
    tall = max(1, AT_ONCE // wide)
    for first in range(0, classes, wide):
        for row in range(0, rows, tall):
            yield slice(row, min(rows, row + tall)), slice(first, min(classes, first + wide))


class _LinearCrossEntropy(torch.autograd.Function):
    """The losses of rows ``[n, H]`` of hidden states, in float64."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        asked: tuple[torch.Tensor, Loss],
    ) -> torch.Tensor:
        target, loss = asked
        scores = token_scores_from_hidden(
            hidden.detach(), weight.detach(), target, ignore_index=loss.ignore_index, columns=loss.columns,
            bias=None if bias is None else bias.detach(), softcap=loss.softcap, label_smoothing=loss.label_smoothing,
        )  # fmt: skip
        ctx.save_for_backward(hidden, weight, bias, target)
        ctx.log_z, ctx.loss = scores.log_z, loss
        return losses_of(scores, loss)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        saved: list[Any] = [x if x is None else x.detach() for x in ctx.saved_tensors]
        hidden, weight, bias, target = saved
        kind = torch.promote_types(torch.promote_types(hidden.dtype, weight.dtype), torch.float32)
        wants = ctx.needs_input_grad
        to_hidden = torch.zeros(hidden.shape, dtype=kind) if wants[0] else None
        to_weight = torch.zeros(weight.shape, dtype=weight.dtype) if wants[1] else None
        to_bias = torch.zeros(len(weight), dtype=kind) if wants[2] else None
        states = hidden.to(kind)
        part: torch.Tensor | None = None
        for rows, classes in _blocks(len(hidden), len(weight)):
            some, w = states[rows], weight[classes].to(kind)
            logits = torch.mm(some, w.T)
            if bias is not None:
                logits += bias[classes].to(kind)
            shard = (classes.start, len(weight))
            by_logit = gradient(logits, target[rows], ctx.log_z[rows], slope[rows], loss=ctx.loss, shard=shard)
            if to_hidden is not None:
                to_hidden[rows].addmm_(by_logit, w)
            if to_bias is not None:
                to_bias[classes] += by_logit.sum(0)
            if to_weight is not None:
                # All rows of these classes are added up before they are rounded to the type of the weights.
                first = rows.start == 0
                part = torch.mm(by_logit.T, some) if first else torch.addmm(part, by_logit.T, some)
                if rows.stop == len(hidden):
                    to_weight[classes] = part.to(weight.dtype)
        return (
            None if to_hidden is None else to_hidden.to(hidden.dtype),
            to_weight,
            None if to_bias is None else to_bias.to(bias.dtype),
            None,
        )


def linear_cross_entropy(
    input: torch.Tensor,  # torch's name
    weight: torch.Tensor,
    target: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
) -> torch.Tensor:
    """Compute ``cross_entropy(input @ weight.T + bias, target)`` on the CPU without the logits.

    Forward is :func:`steelyard.token_scores_from_hidden`: it multiplies block by block, skips rows that do not count,
    and keeps one number a row. Backward makes the logits of some rows and classes again, at most 16 MiB of them at a
    time, and adds up the gradients of hidden states, weights and bias by torch's own products of matrices, in float32
    (float64 for such tensors), also where they have 16 bits. The bits of those products are torch's, which may differ
    between machines; those of the loss do not.

    Parameters
    ----------
    input : float tensor, shape [..., H]
        The last hidden states.
    weight : float tensor, shape [V, H]
        The weights of the output layer.
    target : integer tensor, shape [...]
        Class indices in ``0..V-1``, or ``ignore_index``.
    bias : float tensor, shape [V], or None
        The bias of the output layer.
    ignore_index, reduction, label_smoothing, z_loss, softcap
        As in :func:`steelyard.torch.cross_entropy`.

    Returns
    -------
    tensor
        As from ``cross_entropy``.

    Raises
    ------
    TypeError, ValueError
        As from ``cross_entropy``, and for shapes that do not match.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import linear_cross_entropy
    >>> hidden = torch.tensor([[1.0, 0.0], [0.5, -2.0]], requires_grad=True)
    >>> weight = torch.tensor([[2.0, 1.0], [0.0, 0.0], [-1.0, 1.0]], requires_grad=True)
    >>> loss = linear_cross_entropy(hidden, weight, torch.tensor([0, 1]))
    >>> round(loss.item(), 4)
    0.2707
    >>> loss.backward()
    >>> weight.grad.shape, hidden.grad.shape
    (torch.Size([3, 2]), torch.Size([2, 2]))

    Notes
    -----
    torch's ``linear_cross_entropy`` makes all logits by default. Two products more than it needs are the price of the
    memory: the logits are computed in forward and again in backward.
    """
    hidden, rows_of = checked_tensor(input, "input"), checked_tensor(weight, "weight")
    classes = checked_classes(target)
    choice(reduction, "reduction", REDUCTIONS)
    loss = loss_of(ignore_index, label_smoothing, z_loss, softcap)
    if rows_of.ndim != 2 or hidden.ndim == 0 or hidden.shape[-1] != rows_of.shape[1]:
        expected = "shape [V, H] with the H of input, [..., H]"
        got = f"shapes {tuple(rows_of.shape)} and {tuple(hidden.shape)}"
        raise value_error("weight", expected, got)
    if classes.shape != hidden.shape[:-1]:
        expected = f"shape {tuple(hidden.shape[:-1])}, that of input without its last axis"
        raise value_error("target", expected, f"shape {tuple(classes.shape)}")
    if bias is not None and checked_tensor(bias, "bias").shape != rows_of.shape[:1]:
        raise value_error("bias", f"shape [{len(rows_of)}], one per class", f"shape {tuple(bias.shape)}")
    flat = hidden.reshape(-1, hidden.shape[-1]).contiguous()
    kept = classes.reshape(-1).contiguous()
    losses: torch.Tensor = _LinearCrossEntropy.apply(flat, rows_of.contiguous(), bias, (kept, loss))
    counted = int((classes != loss.ignore_index).sum())
    like = hidden if rows_of.dtype != torch.float64 else rows_of
    return reduced(losses.view(classes.shape), counted, reduction, like)
