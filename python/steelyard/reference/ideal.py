"""The ideal bootstrap: limits from the distribution over all resamples, enumerated or by a plain inversion."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core

__all__ = ["combined", "enumerated", "ideal", "inverted", "resamples"]

Floats = NDArray[np.float64]
FEW = 50_000  # up to so many resamples that differ, all are enumerated


def ideal(
    sums: Floats,
    sizes: Floats,
    *,
    strata: NDArray[np.int64] | None = None,
    signs: tuple[float, ...] | None = None,
    method: str,
    confidence_level: float,
    at: Floats,
) -> dict[str, float | Floats]:
    """The ideal bootstrap of ``sum sums / sum sizes``, which resamples units; ``at`` asks for probabilities as well.

    With ``strata`` each is resampled within itself. ``signs`` has a coefficient for each of them: the statistic is then
    the sum of their own quotients, so multiplied.
    """
    strata = np.zeros(len(sums), np.int64) if strata is None else strata
    parts = [Pairs(sums[strata == h], sizes[strata == h]) for h in range(int(strata.max()) + 1)]
    value = combined(parts, signs)
    if signs is None:
        whole = math.fsum(sizes)
        pulls = [(s - value * n) / whole for s, n in parts]
    else:
        pulls = [c * (s - s.sum() / n.sum() * n) / n.sum() for c, (s, n) in zip(signs, parts, strict=True)]
    pull = np.concatenate([u - u.mean() for u in pulls])
    squares = math.fsum(pull**2)
    ways = math.prod(math.comb(2 * len(part.sums) - 1, len(part.sums)) for part in parts)
    up_to, quantile, middle = enumerated(parts, signs) if ways <= FEW else inverted(parts, signs)
    accelerate = math.fsum(pull**3) / (6 * squares * math.sqrt(squares)) if method == "bca" else 0.0
    bias = float(_core.normal_quantile(middle)) if method in ("bc", "bca") else 0.0
    tail = (1 - confidence_level) / 2

    def limit(nominal: float) -> float:
        if method == "basic":
            return 2 * value - quantile(1 - nominal)
        if method == "expanded":
            n = max(len(sums) // len(parts), 2)
            return quantile(float(_core.normal_cdf(math.sqrt(n / (n - 1)) * _core.t_quantile(nominal, n - 1.0))))
        z = bias + float(_core.normal_quantile(nominal))
        corrected = float(_core.normal_cdf(bias + z / (1 - accelerate * z)))
        return quantile(corrected if method in ("bc", "bca") else nominal)

    return {
        "value": value, "standard_error": math.sqrt(squares), "low": limit(tail), "high": limit(1 - tail),
        "acceleration": accelerate, "bias": bias, "up_to": np.array([up_to(t) for t in at]),
    }  # fmt: skip


class Pairs(NamedTuple):
    """The units of a stratum."""

    sums: Floats
    sizes: Floats


Law = tuple[Callable[[float], float], Callable[[float], float], float]  # P(m* <= t), its quantiles, and P at m itself


def combined(parts: list[Pairs], signs: tuple[float, ...] | None) -> float:
    """The statistic of strata: one quotient of all, or the sum of the quotient of each times its coefficient."""
    if signs is None:
        return math.fsum(s for part in parts for s in part.sums) / math.fsum(n for part in parts for n in part.sizes)
    own = [math.fsum(part.sums) / math.fsum(part.sizes) for part in parts]
    return math.fsum(c * quotient for c, quotient in zip(signs, own, strict=True))


def resamples(part: Pairs) -> list[tuple[Pairs, float]]:
    """Every resample of a few units with its share: n**n of them, in multisets with multinomial probabilities."""
    n, found = len(part.sums), []
    for drawn in itertools.combinations_with_replacement(range(n), n):
        count = np.bincount(drawn, minlength=n)
        ways = math.factorial(n) // math.prod(math.factorial(int(k)) for k in count)
        one = Pairs(np.array([count @ part.sums]), np.array([count @ part.sizes]))
        found.append((one, ways / n**n))
    return found


def enumerated(parts: list[Pairs], signs: tuple[float, ...] | None = None) -> Law:
    """From every resample of few units.

    The probability at the value of the data counts half of the resamples that are equal to it.
    """
    found = []
    for drawn in itertools.product(*map(resamples, parts)):
        share = math.prod(share for _, share in drawn)
        found.append((combined([part for part, _ in drawn], signs), share))
    values, shares = np.array(sorted(found)).T
    same = 1e-12 * float(np.ptp(values)) + 1e-15 * float(np.abs(values).max())

    def up_to(t: float) -> float:
        return math.fsum(shares[values <= t + same])

    def quantile(level: float) -> float:
        return float(values[np.searchsorted(np.cumsum(shares), level - 1e-13)])

    value = combined(parts, signs)
    return up_to, quantile, (up_to(value) + math.fsum(shares[values < value - same])) / 2


def inverted(
    parts: list[Pairs], signs: tuple[float, ...] | None = None, *, nodes: int = 400, period: float = 40.0
) -> Law:
    """From the characteristic functions phi of one draw of each stratum, for smooth data with n of some dozens.

    ``P(m* <= r) = P(sum u* <= 0)`` for ``u = sums - r sizes``, and ``P(sum u* <= 0) = 1/2 - sum Im(Phi(t))/(pi k)``
    with ``Phi = prod phi(t)**n`` over the nodes ``t = 2 pi k/period``, k = 1/2, 3/2, ... (Gil-Pelaez), with ``period``
    in standard deviations of the sum, which must hold all but a negligible part of the distribution. Where strata have
    coefficients, the sizes of each must be equal: its quotient is then a sum, of which r is the mean plus a number.
    """
    if signs is not None:
        evenly = [np.full(len(n), 1 / (len(parts) * len(n))) for _, n in parts]
        parts = [Pairs(c * s / n.sum(), e) for c, (s, n), e in zip(signs, parts, evenly, strict=True)]
    k = np.arange(nodes) + 0.5

    def up_to(r: float) -> float:
        each = [s - r * n for s, n in parts]
        deviation = math.sqrt(math.fsum(len(u) * u.var() for u in each))
        t = 2 * math.pi * k / (period * deviation)
        phi = np.ones(nodes, complex)
        for u in each:
            phi *= np.exp(1j * np.outer(t, u)).mean(axis=1) ** len(u)
        return float(0.5 - (phi.imag / (math.pi * k)).sum())

    value = combined(parts, None)
    pull = np.concatenate([(s - value * n) - (s - value * n).mean() for s, n in parts])
    spread = math.sqrt(math.fsum(pull**2)) / math.fsum(n for part in parts for n in part.sizes)

    def quantile(level: float) -> float:
        low, high = value - 8 * spread, value + 8 * spread
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if up_to(middle) >= level else (middle, high)
        return high

    return up_to, quantile, up_to(value)
