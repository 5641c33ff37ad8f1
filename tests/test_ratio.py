"""Ratios of sums: the definition recomputed, its special cases, peers, what is refused."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard._registries import names
from steelyard.reference import intervals as reference

from .cases import normalish, uniform
from .test_bootstrap import CITY_U, CITY_X, inside_band, multisets

Y = 1.0 + np.floor(5 * uniform(60, 1))
X = 2.0 * Y + normalish(60, 2)
IDS = np.arange(60) % 12


def near(e: sy.Estimate, value: float, variance: float, df: float) -> None:
    half = stats.t.isf(0.025, df) * math.sqrt(variance)
    wanted = (value, math.sqrt(variance), value - half, value + half)
    assert (e.value, e.standard_error, e.low, e.high) == pytest.approx(wanted, rel=1e-11)
    assert e.detail["df"] == pytest.approx(df, rel=1e-9)


@pytest.mark.parametrize("weights", [None, 0.5 + uniform(60, 5)])
@pytest.mark.parametrize("ids", [None, IDS])
def test_it_is_the_definition(ids: np.ndarray | None, weights: np.ndarray | None) -> None:
    e = sy.estimate((X, Y), "ratio", clusters=ids, weights=weights)
    codes = np.arange(60) if ids is None else ids
    near(e, *reference.ratio(X, Y, codes, int(codes.max()) + 1, weights))
    assert e.n == 60
    assert e.n_clusters == (None if ids is None else 12)
    scheme = "weighted t" if weights is not None else "t"
    assert e.method == ("clustered t" if ids is not None else scheme)
    assert str(e.reason).startswith("ratio of sums")
    if weights is not None:
        assert e.n_effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_the_mean_is_the_ratio_to_ones() -> None:
    """Graded values: within the rounding of the sums; by clusters too, and in the bootstrap."""
    ones, x = np.ones(60), 1e6 + normalish(60, 3)
    for of in ({}, {"clusters": IDS}, {"weights": Y}):
        e, want = sy.estimate((x, ones), "ratio", **of), sy.estimate(x, **of)  # type: ignore[arg-type]
        for field in ("value", "standard_error", "low", "high"):
            assert getattr(e, field) == pytest.approx(getattr(want, field), rel=1e-12), (of, field)
        assert e.detail["df"] == pytest.approx(want.detail["df"], rel=1e-10)
    for ids in (None, IDS):
        boot, want = (
            sy.bootstrap(*a, clusters=ids, n_resamples=499, method="bca") for a in (((x, ones), "ratio"), (x,))
        )
        np.testing.assert_allclose(boot.replicates, want.replicates, rtol=1e-15)
        assert (boot.low, boot.high) == pytest.approx((want.low, want.high), rel=1e-13)
        assert boot.detail["acceleration"] == pytest.approx(want.detail["acceleration"], rel=1e-9)


def test_rows_without_a_denominator_leave_the_mean_of_the_others() -> None:
    y = (np.arange(60) % 3 == 0) * 1.0
    e, want = sy.estimate((X * y, y), "ratio"), sy.estimate(X[::3])
    assert (e.value, e.low, e.high) == pytest.approx((want.value, want.low, want.high), rel=1e-12)
    assert e.n == 60


def test_groups_rows_and_what_is_left_out() -> None:
    y = Y.copy()
    x = X.copy()
    x[3], y[7] = np.nan, np.nan
    where = np.arange(60) != 20
    keep = where & ~np.isnan(x + y)
    e = sy.estimate((x, y), "ratio", where=where, nan_policy="omit")
    assert e.left_out == {"where": 1, "nan": 2}
    want = sy.estimate((x[keep], y[keep]), "ratio")
    assert (e.value, e.low, e.high) == (want.value, want.low, want.high)
    boot = sy.bootstrap((x, y), "ratio", where=where, nan_policy="omit", n_resamples=99)
    assert boot.left_out == {"where": 1, "nan": 2}
    assert (boot.replicates == sy.bootstrap((x[keep], y[keep]), "ratio", n_resamples=99).replicates).all()
    parts = sy.estimate((X, Y), "ratio", by=IDS % 2)
    for group, name in enumerate(parts.names or ()):
        alone = sy.estimate((X[group == IDS % 2], Y[group == IDS % 2]), "ratio")
        assert (parts[name].value, parts[name].low) == (alone.value, alone.low)
    with pytest.raises(ValueError, match=r"^x\[1\]: expected finite values; got nan at index 7"):
        sy.estimate((X, y), "ratio")
    with pytest.raises(ValueError, match=r"^x\[0\]: expected finite values; got nan at index 3"):
        sy.bootstrap((x, Y), "ratio")


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "bool"])
def test_columns_of_any_types(dtype: str) -> None:
    y = (Y > 2).astype(dtype) if dtype == "bool" else Y.astype(dtype)
    want = sy.estimate((X, y.astype(np.float64)), "ratio")
    assert sy.estimate((X, y), "ratio") == want
    assert sy.estimate((X.tolist(), y.tolist()), "ratio") == want


def test_one_ratio_in_every_row_is_no_certainty() -> None:
    e = sy.estimate((0.25 * Y, Y), "ratio")
    q = (z := float(stats.norm.isf(0.025))) * z / (60 + z * z)
    assert (e.low, e.high) == pytest.approx((0.25 * (1 - q), 0.25 + q * 0.75), rel=1e-12)
    assert e.method == "no spread"
    assert "all 60 ratios are equal: the limits take" in str(e.reason)
    for x in (3.0 * Y, -0.25 * Y):
        wide = sy.estimate((x, Y), "ratio")
        assert wide.low is None
        assert wide.standard_error is None
        assert "no limits" in str(wide.reason)
    tenths = sy.estimate((0.1 * 3.0 * Y, Y), "ratio", clusters=IDS)
    assert tenths.method == "clustered no spread"
    assert "all 12 cluster ratios are equal" in str(tenths.reason)
    single = sy.estimate(((Y / np.float32(3)).astype("f4"), Y.astype("f4")), "ratio")
    assert "equal but for rounding" in str(single.reason)
    with pytest.raises(ValueError, match=r"^x: expected rows of different ratios; got 60 equal ratios"):
        sy.bootstrap((0.25 * Y, Y), "ratio")
    with pytest.raises(ValueError, match="got 12 clusters of equal ratios"):
        sy.bootstrap((0.25 * Y, Y), "ratio", clusters=IDS)


def test_a_denominator_of_uncertain_sign_has_no_limits() -> None:
    y = normalish(60, 4)
    e = sy.estimate((X, y), "ratio")
    assert e.value == pytest.approx(math.fsum(X) / math.fsum(y), rel=1e-12)
    assert e.low is e.high is e.standard_error is None
    assert "x[1] holds both signs" in str(e.reason)
    with pytest.raises(ValueError, match=r"^x\[1\]: expected values whose sum is certainly not 0"):
        sy.bootstrap((X, y), "ratio")
    assert sy.estimate((X, y + 2.0), "ratio").low is not None
    turned, want = sy.estimate((-X, -Y), "ratio"), sy.estimate((X, Y), "ratio")
    assert (turned.value, turned.low, turned.high) == (want.value, want.low, want.high)


@pytest.mark.parametrize("y", [np.zeros(60), np.tile([0.1, 0.2, -0.3], 20)])
def test_a_sum_of_zero_is_refused(y: np.ndarray) -> None:
    for call in (sy.estimate, sy.bootstrap):
        with pytest.raises(ValueError, match=r"^x\[1\]: expected values whose sum is not 0"):
            call((X, y), "ratio")


def test_a_resample_without_a_denominator_is_refused() -> None:
    y = np.zeros(60)
    y[:2] = 1.0
    assert sy.estimate((X, y), "ratio").low is not None
    with pytest.raises(ValueError, match=r"^x\[1\]: expected denominators in every resample"):
        sy.bootstrap((X, y), "ratio")


def test_one_row_or_cluster_with_the_whole_denominator_says_nothing() -> None:
    e = sy.estimate(([1.0, 0.0], [2.0, 0.0]), "ratio")
    assert (e.value, e.low, e.detail) == (0.5, None, {})
    assert "one row has the whole sum of x[1]" in str(e.reason)
    assert "under two clusters" in str(sy.estimate((X, Y), "ratio", clusters=np.zeros(60, int)).reason)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (X, TypeError, r"x: expected a tuple of 2 columns \(x, y\) for statistic='ratio'"),
        ((X,), ValueError, "x: expected a tuple of 2 columns .*got a tuple of 1"),
        ((X, Y[:-1]), ValueError, r"x\[1\]: expected 60 rows, as x\[0\] has; got 59"),
        ((X, "abc"), TypeError, r"x\[1\]: expected"),
        ((X[:0], Y[:0]), ValueError, "x: expected at least one value"),
    ],
)
def test_what_is_no_pair_of_columns_is_refused(x: Any, error: type[Exception], message: str) -> None:
    for call in (sy.estimate, sy.bootstrap):
        with pytest.raises(error, match="^" + message):
            call(x, "ratio")


def test_options_that_the_ratio_has_not() -> None:
    with pytest.raises(ValueError, match=r"^method: expected 't'; got 'wilson'"):
        sy.estimate((X, Y), "ratio", method="wilson")
    known = ", ".join(names("uncertainty.statistic"))
    with pytest.raises(ValueError, match="^" + re.escape(f"statistic: expected one of {known}; got 'rate'")):
        sy.estimate((X, Y), "rate")  # type: ignore[arg-type]


def test_huge_and_tiny_values_are_right_or_refused() -> None:
    e, want = sy.estimate((X * 2.0**200, Y * 2.0**-200), "ratio"), sy.estimate((X, Y), "ratio")
    assert e.low == pytest.approx(want.low * 2.0**400, rel=1e-12)
    with pytest.raises(ValueError, match=r"^x\[0\]: expected values whose sum of squares stays finite"):
        sy.estimate((X * 1e200, Y), "ratio")


# -- by resampling ----------------------------------------------------------------------------------------


def test_the_city_ratio_by_rows_has_its_exact_distribution() -> None:
    counts, weight = multisets(10)
    ratios, b = counts @ CITY_X / (counts @ CITY_U), 99_999
    boot = sy.bootstrap((CITY_X, CITY_U), "ratio", method="percentile", n_resamples=b)
    assert boot.value == pytest.approx(1.5203125, abs=1e-12)
    assert inside_band(boot.low, ratios, weight, 0.025, b)
    assert inside_band(boot.high, ratios, weight, 0.975, b)
    assert boot.standard_error == pytest.approx(0.2214980531, rel=0.02)


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
def test_limits_are_scipys_within_monte_carlo_error(method: str) -> None:
    b = 4999
    theirs = stats.bootstrap(
        (X, Y), lambda x, y, axis=-1: x.sum(axis) / y.sum(axis), paired=True, vectorized=True, n_resamples=b,
        method="BCa" if method == "bca" else method, rng=np.random.default_rng(2),
    )  # fmt: skip
    ours = sy.bootstrap((X, Y), "ratio", method=method, n_resamples=b, seed=2)
    factor = 5 * math.sqrt(2) * (2 if method == "bca" else 1)
    assert abs(ours.low - theirs.confidence_interval.low) <= factor * ours.low_error  # type: ignore[operator]
    assert abs(ours.high - theirs.confidence_interval.high) <= factor * ours.high_error  # type: ignore[operator]
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=5 / math.sqrt(b))


def test_clusters_are_resampled_by_their_sums() -> None:
    sums = np.array([[X[g == IDS].sum(), Y[g == IDS].sum()] for g in range(12)])
    by_rows = sy.bootstrap((sums[:, 0], sums[:, 1]), "ratio", n_resamples=499)
    boot = sy.bootstrap((X, Y), "ratio", clusters=IDS, n_resamples=499)
    np.testing.assert_allclose(boot.replicates, by_rows.replicates, rtol=1e-13)
    assert boot.n_clusters == 12
    assert (boot.low, boot.high) == pytest.approx((by_rows.low, by_rows.high), rel=1e-12)


def test_tables_in_frames_are_paired_by_their_labels() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"x": X, "y": Y})
    assert sy.estimate((frame["x"], frame["y"]), "ratio") == sy.estimate((X, Y), "ratio")
    with pytest.raises(ValueError, match=r"x\[1\]"):
        sy.estimate((frame["x"], frame["y"].iloc[::-1]), "ratio")
