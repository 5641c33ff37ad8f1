"""Comparison of two models on the same rows: the call of the core, and the words of the result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, _intervals
from .._arrays import to_float64
from .._estimate import Estimate
from .._options import Confidence
from .._progress import OnProgress
from .._registries import titles
from .._rows import ALL_ROWS, Rows
from .._strata import Strata, scheme_of, told
from ._answers import Asked
from ._flips import flipped_signs
from ._statistics import for_core, refusal
from .comparison import Pair

__all__ = ["paired"]

ALIKE = "; all differences are equal: the standard error is the width of Tango's interval over 2z"

Array = NDArray[Any]
METHODS, TESTS = titles("paired.method"), titles("answers.test")


def paired(
    new: tuple[str, Array],
    base: tuple[str, Array],
    rows: Rows,
    *,
    asked: Asked,
    confidence: Confidence,
    problems: int,
    on_progress: OnProgress,
) -> Pair:
    """Compare one model with the baseline on the rows that count, as one of several ``problems``."""
    a, b, what = rows.of(new[1]), rows.of(base[1]), f"{new[0]} - baseline"
    # With several models or groups, verdicts use intervals at the level 1 - alpha/m, so that all of them hold at once.
    levels = _intervals.levels(confidence, problems)
    strata = rows.strata
    codes, clusters = rows.clusters or (None, 0)
    new_floats, base_floats = for_core((a, b))
    found = _core.paired_comparison(
        new=new_floats, base=base_floats, booleans=(a.dtype == np.bool_, b.dtype == np.bool_), codes=codes,
        clusters=clusters, **told(strata, rows.clusters),
        confidence_levels=[level.level for level in levels], alternative=confidence.alternative,
        progress=on_progress, **asked.of_answers,
    )  # fmt: skip
    if "refused" in found:
        raise _refusal(found, dict((new, base)), rows, what)
    asked.fits("Student's interval and the sign-flip test", binary=found["p"] is not None)
    units = (clusters, strata)
    estimates = [
        _estimate(found, level, at, units, what, of_answers=METHODS[asked.method or "tango"])
        for level, at in zip(found["levels"], levels, strict=True)
    ]
    few: dict[str, float] = {}
    if found["flip"] is None:
        p, test = found["p"], f"McNemar {TESTS[asked.test or 'mid-p']}"
    else:
        p, test, few = flipped_signs(found["flip"], confidence)
    assert p is not None
    shown = replace(estimates[0], left_out=rows.left_out, detail=estimates[0].detail | few)
    if problems > 1:
        shown = _intervals.simultaneous(shown, estimates[1])
    return Pair(shown, p, test, found["wins"], found["losses"], found["shares"])


def _refusal(found: _core._Refused, columns: dict[str, Array], rows: Rows, what: str) -> ValueError:
    """The refusal of a score or of a difference (the core's third column) that is not finite or too large."""
    if found["column"] < len(columns):
        return refusal(found, "mean", columns, rows)
    a, b = (to_float64(rows.of(x)) for x in columns.values())
    with np.errstate(over="ignore"):
        return refusal(found, "mean", dict.fromkeys((*columns, what), a - b), ALL_ROWS)


def _estimate(
    found: _core._Comparison,
    level: _core._Level,
    confidence: Confidence,
    units: tuple[int, Strata | None],
    what: str,
    *,
    of_answers: str,
) -> Estimate:
    """The mean difference at one level of confidence, and how it was found.

    ``units`` are the number of clusters (0: none) and the strata; ``of_answers`` is the title of the interval that
    independent 0/1 pairs have.
    """
    clusters, strata = units
    method, reason = (
        _words(found, level, clusters, of_answers) if strata is None else _stratified(found, level, clusters, strata)
    )
    known = level["df"] == level["df"]
    limits = [level[side] for side in confidence.sides]
    told = (level["standard_error"], *limits) if known and not level["unspread"] else ()
    if (clusters or strata is not None) and not np.isfinite((level["value"], *told)).all():
        raise _intervals.too_large(what, f"{found['rows']} rows in clusters whose sums or squares do not")
    return Estimate(
        value=level["value"], standard_error=_intervals.maybe(level["standard_error"]),
        low=_intervals.maybe(level["low"]), high=_intervals.maybe(level["high"]), confidence_level=confidence.level,
        n=found["rows"], n_clusters=clusters or None, method=method, reason=reason,
        detail={"df": level["df"]} if known else {},
    )  # fmt: skip


def _words(found: _core._Comparison, level: _core._Level, clusters: int, of_answers: str) -> tuple[str, str]:
    """The method of an interval, and the reason for it."""
    if found["tango"]:
        reason = "clusters of 0/1 pairs without spread: Tango's interval with their number as the number of pairs"
        return "clustered Tango", reason
    if found["p"] is not None:
        reason = "pairs of 0/1 values"
        if found["rows"] in (found["wins"], found["losses"]) or found["wins"] + found["losses"] == 0:
            reason += ALIKE
        return of_answers, reason
    known, method = level["df"] == level["df"], "no spread" if level["unspread"] else "t"
    if clusters:
        n, equal, what, kind = clusters, found["same"], "cluster means", "values in clusters"
    else:
        n, equal, what, kind = found["rows"], found["low"] == found["high"], "values", "graded values"
    if not known:
        kind = _intervals.ONE_CLUSTER if clusters else _intervals.ONE_VALUE
    elif level["unspread"]:
        kind = f"{kind}; {_intervals.without_spread(found['shares'], equal, what, n)}"
    return f"clustered {method}" if clusters else method, kind


def _stratified(found: _core._Comparison, level: _core._Level, clusters: int, strata: Strata) -> tuple[str, str]:
    """The method of a stratified interval, and the reason for it."""
    of_level = {"unspread": level["unspread"], "still": found["still"], "width": found["width"]}
    reason = ("values in clusters" if clusters else "values") + strata.said(of_level, bounded=found["shares"])
    method = "no spread" if level["unspread"] else "t"
    return f"{scheme_of(strata)}{'clustered ' if clusters else ''}{method}", reason
