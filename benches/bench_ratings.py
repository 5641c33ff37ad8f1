"""Ratings of 100 models from 1e6 battles with a bootstrap, beside one fit per resample as it is usually done."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

import steelyard as sy

from .harness import Row, need

N, MODELS = 1_000_000, 100
RESAMPLES, FEW = 1000, 20


@lru_cache(maxsize=1)
def _battles() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Battles of models some of which play far more often than others; a quarter of them are ties."""
    rng = np.random.default_rng(0)
    shares = 1.0 / np.arange(5, MODELS + 5)
    a = rng.choice(MODELS, N, p=shares / shares.sum())
    b = (a + rng.integers(1, MODELS, N)) % MODELS
    up, tie = np.exp(0.004 * (b - a)), 0.6
    u = rng.random(N) * (up + 1.0 / up + tie)
    return a, b, np.where(u < up, 1.0, np.where(u < up + 1.0 / up, 0.0, 0.5))


def _ours() -> sy.uncertainty.Ratings:
    return sy.uncertainty.ratings(*_battles(), method="bootstrap", n_resamples=RESAMPLES)


def _matchups() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The pairs and outcomes that occur, and how often."""
    a, b, outcome = _battles()
    key, counts = np.unique((a * MODELS + b) * 3 + (2 * outcome).astype(int), return_counts=True)
    return key // 3 // MODELS, key // 3 % MODELS, key % 3 / 2.0, counts


def _agree(ours: sy.uncertainty.Ratings, peer: np.ndarray) -> None:
    """The peer's mean rating lies within its own scatter of ours."""
    own = ours.rating[np.argsort([int(name) for name in ours.names])]
    center = peer.mean(0) - peer.mean()
    error = peer.std(0, ddof=1) * 400.0 / np.log(10.0)
    assert (np.abs(1000.0 + center * 400.0 / np.log(10.0) - own) < 2.0 * error + 0.5).all()


def minimised() -> Row:
    """A bootstrap of 1,000 resamples, against 20 of L-BFGS over the table of pairs (FastChat's rating_systems.py)

    Both draw multinomial counts of the collapsed table. The same time for both is 50 times as fast a resample.
    """
    (optimize, special) = need("scipy.optimize", "scipy.special")
    first, second, outcome, counts = _matchups()

    def peer() -> np.ndarray:
        rng, found = np.random.default_rng(1), []
        for _ in range(FEW):
            weights = rng.multinomial(N, counts / N) / N

            def loss(x: np.ndarray, weights: np.ndarray = weights) -> tuple[float, np.ndarray]:
                logits = x[first] - x[second]
                p = special.expit(logits)
                by = weights * (p - outcome)
                value = (weights * (np.logaddexp(0.0, logits) - outcome * logits)).sum()
                return value, np.bincount(first, by, MODELS) - np.bincount(second, by, MODELS)

            options = {"gtol": 1e-8, "ftol": 1e-14}
            found.append(optimize.minimize(loss, np.zeros(MODELS), jac=True, method="L-BFGS-B", options=options).x)
        return np.array(found)

    return Row(
        work=f"ratings, {MODELS} models, 1e6 battles, {RESAMPLES:,} resamples beside {FEW}",
        ours=_ours, peer=peer, against=f'`optimize.minimize(method="L-BFGS-B")` of the collapsed pairs, {FEW} resamples',
        package="scipy", at_least=1.0, agree=_agree,
    )  # fmt: skip


def regressed() -> Row:
    """The same, against 20 logistic regressions of the collapsed pairs (LMArena's notebook)"""
    (linear,) = need("sklearn.linear_model")
    first, second, outcome, counts = _matchups()
    rows = np.arange(len(first))
    x = np.zeros((len(first), MODELS))
    x[rows, first], x[rows, second] = 1.0, -1.0
    both, won = np.concatenate([x, x]), np.repeat([1, 0], len(x))

    def peer() -> np.ndarray:
        rng, found = np.random.default_rng(1), []
        for _ in range(FEW):
            weights = rng.multinomial(N, counts / N).astype(float)
            model: Any = linear.LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-6, max_iter=1000)
            model.fit(both, won, sample_weight=np.concatenate([weights * outcome, weights * (1.0 - outcome)]))
            found.append(model.coef_[0])
        return np.array(found)

    return Row(
        work=f"the same, {FEW} logistic regressions",
        ours=_ours, peer=peer, against=f"`LogisticRegression(C=inf).fit` of the collapsed pairs, {FEW} resamples",
        package="scikit-learn", at_least=1.0, agree=_agree,
    )  # fmt: skip


ROWS = [minimised, regressed]
