"""Statistics of sorted rows in closed form: quantiles, and areas under the ROC curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import steelyard as sy

from .cases import normalish

QUANTILES = [sy.uncertainty.quantile(q) for q in (0.1, 0.5, 0.9)]


def labelled(n: int, key: int) -> tuple[np.ndarray, np.ndarray]:
    targets = (normalish(n, key) > 0.3).astype(float)
    return targets + normalish(n, key + 1), targets


@pytest.mark.parametrize("n", [6, 20, 57, 300])
@pytest.mark.parametrize("q", [0.1, 0.5, 0.83])
def test_limits_of_a_quantile_cover_as_the_binomial_says(n: int, q: float) -> None:
    """The limits are order statistics: with x_(k) = k, they are the ranks, whose coverage is a sum of probabilities."""
    got = sy.estimate(np.arange(1.0, n + 1), sy.uncertainty.quantile(q))
    low, high = 0 if got.low is None else int(got.low), n + 1 if got.high is None else int(got.high)
    count = stats.binom(n, q)
    assert count.cdf(low - 1) <= 0.025 < count.cdf(low)
    assert count.sf(high - 1) <= 0.025 < count.sf(high - 2)
    assert ("no lower limit" in got.reason) == (low == 0)


def test_too_few_rows_have_a_value_and_no_limits() -> None:
    got = sy.estimate([3.0, 1.0, 2.0], "median")
    assert (got.value, got.low, got.high, got.standard_error) == (2.0, None, None, None)
    assert "no lower or upper limit" in got.reason
    equal = sy.estimate([2.0] * 50, "median")
    assert (equal.value, equal.low, equal.high) == (2.0, None, None)
    assert "all equal" in equal.reason


def test_one_sided_limits_use_the_whole_tail() -> None:
    x = normalish(101, 5)
    two = sy.estimate(x, "median", confidence_level=0.9)
    for alternative, side, open_end in (("less", "high", -math.inf), ("greater", "low", math.inf)):
        one = sy.estimate(x, "median", alternative=alternative)
        assert getattr(one, side) == getattr(two, side)
        assert getattr(one, "low" if side == "high" else "high") == open_end


@pytest.mark.parametrize("clustered", [False, True])
def test_closed_forms_and_the_bootstrap_agree(clustered: bool) -> None:
    scores, targets = labelled(2000, 11)
    ids = np.arange(2000) // 10 if clustered else None
    for columns, statistic in ((scores, QUANTILES[1]), (scores, QUANTILES[2]), ((scores, targets), "auc")):
        closed = sy.estimate(columns, statistic, clusters=ids)
        boot = sy.bootstrap(columns, statistic, clusters=ids, n_resamples=1999)
        assert closed.value == boot.value
        assert closed.standard_error == pytest.approx(boot.standard_error, rel=0.15)
        assert closed.low == pytest.approx(boot.low, abs=0.5 * boot.standard_error)
        assert closed.high == pytest.approx(boot.high, abs=0.5 * boot.standard_error)


def test_the_gini_coefficient_is_twice_the_area_minus_one() -> None:
    columns = labelled(80, 3)
    auc, gini = sy.estimate(columns, "auc"), sy.estimate(columns, "gini")
    for name in ("value", "low", "high"):
        assert getattr(gini, name) == 2 * getattr(auc, name) - 1
    assert gini.standard_error == 2 * auc.standard_error


def test_a_perfect_ranking_is_not_certain() -> None:
    """Wald limits of an AUC of 1 have no width; pROC prints 1-1."""
    targets = np.repeat([0.0, 1.0], [30, 12])
    got = sy.estimate((np.arange(42.0), targets), "auc")
    z2 = stats.norm.ppf(0.975) ** 2
    assert (got.value, got.high, got.method) == (1.0, 1.0, "no spread")
    assert got.low == pytest.approx(1 - z2 / (12 + z2), rel=1e-12)


def test_rows_without_an_answer_are_refused_by_name() -> None:
    scores, targets = labelled(20, 7)
    with pytest.raises(ValueError, match=r"^weights: expected a statistic of sums, such as 'mean'; got 'auc'"):
        sy.estimate((scores, targets), "auc", weights=np.ones(20))
    with pytest.raises(ValueError, match=r"^strata: expected a statistic of sums"):
        sy.estimate(scores, "median", strata=targets)
    with pytest.raises(ValueError, match=r"^x\[1\]: expected targets of both kinds"):
        sy.estimate((scores, np.zeros(20)), "auc")
    with pytest.raises(ValueError, match=r"^method: expected None"):
        sy.estimate(scores, "median", method="t")


def test_groups_have_a_quantile_each() -> None:
    x, ids = normalish(90, 2), np.repeat(["a", "b", "c"], 30)
    got = sy.estimate(x, "median", by=ids)
    assert got.names == ("a", "b", "c")
    assert got["b"].low == sy.estimate(x[30:60], "median").low


def test_one_cluster_gives_the_value_alone() -> None:
    x = np.array([3.0, 1.0, 2.0, 5.0])
    targets = np.array([1, 0, 0, 1])
    for columns, statistic in ((x, "median"), ((x, targets), "auc"), ((x, targets), "gini")):
        one = sy.estimate(columns, statistic, clusters=[7, 7, 7, 7])
        assert one.value == sy.estimate(columns, statistic).value
        assert (one.low, one.high, one.standard_error, one.n_clusters) == (None, None, None, 1)
        assert "under two clusters" in one.reason
