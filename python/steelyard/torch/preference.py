"""Preference losses of tensors, with their exact gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .._mode import standard_mode
from .._options import choice
from ..errors import type_error, value_error
from ..preference import preference_loss as losses_of_pairs
from ._tensors import DTYPES, dtype_name
from .losses import REDUCTIONS, Reduction, refuse_second_order
from .preference_formulas import formula_losses

__all__ = ["column_of", "constant", "preference_loss"]

COLUMNS = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")


class _PreferenceLoss(torch.autograd.Function):
    """The losses of pairs, in float64, times their weights.

    The columns are the policy's and, where there are any, the reference's.
    """

    @staticmethod
    def forward(ctx: Any, options: dict[str, Any], *columns: torch.Tensor) -> torch.Tensor:
        found = losses_of_pairs(*(column.detach() for column in columns), gradients=True, dtype="float64", **options)
        assert found.losses is not None
        assert found.grad_chosen is not None
        assert found.grad_rejected is not None
        slopes = (torch.from_numpy(grad.copy()) for grad in (found.grad_chosen, found.grad_rejected))
        ctx.save_for_backward(*slopes, *columns)
        ctx.options = options
        losses = torch.from_numpy(found.losses.copy())
        weights = options["weights"]
        # A pair of weight 0 has no loss, and adds none.
        return losses if weights is None else torch.where(torch.from_numpy(found.counted.copy()), losses * weights, 0.0)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        wanted, columns = ctx.needs_input_grad[1:], ctx.saved_tensors[2:]
        if torch.is_grad_enabled():
            return None, *_differentiable(ctx.options, columns, wanted, slope)
        by_chosen, by_rejected = ctx.saved_tensors[:2]
        # The losses depend on the policy's log-probability less the reference's, but for a likelihood beside them.
        by = [by_chosen, by_rejected, -(by_chosen + _likelihood(ctx.options)), -by_rejected]
        return None, *(
            (slope * own).to(column.dtype) if needed else None
            for own, column, needed in zip(by[: len(columns)], columns, wanted, strict=True)
        )


def _likelihood(options: dict[str, Any]) -> torch.Tensor | float:
    """The weight of the chosen answers' negative log-likelihood, which a mixture adds to what it compares."""
    if not isinstance(options["loss"], Mapping) or options["sft"] is None:
        return 0.0
    weight = float(options["sft"])
    return weight if options["weights"] is None else weight * options["weights"]


def _differentiable(
    options: dict[str, Any], columns: Sequence[torch.Tensor], wanted: Sequence[bool], slope: torch.Tensor
) -> list[torch.Tensor | None]:
    """The gradients as functions that can be differentiated again, from the formula of the loss."""
    if options["convention"] not in (None, "steelyard"):
        refuse_second_order(f"preference_loss with convention={options['convention']!r}", "the loss without it")
    losses = formula_losses(columns, options)
    of = [column for column, needed in zip(columns, wanted, strict=True) if needed]
    found = iter(torch.autograd.grad(losses, of, slope, create_graph=True))
    return [next(found) if needed else None for needed in wanted]


@standard_mode
def preference_loss(
    policy_chosen: torch.Tensor,
    policy_rejected: torch.Tensor,
    reference_chosen: torch.Tensor | None = None,
    reference_rejected: torch.Tensor | None = None,
    *,
    loss: str | Mapping[str, float] = "dpo",
    beta: float = 0.1,
    label_smoothing: float | None = None,
    shift: float | None = None,
    temperature: float | None = None,
    gamma: float | None = None,
    alpha: float | None = None,
    sft: float | None = None,
    lengths: tuple[Any, Any] | None = None,
    margin: Any = None,
    weights: Any = None,
    divergence: str = "reverse-kl",
    convention: str | None = None,
    reduction: Reduction = "mean",
) -> torch.Tensor:
    """Compute a preference loss that can be differentiated: :func:`steelyard.preference_loss` of tensors.

    The losses, their formulas and the parameters of each are those of :func:`steelyard.preference_loss`, computed in
    float64; gradients are exact, not those of rounded intermediate results. What requires grad gets its gradient: the
    policy's log-probabilities, and the reference's where they require it as well. Second derivatives
    (``create_graph=True``) are those of the loss's formula in torch's own functions.

    Parameters
    ----------
    policy_chosen, policy_rejected : tensor of floats, shape [n]
        Log-probabilities of whole answers under the policy: of ``[B, T, V]`` logits,
        ``-cross_entropy(logits.transpose(1, 2), labels, reduction="none").sum(-1)`` gives them without a log-softmax.
        On another device than the CPU, they are copied to it, and gradients back: a few numbers a pair.
    reference_chosen, reference_rejected : tensor of floats, shape [n], or None
        The same under the reference; None for losses without one.
    loss : str or mapping
        The name of the loss: "dpo", "ipo", "simpo", ..., or the losses of a mixture with their weights. "aot", whose
        loss of a pair depends on other pairs' reference, takes a reference that requires no grad.
    beta : float
        Above 0.
    label_smoothing, shift, temperature, gamma, alpha, sft : float, optional
        The parameters of the loss, as :func:`steelyard.preference_loss` takes them; one number each, since a sweep has
        no one gradient.
    lengths : tuple (chosen, rejected) of arrays or tensors, optional
        The numbers of tokens, for losses of means over tokens.
    margin : array or tensor of floats, shape [n], optional
        What is subtracted from each pair's margin, a constant.
    weights : array or tensor of floats, shape [n], optional
        The weight of each pair, a constant. The loss of a pair is multiplied by it, and the mean divided by the sum of
        the weights, as torch's ``cross_entropy(weight=)`` does; for WPO, as in TRL, divide the "sum" by n.
    divergence : str
        As in :func:`steelyard.preference_loss`. Losses and gradients grow with the exponential of a log-ratio there,
        and beyond 88 they are infinite in float32: keep such columns in float64.
    convention : str, optional
        The library whose loss is computed and named, as in :func:`steelyard.preference_loss`: "trl", "liger", ...
    reduction : {"mean", "sum", "none"}
        What becomes of the pairs' losses.

    Returns
    -------
    tensor
        The loss, or with ``reduction="none"`` that of each pair; float32, or float64 for float64 columns.

    Raises
    ------
    TypeError, ValueError
        For what is no tensor of floats, and as :func:`steelyard.preference_loss` does. With a ``convention`` there is
        no second derivative.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import preference_loss
    >>> chosen = torch.tensor([-0.5, -10.0, -1.0], requires_grad=True)
    >>> reference = torch.tensor([-0.5, -10.1, -0.1]), torch.tensor([-0.1, -20.1, -0.1])
    >>> loss = preference_loss(chosen, torch.tensor([-0.1, -30.0, -21.0]), *reference, beta=0.1)
    >>> round(loss.item(), 4)
    0.3778
    >>> loss.backward()
    >>> chosen.grad.round(decimals=4).tolist()
    [-0.016699999570846558, -0.008999999612569809, -0.004000000189989805]

    Notes
    -----
    TRL and torchtune compute in the columns' own type, which in 16 bits makes a log-probability of -300 uncertain by 1.
    """
    choice(reduction, "reduction", REDUCTIONS)
    given = (policy_chosen, policy_rejected, reference_chosen, reference_rejected)
    columns = [
        column_of(x, name) for x, name in zip(given, COLUMNS, strict=True) if x is not None or name in COLUMNS[:2]
    ]
    if (reference_chosen is None) != (reference_rejected is None):
        missing = COLUMNS[2] if reference_chosen is None else COLUMNS[3]
        raise value_error(missing, "log-probabilities of the reference for both answers, or for none", "None")
    numbers: dict[str, Any] = {
        "beta": beta, "label_smoothing": label_smoothing, "shift": shift, "temperature": temperature, "gamma": gamma,
        "alpha": alpha, "sft": sft,
    }  # fmt: skip
    numbers = {name: constant(value, name) for name, value in numbers.items()}
    for name, value in numbers.items():
        if value is not None and np.ndim(value):
            raise value_error(name, "one number, since a sweep has no one gradient", "several", "call once for each")
    if loss == "aot" and any(column.requires_grad for column in columns[2:]):
        raise value_error("reference_chosen", "a reference that requires no grad for 'aot'", "one that does")
    factors = None if weights is None else _numbers(weights, "weights")
    offsets = None if margin is None else _numbers(margin, "margin")
    if isinstance(lengths, tuple):
        lengths = tuple(constant(length, f"lengths[{i}]") for i, length in enumerate(lengths))
    options = {
        "loss": loss, "lengths": lengths, "divergence": divergence, "convention": convention, "margin": offsets,
        "weights": factors, **numbers,
    }  # fmt: skip
    losses: torch.Tensor = _PreferenceLoss.apply(options, *columns)
    kind = torch.float64 if any(column.dtype == torch.float64 for column in columns) else torch.float32
    reduced = losses.sum() if reduction != "none" else losses
    if reduction == "mean":
        reduced = losses.mean() if factors is None else reduced / factors.sum()
    return reduced.to(kind).to(policy_chosen.device)


def constant(x: Any, name: str) -> Any:
    """What no gradient flows to, on the CPU where it is a tensor; raise for one that requires grad."""
    if not isinstance(x, torch.Tensor):
        return x
    if x.requires_grad:
        raise value_error(name, "a constant", "a tensor that requires grad", f"pass {name}.detach()")
    if x.layout is not torch.strided or x.device.type == "meta":
        raise type_error(name, "a dense tensor with values", f"one of {dtype_name(x.layout)} on {x.device}")
    return x.cpu()


def _numbers(x: Any, name: str) -> torch.Tensor:
    """A column of constants in float64."""
    return torch.as_tensor(constant(x, name)).double()


def column_of(x: object, name: str) -> torch.Tensor:
    """A tensor of floats on the CPU, through which gradients flow back to where it came from."""
    if not isinstance(x, torch.Tensor):
        raise type_error(name, "a tensor", type(x).__name__)
    if x.layout is not torch.strided or x.device.type == "meta" or x.dtype not in dict(DTYPES):
        expected = f"a dense tensor of {', '.join(known for _, known in DTYPES)}"
        raise type_error(name, expected, f"one of {dtype_name(x.dtype)} on {x.device}")
    return x.cpu()
