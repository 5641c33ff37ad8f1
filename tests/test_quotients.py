"""Quotients of two statistics of sums: values, errors, every method, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy

from .cases import normalish, uniform
from .cases.uncertainty_bootstrap import QUOTIENTS, sums_columns
from .test_bootstrap import multisets
from .test_statistics import DEFINITIONS

X = 3.0 + normalish(400, 3) ** 3
every = pytest.mark.parametrize("statistic", QUOTIENTS)


def given(statistic: str, n: int) -> Any:
    columns = sums_columns(statistic, n)
    return columns[0] if len(columns) == 1 else tuple(columns)


@every
def test_a_quotient_is_that_of_both_values(statistic: Any) -> None:
    above, below = statistic.split("/")
    columns = sums_columns(statistic, 60)
    want = DEFINITIONS[above](*columns) / DEFINITIONS[below](*columns)
    assert sy.estimate(given(statistic, 60), statistic).value == pytest.approx(want, rel=1e-12)
    boot = sy.bootstrap(given(statistic, 60), statistic, method="percentile", n_resamples=99)
    assert boot.value == pytest.approx(want, rel=1e-12)
    parts = sy.bootstrap(given(statistic, 60), (above, below), method="percentile", n_resamples=99)
    np.testing.assert_allclose(boot.replicates, parts.replicates[:, 0] / parts.replicates[:, 1], rtol=1e-11)


def test_the_error_of_a_mean_in_standard_deviations() -> None:
    """(1 - s skewness + s^2 (kurtosis - 1)/4)/n by the delta method, with s = m/sd (Mertens 2002)."""
    m, sd = X.mean(), X.std()
    skewness, kurtosis = (((X - m) / sd) ** 3).mean(), (((X - m) / sd) ** 4).mean()
    s, n = m / sd, len(X)
    variance = (1 - s * skewness + s**2 * (kurtosis - 1) / 4) / n
    got = sy.estimate(X, "mean/std")  # type: ignore[call-overload]
    assert got.standard_error == pytest.approx(math.sqrt(variance * n / (n - 1)), rel=1e-12)
    assert (got.low + got.high) / 2 == pytest.approx(got.value, rel=1e-12)
    assert got.method == "t"


def test_several_statistics_share_the_resamples_of_their_quotient() -> None:
    p, t = sums_columns("f1", 60)
    both = sy.bootstrap((p, t), ("f1/accuracy", "f1", "accuracy"), n_resamples=999)  # type: ignore[arg-type]
    ratio = both["f1"].replicates / both["accuracy"].replicates
    np.testing.assert_allclose(both["f1/accuracy"].replicates, ratio, rtol=1e-12)


def test_replicates_have_their_exact_distribution() -> None:
    """Every resample of six values that has a spread, by the probability of each quantile."""
    x = np.array([1.0, 4.0, 5.5, 9.0, 2.5, 7.0])
    copies = np.repeat(x, 3) + np.tile([-0.5, 0.0, 0.5], 6)  # clusters: no resample is without spread
    ids = np.repeat(np.arange(6), 3)
    counts, weight = multisets(6)
    rows = counts[:, ids]
    mean = rows @ copies / 18
    exact = mean / np.sqrt(rows @ copies**2 / 18 - mean**2)
    boot = sy.bootstrap(copies, "mean/std", clusters=ids, n_resamples=20_000, method="percentile")
    for level in (0.1, 0.5, 0.9):
        order = np.argsort(exact)
        at = exact[order][np.searchsorted(np.cumsum(weight[order]), level)]
        share = (boot.replicates <= at + 1e-9).mean()
        true = weight[exact <= at + 1e-9].sum()
        assert share == pytest.approx(true, abs=4.5 * math.sqrt(true * (1 - true) / 20_000) + 1e-12)


@every
@pytest.mark.parametrize("method", ["percentile", "basic", "bca", "bc", "expanded", "normal", "studentized", "beta_t"])
def test_every_method_has_limits(statistic: Any, method: str) -> None:
    x, ids = given(statistic, 48), np.arange(48) % 16
    for clusters in (None, ids):
        boot = sy.bootstrap(x, statistic, clusters=clusters, method=method, n_resamples=999)
        assert boot.low < boot.value < boot.high
    for how in (
        {"strata": np.arange(48) % 2},
        {"weights": 0.5 + uniform(48, 2)},
        {"blocks": sy.uncertainty.blocks("moving", 3)},
    ):
        if method not in ("studentized", "beta_t"):
            boot = sy.bootstrap(x, statistic, method=method, n_resamples=999, **how)  # type: ignore[arg-type]
            assert boot.low < boot.value < boot.high


@every
@pytest.mark.parametrize("how", [{}, {"clusters": np.arange(900) % 150}, {"weights": 0.5 + uniform(900, 8)}])
def test_the_closed_form_agrees_with_a_large_bootstrap(statistic: Any, how: dict[str, Any]) -> None:
    x = given(statistic, 900)
    spread = sy.bootstrap(x, statistic, n_resamples=4000, method="percentile", **how).standard_error
    assert sy.estimate(x, statistic, **how).standard_error == pytest.approx(spread, rel=0.08)


def test_many_columns_groups_and_types() -> None:
    table = np.stack([X, 2 * X + 1], axis=1)
    boot = sy.bootstrap(table, "mean/std", n_resamples=99, method="percentile")
    alone = sy.bootstrap(table[:, 1], "mean/std", n_resamples=99, method="percentile")
    np.testing.assert_array_equal(boot.replicates[:, 1], alone.replicates)
    by = sy.estimate(X, "mean/std", by=np.arange(400) % 2)  # type: ignore[call-overload]
    assert by["1"].value == pytest.approx(X[1::2].mean() / X[1::2].std(), rel=1e-12)
    named = sy.uncertainty.quotient("mean", "std")
    assert sy.estimate(X, named) == sy.estimate(X, "mean/std")  # type: ignore[call-overload]
    assert str(named) == "mean/std"


def test_digits_of_large_values_are_kept() -> None:
    x = np.round(256 * X) / 256
    here, there = (sy.estimate(v, "kurtosis/variance") for v in (x, x + 2.0**30))  # type: ignore[call-overload]
    assert (there.value, there.standard_error) == pytest.approx((here.value, here.standard_error), rel=1e-9)


@pytest.mark.parametrize(
    ("statistic", "x", "message"),
    [
        ("mean/slope", X, r"^statistic: expected a quotient of statistics of the same columns; got 'mean' of \(x\) and 'slope' of"),
        ("mean/sum", X, r"^statistic: expected a quotient of statistics of sums; got 'sum' in 'mean/sum'; a sum grows"),
        ("mean/median", X, r"^statistic: expected a quotient of statistics of sums; got 'median' in 'mean/median'"),
        ("mean/mean", X, r"^statistic: expected a quotient of two different statistics, such as 'mean/std'; got 'mean/mean'"),
        ("mean/std/std", X, r"^statistic: expected a quotient of two different statistics"),
        ("mean/stdd", X, r"^statistic: expected one of mean, .*; got 'stdd'; did you mean 'std'"),
        ("mean/", X, r"^statistic: expected one of mean, .*; got ''"),
        ("mean/std", np.full(9, 0.1), r"^x: expected a finite std that is not 0, which the mean/std needs; got rows without"),
        ("mean/skewness", np.full(9, 0.1), r"^x: expected values that differ and a finite skewness that is not 0, which"),
        ("geometric_mean/mean", X - 9, r"^x: expected values above 0 for statistic='geometric_mean/mean'"),
        ("ratio/slope", (X, X - 3), r"^x\[1\]: expected values of at least 0 for statistic='ratio/slope'"),
    ],
)  # fmt: skip
def test_what_is_refused(statistic: Any, x: Any, message: str) -> None:
    for call in (sy.estimate, sy.bootstrap):
        with pytest.raises(ValueError, match=message):
            call(x, statistic)


def test_a_resample_without_a_divisor_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^x: expected a finite std that is not 0 in every resample; got a resample without"
    ):
        sy.bootstrap([1.0, 2.0, 4.0], "mean/std", method="percentile")
    with pytest.raises(ValueError, match=r"^n_resamples: expected a finite number unless the statistic is a mean"):
        sy.bootstrap(X, "mean/std", n_resamples=math.inf)
