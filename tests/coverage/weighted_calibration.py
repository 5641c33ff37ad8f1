"""Calibration errors of rows with weights.

How often the limits contain the true error, how well the noise floor fits, and how often the verdict is wrong.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

import steelyard as sy
from steelyard import _core

SETS = 400
BINS = 15
# Ids with 1 to so many records, each id with one say, whose answers share a correlation; or rows with weights
# exp(s N(0, 1)).
DESIGNS = (
    ("ids", 60, 8.0, 0.6), ("ids", 200, 5.0, 0.5), ("rows", 300, 0.5, 0.0), ("rows", 300, 1.0, 0.0),
    ("rows", 1000, 1.0, 0.0), ("rows", 1000, 1.5, 0.0), ("rows", 3000, 1.5, 0.0),
)  # fmt: skip
KINDS = {"calibrated": 0.0, "15 % off": 0.15, "40 % off": 0.4}
ERRORS = ("ece", "rmsce", "mce", "gap")


def true_errors(p: np.ndarray, chance: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """The errors without noise: the outcomes replaced by their chances."""
    index = np.searchsorted(np.arange(1, BINS) / BINS, p)
    size = np.bincount(index, weights, BINS)
    filled = size > 0
    gap = np.bincount(index, weights * (p - chance), BINS)[filled] / size[filled]
    w = size[filled] / size.sum()
    ece, rmsce = float((w * np.abs(gap)).sum()), math.sqrt(float((w * gap * gap).sum()))
    return {"ece": ece, "rmsce": rmsce, "mce": float(np.abs(gap).max()), "gap": float((w * gap).sum())}


@dataclass
class Count:
    """What is counted over the sets of a design."""

    held: Counter[str] = field(default_factory=Counter)
    called: int = 0
    floor: float = 0.0
    ece: float = 0.0
    effective: float = 0.0

    def add(self, rel: sy.calibration.Reliability, truth: dict[str, float]) -> None:
        for name, value in truth.items():
            e = getattr(rel, name)
            self.held[name] += e.low - 1e-12 <= value <= e.high + 1e-12
        self.called += rel.verdict() in ("overconfident", "underconfident")
        self.floor += float(rel.noise_floor or 0)
        self.ece += float(rel.ece)
        self.effective += float(rel.ece.n_effective or 0)  # type: ignore[arg-type]


def design(kind: str, n: int, spread: float, correlation: float, off: float, sets: int) -> Count:
    """Sets of one design."""
    rng = np.random.default_rng([n, round(10 * spread), round(100 * correlation), round(100 * off)])
    count = Count()
    for _ in range(sets):
        ids, weights = np.arange(n), rng.lognormal(0, spread, n)
        if kind == "ids":
            times = rng.integers(1, int(spread) + 1, n)
            ids, weights = np.repeat(ids, times), 1 / np.repeat(times, times)
        p = rng.beta(4, 1.5, len(ids))
        latent = math.sqrt(correlation) * rng.standard_normal(n)[ids]
        latent += math.sqrt(1 - correlation) * rng.standard_normal(len(ids))
        chance = p - off * (p - 0.05) if off < 0.4 else (1 - off) * p
        clusters = ids if kind == "ids" else None
        rel = sy.reliability(p, _core.normal_cdf(latent) < chance, n_bins=BINS, weights=weights, clusters=clusters)
        count.add(rel, true_errors(p, chance, weights))
    return count


def section(scale: float = 1.0) -> str:
    sets = max(20, round(SETS * scale))
    lines = []
    for model, off in KINDS.items():
        for kind, n, spread, correlation in DESIGNS:
            found = design(kind, n, spread, correlation, off, sets)
            held = " | ".join(f"{found.held[name] / sets:.3f}" for name in ERRORS)
            floor = f"{found.floor / found.ece:.3f}" if off == 0.0 else ""
            of = f"{n} ids of 1 to {spread:g}, {correlation:g}" if kind == "ids" else f"{n} rows, {spread:g}"
            effective = f"{found.effective / sets:.0f}"
            lines.append(f"| {model} | {of} | {effective} | {held} | {found.called / sets:.3f} | {floor} |")
    head = (
        "| model | rows | n_effective | ece | rmsce | mce | gap | called | floor / ece |",
        "|---" * 9 + "|",
    )
    said = (
        f"{sets} sets per design (standard error {math.sqrt(0.05 * 0.95 / sets):.3f} at .95), 15 bins, 95 % intervals of "
        "`reliability(weights=)`; confidences Beta(4, 1.5). `ids`: so many ids of 1 to so many records, each with the "
        "weight 1/k and its id as cluster, and the correlation of the answers to one id. `rows`: independent rows with "
        "the weights exp(s N(0, 1)), and s. `n_effective`: (sum w)^2 / sum w^2. `called`, `floor / ece`: as above."
    )
    return "\n".join(["## Calibration with weights", "", said, "", *head, *lines])
