"""Many models tested together, all pairs or against a baseline: the max-t tests over shared sign flips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .random import SIGN_FLIP, At, words

__all__ = ["against_baseline", "max_t", "signs", "step_down"]

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


def step_down(x: Floats, errors: Floats, cov: Floats) -> Floats:
    """The p of all pairs of estimates by draws of their errors [draws, models]: as ``max_t``, with draws as patterns.

    The statistic of a pair is its difference divided by its standard error.
    """
    models = len(x)
    p, least = np.ones((models, models)), 0.0
    over = {}
    for i in range(models):
        for j in range(models):
            variance = cov[i, i] + cov[j, j] - 2.0 * cov[i, j]
            if i != j:
                over[i, j] = 1.0 / np.sqrt(variance) if variance > 0.0 else 0.0
    drawn = {(i, j): (errors[:, i] - errors[:, j]) * scale for (i, j), scale in over.items()}
    r = {(i, j): (x[i] - x[j]) * scale for (i, j), scale in over.items()}
    for i, j in sorted((claim for claim in r if r[claim] > 0), key=lambda claim: -r[claim]):
        reached = np.count_nonzero(np.max(list(drawn.values()), axis=0) >= r[i, j])
        least = max(least, (reached + 1) / (len(errors) + 1))
        p[i, j] = p[j, i] = least
        del drawn[i, j]
    return p


def against_baseline(x: Floats, seed: int, alternative: str = "two-sided") -> tuple[Floats, Floats, Floats]:
    """r, the single-step p and the step-down p (Romano and Wolf) of each column after the first, which is the baseline.

    The single step compares a model's r with the largest flipped r of all models, step-down with that of the models
    that are left once those of larger r are tested; a p is at least that of a model tested before.
    """
    x = x[(x != x[:, :1]).any(axis=1)]
    patterns, all_ = signs(len(x), seed)
    d = x[:, 1:] - x[:, :1]
    scale = np.sqrt((d * d).sum(0))
    over = np.where(scale > 0, scale, 1.0)
    turn = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}[alternative]
    r, flipped = d.sum(0) / over, turn(patterns @ d / over)
    own = turn(r) - SLACK * len(x) ** 0.5

    def share(columns: NDArray[np.int64], model: int) -> float:
        reached = np.count_nonzero(flipped[:, columns].max(1) >= own[model])
        return float((reached + (not all_)) / (len(patterns) + (not all_)))

    single, step_down, least = np.ones(len(r)), np.ones(len(r)), 0.0
    order = np.argsort(-turn(r), kind="stable")
    for place, model in enumerate(order):
        single[model] = share(order, int(model))
        least = max(least, share(order[place:], int(model)))
        step_down[model] = least
    return r, single, step_down
