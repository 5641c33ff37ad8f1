"""Intervals and tests of two models' scores beyond those of :mod:`steelyard.reference.intervals`.

``z`` is the critical value. Pairs: ``both`` right, ``wins``, ``losses`` and ``neither`` right; two samples: ``hits`` of
``rows`` on each side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np

from .intervals import Limits, bisect, wilson

__all__ = [
    "agresti_caffo",
    "bonett_price",
    "chi_squared",
    "fay_lumbard",
    "miettinen_nurminen",
    "newcombe_paired",
    "permutation",
    "score",
]

normal_cdf = NormalDist().cdf
Pair = tuple[int, int]


def newcombe_paired(both: int, wins: int, losses: int, neither: int, z: float) -> Limits:
    """Square and add with the correlation of the answers, corrected for continuity where it is positive."""
    n = both + wins + losses + neither
    a, b = both + wins, both + losses
    (p, (p_low, p_high)), (q, (q_low, q_high)) = ((k / n, wilson(k, n, z)) for k in (a, b))
    product = both * neither - wins * losses
    corrected = max(product - n / 2, 0.0) if product > 0 else product
    margins = a * (n - a) * b * (n - b)
    phi = corrected / math.sqrt(margins) if margins else 0.0

    def root(x: float, y: float) -> float:
        return math.sqrt(max(0.0, x * x - 2 * phi * x * y + y * y))

    return p - q - root(p - p_low, q_high - q), p - q + root(p_high - p, q - q_low)


def bonett_price(wins: int, losses: int, n: int, z: float) -> Limits:
    """Wald's formula for one more win and one more loss of two more pairs."""
    won, lost = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
    half = z * math.sqrt((won + lost - (won - lost) ** 2) / (n + 2))
    return max(-1.0, won - lost - half), min(1.0, won - lost + half)


def agresti_caffo(hits: Pair, rows: Pair, z: float) -> Limits:
    """Wald's formula for one more right and one more wrong answer on each side."""
    p, q = ((k + 1) / (n + 2) for k, n in zip(hits, rows, strict=True))
    half = z * math.sqrt(p * (1 - p) / (rows[0] + 2) + q * (1 - q) / (rows[1] + 2))
    return max(-1.0, p - q - half), min(1.0, p - q + half)


def miettinen_nurminen(hits: Pair, rows: Pair, z: float) -> Limits:
    """The D whose score, with the variance of the likelihood estimates given D, is at most z from 0."""
    (k, j), (n, m) = hits, rows
    value = k / n - j / m

    def base_share(d: float) -> float:
        """The q of the largest likelihood with p = q + d: where the derivative of its logarithm changes its sign."""
        least, most = max(0.0, -d), min(1.0, 1.0 - d)

        def rises(q: float) -> bool:
            p = q + d
            return q * (1 - q) * (k - n * p) + p * (1 - p) * (j - m * q) > 0

        sides = sorted(min(max(q, least), most) for q in (j / m, k / n - d))
        return bisect(lambda q: not rises(q), sides[0], sides[1])

    def inside(d: float) -> bool:
        q = base_share(d)
        p = q + d
        variance = (p * (1 - p) / n + q * (1 - q) / m) * (n + m) / (n + m - 1)
        return abs(value - d) <= z * math.sqrt(max(0.0, variance))

    return tuple(end if inside(end) else bisect(inside, end, value) for end in (-1.0, 1.0))  # type: ignore[return-value]


def score(hits: Pair, rows: Pair) -> float:
    """The difference of the shares over sqrt(p (1 - p)(1/n + 1/m) N/(N - 1)), where p is the share of all N = n + m."""
    (k, j), (n, m) = hits, rows
    both = n + m
    p = (k + j) / both
    return (k / n - j / m) / math.sqrt(p * (1 - p) * (1 / n + 1 / m) * both / (both - 1)) if 0 < p < 1 else 0.0


def chi_squared(score: float, alternative: str = "two-sided") -> float:
    """The p-value of a score that is normal under the hypothesis."""
    two = 2 * normal_cdf(-abs(score))
    return {"greater": normal_cdf(-score), "less": normal_cdf(score), "two-sided": two}[alternative]


def permutation(new: Sequence[int], base: Sequence[int], alternative: str = "two-sided") -> float:
    """The share of all ways to deal whole scores to the sides in which the sum over ``new`` is as far out.

    ``ways[j]`` maps each sum of j of the scores read so far to the number of ways to choose them.
    """
    k, observed = len(new), sum(new)
    ways: list[dict[int, int]] = [{0: 1}] + [{} for _ in range(k)]
    for x in (*new, *base):
        for j in range(k, 0, -1):
            for total, count in ways[j - 1].items():
                ways[j][total + x] = ways[j].get(total + x, 0) + count
    every = sum(ways[k].values())
    less, greater = (
        Fraction(sum(count for total, count in ways[k].items() if sign * total <= sign * observed), every)
        for sign in (1, -1)
    )
    return float({"less": less, "greater": greater, "two-sided": min(Fraction(1), 2 * min(less, greater))}[alternative])


def fay_lumbard(wins: int, losses: int, n: int, tail: float) -> Limits:
    """The limits of T (2 B - 1) with T, B from the exact binomial limits: integrated over log T, by bisection."""

    def lower(b: int, c: int) -> float:
        m = b + c
        if b == 0:
            return -1.0 if m == n else -bisect(lambda t: 1.0 - beta_cdf(m + 1, n - m, t) <= tail, 0.0, 1.0)
        above = beta_cdf(b, c + 1, 0.5) < tail
        if m == n and not above:
            return 2.0 * bisect(lambda t: beta_cdf(b, c + 1, t) >= tail, 0.0, 1.0) - 1.0
        of = (m, n - m + 1) if above else (m + 1, n - m)
        log_beta = math.lgamma(of[0]) + math.lgamma(of[1]) - math.lgamma(sum(of))

        def below(d: float) -> float:
            # Even nodes of log T, where d/T is smooth for any d: T is between abs(d) and 1.
            width = -math.log(abs(d))
            log_t, weight = -width * NODES, width * WEIGHTS
            t = np.exp(log_t)
            density = np.exp(of[0] * log_t + (of[1] - 1) * np.log1p(-t) - log_beta)
            sure = beta_cdf(*of, d) if d > 0 else 0.0
            return float(sure + np.sum(weight * density * beta_cdf(b, c + 1, (1 + d / t) / 2)))

        start = 1.0 if above else 0.0
        return bisect(lambda u: below(u - 1.0) >= tail, start, start + 1.0) - 1.0

    return lower(wins, losses), -lower(losses, wins)


def beta_cdf(a: int, b: int, x: Any) -> Any:
    """P(X <= x) for X ~ Beta(a, b) with whole a and b: P(Y >= a) for Y ~ Binomial(a + b - 1, x)."""
    n, x = a + b - 1, np.asarray(x, float)[..., None]
    i = np.arange(a, n + 1)
    ways = np.array([math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in i.tolist()])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = ways + i * np.log(x) + np.where(i < n, (n - i) * np.log1p(-x), 0.0)
    return np.where(x[..., 0] <= 0, 0.0, np.minimum(1.0, np.exp(logs).sum(-1)))


_PANELS = 40
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
# Nodes and weights of an integral over [0, 1].
NODES = ((np.arange(_PANELS)[:, None] + (_NODES + 1) / 2) / _PANELS).ravel()
WEIGHTS = np.tile(_WEIGHTS / 2 / _PANELS, _PANELS)
