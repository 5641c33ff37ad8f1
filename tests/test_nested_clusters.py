"""Clusters inside clusters: what a tuple of ids means, the exact distribution, and what is refused."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy

from .cases import normalish, uniform
from .test_bootstrap import multisets
from .test_designs import goodness

X = np.array([1.0, 2.5, 4.0, 10.0, 13.0, 19.0, 28.0])
OUTER, INNER = [*"aaabbcc"], [1, 1, 2, 1, 2, 5, 5]


def draws(count: int, times: int) -> tuple[np.ndarray, np.ndarray]:
    """Every way in which ``times`` draws fall on ``count`` clusters, and its probability."""
    if not times:
        return np.zeros((1, count), np.int64), np.ones(1)
    found = [np.bincount(c, minlength=count) for c in itertools.combinations_with_replacement(range(count), times)]
    ways = [math.factorial(times) / math.prod(math.factorial(k) for k in c.tolist()) / count**times for c in found]
    return np.array(found), np.array(ways)


def nested() -> tuple[np.ndarray, np.ndarray]:
    """Every resample of the inner clusters (a1, a2), (b1, b2), (c5) as counts, and its probability.

    The copies of an outer cluster draw separately: so it is written here, one copy after the other.
    """
    rows, chances = [], []
    for outer, chance in zip(*multisets(3), strict=True):
        inside = []
        for size, times in zip((2, 2, 1), outer.tolist(), strict=True):
            ways = [(np.zeros(size, np.int64), 1.0)]
            for _ in range(times):
                ways = [(a + b, p * q) for a, p in ways for b, q in zip(*draws(size, size), strict=True)]
            inside.append(ways)
        for a, b, c in itertools.product(*inside):
            rows.append(np.concatenate([a[0], b[0], c[0]]))
            chances.append(chance * a[1] * b[1] * c[1])
    return np.array(rows), np.array(chances)


def inner_sums(x: np.ndarray) -> np.ndarray:
    return np.array([x[0] + x[1], x[2], x[3], x[4], x[5] + x[6]])


@pytest.mark.parametrize("weights", [None, np.array([1, 2, 1, 3, 1, 0.5, 2])])
def test_the_mean_of_nested_clusters_has_its_exact_distribution(weights: np.ndarray | None) -> None:
    counts, chance = nested()
    w = np.ones(7) if weights is None else weights
    exact = counts @ inner_sums(w * X) / (counts @ inner_sums(w))
    boot = sy.bootstrap(
        X, clusters=(OUTER, INNER), weights=weights, n_resamples=20_000, method="percentile", seed=1
    )  # fmt: skip
    assert boot.replicates is not None
    assert goodness(exact, chance, boot.replicates) > 1e-4


def test_the_median_of_nested_clusters_has_its_exact_distribution() -> None:
    counts, chance = nested()
    rows = counts[:, [0, 0, 1, 2, 3, 4, 4]]
    exact = np.array([np.median(np.repeat(X, c)) for c in rows])
    boot = sy.bootstrap(X, "median", clusters=(OUTER, INNER), n_resamples=20_000, method="percentile", seed=2)
    assert boot.replicates is not None
    assert goodness(exact, chance, boot.replicates) > 1e-4


def test_three_levels_have_their_exact_distribution() -> None:
    """Two outer clusters, of which one has two inside, of which one has two inside."""
    x, of = X[:4], ([*"aaab"], [*"ppqr"], [1, 2, 1, 1])
    totals: dict[tuple[int, ...], float] = {}
    for outer, chance in zip(*multisets(2), strict=True):
        for middle, p in zip(*draws(2, 2 * int(outer[0])), strict=True):
            for inner, q in zip(*draws(2, 2 * int(middle[0])), strict=True):
                key = (*inner.tolist(), int(middle[1]), int(outer[1]))
                totals[key] = totals.get(key, 0.0) + chance * p * q
    counts, chances = np.array(list(totals)), np.array(list(totals.values()))
    boot = sy.bootstrap(x, clusters=of, n_resamples=20_000, method="percentile", seed=3)
    assert boot.replicates is not None
    assert goodness(counts @ x / counts.sum(axis=1), chances, boot.replicates) > 1e-4


@pytest.mark.parametrize("statistic", ["mean", "median", "sum"])
@pytest.mark.parametrize("method", [None, "percentile", "bca"])
def test_one_level_is_that_level_to_the_bit(statistic: Any, method: Any) -> None:
    x, ids = normalish(200, 1), np.arange(200) // 7
    how: dict[str, Any] = {"n_resamples": 499, "method": method}
    assert sy.bootstrap(x, statistic, clusters=(ids,), **how) == sy.bootstrap(x, statistic, clusters=ids, **how)


def test_one_level_of_an_estimate_is_that_level() -> None:
    x, ids = normalish(200, 1), np.arange(200) // 7
    assert sy.estimate(x, clusters=(ids,)) == sy.estimate(x, clusters=ids)


@pytest.mark.parametrize("statistic", ["mean", "variance", "median"])
def test_an_estimate_has_the_error_of_the_outermost_clusters(statistic: Any) -> None:
    x, outer, inner = normalish(300, 2), np.arange(300) // 15, np.arange(300) // 3
    assert sy.estimate(x, statistic, clusters=(outer, inner)) == sy.estimate(x, statistic, clusters=outer)


def test_an_id_inside_two_outer_clusters_is_two_clusters() -> None:
    x, outer = normalish(60, 3), np.arange(60) // 10
    anew, apart = np.arange(60) // 2 % 5, np.arange(60) // 2
    how: dict[str, Any] = {"n_resamples": 199, "method": "percentile"}
    assert sy.bootstrap(x, clusters=(outer, anew), **how) == sy.bootstrap(x, clusters=(outer, apart), **how)


@pytest.mark.parametrize("statistic", ["mean", "sum", "median"])
def test_a_level_that_repeats_the_one_above_changes_no_replicate(statistic: Any) -> None:
    x, ids = normalish(120, 4), np.arange(120) // 6
    twice = sy.bootstrap(x, statistic, clusters=(ids, ids), n_resamples=299, method="bca")
    once = sy.bootstrap(x, statistic, clusters=ids, n_resamples=299, method="bca")
    np.testing.assert_allclose(twice.replicates, once.replicates, rtol=1e-12, atol=1e-12)  # type: ignore[arg-type]
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))
    assert twice.detail["acceleration"] == pytest.approx(once.detail["acceleration"])


def test_the_order_of_the_rows_does_not_matter() -> None:
    x, outer, inner = normalish(90, 5), np.arange(90) // 18, np.arange(90) // 3
    order = np.random.default_rng(1).permutation(90)
    a = sy.bootstrap(x, clusters=(outer, inner), n_resamples=199)
    b = sy.bootstrap(x[order], clusters=(outer[order], inner[order]), n_resamples=199)
    np.testing.assert_allclose(a.replicates, b.replicates, rtol=1e-12)  # type: ignore[arg-type]


def test_the_spread_of_two_levels_is_that_of_the_means_and_inside_them() -> None:
    """Davison and Hinkley (1997, 3.8): (1 - 1/a) B + (1 - 1/b) W, with the variances of balanced levels."""
    a, b = 30, 8
    outer, inner = np.repeat(np.arange(a), b), np.arange(a * b)
    x = normalish(a * b, 6) + normalish(a, 7)[outer]
    means = x.reshape(a, b).mean(axis=1)
    between = ((means - means.mean()) ** 2).mean() / a
    within = ((x.reshape(a, b) - means[:, None]) ** 2).mean() / (a * b)
    boot = sy.bootstrap(x, clusters=(outer, inner), n_resamples=20_000, method="percentile")
    assert boot.standard_error == pytest.approx(math.sqrt(between + within), rel=0.02)


def test_strata_weights_and_groups_go_with_levels() -> None:
    x, w = normalish(240, 8), 0.5 + uniform(240, 9)
    outer, inner, by = np.arange(240) // 12, np.arange(240) // 4, np.arange(240) // 120
    boot = sy.bootstrap(x, clusters=(outer, inner), strata=outer % 3, weights=w, n_resamples=299)
    assert boot.method == "stratified weighted BCa bootstrap"
    assert boot.reason == "the default in nested clusters (20, 60) with weights in 3 strata"
    assert (boot.n, boot.n_clusters) == (240, 20)
    groups = sy.bootstrap(x, clusters=(outer, inner), by=by, n_resamples=299)
    alone = sy.bootstrap(x[by == 1], clusters=(outer[by == 1], inner[by == 1]), n_resamples=299)
    assert (groups["1"].low, groups["1"].high) == (alone.low, alone.high)
    keep = by == 1
    some = sy.bootstrap(x, clusters=(outer, inner), where=keep, n_resamples=299)
    assert (some.low, some.high, some.n_clusters) == (alone.low, alone.high, 10)


def test_many_columns_have_the_levels_of_one() -> None:
    x = np.stack([normalish(60, 1), normalish(60, 2)], axis=1)
    of = (np.arange(60) // 12, np.arange(60) // 3)
    both = sy.bootstrap(x, clusters=of, n_resamples=199, method="basic")
    assert both[1].low == sy.bootstrap(x[:, 1], clusters=of, n_resamples=199, method="basic").low


def test_threads_do_not_matter() -> None:
    x, of = normalish(3000, 1), (np.arange(3000) // 60, np.arange(3000) // 3)
    with sy.threads(1):
        one = sy.bootstrap(x, clusters=of, n_resamples=999)
    assert one == sy.bootstrap(x, clusters=of, n_resamples=999)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("clusters: expected the ids of one level at least; got an empty tuple", {"clusters": ()}),
    ("clusters[1]: expected one id per row, shape (4,); got shape (3,)", {"clusters": ([0, 0, 1, 1], [0, 1, 2])}),
    ("clusters[1]: expected an id for every row; got none at index 2", {"clusters": ([0, 0, 1, 1], [0, 1, None, 2])}),
    ("clusters: expected at least two clusters; got one", {"clusters": ([0] * 4, [0, 1, 2, 3])}),
    ("blocks: expected None with clusters", {"clusters": ([0, 0, 1, 1], [0, 1, 2, 3]), "blocks": "moving"}),
    (
        "method: expected one of percentile, basic, bc, expanded, normal for the function mean in nested clusters; got 'bca'",
        {"clusters": ([0, 0, 1, 1], [0, 1, 2, 3]), "statistic": np.mean, "method": "bca"},
    ),
    (
        "clusters: expected one kind with n_resamples=math.inf; got nested clusters (2, 4)",
        {"clusters": ([0, 0, 1, 1], [0, 1, 2, 3]), "n_resamples": math.inf},
    ),
    (
        "sampling: expected 'multinomial' in nested clusters (2, 4); got 'balanced'",
        {"clusters": ([0, 0, 1, 1], [0, 1, 2, 3]), "sampling": "balanced"},
    ),
    (
        "clusters: expected one kind with method='abc'; got nested clusters (2, 4); the outermost ids alone",
        {"clusters": ([0, 0, 1, 1], [0, 1, 2, 3]), "method": "abc"},
    ),
    (
        "method: expected percentile, expanded, basic, normal, bc or bca for a statistic of sorted rows, and with weights, ",
        {"clusters": ([0, 0, 1, 1], [0, 1, 2, 3]), "method": "studentized"},
    ),
    (
        "clusters: expected clusters that lie inside one stratum each",
        {"clusters": ([0, 0, 1, 1], [0, 1, 2, 3]), "strata": [0, 1, 1, 1]},
    ),
    (
        "strata: expected at least two clusters in every stratum",
        {"clusters": ([0, 0, 1, 1], [0, 1, 2, 3]), "strata": [0, 0, 1, 1]},
    ),
]


@pytest.mark.parametrize(("message", "how"), REFUSED)
def test_bad_levels_are_refused_in_one_sentence(message: str, how: dict[str, Any]) -> None:
    how = dict(how)
    statistic = how.pop("statistic", "mean")
    with pytest.raises(ValueError) as error:  # noqa: PT011
        sy.bootstrap([1.0, 2.0, 4.0, 8.0], statistic, **how)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("call", [sy.compare, sy.perplexity])
def test_other_calls_take_one_level(call: Any) -> None:
    data: Any = ([1.0, 2.0],) if call is sy.perplexity else ([1.0, 2.0], [2.0, 4.0])
    with pytest.raises(TypeError, match="clusters: expected an array or a list of ids; got a tuple"):
        call(*data, clusters=([0, 1], [0, 1]))
