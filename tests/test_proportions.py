"""The methods of a proportion beside Wilson's, and the tests of a hypothesis about it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import steelyard as sy
from steelyard._registries import REGISTRIES, names
from steelyard.errors import SteelyardWarning

METHODS = names("proportion.method")
# The methods whose interval inverts a test; the other ones have the exact binomial test.
INVERT = ("wilson", "clopper-pearson", "wilson-cc", "mid-p", "blaker", "likelihood", "scas")


def limits(k: Any, n: Any, method: str, **options: Any) -> tuple[Any, Any]:
    e = sy.proportion(k, n, method=method, **options)
    return e.low, e.high


@pytest.mark.parametrize(
    ("method", "of_870", "of_20"),
    [
        ("wilson-cc", (0.84720, 0.88990), (0.7995, 1)),
        ("mid-p", (0.84807, 0.88979), (0.8609, 1)),
        ("arcsine", (0.84816, 0.88986), (0.8799, 1)),
        ("logit", (0.84770, 0.88946), (0.7126, 0.9985)),
    ],
)
def test_870_of_1000_and_20_of_20(method: str, of_870: tuple[float, float], of_20: tuple[float, float]) -> None:
    assert limits(870, 1000, method) == pytest.approx(of_870, abs=5.1e-6)
    assert limits(20, 20, method) == pytest.approx(of_20, abs=5.1e-5)


@pytest.mark.parametrize(
    ("method", "low", "high"), [("scas", 0.00199, 0.155), ("mid-p", 0.00172, 0.159), ("wilson-cc", 0.0018, 0.196)]
)
def test_1_of_29_as_laud_prints_it(method: str, low: float, high: float) -> None:
    assert limits(1, 29, method) == pytest.approx((low, high), abs=5.1e-4)


def test_3_of_10_by_blaker() -> None:
    """As R's BlakerCI prints it."""
    assert limits(3, 10, "blaker") == pytest.approx((0.08726443, 0.6194107), abs=5.1e-8)


def test_logit_at_the_ends_does_not_reach_the_value() -> None:
    e = sy.proportion(20, 20, method="logit")
    assert e.value == 1.0
    assert e.high < 1.0


@given(st.integers(1, 200), st.data(), st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_blaker_is_inside_clopper_pearson_and_nested(n: int, data: st.DataObject, level: float) -> None:
    k = data.draw(st.integers(0, n))
    low, high = limits(k, n, "blaker", confidence_level=level)
    wide_low, wide_high = limits(k, n, "clopper-pearson", confidence_level=level)
    assert wide_low <= low <= k / n <= high <= wide_high
    surer = limits(k, n, "blaker", confidence_level=0.5 + level / 2)
    assert surer[0] <= low
    assert high <= surer[1]


def test_blakers_limits_grow_with_the_successes() -> None:
    for n in (7, 30, 101):
        e = sy.proportion(np.arange(n + 1), n, method="blaker")
        assert (np.diff(e.low) >= 0).all()  # type: ignore[arg-type]
        assert (np.diff(e.high) >= 0).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["mid-p", "blaker", "likelihood", "scas", "wilson-cc"])
def test_large_counts_are_near_wilson(method: str) -> None:
    for k, n in ((5 * 10**8, 10**9), (10**7, 10**9), (2**45, 2**50)):
        low, high = limits(k, n, method)
        want = limits(k, n, "wilson")
        width = want[1] - want[0]
        assert (low - want[0], high - want[1]) == pytest.approx((0, 0), abs=1e-3 * width)


@pytest.mark.parametrize("method", ["mid-p", "blaker"])
def test_where_the_search_ends_nothing_jumps(method: str) -> None:
    """From 2^40 successes and failures on Clopper and Pearson's limits are taken, which differ by 1/(2 n) at most."""
    n = 2**42
    below, above = limits(2**40 - 1, n, method), limits(2**40, n, method)
    assert above[0] - below[0] == pytest.approx(1 / n, abs=1 / n)


@pytest.mark.parametrize("method", INVERT)
@given(n=st.integers(1, 120), data=st.data(), level=st.sampled_from([0.7, 0.9, 0.95, 0.99]))
def test_the_interval_is_what_its_test_does_not_reject(method: str, n: int, data: st.DataObject, level: float) -> None:
    k, p0 = data.draw(st.integers(0, n)), data.draw(st.floats(0.001, 0.999))
    side = data.draw(st.sampled_from(names("interval.alternative")))
    e = sy.proportion(k, n, method=method, test=p0, confidence_level=level, alternative=side)
    p = e.detail["p_value"]
    if abs(p - (1 - level)) < 1e-9:
        return
    inside = bool(e.low <= p0 <= e.high)  # type: ignore[operator]
    if method == "blaker" and side == "two-sided":
        assert inside or p < 1 - level  # the p-value may dip inside of the interval, which has no holes
    else:
        assert inside == (p > 1 - level)


@pytest.mark.parametrize("side", names("interval.alternative"))
def test_p_values_of_scipy(side: str) -> None:
    for k, n, p0 in ((3, 10, 0.5), (870, 1000, 0.85), (1, 29, 0.2), (0, 5, 0.3)):
        exact = sy.proportion(k, n, method="clopper-pearson", test=p0, alternative=side)
        both = [stats.binomtest(k, n, p0, alternative=a).pvalue for a in ("less", "greater")]
        want = min(1.0, 2 * min(both)) if side == "two-sided" else both[side == "greater"]
        assert exact.detail["p_value"] == pytest.approx(want, rel=1e-11)
        mid = sy.proportion(k, n, method="mid-p", test=p0, alternative=side).detail["p_value"]
        half = stats.binom.pmf(k, n, p0) / 2
        want = min(1.0, 2 * (min(both) - half)) if side == "two-sided" else both[side == "greater"] - half
        assert mid == pytest.approx(want, rel=1e-11)


def test_a_score_p_is_the_z_test_with_the_variance_of_the_hypothesis() -> None:
    proportions = pytest.importorskip("statsmodels.stats.proportion", reason="statsmodels is the peer")
    for ours, theirs in (("two-sided", "two-sided"), ("less", "smaller"), ("greater", "larger")):
        want = proportions.proportions_ztest(43, 50, value=0.7, alternative=theirs, prop_var=0.7)[1]
        got = sy.proportion(43, 50, test=0.7, alternative=ours)
        assert got.detail["p_value"] == pytest.approx(want, rel=1e-12)
        assert got.detail["test"] == "score"


@pytest.mark.parametrize("method", METHODS)
def test_which_test_is_said(method: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SteelyardWarning)
        found = sy.proportion(43, 50, method=method, test=0.7)
        plain = sy.proportion(43, 50, method=method)
    assert (found.low, found.high, plain.detail) == (plain.low, plain.high, {})
    assert found.detail["p0"] == 0.7
    assert (found.detail["test"] == "binomial, exact") == (method not in INVERT or method == "clopper-pearson")
    assert found.detail["test"] in {test.title or test.name for test in REGISTRIES["proportion.test"].values()}


def test_arrays_of_hypotheses_are_many_problems() -> None:
    e = sy.proportion([[1, 2], [3, 4]], 10, method="blaker", test=[0.1, 0.2])
    assert e.detail["p_value"].shape == (2, 2)
    for i, (k, p0) in enumerate(((1, 0.1), (2, 0.2), (3, 0.1), (4, 0.2))):
        assert e[i].detail == sy.proportion(k, 10, method="blaker", test=p0).detail


def test_a_p_is_never_0() -> None:
    for method in METHODS:
        if method != "wald":
            assert sy.proportion(10**6, 10**6, method=method, test=1e-9).detail["p_value"] == 2.0**-1022


@pytest.mark.parametrize(
    ("test", "error", "sentence"),
    [
        (0, ValueError, r"test: expected a proportion inside \(0, 1\); got 0.0"),
        ([0.5, np.nan], ValueError, r"test: expected a proportion inside \(0, 1\); got nan at index 1"),
        ("fair", TypeError, "test: expected"),
        ([0.1, 0.2, 0.3], ValueError, r"k, n, test: expected shapes that broadcast; got \(2,\) and \(\) and \(3,\)"),
    ],
)
def test_bad_hypotheses_are_refused(test: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        sy.proportion([1, 2], 10, test=test)
