"""Comparison of two models on the same rows by a confidence sequence, which may be looked at again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._options import Confidence, flag
from .._progress import OnProgress
from .._rows import ALL_ROWS, Rows
from ..errors import keyword, value_error
from ._sequence import Bounds, add, bounds_of, estimate_of
from .comparison import Pair
from .items import differing

__all__ = ["on_sequence", "sequence_bounds"]

Array = NDArray[Any]
METHOD = "betting"


def sequence_bounds(
    sequential: Any, bounds: Any, confidence: Confidence, *, statistic: str, paired: Any, ranked: bool, **words: Any
) -> Bounds | None:
    """The bounds of the scores where a sequence is asked for; refuses what does not go with one."""
    if not flag(sequential, "sequential"):
        if bounds is not None:
            expected = f"None without {keyword('sequential')}, since other intervals need no bounds"
            raise value_error("bounds", expected, repr(bounds))
        return None
    fix = f"leave {keyword('sequential')} out"
    if statistic != "mean":
        raise value_error("sequential", "False but for statistic='mean'", f"True with {statistic!r}", fix)
    if not flag(paired, "paired"):
        raise value_error("sequential", f"False with {keyword('paired', False)}", "True", fix)
    if ranked:
        raise value_error("sequential", "False where models are ranked", "True", "pass a baseline")
    if confidence.alternative != "two-sided":
        expected = f"'two-sided' with {keyword('sequential')}"
        raise value_error("alternative", expected, repr(confidence.alternative))
    for name, value in words.items():
        if value is not None:
            expected = f"None with {keyword('sequential')}, which takes rows one after another, by betting"
            raise value_error(name, expected, f"both {keyword(name)} and {keyword('sequential')}")
    return bounds_of((0.0, 1.0) if bounds is None else bounds, METHOD)


def on_sequence(
    new: tuple[str, Array],
    base: tuple[str, Array],
    rows: Rows,
    *,
    bounds: Bounds,
    confidence: Confidence,
    problems: int,
    on_progress: OnProgress,
) -> Pair:
    """Compare one model with the baseline on the rows that count, in their order, as one of several ``problems``."""
    totals = _core.SequenceTotals(True)
    add(totals, (new, base), rows, bounds, on_progress)
    shown, *strict = (
        estimate_of(totals, bounds, rows.left_out, method=METHOD, confidence_level=level.level, progress=on_progress)
        for level in _intervals.levels(confidence, problems)
    )
    p = totals.p_value(0.5, confidence_level=confidence.level, progress=on_progress)
    for wider in strict:
        shown = _intervals.simultaneous(shown, replace(wider, left_out={}))
    difference = differing(rows.of(new[1]), rows.of(base[1]), ALL_ROWS)["difference"]
    wins, losses = (int(np.count_nonzero(side)) for side in (difference > 0.0, difference < 0.0))
    return Pair(shown, p, "betting, always valid", wins, losses, bounds.low >= 0.0 and bounds.high <= 1.0)
