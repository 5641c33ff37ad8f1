"""The bootstrap: replicates from exact counts of the rows, and limits from the replicates."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from .. import _core
from . import random, studentized
from . import sums as statistics

__all__ = [
    "acceleration", "bootstrap", "jackknife_acceleration", "left_out_parts", "limits", "normal_limits", "of_replicates",
    "of_statistic", "replicates", "stratified_acceleration", "summary",
]  # fmt: skip

Floats = NDArray[np.float64]


def bootstrap(
    sums: Floats, sizes: Floats, *, method: str, n_resamples: int, seed: int, confidence_level: float
) -> dict[str, float | Floats]:
    """The bootstrap of ``sum sums / sum sizes``, which resamples units.

    A unit is a row (with x as its sum and 1 as its size) or a cluster (with the sum and the number of its rows). BCa
    counts a replicate as equal to the value if they differ by no more than the kernel's sums may round: 1e-12 of the
    spread of the units plus 2^-51 of the value.
    """
    value = math.fsum(sums) / math.fsum(sizes)
    if method in ("studentized", "beta_t"):
        draw = _counts if method == "studentized" else studentized.beta_weights
        draws = [draw(len(sums), seed, r) for r in range(n_resamples)]
        return _studentized(partial(studentized.of_quotient, sums, sizes), draws, confidence_level)
    found = replicates(sums, sizes, seed, n_resamples)
    spread = math.sqrt(math.fsum((sums - value * sizes) ** 2) / len(sums))
    tie = 1e-12 * spread / abs(sizes.mean()) + 2.0**-51 * abs(value)
    accelerate = acceleration(sums, sizes, value) if method == "bca" else 0.0
    return summary(value, found, method, confidence_level, accelerate=accelerate, tie=tie, units=len(sums))


def of_statistic(
    statistic: str,
    columns: list[Floats],
    codes: NDArray[np.int64] | None,
    *,
    method: str,
    n_resamples: int,
    seed: int,
    confidence_level: float,
) -> dict[str, float | Floats]:
    """The bootstrap of a statistic of :mod:`steelyard.reference.sums`, by rows or by the clusters of ``codes``."""
    codes = np.arange(len(columns[0])) if codes is None else codes
    if method in ("studentized", "beta_t"):
        draw = _counts if method == "studentized" else studentized.beta_weights
        draws = [draw(int(codes.max()) + 1, seed, r) for r in range(n_resamples)]
        return _studentized(partial(studentized.of_statistic, statistic, columns, codes), draws, confidence_level)
    of, units, ones = statistics.definition(statistic), int(codes.max()) + 1, np.ones(len(codes))
    counts = [_counts(units, seed, r) for r in range(n_resamples)]
    value, found = float(of(*columns, ones)), np.array([of(*columns, c[codes]) for c in counts])
    pull = np.bincount(codes, statistics.influences(statistic, *columns, w=ones))
    if statistic == "sum":
        pull = pull - pull.mean()
    cubes, squares = math.fsum(pull**3), math.fsum(pull**2)
    accelerate = cubes / (6 * squares * math.sqrt(squares)) if method == "bca" else 0.0
    tie = 1e-12 * max(1.0, abs(value))
    return summary(value, found, method, confidence_level, accelerate=accelerate, tie=tie, units=units)


def _studentized(
    of: Callable[[Floats], tuple[float, float]], draws: list[Floats], level: float
) -> dict[str, float | Floats]:
    """The bootstrap by t; ``of`` gives the statistic and its error where units have these weights."""
    value, error = of(np.ones_like(draws[0]))
    pairs = [of(weights) for weights in draws]
    found = np.array([replicate for replicate, _ in pairs])
    t = np.array([studentized.t_of(replicate - value, own, error) for replicate, own in pairs])
    low, high, low_error, high_error = limits(t, 0.0, "percentile", level)
    return {
        "value": value, "standard_error": float(found.std(ddof=1)), "low": value - error * high,
        "high": value - error * low, "low_error": error * high_error, "high_error": error * low_error,
        "acceleration": 0.0, "replicates": found,
    }  # fmt: skip


@lru_cache(maxsize=512)
def _counts(units: int, seed: int, replicate: int) -> Floats:
    """The counts of a replicate, which every method reads; drawing them takes most of the time."""
    return random.counts(units, seed, replicate).astype(np.float64)


def of_replicates(
    found: Floats,
    value: float,
    left_out: Floats,
    *,
    units: int,
    rounding: float,
    method: str,
    confidence_level: float,
) -> dict[str, float | Floats]:
    """The bootstrap of a statistic with these replicates, and with these values where a unit is left out."""
    tie = rounding * (abs(value) + float(found.std()))
    accelerate = jackknife_acceleration(left_out, tie) if method == "bca" else 0.0
    return summary(value, found, method, confidence_level, accelerate=accelerate, tie=tie, units=units)


def jackknife_acceleration(left_out: Floats, rounding: float) -> float:
    """``sum U^3 / (6 (sum U^2)^1.5)`` with ``U`` the mean of the values minus each; 0 if all U are within rounding."""
    pull = math.fsum(left_out) / len(left_out) - left_out
    if abs(pull).max() <= rounding:
        return 0.0
    squares = math.fsum(pull**2)
    return math.fsum(pull**3) / (6 * squares * math.sqrt(squares))


def left_out_parts(strata: NDArray[np.int64], most: int = 500) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The part of each unit that is left out at a time, and the stratum of each part.

    Each stratum has its share of ``most`` parts and two at least (one stratum: all of them), or a part for each unit.
    """
    of, homes = np.zeros(len(strata), np.int64), np.zeros(0, np.int64)
    for h in range(int(strata.max()) + 1):
        members = np.flatnonzero(strata == h)
        own = min(len(members), max(2, most * len(members) // len(strata)))
        of[members] = len(homes) + np.arange(len(members)) % own
        homes = np.append(homes, np.full(own, h))
    return of, homes


def stratified_acceleration(value: float, left_out: Floats, sizes: Floats, strata: NDArray[np.int64]) -> float:
    """The acceleration of the jackknife in strata, from the statistic without each part and the parts' sizes."""
    u = value - left_out
    mean = np.bincount(strata, u) / np.bincount(strata, sizes)
    u = u - mean[strata] * sizes
    squares = math.fsum(u**2)
    return math.fsum(u**3) / (6 * squares * math.sqrt(squares))


def summary(
    value: float, found: Floats, method: str, confidence_level: float, *, accelerate: float, tie: float, units: int
) -> dict[str, float | Floats]:
    """The fields of a bootstrap."""
    low, high, low_error, high_error = limits(
        found, value, method, confidence_level, accelerate=accelerate, tie=tie, units=units
    )  # fmt: skip
    return {
        "value": value, "standard_error": float(found.std(ddof=1)), "low": low, "high": high, "low_error": low_error,
        "high_error": high_error, "acceleration": accelerate, "replicates": found,
    }  # fmt: skip


def replicates(x: NDArray[np.generic], sizes: NDArray[np.generic] | None, seed: int, count: int) -> Floats:
    """``count`` replicates of ``sum c x / sum c n`` with multinomial counts c of the rows (n = 1 without ``sizes``)."""
    values = [float(v) for v in x]
    weights = [1.0] * len(values) if sizes is None else [float(v) for v in sizes]
    found = []
    for r in range(count):
        c = _counts(len(values), seed, r).tolist()
        total = math.fsum(k * v for k, v in zip(c, values, strict=True))
        found.append(total / math.fsum(k * w for k, w in zip(c, weights, strict=True)))
    return np.array(found)


def acceleration(x: NDArray[np.generic], sizes: NDArray[np.generic] | None, value: float) -> float:
    """``sum U^3 / (6 (sum U^2)^1.5)`` with the influence values ``U = x - value * size``."""
    weights = [1.0] * len(x) if sizes is None else [float(v) for v in sizes]
    pull = [float(v) - value * w for v, w in zip(x, weights, strict=True)]
    squares = math.fsum(u * u for u in pull)
    return math.fsum(u * u * u for u in pull) / (6 * squares * math.sqrt(squares))


def limits(
    found: Floats,
    value: float,
    method: str,
    confidence_level: float,
    *,
    accelerate: float = 0.0,
    tie: float = 0.0,
    units: int = 0,
) -> tuple[float, float, float, float]:
    """Two-sided limits and their Monte-Carlo errors: ``(low, high, low_error, high_error)``.

    The limit at level a is the order statistic (B + 1) a, by linear interpolation between neighbours. Its error is half
    the distance between the order statistics (B + 1) a +- sqrt(B a (1 - a)). Where one of these is beyond the most
    extreme replicate, it is the distance of the limit from the other one.
    """
    if method == "normal":
        return normal_limits(found, value, confidence_level)
    ordered, n = np.sort(found), len(found)
    tail = (1 - confidence_level) / 2

    def order(position: float) -> float:
        below = math.floor(position)
        above = min(below, n - 1)
        return float(ordered[below - 1] + (ordered[above] - ordered[below - 1]) * (position - below))

    def level(nominal: float) -> float:
        if method == "expanded":
            return float(_core.normal_cdf(math.sqrt(units / (units - 1)) * _core.t_quantile(nominal, units - 1.0)))
        if method not in ("bc", "bca"):
            return nominal
        below, equal = (found < value - tie).sum(), (abs(found - value) <= tie).sum()
        z0 = _core.normal_quantile(float((below + equal / 2) / n))
        z = z0 + _core.normal_quantile(nominal)
        return float(_core.normal_cdf(z0 + z / (1 - accelerate * z)))

    def limit(nominal: float) -> tuple[float, float]:
        a = level(nominal)
        position, spread = (n + 1) * a, math.sqrt(n * a * (1 - a))
        if abs(position - round(position)) < 1e-9:
            position = round(position)
        value = order(position)
        around = [order(p) for p in (position - spread, position + spread) if 1 <= p <= n]
        return value, (around[1] - around[0]) / 2 if len(around) == 2 else abs(around[0] - value)

    (low, low_error), (high, high_error) = limit(tail), limit(1 - tail)
    percentile, basic = (low, high, low_error, high_error), (2 * value - high, 2 * value - low, high_error, low_error)
    return basic if method == "basic" else percentile


def normal_limits(found: Floats, value: float, confidence_level: float) -> tuple[float, float, float, float]:
    """``2 value - mean + z sd`` of the replicates, and the standard error of what each of them moves the limits by."""
    d, s, z = found - found.mean(), float(found.std(ddof=1)), float(_core.normal_quantile((1 + confidence_level) / 2))
    ends = [(float(2 * value - found.mean() + q * s), q * (d * d / s - s) / 2 - d) for q in (-z, z)]
    (low, below), (high, above) = [(end, float(np.sqrt((moves**2).mean() / len(found)))) for end, moves in ends]
    return low, high, below, above
