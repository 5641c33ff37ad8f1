"""What k of the answers to a problem would give: pass@k and maj@k, without bias."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import _core

__all__ = ["Counts", "majority_at", "pass_at"]

Counts = NDArray[np.uint64]
Chances = NDArray[np.float64]


def pass_at(right: Counts, tried: Counts, k: int) -> Chances:
    """The chance that one of k answers is right, for each problem with ``right`` of ``tried`` answers right.

    It is ``1 - C(n - c, k) / C(n, k)`` (Chen et al., arXiv 2107.03374).
    """
    return _core.pass_at(right, tried, k=k)


def majority_at(right: Counts, tried: Counts, wrong: Counts, ends: Counts, k: int) -> Chances:
    """The chance that the right answer has the most votes of k answers, a tie with t others counting 1/(t + 1).

    ``wrong`` holds, problem after problem, how often each wrong answer was given; the counts of problem i end before
    ``ends[i]``. Answers that are neither right nor counted there vote for nothing.
    """
    return _core.majority_at(right, tried, wrong=wrong, ends=ends, k=k)
