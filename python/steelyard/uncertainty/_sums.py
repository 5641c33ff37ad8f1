"""The closed-form intervals of the statistics of sums over rows: a variance, a correlation, an F1 score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _core, _intervals
from .._columns import Array
from .._estimate import Estimate
from .._options import Confidence
from .._progress import OnProgress
from .._rows import Rows
from .._strata import scheme_of, told
from ._statistics import for_core, refusal

__all__ = ["closed_estimate", "of_sums"]

INFINITE = "no limits, since the value is infinite: a probability of 0 was given to what happened, or exp overflowed"
ONE_UNIT = "the spread is unknown where one {unit} is all that the statistic is made of"
NO_SPREAD = "all {unit}s add the same to it"


def of_sums(
    columns: Mapping[str, Array], rows: Rows, confidence: Confidence, *, statistic: str, difference: bool = False,
    progress: OnProgress = None,
) -> Estimate:  # fmt: skip
    """A statistic of sums over the rows of some columns, its CR2 error by linearisation and its interval."""
    values = for_core(map(rows.of, columns.values()))
    codes, total = rows.clusters or (None, 0)
    strata = rows.strata
    found = _core.statistic_interval(
        values, f"difference of {statistic}" if difference else statistic, codes=codes, clusters=total,
        weights=rows.weights,
        **told(strata, rows.clusters),
        confidence_level=confidence.level, alternative=confidence.alternative, progress=progress,
    )  # fmt: skip
    if "refused" in found:
        raise refusal(found, statistic, columns, rows)
    said = f"difference of the {statistic}" if difference else statistic
    return closed_estimate(found, rows, len(values[0]), confidence, statistic=said)


def closed_estimate(
    found: Mapping[str, Any], rows: Rows, n: int, confidence: Confidence, *, statistic: str
) -> Estimate:
    """The estimate that the core found for ``n`` rows."""
    strata = rows.strata
    scheme = "clustered " if rows.clusters else "weighted " if rows.weights is not None else ""
    unbounded = found["unspread"] and found["low"] != found["low"]
    kind = "no spread" if unbounded or (found["unspread"] and found["kind"] != "Wilson") else found["kind"]
    return Estimate(
        value=found["value"], standard_error=_intervals.maybe(found["standard_error"]),
        low=_intervals.maybe(found["low"]), high=_intervals.maybe(found["high"]), confidence_level=confidence.level,
        n=n, n_effective=_intervals.maybe(found["n_effective"]),
        n_clusters=None if rows.clusters is None else rows.clusters.total,
        method=f"{scheme_of(strata)}{scheme}{kind}",
        reason=_reason(found, rows, statistic), left_out=rows.left_out,
        detail={"df": found["df"]} if found["df"] == found["df"] else {},
    )  # fmt: skip


def _reason(found: Mapping[str, Any], rows: Rows, statistic: str) -> str:
    """The ``reason`` of the estimate: how its interval was computed, or why there is none."""
    unit = "cluster" if rows.clusters else "row"
    if found["plain"]:
        return f"{statistic} of 0/1 answers{'; all count alike' if found['unspread'] else ''}"
    if found["value"] in (float("inf"), -float("inf")):
        return INFINITE
    if found["df"] != found["df"]:
        one = rows.clusters is not None and rows.clusters.total < 2
        return _intervals.ONE_CLUSTER if one else ONE_UNIT.format(unit=unit)
    weighted = " with weights" if rows.weights is not None else ""
    reason = f"linearised {statistic}{weighted}{' in clusters' if rows.clusters else ''}"
    if rows.strata is not None:
        reason += rows.strata.kind
    if not found["unspread"]:
        return reason
    limits = (
        "no limits, since it has no range that bounds it" if found["low"] != found["low"] else "limits by its range"
    )
    return f"{reason}; {NO_SPREAD.format(unit=unit)}: {limits}"
