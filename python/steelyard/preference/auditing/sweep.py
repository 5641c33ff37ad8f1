"""Which reading of stored log-probabilities predicts labels best that were held out, and at which scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._estimate import Estimate
from ..._mode import standard_mode_methods
from ..._progress import OnProgress
from ..._result import Result
from ..._strides import coded
from .measured import Measured, halves
from .scale import log_chance, logistic

__all__ = ["BETAS", "NOISES", "Reading", "Sweep", "folds_of", "sweep"]

Floats = NDArray[np.float64]
# Six values in each decade, the usual ones among them.
BETAS = (*(float(f"{digit}e{power}") for power in range(-4, 2) for digit in (1, 1.5, 2, 3, 5, 7)), 100.0)
NOISES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True)
class Reading(Result):
    """One reading of the log-probabilities.

    Attributes
    ----------
    name : str
        The loss whose likelihood it is; with a divergence after a comma.
    beta, noise : float
        The setting that suits all pairs best.
    loss : Estimate
        The held-out loss in nats a pair: minus the log-likelihood of the labels of each fold, at the setting that suits
        the other folds best.
    accuracy : Estimate
        The share of pairs whose chosen answer has the higher score, ties half. It is the same at every scale.
    difference : Estimate or None
        The held-out loss less that of the first reading (``"dpo"``, without a reference ``"cpo"``), pair by pair; None
        for that one.
    at_edge : bool
        Whether the best scale is the smallest or the largest that was tried.
    """

    name: str
    beta: float
    noise: float
    loss: Estimate
    accuracy: Estimate
    difference: Estimate | None
    at_edge: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the reading in types that JSON has."""
        return {
            "name": self.name, "beta": self.beta, "noise": self.noise, "loss": self.loss.to_dict(),
            "accuracy": self.accuracy.to_dict(), "at_edge": self.at_edge,
            "difference": None if self.difference is None else self.difference.to_dict(),
        }  # fmt: skip


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True)
class Sweep(Result):
    """The readings of the log-probabilities, the best held-out loss first.

    Attributes
    ----------
    readings : tuple of Reading
    folds, seed : int
        Of the cross-fitting; all pairs of a prompt are in one fold.
    settings : int
        How many settings were compared: readings, scales and shares of noise.
    """

    readings: tuple[Reading, ...]
    folds: int
    seed: int
    settings: int

    def to_dict(self) -> dict[str, Any]:
        """Return the sweep in types that JSON has."""
        return {
            "readings": [one.to_dict() for one in self.readings], "folds": self.folds, "seed": self.seed,
            "settings": self.settings,
        }  # fmt: skip


def folds_of(codes: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each pair: clusters in an order that the seed shuffles, dealt out in turn.

    ``codes`` are from 0 on without gaps.
    """
    clusters = int(codes.max()) + 1
    places, _ = coded(_scattered(clusters, seed))
    return (places % folds)[codes]


def _scattered(n: int, seed: int) -> NDArray[np.uint64]:
    """A number for each of n places by the mixing function of SplitMix64: whole numbers, the same everywhere."""
    start = np.uint64(seed * 0xD1B54A32D192ED03 % 2**64)
    z = (np.arange(1, n + 1, dtype=np.uint64) + start) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def sweep(
    readings: Mapping[str, Floats], by: Measured, *, folds: int, seed: int, progress: OnProgress = None
) -> Sweep | None:
    """Compare the readings; None where there are fewer clusters than two folds need."""
    n = len(next(iter(readings.values())))
    clusters = by.clusters
    codes = np.arange(n) if clusters is None else clusters.codes
    groups = n if clusters is None else clusters.total
    if groups < 2:
        return None
    folds = min(folds, groups)
    fold = folds_of(codes, folds, seed)
    held: dict[str, tuple[tuple[float, float, bool], Floats]] = {}
    for done, (name, scores) in enumerate(readings.items()):
        held[name] = _held_out(scores, fold, folds)
        if progress is not None:
            progress(done + 1, len(readings))
    first = next(iter(held))
    found = [
        Reading(
            name=name, beta=beta, noise=noise, loss=by.mean(losses), accuracy=by.share(halves(readings[name])),
            difference=None if name == first else by.mean(losses - held[first][1]), at_edge=at_edge,
        )
        for name, ((beta, noise, at_edge), losses) in held.items()
    ]  # fmt: skip
    found.sort(key=lambda one: float(one.loss))
    settings = len(readings) * len(BETAS) * len(NOISES)
    return Sweep(readings=tuple(found), folds=folds, seed=seed, settings=settings)


def _held_out(scores: Floats, fold: NDArray[np.int64], folds: int) -> tuple[tuple[float, float, bool], Floats]:
    """The setting that suits all pairs best, and each pair's loss at the one that suits the other folds best."""
    table = np.empty((len(BETAS), len(NOISES), folds))
    for i, beta in enumerate(BETAS):
        t = beta * scores
        s = logistic(t)
        for j, noise in enumerate(NOISES):
            chances = log_chance(t) if noise == 0.0 else _core.math_log(noise + (1.0 - 2.0 * noise) * s)
            table[i, j] = _core.cluster_sums(chances, fold, clusters=folds)[0]
    whole = table[:, :, 0].copy()
    for k in range(1, folds):
        whole += table[:, :, k]
    losses = np.empty(len(scores))
    for k in range(folds):
        beta, noise, _ = _best(whole - table[:, :, k])
        own = fold == k
        losses[own] = -log_chance(beta * scores[own], noise)
    return _best(whole), losses


def _best(values: Floats) -> tuple[float, float, bool]:
    """The setting with the largest value, and whether its scale is the first or the last."""
    i, j = divmod(int(np.argmax(values)), len(NOISES))
    return BETAS[i], NOISES[j], i in (0, len(BETAS) - 1)
