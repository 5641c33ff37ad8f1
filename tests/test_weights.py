"""Sampling weights of `estimate`: recomputed in fractions, beside statsmodels, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import steelyard as sy

X = [0.25, 0.5, 0.125, 1.0, 0.75, 0.5, 0.0, 0.375]
W = [1.0, 2.0, 0.5, 4.0, 1.0, 0.25, 3.0, 1.0]
GROUPS = [0, 0, 1, 2, 2, 2, 3, 3]


def cr2(x: list[float], w: list[float], groups: list[int]) -> tuple[Fraction, Fraction, Fraction]:
    """Value, variance and degrees of freedom, exactly."""
    wx = [Fraction(a) * Fraction(b) for a, b in zip(w, x, strict=True)]
    ids = sorted(set(groups))
    s = [sum((v for v, g in zip(wx, groups, strict=True) if g == i), Fraction(0)) for i in ids]
    n = [sum((Fraction(v) for v, g in zip(w, groups, strict=True) if g == i), Fraction(0)) for i in ids]
    total = sum(n)
    m, f = sum(s) / total, [v / total for v in n]
    a = [v * v / (1 - v) for v in f]
    variance = sum((p - m * q) ** 2 / (1 - v) for p, q, v in zip(s, n, f, strict=True)) / total**2
    return m, variance, 1 / (sum(v * v for v in f) + sum(a) ** 2 - sum(v * v for v in a))


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_the_weighted_mean_by_its_definition(groups: list[int] | None) -> None:
    m, variance, df = cr2(X, W, groups or list(range(8)))
    e = sy.estimate(X, weights=W, clusters=groups)
    error, t = sqrt(variance), float(stats.t.isf(0.025, float(df)))
    assert e.value == pytest.approx(float(m), rel=1e-14)
    assert e.standard_error == pytest.approx(error, rel=1e-13)
    assert e.detail["df"] == pytest.approx(float(df), rel=1e-12)
    assert (e.low, e.high) == pytest.approx((float(m) - t * error, float(m) + t * error), rel=1e-10)
    assert e.n_effective == pytest.approx(sum(W) ** 2 / sum(v * v for v in W), rel=1e-14)
    assert (e.n, e.n_clusters) == (8, None if groups is None else 4)
    assert e.method == ("weighted t" if groups is None else "clustered t")
    one = sy.estimate(X, weights=W, clusters=groups, alternative="less", confidence_level=0.975)
    assert (one.low, one.high) == (-np.inf, pytest.approx(e.high, rel=1e-12))


def test_weights_of_answers_take_wilson_with_the_effective_rows() -> None:
    x = [1, 0, 1, 1, 0, 1, 1, 1]
    m, variance, df = cr2(x, W, list(range(8)))
    p, t = float(m), float(stats.t.isf(0.025, float(df)))
    n = min(8.0, p * (1 - p) / float(variance))
    e = sy.estimate(x, weights=W)
    assert (e.method, e.value, e.n_effective) == ("weighted Wilson", pytest.approx(p), pytest.approx(n, rel=1e-12))
    for limit in (e.low, e.high):
        assert (p - limit) ** 2 == pytest.approx(t * t * limit * (1 - limit) / n, rel=1e-9)
    assert e.standard_error == pytest.approx(sqrt(variance), rel=1e-13)
    booleans = sy.estimate(np.array(x, bool), weights=W)
    assert booleans == e


def test_equal_answers_with_weights_are_not_certain() -> None:
    for w in (W, [1 / 3] * 8, [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.7, 0.9]):
        few = sum(w) ** 2 / sum(v * v for v in w)
        e = sy.estimate([1] * 8, weights=w)
        t = float(stats.t.isf(0.025, e.detail["df"]))
        assert (e.value, e.high, e.n_effective) == (1.0, 1.0, pytest.approx(few, rel=1e-12))
        assert e.low == pytest.approx(few / (few + t * t), rel=1e-9)
        assert "all answers are equal" in str(e.reason)


def test_equal_shares_with_weights_that_round_show_no_spread() -> None:
    """Every cluster has one right of three, in weights whose sums are not exact: V comes out as 1e-34."""
    for k in (3, 7, 10):
        x, groups = [1, 0, 0] * k, [i // 3 for i in range(3 * k)]
        w = [v / 3 for i in range(k) for v in [0.1 * (i + 1)] * 3]
        e = sy.estimate(x, weights=w, clusters=groups)
        sizes = [sum(w[3 * i : 3 * i + 3]) for i in range(k)]
        assert e.n_effective == pytest.approx(sum(sizes) ** 2 / sum(s * s for s in sizes), rel=1e-12)
        assert e.standard_error is not None
        assert e.standard_error > 0.02


def test_statsmodels_weighted_least_squares_has_the_same_error() -> None:
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(3)
    x, w = rng.normal(5, 2, 60), rng.exponential(1, 60)
    theirs = sm.WLS(x, np.ones(60), weights=w).fit(cov_type="HC2")
    ours = sy.estimate(x, weights=w)
    assert ours.value == pytest.approx(theirs.params[0], rel=1e-13)
    assert ours.standard_error == pytest.approx(theirs.bse[0], rel=1e-12)


def test_one_say_an_id_is_the_estimate_of_the_means() -> None:
    """Ids that repeat unequally: 1/k for each of k rows, clustered by id."""
    rng = np.random.default_rng(0)
    for kind in ("graded", "answers"):
        times = rng.integers(1, 6, 40)
        ids = np.repeat(np.arange(40), times)
        x = rng.random(len(ids)) if kind == "graded" else (rng.random(len(ids)) < 0.7).astype(float)
        means = [float(np.mean(x[ids == i])) for i in range(40)]
        e = sy.estimate(x, weights=1 / times[ids], clusters=ids, method="t")
        want = sy.estimate(means, method="t")
        assert e.value == pytest.approx(want.value, rel=1e-13)
        assert e.standard_error == pytest.approx(want.standard_error, rel=1e-12)
        assert e.detail["df"] == pytest.approx(39, rel=1e-12)
        assert (e.low, e.high) == pytest.approx((want.low, want.high), rel=1e-12)
        assert (e.n, e.n_clusters) == (len(ids), 40)


def test_one_say_an_id_without_spread() -> None:
    times = np.array([1, 2, 3, 5, 7])
    ids = np.repeat(np.arange(5), times)
    e = sy.estimate(np.full(18, 0.1), weights=1 / times[ids], clusters=ids)
    want = sy.estimate([0.1] * 5)
    assert (e.low, e.high) == pytest.approx((want.low, want.high), rel=1e-12)
    assert e.standard_error == pytest.approx(want.standard_error, rel=1e-12)


@given(st.lists(st.tuples(st.integers(0, 16), st.integers(1, 30)), min_size=2, max_size=30), st.integers(-900, 900))
def test_the_scale_of_weights_is_of_no_account(rows: list[tuple[int, int]], power: int) -> None:
    x, w = np.array(rows).T / 16
    assert sy.estimate(x, weights=w) == sy.estimate(x, weights=w * 2.0**power)


def test_equal_weights_are_rows_that_are_clusters() -> None:
    own = sy.estimate(X, clusters=list(range(8)))
    for w in (1, 2.5, 1e300, 1e-300, 5e-324):
        e = sy.estimate(X, weights=[w] * 8)
        assert (e.value, e.standard_error, e.low) == pytest.approx((own.value, own.standard_error, own.low), rel=1e-13)
        assert e.n_effective == pytest.approx(8, rel=1e-14)
    # If weights were counts of rows, the interval would be much narrower.
    assert sy.estimate(X, weights=[1000] * 8) == sy.estimate(X, weights=[1000.0] * 8)


def test_rows_without_weight_are_left_out() -> None:
    w = [0.0, 1, 2, 0.0, 1, -0.0, 1, 3]
    kept = [i for i, v in enumerate(w) if v]
    x = [np.nan, 0.5, 0.125, np.inf, 0.75, 0.5, 0.0, 0.375]
    ids: list[Any] = [None, "a", "b", None, "c", "c", "d", "d"]
    e = sy.estimate(x, weights=w, clusters=ids)
    want = sy.estimate([x[i] for i in kept], weights=[w[i] for i in kept], clusters=[ids[i] for i in kept])
    assert (e.value, e.low, e.high, e.n, e.n_clusters, e.n_effective) == (
        want.value, want.low, want.high, 5, want.n_clusters, want.n_effective
    )  # fmt: skip
    assert e.left_out == {"zero weight": 3}
    # What where leaves out needs no weight; each row is counted once.
    both = sy.estimate(
        [np.nan, 1.5, np.nan, 2.0, 4.0], weights=[np.nan, 1, 1, 0, 2], nan_policy="omit",
        where=np.array([False, True, True, True, True]),
    )  # fmt: skip
    assert (both.n, both.left_out) == (2, {"where": 1, "zero weight": 1, "nan": 1})
    many = sy.estimate({"a": [1.0, 2.0, np.nan], "b": [1.0, 2.0, 4.0]}, weights=[1, 2, 3], nan_policy="omit")
    assert many["a"].n_effective == pytest.approx(9 / 5)
    assert many["b"].n_effective == pytest.approx(36 / 14)


def test_weights_that_leave_nothing_to_compare() -> None:
    one = sy.estimate([0.25], weights=[3])
    assert (one.value, one.low, one.standard_error, one.reason) == (
        0.25, None, None, "the spread is unknown where one row has all the weight"
    )  # fmt: skip
    # 1 - f is 0 in float64: all of the sum is one row.
    lone = sy.estimate([0.25, 0.5, 1.0], weights=[1, 1e-300, 1e-300])
    assert (lone.value, lone.low, lone.high) == (0.25, None, None)


@pytest.mark.parametrize(
    ("weights", "error", "sentence"),
    [
        ([1, 2, -1], ValueError, "weights: expected finite numbers of at least 0; got -1.0 at index 2"),
        ([1, np.nan, 1], ValueError, "weights: expected finite numbers of at least 0; got nan at index 1"),
        ([1, np.inf, 1], ValueError, "weights: expected finite numbers of at least 0; got inf at index 1"),
        ([0, 0, 0], ValueError, "weights: expected a row that counts with a weight above 0; got none"),
        ([1, 2], ValueError, r"weights: expected shape \(3,\), one weight per row of x; got shape \(2,\)"),
        ([[1, 2, 3]], ValueError, "weights: expected 1 axis"),
        (["a", "b", "c"], TypeError, "weights: expected numbers"),
        ([True, False, True], TypeError, "weights: expected numbers; got booleans; where= says which rows count"),
    ],
)
def test_bad_weights_are_refused(weights: Any, error: type, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        sy.estimate([0.1, 0.2, 0.3], weights=weights)


def test_methods_that_know_no_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="method: expected wilson or t with weights; got 'jeffreys'"):
        sy.estimate([1, 0, 1], weights=[1, 2, 3], method="jeffreys")


def test_overflow_is_refused() -> None:
    with pytest.raises(ValueError, match="x: expected values whose sum of squares stays finite"):
        sy.estimate([1e200, -1e200, 3e200], weights=[1, 2, 3])
