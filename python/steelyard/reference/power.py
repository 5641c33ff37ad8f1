"""The power of a decision on 0/1 answers, by adding up the probability of every outcome that decides.

``decides`` says of the counts of an outcome whether it does: whether the interval leaves the hypothesis out, or the
test rejects it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb, fsum

__all__ = ["of_pairs", "of_samples", "of_share"]


def binomial(k: int, n: int, p: float) -> float:
    """P(X = k) of n trials."""
    return comb(n, k) * p**k * (1 - p) ** (n - k)


def of_share(n: int, p: float, decides: Callable[[int], bool]) -> float:
    """Of k right answers of n, each right with probability p."""
    return fsum(binomial(k, n, p) for k in range(n + 1) if decides(k))


def of_pairs(n: int, wins: float, losses: float, decides: Callable[[int, int], bool]) -> float:
    """Of b wins and c losses of n pairs, which are trinomial."""
    ties = max(0.0, 1.0 - wins - losses)
    return fsum(
        comb(n, b) * comb(n - b, c) * wins**b * losses**c * ties ** (n - b - c)
        for b in range(n + 1)
        for c in range(n - b + 1)
        if decides(b, c)
    )


def of_samples(sizes: tuple[int, int], shares: tuple[float, float], decides: Callable[[int, int], bool]) -> float:
    """Of k right answers of the new model's sample and j of the baseline's."""
    (n, m), (p, q) = sizes, shares
    return fsum(binomial(k, n, p) * binomial(j, m, q) for k in range(n + 1) for j in range(m + 1) if decides(k, j))
