"""How often the intervals of each way to draw resamples contain the truth."""

from __future__ import annotations

from typing import Any

import numpy as np

import steelyard as sy

from .bootstrap_methods import DESIGNS, RESAMPLES, Draw, counted

SETS = 500
SIZES = (20, 50)
# Each with its default method (None), or with the one that is named.
WAYS: tuple[tuple[str, Any, Any], ...] = (
    ("multinomial", "multinomial", "bca"),
    ("multinomial", "multinomial", "percentile"),
    ("balanced", "balanced", None),
    ("poisson", "poisson", None),
    ("bayesian", "bayesian", None),
    ("smoothed", "smoothed", None),
    ("subsample(n/2)", "subsample", None),
    ("subsample(n/2)", "subsample", "percentile"),
)


def cell(sampling: str, method: Any, draw: Draw, truth: float, n: int, trials: int) -> str:
    """What ``counted`` says of a way to draw; m is half of the rows (or clusters)."""
    drawn: Any = sy.uncertainty.subsample(n // 2) if sampling == "subsample" else sampling

    def interval(x: np.ndarray, ids: np.ndarray | None, seed: int) -> sy.Estimate:
        return sy.bootstrap(x, clusters=ids, sampling=drawn, method=method, n_resamples=RESAMPLES, seed=seed)

    return counted(interval, draw, truth, n, trials)


def section(scale: float = 1.0) -> str:
    """The table as Markdown."""
    trials = max(20, int(scale * SETS))
    lines = [
        "## Ways to draw resamples",
        "",
        f"95 % intervals of the mean by `bootstrap(x, sampling=, method=, n_resamples={RESAMPLES})` over {SETS:,} sets per "
        "design, the same for every row (standard error 0.010 at .95), and in brackets their mean width. `clusters`: n "
        "clusters of 1 to 8 rows, half of whose variance is the cluster's. `of` gives the share of the sets that have "
        "limits: not those whose limit lies beyond the replicates. Seeds: n.",
        "",
        f"| values | sampling | method | {' | '.join(f'n = {n}' for n in SIZES)} |",
        "|---|---|---|" + "---|" * len(SIZES),
    ]
    for name, draw, truth in DESIGNS:
        if name not in ("normal", "exponential", "clusters"):
            continue
        for title, sampling, method in WAYS:
            if sampling == "smoothed" and name == "clusters":
                continue  # noise is added to rows that are drawn one by one
            cells = " | ".join(cell(sampling, method, draw, truth, n, trials) for n in SIZES)
            shown = method or {"bayesian": "percentile", "smoothed": "percentile", "subsample": "basic"}.get(
                sampling, "bca"
            )
            lines.append(f"| {name} | {title} | {shown} | {cells} |")
    return "\n".join(lines) + "\n"
