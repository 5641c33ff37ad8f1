"""Methods of the bootstrap beside percentile, basic and BCa: their formulas, by enumeration where there is one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard.reference import bootstrap as reference

from .cases.uncertainty_bootstrap import OTHERS, sums_columns
from .test_bootstrap import CITY_U, CITY_X, MOUSE, R_DATA, inside_band, multisets

B = 99_999


def test_expanded_takes_the_quantiles_of_students_t() -> None:
    """Hesterberg 2015: Phi(sqrt(n/(n - 1)) t) in place of the level, here of the exact distribution."""
    counts, weight = multisets(7)
    means = counts @ MOUSE / 7
    level = float(stats.norm.cdf(math.sqrt(7 / 6) * stats.t.ppf(0.025, 6)))
    boot = sy.bootstrap(MOUSE, method="expanded", n_resamples=B)
    assert inside_band(boot.low, means, weight, level, B)
    assert inside_band(boot.high, means, weight, 1 - level, B)
    assert boot.method == "expanded percentile bootstrap"
    ideal = sy.bootstrap(MOUSE, method="expanded", n_resamples=math.inf)
    wider = sy.bootstrap(MOUSE, method="percentile", n_resamples=math.inf, confidence_level=1 - 2 * level)
    assert (ideal.low, ideal.high) == (wider.low, wider.high)


def test_expanded_counts_clusters_not_rows() -> None:
    x, codes = np.repeat(MOUSE, 3), np.repeat(np.arange(7), 3)
    clustered = sy.bootstrap(x, clusters=codes, method="expanded", n_resamples=999)
    rows = sy.bootstrap(MOUSE, method="expanded", n_resamples=999)
    assert (clustered.low, clustered.high) == pytest.approx((rows.low, rows.high), rel=1e-12)


def test_bc_is_bca_without_an_acceleration() -> None:
    """Of symmetric data BCa's acceleration is 0 too."""
    symmetric = np.concatenate([R_DATA, 400 - R_DATA])
    bc, bca = (sy.bootstrap(symmetric, method=method) for method in ("bc", "bca"))
    assert bca.detail["acceleration"] == pytest.approx(0, abs=1e-12)
    assert (bc.low, bc.high) == pytest.approx((bca.low, bca.high), rel=1e-9)
    assert "acceleration" not in bc.detail
    counts, weight = multisets(10)
    ratios = counts @ CITY_X / (counts @ CITY_U)
    share = weight[ratios < 1.5203125 - 1e-12].sum() + weight[abs(ratios - 1.5203125) <= 1e-12].sum() / 2
    level = stats.norm.cdf(2 * stats.norm.ppf(share) + stats.norm.ppf([0.025, 0.975]))
    boot = sy.bootstrap((CITY_X, CITY_U), "ratio", method="bc", n_resamples=B)
    assert inside_band(boot.low, ratios, weight, level[0], B // 4)
    assert inside_band(boot.high, ratios, weight, level[1], B // 4)
    ideal = sy.bootstrap((CITY_X, CITY_U), "ratio", method="bc", n_resamples=math.inf)
    assert ideal.detail["z0"] == pytest.approx(stats.norm.ppf(share), abs=1e-9)


def test_normal_takes_the_bias_off() -> None:
    """The exact bias and standard error of the city ratio are .0394736 and .2214980531."""
    boot = sy.bootstrap((CITY_X, CITY_U), "ratio", method="normal", n_resamples=B)
    z = float(stats.norm.ppf(0.975))
    for limit, error, side in ((boot.low, boot.low_error, -1), (boot.high, boot.high_error, 1)):
        assert limit == pytest.approx(1.5203125 - 0.0394736 + side * z * 0.2214980531, abs=4.5 * error)
    m, s = boot.replicates.mean(), boot.replicates.std(ddof=1)
    assert (boot.low, boot.high) == pytest.approx((2 * boot.value - m - z * s, 2 * boot.value - m + z * s), rel=1e-12)
    less = sy.bootstrap((CITY_X, CITY_U), "ratio", method="normal", n_resamples=999, alternative="less")
    assert (less.low, less.low_error) == (-math.inf, 0.0)


def test_normal_needs_replicates() -> None:
    with pytest.raises(
        ValueError, match=r"^n_resamples: expected a finite number for a method that needs the replicates"
    ):
        sy.bootstrap(R_DATA, method="normal", n_resamples=math.inf)
    with pytest.raises(ValueError, match=r"^n_resamples: expected so many .* got 1"):
        sy.bootstrap(R_DATA, method="normal", n_resamples=1)
    with pytest.raises(ValueError, match=r"^x: expected resamples that differ in their mean; got 2 of one value"):
        sy.bootstrap([1.0, 2.0], method="normal", n_resamples=2, seed=3)


# -- by t -------------------------------------------------------------------------------------------------


def studentized_t(counts: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The t of every row of counts, infinite where all that was drawn is equal."""
    n = len(x)
    mean = counts @ x / n
    variance = (counts * (x - mean[:, None]) ** 2).sum(1) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(variance > 1e-9, (mean - x.mean()) / np.sqrt(variance / n), np.sign(mean - x.mean()) * np.inf)
    return np.nan_to_num(t, nan=0.0, posinf=1e300, neginf=-1e300)


def test_studentized_has_the_quantiles_of_t_over_all_resamples() -> None:
    counts, weight = multisets(7)
    t = studentized_t(counts, MOUSE)
    error = MOUSE.std() / math.sqrt(7)
    boot = sy.bootstrap(MOUSE, method="studentized", n_resamples=B)
    assert inside_band((boot.value - boot.high) / error, t, weight, 0.025, B)
    assert inside_band((boot.value - boot.low) / error, t, weight, 0.975, B)
    assert boot.replicates.tobytes() == sy.bootstrap(MOUSE, method="percentile", n_resamples=B).replicates.tobytes()
    assert boot.standard_error == pytest.approx(error, rel=0.01)


def test_resamples_without_spread_are_refused_where_they_reach_a_limit() -> None:
    """One row of 20 is a 1: resamples without it, a third of them, show no spread."""
    x = np.arange(20) == 0
    with pytest.raises(
        ValueError, match=r"^method: expected resamples that show a spread.* of 999 without; use method="
    ):
        sy.bootstrap(x, method="studentized", n_resamples=999)
    boot = sy.bootstrap(x, method="beta_t", n_resamples=9999)
    assert math.isfinite(boot.low)
    assert math.isfinite(boot.high)
    assert boot.low < 0.05 < boot.high


@pytest.mark.parametrize("method", ["studentized", "beta_t"])
def test_a_shift_and_a_scale_move_the_limits_along(method: str) -> None:
    base = sy.bootstrap(R_DATA, method=method, n_resamples=999)
    moved = sy.bootstrap(1e6 + 3 * R_DATA, method=method, n_resamples=999)
    assert (moved.low - 1e6, moved.high - 1e6) == pytest.approx((3 * base.low, 3 * base.high), abs=1e-6)


@pytest.mark.parametrize("method", ["studentized", "beta_t"])
@pytest.mark.parametrize("statistic", OTHERS)
def test_t_of_the_statistics_of_sums_are_those_of_the_reference(statistic: str, method: str) -> None:
    codes = np.arange(48) % 16
    columns = sums_columns(statistic, 48)
    for clusters in (None, codes):
        want = reference.of_statistic(
            statistic, columns, clusters, method=method, n_resamples=99, seed=4, confidence_level=0.8
        )
        boot = sy.bootstrap(
            tuple(columns) if len(columns) > 1 else columns[0], statistic, clusters=clusters, method=method,
            n_resamples=99, seed=4, confidence_level=0.8,
        )  # fmt: skip
        found = (boot.value, boot.low, boot.high, boot.low_error, boot.high_error)
        expected = [want[name] for name in ("value", "low", "high", "low_error", "high_error")]
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_beta_weights_have_their_moments() -> None:
    """4 Beta(1/2, 3/2), of which the mean, the variance and the skewness are 1: the replicates of a mean have its spread."""
    x = np.sqrt(np.arange(400.0))
    boot = sy.bootstrap(x, method="beta_t")
    assert boot.standard_error == pytest.approx(x.std() / 20, rel=0.03)
    assert boot.replicates.mean() == pytest.approx(x.mean(), abs=4 * x.std() / 20 / 100)


@pytest.mark.parametrize("method", ["studentized", "beta_t"])
def test_sorted_rows_have_no_influences(method: str) -> None:
    with pytest.raises(ValueError, match=r"^method: expected percentile, .* for a statistic of sorted rows"):
        sy.bootstrap(R_DATA, "median", method=method, n_resamples=99)


@pytest.mark.parametrize("method", ["normal", "beta_t"])
def test_the_ideal_bootstrap_lacks_methods_that_need_replicates(method: str) -> None:
    with pytest.raises(ValueError, match=r"^n_resamples: expected a finite number for a method that needs"):
        sy.bootstrap(R_DATA, method=method, n_resamples=math.inf)


def test_few_graded_rows_take_the_beta_bootstrap_t_by_default() -> None:
    """And say why; answers, many rows, other statistics, several of them and infinitely many resamples take BCa."""
    x = np.sqrt(np.arange(60.0))
    few = sy.bootstrap(x[:49], n_resamples=999)
    assert few.method == "beta bootstrap-t"
    assert few.reason == "fewer than 50 rows or clusters, where BCa's intervals are too short"
    asked = sy.bootstrap(x[:49], n_resamples=999, method="beta_t")
    assert (few.low, few.high, asked.reason) == (asked.low, asked.high, "as asked")
    bca = "BCa bootstrap"
    assert sy.bootstrap(x, n_resamples=999).method == bca
    assert sy.bootstrap(x, clusters=np.arange(60) // 2, n_resamples=999).method == "beta bootstrap-t"
    assert sy.bootstrap(np.arange(40) % 2, n_resamples=999).method == bca
    assert sy.bootstrap(x[:49], "median", n_resamples=999).method == bca
    assert sy.bootstrap(x[:49], ("mean", "std"), n_resamples=999)[0].method == bca
    assert sy.bootstrap(x[:49], n_resamples=math.inf).method == f"ideal {bca}"
    assert sy.bootstrap(x[:49], np.mean, n_resamples=999).method == bca
