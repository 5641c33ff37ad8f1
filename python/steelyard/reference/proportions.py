"""Intervals of one proportion beyond those of :mod:`steelyard.reference.intervals`, and the tests that they invert.

Every lower limit is that of the failures, mirrored, on the other side. ``hits`` successes and ``misses`` failures were
observed; ``z`` and ``tail`` are the critical value and the probability beyond each limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from .intervals import Limits, at_least, bisect

__all__ = ["arcsine", "blaker", "likelihood", "logit", "mid_p", "p_value", "scas", "wilson_cc"]

normal_cdf = NormalDist().cdf


def both(lower: Callable[[int, int], float], k: int, n: int) -> Limits:
    """The limits of k of n from the function of the lower one."""
    return lower(k, n - k), 1 - lower(n - k, k)


def wilson_cc(k: int, n: int, z: float) -> Limits:
    """The p with (abs(k - n p) - 1/2)^2 <= z^2 n p (1 - p), as Newcombe (1998) writes it; 0 at k = 0, 1 at k = n."""

    def lower(hits: int, misses: int) -> float:
        p, q = hits / n, misses / n
        root = math.sqrt(max(0.0, z * z - 2 - 1 / n + 4 * p * (n * q + 1)))
        return 0.0 if hits == 0 else (2 * hits + z * z - 1 - z * root) / (2 * (n + z * z))

    return both(lower, k, n)


def scas(k: int, n: int, z: float) -> Limits:
    """The p with k/n - p = +-z sqrt(p(1 - p)/n) + (z^2 - 1)(1 - 2p)/(6n); 0 at k = 0, 1 at k = n. For z >= 1."""

    def lower(hits: int, misses: int) -> float:
        def passes(p: float) -> bool:
            return hits / n - p <= z * math.sqrt(p * (1 - p) / n) + (z * z - 1) * (1 - 2 * p) / (6 * n)

        if hits == 0 or passes(0.0):
            return 0.0
        # Near p = 1 the correction alone exceeds the difference; the test is passed somewhere below k/n.
        inside = next(p for p in (hits / n * (1 - 2.0**-i) for i in range(60, 0, -1)) if passes(p))
        inside = min((p for p in (inside * i / 4096 for i in range(1, 4097)) if passes(p)), default=inside)
        return bisect(passes, 0.0, inside)

    return both(lower, k, n)


def mid_p(k: int, n: int, tail: float) -> Limits:
    """The p for which neither P(X > k) + P(X = k)/2 nor P(X < k) + P(X = k)/2 is below ``tail``."""

    def lower(hits: int, misses: int) -> float:
        def passes(p: float) -> bool:
            return at_least(hits, n, p) + at_least(hits + 1, n, p) >= 2 * tail

        return 0.0 if hits == 0 else bisect(passes, 0.0, hits / n if misses else 1.0)

    return both(lower, k, n)


def blaker(k: int, n: int, tail: float) -> Limits:
    """The smallest and the largest p whose Blaker p-value is not below 2 ``tail``.

    ``jump(j)`` is the p where P(X <= j) has fallen to P(X >= k): up to the next jump the p-value of k is
    P(X >= k) + P(X <= j), which falls and then rises.
    """

    def lower(hits: int, misses: int) -> float:
        def at_most(j: int, p: float) -> float:
            return at_least(n - j, n, 1 - p) if j >= 0 else 0.0

        def jump(j: int) -> float:
            return bisect(lambda p: at_least(hits, n, p) >= at_most(j, p), 0.0, 1.0)

        if hits == 0:
            return 0.0
        first, last = -1, hits - 1  # of the jumps, the first after which the p-value is large enough
        while last - first > 1:
            middle = (first + last) // 2
            first, last = (first, middle) if at_least(hits, n, jump(middle)) >= tail else (middle, last)
        end, j = jump(last), last - 1

        def passes(p: float) -> bool:
            return at_least(hits, n, p) + at_most(j, p) >= 2 * tail

        start = jump(j) if j >= 0 else 0.0
        lowest = bisect(lambda p: at_least(hits, n, p) >= tail, start, end)
        return bisect(passes, lowest, end) if passes(math.nextafter(end, 0.0)) else end

    return both(lower, k, n)


def arcsine(k: int, n: int, z: float) -> Limits:
    """sin^2(arcsin(sqrt((k + 3/8)/(n + 3/4))) +- z/(2 sqrt(n))); 0 at k = 0, 1 at k = n."""

    def lower(hits: int, misses: int) -> float:
        angle = math.asin(math.sqrt((hits + 0.375) / (n + 0.75))) - z / (2 * math.sqrt(n))
        return 0.0 if hits == 0 or angle < 0 else math.sin(angle) ** 2

    return both(lower, k, n)


def logit(k: int, n: int, z: float) -> Limits:
    """Log-odds log(k/(n - k)) +- z sqrt(1/k + 1/(n - k)); with 1/2 added to both counts where one is 0."""

    def lower(hits: int, misses: int) -> float:
        more = 0.0 if hits and misses else 0.5
        h, m = hits + more, misses + more
        return 1 / (1 + m / h * math.exp(z * math.sqrt(1 / h + 1 / m)))

    return both(lower, k, n)


def lost(k: int, n: int, p: float) -> float:
    """The log-likelihood of k/n less that of p."""
    return math.fsum(x * math.log(x / (n * of)) for x, of in ((k, p), (n - k, 1 - p)) if x)


def likelihood(k: int, n: int, z: float) -> Limits:
    """The p with 2 (l(k/n) - l(p)) <= z^2, for the log-likelihood l."""

    def lower(hits: int, misses: int) -> float:
        return 0.0 if hits == 0 else bisect(lambda p: p > 0 and 2 * lost(hits, n, p) <= z * z, 0.0, hits / n)

    return both(lower, k, n)


def p_value(k: int, n: int, p: float, test: str, alternative: str = "two-sided") -> float:
    """The p-value of a test that the proportion is p; two-sided twice the smaller one-sided one, but for Blaker's."""
    greater, less = at_least(k, n, p), at_least(n - k, n, 1 - p)
    if test == "blaker" and alternative == "two-sided":
        smaller = min(greater, less)
        below, above = [at_least(n - j, n, 1 - p) for j in range(k)], [at_least(j, n, p) for j in range(k + 1, n + 1)]
        others = below if greater <= less else above
        return min(1.0, smaller + max((of for of in others if of <= smaller * (1 + 1e-11)), default=0.0))
    if test == "mid-p":
        greater, less = (greater + at_least(k + 1, n, p)) / 2, (less + at_least(n - k + 1, n, 1 - p)) / 2
    if test not in {"exact", "blaker", "mid-p"}:
        deviation = math.sqrt(n * p * (1 - p))
        score = (k - n * p) / deviation
        up = down = score
        if test == "score-cc":
            up, down = (k - n * p - 0.5) / deviation, (k - n * p + 0.5) / deviation
        if test == "likelihood":
            up = down = math.copysign(math.sqrt(2 * lost(k, n, p)), score)
        if test == "scas":  # the z of z + A (z^2 - 1) = score next to the score
            a = (1 - 2 * p) / (6 * deviation)
            up = score if a == 0 else (math.sqrt(max(0.0, 1 + 4 * a * (score + a))) - 1) / (2 * a)
            up = down = min(up, 0.0) if k == 0 else max(up, 0.0) if k == n else up
        greater, less = normal_cdf(-up), normal_cdf(down)
    return {"greater": greater, "less": less, "two-sided": min(1.0, 2 * min(greater, less))}[alternative]
