"""Scores without spread: the rule for them, by exact enumeration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import steelyard as sy

from .proportion import P, binomial

SIZES = (2, 3, 5, 10, 20, 50, 100, 200)
# Nearly all values are the first one; a share p of them, unseen in many sets, is the second.
SCORES = ((0.5, 0.0), (0.5, 1.0), (0.9, 0.0), (0.9, 1.0), (0.1, 0.3))
DIFFERENCES = ((0.0, -1.0), (0.0, 0.1), (-0.1, 0.9), (0.05, -0.95))
CLUSTERS = ((0.2, 0.0), (0.2, 1.0), (0.2, 0.5))

Make = Callable[[int, int, float, float], sy.Estimate]


def scores(n: int, k: int, usual: float, other: float) -> sy.Estimate:
    return sy.estimate(np.repeat([usual, other], [n - k, k]), method="t")


def differences(n: int, k: int, usual: float, other: float) -> sy.Estimate:
    """Scores in [0, 1] whose differences are these, but for rounding."""
    d = np.repeat([usual, other], [n - k, k])
    base = np.where(d > 0, np.where(d > 0.5, 0.0, 0.3), np.where(d < -0.5, 1.0, 0.7))
    return sy.compare(base + d, baseline=base).difference


def clusters(n: int, k: int, usual: float, other: float) -> sy.Estimate:
    """Clusters of three rows each with the mean ``usual`` (not in every digit), or ``other`` three times."""
    several = usual + 0.1 * np.array([[-1, 0, 1], [1, 0, -1], [0, 0, 0]])
    rows = np.where(np.arange(n)[:, None] < n - k, several[np.arange(n) % 3], other)
    return sy.estimate(rows.ravel(), clusters=np.repeat(np.arange(n), 3))


def coverage(make: Make, n: int, usual: float, other: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every p: the chance of no spread, of an interval that holds the mean, and of both."""
    made = [make(n, k, usual, other) for k in range(n + 1)]
    low, high = (np.array([getattr(e, side) for e in made], float) for side in ("low", "high"))
    mean = (1 - P) * usual + P * other
    held = (low <= mean[:, None]) & (mean[:, None] <= high)
    chance = binomial(n)
    still = np.isin(np.arange(n + 1), (0, n))
    return (chance * still).sum(1), (chance * held).sum(1), (chance * held * still).sum(1)


def row(title: str, make: Make, n: int, pairs: tuple[tuple[float, float], ...]) -> str:
    found = [coverage(make, n, *pair) for pair in pairs]
    still, held, both = (np.concatenate(part) for part in zip(*found, strict=True))
    points = held - both  # what is held where an interval without spread is a point: it never holds
    cells = [f"{still.mean():.3f}", f"{both.sum() / still.sum():.3f}", f"{(still - both).max():.3f}"]
    cells += [f"{c.mean():.3f} ({c.min():.3f})" for c in (held, points)]
    return f"| {title} | {n} | {' | '.join(cells)} |"


def section(scale: float = 1.0) -> str:
    sizes = SIZES if scale >= 1 else SIZES[:4]  # nothing is drawn
    kinds: tuple[tuple[str, Make, tuple[tuple[float, float], ...]], ...] = (
        ("scores", scores, SCORES), ("differences", differences, DIFFERENCES), ("clusters", clusters, CLUSTERS)
    )  # fmt: skip
    said = (
        "Exact, by enumeration, 95 % intervals: n values (or clusters) of which each is one number with probability "
        "1 - p and another with probability p, over 397 equally spaced p, .005 to .995. Pairs of numbers: "
        + "; ".join(f"{title} {', '.join(f'{a:g} or {b:g}' for a, b in pairs)}" for title, _, pairs in kinds)
        + ". A set without spread shows one of the two alone. Held, given no spread: the share of such sets whose "
        "interval holds the mean. Missed without spread: the chance that a set shows no spread and its interval "
        "misses, at the worst p. Held, all sets: mean (and smallest) coverage, in which the Student's t intervals of "
        "the sets with spread have their part. With width 0: the same if a set without spread had an interval of width "
        "0, which never holds the mean."
    )
    titles = "without spread", "held, given no spread", "missed without spread", "held, all sets", "with width 0"
    head = [f"| | n | {' | '.join(titles)} |", "|---" * 7 + "|"]
    rows = [row(title, make, n, pairs) for title, make, pairs in kinds for n in sizes]
    return "\n".join(["## Values without spread", "", said, "", *head, *rows])
