"""How large a difference a comparison can see, and how many rows it takes to see a given one.

An interval at level 1 - alpha that is value +- z_(1 - alpha/2) se excludes 0 with the probability ``power`` when the
true difference is ``(z_(1 - alpha/2) + z_power) se``: that is the smallest difference that the comparison can be
expected to see. (The chance that the interval excludes 0 on the wrong side is neglected: it is below 1e-4 from a power
of 50 % on.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from . import _core
from ._estimate import Estimate

__all__ = ["Variance", "detectable", "rows_needed"]


class Variance(NamedTuple):
    """The variance of a row's difference: where there is no true difference, and where it is the one to see.

    Differences of 0/1 scores have the variance psi - d^2, with psi the share of the rows that differ; that of graded
    scores does not depend on d.
    """

    without: float
    with_difference: float


def detectable(e: Estimate, power: float) -> float | None:
    """The smallest difference that an interval such as this one excludes 0 for with the probability ``power``.

    Quantiles of Student's t where the interval has degrees of freedom, else of the normal distribution; None where the
    estimate has no standard error.
    """
    if e.standard_error is None:
        return None
    tails = np.array([(1.0 + e.confidence_level) / 2.0, power])
    df = e.detail.get("df")
    z = _core.normal_quantile(tails) if df is None else _core.t_quantile(tails, np.full(2, float(df)))
    return float(z[0] + z[1]) * float(e.standard_error)


def rows_needed(variance: Variance, difference: float, level: float, power: float) -> int:
    """The number of independent rows that show a true ``difference`` with the probability ``power``.

    ``((z_(1 - alpha/2) s0 + z_power s1) / d)^2 + z_(1 - alpha/2)^2 / 2``, where the last term makes up for the spread
    being estimated (Guenther 1981). For 0/1 scores it is Miettinen's formula for pairs (1968), Connor (1987).
    """
    z, beta = _core.normal_quantile(np.array([(1.0 + level) / 2.0, power])).tolist()
    root = (z * math.sqrt(variance.without) + beta * math.sqrt(variance.with_difference)) / difference
    return int(-(-(root * root + z * z / 2.0) // 1.0))  # rounded up
