"""Cross-entropy of hidden states and the weights of the vocabulary on the CPU, without the logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from .._options import choice
from ..errors import called, value_error
from ..tokens import token_scores, token_scores_from_hidden
from .losses import (
    REDUCTIONS,
    Loss,
    Reduction,
    check_range,
    checked_classes,
    checked_tensor,
    gradient,
    loss_of,
    losses_of,
    reduced,
    refuse_second_order,
)

__all__ = ["linear_cross_entropy"]

# Logits that backward makes at a time: 16 MiB of float32, and as much again for their gradient.
AT_ONCE = 1 << 22
# Classes whose weights are multiplied at a time; those of 16 bits are converted first.
CLASSES = 1 << 12


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
        ctx.loss = loss
        return losses_of(scores, loss)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        refuse_second_order()
        saved: list[Any] = [x if x is None else x.detach() for x in ctx.saved_tensors]
        # Products in the type that is computed in, also where the caller has switched autocast on.
        with torch.autocast("cpu", enabled=False):
            return (*_gradients(saved, slope, ctx.loss, ctx.needs_input_grad), None)


def _gradients(saved: list[Any], slope: torch.Tensor, loss: Loss, wanted: Sequence[bool]) -> list[torch.Tensor | None]:
    """The gradients of hidden states, weights and bias, None for those that are not wanted."""
    hidden, weight, bias, target = saved
    kind = torch.promote_types(torch.promote_types(hidden.dtype, weight.dtype), torch.float32)
    counts = (target != loss.ignore_index).nonzero()[:, 0]
    states, target, slope = hidden[counts].to(kind), target[counts], slope[counts]
    logits = _Logits(states, weight, bias)
    log_z = _log_z(logits, target, loss)
    by_state = torch.zeros(states.shape, dtype=kind) if wanted[0] else None
    by_weight = torch.zeros(weight.shape, dtype=weight.dtype) if wanted[1] else None
    by_bias = torch.zeros(len(weight), dtype=kind) if wanted[2] else None
    part: torch.Tensor | None = None
    for rows, classes in logits.blocks():
        made, w = logits.of(rows, classes)
        shard = (classes.start, len(weight))
        by_logit = gradient(made, target[rows], log_z[rows], slope[rows], loss=loss, shard=shard)
        if by_state is not None:
            by_state[rows].addmm_(by_logit, w)
        if by_bias is not None:
            by_bias[classes] += by_logit.sum(0)
        if by_weight is not None:
            # All rows of these classes are added up before they are rounded to the type of the weights.
            some = states[rows]
            part = torch.mm(by_logit.T, some) if rows.start == 0 else torch.addmm(part, by_logit.T, some)
            if rows.stop == len(states):
                by_weight[classes] = part.to(weight.dtype)
    return [
        None if by_state is None else torch.zeros_like(hidden).index_copy_(0, counts, by_state.to(hidden.dtype)),
        by_weight,
        None if by_bias is None else by_bias.to(bias.dtype),
    ]


class _Logits:
    """The logits of some rows and classes, by torch's product."""

    def __init__(self, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self.states, self.weight, self.bias = states, weight, bias

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Rows and classes that are made at a time; all rows of some classes come together."""
        n, v = len(self.states), len(self.weight)
        wide = min(v, CLASSES)
        tall = max(1, AT_ONCE // wide)
        for first in range(0, v, wide):
            for row in range(0, n, tall):
                yield slice(row, min(n, row + tall)), slice(first, min(v, first + wide))

    def of(self, rows: slice, classes: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """The logits, and the weights of the classes."""
        kind = self.states.dtype
        w = self.weight[classes].to(kind)
        made = torch.mm(self.states[rows], w.T)
        if self.bias is not None:
            made += self.bias[classes].to(kind)
        return made, w


def _log_z(logits: _Logits, target: torch.Tensor, loss: Loss) -> Any:
    """Find log Z of these very logits: with that of another product the probabilities would not sum to 1."""
    log_z = torch.full((len(target),), -torch.inf, dtype=torch.float64)
    first_class = torch.zeros_like(target)
    for rows, classes in logits.blocks():
        made, _ = logits.of(rows, classes)
        of_block = token_scores(made, first_class[rows], ignore_index=None, softcap=loss.softcap).log_z
        log_z[rows] = torch.logaddexp(log_z[rows], torch.tensor(of_block))
    return log_z.numpy()


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

    Forward is :func:`steelyard.token_scores_from_hidden`: it multiplies block by block, without the rows that do not
    count. Backward makes the logits of some rows and classes again (16 MiB in float32, and their gradient), first to
    find log Z of these logits, then to add up the gradients of hidden states, weights and bias, by torch's own products
    of matrices in float32 (float64 for such tensors), also where the tensors have 16 bits and under autocast. Hidden
    states and their gradient are held in that type meanwhile. The bits of the gradients are torch's, which may differ
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
    memory: backward makes the logits twice.
    """
    hidden, rows_of = checked_tensor(input, "input"), checked_tensor(weight, "weight")
    classes = checked_classes(target)
    choice(reduction, "reduction", REDUCTIONS)
    loss = loss_of(ignore_index, label_smoothing, z_loss, softcap)
    if rows_of.ndim != 2 or 0 in rows_of.shape or hidden.ndim == 0 or hidden.shape[-1] != rows_of.shape[1]:
        expected = "shape [V, H] with the H of input, [..., H]"
        got = f"shapes {tuple(rows_of.shape)} and {tuple(hidden.shape)}"
        raise value_error("weight", expected, got)
    if classes.shape != hidden.shape[:-1]:
        expected = f"shape {tuple(hidden.shape[:-1])}, that of input without its last axis"
        raise value_error("target", expected, f"shape {tuple(classes.shape)}")
    check_range(classes, len(rows_of), loss.ignore_index)
    if bias is not None and checked_tensor(bias, "bias").shape != rows_of.shape[:1]:
        raise value_error("bias", f"shape [{len(rows_of)}], one per class", f"shape {tuple(bias.shape)}")
    flat = hidden.reshape(-1, hidden.shape[-1]).contiguous()
    kept = classes.reshape(-1).contiguous()
    with called({"targets": "target", "hidden": "input"}):
        losses: torch.Tensor = _LinearCrossEntropy.apply(flat, rows_of.contiguous(), bias, (kept, loss))
    counted = int((classes != loss.ignore_index).sum())
    like = hidden if rows_of.dtype != torch.float64 else rows_of
    return reduced(losses.view(classes.shape), counted, reduction, like)
