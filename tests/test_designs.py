"""Designs of resampling: exact distributions, closed forms, what they leave alone, and what is refused."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard.reference import designs as reference
from steelyard.uncertainty._statistics import of_sums_by_name

from .cases import normalish, uniform
from .cases.uncertainty_bootstrap import sums_columns
from .test_bootstrap import multisets

ALL = of_sums_by_name()
every = pytest.mark.parametrize("statistic", ALL)
X = np.array([1.0, 2.5, 4.0, 10.0, 13.0, 19.0, 28.0])
STRATA = ["a", "a", "b", "a", "b", "b", "b"]
RANKED = ("median", "iqr", "trimmed_mean", "mad")


def given(columns: list[np.ndarray]) -> Any:
    return columns[0] if len(columns) == 1 else tuple(columns)


def goodness(exact: np.ndarray, weight: np.ndarray, seen: np.ndarray) -> float:
    """The p-value of chi-square of replicates against all resamples and their probabilities."""
    known, which = np.unique(np.round(exact, 9), return_inverse=True)
    expected = np.bincount(which, weight) * len(seen)
    places = abs(seen[:, None] - known).argmin(axis=1)
    np.testing.assert_allclose(known[places], seen, atol=1e-8)
    counts, often = np.bincount(places, minlength=len(known)), expected >= 5
    counts = np.append(counts[often], counts[~often].sum())
    expected = np.append(expected[often], expected[~often].sum())
    full = expected > 1e-9
    return float(stats.chisquare(counts[full], expected[full]).pvalue)


# -- strata and weights -----------------------------------------------------------------------------------


def stratified() -> tuple[np.ndarray, np.ndarray]:
    """Every resample of X in its strata as counts, and its probability."""
    (three, p3), (four, p4) = multisets(3), multisets(4)
    rows = [np.array([a[0], a[1], b[0], a[2], b[1], b[2], b[3]]) for a, b in itertools.product(three, four)]
    return np.array(rows), np.array([p * q for p, q in itertools.product(p3, p4)])


@pytest.mark.parametrize("weights", [None, np.array([1, 2, 1, 3, 1, 0.5, 2])])
def test_the_mean_in_strata_has_its_exact_distribution(weights: np.ndarray | None) -> None:
    counts, chance = stratified()
    each = counts * (1.0 if weights is None else weights)
    exact = each @ X / each.sum(axis=1)
    boot = sy.bootstrap(X, strata=STRATA, weights=weights, n_resamples=20_000, method="percentile", seed=1)
    assert boot.replicates is not None
    assert goodness(exact, chance, boot.replicates) > 1e-4


def test_the_macro_mean_in_strata_has_its_exact_distribution() -> None:
    counts, chance = stratified()
    a = np.array([one == "a" for one in STRATA])
    exact = (counts[:, a] @ X[a] / 3 + counts[:, ~a] @ X[~a] / 4) / 2
    boot = sy.bootstrap(X, strata=STRATA, average="macro", n_resamples=20_000, method="percentile", seed=2)
    assert boot.value == pytest.approx((X[a].mean() + X[~a].mean()) / 2)
    assert boot.replicates is not None
    assert goodness(exact, chance, boot.replicates) > 1e-4


@pytest.mark.parametrize("statistic", RANKED)
def test_sorted_rows_in_strata_have_their_exact_distribution(statistic: Any) -> None:
    """Strata of 3 and 4 rows; whole resamples are written out by NumPy's own functions."""
    of = {
        "median": np.median,
        "iqr": lambda x: np.quantile(x, 0.75) - np.quantile(x, 0.25),
        "trimmed_mean": lambda x: stats.trim_mean(x, 0.1),
        "mad": lambda x: np.median(abs(x - np.median(x))),
    }[statistic]
    counts, chance = stratified()
    exact = np.array([of(np.repeat(X, c)) for c in counts])
    boot = sy.bootstrap(X, statistic, strata=STRATA, n_resamples=20_000, method="percentile", seed=3)
    assert boot.replicates is not None
    assert goodness(exact, chance, boot.replicates) > 1e-4


@every
@pytest.mark.parametrize("design", ["weights", "strata", "macro", "weighted clusters in strata"])
def test_the_spread_of_replicates_is_the_error_in_closed_form(statistic: Any, design: str) -> None:
    columns, clusters = sums_columns(statistic, 900), np.arange(900) % 150
    how: dict[str, Any] = {
        "weights": {"weights": 0.5 + uniform(900, 8)},
        "strata": {"clusters": clusters, "strata": clusters % 3},
        "macro": {"clusters": clusters, "strata": clusters % 3, "average": "macro"},
        "weighted clusters in strata": {
            "clusters": clusters, "strata": clusters % 3, "weights": 0.5 + uniform(900, 8)
        },
    }[design]  # fmt: skip
    want = sy.estimate(given(columns), statistic, **how)
    boot = sy.bootstrap(given(columns), statistic, **how, n_resamples=4000, method="percentile")
    units = 900 if design == "weights" else 50
    assert boot.value == pytest.approx(want.value, rel=1e-11)
    assert want.standard_error == pytest.approx(boot.standard_error * math.sqrt(units / (units - 1)), rel=0.08)


@every
def test_one_stratum_and_equal_weights_are_the_plain_bootstrap(statistic: Any) -> None:
    x = given(sums_columns(statistic, 60))
    plain = sy.bootstrap(x, statistic, n_resamples=499)
    for how in ({"strata": np.zeros(60, np.int64)}, {"weights": np.ones(60)}):
        got = sy.bootstrap(x, statistic, n_resamples=499, **how)  # type: ignore[arg-type]
        np.testing.assert_allclose(got.replicates, plain.replicates, rtol=1e-9, atol=1e-12)
        assert (got.low, got.high) == pytest.approx((plain.low, plain.high), rel=1e-9, abs=1e-12)
        assert got.detail["acceleration"] == pytest.approx(plain.detail["acceleration"], rel=1e-9, abs=1e-12)


def test_one_stratum_of_sorted_rows_is_the_plain_bootstrap() -> None:
    x = normalish(700, 3)
    plain, got = (
        sy.bootstrap(x, "median", n_resamples=499),
        sy.bootstrap(x, "median", n_resamples=499, strata=["all"] * 700, method="percentile"),
    )
    assert (got.replicates == plain.replicates).all()


def test_the_acceleration_in_strata_is_that_of_two_samples() -> None:
    """Efron and Tibshirani's for several samples: influences about the mean of their own sample."""
    x, strata = normalish(30, 1) ** 2 + 5 * (np.arange(30) % 2), np.arange(30) % 2
    u = np.concatenate([x[strata == h] - x[strata == h].mean() for h in range(2)])
    want = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    boot = sy.bootstrap(x, strata=strata, n_resamples=999)
    assert boot.detail["acceleration"] == pytest.approx(want, abs=1e-12)
    by_jackknife = sy.bootstrap(x, sy.uncertainty.trimmed_mean(0.0), strata=strata, n_resamples=999)
    assert by_jackknife.detail["acceleration"] == pytest.approx(want, abs=1e-3)


def test_strata_take_the_variance_between_them_away() -> None:
    x, strata = normalish(200, 1) + 100 * (np.arange(200) % 2), np.arange(200) % 2
    assert sy.bootstrap(x, strata=strata).standard_error < 0.05 * sy.bootstrap(x).standard_error  # type: ignore[operator]


def test_what_the_answer_says() -> None:
    assert str(sy.bootstrap(X, strata=STRATA, method="basic").method) == "stratified basic bootstrap"
    got = sy.bootstrap(X, strata=STRATA, average="macro", weights=X, method="percentile")
    assert got.method == "macro stratified weighted percentile bootstrap"
    assert got.reason == "as asked with weights in 2 strata, each counting once"


def test_threads_do_not_matter() -> None:
    x, strata = normalish(3000, 1), np.arange(3000) % 7
    with sy.threads(1):
        one = sy.bootstrap(x, strata=strata, n_resamples=999)
    assert one == sy.bootstrap(x, strata=strata, n_resamples=999)


def test_the_reference_draws_the_same_counts() -> None:
    strata = np.array([0, 0, 1, 0, 1, 1, 1])
    boot = sy.bootstrap(X, strata=STRATA, n_resamples=50, method="percentile", confidence_level=0.5, seed=9)
    for r, value in enumerate(boot.replicates):  # type: ignore[arg-type]
        assert value == pytest.approx(reference.in_strata(strata, 9, r) @ X / 7)


# -- groups -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", ["mean", "f1", "auc", "median"])
def test_groups_are_resampled_as_they_would_be_alone(statistic: Any) -> None:
    by = np.arange(90) // 10 % 3
    columns = sums_columns("brier" if statistic == "auc" else "mean" if statistic == "median" else statistic, 90)
    got = sy.bootstrap(given(columns), statistic, by=by, n_resamples=499, clusters=np.arange(90) // 2)
    assert got.names == ("0", "1", "2")
    assert got.replicates is not None
    assert got.replicates.shape == (499, 3)
    for i in range(3):
        rows = [column[by == i] for column in columns]
        alone = sy.bootstrap(given(rows), statistic, n_resamples=499, clusters=np.arange(30) // 2)
        assert got[i].value == alone.value
        assert (got[i].low, got[i].high) == (alone.low, alone.high)


def test_groups_have_strata_of_their_own() -> None:
    x, by, strata = normalish(80, 2), np.arange(80) % 2, np.arange(80) // 20
    got = sy.bootstrap(x, by=by, strata=strata, n_resamples=499)
    alone = sy.bootstrap(x[by == 1], strata=strata[by == 1], n_resamples=499)
    assert (got["1"].low, got["1"].high) == (alone.low, alone.high)


# -- refusals ---------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, dict[str, Any]]] = [
    (
        "strata: expected at least two rows in every stratum; got one in 'b', which has no variance",
        {"strata": [*"aab"]},
    ),
    ("weights: expected finite numbers of at least 0; got -1.0 at index 1", {"weights": [1, -1, 1]}),
    ("weights: expected a row that counts with a weight above 0; got none", {"weights": [0, 0, 0]}),
    ("average: expected strata= with it; got 'macro'", {"average": "macro"}),
    (
        "x: expected resamples that differ in their mean; got 9999 of one value",
        {"strata": [*"aabb"], "x": [1, 1, 3, 3]},
    ),
    ("blocks: expected None with n_resamples=math.inf; got blocks", {"blocks": "moving", "n_resamples": math.inf}),
    (
        "weights: expected None for the function mean; got weights; a function that takes sample_weight can have weights",
        {"weights": [1, 2, 3], "statistic": np.mean},
    ),
    (
        "average: expected 'micro' for the function mean; got 'macro'; by= gives the answer of each stratum",
        {"x": [1, 2, 3, 4], "strata": [*"aabb"], "average": "macro", "statistic": np.mean},
    ),
    (
        "method: expected one of percentile, basic, bc, expanded, normal for the function mean in blocks; got 'bca'",
        {"x": [1, 2, 3, 4], "blocks": "moving", "method": "bca", "statistic": np.mean},
    ),
    ("weights: expected None for statistic='median'", {"weights": [1, 2, 3], "statistic": "median"}),
    ("average: expected 'micro' for statistic='iqr'", {"strata": [*"aaa"], "average": "macro", "statistic": "iqr"}),
    ("by: expected one statistic with it; got 2 statistics", {"by": [*"aab"], "statistic": ("mean", "median")}),
    (
        "x[1]: expected values of at least 0 with weights; got values from -1 on",
        {"weights": [1, 2, 3], "x": ([1, 2, 3], [3, -1, 4]), "statistic": "ratio"},
    ),
    (
        "clusters: expected clusters that lie inside one stratum each; got one with rows in 'a' and in 'b'",
        {"x": [1, 2, 3, 4], "strata": [*"aabb"], "clusters": [0, 1, 1, 2]},
    ),
]


@pytest.mark.parametrize(("message", "how"), REFUSED)
def test_bad_designs_are_refused_in_one_sentence(message: str, how: dict[str, Any]) -> None:
    x, statistic = how.pop("x", [1.0, 2.0, 4.0]), how.pop("statistic", "mean")
    with pytest.raises(ValueError, match="^" + "".join("\\" + c if c in "[]()" else c for c in message)):
        sy.bootstrap(x, statistic, **how)


# -- blocks -----------------------------------------------------------------------------------------------

KINDS = ("moving", "circular", "stationary")
SERIES = np.array([1.0, 2.5, 7.0, 19.0, 28.0])


def in_blocks(kind: str, n: int, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Every resample of n rows in blocks as counts, and its probability: starts, or steps, are enumerated."""
    if kind == "stationary":
        follow, paths = 1 - 1 / length, list(itertools.product(range(n), repeat=n))
        chance = [
            math.prod((1 - follow) / n + follow * (b == (a + 1) % n) for a, b in itertools.pairwise(path)) / n
            for path in paths
        ]
        return np.array([np.bincount(path, minlength=n) for path in paths]), np.array(chance)
    block, starts = int(length), n if kind == "circular" else n - int(length) + 1
    drawn = [
        [(start + i) % n for start in one for i in range(block)][:n]
        for one in itertools.product(range(starts), repeat=math.ceil(n / block))
    ]
    return np.array([np.bincount(path, minlength=n) for path in drawn]), np.full(len(drawn), 1 / len(drawn))


@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize("kind", KINDS)
def test_blocks_have_their_exact_distribution(kind: Any, statistic: Any) -> None:
    length = 1.7 if kind == "stationary" else 2
    counts, chance = in_blocks(kind, 5, length)
    of = np.mean if statistic == "mean" else np.median
    exact = np.array([of(np.repeat(SERIES, c)) for c in counts])
    blocks = sy.uncertainty.blocks(kind, length)
    boot = sy.bootstrap(SERIES, statistic, blocks=blocks, n_resamples=20_000, method="percentile", seed=4)
    assert boot.replicates is not None
    assert goodness(exact, chance, boot.replicates) > 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 4, 7, 60])
def test_the_reference_draws_the_same_blocks(kind: Any, length: float) -> None:
    x = normalish(60, 5)
    if kind != "stationary" and length == 60:
        with pytest.raises(ValueError, match="resamples that differ"):
            sy.bootstrap(x, blocks=sy.uncertainty.blocks(kind, length), n_resamples=20)
        return
    how: dict[str, Any] = {"n_resamples": 20, "method": "percentile", "confidence_level": 0.5, "seed": 8}
    boot = sy.bootstrap(x, blocks=sy.uncertainty.blocks(kind, length), **how)
    want = [reference.in_blocks(kind, length, 60, 8, r) @ x / 60 for r in range(20)]
    assert boot.replicates == pytest.approx(want)


def test_the_reference_draws_the_same_long_blocks() -> None:
    x = normalish(1000, 6)
    how: dict[str, Any] = {"n_resamples": 20, "method": "percentile", "confidence_level": 0.5, "seed": 9}
    for length in (1.0, 2.5, 400.0, 1000.0):
        boot = sy.bootstrap(x, blocks=sy.uncertainty.blocks("stationary", length), **how)
        want = [reference.in_blocks("stationary", length, 1000, 9, r) @ x / 1000 for r in range(20)]
        assert boot.replicates == pytest.approx(want, abs=1e-12), length


def autoregressive(n: int, share: float, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(n)
    for i in range(1, n):
        x[i] += share * x[i - 1]
    return x


def test_the_spread_in_blocks_has_its_closed_form() -> None:
    """Of circular blocks the variance of a block's mean over k; of stationary ones Politis and Romano's sum."""
    x = autoregressive(240, 0.6, 1)
    d, n, length = x - x.mean(), 240, 12
    around = np.convolve(np.append(d, d[: length - 1]), np.ones(length), "valid") / length
    circular = sy.bootstrap(
        x, blocks=sy.uncertainty.blocks("circular", length), n_resamples=20_000, method="percentile"
    )
    assert circular.standard_error == pytest.approx(math.sqrt((around**2).mean() / (n / length)), rel=0.02)
    inside = np.convolve(d, np.ones(length), "valid") / length
    moving = sy.bootstrap(x, blocks=sy.uncertainty.blocks("moving", length), n_resamples=20_000, method="percentile")
    assert moving.standard_error == pytest.approx(math.sqrt(inside.var() / (n / length)), rel=0.02)
    lags = np.arange(1, n)
    cyclic = np.array([(d * np.roll(d, -k)).mean() for k in range(n)])
    variance = (cyclic[0] + 2 * ((1 - lags / n) * (1 - 1 / length) ** lags * cyclic[1:]).sum()) / n
    boot = sy.bootstrap(x, blocks=sy.uncertainty.blocks("stationary", length), n_resamples=20_000, method="percentile")
    assert boot.standard_error == pytest.approx(math.sqrt(variance), rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "share"), [(30, 0.0), (100, 0.3), (500, 0.8), (2000, -0.5), (3000, 0.95)])
def test_the_length_is_that_of_politis_and_white(kind: Any, n: int, share: float) -> None:
    x = autoregressive(n, share, n)
    for statistic, series in (("mean", x), ("median", x), ("variance", (x - x.mean()) ** 2)):
        boot = sy.bootstrap(x, statistic, blocks=kind, n_resamples=99, method="percentile", confidence_level=0.5)  # type: ignore[arg-type]
        assert boot.detail["block_length"] == pytest.approx(reference.block_length(series, kind), rel=1e-9)


def test_the_length_for_an_autoregressive_series() -> None:
    """Politis and White's formula with the true spectrum: (2 (2 a/(1 - a^2))^2 n / D)^(1/3)."""
    for share, kind, divisor in ((0.5, "stationary", 2), (0.7, "stationary", 2), (0.5, "circular", 4 / 3)):
        want = (2 * (2 * share / (1 - share**2)) ** 2 * 40_000 / divisor) ** (1 / 3)
        found = [reference.block_length(autoregressive(40_000, share, seed), kind) for seed in range(5)]
        assert np.mean(found) == pytest.approx(want, rel=0.15)


def test_blocks_widen_the_interval_of_a_dependent_mean() -> None:
    x = autoregressive(2000, 0.8, 3)
    boot = sy.bootstrap(x, blocks="stationary")
    # The variance of the mean is (1 + a)/(1 - a) = 9 times that of independent rows.
    assert boot.standard_error == pytest.approx(3 * sy.bootstrap(x).standard_error, rel=0.25)  # type: ignore[operator]
    assert str(boot.method) == "stationary block BCa bootstrap"
    assert "chosen by Politis and White" in str(boot.reason)


def test_each_group_is_a_series() -> None:
    x, by = autoregressive(400, 0.5, 4), np.arange(400) % 2
    got, alone = sy.bootstrap(x, by=by, blocks="moving"), sy.bootstrap(x[by == 1], blocks="moving")
    assert (got["1"].low, got["1"].high) == (alone.low, alone.high)
    assert got.detail["block_length"][1] == alone.detail["block_length"]


BLOCKS_REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("blocks: expected None with clusters; got 'moving'", {"blocks": "moving", "clusters": [0, 0, 1]}),
    ("blocks: expected None with strata; got 'circular'", {"blocks": "circular", "strata": [*"aaa"]}),
    ("blocks: expected a length of at most 3 rows; got 4", {"blocks": sy.uncertainty.blocks("moving", 4)}),
    ("blocks: expected one of moving, circular, stationary; got 'still'", {"blocks": "still"}),
    (
        "blocks: expected a length for the function corrcoef; got 'moving'; pass blocks=steelyard.uncertainty.blocks(",
        {"x": ([1, 2, 3], [2, 1, 3]), "blocks": "moving", "statistic": np.corrcoef},
    ),
    (
        "blocks: expected a length for statistic='auc'; got 'moving'; pass blocks=steelyard.uncertainty.blocks",
        {"blocks": "moving", "statistic": "auc", "x": ([1, 2, 3], [0, 1, 0])},
    ),
]


@pytest.mark.parametrize(("message", "how"), BLOCKS_REFUSED)
def test_bad_blocks_are_refused_in_one_sentence(message: str, how: dict[str, Any]) -> None:
    test_bad_designs_are_refused_in_one_sentence(message, dict(how))


@pytest.mark.parametrize("length", [0, 2.5, -1, math.nan, math.inf])
def test_a_length_is_a_whole_number_of_rows(length: float) -> None:
    with pytest.raises(ValueError, match="length: expected a whole number of rows, at least 1"):
        sy.uncertainty.blocks("moving", length)
