"""How resamples are drawn: exact laws, closed forms of the spread, what they agree with, and what is refused."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard import _core

from .cases import normalish, uniform
from .cases.uncertainty_bootstrap import sums_columns
from .test_designs import given, goodness

KINDS: tuple[Any, ...] = ("balanced", "poisson", "bayesian", sy.uncertainty.subsample(60))
every = pytest.mark.parametrize("sampling", KINDS, ids=str)
X = np.array([1.0, 2.5, 7.0, 19.0])
SHORT: dict[str, Any] = {"n_resamples": 20_000, "method": "percentile"}


def replicates(*x: Any, **how: Any) -> np.ndarray:
    found = sy.bootstrap(*x, **SHORT | how).replicates
    assert found is not None
    return found


# -- exact laws -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_poisson_counts_have_their_exact_distribution(statistic: Any) -> None:
    """Three rows of up to 9 draws each, given that there is one."""
    counts = np.array([one for one in itertools.product(range(10), repeat=3) if sum(one)])
    chance = stats.poisson(1).pmf(counts).prod(axis=1)
    of = np.mean if statistic == "mean" else np.median
    exact = np.array([of(np.repeat(X[:3], one)) for one in counts])
    found = replicates(X[:3], statistic, sampling="poisson", seed=1)
    assert goodness(exact, chance / chance.sum(), found) > 1e-4


def test_balanced_designs_are_all_alike() -> None:
    """The law of all counts of two rows in three replicates: that of a permutation of three copies of each."""
    seen: dict[tuple[float, ...], int] = {}
    for seed in range(6000):
        found = _core.resampled_counts(2, seed=seed, first=0, count=3, sampling="balanced", total=3)
        seen[tuple(found.tolist())] = seen.get(tuple(found.tolist()), 0) + 1
    ways: dict[tuple[float, ...], int] = {}
    for order in set(itertools.permutations([0, 0, 0, 1, 1, 1])):
        counts = np.concatenate([np.bincount(order[2 * r : 2 * r + 2], minlength=2) for r in range(3)])
        ways[tuple(counts.astype(float).tolist())] = ways.get(tuple(counts.astype(float).tolist()), 0) + 1
    assert set(seen) <= set(ways)
    expected = np.array(list(ways.values())) / sum(ways.values()) * 6000
    assert stats.chisquare([seen.get(one, 0) for one in ways], expected).pvalue > 1e-4


@pytest.mark.parametrize("total", [2, 5, 64])
def test_one_balanced_replicate_is_drawn_without_replacement(total: int) -> None:
    """Three rows of ``total`` copies each: a multivariate hypergeometric law."""
    draws = [_core.resampled_counts(3, seed=s, first=1, count=1, sampling="balanced", total=total) for s in range(6000)]
    possible = [one for one in itertools.product(range(4), repeat=3) if sum(one) == 3 and max(one) <= total]
    chance = np.array([math.prod(math.comb(total, k) for k in one) / math.comb(3 * total, 3) for one in possible])
    seen = np.array([sum(tuple(draw) == one for draw in draws) for one in possible])
    assert seen.sum() == 6000
    assert stats.chisquare(seen, chance * 6000).pvalue > 1e-4


@pytest.mark.parametrize("total", [1, 2, 999, 1024, 2047, 2048, 3001])
def test_every_row_counts_equally_often_over_balanced_replicates(total: int) -> None:
    counts = _core.resampled_counts(70, seed=3, first=0, count=total, sampling="balanced", total=total)
    counts = counts.reshape(total, 70)
    assert (counts.sum(axis=0) == total).all()
    assert (counts.sum(axis=1) == 70).all()


def test_the_mean_of_balanced_replicates_of_a_mean_is_the_mean() -> None:
    x = normalish(300, 2)
    for how in ({}, {"clusters": np.arange(300) // 3}, {"strata": np.arange(300) % 7}):
        found = replicates(x, sampling="balanced", n_resamples=2500, **how)
        assert found.mean() == pytest.approx(x.mean(), rel=1e-12)
    mean_off = abs(replicates(x, n_resamples=2500).mean() - x.mean())
    assert mean_off > 1e-6


def test_bayesian_shares_are_uniform_on_the_simplex() -> None:
    assert stats.kstest(replicates([0.0, 1.0], sampling="bayesian"), "uniform").pvalue > 1e-4
    # Of five rows the share of the first two is Beta(2, 3).
    found = replicates([1.0, 1.0, 0.0, 0.0, 0.0], sampling="bayesian", seed=5)
    assert stats.kstest(found, stats.beta(2, 3).cdf).pvalue > 1e-4


def test_the_bayesian_median_is_where_half_of_the_weight_lies() -> None:
    """Up to the k-th of n values lies the share Beta(k, n - k)."""
    x = np.array([3.0, 1.0, 8.0, 2.0, 5.0])
    found = replicates(x, "median", sampling="bayesian", seed=2)
    upto = np.array([0.0, *(stats.beta(k, 5 - k).sf(0.5) for k in range(1, 5)), 1.0])
    values, seen = np.unique(found, return_counts=True)
    np.testing.assert_array_equal(values, np.sort(x))
    assert stats.chisquare(seen, np.diff(upto) * len(found)).pvalue > 1e-4


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_m_draws_have_their_exact_distribution(statistic: Any) -> None:
    of = np.mean if statistic == "mean" else np.median
    exact = np.array([of(X[list(one)]) for one in itertools.product(range(4), repeat=3)])
    exact = of(X) + math.sqrt(3 / 4) * (exact - of(X))
    found = replicates(X, statistic, sampling=sy.uncertainty.subsample(3), seed=4)
    assert goodness(exact, np.full(64, 1 / 64), found) > 1e-4


def every_draw_in_strata(draws: tuple[int, int], rows: tuple[int, int]) -> list[tuple[list[int], list[int]]]:
    """Every resample of two strata, whose rows are numbered on, as the draws of each."""
    a = itertools.product(range(rows[0]), repeat=draws[0])
    b = itertools.product(range(rows[0], sum(rows)), repeat=draws[1])
    return [(list(one), list(other)) for one, other in itertools.product(a, b)]


@pytest.mark.parametrize("statistic", ["mean", "variance", "median"])
@pytest.mark.parametrize("draws", [(2, 2), (1, 3), (2, 4)])
def test_m_draws_in_strata_have_their_exact_distribution(statistic: Any, draws: tuple[int, int]) -> None:
    """Strata of three and four rows: of sums with the deviations of each, of sorted rows with each draw n/m times."""
    x, strata = np.array([1.0, 2.5, 7.0, 3.0, 4.0, 8.5, 30.0]), np.array([0, 0, 0, 1, 1, 1, 1])
    share, exact = np.array(draws) / [3, 4], []
    largest, value = math.sqrt(share.max()), float(getattr(np, {"variance": "var"}.get(statistic, statistic))(x))
    common = math.gcd(3 * draws[1], 4 * draws[0])
    times = 3 * draws[1] // common, 4 * draws[0] // common
    for one, other in every_draw_in_strata(draws, (3, 4)):
        if statistic == "median":
            of = float(np.median(x[one * times[0] + other * times[1]]))
        else:
            counts = np.bincount(one + other, minlength=7)
            w = 1 + np.sqrt(share / share.max())[strata] * (counts / share[strata] - 1)
            of = float(w @ x / 7 if statistic == "mean" else w @ x**2 / 7 - (w @ x / 7) ** 2)
        exact.append(value + largest * (of - value))
    m = sy.uncertainty.subsample(dict(enumerate(draws)))
    found = replicates(x, statistic, strata=strata, sampling=m, seed=8)
    assert goodness(np.array(exact), np.full(len(exact), 1 / len(exact)), found) > 1e-4


# -- closed forms -----------------------------------------------------------------------------------------


def test_the_spread_of_the_replicates_of_a_mean() -> None:
    """s^2/(n + 1) of Dirichlet weights, s^2/n of the others, with s^2 of divisor n; of Poisson counts E(1/N; N > 0)."""
    x = normalish(30, 4)
    total = np.arange(1, 200)
    per_draw = float((stats.poisson(30).pmf(total) / total).sum())
    want = {"balanced": 1 / 30, "poisson": per_draw, "bayesian": 1 / 31, "subsample(60)": 1 / 30}
    for kind in KINDS:
        found = replicates(x, sampling=kind)
        assert found.mean() == pytest.approx(x.mean(), abs=5 * x.std() / math.sqrt(30 * len(found)))
        assert found.var() == pytest.approx(x.var() * want[str(kind).strip("'")], rel=0.05)


@every
@pytest.mark.parametrize("statistic", ["mean", "sum", "ratio", "variance", "correlation", "f1"])
@pytest.mark.parametrize("design", ["rows", "clusters", "weights", "strata", "macro", "weighted clusters in strata"])
def test_the_spread_of_replicates_is_the_error_in_closed_form(statistic: Any, design: str, sampling: Any) -> None:
    clusters, weights = np.arange(900) % 150, 0.5 + uniform(900, 8)
    how: dict[str, Any] = {
        "rows": {},
        "clusters": {"clusters": clusters},
        "weights": {"weights": weights},
        "strata": {"clusters": clusters, "strata": clusters % 3},
        "macro": {"clusters": clusters, "strata": clusters % 3, "average": "macro"},
        "weighted clusters in strata": {"clusters": clusters, "strata": clusters % 3, "weights": weights},
    }[design]
    columns = sums_columns(statistic, 900)
    want = sy.estimate(given(columns), statistic, **how)
    boot = sy.bootstrap(given(columns), statistic, **how, sampling=sampling, n_resamples=4000, method="percentile")
    assert boot.value == pytest.approx(want.value, rel=1e-11)
    assert boot.standard_error == pytest.approx(want.standard_error, rel=0.08)


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("statistic", ["mean", "ratio", "std"])
def test_unlike_shares_of_strata_spread_as_the_error_in_closed_form(statistic: Any, average: Any) -> None:
    """Strata that are drawn too often and too rarely, of unlike spreads: one factor for all would be off by a third."""
    strata = np.repeat([0, 1], [200, 600])
    columns = [np.where(strata == 0, 4.0, 1.0) * x + 9 * strata + 20 for x in sums_columns(statistic, 800)]
    m = sy.uncertainty.subsample({0: 300, "1": 40})
    how: dict[str, Any] = {"strata": strata, "average": average}
    boot = sy.bootstrap(given(columns), statistic, **how, sampling=m, n_resamples=4000)
    assert boot.standard_error == pytest.approx(sy.estimate(given(columns), statistic, **how).standard_error, rel=0.07)


def test_one_stratum_draws_as_without() -> None:
    x, m = normalish(50, 3), sy.uncertainty.subsample(20)
    for statistic in ("mean", "median"):
        found = replicates(x, statistic, strata=np.zeros(50), sampling=m, n_resamples=300)
        np.testing.assert_array_equal(found, replicates(x, statistic, strata=["a"] * 50, sampling=m, n_resamples=300))
        np.testing.assert_allclose(found, replicates(x, statistic, sampling=m, n_resamples=300), rtol=1e-12)


@pytest.mark.parametrize(
    ("m", "sizes", "draws"),
    [
        (60, [100, 300], [15, 45]),
        (7, [3, 3, 3], [3, 2, 2]),
        (3, [2, 3, 400], [1, 1, 1]),
        (10, [2, 3, 400], [1, 1, 8]),
        (11, [50, 2, 48], [5, 1, 5]),
        (1000, [2, 6], [250, 750]),
    ],
)
def test_draws_are_dealt_out_in_proportion(m: int, sizes: list[int], draws: list[int]) -> None:
    strata = np.repeat(np.arange(len(sizes)), sizes)
    boot = sy.bootstrap(normalish(len(strata), 2), strata=strata, sampling=sy.uncertainty.subsample(m), n_resamples=99)
    assert boot.detail["m_strata"] == dict(zip(map(str, range(len(sizes))), draws, strict=True))
    assert boot.detail["m"] == m
    assert boot.reason == f"the default in {len(sizes)} strata by {m} draws each"


@every
@pytest.mark.parametrize("statistic", ["median", "iqr", "trimmed_mean", "mad"])
def test_sorted_rows_spread_as_by_multinomial_draws(statistic: Any, sampling: Any) -> None:
    x = normalish(2000, 6)
    if str(sampling).startswith("subsample"):
        sampling = sy.uncertainty.subsample(1500)
    want = sy.bootstrap(x, statistic, n_resamples=2000, method="percentile").standard_error
    got = sy.bootstrap(x, statistic, n_resamples=2000, method="percentile", sampling=sampling).standard_error
    assert got == pytest.approx(want, rel=0.12)


# -- what they agree with ---------------------------------------------------------------------------------


def test_multinomial_draws_are_those_without_the_argument() -> None:
    x = normalish(60, 1)
    np.testing.assert_array_equal(replicates(x, sampling="multinomial"), replicates(x))


@every
def test_a_replicate_does_not_depend_on_how_many_there_are_unless_they_are_balanced(sampling: Any) -> None:
    x = normalish(50, 3)
    one, other = (replicates(x, sampling=sampling, n_resamples=b)[:100] for b in (100, 700))
    assert np.array_equal(one, other) == (sampling != "balanced")


@pytest.mark.parametrize("sampling", ["balanced", "poisson", "bayesian"])
@pytest.mark.parametrize("clusters", [None, np.arange(90) // 3])
def test_a_function_has_the_resamples_of_the_statistic(sampling: Any, clusters: Any) -> None:
    x = normalish(90, 7)

    def weighted(x: np.ndarray, sample_weight: np.ndarray) -> float:
        return float(np.average(x, weights=sample_weight))

    how: dict[str, Any] = {"sampling": sampling, "clusters": clusters, "n_resamples": 300, "seed": 3}
    want = replicates(x, **how)
    np.testing.assert_allclose(replicates(x, weighted, **how), want, rtol=1e-9)
    if sampling != "bayesian":
        np.testing.assert_allclose(replicates(x, lambda x: float(x.mean()), **how), want, rtol=1e-9)
        np.testing.assert_allclose(replicates(x, np.mean, **how), want, rtol=1e-9)


@every
def test_each_group_is_drawn_as_it_would_be_alone(sampling: Any) -> None:
    x, by = normalish(200, 8), np.arange(200) % 2
    got = sy.bootstrap(x, by=by, sampling=sampling, n_resamples=300)
    alone = sy.bootstrap(x[by == 1], sampling=sampling, n_resamples=300)
    assert (got["1"].low, got["1"].high) == (alone.low, alone.high)


@pytest.mark.parametrize(
    ("sampling", "method"),
    [
        ("balanced", "balanced BCa bootstrap"),
        ("poisson", "Poisson BCa bootstrap"),
        ("bayesian", "Bayesian percentile bootstrap"),
        (sy.uncertainty.subsample(12), "m-out-of-n basic bootstrap"),
    ],
)
def test_the_result_says_how_it_was_drawn(sampling: Any, method: str) -> None:
    boot = sy.bootstrap(normalish(40, 9), sampling=sampling, n_resamples=499)
    assert boot.method == method
    assert boot.detail["sampling"] == (sampling if isinstance(sampling, str) else "subsample")
    assert boot.detail.get("m") == (None if isinstance(sampling, str) else 12)


# -- refusals ---------------------------------------------------------------------------------------------

SUB = sy.uncertainty.subsample
REFUSED: list[tuple[str, dict[str, Any]]] = [
    (
        "sampling: expected one of multinomial, balanced, poisson, bayesian, smoothed, subsample; got 'x'",
        {"sampling": "x"},
    ),
    (
        "sampling: expected steelyard.uncertainty.subsample(m), since it takes a number; got 'subsample'",
        {"sampling": "subsample"},
    ),
    (
        "sampling: expected 'multinomial' with n_resamples=math.inf; got 'poisson'; 9999 resamples are usual",
        {"n_resamples": math.inf},
    ),
    ("sampling: expected 'multinomial' with blocks='moving'; got 'poisson'", {"blocks": "moving"}),
    (
        "method: expected one of percentile, basic, normal with sampling='bayesian'; got 'bca'",
        {"sampling": "bayesian", "method": "bca"},
    ),
    (
        "method: expected one of percentile, basic, normal with sampling=subsample(2); got 'studentized'",
        {"sampling": sy.uncertainty.subsample(2), "method": "studentized"},
    ),
    (
        "sampling: expected whole counts for statistic='auc'; got 'bayesian'",
        {"sampling": "bayesian", "statistic": "auc", "x": ([1, 2, 3], [0, 1, 0])},
    ),
    (
        "sampling: expected strata of as many rows as there are for statistic='median'; got 'poisson'; 'balanced' and "
        "'multinomial' draws keep them",
        {"statistic": "median", "strata": [0, 0, 0]},
    ),
    (
        "sampling: expected whole counts of n rows for the function mean; got 'bayesian'; a function that takes "
        "sample_weight can have weights",
        {"sampling": "bayesian", "statistic": np.mean},
    ),
    (
        "sampling: expected whole counts of n rows for the function mean; got subsample(2)",
        {"sampling": sy.uncertainty.subsample(2), "statistic": np.mean},
    ),
    (
        "sampling: expected at most 100000 rows or clusters with 'balanced'; got 100001; the mean of so many multinomial "
        "draws is close to the value anyway",
        {"sampling": "balanced", "x": np.arange(100_001.0)},
    ),
    ("m: expected at least one draw for each of 3 strata; got 2", {"strata": [*"aabbcc"], "sampling": SUB(2)}),
    (
        "m: expected a number of draws for every stratum; got none for 'c'",
        {"strata": [*"aabbcc"], "sampling": SUB({"a": 2, "b": 1})},
    ),
    (
        "m: expected numbers of draws for strata that the rows have (with by=, those of every group); got one for 'd'",
        {"strata": [*"aabbcc"], "sampling": SUB({"a": 2, "b": 1, "c": 1, "d": 2})},
    ),
    (
        "sampling: expected one number of draws without strata; got subsample({'a': 2})",
        {"sampling": SUB({"a": 2})},
    ),
    (
        "sampling: expected draws of which each stratum has its share by whole counts, at most 1073741824 in all, for a "
        "statistic of sorted rows; got others; draw in proportion to the strata",
        {"statistic": "median", "strata": [*"aabbcc"], "sampling": SUB({"a": 10007, "b": 10009, "c": 20011})},
    ),
    (
        "x[1]: expected values of at least 0 with sampling; got values from -1 on",
        {"statistic": "ratio", "x": ([1, 2, 3], [-1, 5, 6])},
    ),
]


@pytest.mark.parametrize(("message", "how"), REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(message: str, how: dict[str, Any]) -> None:
    few = [1.0, 2.0, 4.0, 5.0, 7.0, 8.0][: len(how.get("strata", [0, 0, 0]))]
    how = {"sampling": "poisson", "x": few, "statistic": "mean"} | how
    x, statistic = how.pop("x"), how.pop("statistic")
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        sy.bootstrap(x, statistic, **how)
    assert str(refused.value) == message


@pytest.mark.parametrize("method", ["studentized", "beta_t"])
@pytest.mark.parametrize("sampling", ["balanced", "poisson"])
def test_methods_that_linearise_are_refused(method: Any, sampling: Any) -> None:
    with pytest.raises(ValueError, match="method: expected"):
        sy.bootstrap([1.0, 2.0, 4.0], sampling=sampling, method=method)


@pytest.mark.parametrize("sampling", [3, None, ["poisson"]])
def test_a_sampling_is_a_name(sampling: Any) -> None:
    with pytest.raises(
        TypeError, match=r"sampling: expected one of multinomial, balanced, poisson, bayesian, smoothed, or"
    ):
        sy.bootstrap([1.0, 2.0, 4.0], sampling=sampling)


def test_m_of_strata_is_a_whole_number_for_each() -> None:
    with pytest.raises(ValueError, match="m: expected a number of draws for every stratum; got an empty mapping"):
        SUB({})
    with pytest.raises(ValueError, match=r"m\['a'\]: expected .*; got 0"):
        SUB({"a": 0})
    with pytest.raises(ValueError, match="m: expected one number of draws for each stratum; got two for '1'"):
        SUB({1: 3, "1": 4})


@pytest.mark.parametrize("m", [0, -1, 2.5])
def test_m_is_a_whole_number_of_draws(m: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="m: expected"):
        sy.uncertainty.subsample(m)


@pytest.mark.parametrize("sampling", ["poisson", "bayesian"])
def test_a_function_in_strata_keeps_their_shares(sampling: Any) -> None:
    def weighted(x: np.ndarray, sample_weight: np.ndarray) -> float:
        return float(np.average(x, weights=sample_weight))

    with pytest.raises(ValueError, match="sampling: expected strata of as many rows as there are for the function"):
        sy.bootstrap([1.0, 2, 4, 8], weighted, strata=[0, 0, 1, 1], sampling=sampling)


# -- smoothed ---------------------------------------------------------------------------------------------

Y = np.sqrt(np.abs(normalish(60, 2))) + normalish(60, 5)


def test_smoothed_means_have_the_variance_of_the_rows_and_of_the_noise() -> None:
    found = sy.bootstrap(Y, sampling=sy.uncertainty.smoothed(0.7), n_resamples=20_000)
    want = math.sqrt((Y.var() + 0.7**2) / len(Y))
    assert found.standard_error == pytest.approx(want, rel=0.02)  # four of its standard errors
    assert found.method == "smoothed percentile bootstrap"
    assert found.reason == "the default with noise of standard deviation 0.7"
    assert found.detail["bandwidth"] == 0.7


def test_smoothed_medians_have_the_law_of_draws_from_the_density() -> None:
    """Against NumPy's own draws: two samples of medians, by Kolmogorov and Smirnov."""
    found = sy.bootstrap(Y, "median", sampling="smoothed", n_resamples=4000)
    h, rng = found.detail["bandwidth"], np.random.default_rng(3)
    drawn = rng.choice(Y, (4000, len(Y))) + h * rng.standard_normal((4000, len(Y)))
    assert found.replicates is not None
    assert stats.ks_2samp(found.replicates, np.median(drawn, axis=1)).pvalue > 1e-3
    assert len(np.unique(found.replicates)) == 4000


def test_the_bandwidth_is_that_of_silverman() -> None:
    s, iqr = Y.std(ddof=1), np.subtract(*np.percentile(Y, [75, 25]))
    want = 0.9 * min(s, iqr / 1.34) * len(Y) ** -0.2
    assert sy.bootstrap(Y, sampling="smoothed", n_resamples=99).detail["bandwidth"] == pytest.approx(want, rel=1e-13)
    ties = np.array([1.0] * 9 + [5.0])  # equal quartiles: the standard deviation alone counts
    want = 0.9 * ties.std(ddof=1) * 10**-0.2
    assert sy.bootstrap(ties, sampling="smoothed", n_resamples=99).detail["bandwidth"] == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize("function", [np.median, lambda x: np.median(x.ravel())])
def test_functions_have_the_noise_of_the_statistics(function: Any) -> None:
    options: Any = {"sampling": "smoothed", "n_resamples": 199, "seed": 8}
    got, want = sy.bootstrap(Y, function, **options), sy.bootstrap(Y, "median", **options)
    np.testing.assert_array_equal(got.replicates, want.replicates)
    assert (got.low, got.high, got.detail) == (want.low, want.high, want.detail)


def test_columns_and_groups_have_bandwidths_of_their_own() -> None:
    groups = np.arange(60) % 2
    many = sy.bootstrap(Y, "median", by=groups, sampling="smoothed", n_resamples=99)
    for g in range(2):
        alone = sy.bootstrap(Y[groups == g], "median", sampling="smoothed", n_resamples=99)
        assert (many[g].low, many[g].high, many[g].detail) == (alone.low, alone.high, alone.detail)
    table = sy.bootstrap(np.stack([Y, 9 * Y], axis=1), sampling="smoothed", n_resamples=99)
    assert table[1].detail["bandwidth"] == pytest.approx(9 * table[0].detail["bandwidth"])


SMOOTHED: list[tuple[str, dict[str, Any]]] = [
    ("sampling: expected 'multinomial' with clusters; got 'smoothed'", {"clusters": [0, 0, 1, 1]}),
    ("sampling: expected 'multinomial' with weights; got 'smoothed'", {"weights": [1, 2, 3, 4]}),
    ("sampling: expected 'multinomial' with strata; got 'smoothed'; by= gives", {"strata": [0, 0, 1, 1]}),
    ("sampling: expected 'multinomial' with blocks='moving'; got 'smoothed'", {"blocks": "moving"}),
    ("sampling: expected 'multinomial' with n_resamples=math.inf; got 'smoothed'", {"n_resamples": math.inf}),
    (
        "sampling: expected 'multinomial' for the columns of correlation; got 'smoothed'",
        {"x": ([1, 2, 3, 5], [2, 1, 3, 4]), "statistic": "correlation"},
    ),
    (
        "sampling: expected 'multinomial' for the function weighted; got 'smoothed'; noise needs a function that takes",
        {"statistic": "weighted"},
    ),
    ("method: expected one of percentile, basic, normal with sampling='smoothed'; got 'bca'", {"method": "bca"}),
    ("x: expected values that differ; got 4 equal values", {"x": [2, 2, 2, 2]}),
    ("x: expected values that differ; got 4 equal values", {"x": [2, 2, 2, 2], "sampling": sy.uncertainty.smoothed(1)}),
    ("x: expected values that differ; got 1 equal values", {"x": [2], "sampling": sy.uncertainty.smoothed(1)}),
    (
        "sampling: expected 'multinomial' for statistic='geometric_mean'; got 'smoothed'; noise moves values out of its",
        {"x": [0.01, 2, 3, 4], "statistic": "geometric_mean"},
    ),
    ("sampling: expected at most 100000 rows or clusters with 'smoothed'; got 100001", {"x": np.arange(100_001.0)}),
]


@pytest.mark.parametrize(("message", "how"), SMOOTHED)
def test_what_cannot_be_smoothed_is_refused(message: str, how: dict[str, Any]) -> None:
    def weighted(x: np.ndarray, sample_weight: np.ndarray) -> float:
        return float(np.average(x, weights=sample_weight))

    how = {"x": [1, 2, 4, 8], "statistic": "mean"} | how
    named = how.pop("statistic")
    statistic = weighted if named == "weighted" else named
    with pytest.raises(ValueError) as error:  # noqa: PT011
        sy.bootstrap(how.pop("x"), statistic, **({"sampling": "smoothed"} | how))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("bandwidth", [0, -1.0, math.inf, math.nan])
def test_a_bandwidth_is_above_0(bandwidth: float) -> None:
    with pytest.raises(ValueError, match="bandwidth: expected a number that is above 0 and finite; got"):
        sy.uncertainty.smoothed(bandwidth)
