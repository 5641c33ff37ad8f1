"""Clusters of two kinds that cross, such as items and judges: the variance, the pigeonhole bootstrap, refusals."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.reference import intervals as reference

from .cases import normalish, uniform
from .test_bootstrap import multisets
from .test_designs import goodness

ITEM, JUDGE = np.repeat(np.arange(3), 2), np.tile(np.arange(2), 3)
X = np.array([1.0, 2.5, 4.0, 10.0, 13.0, 19.0])


def two(n: int, items: int, judges: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random items and judges of n rows, all of which occur."""
    rng = np.random.default_rng(seed)
    item = rng.permutation(np.concatenate([np.arange(items), rng.integers(0, items, n - items)]))
    judge = rng.permutation(np.concatenate([np.arange(judges), rng.integers(0, judges, n - judges)]))
    return {"item": item, "judge": judge}


# -- the variance -----------------------------------------------------------------------------------------


def test_a_balanced_table_has_the_error_of_statsmodels() -> None:
    """Of a regression on a constant: each kind with its factor G/(G - 1)."""
    sm, sandwich = pytest.importorskip("statsmodels.api"), pytest.importorskip("statsmodels.stats.sandwich_covariance")
    ids = {"item": np.repeat(np.arange(6), 8), "judge": np.tile(np.repeat(np.arange(4), 2), 6)}
    x = normalish(48, 1) + normalish(6, 2)[ids["item"]] + normalish(4, 3)[ids["judge"]]
    e, cells = x - x.mean(), ids["item"] * 4 + ids["judge"]
    by = [(np.bincount(of, e) ** 2).sum() * g / (g - 1) for of, g in ((ids["item"], 6), (ids["judge"], 4), (cells, 24))]
    got = sy.estimate(x, clusters=ids)
    assert got.standard_error == pytest.approx(math.sqrt(by[0] + by[1] - by[2]) / 48)
    theirs = sandwich.cov_cluster_2groups(sm.OLS(x, np.ones(48)).fit(), ids["item"], ids["judge"])[0]
    assert got.standard_error == pytest.approx(math.sqrt(theirs.item()))
    assert got.detail["df"] == pytest.approx(3)
    assert (got.method, got.n_clusters) == ("two-way clustered t", 4)
    assert got.reason == "values in crossed clusters (6 item, 4 judge)"


@pytest.mark.parametrize("weighted", [False, True])
def test_an_unbalanced_table_has_the_formula_of_the_reference(weighted: bool) -> None:
    ids, x, w = two(90, 12, 7), normalish(90, 4), 0.5 + uniform(90, 5)
    x = x + normalish(12, 2)[ids["item"]]
    got = sy.estimate(x, clusters=ids, weights=w if weighted else None)
    weights = w if weighted else np.ones(90)
    pairs, cells = np.unique(ids["item"] * 7 + ids["judge"], return_inverse=True)
    a, b = np.divmod(pairs, 7)
    sums, sizes = np.bincount(cells, weights * x), np.bincount(cells, weights)
    m, variance, df = reference.crossed(sums, sizes, a, b)
    assert (got.value, got.standard_error) == pytest.approx((m, math.sqrt(variance)))
    assert got.detail["df"] == pytest.approx(df)


def test_a_kind_in_which_every_row_is_alone_changes_nothing() -> None:
    item = np.arange(60) // 7
    x = normalish(60, 1) + normalish(9, 2)[item]
    got = sy.estimate(x, clusters={"item": item, "row": np.arange(60)})
    want = sy.estimate(x, clusters=item)
    assert (got.standard_error, got.low, got.high) == pytest.approx((want.standard_error, want.low, want.high))


def test_answers_have_wilsons_interval_with_the_effective_rows() -> None:
    ids = two(200, 20, 10)
    x = uniform(200, 1) < 0.8
    got, graded = sy.estimate(x, clusters=ids), sy.estimate(x, clusters=ids, method="t")
    assert got.method == "two-way clustered Wilson"
    p = float(x.mean())
    want = min(200.0, p * (1 - p) / float(graded.standard_error) ** 2)  # type: ignore[arg-type]
    assert got.n_effective == pytest.approx(want)
    ones = sy.estimate(np.ones(200), clusters=ids)
    assert (ones.high, ones.n_effective) == (1.0, 10.0)


def test_a_variance_below_that_of_one_kind_is_not_used() -> None:
    ids, x = {"item": np.repeat([0, 1], 2), "judge": np.tile([0, 1], 2)}, np.array([1.0, -1.0, -1.0, 1.1])
    got = sy.estimate(x, clusters=ids)
    assert got.standard_error == pytest.approx(sy.estimate(x, clusters=ids["item"]).standard_error)
    assert str(got.reason).endswith("the variance of both kinds of clusters is below that of item alone, which is used")


def test_one_judge_has_no_interval() -> None:
    got = sy.estimate(X, clusters={"item": ITEM, "judge": np.zeros(6, np.int64)})
    assert got.low is None
    assert got.reason == "the spread between clusters is unknown under two clusters"


def test_groups_have_clusters_of_their_own() -> None:
    ids, x, by = two(120, 12, 6), normalish(120, 1), np.arange(120) % 2
    got = sy.estimate(x, clusters=ids, by=by)
    alone = sy.estimate(x[by == 1], clusters={name: of[by == 1] for name, of in ids.items()})
    assert (got["1"].low, got["1"].high) == (alone.low, alone.high)
    keep = sy.estimate(x, clusters=ids, where=by == 1)
    assert (keep.low, keep.high) == (alone.low, alone.high)


# -- the pigeonhole bootstrap -----------------------------------------------------------------------------


def pigeonholes() -> tuple[np.ndarray, np.ndarray]:
    """Every resample of three items by two judges as counts of the six rows, and its probability."""
    (items, p), (judges, q) = multisets(3), multisets(2)
    rows = [np.outer(a, b).ravel() for a, b in itertools.product(items, judges)]
    return np.array(rows), np.array([x * y for x, y in itertools.product(p, q)])


@pytest.mark.parametrize("weights", [None, np.array([1, 2, 1, 3, 1, 0.5])])
def test_the_mean_has_its_exact_distribution(weights: np.ndarray | None) -> None:
    counts, chance = pigeonholes()
    each = counts * (1.0 if weights is None else weights)
    boot = sy.bootstrap(
        X, clusters={"item": ITEM, "judge": JUDGE}, weights=weights, n_resamples=20_000, method="percentile", seed=1
    )  # fmt: skip
    assert boot.replicates is not None
    assert goodness(each @ X / each.sum(axis=1), chance, boot.replicates) > 1e-4


def test_the_median_has_its_exact_distribution() -> None:
    counts, chance = pigeonholes()
    exact = np.array([np.median(np.repeat(X, c)) for c in counts])
    how: Any = {"n_resamples": 20_000, "method": "percentile", "seed": 2}
    boot = sy.bootstrap(X, "median", clusters={"item": ITEM, "judge": JUDGE}, **how)
    assert boot.replicates is not None
    assert goodness(exact, chance, boot.replicates) > 1e-4


def test_items_alone_are_drawn_as_clusters_are() -> None:
    """Judges of one row each would be drawn too; judges whose rows are all alike make no difference."""
    item, x = np.repeat(np.arange(20), 4), np.repeat(normalish(20, 1), 4)
    boot = sy.bootstrap(x, clusters={"item": item, "judge": np.tile(np.arange(4), 20)}, n_resamples=299)
    np.testing.assert_allclose(
        boot.replicates, sy.bootstrap(x, clusters=item, n_resamples=299, method="bca").replicates, rtol=1e-9
    )  # type: ignore[arg-type]


def test_the_spread_is_owens() -> None:
    """Without items or judges that differ, the variance is three times that of independent rows (Owen 2007)."""
    a, b = 40, 40
    ids = {"item": np.repeat(np.arange(a), b), "judge": np.tile(np.arange(b), a)}
    x = normalish(a * b, 3)
    boot = sy.bootstrap(x, clusters=ids, n_resamples=4000, method="percentile")
    plain = float(x.std()) / math.sqrt(a * b)
    assert boot.standard_error == pytest.approx(math.sqrt(3) * plain, rel=0.15)
    x = x + 3 * normalish(a, 1)[ids["item"]] + 3 * normalish(b, 2)[ids["judge"]]
    boot = sy.bootstrap(x, clusters=ids, n_resamples=4000, method="percentile")
    assert boot.standard_error == pytest.approx(sy.estimate(x, clusters=ids).standard_error, rel=0.08)
    assert boot.method == "pigeonhole percentile bootstrap"
    assert boot.reason == "as asked in crossed clusters (40 item, 40 judge)"


def test_the_acceleration_is_that_of_two_samples() -> None:
    ids = {"item": np.repeat(np.arange(8), 5), "judge": np.tile(np.arange(5), 8)}
    x = normalish(40, 1) ** 2 + normalish(8, 2)[ids["item"]]
    e = x - x.mean()
    u = np.concatenate([np.bincount(of, e) for of in ids.values()])
    want = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    assert sy.bootstrap(x, clusters=ids, n_resamples=999).detail["acceleration"] == pytest.approx(want)


def test_threads_do_not_matter() -> None:
    x, ids = normalish(3000, 1), two(3000, 100, 40)
    with sy.threads(1):
        one = sy.bootstrap(x, clusters=ids, n_resamples=999)
    assert one == sy.bootstrap(x, clusters=ids, n_resamples=999)


# -- refusals ---------------------------------------------------------------------------------------------

A, B = [0, 0, 1, 1], [0, 1, 0, 1]
BOTH: list[tuple[str, dict[str, Any]]] = [
    (
        "clusters: expected two kinds of clusters in a mapping; got 3 ('a', 'b', 'c'); a tuple nests",
        {"clusters": {"a": A, "b": B, "c": A}},
    ),
    (
        "clusters: expected two kinds of clusters in a mapping; got 1 ('a'); pass the ids alone for one kind",
        {"clusters": {"a": A}},
    ),
    ("clusters: expected two kinds of clusters in a mapping; got none", {"clusters": {}}),
    ("clusters['b']: expected one id per row, shape (4,); got shape (3,)", {"clusters": {"a": A, "b": B[:3]}}),
    ("clusters['a']: expected an id for every row; got none at", {"clusters": {"a": [0, None, 1, 1], "b": B}}),
    ("strata: expected None with clusters of two kinds; got strata", {"clusters": {"a": A, "b": B}, "strata": A}),
]
BOOTSTRAP: list[tuple[str, dict[str, Any]]] = [
    ("clusters: expected at least two clusters; got one", {"clusters": {"a": A, "b": [7] * 4}}),
    ("blocks: expected None with clusters", {"clusters": {"a": A, "b": B}, "blocks": "moving"}),
    (
        "method: expected one of percentile, basic, bc, expanded, normal for the function mean in crossed clusters; got",
        {"clusters": {"a": A, "b": B}, "statistic": np.mean, "method": "bca"},
    ),
    (
        "clusters: expected one kind with n_resamples=math.inf; got crossed clusters (2 a, 2 b)",
        {"clusters": {"a": A, "b": B}, "n_resamples": math.inf},
    ),
    (
        "sampling: expected 'multinomial' in crossed clusters (2 a, 2 b); got 'poisson'",
        {"clusters": {"a": A, "b": B}, "sampling": "poisson"},
    ),
    (
        "clusters: expected one kind with method='abc'; got crossed clusters (2 a, 2 b)",
        {"clusters": {"a": A, "b": B}, "method": "abc"},
    ),
]


@pytest.mark.parametrize(
    ("call", "message", "how"),
    [(call, *row) for call in (sy.estimate, sy.bootstrap) for row in BOTH]
    + [(sy.bootstrap, *row) for row in BOOTSTRAP],
)
def test_bad_kinds_are_refused_in_one_sentence(call: Any, message: str, how: dict[str, Any]) -> None:
    how = dict(how)
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call([1.0, 2.0, 4.0, 8.0], how.pop("statistic", "mean"), **how)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("statistic", ["median", "variance"])
def test_other_estimates_take_one_kind(statistic: Any) -> None:
    message = f"clusters: expected one kind for statistic='{statistic}'; got 2 in a mapping; steelyard.bootstrap takes"
    with pytest.raises(ValueError, match=message):
        sy.estimate([1.0, 2.0, 4.0, 8.0], statistic, clusters={"a": A, "b": B})


def test_names_are_texts() -> None:
    with pytest.raises(TypeError, match="clusters: expected names of the kinds of clusters in a mapping; got int 1"):
        sy.estimate([1.0, 2.0, 4.0, 8.0], clusters={1: A, 2: B})


def test_kinds_that_seldom_meet_are_refused() -> None:
    message = "clusters: expected rows in every resample; got a resample in which no a that was drawn has a row of a b"
    with pytest.raises(ValueError, match=message):
        sy.bootstrap([1.0, 2.0, 4.0, 8.0, 9.0, 11.0], clusters={"a": np.arange(6), "b": np.arange(6)})


def test_no_spread_between_the_clusters_of_either_kind_is_said_so() -> None:
    found = sy.estimate([0.75, 0.25, 0.25, 0.75], clusters={"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]})
    assert "the means of either kind are equal but for rounding" in found.reason
    assert "0 of 2" in found.reason
