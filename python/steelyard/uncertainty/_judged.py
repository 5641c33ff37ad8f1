"""Means of labels that few rows have, with the help of a judge's scores of all rows, or of a control variate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from .. import _core, _intervals
from .._columns import Array, columns, one_column
from .._estimate import Estimate
from .._groups import groups
from .._intervals import Column
from .._levels import CrossedIds
from .._numbers import count
from .._options import Confidence, number
from .._progress import OnProgress
from .._rows import Rows, Selection
from ..errors import keyword, value_error, warn
from ._tuned import Labelled, Tuned, labelled, tuned

RARE = 1e-3
"""How rarely chance sets the judge's means as far apart as ``reason`` doubts."""
DOUBT = "the labelled rows have a mean score {apart:.1f} standard errors from {others}: were they chosen by chance?"

__all__ = ["alone", "estimate_of", "judged", "refuse_designs", "scores_of", "summaries", "variance_of"]


def judged(
    x: Any,
    judge: Any,
    judge_mean: Any,
    select: Callable[..., Selection],
    *,
    confidence: Confidence,
    on_progress: OnProgress,
) -> Estimate:
    """The mean of the labels ``x``, of which some rows have none, with the help of the judge's scores of all rows."""
    found = columns(x, "x")
    if found.many:
        raise value_error("x", f"one column with {keyword('judge')}", "several", "estimate one column at a time")
    name, labels = next(found.items)
    scores, known = scores_of(judge, labels, name), None if judge_mean is None else _finite(judge_mean)
    selection = select()
    refuse_designs(selection)
    answer = partial(_answer, name, labels, scores, known=known, progress=on_progress)
    if selection.by is not None:
        return _intervals.by_group(groups(selection, "judge", scores), confidence, answer)
    return answer(selection.rows("judge", scores), confidence)


def _answer(
    name: str,
    labels: Array,
    scores: Array,
    rows: Rows,
    confidence: Confidence,
    *,
    known: float | None,
    progress: OnProgress,
) -> Estimate:
    """The mean of the labels of some rows."""
    part = labelled(labels, scores, rows)
    own, of_judge = summaries(part, name, progress)
    answers = own.ones is not None
    found = tuned(part, own, of_judge, known=known, bounded=answers, name=name)
    if isinstance(found, str):
        return alone(_intervals.mean(labels, confidence, part.with_label, name=name, progress=progress), found)
    return estimate_of(
        found, part, confidence, answers=answers, bounded=answers, known=known is not None,
        kind="0/1 labels" if answers else "graded labels",
    )  # fmt: skip


def summaries(part: Labelled, name: str, progress: OnProgress) -> tuple[Column, Column]:
    """The summaries of the labels and of all the judge's scores; raises for what is not finite and without a label."""
    if not part.n_labelled:
        rows = part.rows.count(part.labels)
        raise value_error(name, "a label (a number that is not NaN) on one row at least", f"none on {rows} rows")
    labels = part.with_label.of(part.labels)
    return (
        _intervals.column(labels, name, rows=part.with_label, progress=progress),
        _intervals.column(part.rows.of(part.judge), "judge", rows=part.rows, progress=progress),
    )


def variance_of(of: Tuned, confidence: Confidence, *, bounded: bool) -> float:
    """The variance of the mean; where labels are ``bounded`` (0/1, or differences of such), at least a judge's error.

    A judge that was right about all labels may still be wrong about other rows. Half of Wilson's upper limit for 0 of
    the labels is taken for the share of rows whose label it misses by 1.
    """
    if not bounded:
        return of.variance
    z = _core.normal_quantile(confidence.tail)
    return max(of.variance, z * z / (of.units + z * z) / (2.0 * of.units))


def estimate_of(
    of: Tuned, part: Labelled, confidence: Confidence, *, answers: bool, bounded: bool, known: bool, kind: str
) -> Estimate:
    """The tuned mean with Student's limits, or for 0/1 ``answers`` Wilson's; warns where ``reason`` doubts."""
    variance = variance_of(of, confidence, bounded=bounded)
    error, t = math.sqrt(variance), -_core.t_quantile(confidence.tail, of.df)
    value, effective = of.value, part.n_labelled * of.alone / variance
    low, high, least, most = value - t * error, value + t * error, -math.inf, math.inf
    n_effective = effective
    if answers:
        value = min(max(value, 0.0), 1.0)
        n_effective, least, most = max(value * (1.0 - value) / variance, of.units), 0.0, 1.0
        low, high = _wilson(value, n_effective, t)
    used = part.with_label if known else part.rows
    rows, clusters = used.count(part.labels), used.clusters
    scheme = "clustered " if clusters is not None else "weighted " if used.weights is not None else ""
    some = count(rows) if known else f"{count(part.n_labelled)} of {count(rows)}"
    said = f"{kind} of {some} rows{' in clusters' if clusters is not None else ''}"
    doubt = _doubt(of, known=known)
    if doubt:
        warn(f"judge: {doubt}")
        said += f"; {doubt}"
    return Estimate(
        value=value, standard_error=error, low=low if "low" in confidence.sides else least,
        high=high if "high" in confidence.sides else most, confidence_level=confidence.level, n=rows,
        n_effective=n_effective, n_clusters=None if clusters is None else clusters.total,
        method=f"{scheme}{'control variate' if known else 'prediction-powered'} {'Wilson' if answers else 't'}",
        reason=said, left_out=used.left_out,
        detail={
            "df": of.df, "lambda": of.weight, "n_labelled": float(part.n_labelled), "effective_labels": effective,
            "apart": of.apart,
        },
    )  # fmt: skip


def _doubt(of: Tuned, *, known: bool) -> str:
    """What is said where the scores of the labelled rows are not those of a random part of the rows."""
    if 2.0 * _core.t_sf(abs(of.apart), of.units - 1.0) >= RARE:
        return ""
    return DOUBT.format(apart=of.apart, others="judge_mean" if known else "that of the others")


def _wilson(p: float, n: float, t: float) -> tuple[float, float]:
    """Wilson's limits of a share ``p`` of ``n`` answers, with ``t`` in place of z."""
    whole = 1.0 + t * t / n
    middle, half = p + t * t / (2.0 * n), t * math.sqrt((p * (1.0 - p) + t * t / (4.0 * n)) / n)
    low, high = (middle - half) / whole, (middle + half) / whole
    # At 0 and 1 the limit is the share itself, but for rounding.
    return 0.0 if p == 0.0 and t > 0.0 else max(low, 0.0), 1.0 if p == 1.0 and t > 0.0 else min(high, 1.0)


def alone(own: Estimate, why: str) -> Estimate:
    """The estimate of the labels alone, and why the judge has no part in it."""
    detail = {"lambda": 0.0, "n_labelled": float(own.n), "effective_labels": float(own.n)}
    return replace(own, reason=f"{own.reason}; {why}", detail=own.detail | detail)


def refuse_designs(selection: Selection) -> None:
    """Refuse designs that the tuned mean does not have."""
    if selection.strata is not None:
        raise value_error("strata", f"None with {keyword('judge')}", "strata", "by= gives the mean of each stratum")
    if isinstance(selection.several, CrossedIds):
        raise value_error("clusters", f"one kind with {keyword('judge')}", "two in a mapping")


def scores_of(judge: Any, labels: Array, name: str, of: str = "judge") -> Array:
    """The judge's scores, one for each row of labels."""
    scores = one_column(judge, of)
    if len(scores) != len(labels):
        fix = "rows without a label have NaN there"
        raise value_error(of, f"{len(labels)} scores, one for each row of {name}", str(len(scores)), fix)
    return scores


def _finite(judge_mean: Any) -> float:
    known = number(judge_mean, "judge_mean")
    if not math.isfinite(known):
        raise value_error("judge_mean", "a finite number", f"{known}")
    return known
