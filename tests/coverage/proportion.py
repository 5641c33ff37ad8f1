"""The intervals of a proportion, by exact enumeration."""

from __future__ import annotations

import warnings

import numpy as np

import steelyard as sy
from steelyard._registries import names
from steelyard.errors import SteelyardWarning

METHODS = names("proportion.method")
SIZES = (10, 20, 50, 100, 200, 500)
P = np.linspace(0.005, 0.995, 397)


def binomial(n: int) -> np.ndarray:
    """P(k of n) for every p and k, by the ratio of neighbours in logarithms."""
    k = np.arange(1, n + 1)
    chosen = np.concatenate([[0.0], np.cumsum(np.log((n - k + 1) / k))])
    counts = np.arange(n + 1)
    return np.exp(chosen + counts * np.log(P)[:, None] + (n - counts) * np.log1p(-P)[:, None])


def coverage(method: str, n: int) -> np.ndarray:
    """The exact coverage of the 95 % interval at every p."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SteelyardWarning)
        e = sy.proportion(np.arange(n + 1), n, method=method)
    held = (e.low <= P[:, None]) & (P[:, None] <= e.high)
    return (binomial(n) * held).sum(1)


def section(scale: float = 1.0) -> str:
    del scale  # nothing is drawn
    rows = [
        f"| {method} | "
        + " | ".join(f"{c.mean():.3f} ({c.min():.3f})" for n in SIZES for c in [coverage(method, n)])
        + " |"
        for method in METHODS
    ]
    head = ["| method | " + " | ".join(f"n = {n}" for n in SIZES) + " |", "|---" * (len(SIZES) + 1) + "|"]
    said = (
        "Exact, by enumeration: mean (and smallest) coverage of 95 % intervals over 397 equally spaced p, .005 to .995."
    )
    return "\n".join(["## Proportions", "", said, "", *head, *rows])
