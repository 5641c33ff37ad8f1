"""Intervals and tests as formulas, with exact sums, and with exact counts of patterns where a test counts them.

Critical values (``z``, ``t``) are arguments, because the quantiles have tests of their own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "adjusted", "agresti_coull", "clopper_pearson", "cluster_sums", "clustered", "crossed", "differences",
    "effective_rows", "effective_weights", "exact_cluster_sums", "exact_moments", "fisher_mid_p", "jackknifed",
    "mcnemar", "moments", "near_codes", "newcombe", "ratio", "sign_flip", "sign_flip_smooth", "stratified",
    "t_interval", "tango", "unspread", "wald", "weighted_sums", "welch", "wild_p", "wilson",
]  # fmt: skip

Floats = NDArray[np.float64]
Limits = tuple[float, float]


def bisect(inside: Callable[[float], bool], outside: float, limit: float) -> float:
    """Find the edge of a set between a point outside of it and a point inside (``limit``), to the last bit."""
    while True:
        middle = outside + (limit - outside) / 2
        if middle in (outside, limit):
            return limit
        outside, limit = (outside, middle) if inside(middle) else (middle, limit)


# -- one proportion ---------------------------------------------------------------------------------------


def wilson(k: float, n: float, z: float) -> Limits:
    """The p with (k - n p)^2 <= z^2 n p (1 - p)."""
    centre, half = k + z * z / 2, z * math.sqrt(k * (n - k) / n + z * z / 4)
    return (centre - half) / (n + z * z), (centre + half) / (n + z * z)


def wald(k: float, n: float, z: float) -> Limits:
    """Wald's p +- z sqrt(p (1 - p)/n), cut off at 0 and 1."""
    p = k / n
    half = z * math.sqrt(p * (1 - p) / n)
    return min(1.0, max(0.0, p - half)), max(0.0, min(1.0, p + half))


def agresti_coull(k: float, n: float, z: float) -> Limits:
    """Wald's formula for k + z^2/2 successes in n + z^2 trials."""
    return wald(k + z * z / 2, n + z * z, z)


def at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p)."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def clopper_pearson(k: int, n: int, tail: float) -> Limits:
    """The p for which neither P(X >= k) nor P(X <= k) is below ``tail``. For n up to about a thousand."""
    low = 0.0 if k == 0 else bisect(lambda p: at_least(k, n, p) >= tail, 0.0, k / n)
    high = 1.0 if k == n else 1.0 - bisect(lambda q: at_least(n - k, n, q) >= tail, 0.0, 1 - k / n)
    return low, high


# -- means and clusters -----------------------------------------------------------------------------------


def exact_moments(x: NDArray[Any]) -> tuple[float, float]:
    """The mean and sum (x - mean)^2 from exact sums, each of which is rounded once and then divided by n."""
    values = [Fraction(float(value)) for value in x]
    n, total = len(values), sum(values, Fraction())
    return float(total) / n, float(n * sum(value * value for value in values) - total * total) / n


def near_codes(ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The code of each id, its rank among those that occur, and the ids that occur in ascending order."""
    unique, codes = np.unique(ids, return_inverse=True)
    return codes, unique


def exact_cluster_sums(x: NDArray[Any], ids: NDArray[Any], shift: float) -> tuple[Floats, Floats]:
    """For each cluster, in the order of the ids: the sum of x - shift, rounded once, and the number of rows."""
    of = [x[ids == name] for name in sorted(set(ids.tolist()))]
    sums = [sum((Fraction(float(value)) - Fraction(shift) for value in values), Fraction()) for values in of]
    return np.array([float(total) for total in sums]), np.array([float(len(values)) for values in of])


def moments(x: Any) -> tuple[float, float]:
    """Mean and sum (x - mean)^2, by exact sums.

    The kernel's mean differs by at most 2^-40 of mean |x|, and its sum of squares by at most 2^-40 of itself.
    """
    values = np.asarray(x, np.float64)
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((values - mean) * (values - mean))


def t_interval(mean: float, squares: float, n: int, t: float) -> tuple[float, float, float]:
    """Standard error s/sqrt(n) and mean +- t s/sqrt(n)."""
    error = math.sqrt(squares / (n - 1) / n)
    return error, mean - t * error, mean + t * error


def cluster_sums(x: Any, codes: NDArray[np.int64], clusters: int, shift: float = 0.0) -> tuple[Floats, Floats]:
    """For each cluster, the sum of ``x - shift`` and the number of rows.

    The kernel adds row by row, so its sums differ by at most n 2^-53 times sum |x - shift|.
    """
    values = np.asarray(x, np.float64) - shift
    sums = [math.fsum(values[codes == g]) for g in range(clusters)]
    return np.array(sums), np.bincount(codes, minlength=clusters).astype(np.float64)


def weighted_sums(
    x: Any, weights: Floats, codes: NDArray[np.int64], clusters: int, shift: float = 0.0
) -> tuple[Floats, Floats]:
    """For each cluster, the sums of ``w (x - shift)`` and of ``w``; the kernel scales both by one power of two."""
    values = weights * (np.asarray(x, np.float64) - shift)
    return tuple(np.array([math.fsum(v[codes == g]) for g in range(clusters)]) for v in (values, weights))  # type: ignore[return-value]


def effective_weights(weights: Floats) -> float:
    """Kish's effective number of rows: as many rows of equal weight tell as much."""
    return math.fsum(weights) ** 2 / math.fsum(weights * weights)


def clustered(sums: Floats, sizes: Floats) -> tuple[float, float, float]:
    """The ratio m = sum S / sum n, its CR2 variance V and Satterthwaite's degrees of freedom.

    With N = sum n, r = S - m n, f = n/N, a = f^2/(1 - f): V = sum r^2/(1 - f) / N^2,
    df = 1/(sum f^2 + (sum a)^2 - sum a^2).
    """
    total = math.fsum(sizes)
    m = math.fsum(sums) / total
    r, f = sums - m * sizes, sizes / total
    a = f * f / (1 - f)
    variance = math.fsum(r * r / (1 - f)) / (total * total)
    return m, variance, 1 / (math.fsum(f * f) + math.fsum(a) * math.fsum(a) - math.fsum(a * a))


def crossed(sums: Floats, sizes: Floats, a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[float, float, float]:
    """The ratio m of cells, V_a + V_b - V_ab by the clusters of two kinds, and the smaller degrees of freedom.

    Each V is the CR2 variance of :func:`clustered`; where the three give less than V_a or V_b, the larger one of these.
    """
    by = []
    for of in (a, b):
        count = int(of.max()) + 1
        by.append(clustered(_sums_by_cluster(sums, of, count), _sums_by_cluster(sizes, of, count)))
    (m, v, df), (_, w, other) = by
    return m, max(v + w - clustered(sums, sizes)[1], v, w), min(df, other)


def jackknifed(sums: Floats, sizes: Floats) -> tuple[float, float]:
    """The CR3 variance (G - 1)/G sum (m_g - m)^2 of the means without each cluster, and G - 1."""
    count = len(sums)
    without = np.array([(sums.sum() - s) / (sizes.sum() - n) for s, n in zip(sums, sizes, strict=True)])
    return (count - 1) / count * float(((without - sums.sum() / sizes.sum()) ** 2).sum()), count - 1.0


def wild_p(sums: Floats, sizes: Floats, mean: float) -> float:
    """The p-value of a mean by the wild cluster bootstrap-t of restricted residuals, over all patterns of weights.

    The weights are 1 and -1, or for up to eight clusters also those times the roots of 1/2 and 3/2 (Webb).
    """
    f, u = sizes / sizes.sum(), sums - mean * sizes
    weights = (1, 0.5**0.5, 1.5**0.5, -1, -(0.5**0.5), -(1.5**0.5)) if len(sums) <= 8 else (1, -1)

    def t(pulls: Floats) -> Floats:
        off = pulls.sum(axis=-1)
        spread = ((pulls - f * off[..., None]) ** 2).sum(axis=-1)
        found: Floats = np.abs(off) / np.sqrt(np.maximum(spread, 1e-30 * (pulls**2).sum(axis=-1)))
        return found

    patterns = np.array(list(itertools.product(weights, repeat=len(sums))))
    return float((t(patterns * u) >= t(u) * (1 - 1e-10)).mean())


def stratified(
    sums: Floats, sizes: Floats, strata: NDArray[np.int64], average: str, *, z: float, width: float
) -> tuple[float, float, float]:
    """The mean of a stratified design, its variance V and its degrees of freedom.

    Cluster g of stratum h has sum S and size n; G, S_h and N_h are the number of clusters of the stratum and the sums
    over them. With m_h = S_h/N_h, r = S - m_h n, f = n/N_h and the share w_h = 1/H (macro) or N_h/N (micro):
    m = sum w_h m_h, V = sum v_h, df = V^2 / sum v_h^2/df_h, v_h = w_h^2 sum e^2 / N_h^2. For the macro average
    e = r/sqrt(1 - f); for the micro average the term (m_h - m) (n - N_h/G)/sqrt(1 - 1/G), by which the shares vary,
    is added. Strata of equal cluster means add one further term to V, the square of q w width/(2z), where w is the sum
    of their shares, k = w^2/sum (w_h^2/G) and q = z^2/(k + z^2).
    """
    parts = [(sums[strata == h], sizes[strata == h]) for h in range(int(strata.max()) + 1)]
    totals, means = [math.fsum(n) for _, n in parts], [math.fsum(s) / math.fsum(n) for s, n in parts]
    whole = math.fsum(totals)
    shares = [1 / len(parts) if average == "macro" else size / whole for size in totals]
    m = math.fsum(w * mean for w, mean in zip(shares, means, strict=True))
    terms, still, still_df = [], [], 0.0
    for (s, n), size, mean, w in zip(parts, totals, means, shares, strict=True):
        df, clusters = clustered(s, n)[2], len(s)
        equal = bool((s * n[0] == s[0] * n).all())
        e = np.zeros(clusters) if equal else (s - mean * n) / np.sqrt(1 - n / size)
        if average == "micro":
            e += (mean - m) * (n - size / clusters) / math.sqrt(1 - 1 / clusters)
        terms.append(((w / size) ** 2 * math.fsum(e * e), df))
        if equal:
            still.append((w, w * w / clusters))
            still_df += df
    if still:
        w, squares = (math.fsum(column) for column in zip(*still, strict=True))
        k = w * w / squares
        terms.append(((z / (k + z * z) * w * width / 2) ** 2, still_df))
    variance = math.fsum(v for v, _ in terms)
    return m, variance, variance**2 / math.fsum(v * v / df for v, df in terms)


def _sums_by_cluster(values: Floats, codes: NDArray[np.int64], clusters: int) -> Floats:
    rows: list[list[float]] = [[] for _ in range(clusters)]
    for code, value in zip(codes.tolist(), values.tolist(), strict=True):
        rows[code].append(value)
    return np.array([math.fsum(of) for of in rows])


def ratio(
    x: Any, y: Any, codes: NDArray[np.int64], clusters: int, weights: Floats | None = None
) -> tuple[float, float, float]:
    """The ratio sum w x / sum w y, its CR2 variance and degrees of freedom: a clustered mean whose sizes are sums of y.

    Residuals are summed about a ratio near r. That does not change the result, except that rounding errors are smaller.
    """
    w = np.ones(len(x)) if weights is None else weights
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    near = math.fsum(x) / math.fsum(y)
    rest, sizes = (_sums_by_cluster(v, codes, clusters) for v in (w * (x - near * y), w * y))
    m, variance, df = clustered(rest, sizes)
    return near + m, variance, df


def effective_rows(p: float, variance: float, n: float, clusters: float) -> float:
    """The effective number of independent 0/1 rows: p (1 - p)/V, at most n; the number of clusters where V is 0."""
    return min(n, p * (1 - p) / variance) if variance > 0 else float(clusters)


def unspread(value: float, n: float, z: float, lowest: float) -> tuple[float, float, float]:
    """Standard error and limits of the mean of ``n`` values (or cluster means) that are all equal.

    The scores lie in [0, 1], and the values in [``lowest``, 1], where ``lowest`` is -1 for differences. q is Wilson's
    upper limit for 0 of n: the limits are the means if a share q of the population lies at one end of the range.
    """
    q = z * z / (n + z * z)
    low, high = value + q * (lowest - value), value + q * (1 - value)
    return (high - low) / (2 * z), low, high


# -- pairs ------------------------------------------------------------------------------------------------


def differences(new: Any, base: Any, coarse: tuple[float, float] = (0.0, 0.0)) -> Floats:
    """The difference new - base of each row; 0 (a tie) where it is at most 2^-49 of the larger score, as by rounding.

    ``coarse``: where the two sides have different types, the step at 1 and the smallest number of the coarser one.
    """
    a, b = np.asarray(new, np.float64), np.asarray(base, np.float64)
    d: Floats = a - b
    near = max(2.0**-49, coarse[0]) * np.maximum(np.abs(a), np.abs(b))
    d[np.abs(d) <= np.maximum(near, coarse[1])] = 0.0
    return d


def tango(b: float, c: float, n: float, z: float) -> Limits:
    """The D with abs(b - c - n D) <= z sqrt(n (2 q + D (1 - D))); q is the ML estimate of P(loss) given D."""

    def inside(d: float) -> bool:
        linear, constant = -b - c + (2 * n - b + c) * d, -c * d * (1 - d)
        q = (math.sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
        return abs(b - c - n * d) <= z * math.sqrt(max(0.0, n * (2 * q + d * (1 - d))))

    centre = (b - c) / n
    return tuple(end if inside(end) else bisect(inside, end, centre) for end in (-1.0, 1.0))  # type: ignore[return-value]


def mcnemar(b: int, c: int) -> tuple[float, float]:
    """Two-sided mid-p and exact p; the wins among b + c discordant pairs are Binomial(b + c, 1/2)."""
    few, m = min(b, c), b + c
    tail = Fraction(sum(math.comb(m, i) for i in range(few + 1)), 2**m)
    point = Fraction(math.comb(m, few), 2**m)
    return float(2 * tail - point), float(min(Fraction(1), 2 * tail))


# -- two samples ------------------------------------------------------------------------------------------


def newcombe(new: tuple[float, Limits], base: tuple[float, Limits]) -> Limits:
    """The limits of the difference of two independent values, each given with its own limits (square and add)."""
    (a, (a_low, a_high)), (b, (b_low, b_high)) = new, base
    return a - b - math.hypot(a - a_low, b_high - b), a - b + math.hypot(a_high - a, b - b_low)


def welch(variances: tuple[float, float], dfs: tuple[float, float]) -> float:
    """Satterthwaite's degrees of freedom of a sum of two variances."""
    (v, w), (a, b) = variances, dfs
    return (v + w) ** 2 / (v * v / a + w * w / b)


def fisher_mid_p(hits: tuple[int, int], rows: tuple[int, int], alternative: str = "two-sided") -> float:
    """The mid-p of Fisher's conditional test: of all tables with these margins; two-sided twice the smaller side."""
    every, (n, m) = sum(hits), rows
    ways = {x: math.comb(n, x) * math.comb(m, every - x) for x in range(max(0, every - m), min(n, every) + 1)}
    half, total = Fraction(ways[hits[0]], 2), sum(ways.values())
    greater = (sum(w for x, w in ways.items() if x > hits[0]) + half) / total
    less = (sum(w for x, w in ways.items() if x < hits[0]) + half) / total
    return float({"greater": greater, "less": less, "two-sided": 2 * min(less, greater)}[alternative])


# -- sign flips -------------------------------------------------------------------------------------------


def sign_flip(x: Any, alternative: str = "two-sided", resolution: Any = 0.0) -> float:
    """The share of all sign patterns whose sum is at least as extreme; ``x`` are whole numbers up to rounding.

    Values of at most ``resolution`` count as 0. The numbers of patterns with each sum are the coefficients of
    prod (1 + X^abs(x_i)): that of X^k counts the patterns whose negative values add up to k. One large integer holds
    all coefficients, with m + 1 bits for each.
    """
    values = [round(v) for v in np.where(np.abs(x) <= resolution, 0.0, x).tolist()]
    values = [{"two-sided": v, "greater": v, "less": -v}[alternative] for v in values]
    sizes = [abs(v) for v in values if v]
    m, total, observed = len(sizes), sum(sizes), sum(values)
    ways = 1
    for size in sizes:
        ways += ways << size * (m + 1)
    count = [ways >> k * (m + 1) & (1 << m + 1) - 1 for k in range(total + 1)]
    far = abs(observed) if alternative == "two-sided" else observed
    upper = sum(c for k, c in enumerate(count) if total - 2 * k >= far)
    lower = sum(c for k, c in enumerate(count) if total - 2 * k <= -far) if alternative == "two-sided" else 0
    return float(min(Fraction(1), Fraction(upper + lower, 2**m)))


def sign_flip_smooth(x: Any, nodes: int = 250) -> float:
    """P(T >= S) for T = sum of +-x_i and S = abs(sum x_i), of many values without a common step.

    With K(z) = sum log cosh(x_i z), z = theta + it and any theta > 0: the integral over t > 0 of
    Re exp(K(z) - z S)/(pi z), by the midpoint rule with steps of 2 pi/P. Here theta is the value for a normal T (at
    least 3 divided by the standard deviation of T), and P is 40 standard deviations of T.
    """
    a, s = np.abs(np.asarray(x, np.float64)), abs(math.fsum(x))
    deviation = math.sqrt(math.fsum(a * a))
    theta, period = max(s / deviation, 3.0) / deviation, 40.0 * deviation
    log = math.fsum(np.logaddexp(theta * a, -theta * a) - math.log(2.0))
    terms = []
    for k in range(nodes):
        t = (k + 0.5) * 2 * math.pi / period
        phi = np.prod(np.cos(t * a) + 1j * np.tanh(theta * a) * np.sin(t * a))
        z = complex(theta, t)
        terms.append((phi * np.exp(-1j * t * s) / z).real * 2 / period)
    return math.exp(log - theta * s) * math.fsum(terms)


def adjusted(p: Any, method: str) -> Floats:
    """p-values adjusted for their number m, at most 1, where p_(1) <= p_(2) <= ...

    Holm: the running maximum of (m - i + 1) p_(i), from the smallest on. Hochberg: the running minimum of the same,
    from the largest on; Benjamini and Hochberg: that of m p_(i)/i; Benjamini and Yekutieli: that of the latter times
    1 + 1/2 + ... + 1/m.
    """
    p = np.asarray(p, np.float64)
    order, m, rank = np.argsort(p, kind="stable"), len(p), np.arange(1, len(p) + 1)
    c = math.fsum(1 / i for i in rank.tolist()) if method == "by" else 1.0
    steps = {"bonferroni": m * p[order], "bh": m / rank * p[order], "by": c * m / rank * p[order]}.get(
        method, p[order] * (m - rank + 1)
    )
    if method == "holm":
        steps = np.maximum.accumulate(steps)
    elif method != "bonferroni":
        steps = np.minimum.accumulate(steps[::-1])[::-1]
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(1.0, steps)
    return adjusted
