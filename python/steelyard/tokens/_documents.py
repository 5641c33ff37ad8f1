"""What each document's tokens have in sum, such as NLL and bits per byte, and the least likely of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import shape_of
from .._logarithm import logarithms
from .._options import fraction
from .._rows import Selection
from ..errors import value_error
from ._batch import COUNTS, IGNORED, divisor_of, groups_of

__all__ = ["by_document"]

Array = NDArray[Any]


def by_document(scores: Any, ids: Any, n_bytes: Any, share: float) -> dict[str, Array]:
    """The table of ``TokenScores.by``."""
    share = fraction(share, "share")
    if share == 0:
        raise value_error("share", "a share of the tokens above 0", "0")
    if scores.several or scores.nll.ndim == 0:
        raise value_error("by", "scores with one target a position and a token axis", repr(scores))
    status = np.where(scores.counted, COUNTS, IGNORED)
    shape, length = scores.nll.shape, scores.nll.shape[-1]
    if ids is not None and (given := shape_of(ids, "documents")) not in (shape, shape[:-1]):
        raise value_error(
            "documents", f"one id a token, shape {shape}, or one a sequence, shape {shape[:-1]}", f"shape {given}"
        )
    found = groups_of(Selection(None, ids, "raise"), scores.nll, status, "documents")
    code = np.repeat(found.codes, length) if found.of_rows else found.codes
    kept = np.flatnonzero(scores.counted.reshape(-1))
    order = kept[np.argsort(code[kept], kind="stable")]
    present, starts = np.unique(code[order], return_index=True)
    parts = np.split(order, starts[1:]) if len(present) else []
    names = np.arange(found.clusters) if found.names is None else np.asarray(found.names)

    log_p = -scores.nll.reshape(-1)
    nll = -_sums(log_p, parts)
    tokens = np.array([len(part) for part in parts], np.int64)
    perplexity = _core.math_exp(nll / tokens)
    table: dict[str, Array] = {"id": names[present], "tokens": tokens, "nll": nll, "perplexity": perplexity}
    if n_bytes is not None:
        numbers = divisor_of(n_bytes, shape, found.of_rows, "n_bytes")
        if not (numbers >= 0).all() or np.isinf(numbers).any():
            raise value_error("n_bytes", "finite numbers that are at least 0", "others")
        of_rows = numbers.shape == shape[:-1]
        places = [np.unique(part // length) for part in parts] if of_rows else parts
        total = _sums(numbers.reshape(-1), places)
        if (total == 0).any():
            raise value_error("n_bytes", "numbers that sum to more than 0 in every document", "0")
        [nats] = logarithms([2.0])
        table["bits_per_byte"] = nll / (nats * total)
    table["min_k"] = _of_the_least(log_p, parts, share)
    if scores.entropy is not None and scores.varentropy is not None:
        table["min_k_plus"] = _of_the_least(_standardised(scores), parts, share)
    return table


def _sums(values: Array, parts: list[Array]) -> NDArray[np.float64]:
    """The exact sum of each part, rounded once."""
    return np.array([math.fsum(values[part]) for part in parts], np.float64)


def _of_the_least(values: Array, parts: list[Array], share: float) -> NDArray[np.float64]:
    """The mean of the least values of each part: a share of them, rounded down, but at least one."""
    # .29 of 100 is a little below 29 in floating point.
    least = [np.sort(values[part], kind="stable")[: max(1, int(len(part) * share + 1e-9))] for part in parts]
    return np.array([math.fsum(part) / len(part) for part in least], np.float64)


def _standardised(scores: Any) -> NDArray[np.float64]:
    """Log-probabilities less their mean under the model, in its standard deviations; 0 where the model is certain."""
    excess, spread = (scores.entropy - scores.nll).reshape(-1), np.sqrt(scores.varentropy).reshape(-1)
    certain = np.where(np.isinf(excess), excess, 0.0)
    return np.asarray(np.divide(excess, spread, out=certain, where=spread > 0))
