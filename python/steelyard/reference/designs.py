"""The designs of resampling: how often each unit counts in a replicate, and the bootstrap that follows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from . import random
from . import sums as statistics
from .bootstrap import summary

__all__ = ["in_strata", "of_design"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def in_strata(strata: Codes, seed: int, replicate: int) -> Codes:
    """The counts of units of which each stratum is resampled within itself."""
    counts = np.zeros(len(strata), np.int64)
    for stratum in range(int(strata.max()) + 1):
        members = np.flatnonzero(strata == stratum)
        counts[members] = random.counts(len(members), seed, replicate, stratum)
    return counts


def of_design(
    statistic: str,
    columns: list[Floats],
    counts: list[Codes],
    *,
    clusters: Codes | None = None,
    weights: Floats | None = None,
    strata: Codes | None = None,
    macro: bool = False,
    method: str,
    confidence_level: float,
) -> dict[str, float | Floats]:
    """The bootstrap of a statistic of sums from the ``counts`` of its units in each replicate.

    Units are rows or ``clusters``, and ``strata`` those of the units. The acceleration is that of the influences of the
    units, less the mean of their stratum; ``macro`` is the mean of the statistics of the strata.
    """
    n = len(columns[0])
    clusters = np.arange(n) if clusters is None else clusters
    weights = np.ones(n) if weights is None else weights
    strata = np.zeros(int(clusters.max()) + 1, np.int64) if strata is None else strata
    of, of_rows, total = statistics.STATISTICS[statistic], strata[clusters], int(strata.max()) + 1
    parts = [of_rows == h for h in range(total)] if macro else [np.ones(n, np.bool_)]

    def value(units: Codes) -> float:
        each = weights * units[clusters]
        return math.fsum(float(of(*(x[part] for x in columns), each[part])) for part in parts) / len(parts)

    pull = np.zeros(len(strata))
    for part in parts:
        rows = statistics.influences(statistic, *(x[part] for x in columns), w=weights[part]) * weights[part]
        pull += np.bincount(clusters[part], rows, minlength=len(strata))
    for h in range(total):
        pull[strata == h] -= pull[strata == h].mean()
    squares = math.fsum(pull**2)
    accelerate = math.fsum(pull**3) / (6 * squares * math.sqrt(squares)) if method == "bca" else 0.0
    center = value(np.ones(len(strata), np.int64))
    found = np.array([value(of_units) for of_units in counts])
    tie, units = 1e-12 * max(1.0, abs(center)), max(len(strata) // total, 2)
    return summary(center, found, method, confidence_level, accelerate=accelerate, tie=tie, units=units)
