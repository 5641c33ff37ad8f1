"""The scale of implicit rewards by maximum likelihood, and the share of labels that are wrong."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._estimate import Estimate
from .measured import Measured, total

__all__ = ["log_chance", "logistic", "noise", "scale"]

Floats = NDArray[np.float64]

SANDWICH = "sandwich t"
PROFILE = "profile likelihood"
LARGEST_NOISE = 0.499  # at 1/2 labels say nothing, and the scale is not known
CAP = 1e4  # the largest scale, in units of the mean margin, at which the noise is looked for
STEPS = 100


def logistic(t: Floats) -> Floats:
    """``1 / (1 + exp(-t))``, with the digits of both tails."""
    a = _core.math_exp(-np.abs(t))
    return np.where(t >= 0, 1.0, a) / (1.0 + a)


def log_chance(t: Floats, noise: float = 0.0) -> Floats:
    """``log((1 - e) s(t) + e s(-t))`` of the logistic function s: the log-likelihood of a label that noise may turn."""
    if noise == 0.0:
        return np.minimum(t, 0.0) - _core.math_log1p(_core.math_exp(-np.abs(t)))
    return _core.math_log(noise + (1.0 - 2.0 * noise) * logistic(t))


# ---- the scale


def scale(margins: Floats, by: Measured) -> Estimate:
    """The beta that maximises ``sum log s(beta u)``, with a cluster-robust interval.

    Without a maximum it is infinite (of the sign that the margins have) and without an interval; where all margins are
    0 it is 0, since nothing is known.
    """
    up, down = bool((margins > 0).any()), bool((margins < 0).any())
    if not (up and down):
        value = math.inf if up else -math.inf if down else 0.0
        said = {
            math.inf: "every margin that is not 0 points to the chosen answer: the likelihood rises without end",
            -math.inf: "every margin that is not 0 points to the rejected answer: the likelihood rises without end",
            0.0: "all margins are 0: no scale is more likely than another",
        }[value]
        return Estimate(
            value=value, low=None, high=None, confidence_level=by.confidence.level, n=len(margins),
            n_clusters=None if by.clusters is None else by.clusters.total, method="no interval", reason=said,
        )  # fmt: skip
    unit = _unit(margins)
    v = margins / unit
    best = _largest_likelihood(v)
    s = logistic(-best * v)
    information = total(v * v * s * (1.0 - s))
    reason = "maximum of the Bradley-Terry likelihood"
    return by.linear(best / unit, v * s / (information * unit), SANDWICH, reason)


def _unit(margins: Floats) -> float:
    """The mean size of the margins that are not 0, for numbers near 1."""
    return total(np.abs(margins)) / float(np.count_nonzero(margins))


def _largest_likelihood(v: Floats) -> float:
    """The root of the score ``sum v s(-b v)``, which falls in b, by Newton's steps inside a bracket."""
    low, high, b = -math.inf, math.inf, 0.0
    for _ in range(STEPS):
        s = logistic(-b * v)
        score, information = total(v * s), total(v * v * s * (1.0 - s))
        if score > 0:
            low = b
        elif score < 0:
            high = b
        else:
            return b
        new = b + score / information if information > 0 else math.inf if score > 0 else -math.inf
        if not low < new < high or abs(new - b) > 8.0 * (1.0 + abs(b)):
            far = 2.0 * abs(b) + 1.0
            new = 0.5 * (max(low, -far) + min(high, far))
        if abs(new - b) <= 1e-12 * (1.0 + abs(b)):
            return new
        b = new
    return b


# ---- the noise


class _Fit(NamedTuple):
    """The likelihood at a share of wrong labels and the scale that suits it best."""

    scale: float
    value: float
    slope: float
    """The derivative of the largest likelihood with respect to the share."""


def noise(margins: Floats, by: Measured) -> tuple[Estimate | None, str]:
    """The share e of labels that are wrong: the maximum of ``sum log((1 - e) s(b u) + e s(-b u))`` over b and e.

    The interval holds every e whose profile likelihood lies near enough to the largest. None, with the reason, where
    the margins do not point to the labels.
    """
    if not (margins > 0).any() or total(np.sign(margins)) <= 0 or total(margins) <= 0:
        return None, "the margins do not point to the labels, so that they cannot tell which labels are wrong"
    v = margins / _unit(margins)
    profile = _Profile(v)
    e = profile.best()
    fit = profile.at(e)
    factor, error = profile.spread(e, by)
    n_clusters = None if by.clusters is None else by.clusters.total
    if n_clusters == 1:
        low = high = None
        reason = "the spread between clusters is unknown under two clusters"
    else:
        z = _quantile(by, n_clusters)
        limit = 0.5 * factor * z * z
        low = profile.limit(e, fit.value - limit, 0.0)
        high = profile.limit(e, fit.value - limit, 0.5)
        reason = "maximum of the likelihood of labels that noise turns, over the scale and the noise"
    found = Estimate(
        value=e, standard_error=error if e > 0 and n_clusters != 1 else None, low=low, high=high,
        confidence_level=by.confidence.level, n=len(margins), n_clusters=n_clusters,
        method=PROFILE if low is not None else "no interval", reason=reason,
        detail={"beta": fit.scale / _unit(margins), "factor": factor},
    )  # fmt: skip
    return found, ""


def _quantile(by: Measured, n_clusters: int | None) -> float:
    p = 0.5 * (1.0 + by.confidence.level)
    return _core.normal_quantile(p) if n_clusters is None else _core.t_quantile(p, float(n_clusters - 1))


class _Profile:
    """The likelihood of a share of wrong labels, largest over the scale.

    It may have a second, lower maximum at a scale at which every reward is certain. Without noise there is one alone;
    from there each fit begins at that of the nearest share, with steps of less than a factor of e.
    """

    def __init__(self, v: Floats) -> None:
        self.v = v
        self.fits: dict[float, _Fit] = {}

    def at(self, e: float) -> _Fit:
        """The fit at a share; each is made once."""
        if e not in self.fits:
            near = min(self.fits, key=lambda share: abs(share - e), default=None)
            self.fits[e] = self._fit(e, 0.1 if near is None else self.fits[near].scale)
        return self.fits[e]

    def _fit(self, e: float, b: float) -> _Fit:
        value = self._likelihood(b, e)
        for _ in range(STEPS):
            s = logistic(b * self.v)
            p = e + (1.0 - 2.0 * e) * s
            d = (1.0 - 2.0 * e) * s * (1.0 - s) * self.v * b  # of p, in the logarithm of b
            doubt = p * (1.0 - p)
            score = total(np.divide(d, p, out=np.zeros_like(d), where=p > 0))
            information = total(np.divide(d * d, doubt, out=np.zeros_like(d), where=doubt > 0))
            step = min(max(score / information, -1.0), 1.0) if information > 0 else 0.0
            new, higher = b, value
            while abs(step) > 1e-9 and not higher > value:
                new = min(b * _core.math_exp(step), CAP)
                higher = self._likelihood(new, e)
                step *= 0.25
            if not higher > value:
                break
            b, value = new, higher
        p = e + (1.0 - 2.0 * e) * (s := logistic(b * self.v))
        slope = total(np.divide(1.0 - 2.0 * s, p, out=np.full_like(p, 1e300), where=p > 1e-300))
        return _Fit(b, value, slope)

    def _likelihood(self, b: float, e: float) -> float:
        return total(log_chance(b * self.v, e))

    def best(self) -> float:
        """The share with the largest likelihood: 0, or where the slope passes 0."""
        grid = (0.0, 0.01, 0.03, 0.07, 0.13, 0.2, 0.28, 0.36, 0.44, LARGEST_NOISE)
        values = [self.at(e).value for e in grid]
        k = max(range(len(grid)), key=values.__getitem__)
        low, high = grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)]
        if k == 0 and self.at(0.0).slope <= 0:
            return 0.0
        if k == len(grid) - 1 and self.at(LARGEST_NOISE).slope >= 0:
            return LARGEST_NOISE
        return _root(lambda e: self.at(e).slope, low, high)

    def limit(self, e: float, level: float, end: float) -> float:
        """The share on the side of ``end`` at which the largest likelihood has fallen to ``level``."""
        last = min(end, LARGEST_NOISE)
        if self.at(last).value >= level or last == e:
            return end
        return _root(lambda share: self.at(share).value - level, e, last)

    def spread(self, e: float, by: Measured) -> tuple[float, float | None]:
        """By how much clusters widen the error of the share (at least 1), and that error."""
        b = self.at(e).scale
        s = logistic(b * self.v)
        p = e + (1.0 - 2.0 * e) * s
        doubt = np.maximum(p * (1.0 - p), 1e-300)
        slopes = ((1.0 - 2.0 * e) * s * (1.0 - s) * self.v, 1.0 - 2.0 * s)  # of p, in the scale and in the share
        bb, be, ee = (total(slopes[i] * slopes[j] / doubt) for i, j in ((0, 0), (0, 1), (1, 1)))
        determinant = bb * ee - be * be
        if not determinant > 1e-12 * bb * ee:
            return 1.0, None
        # What each pair adds to the estimate of the share, summed by cluster.
        safe = np.maximum(p, 1e-300)
        adds = (bb * slopes[1] - be * slopes[0]) / safe / determinant
        clusters = by.clusters
        sums = adds if clusters is None else _core.cluster_sums(adds, clusters.codes, clusters=clusters.total)[0]
        groups = len(sums)
        robust = total(sums * sums) * groups / max(groups - 1, 1)
        model = bb / determinant
        return max(1.0, robust / model), math.sqrt(robust)


def _root(of: object, low: float, high: float) -> float:
    """A root between two places where a function has different signs, by the Illinois rule."""
    assert callable(of)
    a, b = low, high
    at_a, at_b = of(a), of(b)
    if at_a == 0 or at_a * at_b > 0:
        return a if abs(at_a) <= abs(at_b) else b
    side = 0
    for _ in range(60):
        c = (a * at_b - b * at_a) / (at_b - at_a)
        if not min(a, b) < c < max(a, b):
            c = 0.5 * (a + b)
        at_c = of(c)
        if at_c == 0 or abs(b - a) < 1e-7 or abs(c - a) < 1e-8 or abs(c - b) < 1e-8:
            return float(c)
        if at_c * at_b > 0:
            b, at_b = c, at_c
            at_a *= 0.5 if side == -1 else 1.0
            side = -1
        else:
            a, at_a = c, at_c
            at_b *= 0.5 if side == 1 else 1.0
            side = 1
    return 0.5 * (a + b)
