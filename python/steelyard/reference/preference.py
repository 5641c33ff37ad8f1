"""Preference losses as formulas, in decimal arithmetic of 60 digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

EXACT = Context(prec=60, Emin=-10_000_000, Emax=10_000_000)
"""The context of all arithmetic here: :func:`preference_loss` sets it, so that formulas use Python's operators."""


FAR = 1_000_000
"""An exponent so large that 1 beside its exponential is lost."""


def _softplus(t: Decimal) -> Decimal:
    """Return log(1 + exp(t)), accurate to at least 30 digits."""
    if t > FAR:
        return t
    u = t.exp()
    return u - u * u / 2 if t < -60 else (1 + u).ln()  # there 1 + u would lose the digits of u


def _logistic(t: Decimal) -> Decimal:
    return t.exp() if t < -FAR else 1 / (1 + (-t).exp())


Loss = tuple[Decimal, Decimal, Decimal, Decimal]
"""The loss, its gradients with respect to x and to y, and the extent of the pair (how far from 0 its margins are)."""


class Given(NamedTuple):
    """The parameters of a loss. Those of float64 arithmetic are floats; ``e`` is the label smoothing."""

    beta: float
    e: Decimal
    shift: float
    temperature: Decimal
    gamma: float
    sft: Decimal

    @property
    def b(self) -> Decimal:
        """Beta, for arithmetic of 60 digits."""
        return Decimal(self.beta)

    def alone(self, x: float, y: float) -> tuple[Decimal, Decimal]:
        """Return ``beta x`` and ``beta y``, for losses of the two answers each by itself."""
        return Decimal(self.beta * x), Decimal(self.beta * y)


def _of_margin(formula: Callable[[Decimal, Given], tuple[Decimal, Decimal]]) -> Callable[..., Loss]:
    """Make a loss of a formula that gives value and slope as functions of ``z = beta (x - y)``."""

    def at(x: float, y: float, given: Given) -> Loss:
        z = Decimal(given.beta * (x - y) - given.gamma)
        value, slope = formula(z, given)
        along = given.b * slope
        return value, along, -along, abs(z)

    return at


@_of_margin
def _dpo(z: Decimal, given: Given) -> tuple[Decimal, Decimal]:
    e = given.e
    return (1 - e) * _softplus(-z) + e * _softplus(z), e * _logistic(z) - (1 - e) * _logistic(-z)


@_of_margin
def _robust(z: Decimal, given: Given) -> tuple[Decimal, Decimal]:
    e = given.e
    value = (1 - e) * _softplus(-z) - e * _softplus(z)
    slope = e * _logistic(z) + (1 - e) * _logistic(-z)
    return value / (1 - 2 * e), -slope / (1 - 2 * e)


@_of_margin
def _hinge(z: Decimal, _: Given) -> tuple[Decimal, Decimal]:
    return (1 - z, Decimal(-1)) if z < 1 else (Decimal(0), Decimal(0))


@_of_margin
def _ipo(z: Decimal, given: Given) -> tuple[Decimal, Decimal]:
    gap = (z - Decimal("0.5")) / given.b
    return gap * gap, 2 * gap / given.b


@_of_margin
def _exo_pair(z: Decimal, given: Given) -> tuple[Decimal, Decimal]:
    e = given.e
    right = _logistic(z) * (-_softplus(-z) - (1 - e).ln())
    wrong = _logistic(-z) * (-_softplus(z) - e.ln())
    return right + wrong, _logistic(z) * _logistic(-z) * (z - ((1 - e) / e).ln())


@_of_margin
def _discopop(z: Decimal, given: Given) -> tuple[Decimal, Decimal]:
    t = given.temperature
    m, rest = _logistic(z / t), _logistic(-z / t)
    logistic, exponential = _softplus(-z), (-z).exp()
    slope = m * rest / t * (exponential - logistic) - rest * _logistic(-z) - m * exponential
    return rest * logistic + m * exponential, slope


def _apo_zero(x: float, y: float, given: Given) -> Loss:
    chosen, rejected = given.alone(x, y)
    up, down = (_logistic(t) * _logistic(-t) for t in (chosen, rejected))
    value = _logistic(-chosen) + _logistic(rejected)
    return value, -given.b * up, given.b * down, max(abs(chosen), abs(rejected))


def _apo_down(x: float, y: float, given: Given) -> Loss:
    chosen, z = Decimal(given.beta * x), Decimal(given.beta * (x - y))
    alone, both = (_logistic(t) * _logistic(-t) for t in (chosen, z))
    value = _logistic(chosen) + _logistic(-z)
    return value, given.b * (alone - both), given.b * both, max(abs(chosen), abs(z))


def _nca_pair(x: float, y: float, given: Given) -> Loss:
    chosen, rejected = given.alone(x, y)
    value = _softplus(-chosen) + (_softplus(chosen) + _softplus(rejected)) / 2
    up, down = _logistic(chosen) / 2 - _logistic(-chosen), _logistic(rejected) / 2
    return value, given.b * up, given.b * down, max(abs(chosen), abs(rejected))


def _bco_pair(x: float, y: float, given: Given) -> Loss:
    chosen, rejected = (Decimal(given.beta * ratio - given.shift) for ratio in (x, y))
    value = _softplus(-chosen) + _softplus(rejected)
    up, down = -_logistic(-chosen), _logistic(rejected)
    return value, given.b * up, given.b * down, max(abs(chosen), abs(rejected))


def _sppo_hard(x: float, y: float, given: Given) -> Loss:
    chosen, rejected = given.alone(x, y)
    up, down = (chosen - Decimal("0.5")) / given.b, (rejected + Decimal("0.5")) / given.b
    return up * up + down * down, 2 * up, 2 * down, max(abs(chosen), abs(rejected))


def _cpo(x: float, y: float, given: Given) -> Loss:
    z = Decimal(given.beta * (x - y))
    slope = given.b * _logistic(-z)
    return _softplus(-z) - given.sft * Decimal(x), -slope - given.sft, slope, abs(z)


def _orpo(x: float, y: float, given: Given) -> Loss:
    chosen, gap = Decimal(x), Decimal(x - y)
    slope = given.b * _logistic(-gap)
    value = _softplus(-chosen) + given.b * _softplus(-gap)
    return value, -_logistic(-chosen) - slope, slope, max(abs(chosen), abs(gap))


LOSSES: dict[str, Callable[..., Loss]] = {
    "dpo": _dpo,
    "robust": _robust,
    "hinge": _hinge,
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
    "cpo": _cpo,
    "simpo": _dpo,
    "alphapo": _dpo,
    "orpo": _orpo,
}


Score = tuple[Decimal, Decimal]
"""A score of a log-ratio, and its derivative."""


def _ratio(r: Decimal, _: Decimal) -> Score:
    return r, Decimal(1)


def _power(r: Decimal, k: Decimal) -> Score:
    """Return the score ``(exp(k r) - 1) / k``; from the exponent 340 on, it goes on in a straight line."""
    if k == 0:
        return r, Decimal(1)
    curved = min(k * r, Decimal(340))
    return (curved.exp() - 1 + curved.exp() * (k * r - curved)) / k, curved.exp()


def _log_odds(r: Decimal, _: Decimal) -> Score:
    rest = 1 - min(r, Decimal("-1e-300")).exp(Context(prec=400))
    return r - rest.ln(), 1 / rest


SCORES: dict[str, Callable[[Decimal, Decimal], Score]] = {
    "reverse-kl": _ratio,
    "forward-kl": lambda r, _: _power(r, Decimal(-1)),
    "js": lambda r, _: (Decimal(2).ln() - _softplus(-r), _logistic(-r)),
    "alpha": lambda r, alpha: _power(r, alpha - 1),
    "alphapo": lambda r, alpha: _power(r, -alpha),
    "orpo": _log_odds,
}
"""The scores that losses compare: by divergence, and of the losses that have one of their own."""


def scores(
    log_ratios: NDArray[np.float64], *, of: str, alpha: float = 0.5, lengths: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scores of answers, and their derivatives by the policy's log-probability.

    ``log_ratios`` are the log-probabilities of the policy, minus those of the reference where there is one. With
    ``lengths`` they are divided by these (0 for an empty answer). ``of`` is a name in :data:`SCORES`.
    """
    ones = np.ones(len(log_ratios))
    tokens = ones if lengths is None else np.maximum(lengths, 1.0)
    with localcontext(EXACT):
        found = [SCORES[of](Decimal(r), Decimal(alpha)) for r in (log_ratios / tokens).tolist()]
    per_token = ones if lengths is None else np.where(lengths == 0, 0.0, 1 / tokens)
    values, slopes = (np.array([float(value) for value in column]) for column in zip(*found, strict=True))
    return values, slopes * per_token


def of_equal_rank(policy: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each pair the pair whose difference has the same rank under the reference, for "aot".

    The differences are log-probabilities of the chosen answers less those of the rejected ones; equal ones keep their
    order.
    """
    partners = np.empty(len(policy), np.int64)
    partners[np.argsort(policy, kind="stable")] = np.argsort(reference, kind="stable")
    return partners


def mixture(
    x: NDArray[np.float64], y: NDArray[np.float64], *, loss: Mapping[str, float], **options: Any
) -> dict[str, Any]:
    """Return the weighted sum of losses and of gradients, and the extents of the pairs."""
    found = [(weight, preference_loss(x, y, loss=name, **options)) for name, weight in loss.items()]
    names = ("losses", "grad_chosen", "grad_rejected")
    summed = {name: sum(weight * one[name] for weight, one in found) for name in names}
    return summed | {"extents": np.maximum.reduce([one["extents"] for _, one in found])}


def preference_loss(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    loss: str,
    beta: float,
    label_smoothing: float | None = None,
    shift: float = 0.0,
    temperature: float = 0.05,
    gamma: float = 0.0,
    sft: float = 1.0,
    margin: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Return the losses of pairs, the gradients for the chosen and the rejected answers, and the extents of the pairs.

    ``x`` and ``y`` are the log-probabilities of the policy minus those of the reference, for the chosen and the
    rejected answer, or what the loss compares instead of these (:func:`scores`). Up to an extent of 700, the compiled
    gradient is accurate to 4 ulp (of some losses to 8), and the loss to 4 ulp of its larger term. Beyond that, a pair
    counts as saturated. ``label_smoothing`` is 0 by default, 0.001 for "exo_pair". ``margin`` is subtracted from the
    margin of each pair.
    """
    at = LOSSES[loss]
    if label_smoothing is None:
        label_smoothing = 1e-3 if loss == "exo_pair" else 0.0
    with localcontext(EXACT):
        given = Given(beta, Decimal(label_smoothing), shift, Decimal(temperature), gamma, Decimal(sft))
        offsets = (gamma + (np.zeros(len(x)) if margin is None else margin)).tolist()
        pairs = [
            at(*pair, given._replace(gamma=offset))
            for *pair, offset in zip(x.tolist(), y.tolist(), offsets, strict=True)
        ]
    columns = (np.array([float(value) for value in column]) for column in zip(*pairs, strict=True))
    return dict(zip(("losses", "grad_chosen", "grad_rejected", "extents"), columns, strict=True))
