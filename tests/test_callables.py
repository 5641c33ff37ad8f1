"""The bootstrap of statistics that are Python functions: by rows, by counts, and many resamples together."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

import steelyard as sy
from steelyard import _core

from .cases import normalish

X = normalish(300, 1) + 0.1 * normalish(300, 2) ** 2
CLUSTERS = np.arange(300) * 7 % 41


def mean_of_rows(x: np.ndarray) -> Any:
    return x.mean()


def weighted(x: np.ndarray, sample_weight: np.ndarray) -> Any:
    return (x * sample_weight).sum() / sample_weight.sum()


MEANS: dict[str, Callable[..., Any]] = {"rows": mean_of_rows, "counts": weighted, "axis": np.mean}


def same(got: sy.Estimate, want: sy.Estimate, within: float = 1e-12) -> None:
    """The same resamples give the same estimate, up to the rounding of the statistic."""
    assert isinstance(got, sy.uncertainty.BootstrapEstimate)
    assert isinstance(want, sy.uncertainty.BootstrapEstimate)
    for name in ("value", "standard_error", "low", "high", "low_error", "high_error", "replicates"):
        np.testing.assert_allclose(getattr(got, name), getattr(want, name), rtol=within, atol=within, err_msg=name)
    for name in ("n", "n_clusters", "method", "left_out", "confidence_level"):
        assert getattr(got, name) == getattr(want, name)


@pytest.mark.parametrize("takes", MEANS)
@pytest.mark.parametrize("clusters", [None, CLUSTERS], ids=["rows", "clusters"])
@pytest.mark.parametrize("method", ["percentile", "basic", "bc", "expanded", "normal"])
def test_a_function_sees_the_resamples_of_the_mean(takes: str, clusters: Any, method: Any) -> None:
    options: Any = {"clusters": clusters, "n_resamples": 399, "seed": 11, "method": method}
    same(sy.bootstrap(X, MEANS[takes], **options), sy.bootstrap(X, "mean", **options))


@pytest.mark.parametrize("n", [2, 3, 1023, 1024, 1025, 5000])
@pytest.mark.parametrize("takes", MEANS)
def test_resamples_are_the_means_at_every_length(n: int, takes: str) -> None:
    x = normalish(n, 5)
    got = sy.bootstrap(x, MEANS[takes], n_resamples=99, method="percentile", confidence_level=0.5)
    want = sy.bootstrap(x, n_resamples=99, method="percentile", confidence_level=0.5)
    np.testing.assert_allclose(got.replicates, want.replicates, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("takes", MEANS)
@pytest.mark.parametrize("clusters", [None, CLUSTERS], ids=["rows", "clusters"])
def test_bca_is_that_of_the_jackknife(takes: str, clusters: Any) -> None:
    """For statistics of sorted rows the core takes the same jackknife."""
    medians: dict[str, Callable[..., Any]] = {
        "rows": lambda x: np.median(x.ravel()), "axis": np.median,
        "counts": lambda x, sample_weight: np.median(np.repeat(x, sample_weight.astype(int))),
    }  # fmt: skip
    options: Any = {"clusters": clusters, "n_resamples": 999}
    got, want = sy.bootstrap(X, medians[takes], **options), sy.bootstrap(X, "median", **options)
    same(got, want)
    assert got.detail["acceleration"] == pytest.approx(want.detail["acceleration"], rel=1e-9)


@pytest.mark.parametrize("takes", MEANS)
def test_more_than_500_rows_are_left_out_in_groups(takes: str) -> None:
    x = np.concatenate([X, X[::-1] * 2, X + 1])
    got = sy.bootstrap(x, MEANS[takes], n_resamples=199)
    group = np.arange(len(x)) % 500
    left = np.array([x[group != g].mean() for g in range(500)])
    u = left.mean() - left
    assert got.detail["acceleration"] == pytest.approx((u**3).sum() / (6 * (u**2).sum() ** 1.5), rel=1e-9)


def test_metrics_of_scikit_learn_are_given_counts() -> None:
    targets = (X > 0.2).astype(float)
    predictions = (X + normalish(300, 9) > 0.2).astype(float)
    options: Any = {"n_resamples": 199, "seed": 3, "method": "percentile"}
    for metric, name in (
        (metrics.accuracy_score, "accuracy"), (metrics.f1_score, "f1"), (metrics.matthews_corrcoef, "mcc"),
        (functools.partial(metrics.precision_score, zero_division=0), "precision"),
    ):  # fmt: skip
        same(
            sy.bootstrap((targets, predictions), metric, **options),
            sy.bootstrap((predictions, targets), name, **options),
        )
    scores = X + normalish(300, 9)
    same(
        sy.bootstrap((targets, scores), metrics.roc_auc_score, clusters=CLUSTERS, **options),
        sy.bootstrap((scores, targets), "auc", clusters=CLUSTERS, **options),
    )


def test_columns_of_a_tuple_are_resampled_together() -> None:
    y = X + normalish(300, 4)
    got = sy.bootstrap((X, y), lambda x, y: np.corrcoef(x, y)[0, 1], n_resamples=199, method="basic")
    same(got, sy.bootstrap((X, y), "correlation", n_resamples=199, method="basic"))
    table = np.stack([1 - 1 / (1 + np.exp(-X)), 1 / (1 + np.exp(-X))], axis=1)
    targets = (y > 0).astype(float)
    loss = sy.bootstrap((targets, table), metrics.log_loss, n_resamples=199, method="basic")
    same(loss, sy.bootstrap((table[:, 1], targets), "log_loss", n_resamples=199, method="basic"))
    rows = sy.bootstrap(
        (targets, table), lambda t, p: -np.log(np.where(t, p[:, 1], p[:, 0])).mean(), n_resamples=199, method="basic"
    )
    same(rows, loss)


def test_several_problems_and_several_statistics() -> None:
    table = np.stack([X, X[::-1] ** 2], axis=1)
    many = sy.bootstrap(table, np.median, n_resamples=999)
    for j in range(2):
        assert many[j].low == sy.bootstrap(table[:, j], np.median, n_resamples=999).low
    both = sy.bootstrap(X, ("mean", np.median, np.std), n_resamples=999)
    assert both.names == ("mean", "median", "std")
    assert both["median"].low == sy.bootstrap(X, np.median, n_resamples=999).low
    assert both["mean"].low == sy.bootstrap(X, n_resamples=999).low


def test_rows_are_selected_before_the_function_sees_them() -> None:
    x = X.copy()
    x[5] = np.nan
    got = sy.bootstrap(x, mean_of_rows, where=X < 1, nan_policy="omit", n_resamples=999)
    kept = np.delete(X, 5)
    assert got.value == pytest.approx(kept[kept < 1].mean())
    assert got.left_out == {"where": int((X >= 1).sum()), "nan": 1}
    assert sy.bootstrap(X > 0, np.mean, n_resamples=999).value == (X > 0).mean()


def test_the_same_bits_for_every_number_of_threads_and_batch() -> None:
    first = sy.bootstrap(X, np.mean, n_resamples=2999)
    with sy.threads(1):
        assert sy.bootstrap(X, np.mean, n_resamples=2999) == first
    longer = sy.bootstrap(X, np.mean, n_resamples=3999)
    assert longer.replicates is not None
    assert first.replicates is not None
    assert longer.replicates[:2999].tobytes() == first.replicates.tobytes()


# -- what is refused ----------------------------------------------------------------------------------------


def at(replicate: int, good: float, bad: Any) -> Callable[[np.ndarray], Any]:
    """A function that returns ``bad`` for one resample; it is called for the data first."""
    calls = iter(range(10**6))
    return lambda x: bad if next(calls) == replicate + 1 else good + x.mean()


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x: x, ValueError, "statistic: expected one number; got an array of shape (300,) for the data"),
        (at(17, 0.0, math.nan), ValueError, "statistic: expected a finite number; got nan for resample 17"),
        (at(3, 0.0, -math.inf), ValueError, "statistic: expected a finite number; got -inf for resample 3"),
        (at(98, 0.0, [1.0, 2.0]), ValueError, "statistic: expected one number; got an array of shape (2,) for resample 98"),
        (at(0, 0.0, 1j), TypeError, "statistic: expected real numbers; got complex128 numbers for resample 0"),
        (lambda x: "a", TypeError, "statistic: expected real numbers; got str 'a' for the data"),
        (lambda x: None, TypeError, "statistic: expected real numbers; got None for the data"),
        (at(99 + 7, 0.0, math.nan), ValueError, "got nan for the data without group 7 of the jackknife"),
        (lambda x: 1.0, ValueError, "x: expected resamples that differ in their <lambda>; got 99 of one value"),
        (lambda x, axis: x[..., :2].sum(), ValueError, "statistic: expected with axis=-1, a number for each of 99 resamples"),
        (lambda x, axis: np.where(x.max(axis) < X.max(), np.nan, 1.0), ValueError, "got nan for resample "),
    ],
)  # fmt: skip
def test_what_a_function_may_not_return(function: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        sy.bootstrap(X, function, n_resamples=99)
    assert message in str(raised.value)


def test_errors_of_the_function_pass_through() -> None:
    class Mine(Exception):
        pass

    mine = Mine("told you")

    def broken(x: np.ndarray) -> float:
        raise mine

    with pytest.raises(Mine) as raised:
        sy.bootstrap(X, broken)
    assert raised.value is mine


def test_data_are_checked_and_never_written() -> None:
    def sorts(x: np.ndarray) -> Any:
        x.sort()
        return x[len(x) // 2]

    x = X.copy()
    sy.bootstrap(x, sorts, n_resamples=99)
    assert x.tobytes() == X.tobytes()
    with pytest.raises(ValueError, match="read-only"):
        sy.bootstrap(x, lambda x, sample_weight: sorts(x), n_resamples=99)
    x[7] = math.inf
    with pytest.raises(ValueError, match="x: expected finite values; got inf at index 7"):
        sy.bootstrap(x, np.mean)
    with pytest.raises(ValueError, match=r"x\[1\]: expected finite values; got inf at index 7"):
        sy.bootstrap((X, x), lambda x, y: 1.0)
    with pytest.raises(ValueError, match=r"x\[1\]: expected 300 rows, as x\[0\] has; got 299"):
        sy.bootstrap((X, X[1:]), lambda x, y: 1.0)


def test_options_that_a_function_cannot_have() -> None:
    with pytest.raises(ValueError, match="n_resamples: expected a finite number unless"):
        sy.bootstrap(X, np.mean, n_resamples=math.inf)
    with pytest.raises(
        ValueError, match=r"method: expected one of percentile, .* for a statistic that is a function; got 'st"
    ):
        sy.bootstrap(X, np.mean, method="studentized")
    with pytest.raises(ValueError, match="clusters: expected at least two clusters"):
        sy.bootstrap(X, np.mean, clusters=np.zeros(300))
    with pytest.raises(ValueError, match="x: expected at least two rows"):
        sy.bootstrap([1.0], np.mean)
    with pytest.raises(TypeError, match="statistic: expected a name, such as 'mean'"):
        sy.estimate(X, np.mean)  # type: ignore[arg-type]


def test_progress_is_reported_between_the_calls_of_a_slow_function() -> None:
    def slow(x: np.ndarray) -> Any:
        time.sleep(0.002)
        return x.mean()

    told: list[tuple[int, int]] = []
    sy.bootstrap(X, slow, n_resamples=150, method="basic", progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (150, 150)
    assert len(told) > 4

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        sy.bootstrap(X, slow, n_resamples=10**6, progress=stop)


def test_a_discrete_statistic_ties_with_its_value() -> None:
    """Also where the function rounds in float32: replicates as close as that count half, as for the core's own."""
    x = (np.arange(60) % 10 / 10).astype(np.float32)
    want = sy.bootstrap(x.astype(np.float64), n_resamples=999)
    got = sy.bootstrap(x, lambda x: x.mean(), n_resamples=999)
    assert got.low == pytest.approx(want.low, rel=1e-6)
    assert got.high == pytest.approx(want.high, rel=1e-6)


def test_rows_stand_as_often_as_they_count() -> None:
    for n in (1, 5, 1025):
        rows = _core.resampled_rows(n, seed=4, first=2, count=3).reshape(3, n)
        counts = _core.resampled_counts(n, seed=4, first=2, count=3).reshape(3, n)
        for r in range(3):
            want = _core.resampling_counts(n, 4, 2 + r)
            assert counts[r].tolist() == want.tolist()
            assert sorted(rows[r].tolist()) == np.repeat(np.arange(n), want).tolist()
