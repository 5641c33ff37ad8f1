"""The shares of all categories at once, as Goodman and as Sison and Glaz define their intervals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .intervals import Limits, wilson

__all__ = ["goodman", "sison_glaz"]

Floats = NDArray[np.float64]


def goodman(counts: list[int], z: float) -> list[Limits]:
    """Wilson's interval of each share; ``z`` is the critical value at alpha/K."""
    return [wilson(count, sum(counts), z) for count in counts]


def sison_glaz(counts: list[int], level: float) -> list[Limits]:
    """Between c below and c + 2 g above each count: the probability v(c) of a box of c either way passes the level."""
    n, before = sum(counts), 0.0
    for c in range(n):
        held = box(counts, c + 1)
        if held > level:
            above = c + 2 * (level - before) / (held - before)
            return [(max(0.0, (k - c) / n), min(1.0, (k + above) / n)) for k in counts]
        before = held
    return [(0.0, 1.0)] * len(counts)


def box(counts: list[int], c: int) -> float:
    """P(all counts within c of these), for a multinomial with these shares: Poisson counts, given their sum."""
    n = sum(counts)
    pmf = [np.array([poisson(i, k) for i in range(max(0, k - c), min(n, k + c) + 1)]) for k in counts]
    at = [np.arange(max(0, k - c), min(n, k + c) + 1) for k in counts]
    means = [float(p @ x / p.sum()) for p, x in zip(pmf, at, strict=True)]
    m2, m3, m4 = (
        np.array([p @ (x - m) ** r / p.sum() for p, x, m in zip(pmf, at, means, strict=True)]) for r in (2, 3, 4)
    )
    var = float(m2.sum())
    x, g1, g2 = (n - sum(means)) / math.sqrt(var), float(m3.sum()) / var**1.5, float((m4 - 3 * m2**2).sum()) / var**2
    hermite = [x**3 - 3 * x, x**4 - 6 * x**2 + 3, x**6 - 15 * x**4 + 45 * x**2 - 15]
    edgeworth = 1 + g1 * hermite[0] / 6 + g2 * hermite[1] / 24 + g1**2 * hermite[2] / 72
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi * var) * edgeworth
    return float(math.prod(float(p.sum()) for p in pmf) * density / poisson(n, n))


def poisson(i: int, mean: float) -> float:
    """P(X = i)."""
    return math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) if mean > 0 else float(i == 0)
