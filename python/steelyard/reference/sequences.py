"""Confidence sequences of the mean of values in [0, 1]: the published formulas, and bisection for their limits.

Betting and empirical Bernstein: Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86 (2024), theorems
3 and 2, with the bets of their equations 26 and 15. Beta-binomial: Howard, Ramdas, McAuliffe and Sekhon, Annals of
Statistics 49 (2021), proposition 7, with a Beta(1/2, 1/2) mixture.
"""

from __future__ import annotations

from collections.abc import Callable
from math import lgamma, log, pi

import numpy as np
from numpy.typing import NDArray

__all__ = ["bernstein", "beta_binomial", "bets", "betting", "p_value", "values"]

Floats = NDArray[np.float64]
BITS = 48


def values(x: Floats, base: Floats | None, bounds: tuple[float, float]) -> Floats:
    """Scores between the bounds, or their differences from those of a baseline, as values in [0, 1]."""
    low, high = bounds
    return (x - low) / (high - low) if base is None else (x - base + (high - low)) / (2.0 * (high - low))


def means(y: Floats) -> Floats:
    """The mean that is expected of each value and of the next one: (1/2 + the sum of the t values before)/(t + 1)."""
    found: Floats = (0.5 + np.concatenate([[0.0], np.cumsum(y)])) / np.arange(1, len(y) + 2)
    return found


def bets(y: Floats, alpha: float) -> Floats:
    """sqrt(2 log(2/alpha)/(v t log(t + 1))), v the variance (1/4 + sum (y_i - mean_i)^2)/t of the values before."""
    t = np.arange(1, len(y) + 1)
    variance = (0.25 + np.concatenate([[0.0], np.cumsum((y - means(y)[1:]) ** 2)])[:-1]) / t
    found: Floats = np.sqrt(2.0 * np.log(2.0 / alpha) / (variance * t * np.log(t + 1)))
    return found


def largest(y: Floats, bet: Floats, mean: float) -> float:
    """The largest logarithm that prod (1 + min(bet, 1/(2 mean)) (y - mean)) has reached."""
    return float(np.cumsum(np.log1p(np.minimum(bet, 0.5 / mean) * (y - mean))).max(initial=0.0))


def last(left_out: Callable[[float], bool]) -> float:
    """The last multiple of 2^-48 in [0, 1) that is left out, where all smaller ones are; 0 where none is."""
    low, high = 0, 1 << BITS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if left_out(middle / (1 << BITS)) else (low, middle)
    return low / (1 << BITS)


def betting(y: Floats, alpha: float) -> tuple[float, float]:
    """Of all times up to the last value: the means against which neither stake has ever become 1/alpha."""
    bet, enough = bets(y, alpha), log(2.0 / alpha)
    return last(lambda m: largest(y, bet, m) >= enough), 1.0 - last(lambda m: largest(1.0 - y, bet, m) >= enough)


def p_value(y: Floats, alpha: float, mean: float) -> float:
    """1 over the larger stake at its largest."""
    bet = bets(y, alpha)
    return min(1.0, 2.0 * float(np.exp(-max(largest(y, bet, mean), largest(1.0 - y, bet, 1.0 - mean)))))


def bernstein(y: Floats, alpha: float) -> tuple[float, float]:
    """Of all times up to the last value: the intersection of the empirical Bernstein intervals."""
    bet = np.minimum(bets(y, alpha), 0.5)
    deviations = (y - means(y)[:-1]) ** 2
    centre = np.cumsum(bet * y) / np.cumsum(bet)
    half = (log(2.0 / alpha) + np.cumsum(deviations * (-np.log1p(-bet) - bet))) / np.cumsum(bet)
    return max(0.0, (centre - half).max(initial=0.0)), min(1.0, (centre + half).min(initial=1.0))


def beta_binomial(k: int, n: int, alpha: float) -> tuple[float, float]:
    """Of now: the p with B(k + 1/2, n - k + 1/2)/(pi p^k (1 - p)^(n - k)) < 1/alpha."""

    def lower(k: int, rest: int) -> float:
        log_beta = lgamma(k + 0.5) + lgamma(rest + 0.5) - lgamma(k + rest + 1.0) - log(pi)
        low, high = 0.0, k / (k + rest)
        for _ in range(200):
            p = (low + high) / 2.0
            inside = p > 0.0 and log_beta - k * log(p) - rest * log(1.0 - p) < log(1.0 / alpha)
            low, high = (low, p) if inside else (p, high)
        return high

    return lower(k, n - k) if k else 0.0, 1.0 - lower(n - k, k) if n > k else 1.0
