"""The statistics of sums over rows, each from its columns and a weight for each row.

A count of a resample is such a weight, so that the same functions give the replicates of a bootstrap. The influence of
a row is the derivative with respect to its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["STATISTICS", "definition", "influences", "sizes", "standard_error"]

Floats = NDArray[np.float64]
Numbers = NDArray[Any]
"""Real, or complex with a small imaginary part, whose share in the result is the derivative."""


def _mean(x: Numbers, w: Numbers) -> Any:
    return (w * x).sum() / w.sum()


def _moment(k: int, x: Floats, w: Numbers) -> Any:
    return _mean((x - _mean(x, w)) ** k, w)


def _covariance(x: Floats, y: Floats, w: Numbers) -> Any:
    return _mean((x - _mean(x, w)) * (y - _mean(y, w)), w)


def _correlation(x: Floats, y: Floats, w: Numbers) -> Any:
    return _covariance(x, y, w) / np.sqrt(_covariance(x, x, w) * _covariance(y, y, w))


def _balanced(p: Floats, t: Floats, w: Numbers) -> Any:
    return (_mean(p, w * t) + _mean(1 - p, w * (1 - t))) / 2


def _kappa(p: Floats, t: Floats, w: Numbers) -> Any:
    agree, a, b = _mean(1 - abs(p - t), w), _mean(p, w), _mean(t, w)
    by_chance = a * b + (1 - a) * (1 - b)
    return (agree - by_chance) / (1 - by_chance)


def _loss(p: Floats, t: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.where(t == 1, -np.log(p), -np.log1p(-p))


def _bleu(*columns_and_w: Any) -> Any:
    *columns, w = columns_and_w
    system, reference, *grams = [(w * x).sum() for x in columns]
    if not any(np.real(matches) > 0 for matches in grams[:4]) or any(np.real(total) <= 0 for total in grams[4:]):
        return 0 * system
    log, smooth = 0 * system, 1.0
    for matches, total in zip(grams[:4], grams[4:], strict=True):
        if np.real(matches) <= 0:
            smooth /= 2
        log = log + np.log((matches if np.real(matches) > 0 else smooth) / total) / 4
    return 100 * np.exp(log + (1 - reference / system if np.real(system) < np.real(reference) else 0))


def _chrf(*columns_and_w: Any) -> Any:
    *columns, w = columns_and_w
    sums = [(w * x).sum() for x in columns]
    orders = [of for of in zip(sums[::3], sums[1::3], sums[2::3], strict=True) if np.real(of[0]) > 0 < np.real(of[1])]
    if not any(np.real(matches) > 0 for _, _, matches in orders):
        return 0 * sums[0]
    precision = sum(matches / system for system, _, matches in orders) / len(orders)
    recall = sum(matches / reference for _, reference, matches in orders) / len(orders)
    return 100 * 5 * precision * recall / (4 * precision + recall)


STATISTICS: Mapping[str, Callable[..., Any]] = {
    "mean": _mean,
    "ratio": lambda x, y, w: (w * x).sum() / (w * y).sum(),
    "sum": lambda x, w: (w * x).sum(),
    "weighted_mean": lambda x, weights, w: _mean(x, w * weights),
    "geometric_mean": lambda x, w: np.exp(_mean(np.log(x), w)),
    "perplexity": lambda nll, tokens, w: np.exp((w * nll).sum() / (w * tokens).sum()),
    "variance": lambda x, w: _moment(2, x, w),
    "std": lambda x, w: np.sqrt(_moment(2, x, w)),
    "skewness": lambda x, w: _moment(3, x, w) / _moment(2, x, w) ** 1.5,
    "kurtosis": lambda x, w: _moment(4, x, w) / _moment(2, x, w) ** 2 - 3,
    "correlation": _correlation,
    "slope": lambda x, y, w: _covariance(x, y, w) / _covariance(x, x, w),
    "rmse": lambda p, t, w: np.sqrt(_mean((p - t) ** 2, w)),
    "r2": lambda p, t, w: 1 - _mean((p - t) ** 2, w) / _moment(2, t, w),
    "accuracy": lambda p, t, w: _mean(1 - abs(p - t), w),
    "precision": lambda p, t, w: _mean(t, w * p),
    "recall": lambda p, t, w: _mean(p, w * t),
    "f1": lambda p, t, w: 2 * (w * p * t).sum() / (w * (p + t)).sum(),
    "balanced_accuracy": _balanced,
    "mcc": _correlation,
    "kappa": _kappa,
    "brier": lambda p, t, w: _mean((p - t) ** 2, w),
    "log_loss": lambda p, t, w: _mean(_loss(p, t), w),
    "bleu": _bleu,
    "chrf": _chrf,
    "chrf++": _chrf,
}


def definition(statistic: str) -> Callable[..., Any]:
    """The function of the columns and the weights; of a quotient such as ``mean/std`` that of both."""
    above, _, below = statistic.partition("/")
    if not below:
        return STATISTICS[above]
    return lambda *given: STATISTICS[above](*given) / STATISTICS[below](*given)


def sizes(statistic: str, *columns: Floats) -> Floats:
    """What each row adds to the denominator of a statistic, of a quotient to that of its first."""
    first, second, last = columns[0], columns[min(1, len(columns) - 1)], columns[-1]
    kinds = {
        "ratio": last, "weighted_mean": last, "perplexity": last, "precision": first, "recall": last,
        "f1": first + last - first * last, "bleu": second, "chrf": second, "chrf++": second,
    }  # fmt: skip
    return np.asarray(kinds.get(statistic.partition("/")[0], np.ones(len(first))), np.float64)


def influences(statistic: str, *columns: Floats, w: Floats) -> Floats:
    """The derivative of a statistic with respect to each weight, exact to rounding.

    With an imaginary part h of one weight, that of the result is h times the derivative (Squire and Trapp 1998).
    """
    of, found, step = definition(statistic), np.empty(len(w)), 1e-30
    for i in range(len(w)):
        moved = w.astype(np.complex128)
        moved[i] += step * 1j
        found[i] = of(*columns, moved).imag / step
    return found


def standard_error(
    statistic: str, *columns: Floats, w: Floats | None = None, clusters: NDArray[np.int64] | None = None
) -> tuple[float, float]:
    """The CR2 standard error of a statistic by linearisation, and its degrees of freedom.

    With the influence U_g of each unit (a row or a cluster) and its share f_g of the sizes, the variance is
    ``sum (U_g - mean)^2 / (1 - f_g)``, and the degrees of freedom are ``1/(sum f^2 + (sum a)^2 - sum a^2)`` with
    ``a = f^2/(1 - f)``. The mean influence is 0 except for a sum, all of whose units have one size.
    """
    w = np.ones(len(columns[0])) if w is None else np.asarray(w, np.float64)
    u, n = influences(statistic, *columns, w=w) * w, sizes(statistic, *columns) * w
    if clusters is not None:
        u, n = (np.bincount(clusters, of).astype(np.float64) for of in (u, n))
    if statistic == "sum":
        n = np.ones(len(u))
        u = u - u.mean()
    f = n / n.sum()
    a = f**2 / (1 - f)
    df = 1 / ((f**2).sum() + a.sum() ** 2 - (a**2).sum())
    return float(np.sqrt((u**2 / (1 - f)).sum())), float(df)
