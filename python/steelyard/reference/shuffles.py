"""The permutation test that two columns are independent: every order of one beside the other, or random ones."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from .random import PERMUTATION, At, below, numbers

__all__ = ["DRAWN", "independence", "random_order", "ranks"]

Floats = NDArray[np.float64]
DRAWN = 9_999
SLACK = 2.0**-40


def ranks(x: Floats) -> Floats:
    """Twice the rank of each value about the mean rank; equal values share theirs."""
    return np.array([(x < v).sum() - (x > v).sum() for v in x], np.float64)


def random_order(n: int, seed: int, draw: int) -> list[int]:
    """Fisher and Yates: place i is swapped with one of the places from i on."""
    drawn, order = numbers(At(seed, PERMUTATION, replicate=draw)), list(range(n))
    for i in range(n):
        j = i + below(drawn, n - i)
        order[i], order[j] = order[j], order[i]
    return order


def independence(x: Floats, y: Floats, seed: int, *, of_ranks: bool, alternative: str = "two-sided") -> float:
    """The share of orders in which the sum of products about the means is at least as far out."""
    x, y = (ranks(v) if of_ranks else v - v.mean() for v in (x, y))
    slack, n = SLACK * float(np.sqrt((x * x).sum() * (y * y).sum())), len(x)
    if slack == 0.0:
        return 1.0
    exact = n <= 10
    orders = list(permutations(range(n))) if exact else [random_order(n, seed, b) for b in range(DRAWN)]
    sums, observed = y[np.array(orders)] @ x, float(x @ y)
    as_far = (sums <= observed + slack, sums >= observed - slack)
    less, greater = ((np.count_nonzero(far) + (not exact)) / (len(sums) + (not exact)) for far in as_far)
    return float({"less": less, "greater": greater, "two-sided": min(1.0, 2 * min(less, greater))}[alternative])
