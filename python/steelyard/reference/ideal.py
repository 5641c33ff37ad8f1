"""The ideal bootstrap: limits from the distribution over all resamples, enumerated or by a plain inversion."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .. import _core
from . import bootstrap

__all__ = ["enumerated", "ideal", "inverted"]

Floats = NDArray[np.float64]
FEW = 8  # up to this many units, all resamples are enumerated


def ideal(
    sums: Floats, sizes: Floats, *, method: str, confidence_level: float, at: Floats
) -> dict[str, float | Floats]:
    """The ideal bootstrap of ``sum sums / sum sizes``, which resamples units; ``at`` asks for probabilities as well."""
    value = math.fsum(sums) / math.fsum(sizes)
    pull = sums - value * sizes
    few = len(sums) <= FEW
    up_to, quantile, middle = enumerated(sums, sizes) if few else inverted(sums, sizes)
    accelerate = bootstrap.acceleration(sums, sizes, value) if method == "bca" else 0.0
    bias = float(_core.normal_quantile(middle)) if method in ("bc", "bca") else 0.0
    tail = (1 - confidence_level) / 2

    def limit(nominal: float) -> float:
        if method == "basic":
            return 2 * value - quantile(1 - nominal)
        if method == "expanded":
            n = len(sums)
            return quantile(float(_core.normal_cdf(math.sqrt(n / (n - 1)) * _core.t_quantile(nominal, n - 1.0))))
        z = bias + float(_core.normal_quantile(nominal))
        corrected = float(_core.normal_cdf(bias + z / (1 - accelerate * z)))
        return quantile(corrected if method in ("bc", "bca") else nominal)

    return {
        "value": value, "standard_error": math.sqrt(math.fsum(pull**2)) / math.fsum(sizes), "low": limit(tail),
        "high": limit(1 - tail), "acceleration": accelerate, "bias": bias, "up_to": np.array([up_to(t) for t in at]),
    }  # fmt: skip


Law = tuple[Callable[[float], float], Callable[[float], float], float]  # P(m* <= t), its quantiles, and P at m itself


def enumerated(sums: Floats, sizes: Floats) -> Law:
    """From every resample of a few units: n**n of them, which are multisets with multinomial probabilities.

    The probability at the value of the data counts half of the resamples that are equal to it.
    """
    n, found = len(sums), []
    for drawn in itertools.combinations_with_replacement(range(n), n):
        count = np.bincount(drawn, minlength=n)
        ways = math.factorial(n) // math.prod(math.factorial(int(k)) for k in count)
        found.append((float(count @ sums / (count @ sizes)), ways / n**n))
    values, shares = np.array(sorted(found)).T
    same = 1e-12 * float(np.abs(values).max())

    def up_to(t: float) -> float:
        return math.fsum(shares[values <= t + same])

    def quantile(level: float) -> float:
        return float(values[np.searchsorted(np.cumsum(shares), level - 1e-13)])

    value = math.fsum(sums) / math.fsum(sizes)
    return up_to, quantile, (up_to(value) + math.fsum(shares[values < value - same])) / 2


def inverted(sums: Floats, sizes: Floats, *, nodes: int = 400, period: float = 40.0) -> Law:
    """From the characteristic function phi of one draw, for smooth data with n of some dozens.

    ``P(m* <= r) = P(sum u* <= 0)`` for ``u = sums - r sizes``, and ``P(sum u* <= 0) = 1/2 - sum Im(phi(t)**n)/(pi k)``
    over the nodes ``t = 2 pi k/period``, k = 1/2, 3/2, ... (Gil-Pelaez), with ``period`` in standard deviations of the
    sum, which must hold all but a negligible part of the distribution.
    """
    n = len(sums)
    k = np.arange(nodes) + 0.5

    def up_to(r: float) -> float:
        u = sums - r * sizes
        t = 2 * math.pi * k / (period * math.sqrt(n) * u.std())
        phi = np.exp(1j * np.outer(t, u)).mean(axis=1)
        return float(0.5 - ((phi**n).imag / (math.pi * k)).sum())

    value = math.fsum(sums) / math.fsum(sizes)
    spread = math.sqrt(math.fsum((sums - value * sizes) ** 2)) / math.fsum(sizes)

    def quantile(level: float) -> float:
        low, high = value - 8 * spread, value + 8 * spread
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if up_to(middle) >= level else (middle, high)
        return high

    return up_to, quantile, up_to(value)
