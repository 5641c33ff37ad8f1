"""Reliability in exact rational arithmetic: what the compiled tally and its intervals mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["edges", "intervals", "tally", "top_labels"]

Row = tuple[int, int, int]
NORMAL = NormalDist()


def widened(probs: NDArray[Any]) -> NDArray[np.float64]:
    """``probs`` in float64, exactly; uint16 is the bits of bfloat16."""
    if probs.dtype == np.uint16:
        probs = (probs.astype(np.uint32) << 16).view(np.float32)
    return probs.astype(np.float64)


def edges(n_bins: int, dtype: Any) -> NDArray[np.float64]:
    """Edges ``k / n_bins``, divided truly and rounded to the dtype of the probabilities."""
    exact = np.arange(n_bins + 1) / n_bins
    if np.dtype(dtype) != np.uint16:
        return exact.astype(dtype).astype(np.float64)
    bits = exact.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    return rounded.astype(np.uint32).view(np.float32).astype(np.float64)


def top_labels(probs: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Largest probability of each row, and whether the target is its class: the first one of equals."""
    wide = widened(probs)
    top = wide.argmax(axis=1)
    return probs[np.arange(len(probs)), top], top == targets


def tally(probs: NDArray[Any], targets: NDArray[Any], n_bins: int) -> list[Row]:
    """One ``(count, correct, sum of floor(p * 2**64))`` a bin.

    Bin ``k`` is ``(e_k, e_{k+1}]``, the first one closed at 0; what is above 1 by rounding counts as 1.
    """
    wide = np.minimum(widened(probs), 1.0)
    bins = np.searchsorted(edges(n_bins, probs.dtype)[1:-1], wide, side="left")
    rows = [[0, 0, 0] for _ in range(n_bins)]
    for b, p, target in zip(bins.tolist(), wide.tolist(), targets.tolist(), strict=True):
        rows[b][0] += 1
        rows[b][1] += int(target)
        rows[b][2] += int(math.ldexp(p, 64))
    return [(count, correct, total) for count, correct, total in rows]


def wilson(k: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's interval of ``k`` among ``n``."""
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)


def folded(h: float, s: float) -> tuple[float, float]:
    """Mean and variance of ``|N(h, s**2)|``."""
    if h >= 9 * s:
        return h, s * s
    mean = s * math.sqrt(2 / math.pi) * math.exp(-0.5 * (h / s) ** 2) + h * math.erf(h / s / math.sqrt(2))
    return mean, h * h + s * s - mean * mean


def squared(h: float, s: float) -> tuple[float, float]:
    """Mean and variance of ``N(h, s**2)`` squared."""
    return h * h + s * s, 2 * s**4 + 4 * h * h * s * s


def bisect(below: Callable[[float], bool]) -> float:
    """Where ``below`` turns from true to false, upwards from 0."""
    low, high = 0.0, 1.0
    while below(high) and high < 2.0**60:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return high


def intervals(rows: list[Row], confidence_level: float = 0.95) -> dict[str, float]:
    """Errors and two-sided intervals of a tally; see ``Calibration`` in the documentation of the numbers.

    Not for a tally whose every probability is 0 or 1 and came true.
    """
    z = -NORMAL.inv_cdf((1 - confidence_level) / 2)
    bins = [(n, k, total / 2**64) for n, k, total in rows if n]
    size = sum(n for n, _, _ in bins)
    w = [n / size for n, _, _ in bins]
    gap = [abs(total - (k << 64)) / 2**64 / n for n, k, total in rows if n]
    mean = [p / n for n, _, p in bins]
    null = [math.sqrt(max(m * (1 - m), 0) / n) for m, (n, _, _) in zip(mean, bins, strict=True)]
    shrunk = [(k + m) / (n + 1) for m, (n, k, _) in zip(mean, bins, strict=True)]
    noise = [math.sqrt(max(y * (1 - y), 0) / n) for y, (n, _, _) in zip(shrunk, bins, strict=True)]
    reach = [max(g, s) for g, s in zip(gap, null, strict=True)]
    floor = math.sqrt(2 / math.pi) * sum(a * s for a, s in zip(w, null, strict=True))

    said = {"noise_floor": floor}
    for name, moments, power in (("ece", folded, 1), ("rmsce", squared, 2)):
        observed = sum(a * g**power for a, g in zip(w, gap, strict=True))

        def expected(scale: float, moments: Any = moments) -> tuple[float, float]:
            each = [moments(scale * h, s) for h, s in zip(reach, noise if scale else null, strict=True)]
            variance = sum(a * a * v for a, (_, v) in zip(w, each, strict=True))
            return sum(a * m for a, (m, _) in zip(w, each, strict=True)), math.sqrt(variance)

        def limit(sign: int, observed: float = observed, power: int = power, expected: Any = expected) -> float:
            def below(scale: float) -> bool:
                centre, spread = expected(scale)
                return bool(centre + sign * z * spread < observed)

            scale = bisect(below)
            return math.pow(sum(a * (scale * h) ** power for a, h in zip(w, reach, strict=True)), 1 / power)

        calibrated, spread = expected(0.0)
        centre, deviation = expected(1.0)
        said[name] = math.pow(observed, 1 / power)
        said[f"{name}_low"] = 0.0 if calibrated + z * spread >= observed else limit(1)
        said[f"{name}_high"] = min(max(limit(-1), floor if power == 1 else 0.0), 1.0)
        said[f"{name}_standard_error"] = deviation if power == 1 else deviation / (2 * math.sqrt(centre))

    shared = -NORMAL.inv_cdf((1 - confidence_level) / 2 / len(bins))
    far, near = [], []
    for m, (n, k, _) in zip(mean, bins, strict=True):
        low, high = wilson(k, n, shared)
        near.append(max(low - m, m - high, 0.0))
        far.append(max(m - low, high - m))
    return said | {"mce": max(gap), "mce_low": max(near), "mce_high": min(max(far), 1.0)}
