"""Exact sign flips and the ideal bootstrap beside SciPy's random ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import steelyard as sy
from steelyard import _core

from .harness import Growth, Row, need

N = 1_000


def _pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 11, n) / 10
    return np.clip(base + rng.integers(-2, 3, n) / 10, 0, 1), base


def _agree(ours: sy.uncertainty.Comparison, peer: Any) -> None:
    error = math.sqrt(peer.pvalue * (1 - peer.pvalue) / 999)
    assert abs(ours.p_value - peer.pvalue) < 5 * error + 2e-3, (ours.p_value, peer.pvalue)


def graded() -> Row:
    """A comparison of graded pairs with its interval, against 999 random sign patterns of the differences

    SciPy's default of 9,999 patterns takes ten times as long, and gives no p below 2e-4. Its time also grows with the
    number of pairs: 999 patterns of 1e5 pairs took minutes.
    """
    (stats,) = need("scipy.stats")
    new, base = _pairs(N)
    d = new - base
    return Row(
        work="compare, graded, 1,000 pairs",
        ours=lambda: sy.compare(new, baseline=base),
        peer=lambda: stats.permutation_test(
            (d,), np.mean, permutation_type="samples", n_resamples=999, vectorized=True, rng=1
        ),
        against='`stats.permutation_test(permutation_type="samples", n_resamples=999)`',
        package="scipy",
        at_least=100.0,
        agree=_agree,
    )


def _smooth(n: int) -> Any:
    x = np.random.default_rng(1).normal(0.002, 1, n)
    return lambda: _core.sign_flip(x, alternative="two-sided")


def growth() -> Growth:
    """The test alone, of differences without a step"""
    return Growth(
        work="sign-flip p of smooth differences", unit="pair", sizes=(10_000, 100_000, 1_000_000), make=_smooth
    )


ROWS = [graded]
GROWTH = [growth]


IDEAL, FEW = 1_000_000, 10


def _ideal(method: str) -> Row:
    (stats,) = need("scipy.stats")
    x = np.random.default_rng(2).lognormal(size=IDEAL)
    return Row(
        work=f"ideal bootstrap mean, {method}, n = 1e6",
        ours=lambda: sy.bootstrap(x, method=method, n_resamples=math.inf),
        peer=lambda: stats.bootstrap((x,), np.mean, method="percentile", n_resamples=FEW, batch=1, rng=1),
        against=f'scipy `stats.bootstrap(method="percentile", n_resamples={FEW})`',
        package="scipy",
        at_least=5.0,
        agree=_same_centre,
    )


def _same_centre(ours: sy.uncertainty.BootstrapEstimate, peer: Any) -> None:
    """Ten resamples lie inside the limits of all, widened by their own width."""
    assert ours.low is not None
    assert ours.high is not None
    low, high = peer.confidence_interval
    width = ours.high - ours.low
    assert ours.low - width < low < high < ours.high + width


def ideal_percentile() -> Row:
    """The percentile limits of infinitely many resamples of 1e6 rows, against ten of SciPy's resamples

    SciPy's 9,999 take a thousand times as long as its ten, so that five times as fast is 5,000 times as fast.
    """
    return _ideal("percentile")


def ideal_bca() -> Row:
    """The same by BCa, for which SciPy would need a jackknife of 1e6 means as well"""
    return _ideal("bca")
