"""How often intervals of ratings, and ranges of ranks, contain the true ones."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

import steelyard as sy
from steelyard.errors import SteelyardWarning
from steelyard.reference import ratings as reference

SETS = 400
MODELS = 8
TRUE = np.array([0.9, 0.6, 0.45, 0.3, 0.0, -0.4, -0.75, -1.1])
TIES = 0.6
TASTE = 0.6  # the standard deviation of what a voter adds to each model
PER_VOTER = 25
NODES, SHARES = np.polynomial.hermite_e.hermegauss(41)


class Design(NamedTuple):
    words: str
    n: int
    voters: bool
    law: str
    method: str
    clustered: bool


DESIGNS = (
    *(Design("independent", n, False, law, method, False) for law in ("half", "davidson")
      for n in (150, 500, 5000) for method in ("sandwich", "bootstrap")),
    *(Design(f"{n // PER_VOTER} voters of {PER_VOTER}", n, True, "half", method, True)
      for n in (250, 500, 1000, 5000) for method in ("sandwich", "bootstrap")),
    Design(f"200 voters of {PER_VOTER}, not told", 5000, True, "half", "sandwich", False),
)  # fmt: skip


def outcome(d: np.ndarray, u: np.ndarray) -> np.ndarray:
    """1, 0 or 1/2 for differences of ratings, by Davidson's law."""
    up = np.exp(d / 2)
    u = u * (up + 1 / up + TIES)
    return np.where(u < up, 1.0, np.where(u < up + 1 / up, 0.0, 0.5))


def drawn(rng: np.random.Generator, n: int, voters: bool) -> tuple[np.ndarray, ...]:
    a = rng.integers(0, MODELS, n)
    b = (a + rng.integers(1, MODELS, n)) % MODELS
    voter = np.arange(n) // PER_VOTER
    d = TRUE[a] - TRUE[b]
    if voters:
        taste = TASTE * rng.normal(size=(voter[-1] + 1, MODELS))
        d = d + taste[voter, a] - taste[voter, b]
    return a, b, outcome(d, rng.random(n)), voter


def limit(law: str, voters: bool) -> np.ndarray:
    """What the ratings of ever more battles tend to: the fit of the expected table."""
    d = TRUE[:, None] - TRUE
    spread = (TASTE * np.sqrt(2.0) * NODES)[:, None, None] if voters else np.zeros((1, 1, 1))
    shares = (SHARES / SHARES.sum())[:, None, None] if voters else np.ones((1, 1, 1))
    up = np.exp((d + spread) / 2)
    win, tie = ((shares * part / (up + 1 / up + TIES)).sum(0) for part in (up, TIES * np.ones_like(up)))
    apart = 1.0 - np.eye(MODELS)
    table = np.stack([win * apart, np.triu(tie * apart)])
    return reference.fit(table, davidson=law == "davidson", prior=0.0)[0]


def held(design: Design, trials: int) -> tuple[float, float, float, float]:
    """The share of intervals that hold the true rating, of sets whose ranges hold all ranks, and their mean widths."""
    truth = limit(design.law, design.voters)
    rank = 1 + (truth[:, None] < truth).sum(1)
    rng = np.random.Generator(np.random.Philox(design.n + 1000 * design.voters))
    inside = all_ranks = width = ranks = made = 0.0
    for _ in range(trials):
        a, b, won, voter = drawn(rng, design.n, design.voters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SteelyardWarning)
            found = sy.uncertainty.ratings(
                a, b, won, ties=design.law, scale="log", method=design.method,  # type: ignore[arg-type]
                clusters=voter if design.clustered else None, n_resamples=999,
            )  # fmt: skip
        if found.score.low is None or found.score.high is None:
            continue
        made += 1
        own = np.array([int(name) for name in found.names])
        inside += float(((found.score.low <= truth[own]) & (truth[own] <= found.score.high)).mean())
        all_ranks += bool(((found.rank_low <= rank[own]) & (rank[own] <= found.rank_high)).all())
        width += float((found.score.high - found.score.low).mean())
        ranks += float((found.rank_high - found.rank_low).mean())
    return inside / made, all_ranks / made, width / made, ranks / made


def section(scale: float = 1.0) -> str:
    trials = max(2, int(SETS * scale))
    lines = [
        "## Ratings from battles\n",
        f"{MODELS} models, {trials} sets a row; battles of random pairs with Davidson's law (nu = {TIES}), of voters who",
        f"each add a normal taste for every model (standard deviation {TASTE} logits) or without any. True is what the fit",
        "tends to. 95 % intervals in logits; the ranges of ranks hold where those of all models do.\n",
        "| battles | n | ties | method | intervals hold | all ranks hold | width | ranks beyond one |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for design in DESIGNS:
        inside, ranks, width, beyond = held(design, trials)
        lines.append(
            f"| {design.words} | {design.n:,} | {design.law} | {design.method} | {inside:.3f} | {ranks:.3f} | "
            f"{width:.3f} | {beyond:.2f} |"
        )
    return "\n".join(lines) + "\n"
