"""Sums that no order of the rows changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _core

__all__ = ["exact_sum"]


def exact_sum(x: NDArray[np.float64]) -> float:
    """The sum of finite numbers, of which only the last steps are rounded."""
    return _core.exact_mean(np.ascontiguousarray(x)) * len(x)
