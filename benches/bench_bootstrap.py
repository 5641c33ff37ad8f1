"""The bootstrap of a mean, against SciPy's with the batch size that is fastest for it."""

from __future__ import annotations

from typing import Any

import numpy as np

import steelyard as sy

from .harness import Call, Growth, Row, need, seconds

N, B = 100_000, 1_000
BATCHES = (1, 2, 3, 5)


def _column(n: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(1)).gamma(2.0, 1.0, n)


def _scipy(stats: Any, x: np.ndarray, batch: int, b: int) -> Any:
    return stats.bootstrap((x,), np.mean, method="percentile", n_resamples=b, batch=batch, vectorized=True, rng=1)


def mean() -> Row:
    """Bootstrap of the mean, n = 1e5, B = 1,000"""
    (stats,) = need("scipy.stats")
    x = _column(N)
    # SciPy's time depends on how well a batch fits the cache: the peer is the fastest of several.
    batch = min(BATCHES, key=lambda batch: min(seconds(lambda: _scipy(stats, x, batch, 100)) for _ in range(3)))

    def agree(ours: Any, peer: Any) -> None:
        low, high = peer.confidence_interval
        slack = 5 * (ours.low_error + ours.high_error)
        assert abs(ours.low - low) < slack
        assert abs(ours.high - high) < slack

    return Row(
        work=f"bootstrap mean, n = {N}, B = {B}",
        ours=lambda: sy.bootstrap(x, method="percentile", n_resamples=B),
        peer=lambda: _scipy(stats, x, batch, B),
        against=f'scipy `stats.bootstrap(method="percentile", batch={batch})`',
        package="scipy",
        at_least=5.0,
        agree=agree,
    )


def small() -> Row:
    """Bootstrap of the mean by BCa, n = 1,000, B = 9,999: the defaults of both"""
    (stats,) = need("scipy.stats")
    x = _column(1_000)
    return Row(
        work="bootstrap mean, BCa, n = 1000, B = 9999",
        ours=lambda: sy.bootstrap(x),
        peer=lambda: stats.bootstrap((x,), np.mean, n_resamples=9999, batch=100, vectorized=True, rng=1),
        against="scipy `stats.bootstrap(batch=100)`",
        package="scipy",
    )


def growth() -> Growth:
    """Rows"""

    def make(n: int) -> Call:
        x = _column(n)
        return lambda: sy.bootstrap(x, method="percentile", n_resamples=199)

    return Growth("bootstrap mean, B = 199", unit="row", sizes=(10**3, 10**4, 10**5, 10**6, 10**7), make=make)


ROWS = [mean, small]
GROWTH = [growth]
