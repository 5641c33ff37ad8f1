"""More resamples of a bootstrap: continued, added, and as many as a tolerance needs."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.reference.bootstrap import limits

X = np.random.default_rng(1).exponential(size=60)
Y = X + np.random.default_rng(2).normal(size=60)
GROUPS = np.arange(60) % 3
DESIGNS: dict[str, Any] = {
    "mean": ((X,), {}),
    "a function": ((X, lambda x: float(np.max(x))), {"method": "percentile"}),
    "two statistics": ((X, ("median", "std")), {}),
    "ratio in clusters": (((X, Y), "ratio"), {"clusters": np.arange(60) // 4}),
    "groups": ((X,), {"by": GROUPS, "method": "basic"}),
    "strata": ((X, "std"), {"strata": GROUPS}),
    "blocks": ((X,), {"blocks": "circular"}),
    "columns": ((np.c_[X, Y],), {"method": "expanded"}),
    "by t": ((X,), {"method": "studentized"}),
    "median": ((X, "median"), {"method": "percentile"}),
    "median, corrected": ((X, "median"), {"method": "bca"}),
    "smoothed": ((X,), {"sampling": "smoothed", "method": "percentile"}),
    "weights that are drawn": ((X, "std"), {"sampling": "bayesian"}),
    "fewer rows": ((X,), {"sampling": sy.uncertainty.subsample(20), "method": "percentile"}),
    "a function of blocks": ((X, lambda x: float(np.max(x))), {"method": "percentile", "blocks": "moving"}),
}


@pytest.mark.parametrize("design", DESIGNS)
def test_a_bootstrap_goes_on(design: str) -> None:
    """With the bits of one call of as many resamples, once and again."""
    data, options = DESIGNS[design]
    boot = sy.bootstrap(*data, n_resamples=1999, seed=5, **options)
    assert boot.extend(600) == sy.bootstrap(*data, n_resamples=2599, seed=5, **options)
    assert boot.extend(1).extend(599) == boot.extend(600)


@pytest.mark.parametrize("made", [0, 1000])
def test_resamples_that_are_there_are_not_made_again(made: int) -> None:
    """But for the last 32, which show whether the data are the same; and none where a tolerance asks for more."""
    calls = 0

    def largest(x: Any) -> float:
        nonlocal calls
        calls += 1
        return float(np.max(x))

    boot = sy.bootstrap(X, largest, method="percentile", n_resamples=99 + made)
    before, seen = calls, []
    boot.extend(100, progress=lambda done, total: seen.append((done, total)))
    assert calls - before == 1 + 32 + 100  # the data, and resamples
    assert seen[-1] == (199 + made, 199 + made)
    calls = 0
    found = sy.bootstrap(X, lambda x: x.mean() + 0 * largest(x), method="percentile", n_resamples=99, tolerance=0.01)
    assert found.detail["n_resamples"] > 99
    assert calls <= found.detail["n_resamples"] + 4  # the data once in each attempt


def test_data_that_changed_are_refused() -> None:
    x = X.copy()
    boot = sy.bootstrap(x, n_resamples=399)
    x[7] += 1
    with pytest.raises(ValueError, match="data that have changed since"):
        boot.extend(100)


@pytest.mark.parametrize("lost", ["pickled", "copied", "picked", "added"])
def test_what_has_no_data_does_not_go_on(lost: str) -> None:
    boot, many = (
        sy.bootstrap(X, method="bca", n_resamples=399),
        sy.bootstrap(X, by=GROUPS, method="bca", n_resamples=399),
    )
    other = {
        "pickled": lambda: pickle.loads(pickle.dumps(boot)),
        "copied": lambda: copy.deepcopy(boot),
        "picked": lambda: many[0],
        "added": lambda: boot + sy.bootstrap(X, method="bca", n_resamples=399, seed=1),
    }[lost]()
    with pytest.raises(TypeError, match="has no data any more"):
        other.extend(100)
    with pytest.raises(TypeError, match="made no replicates"):
        sy.bootstrap(X, n_resamples=float("inf")).extend(100)


def test_a_function_that_cannot_be_written_does_not_hinder_the_result() -> None:
    boot = sy.bootstrap(X, lambda x: float(np.max(x)), method="percentile", n_resamples=99)
    assert pickle.loads(pickle.dumps(boot)) == boot


@pytest.mark.parametrize("method", ["percentile", "basic", "normal", "expanded", "bc", "bca"])
@pytest.mark.parametrize("binary", [False, True])
def test_runs_add_up(method: str, binary: bool) -> None:
    """The limits are those of the replicates of both, in either order."""
    x = (X > 1).astype(float) if binary else X
    one, two = (sy.bootstrap(x, method=method, n_resamples=n, seed=seed) for n, seed in [(999, 1), (1500, 2)])
    both = one + pickle.loads(pickle.dumps(two))
    assert one.replicates is not None
    assert two.replicates is not None
    assert both.replicates is not None
    np.testing.assert_array_equal(both.replicates, np.r_[one.replicates, two.replicates])
    assert both.detail["n_resamples"] == 2499
    assert both.detail["seed"] == (1, 2)
    assert both == two + one
    assert both.value == one.value
    assert both.standard_error == pytest.approx(both.replicates.std(ddof=1), rel=1e-12)
    if method == "percentile":
        place = 2500 * np.array([0.025, 0.975]) - 1  # from 0 on
        in_order = np.sort(both.replicates)
        np.testing.assert_allclose([both.low, both.high], np.interp(place, np.arange(2499), in_order), rtol=1e-12)


def test_a_run_divided_by_seeds_has_the_limits_of_its_replicates() -> None:
    """BCa, whose correction is that of the data: as if the replicates of both had been those of one call."""
    runs = [sy.bootstrap(X, method="bca", n_resamples=999, seed=seed) for seed in (1, 2, 3)]
    both = runs[0] + runs[1] + runs[2]
    assert both.detail == {"acceleration": runs[0].detail["acceleration"], "n_resamples": 2997, "seed": (1, 2, 3)}
    assert both.replicates is not None
    want = limits(
        both.replicates, float(X.mean()), "bca", 0.95, accelerate=runs[0].detail["acceleration"], tie=0.0, units=60
    )
    np.testing.assert_allclose([both.low, both.high, both.low_error, both.high_error], want, rtol=1e-9)


@pytest.mark.parametrize("design", ["strata", "blocks", "clusters"])
def test_runs_of_a_design_add_up(design: str) -> None:
    """The number of units that expanded limits read is that of the design: rows of a stratum, blocks or clusters."""
    options: dict[str, Any] = {
        "strata": {"strata": GROUPS},
        "blocks": {"blocks": sy.uncertainty.blocks("moving", 4)},
        "clusters": {"clusters": np.arange(60) // 4},
    }[design]
    units = {"strata": 20, "blocks": 15, "clusters": 15}[design]
    one, two = (sy.bootstrap(X, method="expanded", n_resamples=1999, seed=seed, **options) for seed in (1, 2))
    both = one + two
    assert both.replicates is not None
    want = limits(both.replicates, float(one), "expanded", 0.95, units=units)
    np.testing.assert_allclose([both.low, both.high, both.low_error, both.high_error], want, rtol=1e-9)


def test_balanced_resamples_do_not_go_on() -> None:
    boot = sy.bootstrap(X, sampling="balanced", n_resamples=999)
    with pytest.raises(ValueError, match="resamples that do not depend on their number"):
        boot.extend(1)
    with pytest.raises(ValueError, match="read from the replicates alone"):
        boot + sy.bootstrap(X, sampling="balanced", n_resamples=999, seed=1)


OTHER: dict[str, Any] = {
    "value": lambda: sy.bootstrap(X + 1e-9, method="percentile", n_resamples=999, seed=1),
    "n": lambda: sy.bootstrap(np.r_[X, X.mean()], method="percentile", n_resamples=999, seed=1),
    "standard errors": lambda: sy.bootstrap(
        X.mean() + 2 * (X - X.mean()), method="percentile", n_resamples=999, seed=1
    ),
    "method": lambda: sy.bootstrap(X, method="basic", n_resamples=999, seed=1),
    "statistic": lambda: sy.bootstrap(X, "median", method="percentile", n_resamples=999, seed=1),
    "confidence_level": lambda: sy.bootstrap(X, method="percentile", n_resamples=999, seed=1, confidence_level=0.9),
    "alternative": lambda: sy.bootstrap(X, method="percentile", n_resamples=999, seed=1, alternative="less"),
    "n_clusters": lambda: sy.bootstrap(X, method="percentile", n_resamples=999, seed=1, clusters=np.arange(60) // 2),
    "seed 0 in both": lambda: sy.bootstrap(X, method="percentile", n_resamples=500),
}


@pytest.mark.parametrize("why", OTHER)
def test_other_data_are_not_added(why: str) -> None:
    boot, other = sy.bootstrap(X, method="percentile", n_resamples=999), OTHER[why]()
    said = "value" if why == "standard errors" and float(other) != float(boot) else why
    with pytest.raises(ValueError, match=rf"^other: expected .*{re.escape(said)}"):
        boot + other


def test_what_cannot_be_added() -> None:
    boot = sy.bootstrap(X, method="percentile", n_resamples=99)
    with pytest.raises(TypeError, match="unsupported operand"):
        boot + 1  # type: ignore[operator]
    with pytest.raises(TypeError, match="each of one problem"):
        boot + sy.bootstrap(X, by=GROUPS, method="percentile", n_resamples=99, seed=1)
    by_t = [sy.bootstrap(X, method="beta_t", n_resamples=999, seed=seed) for seed in (0, 1)]
    with pytest.raises(ValueError, match="whose limits are read from the replicates alone"):
        by_t[0] + by_t[1]


def test_a_tolerance_is_reached() -> None:
    """By the call with as many resamples; no more are made than are needed."""
    few = sy.bootstrap(X, method="percentile", n_resamples=999, seed=3)
    tolerance = max(few.low_error, few.high_error) / 2.5
    found = sy.bootstrap(X, method="percentile", n_resamples=999, tolerance=tolerance, seed=3)
    assert 999 < found.detail["n_resamples"] < 20_000
    assert max(found.low_error, found.high_error) <= tolerance
    assert found == sy.bootstrap(X, method="percentile", n_resamples=found.detail["n_resamples"], seed=3)
    assert sy.bootstrap(X, method="percentile", n_resamples=999, tolerance=1.0, seed=3) == few
    assert sy.bootstrap(X, n_resamples=float("inf"), tolerance=0.0).low_error == 0
    groups = sy.bootstrap(X, by=GROUPS, method="percentile", n_resamples=999, tolerance=0.05)
    assert max(np.max(groups.low_error), np.max(groups.high_error)) <= 0.05
    assert found.extend(1) == sy.bootstrap(X, method="percentile", n_resamples=found.detail["n_resamples"] + 1, seed=3)


def test_a_tolerance_out_of_reach_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^tolerance: expected an error that can be reached; got 1e-12, while 49999 "):
        sy.bootstrap(X, method="percentile", n_resamples=49, confidence_level=0.5, tolerance=1e-12)
    for bad in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=r"^tolerance: "):
            sy.bootstrap(X, tolerance=bad)
