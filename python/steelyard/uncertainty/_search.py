"""The least number of rows, and the least difference, that reach a power."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import value_error
from ._study import Floats, Rows, Study

__all__ = ["least_difference", "least_rows"]

MANY = 1e15
HALVINGS = 55


def least_rows(study: Study, difference: Floats, power: Floats) -> Floats:
    """For each setting, the least number of rows from which on the power stays at least ``power``.

    Rows in clusters come in whole clusters.
    """
    settings = np.arange(len(difference))
    guesses = study.guess(settings, difference, power)
    asked = zip(difference.tolist(), power.tolist(), guesses.tolist(), strict=True)
    return np.array([_least(study, i, *one) for i, one in enumerate(asked)])


def _least(study: Study, i: int, difference: float, power: float, guess: float) -> float:
    size = float(study.of["cluster_size"][i])

    def rows(units: Floats) -> Floats:
        found: Floats = np.ceil(units * size * (1.0 - 1e-15))
        return found

    def reached(units: Floats) -> NDArray[np.bool_]:
        many = np.full(len(units), i)
        found: NDArray[np.bool_] = study.chance(many, rows(units), np.full(len(units), difference)) >= power
        return found

    def enough(units: float) -> bool:
        return bool(reached(np.array([units]))[0])

    low, high = 0.0, float(math.floor(max(guess / size, 1.0)))
    while not enough(high):
        low, high = high, 2.0 * high
        if high * size > MANY:
            raise value_error("difference", "one that fewer than 1e15 rows can show", f"{difference:g}")
    while high - low > 1.0:
        middle = float(math.floor((low + high) / 2.0))
        low, high = (low, middle) if enough(middle) else (middle, high)
    if study.independent[i]:
        high = _beyond_the_teeth(reached, high, _window(study, i, high))
    return float(rows(np.array([high]))[0])


def _window(study: Study, i: int, n: float) -> int:
    """How many further numbers of rows to look at: several teeth of the saw.

    The power falls where one more row asks for one more right answer: about every sqrt(n) rows, and for a share every
    1/p rows.
    """
    most = 4 * math.isqrt(int(n)) + 16
    if study.kind == "share":
        p = float(study.of["baseline"][i] - study.of["margin"][i])
        rare = min(p, 1.0 - p)
        most = max(most, min(int(3.0 / rare), 1 << 14)) if rare > 0.0 else most
    return most


def _beyond_the_teeth(reached: Callable[[Floats], NDArray[np.bool_]], n: float, window: int) -> float:
    """The number after the last one that does not reach the power."""
    while True:
        further = n + np.arange(1.0, window + 1.0)
        missed = np.flatnonzero(~reached(further))
        if not len(missed):
            return n
        n = float(further[missed[-1]]) + 1.0


def least_difference(study: Study, n: Floats, power: Floats) -> Floats:
    """For each setting, the least difference above -margin whose power is at least ``power``; NaN where none is.

    The largest difference possible may be infinite. The power rises with the difference.
    """
    settings: Rows = np.arange(len(n))
    low, high = -study.of["margin"], study.largest
    if study.decision.turns:
        low = np.zeros(len(n))
    endless = ~np.isfinite(high)
    high[endless] = 1.0
    while endless.any():
        endless &= study.chance(settings, n, high) < power
        high[endless] *= 2.0
        endless &= high < MANY
    possible = study.chance(settings, n, high) >= power
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2.0
        enough = study.chance(settings, n, middle) >= power
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(possible, high, np.nan)
