"""The largest share of a softmax, for rows of different lengths."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import _core

__all__ = ["largest_shares"]


def largest_shares(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """``max_k exp(x_k) / sum exp(x)`` of each row, as ``1 / sum exp(x - max x)``; each row has a finite maximum."""
    shifted = [value - largest for row in rows for largest in (max(row),) for value in row]
    exponentials = _core.math_exp(np.array(shifted, np.float64)).tolist()
    ends, shares = 0, []
    for row in rows:
        begin, ends = ends, ends + len(row)
        shares.append(1.0 / math.fsum(exponentials[begin:ends]))
    return np.array(shares, np.float64)
