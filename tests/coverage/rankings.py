"""How often the ranking of many models puts a pair into the wrong order, or a best model out of the best set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steelyard import _core


def _answers(rng: np.random.Generator, n: int, models: int) -> np.ndarray:
    return (rng.normal(size=(n, 1)) + rng.normal(size=(n, models)) < 1.0).astype(float)


def _rare(rng: np.random.Generator, n: int, models: int) -> np.ndarray:
    return (rng.random((n, models)) < 0.05).astype(float)


def _one_right(rng: np.random.Generator, n: int, models: int) -> np.ndarray:
    """Exactly one model is right: differences are not symmetric together, only one by one."""
    x = np.zeros((n, models))
    x[np.arange(n), rng.integers(0, models, n)] = 1.0
    return x


def _skewed(rng: np.random.Generator, n: int, models: int) -> np.ndarray:
    spread = 1.0 + np.arange(models) / models  # each model with its own spread, and so with its own skewness
    return spread * (rng.exponential(size=(n, models)) - 1.0)


def _clusters(rng: np.random.Generator, n: int, models: int) -> np.ndarray:
    """Sums over n / 4 clusters of unequal size."""
    codes = np.sort(rng.integers(0, n // 4, n))
    own = rng.normal(size=(n // 4, models))[codes]
    x = (own + rng.normal(size=(n, models)) < 0.5).astype(float) - 0.6241
    return np.stack([np.bincount(codes, column, minlength=n // 4) for column in x.T], axis=1)


KINDS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "0/1, items alike hard": _answers,
    "0/1, 5 % right": _rare,
    "0/1, one model right": _one_right,
    "graded, skewed": _skewed,
    "clusters": _clusters,
}
DESIGNS = [(10, 20), (10, 100), (10, 600), (30, 100)]


def false_claims(kind: str, *, equal: int, n: int, sets: int, others: int = 0) -> float:
    """The share of sets in which one of ``equal`` models of the same mean is said to be better than another of them.

    ``others`` are further models, each worse by more.
    """
    rng = np.random.default_rng([equal, n, others, *kind.encode()])
    wrong = 0
    for _ in range(sets):
        x = KINDS[kind](rng, n, equal + others)
        x[:, equal:] -= 0.3 * np.arange(1, others + 1)
        p = _core.max_t(np.ascontiguousarray(x), models=x.shape[1], tie=2.0**-49, seed=0)["p"]
        p = p.reshape(x.shape[1], -1)
        wrong += bool((p[:equal, :equal] <= 0.05).any())
    return wrong / sets


def section(scale: float = 1.0) -> str:
    """The table of the page of coverage."""
    sets = max(2, int(400 * scale))
    lines = [
        "## Ranks of many models",
        "",
        f"{sets:,} sets per number (standard error {(0.05 * 0.95 / sets) ** 0.5:.3f} at .05): the share of sets in "
        "which `compare` without a baseline puts any two models of equal mean into an order, at 95 %; else the best "
        "set holds all of the best. `models`: models of equal mean, of how many items; `and 5 worse`: beside five "
        "models that really are worse.",
        "",
        f"| | {' | '.join(f'{m} models, {n:,}' for m, n in DESIGNS)} | 5 models, 100, and 5 worse |",
        "|---|" + "---|" * (len(DESIGNS) + 1),
    ]
    for kind in KINDS:
        found = [false_claims(kind, equal=m, n=n, sets=sets) for m, n in DESIGNS]
        found.append(false_claims(kind, equal=5, n=100, sets=sets, others=5))
        lines.append(f"| {kind} | {' | '.join(f'{share:.3f}' for share in found)} |")
    return "\n".join(lines)
