"""The tokens of a language model as predictions: the probability of the top token, and whether it was the target."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import booleans, shape_of
from .._rows import nonzero
from ..errors import shown, type_error, value_error

__all__ = ["Predictions", "predictions"]

Array = NDArray[Any]


class Predictions(NamedTuple):
    """One row per counted token."""

    probs: Array
    correct: NDArray[np.bool_]
    weights: Array | None
    clusters: Array | None
    by: Array | None
    left_out: dict[str, int]


def predictions(scores: Any, where: Any, weights: Any, clusters: Any, by: Any) -> Predictions:
    """The counted tokens of a ``TokenScores``; ``weights``, ids and groups are one a token or one a sequence."""
    if not (hasattr(scores, "confidence") and hasattr(scores, "counted")):
        raise type_error("targets", "what came true", "None")
    if scores.confidence is None or scores.correct is None:
        fix = 'ask token_scores for columns=("confidence", "correct")'
        raise value_error("probs", "token scores with the columns confidence and correct", "scores without them", fix)
    if scores.several:
        raise value_error("probs", "one target a position", "scores of several candidates")
    shape = scores.counted.shape
    chosen = np.True_ if where is None else booleans(where, "where", shape)
    keep = scores.counted & chosen
    left_out = nonzero(
        {"ignored": np.count_nonzero(~scores.counted), "where": np.count_nonzero(scores.counted & ~chosen)}
    )

    def each(x: Any, name: str) -> Array | None:
        if x is None:
            return None
        if shape_of(x, name) not in (shape, shape[:-1]):
            raise value_error(name, f"one a token, {shape}, or one a sequence, {shape[:-1]}", shown(x))
        given: Array = np.asarray(x)
        if given.shape == shape[:-1] != shape:
            given = np.broadcast_to(given[..., None], shape)
        kept: Array = given[keep]
        return kept

    return Predictions(
        scores.confidence[keep], scores.correct[keep] == 1, each(weights, "weights"), each(clusters, "clusters"),
        each(by, "by"), left_out,
    )  # fmt: skip
