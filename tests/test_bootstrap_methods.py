"""Methods of the bootstrap beside percentile, basic and BCa: their formulas, by enumeration where there is one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import steelyard as sy

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
