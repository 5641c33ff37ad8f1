"""Several pairs of models, or one, as one result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _intervals
from .comparison import Comparison, Pair

__all__ = ["comparison_of"]


def comparison_of(
    pairs: list[Pair],
    names: tuple[str, ...] | None,
    baseline: str | None,
    *,
    higher: bool,
    adjust: str | None,
    many: bool,
    paired: bool = True,
    model: str | None = None,
    joint: NDArray[np.float64] | None = None,
) -> Comparison:
    """The comparison of one pair, or (``many``) of several that are named; ``model`` where the names are of groups."""
    p = np.array([pair.p for pair in pairs], np.float64)
    adjusted = p if adjust is None or joint is not None else _intervals.adjusted(p, adjust)
    if joint is not None:
        adjusted = np.maximum(p, joint)  # the p of another test may be the larger one
    difference = _intervals.stack([pair.difference for pair in pairs], names) if many else pairs[0].difference

    def one(values: NDArray[Any]) -> Any:
        return values if many else values[0].item()

    counts: dict[str, Any] = dict.fromkeys(("wins", "losses", "ties"))
    if paired and pairs[0].wins is not None:
        won, lost = (np.array([getattr(pair, side) for pair in pairs], np.int64) for side in ("wins", "losses"))
        ties = np.array([pair.units or pair.difference.n for pair in pairs], np.int64) - won - lost
        wins, losses = (won, lost) if higher else (lost, won)
        counts = {"wins": one(wins), "losses": one(losses), "ties": one(ties)}
    return Comparison(
        difference=difference, p_value=one(p), p_adjusted=one(adjusted), **counts, names=names, baseline=baseline,
        test=tuple(pair.test for pair in pairs) if many else pairs[0].test, higher_is_better=higher, paired=paired,
        _shares=all(pair.shares for pair in pairs), _model=model,
    )  # fmt: skip
