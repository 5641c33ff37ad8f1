"""Studentised replicates: each divided by its own error, from its counts or from weights of a beta distribution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from . import random
from . import sums as statistics

__all__ = ["beta_weights", "error", "of_quotient", "of_statistic", "t_of"]

Floats = NDArray[np.float64]
BATCH = 32  # weights from one batch of 64 words


def beta_weights(units: int, seed: int, replicate: int) -> Floats:
    """Independent weights, each ``4 u cos(2 pi v)^2``, which is four times a Beta(1/2, 3/2), divided by their mean."""
    batches = -(-units // BATCH)
    at = random.At(seed, random.BETA_WEIGHTS, replicate=replicate)
    words = random.words(at, 2 * BATCH * batches).reshape(batches, 2, BATCH).astype(np.float64)
    u, v = ((words[:, i].ravel()[:units] + 0.5) / 2.0**32 for i in (0, 1))
    weights = 4 * u * np.cos(2 * math.pi * v) ** 2
    return np.asarray(weights * (units / math.fsum(weights)), np.float64)


def error(pull: Floats, weights: Floats) -> float:
    """``sqrt(sum W U^2)``."""
    return math.sqrt(math.fsum(weights * pull**2))


def of_quotient(sums: Floats, sizes: Floats, weights: Floats) -> tuple[float, float]:
    """``sum W s / sum W n`` and its error, by the influences ``(s - r n)/sum W n``."""
    size = math.fsum(weights * sizes)
    value = math.fsum(weights * sums) / size
    return value, error((sums - value * sizes) / size, weights)


def of_statistic(
    statistic: str, columns: list[Floats], codes: NDArray[np.int64], weights: Floats
) -> tuple[float, float]:
    """A statistic of sums where unit g counts ``weights[g]`` times, and its error; influences on a sum have mean 0."""
    each = weights[codes]
    pull = np.bincount(codes, statistics.influences(statistic, *columns, w=each)).astype(np.float64)
    if statistic == "sum":
        pull = pull - math.fsum(weights * pull) / math.fsum(weights)
    return float(statistics.definition(statistic)(*columns, each)), error(pull, weights)


def t_of(distance: float, own: float, error: float) -> float:
    """``distance/own``; infinite for a replicate without spread, and 0 where such a one has no distance."""
    if own > 1e-12 * error:
        return distance / own
    return 0.0 if abs(distance) <= 1e-12 * error else math.copysign(math.inf, distance)
