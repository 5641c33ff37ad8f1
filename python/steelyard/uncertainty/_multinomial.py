"""The shares of several categories at once, with intervals that hold together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _core
from .._estimate import Estimate
from .._options import Confidence, choice
from .._registries import titles
from ..errors import value_error
from ._shares import broadcast, place

__all__ = ["METHODS", "simultaneous"]

METHODS = titles("multinomial.method")


def simultaneous(k: Any, n: Any, confidence: Confidence, *, method: str) -> Estimate:
    """Estimate the shares of the categories along the last axis of ``k``, whose counts add up to ``n``."""
    counts = _arrays.integers(k, "k")
    categories = counts.shape[-1] if counts.ndim else 0
    if categories < 2:
        got = "one number" if not counts.ndim else f"{categories} of them"
        raise value_error("k", f"the counts of two or more categories with method={method!r}", got)
    if method == "sison-glaz":
        choice(confidence.alternative, "alternative", ("two-sided",))
    if (bad := counts < 0).any():
        i, at = place(bad)
        raise value_error("k", "counts of at least 0", f"{counts[i]}{at}")
    # The first sum of two counts that is too large wraps to below 0.
    if (bad := np.asarray((np.add.accumulate(counts, axis=-1) < 0).any(-1))).any():
        raise value_error("k", "counts whose sum is below 2**63", f"a larger sum{place(bad)[1]}")
    totals = counts.sum(-1)
    if (bad := totals < 1).any():
        raise value_error("k", "a count above 0", f"none{place(bad)[1]}")
    if n is not None:
        _matches(totals, n)
    if method == "sison-glaz" and (bad := counts.max(-1) == totals).any():
        got = f"all rows in one{place(bad)[1]}"
        raise value_error("k", "rows in two or more categories with method='sison-glaz'", got, "use method='goodman'")
    found = _core.multinomial_intervals(
        counts=counts.reshape(-1), categories=categories, method=method, **confidence.keywords
    )
    value, error, low, high = (
        column.reshape(counts.shape)
        for column in (found["value"], found["standard_error"], found["low"], found["high"])
    )
    return Estimate(
        value=value, standard_error=error, low=low, high=high, confidence_level=confidence.level,
        n=np.broadcast_to(totals[..., None], counts.shape).copy(), method=METHODS[method],
        reason=f"{categories} categories, whose intervals hold together",
    )  # fmt: skip


def _matches(totals: NDArray[np.int64], n: Any) -> None:
    """Refuse an ``n`` that is not the sum of the counts."""
    sums, given = broadcast({"k": totals, "n": _arrays.integers(n, "n")})
    if (bad := sums != given).any():
        i, at = place(bad)
        got = f"{np.atleast_1d(given)[i]}, but counts that add up to {np.atleast_1d(sums)[i]}{at}"
        raise value_error("n", "the sum of the counts of all categories", got, "leave it out")
