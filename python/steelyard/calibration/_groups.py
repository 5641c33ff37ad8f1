"""The calibration of each group of rows (``by=``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .._groups import groups
from .._intervals import simultaneous
from .._rows import Selection
from ._inputs import probabilities, rows_of_nan
from .diagram import Reliability

__all__ = ["by_group"]

ESTIMATES = ("ece", "rmsce", "mce", "gap", "frequency")


def by_group(
    probs: Any, selection: Selection, level: float, answer: Callable[[Any, float], Reliability]
) -> dict[str, Reliability]:
    """The calibration of each group of ``selection``, with additional limits that hold for all groups at once.

    ``answer(where, level)`` is the calibration of the rows of a mask at a confidence level.
    """
    nan = rows_of_nan(probabilities(probs))
    # Where rows with a NaN are left out, that is why, also where they have no id. What else there is to say of the
    # probabilities is for `answer`.
    parts = groups(selection, "probs", np.where(nan, np.float32(np.nan), np.float32(0.0)))
    strict = 1.0 - (1.0 - level) / len(parts)
    found = {}
    for name, rows in parts.items():
        where = np.zeros(len(nan), np.bool_)
        where[rows.group] = True
        shown = answer(where, level)
        left_out = dict(rows.left_out)
        for why, count in shown.left_out.items():
            if why != "where":  # there the rows of other groups are counted
                left_out[why] = left_out.get(why, 0) + count
        estimates = {of: replace(getattr(shown, of), left_out=left_out) for of in ESTIMATES}
        if len(parts) > 1:
            other = answer(where, strict)
            estimates = {of: simultaneous(one, getattr(other, of)) for of, one in estimates.items()}
        found[name] = replace(shown, left_out=left_out, **estimates)
    return found
