"""The ideal bootstrap: the limits of infinitely many resamples, and what is said about their numerical error."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .. import _core
from .._options import Confidence
from .._progress import OnProgress
from .._rows import Rows
from ..errors import value_error
from ._callables import Called
from ._designs import Design
from ._statistics import Chosen

__all__ = ["able", "doubt_of", "ideal_limits"]

SUMS = ("mean", "ratio", "sum", "weighted_mean")  # those whose distribution over all resamples is that of a sum
QUANTILES = ("median", "quantile")  # those whose distribution is a sum of binomial probabilities

CERTAIN = 1e-6  # a larger numerical error of a probability is mentioned in ``reason``


def able(*statistics: Chosen | Called) -> None:
    """Raise unless the ideal limits of every statistic are known."""
    for statistic in statistics:
        if not isinstance(statistic, Chosen) or statistic.name not in SUMS + QUANTILES:
            raise _finite("unless the statistic is a mean, sum, ratio or quantile", statistic)


def _finite(when: str, statistic: object) -> ValueError:
    return value_error("n_resamples", f"a finite number {when}", f"math.inf for {str(statistic)!r}", "9999 is usual")


def ideal_limits(
    values: list[NDArray[Any]],
    statistic: Chosen,
    rows: Rows,
    design: Design,
    *,
    method: str,
    confidence: Confidence,
    progress: OnProgress,
) -> dict[str, Any]:
    """The limits of one problem, with the names that the core gives to those of resamples, and what to say of them."""
    codes, total = rows.clusters or (None, 0)
    if statistic.level is not None and rows.clusters:
        raise _finite("for a quantile of clustered rows", statistic)
    found = _core.ideal_bootstrap(
        values, statistic.name, q=statistic.level, codes=codes, clusters=total, method=method,
        confidence_level=confidence.level, alternative=confidence.alternative, progress=progress, **design.keywords,
    )  # fmt: skip
    if "refused" in found:
        return found
    error = found["error"]
    detail = {"engine": found["engine"], "error": error} | ({"z0": found["bias"]} if method in ("bc", "bca") else {})
    without = {"replicates": None, "low_error": 0.0, "high_error": 0.0}
    return found | without | {"ideal": "ideal ", "doubt": doubt_of(error), "detail": detail}


def doubt_of(error: float) -> str:
    """What ``reason`` says of the numerical error of the probabilities."""
    return f"; probabilities are known within {error:.1g}" if error > CERTAIN else ""
