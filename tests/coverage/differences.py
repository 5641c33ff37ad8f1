"""How often the named intervals of two models' 0/1 answers hold the true difference, and how large their tests are."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import stats

from steelyard import _core
from steelyard._registries import names, titles

SAMPLES = ((10, 10), (10, 30), (30, 50))
PAIRS = (10, 20, 40)
P = np.linspace(0.02, 0.98, 25)
SHARES = np.linspace(0.05, 0.95, 19)
TWO_SIDED = {"booleans": (True, True), "confidence_levels": [0.95], "alternative": "two-sided"}
Floats = np.ndarray


def answers(k: int, n: int) -> Floats:
    return (np.arange(n) < k).astype(np.float32)


def of_samples(method: str, n: int, m: int) -> Floats:
    """The coverage at every pair of shares: the probability of the tables whose interval holds their difference."""
    low, high = np.empty((2, n + 1, m + 1))
    for k, j in np.ndindex(n + 1, m + 1):
        found = _core.unpaired_comparison(new=answers(k, n), base=answers(j, m), method=method, **TWO_SIDED)
        low[k, j], high[k, j] = (found["levels"][0][end] for end in ("low", "high"))
    of_new, of_base = (stats.binom.pmf(np.arange(size + 1), size, P[:, None]) for size in (n, m))
    pairs = product(range(len(P)), repeat=2)
    held = [of_new[x] @ ((low <= P[x] - P[y]) & (P[x] - P[y] <= high)) @ of_base[y] for x, y in pairs]
    return np.array(held)


def size_of_samples(test: str, n: int) -> Floats:
    """The probability of p <= .05 for two samples of n, at every share that both have."""
    p = np.empty((n + 1, n + 1))
    for k, j in np.ndindex(n + 1, n + 1):
        p[k, j] = _core.unpaired_comparison(new=answers(k, n), base=answers(j, n), test=test, **TWO_SIDED)["p"]
    chance = stats.binom.pmf(np.arange(n + 1), n, SHARES[:, None])
    return np.array([of @ (p <= 0.05) @ of for of in chance])


def tables(n: int) -> Floats:
    """Every table of n pairs: both right, wins, losses, neither."""
    found = [(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)]
    return np.array(found)


def _compared(table: Floats, **named: str) -> _core._Comparison:
    new, base = np.repeat(np.float32((1, 1, 0, 0)), table), np.repeat(np.float32((1, 0, 1, 0)), table)
    return _core.paired_comparison(new=new, base=base, **named, **TWO_SIDED)  # type: ignore[return-value]


def of_pairs(method: str, n: int) -> Floats:
    """The coverage at shares of new and base and correlations (0, .3, .6) for which all four cells are possible."""
    every = tables(n)
    found = [_compared(table, method=method)["levels"][0] for table in every]
    low, high = (np.array([of[end] for of in found]) for end in ("low", "high"))
    ways = np.array([stats.multinomial.logpmf(table, n, [0.25] * 4) for table in every]) + n * np.log(4)
    held = []
    for p, q, phi in product(SHARES[::2], SHARES[::2], (0.0, 0.3, 0.6)):
        both = p * q + phi * np.sqrt(p * (1 - p) * q * (1 - q))
        cells = np.array([both, p - both, q - both, 1 - p - q + both])
        if (cells > 0.001).all():
            chance = np.exp(ways + every @ np.log(cells))
            held.append(chance @ ((low <= p - q) & (p - q <= high)))
    return np.array(held)


def size_of_pairs(test: str, n: int) -> Floats:
    """The probability of p <= .05 at every share of discordant pairs, each a win or a loss with equal chance."""
    rejected = []
    for m in range(n + 1):
        p = [_compared(np.array([0, b, m - b, n - m]), test=test)["p"] for b in range(m + 1)]
        rejected.append(stats.binom.pmf(np.arange(m + 1), m, 0.5) @ (np.array(p) <= 0.05))
    return stats.binom.pmf(np.arange(n + 1), n, SHARES[:, None]) @ np.array(rejected)


def _row(name: str, columns: list[Floats], worst: str) -> str:
    return f"| {name} | {' | '.join(f'{of.mean():.3f} ({getattr(of, worst)():.3f})' for of in columns)} |"


def section(scale: float = 1.0) -> str:
    """The tables as Markdown; with little scale those of few rows alone."""
    few = scale < 1
    samples, pairs = (SAMPLES[:1], PAIRS[:1]) if few else (SAMPLES, PAIRS)
    sizes = [f"{n} and {m}" for n, m in SAMPLES]
    lines = [
        "## Differences of two shares, by name",
        "",
        "`compare(..., method=)` of 0/1 answers, 95 % intervals, exact by enumeration: mean (and smallest) coverage. Two "
        f"samples: {len(P)} x {len(P)} shares from {P[0]:g} to {P[-1]:g}.",
        "",
        f"| two samples | {' | '.join(sizes)} |",
        f"|---|{'---|' * len(sizes)}",
    ]
    lines += [
        _row(titles("unpaired.method")[method], [of_samples(method, n, m) for n, m in samples], "min")
        for method in names("unpaired.method")
    ]
    lines += [
        "",
        "Pairs: shares from .05 to .95 of either model, correlations of 0, .3 and .6 of their answers.",
        "",
        f"| pairs | {' | '.join(f'n = {n}' for n in PAIRS)} |",
        f"|---|{'---|' * len(PAIRS)}",
    ]
    lines += [
        _row(titles("paired.method")[method], [of_pairs(method, n) for n in pairs], "min")
        for method in names("paired.method")
    ]
    lines += [
        "",
        "`compare(..., test=)`: the probability of p <= .05 where the shares are equal, over shares (of right answers, or "
        "of discordant pairs) from .05 to .95: mean (and largest).",
        "",
        f"| test | {' | '.join(f'two samples of {n} | {n} pairs' for n in PAIRS)} |",
        f"|---|{'---|' * (2 * len(PAIRS))}",
    ]
    lines += [
        _row(title, [size(test, n) for n in pairs for size in (size_of_samples, size_of_pairs)], "max")
        for test, title in titles("answers.test").items()
    ]
    return "\n".join(lines) + "\n"
