"""How large a difference a comparison can see.

An interval at level 1 - alpha that is value +- z_(1 - alpha/2) se excludes 0 with the probability ``power`` when the
true difference is ``(z_(1 - alpha/2) + z_power) se``: that is the smallest difference that the comparison can be
expected to see. (The chance that the interval excludes 0 on the wrong side is neglected: it is below 1e-4 from a power
of 50 % on.)
"""

from __future__ import annotations

import numpy as np

from . import _core
from ._estimate import Estimate

__all__ = ["detectable"]


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
