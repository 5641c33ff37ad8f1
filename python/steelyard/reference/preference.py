"""Preference losses as formulas, in exact decimal arithmetic."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT = Context(prec=60, Emin=-10_000_000, Emax=10_000_000)


def _softplus(t: Decimal) -> Decimal:
    """Return log(1 + exp(t)), to 30 digits at least."""
    u = EXACT.exp(t)
    if t < -60:  # u - u^2/2 + ..., where 1 + u would lose u's digits
        return EXACT.subtract(u, EXACT.multiply(u, u) / 2)
    return EXACT.ln(EXACT.add(Decimal(1), u))


def _logistic(t: Decimal) -> Decimal:
    return EXACT.divide(Decimal(1), EXACT.add(Decimal(1), EXACT.exp(-t)))


def preference_loss(
    z: NDArray[np.float64], *, loss: str, beta: float, label_smoothing: float = 0.0
) -> dict[str, NDArray[Any]]:
    """Return losses and gradients of the chosen answers at the margins z that float64 computed.

    The compiled gradient is within 4 ulp for |z| <= 700; the loss within 4 ulp of its larger term.
    """
    pairs = [_pair(Decimal(v), loss, Decimal(beta), Decimal(label_smoothing)) for v in z.tolist()]
    losses, slopes = (np.array([float(pair[i]) for pair in pairs]) for i in (0, 1))
    return {"losses": losses, "grad_chosen": slopes, "grad_rejected": -slopes}


def _pair(z: Decimal, loss: str, beta: Decimal, e: Decimal) -> tuple[Decimal, Decimal]:
    """Return value and beta times slope."""
    one = Decimal(1)
    good = one - e
    if loss == "hinge":
        return (one - z, -beta) if z < 1 else (Decimal(0), Decimal(0))
    if loss == "ipo":
        gap = EXACT.divide(z - Decimal("0.5"), beta)
        return EXACT.multiply(gap, gap), 2 * gap
    right, wrong = _softplus(-z), _softplus(z)
    up, down = _logistic(z), _logistic(-z)
    if loss == "dpo":
        value, slope = EXACT.add(good * right, e * wrong), EXACT.subtract(e * up, good * down)
    else:
        scale = one - 2 * e
        value = EXACT.divide(EXACT.subtract(good * right, e * wrong), scale)
        slope = -EXACT.divide(EXACT.add(e * up, good * down), scale)
    return value, EXACT.multiply(beta, slope)
