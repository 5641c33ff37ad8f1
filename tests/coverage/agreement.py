"""How often intervals of Krippendorff's alpha contain the true value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import steelyard as sy

SETS = 1000
SIZES = (10, 20, 50, 200)
POPULATION = 200_000
Draw = Callable[[np.random.Generator, int], np.ndarray]


def copied(raters: int, share: float, *chances: float) -> Draw:
    """A value for each unit, which a rater finds with this probability; else one at random."""

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        truth, other = (rng.choice(len(chances), size=size, p=chances) for size in ((n, 1), (n, raters)))
        return np.where(rng.random((n, raters)) < share, truth, other).astype(np.float64)

    return draw


def steps(rng: np.random.Generator, n: int) -> np.ndarray:
    """Ratings from 0 to 4 by three raters, a fifth of them missing."""
    found = np.digitize(rng.normal(size=(n, 1)) + 0.6 * rng.normal(size=(n, 3)), [-1.2, -0.4, 0.4, 1.2])
    return np.where(rng.random((n, 3)) < 0.2, np.nan, found)


def numbers(rng: np.random.Generator, n: int) -> np.ndarray:
    """Normal ratings by three raters, half of whose variance is the unit's."""
    return rng.normal(size=(n, 1)) + rng.normal(size=(n, 3))


DESIGNS: tuple[tuple[str, str, Draw], ...] = (
    ("four values, three raters", "nominal", copied(3, 0.8, 0.5, 0.3, 0.15, 0.05)),
    ("0/1, two raters, 95 % found", "nominal", copied(2, 0.95, 0.7, 0.3)),
    ("0 to 4, three raters, gaps", "ordinal", steps),
    ("normal, three raters", "interval", numbers),
)


def held(draw: Draw, metric: str, truth: float, n: int, trials: int) -> tuple[float, float, float]:
    """The share of intervals that contain the true alpha, their mean width, and the share of sets with an alpha."""
    rng = np.random.Generator(np.random.Philox(n))
    inside = width = having = 0.0
    for _ in range(trials):
        ratings = draw(rng, n)
        if len(np.unique(ratings[~np.isnan(ratings)])) < 2:
            continue  # alpha is undefined where all ratings are equal
        found = sy.uncertainty.krippendorff_alpha(ratings, metric=metric)  # type: ignore[arg-type]
        assert found.low is not None
        assert found.high is not None
        having += 1
        inside += float(found.low) <= truth <= float(found.high)
        width += float(found.high) - float(found.low)
    return inside / max(having, 1), width / max(having, 1), having / trials


def section(scale: float = 1.0) -> str:
    trials, population = max(1, int(SETS * scale)), max(1000, int(POPULATION * scale))
    head = [f"n = {n}" for n in SIZES]
    lines = [
        "## Krippendorff's alpha",
        "",
        f"95 % intervals over {trials:,} sets per design (standard error {np.sqrt(0.95 * 0.05 / trials):.3f} at .95), and in "
        "brackets their mean width; the true alpha is that of 200,000 units. `of`: the share of the sets whose ratings "
        "are not all equal. Seeds: n.",
        "",
        f"| ratings | metric | {' | '.join(head)} |",
        f"|---|---|{'---|' * len(head)}",
    ]
    for name, metric, draw in DESIGNS:
        ratings = draw(np.random.Generator(np.random.Philox(0)), population)
        truth = float(sy.uncertainty.krippendorff_alpha(ratings, metric=metric).value)  # type: ignore[arg-type]
        found = [held(draw, metric, truth, n, trials) for n in SIZES]
        cells = [
            f"{inside:.3f}{'' if having == 1 else f' of {having:.3f}'} ({width:.2f})" for inside, width, having in found
        ]
        lines.append(f"| {name} | {metric} | {' | '.join(cells)} |")
    return "\n".join(lines)
