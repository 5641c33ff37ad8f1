"""How few items would change a verdict: the fragility of a comparison.

The number is the smallest k such that the verdict is another one where the k largest losses, or the k largest wins, are
ties and all else is as it is. (For 0/1 scores all losses are equal, and k is what clinical trials call the fragility
index: Walsh et al., Journal of Clinical Epidemiology 67, 2014.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import uncertainty
from .._intervals import turned, verdict
from .item_results import Fragility
from .results import Options
from .words import limits, one

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
# How many numbers of items are tried where the search has no formula of the interval. Where it has one, so many of the
# numbers that give another verdict are checked by a comparison; the first holds, but where rounding decides.
TRIED = 16


class Pair(NamedTuple):
    """The matched scores of two models, and the level at which the verdict reads them."""

    new: Floats
    base: Floats
    clusters: NDArray[Any] | None
    level: float

    def compared(
        self, options: Options, ties: Indices | None = None, strata: Indices | None = None
    ) -> uncertainty.Comparison:
        """The comparison where the items ``ties`` are ties; with ``strata`` that of the means of the strata."""
        new = self.new
        if ties is not None:
            new = new.copy()
            new[ties] = self.base[ties]
        return uncertainty.compare(
            new,
            baseline=self.base,
            clusters=self.clusters,
            strata=strata,
            average="micro" if strata is None else "macro",
            confidence_level=self.level,
            higher_is_better=options.higher_is_better,
        )


def fragility(pair: Pair, found: uncertainty.Comparison, options: Options) -> Fragility | None:
    """How few items would change the verdict of ``found``; None where no number of losses or of wins does."""
    items = found.items
    if items is None or limits(found.difference) is None or not isinstance(found.losses, int):
        return None
    sides = {"losses": items["index"][: found.losses], "wins": items["index"][found.losses :]}
    answers = []
    for of, rows in sides.items():

        def verdict_without(k: int, rows: Indices = rows) -> str:
            return str(pair.compared(options, rows[:k]).verdict(options.margin))

        k = _smallest(pair, found, rows, verdict_without, options) if len(rows) else None
        if k is not None:
            answers.append(Fragility(k, of, verdict_without(k)))
    return min(answers, key=lambda answer: answer.items, default=None)


def _smallest(
    pair: Pair,
    found: uncertainty.Comparison,
    rows: Indices,
    verdict_without: Callable[[int], str],
    options: Options,
) -> int | None:
    """The smallest k for which ``verdict_without(k)`` is not the verdict that was found."""
    now = str(found.verdict(options.margin))
    method = str(found.difference.method)
    if method == "Tango":  # the verdict moves one way as losses (or wins) become ties
        return _bisected(len(rows), now, verdict_without)
    if method in ("t", "clustered t"):
        tried = np.flatnonzero(_verdicts(pair, found, rows, options) != now)[:TRIED] + 1
    else:
        tried = np.arange(1, min(len(rows), TRIED) + 1)
    return next((k for k in tried.tolist() if verdict_without(k) != now), None)


def _bisected(most: int, now: str, verdict_without: Callable[[int], str]) -> int | None:
    if verdict_without(most) == now:
        return None
    low, high = 0, most  # the verdict is the same with low ties, another one with high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if verdict_without(middle) == now else (low, middle)
    return high


def _verdicts(pair: Pair, found: uncertainty.Comparison, rows: Indices, options: Options) -> NDArray[np.str_]:
    """The verdict with the first 1, 2, ... of these rows as ties, by the formula of the (clustered) t interval.

    The degrees of freedom depend on the sizes of the clusters alone, so that the interval stays the same multiple of
    the standard error. With S_g the cluster sums, n_g their sizes, m the mean and w_g = 1/(1 - n_g/N), N^2 V is
    sum w (S - m n)^2 = sum w S^2 - 2 m sum w n S + m^2 sum w n^2, of which each tie changes the first two sums.
    """
    e = found.difference
    low, high = limits(e) or (0.0, 0.0)
    error = one(e.standard_error) or 1.0
    d = pair.new - pair.base
    n = len(d)
    codes = np.arange(n) if pair.clusters is None else np.unique(pair.clusters, return_inverse=True)[1]
    sums, sizes = np.bincount(codes, weights=d), np.bincount(codes).astype(np.float64)
    w = 1.0 / (1.0 - sizes / n)
    of, gone = codes[rows], d[rows]
    left = sums[of] - _before(of, gone)  # the sum of the row's cluster when its turn comes
    squares = _total(w * sums * sums) + np.cumsum(w[of] * (gone * gone - 2.0 * left * gone))
    products = _total(w * sizes * sums) - np.cumsum(w[of] * sizes[of] * gone)
    mean = (_total(d) - np.cumsum(gone)) / n
    variance = np.maximum(squares - 2.0 * mean * products + mean * mean * _total(w * sizes * sizes), 0.0) / n / n
    width = np.sqrt(variance) / error
    value = float(e)
    lows, highs = turned(
        mean - (value - low) * width, mean + (high - value) * width, higher_is_better=options.higher_is_better
    )
    pairs = zip(lows.tolist(), highs.tolist(), strict=True)
    return np.array([verdict(a, b, options.margin) for a, b in pairs])


def _total(values: Floats) -> float:
    return float(np.cumsum(values)[-1])  # added in order: NumPy's sum may add in another on another machine


def _before(of: Indices, values: Floats) -> Floats:
    """For each row the sum of the values of the rows before it that are in the same cluster."""
    order = np.argsort(of, kind="stable")
    added = np.cumsum(values[order]) - values[order]
    first = np.flatnonzero(np.r_[True, np.diff(of[order]) != 0])
    lengths = np.diff(np.r_[first, len(of)])
    out = np.empty(len(of))
    out[order] = added - np.repeat(added[first], lengths)
    return out
