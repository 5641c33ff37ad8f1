"""How often intervals hold the mean of few clusters, of clusters of two kinds, and of clusters inside clusters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import steelyard as sy

SETS, RESAMPLED, RESAMPLES = 1000, 300, 499
Answers = Mapping[str, Callable[[np.ndarray, Any], sy.Estimate]]


def few(rng: np.random.Generator, count: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of log-normal size (median 6), half of whose variance is the cluster's; the mean of a row is 0."""
    sizes = np.maximum(1, np.round(6 * np.exp(spread * rng.normal(size=count)))).astype(np.int64)
    ids = np.repeat(np.arange(count), sizes)
    return rng.normal(size=count)[ids] + rng.normal(size=len(ids)), ids


def table(rng: np.random.Generator, side: int, main: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """``side`` items by as many judges, ``main`` the standard deviation of either beside noise of 1."""
    ids = {"item": np.repeat(np.arange(side), side), "judge": np.tile(np.arange(side), side)}
    effects = sum(main * rng.normal(size=side)[of] for of in ids.values())
    return effects + rng.normal(size=side * side), ids


def levels(rng: np.random.Generator, count: int, outer: float) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """``count`` clusters of four clusters of three rows; standard deviations ``outer``, 1 and 1."""
    a, b = np.repeat(np.arange(count), 12), np.repeat(np.arange(4 * count), 3)
    return outer * rng.normal(size=count)[a] + rng.normal(size=4 * count)[b] + rng.normal(size=12 * count), (a, b)


def resampled(x: np.ndarray, ids: Any, method: str) -> sy.Estimate:
    return sy.bootstrap(x, clusters=ids, method=method, n_resamples=RESAMPLES)  # type: ignore[arg-type]


FEW: Answers = {
    "t (CR2)": lambda x, ids: sy.estimate(x, clusters=ids),
    "cr3": lambda x, ids: sy.estimate(x, clusters=ids, method="cr3"),
    "wild": lambda x, ids: sy.estimate(x, clusters=ids, method="wild"),
}
TABLE: Answers = {
    "estimate": lambda x, ids: sy.estimate(x, clusters=ids),
    "estimate, items alone": lambda x, ids: sy.estimate(x, clusters=ids["item"]),
    "pigeonhole, percentile": lambda x, ids: resampled(x, ids, "percentile"),
    "pigeonhole, bca": lambda x, ids: resampled(x, ids, "bca"),
}
LEVELS: Answers = {
    "estimate": lambda x, ids: sy.estimate(x, clusters=ids),
    "bootstrap, outer ids alone": lambda x, ids: resampled(x, ids[0], "percentile"),
    "bootstrap, nested": lambda x, ids: resampled(x, ids, "percentile"),
}


def held(draw: Callable[..., Any], design: tuple[Any, ...], answer: Any, trials: int, seed: int) -> str:
    """The share of intervals that hold 0, and their mean width."""
    rng = np.random.Generator(np.random.Philox(seed))
    inside, widths = 0, []
    for _ in range(trials):
        x, ids = draw(rng, *design)
        one = answer(x, ids)
        inside += one.low <= 0.0 <= one.high
        widths.append(one.high - one.low)
    return f"{inside / trials:.3f} ({np.mean(widths):.2f})"


def _lines(answers: Answers, draw: Any, designs: Mapping[str, tuple[Any, ...]], sets: Mapping[str, int]) -> list[str]:
    lines = [f"| | {' | '.join(designs)} |", f"|---|{'---|' * len(designs)}"]
    for name, answer in answers.items():
        cells = []
        for seed, design in enumerate(designs.values()):
            many = name == "wild" and design[0] > 20
            cells.append("" if many else held(draw, design, answer, sets.get(name, sets[""]), seed))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def section(scale: float = 1.0) -> str:
    """The tables as Markdown."""
    closed, drawn = max(20, int(scale * SETS)), max(20, int(scale * RESAMPLED))
    clusters = {f"G = {g}, sizes {name}": (g, spread) for name, spread in (("alike", 0.3), ("apart", 1.0)) for g in (5, 10, 20, 50)}  # fmt: skip
    tables = {f"{n} x {n}, {name}": (n, main) for n in (10, 20) for name, main in (("noise alone", 0.0), ("items and judges", 0.7))}  # fmt: skip
    nested = {f"{n} outer, {name}": (n, outer) for n in (10, 30) for name, outer in (("sd 0", 0.0), ("sd 1", 1.0))}
    sets = {"": closed, "pigeonhole, percentile": drawn, "pigeonhole, bca": drawn}
    return "\n".join([
        "## Kinds of clusters",
        "",
        f"95 % intervals of a mean over {SETS:,} sets per design (standard error 0.007 at .95), those by resampling over "
        f"{RESAMPLED} sets (0.013) with {RESAMPLES} resamples, and in brackets their mean width. Few clusters: G clusters "
        "of log-normal size (standard deviation .3 or 1 of its logarithm), half of whose variance is the cluster's; "
        "`method=` of `estimate`.",
        "",
        *_lines(FEW, few, clusters, sets),
        "",
        "Crossed: items by judges, one row for each pair, whose standard deviations are 0 or .7 beside noise of 1. "
        "`items alone` is what ignoring the judges gives.",
        "",
        *_lines(TABLE, table, tables, sets),
        "",
        "Nested: clusters of four clusters of three rows, the standard deviation of the outer ones 0 or 1 and that of the "
        "inner ones and of the rows 1.",
        "",
        *_lines(LEVELS, levels, nested, {"": closed, "bootstrap, outer ids alone": drawn, "bootstrap, nested": drawn}),
    ]) + "\n"  # fmt: skip
