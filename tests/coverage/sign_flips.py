"""The exact sign-flip p: against enumeration, and how often it rejects a true hypothesis."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from steelyard import _core

KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, m: rng.normal(size=m),
    "Cauchy": lambda rng, m: rng.standard_cauchy(m),
    "log-normal, sd 3": lambda rng, m: np.exp(3 * rng.normal(size=m)) * rng.choice([-1.0, 1.0], m),
    "tenths": lambda rng, m: rng.integers(-10, 11, m) / 10,
    "one huge": lambda rng, m: np.where(np.arange(m) == 0, 1e6 * rng.normal(), rng.normal(size=m)),
    "cluster sums": lambda rng, m: rng.poisson(20, m) - rng.poisson(20, m) + 0.0,
}
SIZES = (10, 20, 40, 43, 50)
NULL_SIZES = (10, 30, 100, 3000)


def p_value(x: np.ndarray) -> float:
    return _core.sign_flip(x, alternative="two-sided")["p"]


def enumerated(x: np.ndarray) -> float | None:
    """Two-sided p over all patterns, meeting in the middle; None where a half has too many to hold."""
    a = np.sort(np.abs(x[x != 0]))
    if len(a) == 0 or abs(x.sum()) <= a.sum() * 2.0**-40:
        return 1.0
    limit = min(x[x > 0].sum(), -x[x < 0].sum()) + a.sum() * 2.0**-41
    halves = []
    for half in (a[::2], a[1::2]):
        sums = np.zeros(1)
        for value in half:
            sums = np.sort(np.concatenate([sums, sums + value]), kind="stable")
            sums = sums[sums <= limit]
            if len(sums) > 1 << 22:
                return None
        halves.append(sums)
    count = int(np.searchsorted(halves[1], limit - halves[0], side="right").sum())
    return min(1.0, math.ldexp(float(2 * count), -len(a)))


def differences(kind: str, m: int, sets: int) -> str:
    """The largest relative difference from enumeration over shifts from none to large."""
    rng = np.random.default_rng([m, *kind.encode()])
    worst, done, least = 0.0, 0, 1.0
    for i in range(sets):
        x = np.abs(KINDS[kind](rng, m)) * np.where(rng.random(m) < 0.5 + 0.5 * i / sets, 1.0, -1.0)
        want = enumerated(x)
        if want is not None:
            worst, done, least = max(worst, abs(p_value(x) / want - 1)), done + 1, min(least, want)
    return f"{worst:.0e} ({done}, {least:.0e})" if done else "-"


def rejected(kind: str, n: int, sets: int) -> str:
    rng = np.random.default_rng([n, *kind.encode(), 1])
    signed = (KINDS[kind](rng, n) * rng.choice([-1.0, 1.0], n) for _ in range(sets))
    p = np.array([p_value(x) for x in signed])
    return f"{100 * (p <= 0.05).mean():.1f} / {100 * (p <= 0.01).mean():.2f}"


def section(scale: float = 1.0) -> str:
    sets, nulls = max(2, round(6 * scale)), max(20, round(2000 * scale))
    head = ["| differences | " + " | ".join(f"m = {m}" for m in SIZES) + " |", "|---" * (len(SIZES) + 1) + "|"]
    rows = [f"| {kind} | " + " | ".join(differences(kind, m, sets) for m in SIZES) + " |" for kind in KINDS]
    null_head = ["| differences | " + " | ".join(f"n = {n}" for n in NULL_SIZES) + " |"]
    null_head += ["|---" * (len(NULL_SIZES) + 1) + "|"]
    null_rows = [
        f"| {kind} | " + " | ".join(rejected(kind, n, nulls if n < 1000 else nulls // 4) for n in NULL_SIZES) + " |"
        for kind in KINDS
    ]
    said = (
        f"The largest relative difference from the count of all 2^m patterns over {sets} sets of each kind, signs from fair"
        " to all positive (in brackets: sets that could be counted so, and the smallest p among them). Seeds m and the name."
    )
    null_said = (
        "How often a true hypothesis is rejected, per cent at 5 % / at 1 %: "
        f"{nulls:,} sets ({nulls // 4:,} for n = {NULL_SIZES[-1]:,}). Ties make few patterns conservative."
    )
    return "\n".join(["## Sign flips", "", said, "", *head, *rows, "", null_said, "", *null_head, *null_rows])
