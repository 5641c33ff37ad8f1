"""The designs of resampling: how often each unit counts in a replicate, and the bootstrap that follows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from . import random
from . import sums as statistics
from .bootstrap import summary

__all__ = [
    "balanced", "bandwidth", "bayesian", "block_length", "crossed", "in_blocks", "in_levels", "in_strata", "of_design",
    "poisson", "smoothed", "subsample", "subsample_in_strata",
]  # fmt: skip

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def in_strata(strata: Codes, seed: int, replicate: int) -> Codes:
    """The counts of units of which each stratum is resampled within itself."""
    counts = np.zeros(len(strata), np.int64)
    for stratum in range(int(strata.max()) + 1):
        members = np.flatnonzero(strata == stratum)
        counts[members] = random.counts(len(members), seed, replicate, stratum)
    return counts


def crossed(a: Codes, b: Codes, seed: int, replicate: int) -> Codes:
    """The counts of cells whose clusters of either kind are drawn by themselves (the pigeonhole bootstrap)."""
    of_a, of_b = (random.counts(int(x.max()) + 1, seed, replicate, kind) for kind, x in enumerate((a, b)))
    return of_a[a] * of_b[b]


def in_levels(parents: list[Codes], outermost: Codes, seed: int, replicate: int) -> Codes:
    """The counts of the innermost clusters, from those of the ``outermost`` ones.

    ``parents`` has for each level inside the cluster around each one; one that counts c times and holds m draws c m
    times among these.
    """
    numbers, counts = random.numbers(random.At(seed, random.BOOTSTRAP, replicate=replicate)), outermost
    for around in parents:
        inner = np.zeros(len(around), np.int64)
        for cluster, times in enumerate(counts.tolist()):
            inside = np.flatnonzero(around == cluster)
            if len(inside) == 1:
                inner[inside] = times
                continue
            for _ in range(times * len(inside)):
                inner[inside[random.below(numbers, len(inside))]] += 1
        counts = inner
    return counts


def in_blocks(kind: str, length: float, n: int, seed: int, replicate: int) -> Codes:
    """The counts of n rows that are drawn in blocks: starts are uniform, and the last block is cut off at n draws."""
    numbers = random.numbers(random.At(seed, random.BOOTSTRAP, replicate=replicate))
    powers, whole = _powers(length), min(int(length), n)
    drawn: list[int] = []
    while len(drawn) < n:
        start = random.below(numbers, n - whole + 1 if kind == "moving" else n)
        block = _geometric(powers, numbers, n) if kind == "stationary" else whole
        drawn.extend((start + i) % n for i in range(min(block, n - len(drawn))))
    return np.bincount(drawn, minlength=n)


def _powers(mean: float) -> list[int]:
    """The powers q, q^2, ..., q^255 of q = 1 - 1/mean in units of 2^-64, each from the one before it, rounded down."""
    on = min(2**64 - int(2.0**64 / mean), 2**64 - 1)
    return list(itertools.accumulate([on] * 255, lambda power, on: power * on >> 64))


def _geometric(powers: list[int], numbers: Iterator[int], most: int) -> int:
    """A length that is above j with the probability q^j: as many powers as a number is below, and 1; or ``most``."""
    length = 1
    while length < most:
        number = next(numbers)
        below = sum(number < power for power in powers)
        length += below
        if below < len(powers):
            break
    return min(length, most)


def poisson(n: int, seed: int, replicate: int, stratum: int = 0) -> Codes:
    """Independent counts of n rows, Poisson with mean 1, one word each: drawn again where all are 0."""
    chance = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)])
    bounds = np.rint(chance * 2.0**32).astype(np.uint64)
    for turn in itertools.count():
        at = random.At(seed, random.BOOTSTRAP, stratum, replicate, place=turn)
        counts = np.searchsorted(bounds, random.words(at, n), side="right")
        if counts.any():
            return counts
    raise AssertionError


def bayesian(n: int, seed: int, replicate: int, stratum: int = 0) -> Floats:
    """Independent exponential weights of n rows, rounded up to whole multiples of 2^-27."""
    words = random.words(random.At(seed, random.BOOTSTRAP, stratum, replicate), n).astype(np.float64)
    return (np.floor(-np.log((words + 0.5) / 2.0**32) * 2.0**27) + 1) / 2.0**27


def bandwidth(x: Floats) -> float:
    """The standard deviation of the noise of a smoothed bootstrap, by Silverman's rule."""
    s, iqr = float(x.std(ddof=1)), float(np.subtract(*np.percentile(x, [75, 25])))
    spread: float = min(s, iqr / 1.34) if iqr > 0 else s
    return 0.9 * spread * math.exp(-0.2 * math.log(len(x)))


def smoothed(x: Floats, h: float, seed: int, replicate: int) -> Floats:
    """A smoothed resample: the rows in their order, as often as they count, each with a normal deviate times h."""
    numbers = random.numbers(random.At(seed, random.SMOOTHING, replicate=replicate))
    deviates = [NormalDist().inv_cdf(((next(numbers) >> 11) + 0.5) / 2.0**53) for _ in x]
    return np.repeat(x, random.counts(len(x), seed, replicate)) + h * np.array(deviates)


def subsample(m: int, n: int, seed: int, replicate: int, stratum: int = 0) -> Codes:
    """The counts of n rows in m draws."""
    numbers = random.numbers(random.At(seed, random.BOOTSTRAP, stratum, replicate))
    return np.bincount([random.below(numbers, n) for _ in range(m)], minlength=n)


def subsample_in_strata(draws: list[int], strata: Codes, seed: int, replicate: int) -> tuple[Floats, float]:
    """The weights of the rows where each stratum has its number of draws, and the factor of the deviations."""
    weights, of = np.zeros(len(strata)), np.array(draws) / np.bincount(strata)
    for h, m in enumerate(draws):
        members = np.flatnonzero(strata == h)
        drawn = subsample(m, len(members), seed, replicate, h) / of[h]
        weights[members] = 1 + math.sqrt(of[h] / of.max()) * (drawn - 1)
    return weights, math.sqrt(of.max())


GROUP = 1024


def balanced(n: int, total: int, seed: int, stratum: int = 0) -> Codes:
    """The counts of n rows in each of ``total`` replicates [total, n], where each row counts ``total`` times over all.

    Replicates are balanced in groups of 1,024, of which the last one takes the remainder too. The copies of a group's
    rows are halved until one replicate is left: by one fair bit each, then moved one by one, any of them alike.
    """
    found = []
    starts = [GROUP * i for i in range(max(1, total // GROUP))]
    for first, end in zip(starts, [*starts[1:], total], strict=True):
        at = random.At(seed, random.BOOTSTRAP, stratum, first)

        def deal(counts: Codes, size: int, node: int, at: random.At = at) -> list[Codes]:
            if size == 1:
                return [counts]
            left = _coins(counts, at._replace(place=2 * node))
            numbers, want = random.numbers(at._replace(place=2 * node + 1)), len(counts) * (size // 2)
            over = int(left.sum()) > want
            most = int((left if over else counts - left).max())
            while left.sum() != want:
                row, place = divmod(random.below(numbers, len(counts) * most), most)
                here = left if over else counts - left
                if place < here[row]:
                    left[row] += -1 if over else 1
            return deal(left, size // 2, 2 * node) + deal(counts - left, size - size // 2, 2 * node + 1)

        found += deal(np.full(n, end - first, np.int64), end - first, 1)
    return np.array(found)


def _coins(counts: Codes, at: random.At) -> Codes:
    """How many of each row's copies a fair bit sends to the left: row i reads word i mod 64 of its batches."""
    batches, rows = -(-int(counts.max()) // 32), -(-len(counts) // 64)
    words = random.words(at, rows * batches * 64).reshape(rows, batches, 64)
    words = words.transpose(0, 2, 1).reshape(rows * 64, batches)[: len(counts)]
    take = np.clip(counts[:, None] - 32 * np.arange(batches), 0, 32).astype(np.uint64)
    ones: Codes = np.bitwise_count(words & ((np.uint64(1) << take) - np.uint64(1))).sum(axis=1).astype(np.int64)
    return ones


def block_length(series: Floats, kind: str) -> float:
    """The length of Politis and White 2004, with the correction of Patton, Politis and White 2009."""
    n, d = len(series), series - series.mean()
    few = max(5, math.ceil(math.sqrt(math.log10(n))))
    most = min(math.ceil(math.sqrt(n)) + few, n - 1)
    r = np.array([d[: n - k] @ d[k:] for k in range(most + 1)]) / n
    if r[0] <= 0:
        return 1.0
    small = abs(r) < 2 * math.sqrt(math.log10(n) / n) * r[0]
    first = [m for m in range(most - few + 1) if small[m + 1 : m + few + 1].all()]
    lags = min(2 * max(first[0], 1), most) if first else most
    k = np.arange(1, lags + 1)
    weight = np.where(2 * k <= lags, 1.0, 2 * (1 - k / lags))
    bend, level = (2 * weight * k * r[k]).sum(), r[0] + (2 * weight * r[k]).sum()
    length = (2 * (bend / level) ** 2 * n / (2 if kind == "stationary" else 4 / 3)) ** (1 / 3)
    length = min(length, math.ceil(min(3 * math.sqrt(n), n / 3)))
    return float(max(1.0, length if kind == "stationary" else math.floor(length + 0.5)))


def of_design(
    statistic: str,
    columns: list[Floats],
    counts: list[Codes],
    *,
    clusters: Codes | None = None,
    weights: Floats | None = None,
    strata: Codes | None = None,
    outermost: Codes | None = None,
    kinds: tuple[Codes, Codes] | None = None,
    macro: bool = False,
    method: str,
    confidence_level: float,
) -> dict[str, float | Floats]:
    """The bootstrap of a statistic of sums from the ``counts`` of its units in each replicate.

    Units are rows or ``clusters``, each inside one of the ``outermost`` clusters where clusters nest, and ``strata``
    those of the units (or outermost clusters); ``kinds`` are the clusters of cells that cross. The acceleration is that
    of the influences of what is drawn, less the mean of their stratum or kind; ``macro`` is the mean of the statistics
    of the strata.
    """
    n = len(columns[0])
    clusters = np.arange(n) if clusters is None else clusters
    weights = np.ones(n) if weights is None else weights
    count = int(clusters.max()) + 1
    outermost = np.arange(count) if outermost is None else outermost
    strata = np.zeros(int(outermost.max()) + 1, np.int64) if strata is None else strata
    drawn = outermost[clusters]
    of, of_rows, total = statistics.definition(statistic), strata[drawn], int(strata.max()) + 1
    parts = [of_rows == h for h in range(total)] if macro else [np.ones(n, np.bool_)]

    def value(units: Codes) -> float:
        each = weights * units[clusters]
        return math.fsum(float(of(*(x[part] for x in columns), each[part])) for part in parts) / len(parts)

    pull = np.zeros(len(strata))
    for part in parts:
        rows = statistics.influences(statistic, *(x[part] for x in columns), w=weights[part]) * weights[part]
        pull += np.bincount(drawn[part], rows, minlength=len(strata))
    if kinds is not None:
        each = [np.bincount(of_cells, pull) for of_cells in kinds]
        pull, few = np.concatenate([by - by.mean() for by in each]), min(map(len, each))
    else:
        few = max(len(strata) // total, 2)
        for h in range(total):
            pull[strata == h] -= pull[strata == h].mean()
    squares = math.fsum(pull**2)
    accelerate = math.fsum(pull**3) / (6 * squares * math.sqrt(squares)) if method == "bca" else 0.0
    center = value(np.ones(count, np.int64))
    found = np.array([value(of_units) for of_units in counts])
    tie = 1e-12 * max(1.0, abs(center))
    return summary(center, found, method, confidence_level, accelerate=accelerate, tie=tie, units=few)
