"""Agreement with statsmodels on proportions, McNemar, Holm and clustered errors; differences are tested by name."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.errors import SteelyardWarning

from .cases import normalish, uniform

proportions = pytest.importorskip("statsmodels.stats.proportion", reason="statsmodels is the peer of this file")
# Theirs and ours.
METHODS = {
    "wilson": "wilson",
    "beta": "clopper-pearson",
    "jeffreys": "jeffreys",
    "agresti_coull": "agresti-coull",
    "normal": "wald",
}
COUNTS = [(1, 2), (3, 17), (10, 17), (33, 66), (399, 400), (870, 1000), (123_456, 1_000_000)]


def limits(k: int, n: int, method: str, level: float = 0.95) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SteelyardWarning)  # Wald with few failures
        found = sy.proportion(k, n, method=method, confidence_level=level)
    return found.low, found.high


@pytest.mark.parametrize("theirs", METHODS)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_intervals_of_a_proportion(theirs: str, level: float) -> None:
    ends = [(0, 10), (10, 10)] if theirs != "jeffreys" else []
    for k, n in COUNTS + ends:
        want = proportions.proportion_confint(k, n, alpha=1 - level, method=theirs)
        assert limits(k, n, METHODS[theirs], level) == pytest.approx(want, abs=1e-12), (k, n)


def test_jeffreys_reaches_the_end_where_theirs_stops_short() -> None:
    """Brown, Cai and DasGupta set the lower limit to 0 at k = 0 and the upper to 1 at k = n; theirs is the bare quantile."""
    low, high = proportions.proportion_confint(0, 10, method="jeffreys")
    assert low > 0
    assert limits(0, 10, "jeffreys") == (0.0, pytest.approx(high, abs=1e-12))
    assert limits(10, 10, "jeffreys") == (pytest.approx(1 - high, abs=1e-12), 1.0)


# Ours, and the places of R's binom::binom.confint in the results that statsmodels keeps; some were printed with
# seven digits, the likelihood ratio was solved to 1e-8.
OF_R = {"agresti-coull": 0, "clopper-pearson": 4, "logit": 5, "likelihood": 8, "wilson-cc": 9, "wilson": 10}


@pytest.mark.parametrize("method", OF_R)
def test_the_numbers_of_r(method: str) -> None:
    kept = pytest.importorskip("statsmodels.stats.tests.results.results_proportion", reason="statsmodels' numbers of R")
    for k, n in ((18, 20), (4, 20), (4, 200), (190, 200), (1, 30), (29, 30), (0, 30), (30, 30)):
        if method == "logit" and k in (0, n):
            continue  # R takes the exact limits there
        if method == "agresti-coull" and k in (1, 29):
            continue  # R's leave [0, 1]
        of = kept.res_binom[(k, n)]
        want = (of.ci_low[OF_R[method]], of.ci_upp[OF_R[method]])
        if method == "agresti-coull":
            want = tuple(np.clip(want, 0, 1))
        assert limits(k, n, method) == pytest.approx(want, abs=5.1e-8), (k, n)


def test_mid_p_is_the_exact_mcnemar_less_half_of_its_own_table() -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    for wins, losses in ((12, 10), (9, 2), (40, 61), (1, 5)):
        new, base = (np.repeat(x, [wins, losses, 30]) for x in ([1, 0, 1], [0, 1, 1]))
        exact = mcnemar([[30, wins], [losses, 0]], exact=True).pvalue
        total, few = wins + losses, min(wins, losses)
        own = float(np.prod([(total - i) / (few - i) for i in range(few)])) / 2**total
        assert sy.compare(new, baseline=base).p_value == pytest.approx(exact - own, rel=1e-12)


def test_holm_over_models() -> None:
    from statsmodels.stats.multitest import multipletests

    base = uniform(300, 1) < 0.6
    models = {
        f"m{i}": np.where(uniform(300, 10 + i) < 0.1 + 0.05 * i, uniform(300, 20 + i) < 0.8, base) for i in range(6)
    }
    found = sy.compare(models, baseline=base)
    np.testing.assert_allclose(found.p_adjusted, multipletests(found.p_value, method="holm")[1], rtol=1e-13)
    assert (found.p_adjusted > found.p_value).any()


def test_clusters_of_equal_size_have_the_error_of_a_clustered_regression() -> None:
    """With equal clusters their G/(G - 1) (CR1) is CR2, and so are G - 1 degrees of freedom."""
    from statsmodels.regression.linear_model import OLS

    groups = np.repeat(np.arange(12), 5)
    y = normalish(60, 7) + normalish(12, 8)[groups]
    fit = OLS(y, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    found = sy.estimate(y, clusters=groups)
    assert found.value == pytest.approx(fit.params[0], rel=1e-12)
    assert found.standard_error == pytest.approx(fit.bse[0], rel=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int()[0]), rel=1e-10)


def test_unequal_clusters_are_where_theirs_is_too_sure() -> None:
    """One large cluster: CR1 knows only the number of clusters, CR2 that one of them carries most of the weight."""
    from statsmodels.regression.linear_model import OLS

    groups = np.repeat(np.arange(8), [60, 2, 2, 2, 2, 2, 2, 2])
    y = 0.3 * normalish(74, 9) + normalish(8, 10)[groups]
    fit = OLS(y, np.ones(74)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    low, high = fit.conf_int()[0]
    found = sy.estimate(y, clusters=groups)
    assert found.detail["df"] < 2 < 7
    assert found.high - found.low > 2 * (high - low)
