"""The double bootstrap: percentile limits at levels that resamples of resamples calibrate."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import random

__all__ = ["double", "inner_resamples", "level"]

Floats = NDArray[np.float64]


def inner_resamples(count: int) -> int:
    """8 sqrt(count), rounded up."""
    return math.ceil(8 * math.sqrt(count))


def double(
    of: Callable[[Floats], float], units: int, *, n_resamples: int, seed: int, confidence_level: float, tie: float
) -> dict[str, float | Floats]:
    """The calibrated percentile interval of a statistic ``of`` how often each unit counts.

    Of the C resamples of a resample, ``below`` have a statistic below the value of the data, and ``equal`` one equal to
    it: its share u is uniform between ``below/(C + 1)`` and ``(below + equal + 1)/(C + 1)``.
    """
    inner = inner_resamples(n_resamples)
    value, found, ends = of(np.ones(units)), [], []
    for b in range(n_resamples):
        outer = random.counts(units, seed, b)
        found.append(of(outer.astype(np.float64)))
        drawn = np.repeat(np.arange(units), outer)
        below = equal = 0
        for c in range(inner):
            counts = random.counts(units, seed, b, c, domain=random.INNER)
            again = of(np.bincount(drawn, counts, minlength=units).astype(np.float64))
            below += again < value - tie
            equal += not (again < value - tie or again > value + tie)
        ends.append((below, below + equal + 1))
    shares, tail = np.array(ends) / (inner + 1), (1 - confidence_level) / 2
    (low, low_error), (high, high_error) = (_limit(np.sort(found), shares, a) for a in (tail, 1 - tail))
    return {
        "value": value, "standard_error": float(np.std(found, ddof=1)), "low": low, "high": high,
        "low_error": low_error, "high_error": high_error, "acceleration": 0.0, "replicates": np.array(found),
    }  # fmt: skip


def level(shares: Floats, at: float) -> float:
    """The quantile of a mixture of uniform distributions, each between a pair of ``shares``."""
    if at <= 0 or at >= 1:
        return float(at >= 1)
    ends = np.unique(shares)
    up_to = np.mean([np.clip((ends - low) / (high - low), 0, 1) for low, high in shares], axis=0)
    return float(np.interp(at, up_to, ends))


def _limit(ordered: Floats, shares: Floats, nominal: float) -> tuple[float, float]:
    """The order statistic at the calibrated level, and its error, to which that of the level belongs."""
    n, spread = len(ordered), math.sqrt(nominal * (1 - nominal) / len(ordered))
    at = level(shares, nominal)
    error = (level(shares, nominal + spread) - level(shares, nominal - spread)) / 2
    position, away = (n + 1) * at, math.sqrt(n * at * (1 - at) + (n * error) ** 2)

    def order(position: float) -> float:
        return float(np.interp(position, np.arange(1, n + 1), ordered))

    around = [order(p) for p in (position - away, position + away) if 1 <= p <= n]
    value = order(position)
    return value, (around[1] - around[0]) / 2 if len(around) == 2 else abs(around[0] - value)
