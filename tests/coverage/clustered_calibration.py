"""Calibration errors of rows that come in documents.

How often the limits contain the true error, how well the noise floor fits, and how often the verdict is wrong.
"""

from __future__ import annotations

import math

import numpy as np

import steelyard as sy
from steelyard import _core

from .weighted_calibration import BINS, KINDS, Count, true_errors

SETS = 600
# Documents, rows of each, the correlation of the answers to one of them.
DESIGNS = ((20, 5, 0.5), (20, 20, 0.2), (20, 50, 0.8), (60, 20, 0.6), (100, 10, 0.5), (400, 50, 0.2))
ERRORS = ("ece", "rmsce", "mce")  # those that the table shows


def documents(
    rng: np.random.Generator, groups: int, rows: int, correlation: float, off: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Confidences p, the chance that each answer is right, whether it is, and its document (rows share a normal)."""
    ids = np.repeat(np.arange(groups), rows)
    p = rng.beta(4, 1.5, size=len(ids))
    latent = math.sqrt(correlation) * rng.standard_normal(groups)[ids]
    latent += math.sqrt(1 - correlation) * rng.standard_normal(len(ids))
    chance = p - off * (p - 0.05) if off < 0.4 else (1 - off) * p
    return p, chance, _core.normal_cdf(latent) < chance, ids


def design(groups: int, rows: int, correlation: float, off: float, sets: int) -> tuple[Count, Count]:
    """Intervals that know the documents, and those that take rows as independent."""
    rng = np.random.default_rng([groups, rows, round(100 * correlation), round(100 * off)])
    together, apart = Count(), Count()
    for _ in range(sets):
        p, chance, right, ids = documents(rng, groups, rows, correlation, off)
        truth = true_errors(p, chance, np.ones_like(p))
        together.add(sy.reliability(p, right, n_bins=BINS, clusters=ids), truth)
        apart.add(sy.reliability(p, right, n_bins=BINS), truth)
    return together, apart


def section(scale: float = 1.0) -> str:
    sets = max(20, round(SETS * scale))
    lines = []
    for kind, off in KINDS.items():
        for groups, rows, correlation in DESIGNS:
            together, apart = design(groups, rows, correlation, off, sets)
            held = " | ".join(f"{together.held[name] / sets:.3f}" for name in ERRORS)
            floor = f"{together.floor / together.ece:.3f}" if off == 0.0 else ""
            row_wise = f"{apart.held['ece'] / sets:.3f} | {apart.called / sets:.3f}"
            name = f"{groups} of {rows}, {correlation:g}"
            lines.append(f"| {kind} | {name} | {held} | {together.called / sets:.3f} | {floor} | {row_wise} |")
    head = (
        "| model | documents | ece | rmsce | mce | called | floor / ece | ece, row by row | called, row by row |",
        "|---" * 9 + "|",
    )
    said = (
        f"{sets} sets per design (standard error {math.sqrt(0.05 * 0.95 / sets):.3f} at .95), 15 bins, 95 % intervals of "
        "`reliability(clusters=)`; confidences Beta(4, 1.5); whether rows of a document are right is decided by normals "
        "that share the correlation. `documents`: how many, of how many rows, the correlation. `called`: over- or "
        "underconfident. `floor / ece`: the mean noise floor over the mean ece of a calibrated model. With 20 documents of "
        "5 or 20 rows the intervals of a calibrated model contain the true value more often than they say: they are "
        "wider than they need be, and call fewer models over- or underconfident."
    )
    return "\n".join(["## Calibration in clusters", "", said, "", *head, *lines])
