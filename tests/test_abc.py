"""ABC limits: published values, the reference, what they approximate, designs, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.reference import abc as reference

from .cases import normalish, uniform
from .cases.uncertainty_bootstrap import OTHERS, QUOTIENTS, sums_columns

SPATIAL = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]


def abc(x: Any, statistic: Any = "mean", **how: Any) -> sy.uncertainty.BootstrapEstimate:
    return sy.bootstrap(x, statistic, method="abc", **how)


def given(columns: list[np.ndarray]) -> Any:
    return columns[0] if len(columns) == 1 else tuple(columns)


def test_the_spatial_data_of_efron_and_tibshirani() -> None:
    """Table 14.1 of their book, by R's ``abcnon``, whose differences of a step of .001/n are good for five digits here."""
    got = abc(SPATIAL, "variance", confidence_level=0.9)
    assert (got.low, got.high) == pytest.approx((116.7054639, 260.8830176), rel=2e-7)
    assert (got.value, got.standard_error) == pytest.approx((171.5340237, 42.4528936), rel=1e-9)
    want = {"acceleration": 0.0612401198, "z0": 0.1832832813, "curvature": -0.0397251349, "bias": -6.5974618}
    for name, value in want.items():
        assert got.detail[name] == pytest.approx(value, rel=1e-5)
    wide = abc(SPATIAL, "variance")
    assert (wide.low, wide.high) == pytest.approx((106.6632056, 278.4908446), rel=2e-7)


def test_there_are_no_replicates() -> None:
    got = abc(SPATIAL, "variance", n_resamples=7, seed=3)
    assert got.replicates is None
    assert (got.low_error, got.high_error, got.method) == (0.0, 0.0, "ABC bootstrap")
    assert got.detail["n_resamples"] == math.inf
    assert "seed" not in got.detail
    assert abc(SPATIAL, "variance", n_resamples=math.inf) == got
    with pytest.raises(TypeError, match="no replicates to plot"):
        got.plot()
    less, greater = (abc(SPATIAL, "variance", alternative=side, confidence_level=0.975) for side in ("less", "greater"))
    assert (less.low, less.high) == (-math.inf, pytest.approx(got.high, rel=1e-12))
    assert (greater.low, greater.high) == (pytest.approx(got.low, rel=1e-12), math.inf)


DESIGNS: dict[str, dict[str, Any]] = {
    "rows": {},
    "clusters": {"clusters": np.arange(48) % 16},
    "weights": {"weights": 0.5 + uniform(48, 2)},
    "strata": {"strata": np.arange(48) % 3 // 2},
    "macro": {"strata": np.arange(48) % 3 // 2, "average": "macro"},
    "weighted clusters in strata": {
        "clusters": np.arange(48) % 16, "strata": np.arange(48) % 16 // 9, "weights": 0.5 + uniform(48, 2),
    },
}  # fmt: skip


@pytest.mark.parametrize("statistic", ["mean", "ratio", *OTHERS, *QUOTIENTS])
@pytest.mark.parametrize("design", sorted(DESIGNS))
def test_every_statistic_has_the_limits_of_the_reference(statistic: str, design: str) -> None:
    columns, how = sums_columns(statistic, 48), DESIGNS[design]
    got = abc(given(columns), statistic, confidence_level=0.8, **how)
    clusters, strata = how.get("clusters"), how.get("strata")
    if strata is not None and clusters is not None:
        strata = strata[:16]
    want = reference.abc(
        statistic, columns, clusters=clusters, weights=how.get("weights"), strata=strata, macro="average" in how,
        confidence_level=0.8,
    )  # fmt: skip
    for name in ("value", "standard_error", "low", "high"):
        assert getattr(got, name) == pytest.approx(want[name], rel=2e-8), name
    for name in ("acceleration", "z0", "curvature"):
        assert got.detail[name] == pytest.approx(want[name], rel=1e-6, abs=1e-8), name
    assert got.detail["bias"] == pytest.approx(want["bias"], rel=1e-6, abs=1e-8 * want["standard_error"])


@pytest.mark.parametrize("statistic", ["mean", "variance", "correlation", "mean/std"])
def test_limits_are_near_those_of_bca(statistic: str) -> None:
    """Of second order, so that what differs is a small share of the width with 400 rows."""
    columns = [np.exp(normalish(400, 3)), np.exp(normalish(400, 3)) + normalish(400, 9)][
        : 1 + (statistic == "correlation")
    ]
    got, bca = abc(given(columns), statistic), sy.bootstrap(given(columns), statistic, method="bca")
    width = bca.high - bca.low
    assert (got.low, got.high) == pytest.approx((bca.low, bca.high), abs=0.06 * width)
    assert got.detail["acceleration"] == pytest.approx(bca.detail["acceleration"], rel=1e-6)


def test_a_shift_and_a_scale_move_the_limits_along() -> None:
    x = np.exp(normalish(60, 3))
    base, moved = abc(x, "variance"), abc(1e6 + 3 * x, "variance")
    assert (moved.low, moved.high) == pytest.approx((9 * base.low, 9 * base.high), rel=1e-7)
    for factor in (2.0**400, 2.0**-400):
        far = abc(x * factor, "skewness")
        here = abc(x, "skewness")
        assert (far.low, far.high) == pytest.approx((here.low, here.high), rel=1e-12)


def test_columns_and_groups_are_problems_of_their_own() -> None:
    table = np.stack([np.exp(normalish(50, 1)), normalish(50, 2)], axis=1)
    both = abc(table, "std")
    assert (both.low[1], both.high[1]) == (abc(table[:, 1], "std").low, abc(table[:, 1], "std").high)
    assert both.replicates is None
    several = abc(table[:, 0], ("mean", "std"))
    assert several["std"].low == both.low[0]
    by = abc(table[:, 0], "std", by=np.arange(50) % 2)
    assert by["1"].high == abc(table[1::2, 0], "std").high


@pytest.mark.parametrize(
    ("x", "statistic", "how", "message"),
    [
        (SPATIAL, "median", {}, r"^method: expected another one than 'abc' for 'median', which has no derivatives"),
        (SPATIAL, np.mean, {}, r"^method: expected another one than 'abc' for 'mean', which has no derivatives"),
        (SPATIAL, ("mean", "iqr"), {}, r"^method: expected another one than 'abc' for 'iqr'"),
        (
            SPATIAL,
            "mean",
            {"blocks": "moving"},
            r"^blocks: expected None with method='abc', whose rows are independent",
        ),
        ([2.0] * 5, "mean", {}, r"^x: expected values that differ; got 5 equal values"),
        ([1.0, 1.0, 2.0, 2.0], "mean", {"strata": [0, 0, 1, 1]}, r"^x: expected values that differ"),
        ([0, 0, 0, 0, 5], "variance", {}, r"^method: expected a statistic that is nearly straight between its limits"),
        (SPATIAL, "mean", {"clusters": np.zeros(26)}, r"^clusters: expected at least two clusters; got one"),
        ([1.0, math.nan], "mean", {}, r"^x: expected finite values; got nan at index 1"),
        ((SPATIAL, np.arange(26) - 3), "ratio", {}, r"^x\[1\]: expected values of at least 0 for statistic='ratio'"),
    ],
)
def test_what_is_refused(x: Any, statistic: Any, how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        abc(x, statistic, **how)


def test_answers_are_better_off_with_a_proportion() -> None:
    assert "steelyard.proportion" in str(abc(np.arange(40) % 2).reason)
