"""The reward margins of pairs: a column of them, or those of a :class:`PreferenceLoss`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import aligned, booleans, floats, to_float64
from .._rows import Rows, Selection
from ..errors import value_error
from .result import PreferenceLoss
from .work import halves_of, margins_of

__all__ = ["Judged", "halves", "judged", "rows_of"]

Floats = NDArray[np.float64]


class Judged(NamedTuple):
    """The margins of pairs, and what a result knows beside them."""

    margins: Floats
    """NaN where a pair of a result does not count."""
    counted: NDArray[np.bool_] | None
    """The pairs of a result that count; None for a column."""
    clusters: NDArray[np.int64] | None
    """The clusters of a result, if it has some."""
    left_out: dict[str, int]


def judged(x: Any, name: str) -> Judged:
    """Read margins, or those of a result with one setting."""
    if not isinstance(x, PreferenceLoss):
        return Judged(to_float64(floats(x, name, ndim=1, numbers=True)), None, None, {})
    if isinstance(x.saturated, np.ndarray):
        raise value_error(name, "a result of one setting", f"one of {len(x.saturated)}")
    if x.rewards_chosen is None or x.rewards_rejected is None:
        raise value_error(name, "a result with its columns", "one without", "call preference_loss with columns=True")
    if x._rows.weights is not None:
        fix = "pass rewards_chosen - rewards_rejected, for the answer without them"
        raise value_error(name, "a result without weights", "one with weights", fix)
    found = x._rows.clusters
    clusters = None
    if found is not None:
        clusters = np.zeros(len(x.counted), np.int64)
        clusters[x.counted] = found.codes
    return Judged(margins_of(x.rewards_chosen, x.rewards_rejected), x.counted, clusters, x.left_out)


def rows_of(sides: dict[str, Judged], where: Any, clusters: Any, nan_policy: str) -> Rows:
    """The pairs that count in all sides, with the clusters given, else with those of the first side that has some."""
    first, *_ = sides
    n = len(sides[first].margins)
    for name, side in sides.items():
        if len(side.margins) != n:
            raise value_error(name, f"{n} pairs, as many as {first}", str(len(side.margins)))
    aligned(where=where, clusters=clusters)
    if clusters is None:
        clusters = next((side.clusters for side in sides.values() if side.clusters is not None), None)
    keep = None if where is None else booleans(where, "where", (n,))
    left_out: dict[str, int] = {}
    for side in sides.values():
        if side.counted is None:
            continue
        # A pair that two results leave out is counted once, as the first of them says.
        for why, count in side.left_out.items():
            left_out[why] = max(left_out.get(why, 0), count)
        keep = side.counted if keep is None else keep & side.counted
    selection = Selection(keep, clusters, nan_policy, unit="pair")
    rows = selection.rows(first, *(side.margins for side in sides.values()))
    for name, side in sides.items():
        bad = np.isnan(rows.of(side.margins))
        if bad.any():
            fix = 'pass nan_policy="omit" to leave such pairs out'
            raise value_error(name, "margins that are numbers", f"nan at index {rows.place(int(np.argmax(bad)))}", fix)
    return rows._replace(left_out=_told(rows.left_out, left_out))


def _told(found: dict[str, int], of_results: dict[str, int]) -> dict[str, int]:
    """Why pairs are left out: those that a result left out for a NaN are not told as left out by ``where``."""
    nan = min(of_results.get("nan", 0), found.get("where", 0))
    told = {"where": found.get("where", 0) - nan, "nan": found.get("nan", 0) + nan}
    return {why: count for why, count in told.items() if count}


def halves(margins: Floats) -> Floats:
    """Return 1 where the chosen answer has the higher reward, 1/2 at a tie, and 0 elsewhere."""
    return halves_of(margins, 0.0)
