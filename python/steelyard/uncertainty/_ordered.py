"""The closed-form intervals of statistics of sorted rows: quantiles and areas under the ROC curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import _core, _intervals
from .._columns import Array
from .._estimate import Estimate
from .._options import Confidence
from .._progress import OnProgress
from .._rows import Rows
from ..errors import value_error
from ._statistics import Chosen, for_core, refusal

__all__ = ["EQUAL", "QUANTILE", "SORTED", "no_limits", "of_sorted", "with_missing"]

EQUAL = "no limits, since values that are all equal do not tell how uncertain their quantile is"
TOO_FEW = "; no {side} limit, since so few rows have no order statistic with this coverage"
PERFECT = "; every {of} pair is in one order: the limits take Wilson's share for 0 of the rarer target's rows"


class _Words(NamedTuple):
    """What an estimate says about its method."""

    rows: str
    clusters: str
    reason: str


QUANTILE = _Words("order statistics", "clustered Woodruff", "the order statistics of Clopper and Pearson")
WOODRUFF = "the values at the limits of the clustered share of rows up to the quantile"
AUC = _Words("DeLong", "clustered DeLong", "DeLong's variance, on the scale of the logit")

# The statistics of sorted rows that have an interval in closed form.
SORTED = ("median", "quantile", "auc", "gini")


def of_sorted(
    columns: Mapping[str, Array],
    rows: Rows,
    confidence: Confidence,
    *,
    statistic: Chosen,
    progress: OnProgress = None,
) -> Estimate:
    """The quantile of a column, or the AUC (or Gini coefficient) of scores and targets, with its interval."""
    if rows.weights is not None or rows.strata is not None:
        keyword = "weights" if rows.weights is not None else "strata"
        raise value_error(keyword, "a statistic of sums, such as 'mean'", repr(str(statistic)), f"leave {keyword}= out")
    values = for_core(map(rows.of, columns.values()))
    codes, total = rows.clusters or (None, 0)
    alone = total == 1
    if alone:
        codes, total = None, 0
    options: Any = {"codes": codes, "clusters": total, **confidence.keywords, "progress": progress}
    if statistic.level is not None:
        found = _core.quantile_interval(values, statistic.level, **options)
        if found.get("refused") == "equal values":
            return no_limits(float(values[0][0]), "no spread", EQUAL, rows, confidence, n=len(values[0]))
    else:
        found = _core.auc_interval(values, **options)
    if "refused" in found:
        raise refusal(found, statistic.name, columns, rows)
    if alone:
        value = found["value"] if statistic.name != "gini" else 2 * found["value"] - 1
        method = AUC.clusters if statistic.level is None else QUANTILE.clusters
        return no_limits(value, method, _intervals.ONE_CLUSTER, rows, confidence, n=len(values[0]))
    return _estimate(found, statistic, rows, confidence, len(values[0]))


def _estimate(found: Mapping[str, Any], statistic: Chosen, rows: Rows, confidence: Confidence, n: int) -> Estimate:
    words = AUC if statistic.name in {"auc", "gini"} else QUANTILE
    value, error, low, high = (found[name] for name in ("value", "standard_error", "low", "high"))
    if statistic.name == "gini":
        value, error, low, high = 2 * value - 1, 2 * error, 2 * low - 1, 2 * high - 1
    method = "no spread" if found["unspread"] else words.clusters if rows.clusters else words.rows
    df = found["df"]
    return Estimate(
        value=value, standard_error=_intervals.maybe(error), low=_intervals.maybe(low), high=_intervals.maybe(high),
        confidence_level=confidence.level, n=n, n_clusters=rows.clusters.total if rows.clusters else None,
        method=method, reason=_reason(found, words, rows, low, high), left_out=rows.left_out,
        detail={"df": df} if df == df and df < float("inf") else {},
    )  # fmt: skip


def _reason(found: Mapping[str, Any], words: _Words, rows: Rows, low: float, high: float) -> str:
    if found["unspread"]:
        return words.reason + PERFECT.format(of="score")
    reason = WOODRUFF if rows.clusters and words is QUANTILE else words.reason
    return with_missing(reason, low, high)


def with_missing(reason: str, low: float, high: float) -> str:
    """A reason that says which limits there are not."""
    missing = [side for side, limit in (("lower", low), ("upper", high)) if limit != limit]
    return reason + (TOO_FEW.format(side=" or ".join(missing)) if missing else "")


def no_limits(value: float, method: str, reason: str, rows: Rows, confidence: Confidence, *, n: int) -> Estimate:
    """The value of rows that do not tell how uncertain it is: they are all equal, or of one cluster."""
    return Estimate(
        value=value, standard_error=None, low=None, high=None, confidence_level=confidence.level, n=n,
        n_clusters=rows.clusters.total if rows.clusters else None, method=method, reason=reason, left_out=rows.left_out,
    )  # fmt: skip
