"""Sampling weights: how many members of the population each row represents."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import to_float64
from ._columns import one_column
from .errors import type_error, value_error

__all__ = ["weight_column", "weightless"]

Mask = NDArray[np.bool_]


def weight_column(x: Any) -> NDArray[np.float64]:
    """A private copy of the weights as float64; they are read more than once, and the caller's array might change."""
    column = one_column(x, "weights")
    if column.dtype == np.bool_:
        raise type_error("weights", "numbers", "booleans", "where= says which rows count")
    return np.array(to_float64(column))


def weightless(weights: NDArray[np.float64], n: int, name: str, keep: Mask | None) -> Mask:
    """The mask of the rows of weight 0 among the ``n`` rows of ``name`` that count so far (``keep``; None: all).

    Raises for a negative, infinite or missing weight of a row that counts; other rows may lack a weight.
    """
    if weights.shape != (n,):
        raise value_error("weights", f"shape ({n},), one weight per row of {name}", f"shape {weights.shape}")
    bad = ~((weights >= 0.0) & (weights < np.inf))
    zero: Mask = weights == 0.0
    if keep is not None:
        bad &= keep
        zero &= keep
    if bad.any():
        first, fix = int(np.flatnonzero(bad)[0]), "where= leaves rows out"
        raise value_error("weights", "finite numbers of at least 0", f"{weights[first]} at index {first}", fix)
    return zero
