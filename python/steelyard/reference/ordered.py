"""Statistics of sorted rows, and their bootstrap: each resample is written out and sorted anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from .. import _core
from . import random
from .bootstrap import limits

__all__ = ["STATISTICS", "auc_interval", "bootstrap", "quantile_interval"]

Floats = NDArray[np.float64]
Interval = dict[str, float]


def median(x: Floats) -> float:
    """The middle value."""
    return quantile(x, 0.5)


def quantile(x: Floats, q: float) -> float:
    """The order statistics around position (n - 1) q, linear between them."""
    ordered = np.sort(x)
    at = (len(x) - 1) * q
    below = int(at)
    value, after = float(ordered[below]), float(ordered[min(below + 1, len(x) - 1)])
    return value if at == below else value + (after - value) * (at - below)


def trimmed_mean(x: Floats, share: float) -> float:
    """The mean without the floor(share n) smallest and largest values."""
    cut = int(share * len(x))
    return math.fsum(np.sort(x)[cut : len(x) - cut]) / (len(x) - 2 * cut)


def iqr(x: Floats) -> float:
    """The distance between the quartiles."""
    return quantile(x, 0.75) - quantile(x, 0.25)


def mad(x: Floats) -> float:
    """The median distance from the median."""
    return median(abs(x - median(x)))


def auc(scores: Floats, targets: Floats) -> float:
    """The share of pairs with targets 1 and 0 in which the former scores higher; ties count half."""
    ones, zeros = _by_target(scores, targets)
    if len(ones) == 0 or len(zeros) == 0:
        return math.nan
    return float((_below(zeros, ones) + _up_to(zeros, ones)).sum() / (2 * len(ones) * len(zeros)))


def gini(scores: Floats, targets: Floats) -> float:
    """Twice the AUC, minus 1."""
    return 2 * auc(scores, targets) - 1


def average_precision(scores: Floats, targets: Floats) -> float:
    """The mean over the rows with target 1 of the precision where scores of at least theirs count as 1."""
    ones, _ = _by_target(scores, targets)
    if len(ones) == 0:
        return math.nan
    found, right = len(scores) - _below(np.sort(scores), ones), len(ones) - _below(ones, ones)
    return math.fsum(right / found) / len(ones)


def ks(scores: Floats, targets: Floats) -> float:
    """The largest distance of the two distribution functions."""
    ones, zeros = _by_target(scores, targets)
    if len(ones) == 0 or len(zeros) == 0:
        return math.nan
    return float(abs(_up_to(ones, scores) / len(ones) - _up_to(zeros, scores) / len(zeros)).max())


def spearman(x: Floats, y: Floats) -> float:
    """Pearson's correlation of the mid-ranks."""
    a, b = (_below(np.sort(z), z) + _up_to(np.sort(z), z) - len(z) for z in (x, y))
    scale = math.sqrt(math.fsum(a * a)) * math.sqrt(math.fsum(b * b))
    return math.fsum(a * b) / scale if scale else math.nan


def _by_target(scores: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """The sorted scores of the rows with target 1, and of those with target 0."""
    return np.sort(scores[targets == 1]), np.sort(scores[targets == 0])


def _below(ordered: Floats, at: Floats) -> NDArray[np.intp]:
    """How many of the sorted values are below each of ``at``."""
    return np.searchsorted(ordered, at, "left")


def _up_to(ordered: Floats, at: Floats) -> NDArray[np.intp]:
    """How many of the sorted values are at most each of ``at``."""
    return np.searchsorted(ordered, at, "right")


def ece(p: Floats, outcomes: Floats, n_bins: float = 15) -> float:
    """The expected calibration error in bins of equal width; an edge belongs to the bin below it."""
    bins = np.searchsorted(np.arange(1, n_bins) / n_bins, p)
    return math.fsum(abs(math.fsum((p - outcomes)[bins == b])) for b in range(int(n_bins))) / len(p)


STATISTICS: Mapping[str, Callable[..., float]] = {
    of.__name__: of
    for of in (median, quantile, trimmed_mean, iqr, mad, auc, gini, average_precision, ks, spearman, ece)
}  # fmt: skip

# How far rounding may move a statistic of a column whose largest magnitude is ``reach``; ``step`` is 2^-52.
ROUNDING: Mapping[str, Callable[[float, float], float]] = {
    "median": lambda step, reach: 4 * step * reach,
    "quantile": lambda step, reach: 4 * step * reach,
    "trimmed_mean": lambda _, reach: 1e-12 * reach,
    "iqr": lambda step, reach: 8 * step * reach,
    "mad": lambda step, reach: 8 * step * reach,
    "auc": lambda step, _: 4 * step,
    "gini": lambda step, _: 4 * step,
    "average_precision": lambda _, __: 1e-12,
    "ks": lambda step, _: 4 * step,
    "spearman": lambda step, _: 4 * step,
    "ece": lambda step, _: 4 * step,
}


def bootstrap(
    statistic: str,
    columns: list[Floats],
    parameters: tuple[float, ...] = (),
    *,
    units: list[NDArray[np.intp]],
    method: str,
    n_resamples: int,
    seed: int,
    confidence_level: float,
) -> dict[str, float | Floats]:
    """The bootstrap of a statistic of sorted rows that resamples ``units``, each a list of rows.

    BCa's acceleration is that of the jackknife over at most 500 groups of units: unit u is in group u mod 500.
    """
    of = STATISTICS[statistic]

    def value(counts: NDArray[np.generic]) -> float:
        rows = np.concatenate([np.repeat(u, int(c)) for u, c in zip(units, counts, strict=True)])
        return of(*(x[rows] for x in columns), *parameters)

    whole = np.ones(len(units), np.int64)
    center = value(whole)
    found = np.array([value(random.counts(len(units), seed, r)) for r in range(n_resamples)])
    tie = ROUNDING[statistic](2.0**-52, float(abs(columns[0]).max()))
    accelerate = 0.0
    if method == "bca":
        groups = np.arange(len(units)) % min(len(units), 500)
        left_out = [value(np.where(groups == g, 0, whole)) for g in range(groups.max() + 1)]
        pull = [math.fsum(left_out) / len(left_out) - one for one in left_out]
        if max(map(abs, pull)) > tie:
            accelerate = math.fsum(u**3 for u in pull) / (6 * math.fsum(u * u for u in pull) ** 1.5)
    low, high, low_error, high_error = limits(
        found, center, method, confidence_level, accelerate=accelerate, tie=tie, units=len(units)
    )  # fmt: skip
    return {
        "value": center, "standard_error": float(found.std(ddof=1)), "low": low, "high": high, "low_error": low_error,
        "high_error": high_error, "acceleration": accelerate, "replicates": found,
    }  # fmt: skip


def quantile_interval(x: Floats, q: float, codes: NDArray[np.int64] | None, confidence_level: float) -> Interval:
    """The quantile with its two-sided limits: exact order statistics, or Woodruff's inversion by clusters."""
    ordered, n, tail = np.sort(x), len(x), (1 - confidence_level) / 2
    value, z = quantile(x, q), -_core.normal_quantile(tail)
    if codes is None:
        low = [ordered[k] for k in range(n) if _core.binomial_cdf(k, n, q) <= tail]
        high = [ordered[k] for k in range(n) if _core.binomial_sf(k, n, q) <= tail]
        limits, df = (low[-1] if low else math.nan, high[0] if high else math.nan), math.inf
    else:
        groups = int(codes.max()) + 1
        up_to, sizes = np.bincount(codes, x <= value), np.bincount(codes)
        share = up_to.sum() / n
        variance = groups / (groups - 1) * ((up_to - share * sizes) ** 2).sum() / n**2
        rows = share * (1 - share) / variance if variance > 0 else float(groups)
        t, df = -_core.t_quantile(tail, groups - 1.0), groups - 1.0
        centre = (q + t * t / (2 * rows)) / (1 + t * t / rows)
        half = t / (1 + t * t / rows) * math.sqrt(q * (1 - q) / rows + t * t / (4 * rows * rows))
        ranks = [max(math.ceil((centre + side * half) * n), 1) - 1 for side in (-1, 1)]
        limits = (ordered[ranks[0]], ordered[min(ranks[1], n - 1)])
    error = (limits[1] - limits[0]) / (2 * z)
    return {"value": value, "standard_error": float(error), "low": float(limits[0]), "high": float(limits[1]), "df": df}


def auc_interval(scores: Floats, targets: Floats, codes: NDArray[np.int64] | None, confidence_level: float) -> Interval:
    """The area under the ROC curve with DeLong's (by clusters Obuchowski's) variance, and t limits of its logit."""
    ones, zeros = _by_target(scores, targets)
    value, tail = auc(scores, targets), (1 - confidence_level) / 2
    of_one = (_below(zeros, scores) + _up_to(zeros, scores)) / (2 * len(zeros)) - value
    of_zero = 1 - (_below(ones, scores) + _up_to(ones, scores)) / (2 * len(ones)) - value
    pull = np.where(targets == 1, of_one / len(ones), of_zero / len(zeros))
    if codes is None:
        parts = [(pull[targets == k] ** 2).sum() * m / (m - 1) for k, m in ((0, len(zeros)), (1, len(ones)))]
        variance = sum(parts)
        df = variance**2 / (parts[0] ** 2 / (len(zeros) - 1) + parts[1] ** 2 / (len(ones) - 1))
    else:
        sums = np.bincount(codes, pull)
        variance, df = len(sums) / (len(sums) - 1) * (sums**2).sum(), len(sums) - 1.0
    error = math.sqrt(variance)
    half = -_core.t_quantile(tail, df) * error / (value * (1 - value))
    odds = [value / (1 - value) * math.exp(side * half) for side in (-1, 1)]
    low, high = (o / (1 + o) for o in odds)
    return {"value": value, "standard_error": error, "low": low, "high": high, "df": df}
