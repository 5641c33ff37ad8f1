"""How often the intervals of a ratio of sums contain the true ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import steelyard as sy

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
SETS = 4000
SIZES = (10, 50, 500)
CLUSTERS, ROWS = 20, 8


def revenue(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-normal denominators, and numerators twice as large with noise of 50 %; the true ratio is 2."""
    y = np.exp(rng.normal(0.0, 0.5, n))
    return 2.0 * y * (1.0 + 0.5 * rng.normal(size=n)), y


def clicks(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Binomial numerators of one view plus a Poisson number of views, at rates that vary about .2."""
    y = 1 + rng.poisson(4.0, n)
    return rng.binomial(y, rng.beta(4.0, 16.0, n)).astype(np.float64), y.astype(np.float64)


def domain(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean, 1, of normal values in the third of the rows where y is 1; elsewhere both columns are 0."""
    y = (rng.random(n) < 1 / 3).astype(np.float64)
    y[:2] = 1.0
    return y * rng.normal(1.0, 1.0, n), y


def signs(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal denominators of mean 1 and standard deviation 1, of which 16 % are below 0; the true ratio is 1."""
    y = rng.normal(1.0, 1.0, n)
    return y + rng.normal(0.0, 0.5, n), y


DESIGNS: tuple[tuple[str, Draw, float], ...] = (
    ("revenue per visit", revenue, 2.0),
    ("clicks per view", clicks, 0.2),
    ("mean of a part", domain, 1.0),
    ("both signs", signs, 1.0),
)


def clustered(draw: Draw, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clustered rows: each value is half the row's own and half its cluster's."""
    sizes = rng.integers(1, 2 * ROWS, CLUSTERS)
    ids = np.repeat(np.arange(CLUSTERS), sizes)
    x, y = draw(rng, len(ids))
    shared_x, shared_y = draw(rng, CLUSTERS)
    return x + shared_x[ids], y + shared_y[ids], ids


def sets(
    draw: Draw, n: int, trials: int, seed: int
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray | None]]:
    """Pairs of columns and their clusters: n rows, or for n = 0 ``CLUSTERS`` clusters."""
    rng = np.random.Generator(np.random.Philox(seed))
    for _ in range(trials):
        if n:
            yield draw(rng, n), None
        else:
            *columns, ids = clustered(draw, rng)
            yield (columns[0], columns[1]), ids


def held(draw: Draw, truth: float, n: int, trials: int, seed: int) -> tuple[float, float]:
    """The share of intervals that contain the true value, and the share of sets that have an interval."""
    found = [sy.estimate(columns, "ratio", clusters=ids) for columns, ids in sets(draw, n, trials, seed)]
    limits = [e for e in found if e.low is not None]
    return float(np.mean([e.low <= truth <= e.high for e in limits])), len(limits) / trials  # type: ignore[operator]


def section(scale: float = 1.0) -> str:
    """The table as Markdown."""
    trials = max(20, int(scale * SETS))
    lines = [
        "## Ratios of sums",
        "",
        f'95 % intervals of `estimate((x, y), "ratio")` over {SETS:,} sets per design (standard error 0.0034 at .95): n '
        f"independent rows, or {CLUSTERS} clusters of 1 to {2 * ROWS - 1} rows that share half of x and y. `both signs`: "
        "a set whose interval of sum y holds 0 has no limits; `of` gives the share of the sets that have them. Seeds: ten "
        "times n, and the place of the row.",
        "",
        f"| ratio | {' | '.join(f'n = {n}' for n in SIZES)} | {CLUSTERS} clusters |",
        "|---|" + "---|" * (len(SIZES) + 1),
    ]
    for place, (name, draw, truth) in enumerate(DESIGNS):
        cells = []
        for n in (*SIZES, 0):
            share, known = held(draw, truth, n, trials, 10 * n + place)
            some = "" if known == 1.0 else f" of {known:.3f}"
            cells.append(f"{share:.3f}{some}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
