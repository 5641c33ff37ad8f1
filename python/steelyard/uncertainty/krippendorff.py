"""Krippendorff's alpha: how well several raters agree on the same units, some of whose ratings may be missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _core, _intervals
from .._arrays import aligned, to_float64
from .._columns import columns, frame
from .._estimate import Estimate
from .._mode import standard_mode
from .._options import Alternative, Confidence, choice, confidence_of
from .._rows import Rows, Selection, nonzero
from .._strides import coded
from ..errors import type_error, value_error
from ._exact import exact_sum

__all__ = ["krippendorff_alpha"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Metric = Literal["nominal", "ordinal", "interval", "ratio"]
METRICS = ("nominal", "ordinal", "interval", "ratio")
SINGLE = "fewer than two ratings"
ONE_UNIT = "the spread between units is unknown under two units"
UNSPREAD = "no limits, since {} that disagree alike show no spread"
NONE = "all raters agree on every unit: limits by the range of alpha"
# A standard error below this share of 1 - alpha is 0 but for rounding.
ROUNDING = 1.0 / (1 << 40)


@standard_mode
def krippendorff_alpha(
    ratings: Any,
    *,
    metric: Metric = "nominal",
    where: Any = None,
    clusters: Any = None,
    confidence_level: float = 0.95,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Estimate Krippendorff's alpha, the agreement of raters beyond chance, with an interval in closed form.

    With m_u the ratings of unit u (units of fewer than two are left out), n = sum m_u, n_c how often the value c occurs
    in all units, and delta(c, k) the distance of two values:

        alpha = 1 - D_o/D_e,
        D_o = 1/n sum over units of [sum over pairs of its ratings i != j of delta^2(i, j)]/(m_u - 1),
        D_e = sum over values of n_c n_k delta^2(c, k) / (n (n - 1)).

    It is 1 where all agree, and 0 where ratings agree as often as if they were dealt to the units at random.

    ============== =========================================================================================
    ``metric``     delta(c, k)
    ============== =========================================================================================
    ``"nominal"``  0 for equal values, else 1
    ``"ordinal"``  the values from c to k: the sum of their n_g, less (n_c + n_k)/2; the distance of mean ranks
    ``"interval"`` c - k
    ``"ratio"``    (c - k)/(c + k), for values of at least 0
    ============== =========================================================================================

    The standard error is that of the linearised alpha: with psi_g the derivative of alpha along the units of cluster g
    (each unit its own without ``clusters``), sqrt(G/(G - 1) sum (psi_g - mean psi)^2). The interval is
    tanh(artanh(alpha) +- t se/(1 - alpha^2)), Student's t with G - 1 degrees of freedom. Where all agree on every unit,
    alpha is 1 and the interval [1 - 2 q, 1], q = z^2/(G + z^2).

    Parameters
    ----------
    ratings : array [n, R], mapping from rater to array [n], or frame
        A row for each unit, a column for each of R raters; NaN or null where there is no rating. With
        ``metric="nominal"`` the columns of a mapping or frame may hold texts.
    metric : {"nominal", "ordinal", "interval", "ratio"}
        How far two ratings are apart.
    where : boolean array [n], optional
        The units that count; default: all.
    clusters : array of ids [n], optional
        The cluster of each unit, such as the document of a sentence; a tuple nests, outermost first.
    confidence_level : float
        Inside (0, 1).
    alternative : {"two-sided", "less", "greater"}
        ``"less"`` gives an upper limit alone, ``"greater"`` a lower one.

    Returns
    -------
    Estimate
        ``n`` counts the units of two ratings or more, ``left_out`` the others; ``detail`` has the disagreements
        ``"observed"`` and ``"expected"`` (D_o and D_e), the number of ``"ratings"`` that were paired and ``"df"``. With
        fewer than two units or clusters there is no interval, nor where all of them disagree alike (``"no spread"``).

    Raises
    ------
    TypeError, ValueError
        For fewer than two raters, columns of different lengths, an infinite rating, no unit of two ratings, ratings
        that are all equal (alpha is then undefined), negative ones with ``"ratio"``, texts with another metric than
        ``"nominal"``, and clusters of two kinds.

    Notes
    -----
    Two raters of 0/1 answers without gaps: alpha is 1 - (1 - pi)(2 n - 1)/(2 n), pi Scott's; Cohen's kappa
    (``steelyard.estimate((a, b), "kappa")``) lets every rater have shares of its own. The package ``krippendorff`` has
    the same values and takes raters as rows. Hayes and Krippendorff's bootstrap draws pairs of ratings as if they were
    independent; here units, or clusters of them, are.
    The 95 % interval covers 93 to 97 % from 20 units on, for normal ratings 91 % of 20 and 89 % of 10 units.

    Sources: Krippendorff, "Computing Krippendorff's alpha-reliability" (2011); Hayes and Krippendorff, Communication
    Methods and Measures 1 (2007).

    Examples
    --------
    >>> import steelyard as sy
    >>> nan = float("nan")
    >>> raters = {
    ...     "a": [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
    ...     "b": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
    ...     "c": [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
    ...     "d": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ... }
    >>> print(sy.uncertainty.krippendorff_alpha(raters))
    0.74 [0.25, 0.93] (95 %, artanh t, n = 11, left out: 1 fewer than two ratings)
    >>> print(f'{sy.uncertainty.krippendorff_alpha(raters, metric="ordinal").value:.3f}')
    0.815
    """
    confidence = confidence_of(confidence_level, alternative)
    choice(metric, "metric", METRICS)
    aligned(ratings=ratings, where=where, clusters=clusters)
    values, present = _table(ratings, metric)
    selection = Selection(where, clusters, "raise", levels=True, unit="unit")
    _one_kind(clusters)
    rows = selection.rows("ratings", present[:, 0])
    at = np.arange(len(values)) if rows.keep is None else np.flatnonzero(rows.keep)
    rated = np.count_nonzero(present[at], axis=1) > 1
    if not rated.any():
        raise value_error("ratings", "a unit with two ratings or more", f"none of {len(at)} that count")
    left_out = nonzero(rows.left_out | {SINGLE: len(at) - np.count_nonzero(rated)})
    groups = None if rows.clusters is None else rows.clusters.of(np.flatnonzero(rated))
    found = _alpha(_Ratings.of(values[at[rated]], present[at[rated]]), metric)
    return _estimate(found, Rows(None, groups, left_out), confidence)


class _Ratings(NamedTuple):
    """The ratings of units of two or more, as codes of their sorted values, those of a unit side by side."""

    codes: Codes
    """[units, most ratings of one]; -1 beyond the ratings of a unit."""
    many: Codes
    """How many each unit has."""
    values: Floats
    counts: Codes
    """How often each value occurs."""

    @classmethod
    def of(cls, values: Floats, present: NDArray[np.bool_]) -> _Ratings:
        many = np.count_nonzero(present, axis=1)
        found, unique = coded(values[present])
        codes = np.full((len(values), int(many.max())), -1, np.int64)
        codes[np.arange(codes.shape[1]) < many[:, None]] = found
        return cls(codes, many, unique, np.bincount(found))

    def summed(self, of_values: Floats) -> Floats:
        """For each unit the sum of a number that each value has."""
        total = np.zeros(len(self.codes))
        for column in self.codes.T:
            total += np.where(column < 0, 0.0, of_values[column])
        return total

    def pairs(self, squared: Callable[[Codes, Codes], Floats]) -> Floats:
        """For each unit the sum of ``squared`` over its ordered pairs of ratings, divided by its ratings less one."""
        total = np.zeros(len(self.codes))
        for i, first in enumerate(self.codes.T):
            for second in self.codes.T[i + 1 :]:
                total += np.where(second < 0, 0.0, squared(first, second))
        return 2.0 * total / (self.many - 1)


class _Found(NamedTuple):
    alpha: float
    derivatives: Floats
    """The derivative of alpha along each unit's weight."""
    observed: float
    expected: float
    ratings: int


def _alpha(of: _Ratings, metric: str) -> _Found:
    """Alpha and its derivatives, of the sums D of the units' disagreements and E of all pairs of values."""
    n = len(of.codes[of.codes >= 0])
    counts = of.counts.astype(np.float64)
    if len(of.values) < 2:
        raise value_error("ratings", "ratings that differ, without which alpha is undefined", f"{n} of one value")
    if metric == "ratio" and of.values[0] < 0.0:
        raise value_error("ratings", "values of at least 0 with metric='ratio'", f"{of.values[0]:g}")
    if metric in ("interval", "ratio"):
        _intervals.column(of.values, "ratings")  # refuses values whose squares overflow
    placed = _placed(of, counts, metric)
    if metric == "nominal":
        around, squared = n - counts, lambda i, j: (i != j).astype(np.float64)
    elif metric == "ratio":
        around = np.array([exact_sum(counts * _relative(value, of.values)) for value in of.values.tolist()])

        def squared(i: Codes, j: Codes) -> Floats:
            return _relative(of.values[i], of.values[j])
    else:
        sums = (exact_sum(counts * placed), exact_sum(counts * placed * placed))
        around = n * placed * placed - 2.0 * placed * sums[0] + sums[1]

        def squared(i: Codes, j: Codes) -> Floats:
            return (placed[i] - placed[j]) * (placed[i] - placed[j])

    within, all_pairs = of.pairs(squared), exact_sum(counts * around)
    total = exact_sum(within)
    if not np.isfinite((total, all_pairs)).all():
        raise _intervals.too_large("ratings", f"values from {of.values[0]:g} to {of.values[-1]:g}")
    along, of_pairs = within, 2.0 * around
    if metric == "ordinal":
        moved = _of_ranks(of, placed, counts)
        along, of_pairs = along + of.summed(moved[0]), of_pairs + moved[1]
    quotient = total / all_pairs
    slopes = of.many * quotient + (n - 1) * (along - quotient * of.summed(of_pairs)) / all_pairs
    return _Found(1.0 - (n - 1) * quotient, -slopes, total / n, all_pairs / n / (n - 1), n)


def _placed(of: _Ratings, counts: Floats, metric: str) -> Floats:
    """Where the values lie: at their mean ranks, or at their distance from the mean."""
    if metric == "ordinal":
        return np.cumsum(of.counts) - counts / 2.0
    return of.values - exact_sum(counts * of.values) / exact_sum(counts) if metric == "interval" else of.values


def _relative(c: Any, k: Any) -> Floats:
    """The squared distance of a ratio; that of 0 and 0 is 0."""
    both = c + k
    apart: Floats = np.divide(c - k, both, out=np.zeros(np.shape(both)), where=both != 0.0)
    return apart * apart


def _of_ranks(of: _Ratings, ranks: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """How one more rating of a value moves D and E through the ranks: those above it rise by 1, its own by 1/2."""
    apart = np.zeros(len(ranks))
    for i, first in enumerate(of.codes.T):
        for j, second in enumerate(of.codes.T):
            if i != j:
                both = (first >= 0) & (second >= 0)
                gap = (ranks[first[both]] - ranks[second[both]]) / (of.many[both] - 1)
                apart += np.bincount(first[both], gap, len(ranks))
    n, middle = exact_sum(counts), exact_sum(counts * ranks)
    return _above(apart), _above(counts * (n * ranks - middle))


def _above(x: Floats) -> Floats:
    """Four times the sum of the entries above each one, and half of its own."""
    return 4.0 * (np.cumsum(x[::-1])[::-1] - x / 2.0)


def _estimate(found: _Found, rows: Rows, confidence: Confidence) -> Estimate:
    """Alpha with its standard error, and Student's interval of artanh(alpha)."""
    slopes, alpha, total = found.derivatives, found.alpha, len(found.derivatives)
    clustered, among = ("clustered ", " in clusters") if rows.clusters else ("", "")
    if rows.clusters is not None:
        total = rows.clusters.total
        slopes, _ = _core.cluster_sums(slopes, rows.clusters.codes, clusters=total)
    value = Estimate(
        value=alpha, confidence_level=confidence.level, n=len(found.derivatives), left_out=rows.left_out,
        n_clusters=total if rows.clusters else None, method=f"{clustered}artanh t",
        reason=_intervals.ONE_CLUSTER if rows.clusters else ONE_UNIT,
        detail={"observed": found.observed, "expected": found.expected, "ratings": float(found.ratings)},
    )  # fmt: skip
    if total < 2:
        return value
    tail, df = confidence.tail, float(total - 1)
    away = slopes - _core.exact_mean(slopes)
    error = float(np.sqrt(exact_sum(away * away) * total / df))
    method, reason = value.method, f"linearised alpha{among}"
    if found.observed == 0.0:
        z = _core.normal_quantile(tail)
        low, high = 1.0 - 2.0 * z * z / (total + z * z), 1.0
        # Where there is no spread, the standard error is the width of the two-sided interval over 2z.
        error, method, reason = abs(z) / (total + z * z), f"{clustered}no spread", NONE
    elif error <= ROUNDING * (1.0 - alpha):
        said = UNSPREAD.format("clusters" if rows.clusters else "units")
        return replace(value, method=f"{clustered}no spread", reason=said)
    else:
        middle = (_core.math_log1p(alpha) - _core.math_log1p(-alpha)) / 2.0
        half = -_core.t_quantile(tail, df) * error / (1.0 - alpha * alpha)
        low, high = _tanh(middle - half), _tanh(middle + half)
    return replace(
        value, standard_error=error, low=low if "low" in confidence.sides else -1.0, method=method, reason=reason,
        high=high if "high" in confidence.sides else 1.0, detail=value.detail | {"df": df},
    )  # fmt: skip


def _tanh(x: float) -> float:
    if x > 0.0:
        return -_tanh(-x)
    grown = _core.math_expm1(2.0 * x)
    return grown / (grown + 2.0)


def _one_kind(clusters: Any) -> None:
    if isinstance(clusters, Mapping):
        raise value_error("clusters", "one kind", f"{len(clusters)} in a mapping")


def _table(ratings: Any, metric: str) -> tuple[Floats, NDArray[np.bool_]]:
    """The ratings [units, raters] as numbers, and which there are."""
    if isinstance(ratings, tuple):
        fix = "a row is a unit, a column a rater"
        raise type_error("ratings", "a table [n, R], a mapping of raters or a frame", "a tuple", fix)
    named = frame(ratings, "ratings")
    if metric == "nominal" and named is not None:
        found = {name: _arrays.id_column(column, f"ratings[{name!r}]") for name, column in named.items()}
        sides = {f"ratings[{name!r}]": ids for name, (ids, _) in found.items()}
        _same_rows(sides)
        rated = [np.ones(len(ids), np.bool_) if none is None else ~none for ids, none in found.values()]
        table = _coded(sides, np.concatenate(rated)).reshape(len(sides), -1)
        return np.ascontiguousarray(table.T), np.stack(rated, axis=1)
    several = columns(ratings, "ratings")
    if not several.many:
        raise value_error("ratings", "a table [n, R] or a mapping of raters", "one column", "a row is a unit")
    sides = {name: to_float64(column) for name, column in several.items}
    _same_rows(sides)
    table = np.stack(list(sides.values()), axis=1)
    if np.isinf(table).any():
        row, column = np.argwhere(np.isinf(table))[0].tolist()
        raise value_error(list(sides)[column], "finite ratings", f"{table[row, column]} at index {row}")
    return table, ~np.isnan(table)


def _same_rows(sides: Mapping[str, Any]) -> None:
    """Refuse fewer than two raters, and raters of different units."""
    if len(sides) < 2:
        raise value_error("ratings", "two raters or more", "one")
    first = next(iter(sides.values()))
    for name, column in sides.items():
        if column.ndim != 1 or len(column) != len(first):
            raise value_error(name, f"{len(first)} ratings, as the first rater has", f"shape {column.shape}")


def _coded(sides: Mapping[str, Any], present: NDArray[np.bool_]) -> Floats:
    """Ratings of any kind as codes, those of a rater side by side."""
    texts = {name: ids.dtype.kind in "OUS" for name, ids in sides.items()}
    if any(texts.values()) and not all(texts.values()):
        numbers = next(name for name, text in texts.items() if not text)
        raise type_error(numbers, "texts, as other raters gave", "numbers")
    joined = np.concatenate(list(sides.values()))
    table = np.zeros(len(joined))
    table[present], _ = _arrays.codes(joined, "ratings", len(joined), present)
    return table
