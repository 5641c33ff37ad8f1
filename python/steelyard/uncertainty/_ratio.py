"""The closed-form interval of the ratio of the sums of two columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _core, _intervals
from .._columns import Array
from .._estimate import Estimate
from .._options import Confidence
from .._progress import OnProgress
from .._rows import Rows
from ._statistics import for_core, refusal

__all__ = ["ratio"]

DOUBT = "no limits, since x[1] holds both signs and the interval of its sum holds 0"
ONE_UNIT = "the spread is unknown where one {unit} has the whole sum of x[1]"


def ratio(columns: Mapping[str, Array], rows: Rows, confidence: Confidence, *, progress: OnProgress = None) -> Estimate:
    """The ratio sum x / sum y of two columns, its CR2 error and Student's interval."""
    values = for_core(map(rows.of, columns.values()))
    codes, total = rows.clusters or (None, 0)
    found = _core.ratio_interval(
        values, codes=codes, clusters=total, weights=rows.weights, confidence_level=confidence.level,
        alternative=confidence.alternative, progress=progress,
    )  # fmt: skip
    if "refused" in found:
        raise refusal(found, "ratio", columns, rows)
    still = found["spread"] != "some" and found["df"] == found["df"]
    scheme = "clustered " if rows.clusters else "weighted " if rows.weights is not None else ""
    return Estimate(
        value=found["value"], standard_error=_intervals.maybe(found["standard_error"]),
        low=_intervals.maybe(found["low"]), high=_intervals.maybe(found["high"]), confidence_level=confidence.level,
        n=len(values[0]), n_effective=_intervals.maybe(found["n_effective"]),
        n_clusters=total if rows.clusters else None, method=f"{scheme}{'no spread' if still else 't'}",
        reason=_reason(found, rows, still=still), left_out=rows.left_out,
        detail={"df": found["df"]} if found["df"] == found["df"] else {},
    )  # fmt: skip


def _reason(found: Mapping[str, Any], rows: Rows, *, still: bool) -> str:
    """The ``reason`` of the estimate: how its interval was computed, or why there is none."""
    if found["doubtful"]:
        return DOUBT
    if found["df"] != found["df"]:
        one = rows.clusters is not None and rows.clusters.total < 2
        return _intervals.ONE_CLUSTER if one else ONE_UNIT.format(unit="cluster" if rows.clusters else "row")
    weighted, clustered = rows.weights is not None, rows.clusters is not None
    reason = f"ratio of sums{' with weights' if weighted else ''}{' in clusters' if clustered else ''}"
    if not still:
        return reason
    what = "cluster ratios" if clustered else "ratios"
    return f"{reason}; {_intervals.without_spread(found['share'], found['spread'] == 'none', what, found['units'])}"
