"""The p-value of a difference by Student's t."""

from __future__ import annotations

from .. import _core
from .._options import Confidence
from .comparison import LEAST

__all__ = ["student_p"]


def student_p(t: float, df: float, confidence: Confidence) -> float:
    """The p-value of the hypothesis that the difference is 0, for its quotient by its standard error."""
    if confidence.alternative == "two-sided":
        p = 2.0 * _core.t_sf(abs(t), df)
    else:
        p = _core.t_sf(t if confidence.alternative == "greater" else -t, df)
    return max(min(p, 1.0), LEAST)
