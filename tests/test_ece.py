"""The expected calibration error as a statistic of the bootstrap: the bits of ``reliability``, and what is said of its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard._registries import REGISTRIES
from steelyard.errors import SteelyardWarning
from steelyard.uncertainty.calibration_error import BASIC

from .cases import as_dtype, uniform

ignored = pytest.mark.filterwarnings("ignore:bootstrap of the ece")
BINS = (1, 2, 7, 10, 15, 100, 1000)


def data(n: int, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of which a third lie on edges, some at 0 and 1, and outcomes that are less certain."""
    p = uniform(n, 51)
    p = np.where(np.arange(n) % 3 == 0, np.round(10 * p) / 10, p)
    return as_dtype(p, dtype), uniform(n, 52) < 0.1 + 0.7 * p


@ignored
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("n_bins", BINS)
def test_the_value_has_the_bits_of_reliability(n_bins: int, dtype: str) -> None:
    p, y = data(501, dtype)
    want = sy.reliability(p, y, n_bins=n_bins)
    got = sy.bootstrap((p, y), sy.uncertainty.ece(n_bins), method="percentile", n_resamples=99)
    assert got.value == want.ece.value


@ignored
@pytest.mark.parametrize("clustered", [False, True])
def test_replicates_are_those_of_the_rows_drawn(clustered: bool) -> None:
    p, y = data(60)
    ids = np.arange(60) // (3 if clustered else 1)
    boot = sy.bootstrap((p, y), "ece", clusters=ids if clustered else None, method="percentile", n_resamples=99, seed=8)
    for r in range(99):
        drawn = np.repeat(np.arange(60), _core.resampling_counts(ids[-1] + 1, 8, r)[ids])
        assert boot.replicates[r] == sy.reliability(p[drawn], y[drawn]).ece.value  # type: ignore[index]


def test_the_interval_is_said_to_miss() -> None:
    p, y = data(60)
    with pytest.warns(SteelyardWarning, match=r"^bootstrap of the ece: .* miss; the interval of steelyard.reliability"):
        named = sy.bootstrap((p, y), "ece", method="percentile", n_resamples=199)
    with pytest.warns(SteelyardWarning, match=r"^bootstrap of the ece"):
        several = sy.bootstrap((p, y), ("ece", sy.uncertainty.ece(5)), method="percentile", n_resamples=199)
    assert several.names == ("ece(15)", "ece(5)")
    assert several["ece(15)"].low == named.low
    with pytest.warns(SteelyardWarning):
        found = sy.bootstrap((p, y), "ece")
    assert (found.method, found.reason) == ("basic bootstrap", BASIC)
    assert found.low == pytest.approx(2 * found.value - np.quantile(found.replicates, 0.975), abs=1e-4)  # type: ignore[arg-type]


@ignored
def test_a_softmax_that_rounds_above_1_counts_as_1() -> None:
    p, y = data(60, "float32")
    above = np.where(p == 1, np.nextafter(p, np.float32(2)), p)
    assert (above > 1).any()
    want, got = (sy.bootstrap((x, y), "ece", method="percentile", n_resamples=99) for x in (p, above))
    np.testing.assert_array_equal(got.replicates, want.replicates)


@ignored
def test_one_kind_of_outcome_and_one_probability_are_answers_too() -> None:
    p, _ = data(60)
    assert sy.bootstrap((p, np.ones(60)), "ece").value == pytest.approx(1 - p.mean())
    y = (np.arange(60) % 5 > 0).astype(float)
    assert sy.bootstrap((np.full(60, 0.9), y), "ece").value == pytest.approx(0.1)


@ignored
def test_strata_and_groups() -> None:
    p, y = data(90)
    by = np.arange(90) % 3
    found = sy.bootstrap((p, y), "ece", by=by, method="percentile", n_resamples=199)
    assert found[1].value == sy.reliability(p[by == 1], y[by == 1]).ece.value
    assert (
        sy.bootstrap((p, y), "ece", strata=by, method="percentile", n_resamples=199).value
        == sy.reliability(p, y).ece.value
    )


REFUSED: list[tuple[Any, Any, str]] = [
    (
        (np.array([0.5, 1.5]), np.ones(2)),
        "ece",
        r"^x\[0\]: expected values in \[0, 1\] for statistic='ece'; got values",
    ),
    ((np.array([0.5, -0.1]), np.ones(2)), "ece", r"^x\[0\]: expected values in \[0, 1\]"),
    ((np.array([0.5, 0.6]), np.array([0, 2])), "ece", r"^x\[1\]: expected targets that are 0 or 1; got 2"),
    (np.array([0.5, 0.6]), "ece", r"^x: expected a tuple of 2 columns \(probabilities, outcomes\)"),
    ((np.full(5, 0.5), np.ones(5)), "ece", r"^x: expected resamples that differ in their ece"),
]


@ignored
@pytest.mark.parametrize(("x", "statistic", "message"), REFUSED)
def test_what_is_refused(x: Any, statistic: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        sy.bootstrap(x, statistic)


@pytest.mark.parametrize("bad", [0, -1, 10_001, 1.5, "15", True, None])
def test_bins_are_a_whole_number(bad: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"^n_bins: expected a whole number"):
        sy.uncertainty.ece(bad)


def test_there_are_as_many_bins_as_in_calibration() -> None:
    (bins,) = REGISTRIES["uncertainty.statistic"]["ece"].parameters.values()
    assert (bins.high, bins.default) == (_core.MAX_BINS, 15)
    with pytest.raises(ValueError, match=r"use steelyard\.reliability$"):
        sy.estimate(data(20), "ece")  # type: ignore[call-overload]
