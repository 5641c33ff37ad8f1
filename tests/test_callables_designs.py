"""Functions of rows that are drawn in strata, in blocks, in clusters of several kinds, and with weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import steelyard as sy

from .cases import normalish, uniform

N = 60
X = normalish(N, 5) + np.sin(np.arange(N) / 4)
WEIGHTS = 1 + np.floor(3 * uniform(N, 6))
MEANS: dict[str, Callable[..., Any]] = {
    "rows": lambda x: x.mean(),
    "axis": lambda x, axis=None: x.mean(axis=axis),
    "counts": lambda x, sample_weight: np.average(x, weights=sample_weight),
}
OUTER = np.arange(N) // 15
DESIGNS: dict[str, dict[str, Any]] = {
    "strata": {"strata": np.arange(N) % 3},
    "clusters in strata": {"clusters": np.arange(N) // 4, "strata": np.arange(N) // 20},
    "nested": {"clusters": (OUTER, np.arange(N) // 5 % 3, np.arange(N) // 2)},
    "nested in strata": {"clusters": (np.arange(N) // 6, np.arange(N) // 3), "strata": np.arange(N) // 30},
    "crossed": {"clusters": {"item": np.arange(N) // 6, "judge": np.arange(N) % 6}},
    "moving": {"blocks": sy.uncertainty.blocks("moving", 4)},
    "circular": {"blocks": "circular"},
    "stationary": {"blocks": sy.uncertainty.blocks("stationary", 3.5)},
    "poisson": {"sampling": "poisson"},
    "balanced in strata": {"sampling": "balanced", "strata": np.arange(N) % 3},
}


@pytest.mark.parametrize("takes", MEANS)
@pytest.mark.parametrize("design", DESIGNS)
def test_a_function_has_the_replicates_of_the_statistic_that_it_is(design: str, takes: str) -> None:
    options: Any = DESIGNS[design] | {"n_resamples": 199, "seed": 3, "method": "percentile"}
    got, want = sy.bootstrap(X, MEANS[takes], **options), sy.bootstrap(X, "mean", **options)
    np.testing.assert_allclose(got.replicates, want.replicates, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose([got.low, got.high], [want.low, want.high], rtol=1e-12, atol=1e-13)
    assert (got.method, got.n_clusters) == (want.method, want.n_clusters)
    assert got.detail == want.detail


@pytest.mark.parametrize("design", [{}, *DESIGNS.values()], ids=["plain", *DESIGNS])
def test_weights_multiply_the_counts(design: dict[str, Any]) -> None:
    options: Any = design | {"weights": WEIGHTS, "n_resamples": 199, "method": "basic"}
    got, want = sy.bootstrap(X, MEANS["counts"], **options), sy.bootstrap(X, "mean", **options)
    np.testing.assert_allclose(got.replicates, want.replicates, rtol=1e-12, atol=1e-13)
    assert got.value == pytest.approx(np.average(X, weights=WEIGHTS), rel=1e-14)
    assert got.method == want.method


def test_bca_of_a_weighted_function_leaves_out_each_row() -> None:
    got = sy.bootstrap(X, MEANS["counts"], weights=WEIGHTS, n_resamples=199)
    left = np.array([np.average(np.delete(X, i), weights=np.delete(WEIGHTS, i)) for i in range(N)])
    u = left.mean() - left
    assert got.method == "weighted BCa bootstrap"
    assert got.detail["acceleration"] == pytest.approx((u**3).sum() / (6 * (u**2).sum() ** 1.5), rel=1e-9)


@pytest.mark.parametrize("kind", ["moving", "circular", "stationary"])
def test_a_function_sees_the_rows_of_a_series_block_after_block(kind: Any) -> None:
    seen: list[np.ndarray] = []

    def watched(x: np.ndarray) -> float:
        seen.append(x.copy())
        return float(x.mean())

    sy.bootstrap(np.arange(40.0), watched, blocks=sy.uncertainty.blocks(kind, 5), n_resamples=50, method="percentile")
    resamples = np.array(seen[-50:])
    assert resamples.shape == (50, 40)
    after = np.diff(resamples, axis=1) % 40 == 1
    if kind == "stationary":
        assert 0.75 < after.mean() < 0.88  # 4 of 5 rows follow the one before them, and 1 of 40 by chance
    else:
        assert after[:, np.arange(1, 40) % 5 != 0].all()
        assert after[:, 4::5].mean() < 0.1


def test_the_correlation_of_neighbours_survives_in_blocks() -> None:
    """Rows in the order of their numbers, as often as they count, would stand beside themselves."""
    noise = normalish(400, 8)
    x = np.empty(400)
    x[0] = noise[0]
    for i in range(1, 400):
        x[i] = 0.6 * x[i - 1] + noise[i]

    def neighbours(x: np.ndarray) -> float:
        return float(np.corrcoef(x[1:], x[:-1])[0, 1])

    found = sy.bootstrap(x, neighbours, blocks=sy.uncertainty.blocks("circular", 25), n_resamples=400)
    assert found.method == "circular block percentile bootstrap"
    # One pair of 25 is torn: 24/25 of the correlation is left.
    assert found.replicates is not None
    assert found.replicates.mean() == pytest.approx(24 / 25 * found.value, abs=0.03)
    assert found.standard_error == pytest.approx(math.sqrt((1 - found.value**2) / 400), rel=0.3)


def test_the_length_of_blocks_is_that_for_the_mean() -> None:
    got = sy.bootstrap(X, np.median, blocks="circular", n_resamples=99)
    want = sy.bootstrap(X, "mean", blocks="circular", n_resamples=99)
    assert got.detail["block_length"] == want.detail["block_length"] > 1


@pytest.mark.parametrize("takes", MEANS)
@pytest.mark.parametrize("method", ["bca", "bc", "expanded"])
@pytest.mark.parametrize("design", ["strata", "clusters in strata", "uneven", "balanced in strata"])
def test_a_function_in_strata_has_the_limits_of_the_statistic_that_it_is(design: str, method: Any, takes: str) -> None:
    """The closed form of the acceleration; a mean is exact, and so are clusters of one size."""
    uneven = {"strata": np.minimum(np.arange(N) % 7, 2)}
    options: Any = DESIGNS.get(design, uneven) | {
        "n_resamples": 1999,
        "seed": 3,
        "method": method,
        "confidence_level": 0.9,
    }
    got, want = sy.bootstrap(X**3, MEANS[takes], **options), sy.bootstrap(X**3, "mean", **options)
    np.testing.assert_allclose([got.low, got.high], [want.low, want.high], rtol=1e-9)
    assert got.method == want.method
    assert got.detail.get("acceleration", 0) == pytest.approx(want.detail.get("acceleration", 0), rel=1e-9)


def test_a_median_in_strata_is_the_median_in_strata() -> None:
    """The same parts are left out, of more than 500 rows in groups."""
    for n in (60, 2000):
        x, strata = normalish(n, 4), np.minimum(np.arange(n) % 9, 2)
        got, want = (sy.bootstrap(x, of, strata=strata, n_resamples=499) for of in (np.median, "median"))
        assert want.method == got.method == "stratified BCa bootstrap"
        assert got.detail["acceleration"] == pytest.approx(want.detail["acceleration"], rel=1e-9, abs=1e-12)
        np.testing.assert_allclose([got.low, got.high], [want.low, want.high], rtol=1e-12)


def test_the_acceleration_in_strata_is_that_of_enumerated_influences() -> None:
    """Of a ratio, whose jackknife differs from its influences by what vanishes with the rows."""
    strata = np.repeat([0, 1], [300, 700])
    x, y = 9 + normalish(1000, 2) ** 2 + strata, 12 + normalish(1000, 3)

    def ratio(x: np.ndarray, y: np.ndarray) -> float:
        return float(x.sum() / y.sum())

    got, want = (sy.bootstrap((x, y), of, strata=strata, n_resamples=499) for of in (ratio, "ratio"))
    assert got.detail["acceleration"] == pytest.approx(want.detail["acceleration"], rel=0.2)
    # The groups of two rows that are left out together, by themselves.
    part = np.concatenate([np.arange(300) % 150, 150 + np.arange(700) % 350])
    u = ratio(x, y) - np.array([ratio(x[part != g], y[part != g]) for g in range(500)])
    u -= np.repeat([u[:150].mean(), u[150:].mean()], [150, 350])
    assert got.detail["acceleration"] == pytest.approx((u**3).sum() / (6 * (u**2).sum() ** 1.5), rel=1e-9)


def test_without_a_method_the_reason_says_why_it_is_no_bca() -> None:
    found = sy.bootstrap(X, np.median, blocks="circular", n_resamples=99)
    assert found.method == "circular block percentile bootstrap"
    assert found.reason.startswith("the default for a function of rows that are not drawn one by one in blocks of")
    assert sy.bootstrap(X, MEANS["counts"], weights=WEIGHTS, n_resamples=99).method == "weighted BCa bootstrap"
