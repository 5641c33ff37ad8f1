"""Statistics of sums: exact distributions, designs, peers, ranges, digits, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard.reference import sums as reference

from .cases import normalish, uniform
from .cases.uncertainty_bootstrap import OTHERS, sums_columns
from .test_bootstrap import multisets

every = pytest.mark.parametrize("statistic", OTHERS)
SHARES = ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "brier")
COUNTS = ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "mcc", "kappa")
CORPUS = ("bleu", "chrf", "chrf++")
P = np.array([1, 0, 1, 0, 1, 1.0])
T = np.array([1, 1, 0, 0, 1, 1.0])


def given(columns: list[np.ndarray]) -> Any:
    return columns[0] if len(columns) == 1 else tuple(columns)


def value(statistic: str, columns: list[np.ndarray], weights: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        return float(reference.STATISTICS[statistic](*columns, weights))


# -- exact distributions ----------------------------------------------------------------------------------


def copies(statistic: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Six clusters: each has every row once and one row (its own) three times more, so that any resample has an answer."""
    columns = [P, T] if statistic in COUNTS else sums_columns(statistic, 6)
    rows = np.concatenate([np.append(np.arange(6), [g, g, g]) for g in range(6)])
    return [column[rows] for column in columns], np.repeat(np.arange(6), 9)


@every
def test_replicates_have_their_exact_distribution(statistic: str) -> None:
    """All 462 resamples of six clusters, their values and probabilities, against 20,000 replicates by chi-square."""
    columns, ids = copies(statistic)
    counts, weight = multisets(6)
    exact = np.array([value(statistic, columns, c[ids].astype(np.float64)) for c in counts])
    known, which = np.unique(np.round(exact, 9), return_inverse=True)
    mass = np.bincount(which, weight)
    boot = sy.bootstrap(given(columns), statistic, clusters=ids, n_resamples=20_000, method="percentile", seed=3)
    places = np.searchsorted(known, boot.replicates)
    places -= (places == len(known)) | (
        (places > 0)
        & (
            abs(known[np.maximum(places - 1, 0)] - boot.replicates)
            < abs(known[np.minimum(places, len(known) - 1)] - boot.replicates)
        )
    )
    np.testing.assert_allclose(known[places], boot.replicates, atol=1e-8)
    seen, expected = np.bincount(places, minlength=len(known)), mass * 20_000
    often = expected >= 5
    seen, expected = np.append(seen[often], seen[~often].sum()), np.append(expected[often], expected[~often].sum())
    full = expected > 0
    assert stats.chisquare(seen[full], expected[full]).pvalue > 1e-4


# -- designs ----------------------------------------------------------------------------------------------


def large(statistic: str) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Columns of 900 rows, 150 clusters in 3 strata, and weights."""
    clusters = np.arange(900) % 150
    return sums_columns(statistic, 900), clusters, clusters % 3, 0.5 + uniform(900, 8)


@every
@pytest.mark.parametrize("design", ["rows", "clusters", "weights", "strata", "macro"])
def test_the_closed_form_agrees_with_a_large_bootstrap(statistic: str, design: str) -> None:
    """The standard error against that of resampling: by the core, or here by hand for weights and strata."""
    columns, clusters, strata, weights = large(statistic)
    x, units = given(columns), 150 if design in ("clusters", "strata", "macro") else 900
    how: dict[str, Any] = {
        "rows": {},
        "clusters": {"clusters": clusters},
        "weights": {"weights": weights},
        "strata": {"clusters": clusters, "strata": strata},
        "macro": {"clusters": clusters, "strata": strata, "average": "macro"},
    }[design]
    error = sy.estimate(x, statistic, **how).standard_error
    if design in ("rows", "clusters"):
        spread = float(sy.bootstrap(x, statistic, **how, n_resamples=4000, method="percentile").standard_error)
    else:
        spread = by_hand(statistic, columns, clusters, strata, weights, design)
    # A share of 1/units of the variance, of a stratum's for strata, is the difference of divisors; the rest is Monte
    # Carlo, and of second order in the linearisation.
    groups = units / 3 if design in ("strata", "macro") else units
    assert error == pytest.approx(spread * math.sqrt(groups / (groups - 1)), rel=0.08)


def by_hand(
    statistic: str,
    columns: list[np.ndarray],
    clusters: np.ndarray,
    strata: np.ndarray,
    weights: np.ndarray,
    design: str,
) -> float:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(1200):
        if design == "weights":
            found.append(value(statistic, columns, weights * rng.multinomial(900, np.full(900, 1 / 900))))
            continue
        counts = np.zeros(150)
        for h in range(3):
            counts[h::3] = rng.multinomial(50, np.full(50, 1 / 50))
        rows = counts[clusters]
        parts = [strata == h for h in range(3)] if design == "macro" else [np.ones(900, np.bool_)]
        found.append(float(np.mean([value(statistic, columns, rows * part) for part in parts])))
    return float(np.std(found, ddof=1))


@every
def test_equal_weights_and_one_row_a_cluster_change_nothing(statistic: str) -> None:
    x = given(sums_columns(statistic, 60))
    plain, weighted = sy.estimate(x, statistic), sy.estimate(x, statistic, weights=np.full(60, 3.0))
    single = sy.estimate(x, statistic, clusters=np.arange(60))
    factor = 3.0 if statistic == "sum" else 1.0
    assert weighted.value == pytest.approx(factor * plain.value, rel=1e-12)
    assert weighted.standard_error == pytest.approx(factor * plain.standard_error, rel=1e-9)
    assert (single.value, single.standard_error) == pytest.approx((plain.value, plain.standard_error), rel=1e-9)


@every
def test_one_stratum_is_no_stratum(statistic: str) -> None:
    x = given(sums_columns(statistic, 60))
    plain = sy.estimate(x, statistic, clusters=np.arange(60))
    for average in ("micro", "macro"):
        got = sy.estimate(x, statistic, strata=np.zeros(60, np.int64), average=average)  # type: ignore[arg-type]
        assert (got.value, got.standard_error) == pytest.approx((plain.value, plain.standard_error), rel=1e-9)


def test_the_ratio_to_ones_in_strata_is_the_stratified_mean() -> None:
    x, strata = 3.0 + normalish(60, 1), np.arange(60) % 3
    for average in ("micro", "macro"):
        how: Any = {"strata": strata, "average": average, "clusters": np.arange(60) % 15}
        got, want = sy.estimate((x, np.ones(60)), "ratio", **how), sy.estimate(x, **how)
        for field in ("value", "standard_error", "low", "high"):
            assert getattr(got, field) == pytest.approx(getattr(want, field), rel=1e-11)


@every
def test_groups_are_estimated_alone(statistic: str) -> None:
    columns, by = sums_columns(statistic, 90), np.arange(90) // 10 % 3
    got = sy.estimate(given(columns), statistic, by=by)
    for i in range(3):
        alone = sy.estimate(given([column[by == i] for column in columns]), statistic)
        assert got[i].value == alone.value
        assert (got[i].low, got[i].high) == (alone.low, alone.high)


def test_columns_are_problems_of_a_statistic_of_one_column() -> None:
    table = np.stack([normalish(50, 1), 3 * normalish(50, 2)], axis=1)
    got = sy.estimate(table, "variance")
    assert got.value == pytest.approx(table.var(axis=0))
    assert sy.bootstrap(table, "std", n_resamples=999).replicates.shape == (999, 2)


# -- peers ------------------------------------------------------------------------------------------------


def test_scikit_learn_and_scipy_have_the_same_values() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    peers: dict[str, Callable[..., float]] = {
        "precision": metrics.precision_score, "recall": metrics.recall_score, "f1": metrics.f1_score,
        "accuracy": metrics.accuracy_score, "balanced_accuracy": metrics.balanced_accuracy_score,
        "mcc": metrics.matthews_corrcoef, "kappa": metrics.cohen_kappa_score, "brier": metrics.brier_score_loss,
        "log_loss": metrics.log_loss, "r2": metrics.r2_score, "rmse": metrics.root_mean_squared_error,
    }  # fmt: skip
    for statistic, peer in peers.items():
        first, truth = sums_columns(statistic, 200)
        assert sy.estimate((first, truth), statistic).value == pytest.approx(peer(truth, first), rel=1e-12)  # type: ignore[arg-type]
    x, y = sums_columns("correlation", 200)
    assert sy.estimate(x, "skewness").value == pytest.approx(stats.skew(x), rel=1e-12)
    assert sy.estimate(x, "kurtosis").value == pytest.approx(stats.kurtosis(x), rel=1e-12)
    assert sy.estimate(x, "geometric_mean").value == pytest.approx(stats.gmean(x), rel=1e-12)
    assert sy.estimate((x, y), "slope").value == pytest.approx(stats.linregress(x, y).slope, rel=1e-12)


def test_the_variance_and_correlation_of_efrons_data() -> None:
    """The plug-in variance of `spatial` with the influence function's standard error, and the law schools' correlation."""
    a = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]
    got, boot = sy.estimate(a, "variance"), sy.bootstrap(a, "variance", n_resamples=99_999)
    assert got.value == pytest.approx(171.5340237, abs=1e-7)
    assert got.standard_error * math.sqrt(25 / 26) == pytest.approx(42.4528936, abs=1e-7)
    assert boot.detail["acceleration"] == pytest.approx(0.0612401198, abs=1e-9)
    lsat = [576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594]
    gpa = [3.39, 3.30, 2.81, 3.03, 3.44, 3.07, 3.00, 3.43, 3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96]
    law = sy.bootstrap((lsat, gpa), "correlation", n_resamples=99_999)
    assert law.value == pytest.approx(0.7763744913, abs=1e-9)
    # The published limits take the jackknife's acceleration, -.0757; that of the influences is -.0817 here.
    assert (law.low, law.high) == pytest.approx((0.332, 0.942), abs=0.015)
    assert law.standard_error == pytest.approx(0.1335, abs=0.002)


def test_perplexity_and_weighted_mean_are_what_the_package_has_under_other_names() -> None:
    nll, tokens = sums_columns("perplexity", 60)
    for ids in (None, np.arange(60) % 20):
        got = sy.estimate((nll, tokens), "perplexity", clusters=ids)
        want = sy.perplexity(nll, per=tokens, clusters=np.arange(60) if ids is None else ids)
        for field in ("value", "standard_error", "low", "high"):
            assert getattr(got, field) == pytest.approx(getattr(want, field), rel=1e-11)
    x, weights = sums_columns("weighted_mean", 60)
    got, want = sy.estimate((x, weights), "weighted_mean"), sy.estimate(x, weights=weights)
    for field in ("value", "standard_error", "low", "high"):
        assert getattr(got, field) == pytest.approx(getattr(want, field), rel=1e-11)


def test_the_sum_is_the_number_of_rows_times_the_mean() -> None:
    x = 3.0 + normalish(60, 1)
    got, mean = sy.estimate(x, "sum"), sy.estimate(x)
    for field in ("value", "standard_error", "low", "high"):
        assert getattr(got, field) == pytest.approx(60 * getattr(mean, field), rel=1e-12)
    boot, of_mean = sy.bootstrap(x, "sum", n_resamples=499), sy.bootstrap(x, n_resamples=499)
    np.testing.assert_allclose(boot.replicates, 60 * of_mean.replicates, rtol=1e-13)
    assert boot.detail["acceleration"] == pytest.approx(of_mean.detail["acceleration"], rel=1e-11)


def test_accuracy_is_the_proportion_of_right_answers() -> None:
    p, t = sums_columns("accuracy", 60)
    right, ids = p == t, np.arange(60) % 13
    for how in ({}, {"clusters": ids}, {"weights": 0.5 + uniform(60, 1)}):
        got, want = sy.estimate((p, t), "accuracy", **how), sy.estimate(right, **how)  # type: ignore[arg-type]
        for field in ("value", "standard_error", "low", "high"):
            assert getattr(got, field) == pytest.approx(getattr(want, field), rel=1e-11), (how, field)


def test_f1_is_as_certain_as_the_share_that_it_is_a_function_of() -> None:
    p, t = sums_columns("f1", 60)
    got, union = sy.estimate((p, t), "f1"), (p + t) > 0
    share = sy.proportion(int((p * t).sum()), int(union.sum()))
    assert (got.low, got.high) == pytest.approx(tuple(2 * v / (1 + v) for v in (share.low, share.high)))  # type: ignore[operator]


# -- ranges -----------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
def test_limits_stay_inside_the_range(statistic: str, alternative: Any) -> None:
    lowest = {"skewness": -math.inf, "kurtosis": -3, "r2": -math.inf, "sum": -math.inf, "slope": -math.inf}
    signed = ("mcc", "kappa", "correlation")
    low = -1 if statistic in signed else lowest.get(statistic, -math.inf if statistic == "weighted_mean" else 0)
    high = 100 if statistic in CORPUS else 1 if statistic in (*signed, *SHARES, "r2") else math.inf
    for n in (8, 12, 40):
        for level in (0.6, 0.95, 0.9999):
            columns = sums_columns(statistic, n)
            got = sy.estimate(given(columns), statistic, confidence_level=level, alternative=alternative)
            assert low <= got.low <= got.value <= got.high <= high  # type: ignore[operator]
            if alternative != "two-sided":
                assert {"less": got.low == low, "greater": got.high == high}[alternative]


@pytest.mark.parametrize("statistic", COUNTS)
@pytest.mark.parametrize("how", [{}, {"clusters": np.arange(40) % 10}, {"weights": 0.5 + uniform(40, 2)}])
def test_answers_that_are_all_right_are_not_certain(statistic: str, how: dict[str, Any]) -> None:
    t = (np.arange(40) % 3 == 0).astype(np.float64)
    got = sy.estimate((t, t), statistic, **how)
    assert got.value == got.high == 1
    assert 0.2 < got.low < 0.99
    assert got.standard_error > 0


@pytest.mark.parametrize(
    ("statistic", "x"),
    [
        ("rmse", (np.arange(9.0), np.arange(9.0))),
        ("rmse", (0.1 * np.arange(9.0) + 0.1, 0.1 * np.arange(9.0))),
        ("r2", (np.arange(9.0), np.arange(9.0))),
        ("variance", np.full(9, 0.1)),
        ("std", np.full(9, 0.1)),
        ("geometric_mean", np.full(9, 0.1)),
        ("correlation", (np.arange(9.0), 2 * np.arange(9.0))),
        ("slope", (np.arange(9.0), 2 * np.arange(9.0))),
        ("weighted_mean", (np.full(9, 0.1), np.arange(9.0))),
        ("sum", np.full(9, 0.1)),
    ],
)
def test_no_spread_is_no_certainty(statistic: Any, x: Any) -> None:
    got = sy.estimate(x, statistic)
    assert got.low is None, got
    assert got.high is None
    assert got.standard_error is None
    assert "no limits" in str(got.reason)
    with pytest.raises(ValueError, match=r"^x: expected rows that add different parts of the .*; got 9 equal"):
        sy.bootstrap(x, statistic)


def test_a_log_loss_may_be_infinite() -> None:
    got = sy.estimate(([0.5, 0.0, 0.3, 0.9], [1, 1, 0, 1]), "log_loss")
    assert math.isinf(got.value)
    assert got.low is None
    assert "infinite" in str(got.reason)
    with pytest.raises(ValueError, match=r"^x: expected a finite log_loss; got an infinite one"):
        sy.bootstrap(([0.5, 0.0, 0.3, 0.9], [1, 1, 0, 1]), "log_loss")
    assert sy.estimate(([0.5, 0.0, 1.0, 0.9], [1, 0, 1, 1]), "log_loss").value == pytest.approx(
        -np.log([0.5, 0.9]).sum() / 4
    )


def test_under_two_clusters_there_is_a_value_alone() -> None:
    got = sy.estimate((P, T), "f1", clusters=np.zeros(6))
    assert got.value == 0.75
    assert got.low is None
    with pytest.raises(ValueError, match="at least two clusters"):
        sy.bootstrap((P, T), "f1", clusters=np.zeros(6))


# -- digits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statistic", ["variance", "std", "skewness", "kurtosis", "correlation", "slope", "weighted_mean"]
)
def test_large_values_of_small_spread_keep_their_digits(statistic: Any) -> None:
    """Moved by 2**30 (exact for these values), every field but the place is as before."""
    columns = [np.round(256 * column) / 256 for column in sums_columns(statistic, 200)]
    shared = 1 if statistic == "weighted_mean" else len(columns)
    moved = [column + 2.0**30 if i < shared else column for i, column in enumerate(columns)]
    here, there = (sy.estimate(given(c), statistic) for c in (columns, moved))
    away = 2.0**30 if statistic == "weighted_mean" else 0.0
    # The value itself is rounded beside 2**30.
    assert there.value - away == pytest.approx(here.value, rel=1e-12, abs=away * 2.0**-52)
    assert there.standard_error == pytest.approx(here.standard_error, rel=1e-9)
    boots = [sy.bootstrap(given(c), statistic, n_resamples=99, method="percentile") for c in (columns, moved)]
    np.testing.assert_allclose(boots[1].replicates - away, boots[0].replicates, rtol=1e-7 if away else 1e-11)


@pytest.mark.parametrize("factor", [2.0**400, 2.0**-400])
def test_powers_neither_overflow_nor_vanish(factor: float) -> None:
    x, y = sums_columns("correlation", 200)
    for statistic in ("skewness", "kurtosis", "correlation"):
        c, scaled = ((x,), (x * factor,)) if statistic != "correlation" else ((x, y), (x * factor, y * factor))
        here, there = (sy.estimate(given(list(v)), statistic) for v in (c, scaled))  # type: ignore[arg-type]
        assert there.value == pytest.approx(here.value, rel=1e-13)
        assert there.standard_error == pytest.approx(here.standard_error, rel=1e-13)


def test_values_of_every_type_are_taken() -> None:
    p, t = sums_columns("f1", 40)
    want = sy.estimate((p, t), "f1")
    for kind in (np.bool_, np.int64, np.float16, np.float32):
        assert sy.estimate((p.astype(kind), t.astype(kind)), "f1").low == want.low


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistic", "x", "message"),
    [
        ("f1", np.zeros(3), r"^x: expected a tuple of 2 columns \(predictions, targets\) for statistic='f1'"),
        ("f1", (P, T, T), r"^x: expected a tuple of 2 columns .*; got a tuple of 3"),
        ("f1", (P, 2 * T), r"^x\[1\]: expected 0/1 values for statistic='f1'; got values from 0 to 2"),
        (
            "brier",
            (P - 0.5, T),
            r"^x\[0\]: expected values in \[0, 1\] for statistic='brier'; got values from -0.5 to 0.5",
        ),
        (
            "geometric_mean",
            [1.0, 0.0],
            r"^x: expected values above 0 for statistic='geometric_mean'; got values from 0 to 1",
        ),
        ("perplexity", (P, -T), r"^x\[1\]: expected values of at least 0 for statistic='perplexity'"),
        ("weighted_mean", (P, 0 * T), r"^x: expected weights whose sum is above 0, which the weighted_mean needs"),
        ("precision", (0 * P, T), r"^x: expected a predicted one, which the precision needs; got rows without"),
        ("recall", (P, 0 * T), r"^x: expected a target that is one, which the recall needs"),
        ("correlation", (P, 0 * T), r"^x: expected two columns whose values differ, which the correlation needs"),
        ("mcc", (P, 0 * T), r"^x: expected predictions and targets of both classes, which the mcc needs"),
        ("r2", (P, 0 * T), r"^x: expected targets that differ, which the r2 needs"),
        ("skewness", [2.0, 2.0], r"^x: expected values that differ, which the skewness needs"),
        ("variance", [1.0, math.nan], r"^x: expected finite values; got nan at index 1"),
        ("variance", [1e200, -1e200], r"^x: expected values whose sum of squares stays finite"),
    ],
)
def test_what_is_refused(statistic: Any, x: Any, message: str) -> None:
    for call in (sy.estimate, sy.bootstrap):
        with pytest.raises((ValueError, TypeError), match=message):
            call(x, statistic)


def test_a_resample_without_an_answer_is_refused() -> None:
    p, t = np.zeros(6), T
    p[0] = 1
    with pytest.raises(ValueError, match=r"^x: expected a predicted one in every resample; got a resample without"):
        sy.bootstrap((p, t), "precision")
    with pytest.raises(ValueError, match="in every stratum, which the precision needs"):
        sy.estimate((p, t), "precision", strata=[0, 0, 0, 1, 1, 1], average="macro")


def test_a_kind_of_interval_cannot_be_chosen() -> None:
    with pytest.raises(ValueError, match=r"^method: expected None for statistic='f1', which has one kind of interval"):
        sy.estimate((P, T), "f1", method="t")
