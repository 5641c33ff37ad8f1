"""The definition of reliability and its intervals: counts and sums in exact integers, intervals in plain NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intervals import clustered, effective_rows, wilson

__all__ = [
    "clustered_intervals",
    "clustered_tally",
    "edges",
    "intervals",
    "tally",
    "top_labels",
    "weighted_intervals",
    "weighted_tally",
]

Row = tuple[int, int, int]
Floats = NDArray[np.float64]
Moments = Callable[[float, float], tuple[float, float]]
Tails = Callable[[float, float], float]
NORMAL = NormalDist()
SERIES = 32
"""Terms of the covariance of two folded normals."""
ALIKE = 2.0**-24
"""Gaps of clusters that differ by no more than this count as equal: half a unit of float32 on either side."""


def widened(probs: NDArray[Any]) -> NDArray[np.float64]:
    """``probs`` converted to float64, exactly; uint16 arrays hold the bits of bfloat16."""
    if probs.dtype == np.uint16:
        probs = (probs.astype(np.uint32) << 16).view(np.float32)
    return probs.astype(np.float64)


def edges(n_bins: int, dtype: Any) -> NDArray[np.float64]:
    """The edges of the bins: the quotients ``k / n_bins``, rounded to the dtype of the probabilities."""
    exact = np.arange(n_bins + 1) / n_bins
    if np.dtype(dtype) != np.uint16:
        return exact.astype(dtype).astype(np.float64)
    bits = exact.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
    return rounded.astype(np.uint32).view(np.float32).astype(np.float64)


def top_labels(probs: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The largest probability of each row (the first, if several are equal), and whether the target is its class."""
    wide = widened(probs)
    top = wide.argmax(axis=1)
    return probs[np.arange(len(probs)), top], top == targets


def tally(probs: NDArray[Any], targets: NDArray[Any], n_bins: int) -> list[Row]:
    """``(count, correct, sum of floor(p * 2**64))`` for each bin.

    Bin ``k`` is ``(e_k, e_{k+1}]``, and the first bin includes 0; probabilities above 1 by rounding count as 1.
    """
    wide = np.minimum(widened(probs), 1.0)
    bins = np.searchsorted(edges(n_bins, probs.dtype)[1:-1], wide, side="left")
    rows = [[0, 0, 0] for _ in range(n_bins)]
    for b, p, target in zip(bins.tolist(), wide.tolist(), targets.tolist(), strict=True):
        rows[b][0] += 1
        rows[b][1] += int(target)
        rows[b][2] += int(math.ldexp(p, 64))
    return [(count, correct, total) for count, correct, total in rows]


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
    """The point above 0 at which ``below`` changes from true to false, found by doubling and then halving."""
    low, high = 0.0, 1.0
    while below(high) and high < 2.0**60:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return high


def covariance(rho: Floats, h: Floats, s: Floats, weight: Floats) -> float:
    """The sum, over all pairs of different bins, of the covariance of ``w |N(h, s**2)|`` with correlations ``rho``.

    With ``r = h/s``, ``|h + s Z|`` has the Hermite coefficients ``c_1 = s (2 Phi(r) - 1)`` and, for k > 1,
    ``c_k = 2 s phi(r) He_(k-2)(r)``, up to a common sign. The covariance of two such variables is
    ``sum_k rho**k c_k c'_k / k!`` (Mehler). The first 32 terms are accurate to .0014 s s' at ``rho = 1``.
    """
    scaled = np.zeros((SERIES, len(h)))
    for b, (mean, deviation) in enumerate(zip(h.tolist(), s.tolist(), strict=True)):
        if deviation == 0:
            continue
        r = mean / deviation
        if r >= 9:
            scaled[0, b] = deviation
            continue
        scaled[0, b] = deviation * math.erf(r / math.sqrt(2))
        density = 2 * math.exp(-0.5 * r * r) / math.sqrt(2 * math.pi)
        before, he = 0.0, 1.0  # He_k / sqrt(k!)
        for k in range(2, SERIES + 1):
            scaled[k - 1, b] = deviation * density * he / math.sqrt(k * (k - 1))
            before, he = he, (r * he - math.sqrt(k - 2) * before) / math.sqrt(k - 1)
    scaled *= weight
    total = [rho**k * np.outer(c, c) for k, c in enumerate(scaled, 1)]
    return math.fsum(np.where(np.eye(len(h), dtype=bool), 0.0, sum(total)).ravel())


def squares_covariance(rho: Floats, h: Floats, s: Floats, weight: Floats) -> float:
    """The same for ``w N(h, s**2)**2``: ``2 sigma**2 + 4 h h' sigma`` with ``sigma = rho s s'``."""
    sigma = rho * np.outer(s, s)
    pairs = np.outer(weight, weight) * (2 * sigma * sigma + 4 * np.outer(h, h) * sigma)
    return math.fsum(np.where(np.eye(len(h), dtype=bool), 0.0, pairs).ravel())


class Scatter:
    """The standard deviations of the gaps and their correlations (None: the gaps are independent)."""

    def __init__(self, deviations: Floats, rho: Floats | None) -> None:
        self.deviations, self.rho = deviations, rho

    @classmethod
    def of(cls, sigma: Floats) -> Scatter:
        """The standard deviations and correlations of a covariance matrix."""
        s = np.sqrt(np.diag(sigma))
        both = np.outer(s, s)
        return cls(s, np.clip(np.divide(sigma, both, out=np.zeros_like(both), where=both > 0), -1, 1))


def inverted(gap: Floats, weight: Floats, null: Scatter, noise: Scatter, critical: float) -> dict[str, float]:
    """The errors and their two-sided limits, by inversion.

    The observed gaps, raised to their own noise and multiplied by one scale, stand for the true gaps. The limits are
    the errors at those scales for which the observed error is ``critical`` standard deviations away from its mean.
    ``null`` is the scatter of a calibrated model, ``noise`` that of any other.
    """
    reach = np.maximum(np.abs(gap), null.deviations)
    floor = math.sqrt(2 / math.pi) * math.fsum(weight * null.deviations)
    said = {"noise_floor": floor}
    for name, moments, shared, power in (("ece", folded, covariance, 1), ("rmsce", squared, squares_covariance, 2)):
        observed = math.fsum(weight * np.abs(gap) ** power)

        def expected(scale: float, moments: Moments = moments, shared: Any = shared) -> tuple[float, float]:
            scatter, h = noise if scale else null, scale * reach
            each = [moments(*pair) for pair in zip(h.tolist(), scatter.deviations.tolist(), strict=True)]
            variance = math.fsum(a * a * v for a, (_, v) in zip(weight.tolist(), each, strict=True))
            if scatter.rho is not None:
                variance += shared(scatter.rho, h, scatter.deviations, weight)
            mean = math.fsum(a * m for a, (m, _) in zip(weight.tolist(), each, strict=True))
            return mean, math.sqrt(max(variance, 0.0))

        def limit(sign: int, observed: float = observed, power: int = power, expected: Any = expected) -> float:
            def below(scale: float) -> bool:
                centre, spread = expected(scale)
                return bool(centre + sign * critical * spread < observed)

            scale = bisect(below)
            return math.pow(math.fsum(weight * (scale * reach) ** power), 1 / power)

        calibrated, spread = expected(0.0)
        centre, deviation = expected(1.0)
        said[name] = math.pow(observed, 1 / power)
        said[f"{name}_low"] = 0.0 if calibrated + critical * spread >= observed else limit(1)
        said[f"{name}_high"] = min(max(limit(-1), floor if power == 1 else 0.0), 1.0)
        said[f"{name}_standard_error"] = deviation if power == 1 else deviation / (2 * math.sqrt(centre))
    return said


def largest(gap: Floats, mean: Floats, limits: list[tuple[float, float]]) -> dict[str, float]:
    """The largest gap with its limits.

    The limits are the largest distances from a mean probability to the nearest and to the farthest frequency.
    """
    near, far = distances(mean, limits)
    return {"mce": float(np.abs(gap).max()), "mce_low": float(near.max()), "mce_high": min(float(far.max()), 1.0)}


def unspread(gap: float, n: float, z: float) -> tuple[float, float]:
    """The limits of a mean difference of values in [0, 1] where all n rows (or clusters) show the same difference."""
    q = z * z / (n + z * z)
    return gap - q * (1 + gap), gap + q * (1 - gap)


def intervals(rows: list[Row], t: Tails, confidence_level: float = 0.95) -> dict[str, float]:
    """The errors of a tally and their two-sided intervals, by the formulas of :func:`steelyard.reliability`.

    ``t(tail, df)`` is the upper quantile of Student's t. Does not cover tallies in which every probability is 0 or 1
    and came true.
    """
    tail = (1 - confidence_level) / 2
    z = -NORMAL.inv_cdf(tail)
    filled = [row for row in rows if row[0]]
    n, k, mean, gap, size, weight = columns(filled)
    null = np.sqrt(np.maximum(mean * (1 - mean), 0) / n)
    shrunk = (k + mean) / (n + 1)
    noise = np.sqrt(np.maximum(shrunk * (1 - shrunk), 0) / n)
    said = inverted(gap, weight, Scatter(null, None), Scatter(noise, None), z)
    shared = -NORMAL.inv_cdf(tail / (2 * len(n)))
    said |= largest(gap, mean, [limited(a, b, shared) for a, b in zip(k.tolist(), n.tolist(), strict=True)])
    # The variance of the mean difference of independent rows: the scatter above within bins, the gaps between bins.
    signed = math.fsum(weight * gap)
    variance = math.fsum((weight * noise) ** 2) + math.fsum(weight * (gap - signed) ** 2) / size
    if size > 1 and variance > 0:
        error = math.sqrt(variance * size / (size - 1))
        half = t(tail, size - 1) * error
        low, high = signed - half, signed + half
    else:
        low, high = unspread(signed, size, z)
        error = (high - low) / (2 * z)
    return said | gaps(signed, low, high, error)


def gaps(signed: float, low: float, high: float, error: float) -> dict[str, float]:
    """The signed gap under the names that the compiled path uses."""
    return {"gap": signed, "gap_low": max(low, -1.0), "gap_high": min(high, 1.0), "gap_standard_error": error}


def columns(rows: list[Row]) -> tuple[Floats, Floats, Floats, Floats, int, Floats]:
    """Count, correct, mean probability and gap of each filled bin, the number of rows, and the share of each bin."""
    n, k = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], float)
    mean = np.array([total / 2**64 for _, _, total in rows]) / n
    gap = np.array([float(total - (correct << 64)) / 2**64 for _, correct, total in rows]) / n
    size = sum(count for count, _, _ in rows)
    return n, k, mean, gap, size, n / size


def limited(k: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's interval for k of n; exactly 0 at k = 0 and exactly 1 at k = n."""
    low, high = wilson(k, n, z)
    return (0.0 if k == 0 else low), (1.0 if k == n else high)


def clustered_tally(
    probs: NDArray[Any], targets: NDArray[Any], clusters: NDArray[Any], n_bins: int
) -> dict[Any, list[Row]]:
    """The :func:`tally` of each cluster's rows."""
    return {c: tally(probs[clusters == c], targets[clusters == c], n_bins) for c in np.unique(clusters).tolist()}


def added(rows: Iterable[Row]) -> Row:
    """The sums of the counts, of the true ones and of the probabilities."""
    counts, corrects, totals = zip(*rows, strict=True)
    return sum(counts), sum(corrects), sum(totals)


def clustered_intervals(
    tallies: dict[Any, list[Row]], t: Tails, confidence_level: float = 0.95
) -> dict[str, float | None]:
    """As :func:`intervals`, where rows of a cluster depend on each other; there must be at least two clusters.

    With M_gb = sum (p - y) of cluster g in bin b, the gaps of a calibrated model have the covariance
    Sigma0 = G/(G - 1) sum_g M_gb M_gc / (n_b n_c). Those of any other model have Sigma1, which is the same with
    M_gb - gap_b n_gb in place of M_gb. t has G - 1 degrees of freedom.
    """
    return _in_clusters({(c, 1.0): rows for c, rows in tallies.items()}, t, confidence_level, weighted=False)


def weighted_tally(
    probs: NDArray[Any], targets: NDArray[Any], weights: Floats, clusters: NDArray[Any], n_bins: int
) -> dict[tuple[Any, float], list[Row]]:
    """The :func:`tally` of the rows of each pair of cluster and weight that occurs."""
    pairs = sorted(set(zip(clusters.tolist(), weights.tolist(), strict=True)))
    mine = ((c, w, (clusters == c) & (weights == w)) for c, w in pairs)
    return {(c, w): tally(probs[rows], targets[rows], n_bins) for c, w, rows in mine}


def weighted_sums(tallies: dict[tuple[Any, float], list[Row]]) -> Floats:
    """Sums for each cluster and bin: of weights, of weights of rows that came true, of weighted p and p - y."""
    place = {c: g for g, c in enumerate(dict.fromkeys(c for c, _ in tallies))}
    sums = np.zeros((4, len(place), len(next(iter(tallies.values())))))
    for (cluster, weight), rows in tallies.items():
        for b, (count, correct, total) in enumerate(rows):
            terms = count, correct, total / 2**64, float(total - (correct << 64)) / 2**64
            sums[:, place[cluster], b] += [weight * term for term in terms]
    return sums


def weighted_intervals(
    tallies: dict[tuple[Any, float], list[Row]], t: Tails, confidence_level: float = 0.95
) -> dict[str, float | None]:
    """As :func:`clustered_intervals`, with sums of weights in place of counts.

    Where something shows no spread, (sum n_g)**2 / sum n_g**2 takes the place of the number of clusters.
    """
    return _in_clusters(tallies, t, confidence_level, weighted=True)


def _in_clusters(
    tallies: dict[tuple[Any, float], list[Row]], t: Tails, confidence_level: float, *, weighted: bool
) -> dict[str, float | None]:
    tail = (1 - confidence_level) / 2
    sums = weighted_sums(tallies)
    filled = sums[0].sum(0) > 0
    sizes, right, probability, excess = sums[:, :, filled]
    counts = [added(column)[0] for column in zip(*tallies.values(), strict=True)]
    rows = np.array(counts, float)[filled]
    n, groups = sizes.sum(0), len(sizes)
    mean, gap, weight = probability.sum(0) / n, excess.sum(0) / n, n / n.sum()
    null, noise = excess / n, (excess - gap * sizes) / n
    factor = groups / (groups - 1)
    critical = t(tail, groups - 1)

    def bins(tail: float) -> list[tuple[float, float]]:
        """Clustered Wilson limits of the frequency of each bin; [0, 1] where one cluster fills the bin."""
        known = [rows[b] if weighted else None for b in range(len(n))]
        return [in_clusters(right[:, b], sizes[:, b], tail, t, known[b]) for b in range(len(n))]

    said: dict[str, float | None]
    if (np.abs(noise) <= ALIKE * sizes / n).all():  # all clusters show one gap
        near, far = distances(mean, bins(tail / len(n)))
        said = {"noise_floor": math.sqrt(2 / math.pi) * math.fsum(weight * np.sqrt(factor * (null * null).sum(0)))}
        for name, power in (("ece", 1), ("rmsce", 2)):
            low, high = (math.pow(math.fsum(weight * reach**power), 1 / power) for reach in (near, far))
            value = math.pow(math.fsum(weight * np.abs(gap) ** power), 1 / power)
            said |= {name: value, f"{name}_low": low, f"{name}_high": min(high, 1.0)}
            said[f"{name}_standard_error"] = (min(high, 1.0) - low) / (2 * critical)
    else:
        said = {
            **inverted(gap, weight, Scatter.of(factor * null.T @ null), Scatter.of(factor * noise.T @ noise), critical)
        }
    said |= largest(gap, mean, bins(tail / (2 * len(n))))
    signed, variance, df = clustered(excess.sum(1), sizes.sum(1))
    means = excess.sum(1) / sizes.sum(1)
    if (np.abs(means - means[0]) <= 2 * ALIKE).all():
        z = -NORMAL.inv_cdf(tail)
        low, high = unspread(signed, kish(sizes.sum(1)) if weighted else groups, z)
        return said | gaps(signed, low, high, (high - low) / (2 * z))
    half = t(tail, df) * math.sqrt(variance)
    return said | gaps(signed, signed - half, signed + half, math.sqrt(variance))


def distances(mean: Floats, limits: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    """The distances from each mean probability to the nearest and the farthest frequency within the limits."""
    low, high = np.array(limits).T
    return np.maximum(np.maximum(low - mean, mean - high), 0.0), np.maximum(mean - low, high - mean)


def kish(sizes: Floats) -> float:
    """The effective number of clusters (Kish): ``(sum n)**2 / sum n**2``, as many of equal size tell as much."""
    return math.fsum(sizes) ** 2 / math.fsum(sizes * sizes)


def in_clusters(
    right: Floats, sizes: Floats, tail: float, t: Tails, weighted: float | None = None
) -> tuple[float, float]:
    """Wilson's limits of a share among rows in clusters, with the effective number of rows and Student's t.

    ``weighted`` is the number of rows where the sizes are sums of weights. Differences between the clusters that the
    rounding of such sums explains are then not taken as spread.
    """
    right, sizes = right[sizes > 0], sizes[sizes > 0]
    if len(sizes) < 2:
        return 0.0, 1.0
    p, variance, df = clustered(right, sizes)
    apart = np.abs(right * sizes[0] - right[0] * sizes)
    if (apart <= (weighted or 0.0) * 2.0**-51 * sizes * sizes[0]).all():
        variance = 0.0
    most, clusters = (float(sizes.sum()), float(len(sizes))) if weighted is None else (weighted, kish(sizes))
    rows = effective_rows(p, variance, most, clusters)
    return limited(p * rows, rows, t(tail, df))
