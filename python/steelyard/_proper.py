"""Proper scores of probabilities, row by row: both are smallest on average for the true probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import _core

__all__ = ["brier", "log_loss"]

Floats = NDArray[np.float64]


def brier(p: Floats, came_true: NDArray[np.bool_]) -> Floats:
    """The squared distance of a probability from what happened: ``(p - 1)^2`` where it came true, else ``p^2``."""
    distance = p - came_true
    return distance * distance


def log_loss(p: Floats, came_true: NDArray[np.bool_]) -> Floats:
    """In nats, ``-log p`` where it came true, else ``-log(1 - p)``; infinite for a certainty that failed."""
    loss = np.empty(len(p))
    loss[came_true] = 0.0 - _core.math_log(p[came_true])
    loss[~came_true] = 0.0 - _core.math_log1p(0.0 - p[~came_true])
    return loss
