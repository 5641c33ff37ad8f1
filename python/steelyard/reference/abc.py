"""The ABC interval, from derivatives of a statistic with respect to the weights of its units."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .. import _core
from . import sums as statistics

__all__ = ["abc"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
STEP, TINY = 1e-5, 1e-30


def abc(
    statistic: str,
    columns: list[Floats],
    *,
    clusters: Codes | None = None,
    weights: Floats | None = None,
    strata: Codes | None = None,
    macro: bool = False,
    confidence_level: float,
) -> dict[str, float]:
    """DiCiccio and Efron 1992, as R's ``abcnon`` has it, and ``abc.ci`` of its boot for strata.

    The statistic is a function of how often each unit counts, which is once in the data; in each stratum these numbers
    have one sum. The influence U of a unit is the derivative in the direction ``e``, in which it counts more and all
    units of its stratum less by 1 in n; V is the second derivative there. ``macro`` is the mean of the strata's
    statistics.
    """
    n = len(columns[0])
    clusters = np.arange(n) if clusters is None else clusters
    weights = np.ones(n) if weights is None else weights
    units = int(clusters.max()) + 1
    strata = np.zeros(units, np.int64) if strata is None else strata
    of, of_rows = statistics.definition(statistic), strata[clusters]
    parts = [of_rows == h for h in range(int(strata.max()) + 1)] if macro else [np.ones(n, np.bool_)]

    def at(counts: NDArray[np.inexact]) -> complex:
        each = weights * counts[clusters]
        return complex(sum(of(*(x[part] for x in columns), each[part]) for part in parts) / len(parts))

    def slope(counts: Floats, towards: Floats) -> float:
        """The derivative in a direction: of a step of i h the imaginary part is h times it, without rounding."""
        return at(counts + 1j * TINY * towards).imag / TINY

    def bend(towards: Floats) -> float:
        step = STEP / float(abs(towards).max())
        return (slope(once + step * towards, towards) - slope(once - step * towards, towards)) / (2 * step)

    once = np.ones(units)
    same = (strata[:, None] == strata).astype(np.float64)
    towards = np.eye(units) - same / same.sum(axis=1)
    pull = np.array([slope(once, e) for e in towards])
    sigma = math.sqrt(math.fsum(pull**2))
    acceleration = math.fsum(pull**3) / (6 * sigma**3)
    delta = pull / sigma
    curvature = bend(delta) / (2 * sigma)
    bias = math.fsum(bend(e) for e in towards) / 2
    z0 = _core.normal_quantile(2 * _core.normal_cdf(acceleration) * _core.normal_cdf(curvature - bias / sigma))

    def limit(level: float) -> float:
        w = z0 + _core.normal_quantile(level)
        return at(once + w / (1 - acceleration * w) ** 2 * delta).real

    tail = (1 - confidence_level) / 2
    return {
        "value": at(once).real, "standard_error": sigma, "low": limit(tail), "high": limit(1 - tail),
        "acceleration": acceleration, "z0": z0, "curvature": curvature, "bias": bias,
    }  # fmt: skip
