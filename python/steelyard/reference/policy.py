"""Losses of a policy and advantages as formulas: one loop over answers and tokens, in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIVISORS", "along_tokens", "policy_loss", "within_groups"]

Floats = NDArray[np.float64]

LIMIT = 80.0
"""Beyond this the exponential goes on in a straight line."""

DIVISORS = {
    "ppo": "tokens",
    "grpo": "answers",
    "dr_grpo": "room",
    "bnpo": "tokens",
    "dapo": "tokens",
    "cispo": "tokens",
    "gspo": "answers",
}
"""What the sum over tokens is divided by: the tokens that count, those of the answer and then the answers, or n T."""


def _power(d: float) -> tuple[float, float]:
    """``exp(d)``, beyond the limit in a straight line, and its derivative."""
    end = math.exp(min(max(d, -700.0), LIMIT))
    return (end * (1 + d - LIMIT), end) if d > LIMIT else (end, end)


def _bend(d: float) -> float:
    """``exp(d) - 1 - d``; the Taylor series where the difference would lose digits."""
    if abs(d) < 0.1:
        return sum(d**k / math.factorial(k) for k in range(2, 14))
    return _power(d)[0] - 1 - d


def _clipped(r: float, slope: float, a: float, low: float, high: float) -> tuple[float, float, bool, bool]:
    """``-min(r a, clip(r) a)`` with its derivative, and on which side it was clipped."""
    if a > 0 and r > high:
        return -high * a, 0.0, False, True
    if a < 0 and r < low:
        return -low * a, 0.0, True, False
    return -r * a, -slope * a, False, False


def _divergence(d: float, estimator: str) -> tuple[float, float]:
    """The estimate for ``d = reference - logprob``, and its derivative with respect to ``logprob``."""
    if estimator == "k1":
        return -d, 1.0
    return (d * d / 2, -d) if estimator == "k2" else (_bend(d), -math.expm1(min(d, LIMIT)))


def policy_loss(
    logprob: Floats,
    old_logprob: Floats,
    advantage: Floats,
    counted: NDArray[np.bool_],
    *,
    loss: str,
    clip: tuple[float, float],
    reference: Floats | None = None,
    kl_weight: float = 0.0,
    estimator: str = "k3",
    divisor: float | None = None,
) -> dict[str, Any]:
    """Return the loss, its gradient, each answer's share of it, and the sums of ratios, clips and divergences.

    ``logprob``, ``old_logprob``, ``reference`` and ``counted`` are [n, T], ``advantage`` is [n] or [n, T]. ``clip``
    is the distance of the limits from 1.
    """
    n, width = logprob.shape
    low, high = 1 - clip[0], 1 + clip[1]
    each = np.broadcast_to(advantage if advantage.ndim == 2 else advantage[:, None], logprob.shape)
    counts = counted.sum(axis=1)
    sums = {name: np.zeros(n) for name in ("loss", "low", "high", "ratio", "kl", "reference")}
    slopes, saturated = np.zeros((n, width)), 0
    for i in range(n):
        tokens = np.flatnonzero(counted[i])
        d = logprob[i] - old_logprob[i]
        whole = float(d[tokens].mean()) if len(tokens) else 0.0
        saturated += loss == "gspo" and whole > LIMIT
        for t in tokens:
            r, slope = _power(float(whole if loss == "gspo" else d[t]))
            a = float(each[i, t])
            if loss == "cispo":
                weight = min(max(r, low), high)
                value, by, below, above = -weight * a * float(logprob[i, t]), -weight * a, r < low, r > high
            else:
                value, by, below, above = _clipped(r, slope, a, low, high)
            saturated += loss != "gspo" and d[t] > LIMIT
            if reference is not None:
                apart = float(reference[i, t] - logprob[i, t])
                kl, by_kl = _divergence(apart, estimator)
                value, by = value + kl_weight * kl, by + kl_weight * by_kl
                sums["reference"][i] += kl
                saturated += estimator == "k3" and apart > LIMIT
            slopes[i, t] = by
            sums["loss"][i] += value
            sums["low"][i] += below
            sums["high"][i] += above
            sums["ratio"][i] += math.expm1(whole if loss == "gspo" else d[t]) if r < 1e30 else r
            sums["kl"][i] += _bend(float(d[t]))
    filled = np.maximum(counts, 1)
    whole_divisor = {"tokens": counts.sum(), "room": n * width}.get(DIVISORS[loss])
    divided = n * filled if whole_divisor is None else np.full(n, divisor or float(whole_divisor))
    losses = sums["loss"] * n / divided
    return {
        "loss": losses.mean(), "losses": losses, "gradient": slopes / divided[:, None], "counts": counts,
        "saturated": int(saturated), "slopes": slopes, **{k: v for k, v in sums.items() if k != "loss"},
    }  # fmt: skip


def within_groups(
    rewards: Floats,
    groups: NDArray[Any],
    *,
    leave_one_out: bool = False,
    scaled: bool = False,
    ddof: int = 1,
    epsilon: float = 0.0,
) -> Floats:
    """Return rewards less the mean of their group, or of its others, over its standard deviation with ``scaled``.

    0 in groups without spread, and in groups too small for a baseline or a standard deviation.
    """
    advantages = np.zeros(len(rewards))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        r, k = rewards[rows], len(rows)
        if k < 2 or (scaled and k <= ddof) or (r == r[0]).all():
            continue
        base = (math.fsum(r) - r) / (k - 1) if leave_one_out else math.fsum(r) / k
        spread = math.sqrt(math.fsum((r - math.fsum(r) / k) ** 2) / (k - ddof)) + epsilon if scaled else 1.0
        advantages[rows] = (r - base) / spread
    return advantages


def along_tokens(
    rewards: Floats,
    values: Floats,
    counted: NDArray[np.bool_],
    last: Floats | None = None,
    *,
    gamma: float,
    lam: float,
) -> tuple[Floats, Floats]:
    """Return generalized advantages and returns of the tokens that count, and 0 elsewhere."""
    advantages, returns = np.zeros(rewards.shape), np.zeros(rewards.shape)
    for i in range(len(rewards)):
        ahead, following = 0.0, 0.0 if last is None else float(last[i])
        for t in np.flatnonzero(counted[i])[::-1]:
            ahead = rewards[i, t] + gamma * following - values[i, t] + gamma * lam * ahead
            following = values[i, t]
            advantages[i, t], returns[i, t] = ahead, ahead + values[i, t]
    return advantages, returns
