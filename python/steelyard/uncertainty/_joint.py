"""The p-values of several models against one baseline, adjusted together by shared sign flips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._columns import Array
from .._options import Confidence
from .._progress import OnProgress
from .._rows import Selection
from .ranking import SEED, units

__all__ = ["JOINT", "joint"]

# The names of the adjustments, and the column of the core that holds each.
JOINT = {"max-t": "single", "romano-wolf": "step_down"}


def joint(
    adjust: str, scores: Sequence[Array], selection: Selection, confidence: Confidence, progress: OnProgress
) -> NDArray[np.float64]:
    """The adjusted p of each model from ``scores`` of the baseline and the models, on the rows on which all count."""
    rows = selection.rows("new", *scores)
    table, tie, _ = units(scores, rows)
    found = _core.max_t_baseline(
        table, columns=len(scores), tie=tie, alternative=confidence.alternative, seed=SEED, progress=progress
    )
    return found["single"] if JOINT[adjust] == "single" else found["step_down"]
