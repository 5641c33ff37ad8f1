"""Intervals of proportions, means, clustered means and ratios, as Estimates; all packages use this module.

The core does the arithmetic. This module chooses the method that suits the data and writes the ``reason``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypedDict, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._estimate import Estimate
from ._levels import Crossed
from ._numbers import percent
from ._options import Confidence
from ._progress import OnProgress
from ._registries import titles
from ._rows import ALL_ROWS, Clusters, Rows
from ._strata import Strata, scheme_of, unit_strata
from ._strides import strides
from ._text import printable
from .errors import value_error, warn

__all__ = ["Column", "column", "mean", "proportion", "ratio", "stack"]

Array = NDArray[Any]
Floats = NDArray[np.float64]
Limit = TypeVar("Limit", float, Floats)
Score = Literal["t", "answers", "shares"]
"""The kind of interval of a clustered mean: see :func:`ratio`."""
Kind = Literal["graded", "ties"]
"""How to treat values that happen to be all 0 or 1: as graded values, or as answers of which a tie counts 1/2."""

Grouped = Literal["clusters", "weights", "strata"]
"""Why the interval is made of sums of clusters, or of rows as clusters."""

PROPORTIONS = titles("proportion.method")
FEW_CLUSTERS = titles("cluster.method")
# The kinds of interval that a mean may have.
MEANS = ("t", *PROPORTIONS, *FEW_CLUSTERS)
# With fewer successes or failures than this, Wald's interval covers too little (the usual rule: n p, n (1 - p) >= 10).
WALD_SAFE = 10
ONE_CLUSTER = "the spread between clusters is unknown under two clusters"
ONE_VALUE = "the spread of graded values is unknown for one value"
ONE_WEIGHT = "the spread is unknown where one row has all the weight"
ALL_EQUAL = "all answers are equal: the standard error is the width of the Wilson interval over 2z"
SAME_SHARE = "all clusters show the same share: n_effective is their number, the standard error the width over 2t"
NONE_REJECTED = "no limits, since {count} clusters reject no mean at {level}"
RULED = "the variance of both kinds of clusters is below that of {name} alone, which is used"
SAME_ANSWER = "all answers are equal: n_effective is (sum w)^2 / sum w^2, the standard error the width over 2t"
# What is said of graded values without spread: the first where they lie in [0, 1], the second elsewhere.
FAR_END = "the limits take the share z^2/(n + z^2), Wilson's upper limit for 0 of {n}, to lie at the far end"
NO_LIMITS = "no limits, since values that may lie outside [0, 1] show no spread"
# The float64 step at 1, used where values are 0/1 booleans and so exact.
STEP = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Column:
    """The summary of a column that an interval of its mean needs."""

    n: int
    mean: float
    squares: float
    low: float
    high: float
    step: float
    """One unit in the last place of the largest absolute value, in the type of the column."""
    ones: int | None
    """The number of ones where all values are 0 or 1; else None."""

    @property
    def shares(self) -> bool:
        """Whether every value lies in [0, 1]."""
        return self.low >= 0.0 and self.high <= 1.0


class ValueFacts(TypedDict):
    """The range and rounding of the values behind a mean; they decide the limits where the values show no spread.

    Attributes
    ----------
    low, high : the smallest and the largest value
    step : one unit in the last place of the input
    rows : the number of values
    range : ``"share"``: values in [0, 1]; ``"difference"``: differences of scores in [0, 1]; ``"unknown"``: anything
    """

    low: float
    high: float
    step: float
    rows: float
    range: str


def value_facts(found: Column, *, bounded: bool = True) -> ValueFacts:
    """The facts of a column.

    ``bounded=False`` says that the values could lie outside [0, 1] even if these happen to lie inside.
    """
    kind = "share" if bounded and found.shares else "unknown"
    return ValueFacts(low=found.low, high=found.high, step=found.step, rows=float(found.n), range=kind)


def shown_at(x: Array, index: int) -> str:
    """The NaN or infinity at ``index`` as text; ``x`` may hold the bits of bfloat16."""
    if x.dtype == np.uint16:
        bits = int(x[index])
        return "nan" if bits & 0x7F else ("-inf" if bits >> 15 else "inf")
    return str(x[index])


def not_finite(x: Array, bad: int, name: str, rows: Rows) -> ValueError:
    """The error for a NaN or infinity at position ``bad`` of the rows that count, naming the caller's index."""
    shown = shown_at(x, bad)
    fix = 'pass nan_policy="omit" to leave such rows out' if shown == "nan" else "leave it out with where="
    return value_error(name, "finite values", f"{shown} at index {rows.place(bad)}", fix)


def too_large(name: str, got: str) -> ValueError:
    """The error for values whose sum of squares overflows float64."""
    return value_error(name, "values whose sum of squares stays finite", got, "scale them down")


def column(x: Array, name: str, *, rows: Rows = ALL_ROWS, progress: OnProgress = None) -> Column:
    """Summarise a contiguous column of floats (bfloat16 as uint16) or booleans with at least one value.

    Parameters
    ----------
    rows : Rows
        Which of the caller's rows ``x`` holds, so that a message names the caller's index.

    Raises
    ------
    ValueError
        For the first NaN or infinity, and where the sum overflows.
    """
    n = len(x)
    if x.dtype == np.bool_:
        ones = int(np.count_nonzero(x))
        return Column(n, ones / n, ones * (n - ones) / n, float(x.min()), float(x.max()), STEP, ones)
    found = _core.column_moments(x, progress=progress)
    if "bad" in found:
        raise not_finite(x, found["bad"], name, rows)
    return whole_column(n, found, name)


def whole_column(n: int, found: _core._Moments, name: str) -> Column:
    """A column of ``n`` values with these moments, unless they overflow."""
    if not (np.isfinite(found["mean"]) and np.isfinite(found["squares"])):
        raise too_large(name, f"values from {found['low']:g} to {found['high']:g}")
    return Column(n, **found)


def maybe(value: float) -> float | None:
    """``value``, or None for NaN, by which the core says that there is no such number."""
    return None if value != value else value


def proportion(
    k: int | NDArray[np.int64],
    n: int | NDArray[np.int64],
    confidence: Confidence,
    *,
    method: str = "wilson",
    reason: str = "",
    left_out: Mapping[str, int] | None = None,
    names: tuple[str, ...] | None = None,
) -> Estimate:
    """Estimate the proportion k/n of two whole numbers, or of arrays of one shape.

    The caller has checked that 0 <= k <= n and n >= 1.
    """
    shape = np.shape(k)
    hits, all_ = np.atleast_1d(np.asarray(k, np.int64)).ravel(), np.atleast_1d(np.asarray(n, np.int64)).ravel()
    if method == "wald":
        _warn_wald(hits, all_)
    found = _core.proportion_intervals(k=hits, n=all_, method=method, **confidence.keywords)
    equal = (hits == 0) | (hits == all_)
    mixed, alike = reason, f"{reason}; {ALL_EQUAL}" if reason else ALL_EQUAL
    said = [alike if e else mixed for step in strides(len(equal)) for e in equal[step].tolist()]
    many = shape != ()
    flat = len(shape) == 1

    def as_given(column: NDArray[Any]) -> Any:
        return column.reshape(shape) if many else column.item()

    return Estimate(
        value=as_given(found["value"]), standard_error=as_given(found["standard_error"]), low=as_given(found["low"]),
        high=as_given(found["high"]), confidence_level=confidence.level,
        n=all_.reshape(shape) if many else int(n), method=PROPORTIONS[method],
        reason=(tuple(said) if flat else reason) if many else said[0],
        left_out=dict(left_out or {}), names=names,
    )  # fmt: skip


def _warn_wald(k: NDArray[np.int64], n: NDArray[np.int64]) -> None:
    few = np.minimum(k, n - k)
    if (few < WALD_SAFE).any():
        i = int(np.flatnonzero(few < WALD_SAFE)[0])
        warn(
            f"Wald's interval covers too little with fewer than {WALD_SAFE} successes or failures (here {k[i]} of "
            f'{n[i]}); method="wilson" is safe'
        )


def mean(
    x: Array,
    confidence: Confidence,
    rows: Rows = ALL_ROWS,
    *,
    name: str,
    bounded: bool = True,
    kind: Kind | None = None,
    step: float = 0.0,
    method: str | None = None,
    progress: OnProgress = None,
) -> Estimate:
    """The mean of those ``rows`` of a contiguous column of floats or booleans that count (at least one).

    Without ``method`` the interval is Wilson's for 0/1 values and Student's t for graded ones. With clusters or weights
    it is the cluster-robust (CR2) form of these, with strata the stratified one; without clusters each row is its own.
    ``bounded=False`` says that the values could lie outside [0, 1] even if these do not. ``kind`` says how to treat
    values that happen to be all 0 or 1. ``step`` is the rounding of the input that the values were computed from, where
    that is larger than one unit in their own last place.
    """
    x = rows.of(x)
    grouped: Grouped | None = "strata" if rows.strata else "clusters" if rows.clusters else None
    if grouped is None and rows.weights is not None:
        grouped = "weights"
    if grouped and x.dtype == np.bool_:
        x = x.astype(np.float32)
    found = column(x, name, rows=rows, progress=progress)
    found = replace(found, step=max(found.step, step))

    def summed(shift: float) -> Sums:
        return _summed(x, found, rows, shift, progress=progress)

    return mean_of(
        found, confidence, summed, name=name, grouped=grouped,
        values=value_facts(found, bounded=bounded), kind=kind, method=method, left_out=rows.left_out,
    )  # fmt: skip


def mean_of(
    found: Column,
    confidence: Confidence,
    summed: Callable[[float], Sums],
    *,
    name: str,
    grouped: Grouped | None,
    values: ValueFacts,
    kind: Kind | None = None,
    method: str | None = None,
    left_out: Mapping[str, int] | None = None,
) -> Estimate:
    """Estimate the mean of a column from its summary ``found``.

    ``summed(shift)`` returns the sums of ``x - shift`` over each cluster; where there are only weights, or answers
    with ties, each row is a cluster. It is called only where these sums are needed.
    """
    ties = kind == "ties" and found.ones is None and found.n > 1
    chosen = _method(found, name, kind, method)
    if chosen in FEW_CLUSTERS:
        if grouped == "strata":
            raise value_error("method", "None with strata", repr(chosen))
        if grouped != "clusters":
            raise value_error("method", f"clusters= with {chosen!r}", "none")
        return _few(
            summed(0.0 if found.ones is not None else found.mean),
            confidence,
            chosen,
            name=name,
            n=found.n,
            values=values,
            left_out=left_out,
        )
    if grouped and chosen not in ("wilson", "t"):
        raise value_error("method", f"wilson or t with {grouped}", repr(chosen))
    if grouped or ties:
        score: Score = "shares" if ties else "answers" if chosen == "wilson" else "t"
        # Sums of the deviations from the mean keep the digits that rounding would lose beside a large mean.
        shift = found.mean if score == "t" and found.ones is None else 0.0
        return _ratio(summed(shift), confidence, name=name, n=found.n, values=values, score=score, left_out=left_out)
    if found.ones is not None and chosen in PROPORTIONS:
        reason = "0/1 values" if method is None else "as asked"
        return proportion(found.ones, found.n, confidence, method=chosen, reason=reason, left_out=left_out)
    reason = "as asked" if found.ones is not None and method else "graded values"
    return _student(found, values, reason, confidence, left_out)


def _method(found: Column, name: str, kind: Kind | None, method: str | None) -> str:
    """The method that was asked for; without one, Wilson for 0/1 values and t for others."""
    if method is None:
        return "wilson" if found.ones is not None and kind != "graded" else "t"
    if method in PROPORTIONS and found.ones is None:
        got = f"values from {found.low:g} to {found.high:g}"
        raise value_error(name, f"0/1 values for method={method!r}", got, 'use method="t"')
    return method


def without_spread(bounded: bool, equal: bool, what: str, n: int) -> str:
    """The part of ``reason`` for ``n`` values or means without spread; ``bounded``: they lie in [0, 1]."""
    rule = FAR_END.format(n=n) if bounded else NO_LIMITS
    return f"all {n} {what} are equal{'' if equal else ' but for rounding'}: {rule}"


def _student(
    found: Column, values: ValueFacts, reason: str, confidence: Confidence, left_out: Mapping[str, int] | None
) -> Estimate:
    got = _core.mean_interval(mean=found.mean, squares=found.squares, n=found.n, **confidence.keywords, **values)
    if found.n < 2:
        reason = ONE_VALUE
    elif got["unspread"]:
        said = without_spread(values["range"] != "unknown", found.low == found.high, "values", found.n)
        reason = f"{reason}; {said}"
    return Estimate(
        value=found.mean, standard_error=maybe(got["standard_error"]), low=maybe(got["low"]), high=maybe(got["high"]),
        confidence_level=confidence.level, n=found.n, method="no spread" if got["unspread"] else "t", reason=reason,
        left_out=dict(left_out or {}),
        detail={"df": found.n - 1.0} if found.n > 1 else {},
    )  # fmt: skip


class Sums(NamedTuple):
    """The sum of the values of each cluster; where there are no clusters, each row is its own."""

    sums: Floats
    sizes: Floats
    """The number of values of each cluster; with weights, the sum of its weights."""
    shift: float = 0.0
    """The number that was subtracted from every value before summing; it is added to the mean again."""
    effective: float | None = None
    """With weights, the effective number of rows (sum w)^2 / sum w^2."""
    rows: bool = False
    """Whether each row is its own cluster."""
    strata: Strata | None = None
    """The strata of the clusters."""
    crossed: Crossed | None = None
    """The two kinds of clusters, where the clusters are pairs of these."""

    @property
    def weighted(self) -> bool:
        return self.effective is not None

    @property
    def n_clusters(self) -> int | None:
        if self.crossed is not None:
            return self.crossed.fewest
        return None if self.rows else len(self.sums)


def _summed(x: Array, found: Column, rows: Rows, shift: float, *, progress: OnProgress) -> Sums:
    """Sum ``x - shift`` of the rows that count, by cluster."""
    strata = None
    if rows.strata is not None:
        strata = rows.strata._replace(codes=unit_strata(rows.strata, rows.clusters))
    codes, total = rows.clusters or Clusters(np.arange(found.n), found.n)
    crossed = rows.several if isinstance(rows.several, Crossed) else None
    sums, sizes = _core.cluster_sums(x, codes, clusters=total, shift=shift, weights=rows.weights, progress=progress)
    effective = None if rows.weights is None else _core.effective_weights(rows.weights)
    return Sums(sums, sizes, shift, effective, rows=rows.clusters is None, strata=strata, crossed=crossed)


def ratio(
    sums: Floats,
    sizes: Floats,
    confidence: Confidence,
    *,
    name: str,
    n: int,
    values: ValueFacts,
    score: Score = "t",
    shift: float = 0.0,
    effective: float | None = None,
    of_rows: bool = False,
    left_out: Mapping[str, int] | None = None,
) -> Estimate:
    """``sum(sums) / sum(sizes)`` over clusters, with its CR2 variance and Satterthwaite's degrees of freedom.

    Parameters
    ----------
    sums, sizes : float64, one entry per cluster
    name : str
        The caller's name of the values, for error messages.
    n : int
        The number of rows that count.
    values : ValueFacts
        The range and rounding of the values that were summed.
    score : str
        ``"t"`` for Student's interval; ``"answers"`` (values are 0 or 1) and ``"shares"`` (values in [0, 1]) for
        Wilson's interval with the effective number of rows.
    shift : float
        The number that was subtracted from every value before summing; it is added to the mean again.
    effective : float, optional
        With weights, the effective number of rows.
    of_rows : bool
        Whether each row is its own cluster.
    """
    summed = Sums(sums, sizes, shift, effective=effective, rows=of_rows)
    return _ratio(summed, confidence, name=name, n=n, values=values, score=score, left_out=left_out)


def _ratio(
    of: Sums,
    confidence: Confidence,
    *,
    name: str,
    n: int,
    values: ValueFacts,
    score: Score,
    left_out: Mapping[str, int] | None,
) -> Estimate:
    found = _interval_of(of, confidence, values, score)
    df, unspread = found["df"], found["unspread"]
    spread_known, answers = df == df, score == "answers"
    replaced = unspread and not answers
    limits = [found[side] for side in confidence.sides]
    told = (found["standard_error"], *limits) if spread_known and not replaced else ()
    if not np.isfinite((found["value"], *told)).all():
        where = "whose weighted sums" if of.rows else "in clusters whose sums"
        raise too_large(name, f"{n} rows {where} or squares do not")
    reason = ONE_WEIGHT if of.rows else ONE_CLUSTER
    if spread_known:
        reason = _ratio_reason(of, values, score, found)
    scheme = "clustered " if not of.rows else "weighted " if of.weighted else ""
    if of.crossed is not None:
        scheme = "two-way clustered "
    rule = "no spread" if replaced else {"t": "t", "answers": "Wilson", "shares": "Wilson"}[score]
    return Estimate(
        value=found["value"], standard_error=maybe(found["standard_error"]), low=maybe(found["low"]),
        high=maybe(found["high"]), confidence_level=confidence.level, n=n,
        n_effective=of.effective if of.weighted and not answers else maybe(found["n_effective"]),
        n_clusters=of.n_clusters, method=f"{scheme_of(of.strata)}{scheme}{rule}", reason=reason,
        left_out=dict(left_out or {}), detail={"df": df} if spread_known else {},
    )  # fmt: skip


def _few(
    of: Sums,
    confidence: Confidence,
    method: str,
    *,
    name: str,
    n: int,
    values: ValueFacts,
    left_out: Mapping[str, int] | None,
) -> Estimate:
    """The mean of clusters with an interval for few of them, by one of the names of ``FEW_CLUSTERS``."""
    if of.crossed is not None:
        raise value_error("method", f"clusters of one kind with {method!r}", of.crossed.words)
    if method == "wild" and confidence.alternative != "two-sided" and confidence.level <= 0.5:
        # Its limits are those of two sides, which enclose the mean.
        expected = "a number above 0.5 with method='wild' and one side"
        raise value_error("confidence_level", expected, f"{confidence.level:g}", "'cr3' has such limits")
    found = _core.few_clusters_interval(
        sums=of.sums, sizes=of.sizes, shift=of.shift, method=method, weighted=of.weighted, **confidence.keywords,
        **values,
    )  # fmt: skip
    if "most" in found:
        fix = "leave method= out: Student's t with the CR2 error covers as well there"
        raise value_error("clusters", f"at most {found['most']} with method={method!r}", str(len(of.sums)), fix)
    plain = found["df"] != found["df"] or found["unspread"]
    if plain:
        return _ratio(of, confidence, name=name, n=n, values=values, score="t", left_out=left_out)
    if not np.isfinite((found["value"], found["standard_error"])).all():
        raise too_large(name, f"{n} rows in clusters whose sums or squares do not")
    low, high = maybe(found["low"]), maybe(found["high"])
    reason = (
        "as asked" if low is not None else NONE_REJECTED.format(level=percent(confidence.level), count=len(of.sums))
    )
    return Estimate(
        value=found["value"], standard_error=found["standard_error"], low=low, high=high,
        confidence_level=confidence.level, n=n, n_effective=of.effective, n_clusters=len(of.sums),
        method=f"clustered {FEW_CLUSTERS[method]}", reason=reason, left_out=dict(left_out or {}),
        detail={} if method == "wild" else {"df": found["df"]},
    )  # fmt: skip


def _interval_of(
    of: Sums, confidence: Confidence, values: ValueFacts, score: Score
) -> _core._Clustered | _core._Crossed | _core._Stratified:
    """The interval of the core."""
    if of.crossed is not None:
        (a, b), (_, of_a, of_b) = of.crossed.kinds, of.crossed.cells
        return _core.crossed_interval(
            sums=of.sums, sizes=of.sizes, a=of_a, count_a=a.total, b=of_b, count_b=b.total, shift=of.shift, score=score,
            weighted=of.weighted, **confidence.keywords, **values,
        )  # fmt: skip
    if of.strata is None:
        return _core.clustered_interval(
            sums=of.sums, sizes=of.sizes, shift=of.shift, score=score, weighted=of.weighted, **confidence.keywords,
            **values,
        )  # fmt: skip
    return _core.stratified_interval(
        sums=of.sums, sizes=of.sizes, strata=of.strata.codes, count=len(of.strata.ids), average=of.strata.average,
        shift=of.shift, score=score, weighted=of.weighted, **confidence.keywords, **values,
    )  # fmt: skip


def _ratio_reason(
    of: Sums, values: ValueFacts, score: Score, found: _core._Clustered | _core._Crossed | _core._Stratified
) -> str:
    """The ``reason`` of an estimate: the kind of the values, weights and clusters, and whether there is no spread."""
    graded = "graded values" if of.rows else "values"
    kind = {"t": graded, "answers": "0/1 values", "shares": "answers and ties"}[score]
    where = "" if of.rows else f" in {of.crossed.words if of.crossed else 'clusters'}"
    reason = f"{kind}{' with weights' if of.weighted else ''}{where}"
    if of.crossed is not None:
        both = cast("_core._Crossed", found)
        if both["ruled"] and not both["unspread"]:
            reason += f"; {RULED.format(name=printable(of.crossed.names[both['a'] < both['b']]))}"
    bounded = values["range"] != "unknown"
    if of.strata is not None:
        return reason + of.strata.said(found, bounded=bounded, answers=score == "answers")
    if not found["unspread"]:
        return reason
    if score == "answers":
        return f"{reason}; {SAME_ANSWER if of.rows else SAME_SHARE}"
    if of.crossed is not None:
        rule = FAR_END.format(n=of.n_clusters) if bounded else NO_LIMITS
        return f"{reason}; the means of either kind are equal but for rounding: {rule}"
    what = "values" if of.rows else "cluster means"
    said = without_spread(bounded, one_share(of.sums, of.sizes), what, len(of.sums))
    return f"{reason}; {said}"


def one_share(sums: Floats, sizes: Floats) -> bool:
    """Whether the means of all clusters are equal, compared without division and its rounding."""
    return bool((sums * sizes[0] == sums[0] * sizes).all())


def adjusted(p: Floats, method: str = "holm") -> Floats:
    """The p-values of several problems, adjusted for their number."""
    return _core.adjusted(p, method=method)


def holm(p: Floats) -> Floats:
    """The p-values of several problems, adjusted for their number by Holm."""
    return adjusted(p)


def stricter(confidence: Confidence, problems: int) -> Confidence:
    """The confidence level 1 - alpha/m for each of m problems, so that all m intervals hold at once (Bonferroni)."""
    return Confidence(1.0 - (1.0 - confidence.level) / problems, confidence.alternative)


def levels(confidence: Confidence, problems: int) -> list[Confidence]:
    """The level that is shown and, for several problems, the stricter one at which all of them hold at once."""
    return [confidence] if problems == 1 else [confidence, stricter(confidence, problems)]


def turned(low: Limit, high: Limit, *, higher_is_better: bool) -> tuple[Limit, Limit]:
    """The limits of a difference, turned so that higher is better: the first is then the worst case."""
    return (low, high) if higher_is_better else (-high, -low)


def verdict(low: float, high: float, margin: float) -> str:
    """The verdict on a difference whose limits are turned so that higher is better; NaN limits leave it undecided."""
    if low > 0.0:
        return "better"
    if low > -margin:
        return "not_worse"
    return "worse" if high < -margin else "undecided"


def equivalence(low: float, high: float, margin: float) -> str:
    """The verdict of two one-sided tests on a difference with these limits; NaN limits leave it undecided."""
    if -margin < low and high < margin:
        return "equivalent"
    return "different" if low > margin or high < -margin else "undecided"


def simultaneous(shown: Estimate, strict: Estimate) -> Estimate:
    """``shown``, with the limits of ``strict`` in its detail."""
    limits = {"simultaneous_low": strict.low, "simultaneous_high": strict.high}
    return replace(shown, detail=shown.detail | {key: value for key, value in limits.items() if value is not None})


def by_group(
    groups: Mapping[str, Rows], confidence: Confidence, answer: Callable[[Rows, Confidence], Estimate]
) -> Estimate:
    """Estimate each group by ``answer``, with additional limits that hold for all groups at once."""
    parts = [answer(rows, confidence) for rows in groups.values()]
    if len(parts) > 1:
        strict = stricter(confidence, len(parts))
        parts = [simultaneous(part, answer(rows, strict)) for part, rows in zip(parts, groups.values(), strict=True)]
    return stack(parts, tuple(groups))


def stack(parts: Sequence[Estimate], names: tuple[str, ...] | None) -> Estimate:
    """Combine estimates into one Estimate of many problems, with arrays in the order of ``parts``."""

    def floats(field: str) -> Floats:
        values = [getattr(part, field) for part in parts]
        return np.array([np.nan if value is None else value for value in values], np.float64)

    def whole(values: list[int]) -> Any:
        return values[0] if len(set(values)) == 1 else np.array(values, np.int64)

    effective = floats("n_effective")
    clusters = [part.n_clusters for part in parts]
    reasons = sorted({key for part in parts for key in part.left_out})
    details = sorted({key for part in parts for key in part.detail})
    return Estimate(
        value=floats("value"),
        standard_error=floats("standard_error"),
        low=floats("low"),
        high=floats("high"),
        confidence_level=parts[0].confidence_level,
        n=np.array([part.n for part in parts], np.int64),
        n_effective=None if np.isnan(effective).all() else effective,
        n_clusters=None if clusters[0] is None else whole([int(c) for c in clusters if c is not None]),
        method=tuple(str(part.method) for part in parts),
        reason=tuple(str(part.reason) for part in parts),
        left_out={key: whole([int(part.left_out.get(key, 0)) for part in parts]) for key in reasons},
        names=names,
        detail={key: np.array([part.detail.get(key, np.nan) for part in parts]) for key in details},
    )
