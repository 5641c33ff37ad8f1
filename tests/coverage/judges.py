"""How often intervals of few labels with a judge's scores contain the true value, beside those of the labels alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import steelyard as sy
from steelyard.errors import SteelyardWarning

SETS = 1000
SIZES = (10, 20, 50, 200)
MANY = 1000
Z = 1.959963984540054


class Drawn(NamedTuple):
    """A set: labels (NaN where a row has none), scores of the judge, clusters, and the baseline's labels and scores."""

    labels: np.ndarray
    scores: np.ndarray
    clusters: np.ndarray | None = None
    base: np.ndarray | None = None


Draw = Callable[[np.random.Generator, int], Drawn]


def _some(labels: np.ndarray, n: int) -> np.ndarray:
    """The labels of the first n rows alone."""
    return np.where(np.arange(len(labels)) < n, labels, np.nan)


def rows(correlation: float, *, skewed: bool = False, others: int = MANY) -> Draw:
    """Labels and scores of variance 1 with this correlation: normal, or of exponential parts."""

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        scores, noise = (rng.exponential(size=(2, n + others)) - 1) if skewed else rng.normal(size=(2, n + others))
        return Drawn(_some(correlation * scores + np.sqrt(1 - correlation**2) * noise, n), scores)

    return draw


def clustered(correlation: float, *, apart: bool) -> Draw:
    """Clusters of 1 to 8 rows, half of whose variance is the cluster's.

    ``apart``: n clusters are labelled, 250 are not. Else there are n clusters, of which every third row is labelled.
    """

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        sizes = rng.integers(1, 9, n + (250 if apart else 0)) if apart else rng.integers(3, 25, n)
        ids = np.repeat(np.arange(len(sizes)), sizes)
        scores, noise = (rng.normal(size=(2, len(sizes)))[:, ids] + rng.normal(size=(2, len(ids)))) / np.sqrt(2)
        labels = correlation * scores + np.sqrt(1 - correlation**2) * noise
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]])[ids]
        has = ids < n if apart else (np.arange(len(ids)) - first) % 3 == 0
        return Drawn(np.where(has, labels, np.nan), scores, ids)

    return draw


def answers(share: float, missed: float, *, others: int = MANY) -> Draw:
    """Right answers with this probability; of the wrong ones the judge takes the share ``missed`` for right."""

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        right = (rng.random(n + others) < share).astype(np.float64)
        scores = np.where((right == 0) & (rng.random(n + others) < missed), 1.0, right)
        return Drawn(_some(right, n), scores)

    return draw


def pairs(rng: np.random.Generator, n: int) -> Drawn:
    """A model with 72 % and a baseline with 70 % right answers, a fifth of which differ; 20 and 7 % of errors missed."""
    base = rng.random(n + MANY) < 0.7
    new = np.where(rng.random(n + MANY) < 0.8, base, rng.random(n + MANY) < 0.8)
    judged = [
        np.where(~side & (rng.random(n + MANY) < missed), True, side).astype(np.float64)
        for side, missed in ((new, 0.2), (base, 0.07))
    ]
    return Drawn(_some(new, n), judged[0] - judged[1], None, _some(base, n))


DESIGNS: tuple[tuple[str, Draw, float], ...] = (
    *((f"normal, correlation {r:g}", rows(r), 0.0) for r in (0.0, 0.5, 0.9)),
    ("normal, .9, 20 rows without", rows(0.9, others=20), 0.0),
    ("exponential, .9", rows(0.9, skewed=True), 0.0),
    *((f"clusters apart, {r:g}", clustered(r, apart=True), 0.0) for r in (0.0, 0.5, 0.9)),
    *((f"clusters of both, {r:g}", clustered(r, apart=False), 0.0) for r in (0.0, 0.5, 0.9)),
    ("0/1, .7, 20 % missed", answers(0.7, 0.2), 0.7),
    ("0/1, .7, 50 % missed", answers(0.7, 0.5), 0.7),
    ("0/1, .9, 30 % missed", answers(0.9, 0.3), 0.9),
    ("0/1, .9, 30 %, 20 without", answers(0.9, 0.3, others=20), 0.9),
    ("pairs of 0/1", pairs, 0.02),
)


def published(y: np.ndarray, f: np.ndarray, more: np.ndarray) -> tuple[float, float]:
    """The interval of ppi_py 0.2.3 (``ppi_mean_ci``): pooled variance, lambda in [0, 1], normal limits, divisor n."""
    n, m = len(y), len(more)
    spread = np.concatenate([f, more]).var(ddof=1)
    weight = np.clip(np.mean((y - y.mean()) * (f - f.mean())) / ((1 + n / m) * spread), 0, 1) if spread else 0.0
    value = y.mean() + weight * (more.mean() - f.mean())
    half = Z * np.sqrt((weight * more).var() / m + (y - weight * f).var() / n)
    return value - half, value + half


def _intervals(of: Drawn) -> list[tuple[float, float] | None]:
    """Those of the labels alone, of ppi_py's formula (rows are independent there), and of ``judge=``."""
    has = ~np.isnan(of.labels)
    labels = of.labels if of.base is None else of.labels - of.base
    if of.base is not None:
        both = sy.compare(of.labels, baseline=of.base, judge=of.scores).difference
        alone = sy.compare(of.labels[has], baseline=of.base[has]).difference
    else:
        ids = None if of.clusters is None else of.clusters[has]
        both = sy.estimate(of.labels, judge=of.scores, clusters=of.clusters)
        alone = sy.estimate(of.labels[has], clusters=ids)
    theirs = published(labels[has], of.scores[has], of.scores[~has])
    return [None if e.low is None else (float(e.low), float(e.high)) for e in (alone, both)] + [theirs]  # type: ignore[arg-type]


def held(draw: Draw, truth: float, n: int, trials: int) -> list[tuple[float, float, float]]:
    """For each interval the share that contains the true value, the mean width, and the share of sets that have it."""
    rng = np.random.Generator(np.random.Philox(n))
    inside, width, having = np.zeros(3), np.zeros(3), np.zeros(3)
    with warnings.catch_warnings():
        # One random set in a thousand has labelled rows whose mean score looks chosen, which `judge=` says.
        warnings.simplefilter("ignore", SteelyardWarning)
        for _ in range(trials):
            for i, limits in enumerate(_intervals(draw(rng, n))):
                if limits is not None:
                    having[i] += 1
                    inside[i] += limits[0] <= truth <= limits[1]
                    width[i] += limits[1] - limits[0]
    return [(float(a / h), float(w / h), float(h / trials)) for a, w, h in zip(inside, width, having, strict=True)]


def section(scale: float = 1.0) -> str:
    trials = max(1, int(SETS * scale))
    head = [f"n = {n}" for n in SIZES]
    lines = [
        "## Few labels with a judge's scores",
        "",
        f"95 % intervals of the mean over {trials:,} sets per design (standard error {np.sqrt(0.95 * 0.05 / trials):.3f} at "
        f".95), and in brackets their mean width; n labelled rows (clusters: n of them) beside {MANY:,} (250 clusters) "
        "without a label. `labels`: `estimate` or `compare` of the labels alone; `judge`: with `judge=`; `ppi_py`: the "
        "formula of `ppi_mean_ci` (ppi-python 0.2.3), which takes rows as independent. `clusters of both`: n clusters, a "
        "third of whose rows are labelled. 0/1: the share of right answers, and the share of wrong ones that the judge "
        "takes for right. Seeds: n.",
        "",
        f"| labels and scores | interval | {' | '.join(head)} |",
        f"|---|---|{'---|' * len(head)}",
    ]
    for name, draw, truth in DESIGNS:
        found = [held(draw, truth, n, trials) for n in SIZES]
        for i, interval in enumerate(("labels", "judge", "ppi_py")):
            cells = [
                f"{inside:.3f}{'' if having == 1 else f' of {having:.3f}'} ({width:.2f})"
                for inside, width, having in (of[i] for of in found)
            ]
            lines.append(f"| {name} | {interval} | {' | '.join(cells)} |")
    return "\n".join(lines)
