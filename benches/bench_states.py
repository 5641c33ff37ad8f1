"""States of statistics that are too large for one read, beside what one would write without them."""

from __future__ import annotations

from typing import Any

import numpy as np

import steelyard as sy

from .harness import Row, need

N, B = 1_000_000, 200
ROWS_READ, BATCH, CLUSTERS = 10_000_000, 1_000_000, 10_000


def _column() -> np.ndarray:
    return np.random.default_rng(0).random(N)


def _state(x: np.ndarray) -> Any:
    return sy.uncertainty.BootstrapState(n_resamples=B).update(x, first_row=0).compute()


def _spread_alike(ours: Any, spread: float) -> None:
    assert abs(ours.standard_error / spread - 1) < 0.5, (ours.standard_error, spread)


def poisson_loop() -> Row:
    """The bootstrap of a mean in a state that can be merged, against a loop of NumPy's Poisson counts"""
    x, rng = _column(), np.random.default_rng(1)

    def loop() -> float:
        means = []
        for _ in range(B):
            counts = rng.poisson(1.0, N)
            means.append((counts @ x) / counts.sum())
        return float(np.std(means, ddof=1))

    return Row(
        work=f"BootstrapState of a mean, n = {N:,}, B = {B}",
        ours=lambda: _state(x),
        peer=loop,
        against="`rng.poisson(1, n) @ x` in a loop",
        package="numpy",
        at_least=10.0,
        agree=_spread_alike,
    )


def multinomial() -> Row:
    """The same against the bootstrap of a column in memory, whose resamples cannot be added up"""
    x = _column()
    return Row(
        work=f"BootstrapState of a mean, n = {N:,}, B = {B}",
        ours=lambda: _state(x),
        peer=lambda: sy.bootstrap(x, method="percentile", n_resamples=B),
        against="`sy.bootstrap` of the column in memory",
        package="steelyard",
        at_least=0.3,
        agree=lambda ours, peer: _spread_alike(ours, peer.standard_error),
    )


def ratio_by_clusters() -> Row:
    """A ratio with its clustered error from batches, against the sums of pandas alone"""
    (pandas,) = need("pandas")
    rng = np.random.default_rng(2)
    up, down, ids = rng.random(ROWS_READ), rng.random(ROWS_READ), rng.integers(0, CLUSTERS, ROWS_READ)
    batches = [slice(start, start + BATCH) for start in range(0, ROWS_READ, BATCH)]

    def ours() -> float:
        state = sy.uncertainty.EstimateState("ratio")
        for rows in batches:
            state.update((up[rows], down[rows]), clusters=ids[rows])
        return state.compute().value

    def peer() -> float:
        total = None
        for rows in batches:
            part = pandas.DataFrame({"up": up[rows], "down": down[rows], "id": ids[rows]}).groupby("id").sum()
            total = part if total is None else total.add(part, fill_value=0.0)
        return total["up"].sum() / total["down"].sum()

    return Row(
        work=f"EstimateState of a ratio, n = {ROWS_READ:,} in {len(batches)} batches, {CLUSTERS:,} clusters",
        ours=ours,
        peer=peer,
        against="`groupby(id).sum()` of each batch, added up, without an error",
        package="pandas",
        at_least=5.0,
        agree=lambda ours, peer: np.testing.assert_allclose(ours, peer, rtol=1e-12),
    )


ROWS = [poisson_loop, multinomial, ratio_by_clusters]
