"""Krippendorff's alpha: published figures, the definition, its error by the jackknife, refusals."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy

METRICS = ("nominal", "ordinal", "interval", "ratio")
NAN = float("nan")
# Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), section E: four observers, twelve units, gaps.
RATERS = {
    "a": [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    "b": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    "c": [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    "d": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
}
PRINTED = {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849, "ratio": 0.797}
# krippendorff 0.9.0 (PyPI): krippendorff.alpha(reliability_data=raters as rows, level_of_measurement=metric).
PACKAGE = {
    "nominal": 0.743421052631579, "ordinal": 0.8153875037548814, "interval": 0.8491071428571428, "ratio": 0.7974027747116121,
}  # fmt: skip


def alpha(ratings: Any, **options: Any) -> sy.Estimate:
    return sy.uncertainty.krippendorff_alpha(ratings, **options)


def table(units: int, raters: int = 4, seed: int = 0) -> np.ndarray:
    """Ratings from 0 to 4 that agree in part, a fifth of them missing."""
    rng = np.random.default_rng(seed)
    shared, own = rng.integers(0, 5, (units, 1)), rng.integers(0, 5, (units, raters))
    found = np.where(rng.random((units, raters)) < 0.6, shared, own).astype(float)
    found[rng.random(found.shape) < 0.2] = NAN
    return found


def defined(ratings: np.ndarray, metric: str) -> tuple[float, float]:
    """Observed and expected disagreement, pair by pair."""
    units = [row[~np.isnan(row)] for row in ratings]
    units = [unit for unit in units if len(unit) > 1]
    every = np.concatenate(units)

    def apart(c: float, k: float) -> float:
        if metric == "ordinal":
            low, high = min(c, k), max(c, k)
            between = ((every >= low) & (every <= high)).sum()
            return float(between - ((every == c).sum() + (every == k).sum()) / 2) if c != k else 0.0
        if metric == "ratio":
            return (c - k) / (c + k) if c + k else 0.0
        return float(c != k) if metric == "nominal" else c - k

    distance = {(c, k): apart(c, k) ** 2 for c in set(every) for k in set(every)}
    observed = sum(distance[c, k] / (len(unit) - 1) for unit in units for c in unit for k in unit) / len(every)
    expected = sum(distance[c, k] for c in every for k in every) / len(every) / (len(every) - 1)
    return observed, expected


@pytest.mark.parametrize("metric", METRICS)
def test_published_figures(metric: str) -> None:
    for ratings in (RATERS, np.stack(list(RATERS.values()), axis=1)):
        got = alpha(ratings, metric=metric)
        assert round(got.value, 3) == PRINTED[metric]  # type: ignore[arg-type]
        assert got.value == pytest.approx(PACKAGE[metric], rel=1e-14)
        assert (got.n, got.left_out, got.detail["ratings"]) == (11, {"fewer than two ratings": 1}, 40)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("units", [3, 20, 60])
def test_alpha_is_that_of_the_definition(metric: str, units: int) -> None:
    ratings = table(units)
    observed, expected = defined(ratings, metric)
    got = alpha(ratings, metric=metric)
    assert (got.detail["observed"], got.detail["expected"]) == pytest.approx((observed, expected), rel=1e-12)
    assert got.value == pytest.approx(1 - observed / expected, abs=1e-11)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("clustered", [False, True])
def test_the_error_is_that_of_the_jackknife(metric: str, clustered: bool) -> None:
    """Of units, or of clusters of them; they differ by what is of second order."""
    ratings = table(240)
    ids = np.arange(240) // 4 if clustered else np.arange(240)
    got = alpha(ratings, metric=metric, clusters=ids if clustered else None)
    groups = np.unique(ids[(~np.isnan(ratings)).sum(1) > 1])
    without = np.array([alpha(ratings[ids != g], metric=metric).value for g in groups])
    error = np.sqrt((len(groups) - 1) / len(groups) * ((without - without.mean()) ** 2).sum())
    assert got.standard_error == pytest.approx(error, rel=0.02)
    assert got.n_clusters == (60 if clustered else None)


@pytest.mark.parametrize("metric", METRICS)
def test_the_derivatives_are_those_of_the_value(metric: str) -> None:
    """Many copies of all units, of which one is there once more: the change of alpha is its derivative."""
    ratings = table(12)
    ratings = ratings[(~np.isnan(ratings)).sum(1) > 1]
    copies = 400
    whole = np.tile(ratings, (copies, 1))
    at = alpha(whole, metric=metric).value
    moved = np.array([alpha(np.vstack([whole, unit[None]]), metric=metric).value - at for unit in ratings])
    error = np.sqrt(len(ratings) / (len(ratings) - 1) * ((moved - moved.mean()) ** 2).sum()) * copies
    clusters = np.tile(np.arange(len(ratings)), copies)
    assert alpha(whole, metric=metric, clusters=clusters).standard_error == pytest.approx(error, rel=2e-3)


def test_the_interval() -> None:
    got = alpha(table(50), confidence_level=0.9)
    assert got.standard_error is not None
    half = (
        stats.t.isf(0.05, 49 - got.left_out.get("fewer than two ratings", 0)) * got.standard_error / (1 - got.value**2)
    )
    assert got.low == pytest.approx(np.tanh(np.arctanh(got.value) - half))
    assert got.high == pytest.approx(np.tanh(np.arctanh(got.value) + half))
    assert got.method == "artanh t"
    less, more = alpha(table(50), alternative="less"), alpha(table(50), alternative="greater")
    assert (more.low, less.high, less.low, more.high) == (pytest.approx(got.low), pytest.approx(got.high), -1, 1)


def test_raters_that_always_agree() -> None:
    got = alpha([[1, 1], [2, 2], [1, 1], [2, 2], [3, 3]])
    q = stats.norm.isf(0.025) ** 2 / (5 + stats.norm.isf(0.025) ** 2)
    assert (got.value, got.high, got.method) == (1.0, 1.0, "no spread")
    assert got.low == pytest.approx(1 - 2 * q)
    assert got.standard_error == pytest.approx(2 * q / 2 / stats.norm.isf(0.025))


def test_units_that_disagree_alike_have_no_limits() -> None:
    for ratings, metric in (([[0, 1.0], [1, 0], [0, 1]], "interval"), ([[1, 2], [1, 2], [1, 2], [2, 1]], "nominal")):
        got = alpha(ratings, metric=metric)
        n = 2 * len(ratings)
        assert got.value == pytest.approx(1 - (n - 1) / (n / 2))
        assert (got.low, got.high, got.standard_error, got.method) == (None, None, None, "no spread")
        assert got.reason == "no limits, since units that disagree alike show no spread"
    clustered = alpha([[0.1, 0.7], [0.1, 0.1], [0.7, 0.7]] * 3, metric="interval", clusters=np.arange(9) // 3)
    assert (clustered.low, clustered.method) == (None, "clustered no spread")
    assert clustered.reason == "no limits, since clusters that disagree alike show no spread"
    assert alpha([[0.1, 0.7]] * 500 + [[0.1, 0.1]], metric="interval").low is not None


def test_two_raters_of_0_1_answers_have_scotts_pi() -> None:
    rng = np.random.default_rng(1)
    a = rng.random(40) < 0.6
    b = np.where(rng.random(40) < 0.8, a, ~a)
    share = (a.mean() + b.mean()) / 2
    chance = share**2 + (1 - share) ** 2
    pi = ((a == b).mean() - chance) / (1 - chance)
    assert alpha({"a": a, "b": b}).value == pytest.approx(1 - (1 - pi) * 79 / 80)


def test_laws() -> None:
    ratings = table(60)
    for metric in METRICS:
        whole = alpha(ratings, metric=metric)
        again = alpha(ratings[::-1, ::-1], metric=metric)
        assert (again.value, again.low) == pytest.approx((whole.value, whole.low), rel=1e-12)
        assert alpha(ratings, metric=metric, where=np.arange(60) < 30).value == alpha(ratings[:30], metric=metric).value
    assert alpha(1000 - 3 * ratings, metric="interval").low == pytest.approx(alpha(ratings, metric="interval").low)
    assert alpha(ratings**3, metric="ordinal").low == alpha(ratings, metric="ordinal").low
    assert alpha(7 * ratings, metric="ratio").low == pytest.approx(alpha(ratings, metric="ratio").low)
    assert alpha(table(60, 3)[:, [2, 0, 1]]).value == alpha(table(60, 3)).value
    assert alpha(ratings, clusters=np.arange(60)).low == alpha(ratings).low


def test_ratings_may_be_texts() -> None:
    ratings = table(30, 3)
    names = np.array(["bad", "poor", "fair", "good", "best"])
    texts = {str(i): [None if v != v else names[int(v)] for v in column.tolist()] for i, column in enumerate(ratings.T)}
    got, want = alpha(texts), alpha(ratings)
    assert (got.value, got.low, got.left_out) == (want.value, want.low, want.left_out)


ONE = [[1, 1], [2, 2], [2, 1]]
BAD: list[tuple[str, Any, dict[str, Any]]] = [
    ("ratings: expected a table [n, R] or a mapping of raters; got one column; a row is a unit", [1, 2, 3], {}),
    ("ratings: expected a table [n, R], a mapping of raters or a frame; got a tuple; a row is a unit, a column a rater", ([1, 2], [1, 2]), {}),
    ("ratings: expected two raters or more; got one", {"a": [1, 2]}, {}),
    ("ratings['b']: expected 2 ratings, as the first rater has; got shape (1,)", {"a": [1, 2], "b": [1]}, {}),
    ("ratings[:, 1]: expected finite ratings; got inf at index 2", [[1, 1], [2, 2], [2, np.inf]], {}),
    ("ratings: expected a unit with two ratings or more; got none of 2 that count", [[1, NAN], [NAN, 2]], {}),
    ("ratings: expected ratings that differ, without which alpha is undefined; got 4 of one value", [[1, 1], [1, 1]], {}),
    ("ratings: expected values of at least 0 with metric='ratio'; got -1", [[1, -1], [1, 1]], {"metric": "ratio"}),
    ("ratings['b']: expected texts, as other raters gave; got numbers", {"a": ["x", "y"], "b": [1, 2]}, {}),
    ("ratings['a']: expected numbers; got texts", {"a": ["x", "y"], "b": ["x", "y"]}, {"metric": "interval"}),
    ("ratings: expected values whose sum of squares stays finite", [[1e200, 1], [2, 3]], {"metric": "interval"}),
    ("metric: expected one of nominal, ordinal, interval, ratio; got 'text'", ONE, {"metric": "text"}),
    ("clusters: expected one kind; got 2 in a mapping", ONE, {"clusters": {"a": [0] * 3, "b": [1] * 3}}),
    ("clusters: expected one id per row, shape (3,); got shape (2,)", ONE, {"clusters": [0, 1]}),
    ("where: expected shape (3,), one entry per unit of ratings; got shape (2,)", ONE, {"where": [True, False]}),
    ("confidence_level: expected a number inside (0, 1); got 95; pass 0.95", ONE, {"confidence_level": 95}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "ratings", "options"), BAD, ids=[message for message, _, _ in BAD])
def test_bad_input(message: str, ratings: Any, options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        alpha(ratings, **options)


def test_no_interval_of_one_unit_or_cluster() -> None:
    one, clustered = alpha([[1, 2], [NAN, 1]]), alpha(ONE, clusters=["a"] * 3)
    assert (one.low, one.standard_error, one.reason) == (
        None,
        None,
        "the spread between units is unknown under two units",
    )
    assert (clustered.low, clustered.reason) == (None, "the spread between clusters is unknown under two clusters")
