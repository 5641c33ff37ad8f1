"""How often the intervals of two samples of different rows hold the true difference, and how large their tests are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

import steelyard as sy

SIZES = ((10, 10), (10, 50), (30, 50), (100, 100))
P = np.linspace(0.02, 0.98, 33)
SETS = 4000
Draw = Callable[[np.random.Generator, int], np.ndarray]
GRADED: tuple[tuple[str, Draw, Draw, float], ...] = (
    ("normal, the same spread", lambda r, n: r.normal(size=n), lambda r, n: r.normal(size=n), 0.0),
    ("normal, three times the spread", lambda r, n: 3 * r.normal(size=n), lambda r, n: r.normal(size=n), 0.0),
    ("exponential", lambda r, n: r.exponential(size=n), lambda r, n: r.exponential(size=n), 0.0),
    ("tenths in [0, 1], many 1", lambda r, n: r.binomial(10, r.beta(8, 1, n)) / 10, lambda r, n: r.binomial(10, r.beta(4, 4, n)) / 10, 8 / 9 - 0.5),
)  # fmt: skip
CLUSTERED = (
    ("0/1, 12 and 20 clusters", 12, 20, 0.8, 0.6, True),
    ("0/1, 40 and 40 clusters", 40, 40, 0.7, 0.7, True),
    ("0/1, 12 and 20 clusters, shares .95 and .9", 12, 20, 0.95, 0.9, True),
    ("graded, 12 and 20 clusters", 12, 20, 0.8, 0.6, False),
    ("graded, 40 and 40 clusters", 40, 40, 0.7, 0.7, False),
)


def answers(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """The coverage of Newcombe's interval at every pair of shares, and the size of Fisher's mid-p at every share."""
    k, j = np.arange(n + 1), np.arange(m + 1)
    low, high, p = np.empty((3, n + 1, m + 1))
    for a in k:
        for b in j:
            made = sy.compare(np.arange(n) < a, baseline=np.arange(m) < b, paired=False)
            low[a, b], high[a, b], p[a, b] = made.difference.low, made.difference.high, made.p_value
    of_new, of_base = (stats.binom.pmf(np.arange(size + 1), size, P[:, None]) for size in (n, m))
    held = np.array(
        [
            [of_new[x] @ ((low <= d) & (d <= high)) @ of_base[y] for y in range(len(P)) for d in (P[x] - P[y],)]
            for x in range(len(P))
        ]
    )
    size = np.array([of_new[x] @ (p <= 0.05) @ of_base[x] for x in range(len(P))])
    return held, size


def graded(new: Draw, base: Draw, truth: float, n: int, m: int, trials: int, seed: int) -> float:
    rng = np.random.Generator(np.random.Philox(seed))
    made = (sy.compare(new(rng, n), baseline=base(rng, m), paired=False).difference for _ in range(trials))
    held = [e.low <= truth <= e.high for e in made if e.low is not None]  # type: ignore[operator]
    return float(np.mean(held))


def side(rng: np.random.Generator, clusters: int, share: float, *, binary: bool) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of 1 to 15 rows whose share of right answers varies about ``share`` (correlation .25)."""
    sizes = rng.integers(1, 16, clusters)
    ids = np.repeat(np.arange(clusters), sizes)
    own = rng.beta(3 * share, 3 * (1 - share), clusters)[ids]
    right = (rng.random(len(ids)) < own).astype(float)
    return (right if binary else 0.5 * right + 0.5 * rng.random(len(ids))), ids


def clustered(g: int, h: int, a: float, b: float, trials: int, seed: int, *, binary: bool) -> tuple[float, float]:
    """The coverage of the interval, and how often a true hypothesis of no difference is rejected where a = b."""
    rng = np.random.Generator(np.random.Philox(seed))
    truth = (a - b) * (1.0 if binary else 0.5)
    held, rejected = [], []
    for _ in range(trials):
        (new, new_ids), (base, base_ids) = side(rng, g, a, binary=binary), side(rng, h, b, binary=binary)
        made = sy.compare(new, baseline=base, paired=False, clusters={"new": new_ids, "baseline": base_ids})
        held.append(made.difference.low <= truth <= made.difference.high)  # type: ignore[operator]
        rejected.append(made.p_value <= 0.05)
    return float(np.mean(held)), float(np.mean(rejected))


def section(scale: float = 1.0) -> str:
    """The tables as Markdown."""
    trials = max(20, int(scale * SETS))
    sizes = SIZES if scale >= 1 else SIZES[:1]
    lines = [
        "## Two samples",
        "",
        "`compare(..., paired=False)`, 95 % intervals. 0/1 answers, exact by enumeration: coverage of Newcombe's interval "
        f"over {len(P)} x {len(P)} shares from {P[0]:g} to {P[-1]:g}, and the probability that Fisher's mid-p is at most "
        ".05 where both shares are equal: mean (and largest).",
        "",
        "| n | coverage, mean | smallest | p <= .05 |",
        "|---|---|---|---|",
    ]
    for n, m in sizes:
        held, size = answers(n, m)
        lines.append(f"| {n} and {m} | {held.mean():.3f} | {held.min():.3f} | {size.mean():.3f} ({size.max():.3f}) |")
    lines += [
        "",
        f"Graded scores, {SETS:,} sets each (standard error .0034 at .95): Welch's t.",
        "",
        "| scores | n = 10 and 10 | 10 and 50 | 100 and 100 |",
        "|---|---|---|---|",
    ]
    for place, (name, new, base, truth) in enumerate(GRADED):
        of = [graded(new, base, truth, n, m, trials, 100 * place + n + m) for n, m in ((10, 10), (10, 50), (100, 100))]
        lines.append(f"| {name} | {' | '.join(f'{share:.3f}' for share in of)} |")
    lines += [
        "",
        f"Clusters of 1 to 15 rows, shares that vary between clusters, {SETS:,} sets each: the interval (Newcombe's of "
        "two clustered Wilson intervals, or t), and how often p is at most .05 where the shares are equal.",
        "",
        "| scores | coverage | p <= .05 |",
        "|---|---|---|",
    ]
    for place, (name, g, h, a, b, binary) in enumerate(CLUSTERED):
        share, rejected = clustered(g, h, a, b, trials, 500 + place, binary=binary)
        lines.append(f"| {name} | {share:.3f} | {f'{rejected:.3f}' if a == b else '-'} |")
    return "\n".join(lines) + "\n"
