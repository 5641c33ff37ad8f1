"""What k of the answers to a problem would give, by exact counts of the ways to choose them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["majority_at", "pass_at"]

Floats = NDArray[np.float64]


def pass_at(right: Any, tried: Any, k: int) -> Floats:
    """The chance that one of k answers is right: 1 - C(n - c, k) / C(n, k) for each problem with c of n right."""
    problems = zip(np.asarray(right).tolist(), np.asarray(tried).tolist(), strict=True)
    return np.array([float(1 - Fraction(comb(n - c, k), comb(n, k))) for c, n in problems], np.float64)


def majority_at(right: int, wrong: Sequence[int], tried: int, k: int) -> float:
    """The chance that the right answer has the most votes of k answers, a tie with t others counting 1/(t + 1).

    ``wrong`` counts each wrong answer; the answers that are neither right nor counted there are blank.
    """
    blank = tried - right - sum(wrong)
    wins = Fraction(0)
    for j in range(1, min(right, k) + 1):
        ways: Counter[tuple[int, int]] = Counter({(k - j, 0): comb(right, j)})  # by (answers left to choose, ties)
        for m in wrong:
            after: Counter[tuple[int, int]] = Counter()
            for (left, ties), many in ways.items():
                for v in range(min(m, j, left) + 1):
                    after[left - v, ties + (v == j)] += many * comb(m, v)
            ways = after
        wins += sum(Fraction(many * comb(blank, left), ties + 1) for (left, ties), many in ways.items())
    return float(wins / comb(tried, k))
