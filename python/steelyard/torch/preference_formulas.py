"""Preference losses as formulas in torch's own functions, which autograd can differentiate twice.

The kernels have the digits and the bits: near the zeros of a gradient a formula here loses some, and torch's functions
may differ in the last place from one machine to another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import logsigmoid

from .._registries import REGISTRIES

__all__ = ["FORMULAS", "formula_losses"]

STRAIGHT = 340.0
"""The exponent from which on the score of a divergence goes on in a straight line."""
CERTAIN = -1e-300
"""The log-probability of a token that is taken for certain: its log-odds would be infinite."""


class _Given(NamedTuple):
    """The scores of both answers, and the parameters of the loss."""

    x: torch.Tensor
    y: torch.Tensor
    margin: torch.Tensor | float
    """What is subtracted from the margin."""
    beta: float
    label_smoothing: float
    shift: float
    temperature: float
    sft: float

    @property
    def z(self) -> torch.Tensor:
        """The margin."""
        return self.beta * (self.x - self.y) - self.margin

    @property
    def rewards(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of both answers."""
        return self.beta * self.x, self.beta * self.y


def _dpo(of: _Given) -> torch.Tensor:
    e = of.label_smoothing
    return -(1 - e) * logsigmoid(of.z) - e * logsigmoid(-of.z)


def _robust(of: _Given) -> torch.Tensor:
    e = of.label_smoothing
    return (e * logsigmoid(-of.z) - (1 - e) * logsigmoid(of.z)) / (1 - 2 * e)


def _exo_pair(of: _Given) -> torch.Tensor:
    e = torch.tensor(of.label_smoothing, dtype=of.x.dtype)
    right = torch.sigmoid(of.z) * (logsigmoid(of.z) - torch.log1p(-e))
    return right + torch.sigmoid(-of.z) * (logsigmoid(-of.z) - torch.log(e))


def _discopop(of: _Given) -> torch.Tensor:
    """With m = s(z/t), ``m exp(-z)`` below 0 as ``s(-z/t) exp(z/t - z)``, whose exponent is not above 0 for t <= 1."""
    z, scaled = of.z, of.z / of.temperature
    exponential = torch.sigmoid(scaled.abs()) * torch.exp(torch.where(z < 0, scaled - z, -z))
    return exponential - torch.sigmoid(-scaled) * logsigmoid(z)


def _nca_pair(of: _Given) -> torch.Tensor:
    chosen, rejected = of.rewards
    return -logsigmoid(chosen) - 0.5 * (logsigmoid(-chosen) + logsigmoid(-rejected))


def _bco_pair(of: _Given) -> torch.Tensor:
    chosen, rejected = of.rewards
    return -logsigmoid(chosen - of.shift) - logsigmoid(of.shift - rejected)


def _apo_zero(of: _Given) -> torch.Tensor:
    chosen, rejected = of.rewards
    return torch.sigmoid(-chosen) + torch.sigmoid(rejected)


def _apo_down(of: _Given) -> torch.Tensor:
    return torch.sigmoid(of.rewards[0]) + torch.sigmoid(-of.z)


def _sppo_hard(of: _Given) -> torch.Tensor:
    chosen, rejected = of.rewards
    return torch.square((chosen - 0.5) / of.beta) + torch.square((rejected + 0.5) / of.beta)


def _ipo(of: _Given) -> torch.Tensor:
    return torch.square((of.z - 0.5) / of.beta)


FORMULAS: Mapping[str, Callable[[_Given], torch.Tensor]] = {
    "dpo": _dpo,
    "robust": _robust,
    "hinge": lambda of: torch.relu(1 - of.z),
    "ipo": _ipo,
    "apo_zero": _apo_zero,
    "nca_pair": _nca_pair,
    "exo_pair": _exo_pair,
    "bco_pair": _bco_pair,
    "sppo_hard": _sppo_hard,
    "apo_down": _apo_down,
    "discopop": _discopop,
    "sigmoid_norm": _dpo,
    "ipo_norm": _ipo,
    "aot": _dpo,
    "cpo": lambda of: _dpo(of) - of.sft * of.x,
    "simpo": _dpo,
    "alphapo": _dpo,
    "orpo": lambda of: -logsigmoid(of.x) - of.beta * logsigmoid(of.x - of.y),
}
"""The loss of pairs by its name in the registry, of the scores that it compares."""


def formula_losses(columns: Sequence[torch.Tensor], options: Mapping[str, Any]) -> torch.Tensor:
    """The losses of pairs times their weights in float64; ``options`` are those of a call that has been checked."""
    log_probs = [column.double() for column in columns]
    terms = options["loss"] if isinstance(options["loss"], Mapping) else {options["loss"]: 1.0}
    name = next(iter(terms))
    if name == "aot":
        log_probs[2:] = _of_equal_rank(log_probs)
    x, y = (_score(name, log_probs, side, options) for side in (0, 1))
    offset = 0.0 if options["margin"] is None else options["margin"]
    losses = torch.zeros_like(x)
    for term, weight in terms.items():
        numbers = [_parameter(term, of, options) for of in _Given._fields[3:]]
        losses = losses + weight * FORMULAS[term](_Given(x, y, offset + _parameter(term, "gamma", options), *numbers))
    if isinstance(options["loss"], Mapping) and "cpo" not in terms and options["sft"]:
        losses = losses - float(options["sft"]) * log_probs[0]
    weights = options["weights"]
    return losses if weights is None else torch.where(weights > 0, losses * weights, 0.0)


def _parameter(loss: str, name: str, options: Mapping[str, Any]) -> float:
    """A parameter of a loss: what was given, else its default; 0 where the loss has none."""
    own = REGISTRIES["preference.loss"][loss].parameters.get(name)
    if own is None:
        return 0.0
    return float(own.default or 0.0) if options[name] is None else float(options[name])


def _score(loss: str, log_probs: Sequence[torch.Tensor], side: int, options: Mapping[str, Any]) -> torch.Tensor:
    """What the loss compares of the chosen (``side`` 0) or of the rejected answers."""
    ratio = log_probs[side] - log_probs[side + 2] if len(log_probs) == 4 else log_probs[side]
    if options["lengths"] is not None:
        lengths = torch.as_tensor(options["lengths"][side]).double()
        # The mean of an empty answer is 0 and does not move.
        ratio = torch.where(lengths > 0, ratio, 0.0) / lengths.clamp(min=1)
    divergence, alpha = options["divergence"], options["alpha"]
    if loss == "orpo":
        return ratio - torch.log(-torch.expm1(ratio.clamp(max=CERTAIN)))
    if loss == "alphapo":
        return _power(ratio, -_parameter(loss, "alpha", options))
    if divergence == "forward-kl":
        return _power(ratio, -1.0)
    if divergence == "js":
        return logsigmoid(ratio) - logsigmoid(torch.zeros_like(ratio))
    if divergence == "alpha":
        default = REGISTRIES["preference.divergence"]["alpha"].parameters["alpha"].default
        return _power(ratio, float(default or 0.0 if alpha is None else alpha) - 1.0)
    return ratio


def _power(ratio: torch.Tensor, k: float) -> torch.Tensor:
    """``(exp(k r) - 1) / k``, beyond the last exponent in a straight line."""
    if k == 0.0:
        return ratio
    curved = (k * ratio).clamp(max=STRAIGHT)
    return (torch.expm1(curved) + torch.exp(curved) * (k * ratio - curved)) / k


def _of_equal_rank(log_probs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The reference's columns of the pairs whose differences have the same rank there."""
    policy, reference = (
        torch.sort((chosen - rejected).detach(), stable=True).indices
        for chosen, rejected in (log_probs[:2], log_probs[2:])
    )
    partners = torch.empty_like(policy)
    partners[policy] = reference
    return [column[partners] for column in log_probs[2:]]
