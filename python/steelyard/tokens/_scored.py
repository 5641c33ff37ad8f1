"""Logits and their targets, or scores of them, as what a state adds up."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import integers
from .._progress import Progress
from .._rows import Selection
from ..errors import type_error
from ._batch import COUNTS, EXCLUDED, IGNORED, tokens_of
from .logits import token_scores
from .scores import TokenScores

__all__ = ["Scored", "scored"]


class Scored(NamedTuple):
    """Scores of some tokens, and a status code for each."""

    scores: TokenScores
    status: NDArray[np.uint8]


def scored(
    logits: Any, targets: Any, selection: Selection, *, name: str, progress: Progress = False, **options: Any
) -> Scored:
    """Score the targets under the logits; or, without targets, take the scores that stand in their place.

    ``name`` is the caller's argument of the logits, and ``options`` are those of :func:`steelyard.token_scores`.
    Positions that ``selection`` excludes are not read.
    """
    if isinstance(logits, TokenScores):
        if targets is not None:
            raise type_error("targets", f"None beside {name} that are scores", "targets")
        nll, status = tokens_of(logits, selection)
        return Scored(logits, np.full(nll.shape, COUNTS) if status is None else status)
    if targets is None:
        raise type_error("targets", f"the tokens that the {name} predict", "None", "pass targets, or a TokenScores")
    found = token_scores(logits, targets, where=selection.where, progress=progress, **options)
    tokens_of(found, Selection(None, None, "raise"))  # one target a position, and a token axis
    status = np.where(found.counted, COUNTS, IGNORED)
    if selection.where is not None:
        ignored = integers(targets, "targets") == options.get("ignore_index", -100)
        status[~selection.where & ~ignored] = EXCLUDED
    return Scored(found, status)
