"""All pairs of many models tested together: the step-down max-t test over shared sign flips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .random import SIGN_FLIP, At, words

__all__ = ["max_t", "signs"]

Floats = NDArray[np.float64]
DRAWN = 9_999
SLACK = 2.0**-40


def signs(units: int, seed: int) -> tuple[Floats, bool]:
    """The patterns of signs [patterns, units], and whether these are all: beyond 9,999 as many are drawn."""
    if units < 64 and 1 << units <= DRAWN:
        numbers = np.arange(1 << units, dtype=np.uint64)
        return _signs(numbers[:, None] >> np.arange(units, dtype=np.uint64)), True
    place = np.arange(units, dtype=np.uint64)
    drawn = [words(At(seed, SIGN_FLIP, replicate=r), -(-units // 32)) for r in range(DRAWN)]
    return _signs(np.array(drawn)[:, place // 32] >> place % 32), False


def _signs(bits: NDArray[np.uint64]) -> Floats:
    return 1.0 - 2.0 * (bits & np.uint64(1)).astype(np.float64)


def max_t(x: Floats, seed: int) -> tuple[Floats, Floats]:
    """The matrices r and p of the columns of ``x`` [units, models].

    r[i, j] = sum d / sqrt(sum d^2) with d = x[:, i] - x[:, j], an increasing function of Student's t. The claims "i is
    better than j", two for each pair, are tested with the largest r first. A claim's p is the share of the patterns of
    signs, the observed one included, in which the largest flipped r of all claims not yet tested reaches its own; the p
    of a later claim is at least that of an earlier one. Claims with a negative r are never tested, and stay among those
    whose largest r is taken.
    """
    x = x[(x != x[:, :1]).any(axis=1)]
    patterns, all_ = signs(len(x), seed)
    models = x.shape[1]
    r, p = np.zeros((models, models)), np.ones((models, models))
    claims = [(i, j) for i in range(models) for j in range(models) if i != j]
    flipped = {}
    for i, j in claims:
        d = x[:, i] - x[:, j]
        scale = np.sqrt((d * d).sum())
        r[i, j] = d.sum() / scale if scale > 0 else 0.0
        flipped[i, j] = patterns @ d / scale if scale > 0 else np.zeros(len(patterns))
    slack, least = SLACK * len(x) ** 0.5, 0.0
    for i, j in sorted((claim for claim in claims if r[claim] > 0), key=lambda claim: -r[claim]):
        reached = np.count_nonzero(np.max(list(flipped.values()), axis=0) >= r[i, j] - slack)
        least = max(least, (reached + (not all_)) / (len(patterns) + (not all_)))
        p[i, j] = p[j, i] = least
        del flipped[i, j]
    return r, p
