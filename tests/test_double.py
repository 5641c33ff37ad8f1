"""The double bootstrap: all resamples of all resamples of a few values, the reference, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard import _core
from steelyard.reference import double as reference

from .cases import normalish
from .test_bootstrap import CITY_U, CITY_X, MOUSE, R_DATA, inside_band, multisets

B = 3_999


def double(x: Any, statistic: Any = "mean", **how: Any) -> sy.uncertainty.BootstrapEstimate:
    return sy.bootstrap(x, statistic, method="double", **how)


def exact_levels(x: np.ndarray, y: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Of sum x / sum y the values and probabilities of all resamples, and the levels by all resamples of each of them.

    A resample with the value u times below and e times equal has any level between u and u + e.
    """
    n = len(x)
    counts, weight = multisets(n)
    value = x.sum() / y.sum()
    shares = []
    for outer in counts:
        drawn = np.repeat(np.arange(n), outer)
        inner = (counts @ x[drawn]) / (counts @ y[drawn])
        below, up_to = weight[inner < value - 1e-9].sum(), weight[inner <= value + 1e-9].sum()
        shares.append((below, max(up_to, below + 1e-9)))
    levels = []
    for at in (tail, 1 - tail):
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            held = sum(w * np.clip((middle - a) / (b - a), 0, 1) for w, (a, b) in zip(weight, shares, strict=True))
            low, high = (middle, high) if held < at else (low, middle)
        levels.append(high)
    return (counts @ x) / (counts @ y), weight, levels


@pytest.mark.parametrize(
    ("x", "y"), [(MOUSE, np.ones(7)), (CITY_X[:7], CITY_U[:7]), (np.array([1.0, 1, 2, 5, 5, 6]), np.ones(6))]
)
def test_levels_are_those_of_all_resamples_of_all_resamples(x: np.ndarray, y: np.ndarray) -> None:
    """The limits are quantiles at levels within the noise of B outer and C inner resamples around the exact ones."""
    for confidence in (0.9, 0.6):
        tail = (1 - confidence) / 2
        found, weight, levels = exact_levels(x, y, tail)
        of: Any = (x, "mean") if (y == 1).all() else ((x, y), "ratio")
        boot = double(*of, n_resamples=B, confidence_level=confidence)
        for limit, level in zip((boot.low, boot.high), levels, strict=True):
            # The noise of the outer resamples, and half a cell of the inner ones.
            off = 4.5 * math.sqrt(tail * (1 - tail) / B) + 1 / boot.detail["n_inner"]
            assert any(
                inside_band(limit, found, weight, at, B)
                for at in np.linspace(max(level - off, 1e-6), min(level + off, 1 - 1e-6), 21)
            )


def test_the_levels_of_few_skewed_values_move_up() -> None:
    """As those of BCa do: percentile intervals of such values reach too far down and not far enough up."""
    plain = sy.bootstrap(R_DATA, method="percentile", n_resamples=B)
    boot = double(R_DATA, n_resamples=B)
    assert boot.low > plain.low
    assert boot.high > plain.high + (boot.low - plain.low)
    assert boot.replicates.tobytes() == plain.replicates.tobytes()
    assert (boot.method, boot.detail) == ("double bootstrap", {"n_inner": 506, "n_resamples": B, "seed": 0})
    # The noise of the levels makes the errors of the limits larger than those of the percentile interval.
    assert boot.low_error > 0
    assert boot.high_error > plain.high_error


def test_the_error_of_a_limit_is_that_of_another_seed() -> None:
    x = np.exp(normalish(40, 3))
    boots = [double(x, n_resamples=999, seed=seed, confidence_level=0.8) for seed in range(40)]
    for side in ("low", "high"):
        spread = np.std([getattr(boot, side) for boot in boots], ddof=1)
        said = np.mean([getattr(boot, f"{side}_error") for boot in boots])
        assert 0.55 < spread / said < 1.6


@pytest.mark.parametrize("statistic", ["mean", "variance", "mean/std", "correlation"])
def test_limits_are_those_of_the_reference(statistic: str) -> None:
    from steelyard.reference import sums

    columns = [3 + normalish(12, 3), normalish(12, 4)][: 2 if statistic == "correlation" else 1]
    of, ids = sums.definition(statistic), np.arange(24) // 2
    both = [np.concatenate([x, x + 0.5])[np.argsort(np.tile(np.arange(12), 2), kind="stable")] for x in columns]
    for clusters, given in ((None, columns), (ids, both)):

        def value(counts: np.ndarray, given: Any = given, clusters: Any = clusters) -> float:
            each = counts if clusters is None else counts[clusters]
            return float(of(*given, each))

        want = reference.double(value, 12, n_resamples=79, seed=4, confidence_level=0.2, tie=1e-12)
        boot = double(
            given[0] if len(given) == 1 else tuple(given), statistic, clusters=clusters, n_resamples=79, seed=4,
            confidence_level=0.2,
        )  # fmt: skip
        for name in ("value", "low", "high", "low_error", "high_error", "standard_error"):
            assert getattr(boot, name) == pytest.approx(want[name], rel=1e-9), name


def test_many_rows_take_their_own_levels() -> None:
    """Of many values percentile intervals hold what they say, so that the levels hardly move."""
    x = normalish(4000, 5)
    boot, plain = double(x, n_resamples=999), sy.bootstrap(x, method="percentile", n_resamples=999)
    z = float(stats.norm.ppf(0.975)) * x.std() / math.sqrt(4000)
    assert (boot.low, boot.high) == pytest.approx((plain.low, plain.high), abs=0.25 * z)


def test_several_columns_have_the_limits_that_they_have_alone() -> None:
    table = np.stack([np.exp(normalish(30, 1)), normalish(30, 2)], axis=1)
    both = double(table, "std", n_resamples=399, confidence_level=0.8)
    alone = double(table[:, 1], "std", n_resamples=399, confidence_level=0.8)
    assert (both.low[1], both.high[1]) == (alone.low, alone.high)
    less = double(table[:, 1], "std", n_resamples=399, confidence_level=0.9, alternative="less")
    assert (less.low, less.high) == (-math.inf, alone.high)


def test_progress_counts_the_outer_resamples() -> None:
    seen: list[tuple[int, int]] = []
    double(
        normalish(3000, 5),
        n_resamples=99,
        confidence_level=0.5,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (99, 99)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(
    ("statistic", "how", "message"),
    [
        ("median", {}, r"^method: expected percentile, .* for a statistic of sorted rows"),
        (np.mean, {}, r"^method: expected one of percentile, .* got 'double' for the function mean"),
        (
            "mean",
            {"strata": np.arange(16) % 2},
            r"^method: expected percentile, .* with weights, strata, blocks or several",
        ),
        (
            "mean",
            {"weights": np.arange(1, 17)},
            r"^method: expected percentile, .* with weights, strata, blocks or several",
        ),
        ("mean", {"blocks": "moving"}, r"^method: expected percentile, .* with weights, strata, blocks or several"),
        ("mean", {"n_resamples": math.inf}, r"^n_resamples: expected a finite number for a method that needs"),
        ("mean", {"n_resamples": 9}, r"^n_resamples: expected so many that a limit lies between two replicates; got 9"),
    ],
)
def test_what_is_refused(statistic: Any, how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        double(R_DATA, statistic, **how)


def test_threads_change_no_bit() -> None:
    x = np.exp(normalish(60, 3))
    with sy.threads(1):
        alone = double(x, "variance", n_resamples=199, confidence_level=0.8)
    assert double(x, "variance", n_resamples=199, confidence_level=0.8) == alone
    assert (
        _core.bootstrap(
            [x], "variance", method="double", n_resamples=199, seed=0, confidence_level=0.8, alternative="two-sided"
        )["inner"]
        == 113
    )
