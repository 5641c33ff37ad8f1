"""Intervals of a mean of few clusters by name: the jackknife's variance and the wild cluster bootstrap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard.reference import intervals as reference

from .cases import normalish, uniform


def rows(sizes: list[int], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    ids = np.repeat(np.arange(len(sizes)), sizes)
    return normalish(len(ids), seed) + normalish(len(sizes), seed + 1)[ids], ids


def test_cr3_is_the_jackknife_of_clusters() -> None:
    x, ids = rows([3, 9, 1, 4, 12, 5])
    got = sy.estimate(x, clusters=ids, method="cr3")
    without = np.array([x[ids != g].mean() for g in range(6)])
    error = np.sqrt(5 / 6 * ((without - x.mean()) ** 2).sum())
    assert (got.standard_error, got.detail["df"]) == pytest.approx((error, 5))
    assert got.high == pytest.approx(x.mean() + stats.t.isf(0.025, 5) * error)
    assert (got.method, got.reason, got.n_clusters) == ("clustered t (CR3)", "as asked", 6)


def test_clusters_of_one_size_have_one_variance() -> None:
    x, ids = rows([4] * 8)
    got, plain = sy.estimate(x, clusters=ids, method="cr3"), sy.estimate(x, clusters=ids)
    assert (got.standard_error, got.low) == pytest.approx((plain.standard_error, plain.low))


@pytest.mark.parametrize("sizes", [[3, 9, 1, 4], [3, 9, 1, 4, 12, 5], [2, 5, 1, 1, 7, 3, 8, 4, 6, 2], [4] * 9])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_wild_limits_are_where_the_p_value_is_that_of_the_level(sizes: list[int], level: float) -> None:
    x, ids = rows(sizes, len(sizes))
    got = sy.estimate(x, clusters=ids, method="wild", confidence_level=level)
    sums, counts = np.bincount(ids, x), np.bincount(ids).astype(float)
    assert got.low is not None
    assert got.high is not None
    step = 1e-6 * (got.high - got.low)
    for limit, out in ((got.low, -step), (got.high, step)):
        assert reference.wild_p(sums, counts, limit - out) > 1 - level
        assert reference.wild_p(sums, counts, limit + out) <= 1 - level
    assert got.standard_error == sy.estimate(x, clusters=ids).standard_error
    assert (got.method, got.detail) == ("clustered wild bootstrap-t", {})


def test_clusters_of_one_size_are_tested_by_their_signs() -> None:
    """Their |t*| rises with the |sum| of the flipped residuals: the test is that of all flips of signs."""
    x, ids = rows([3] * 10)
    got = sy.estimate(x, clusters=ids, method="wild", confidence_level=0.9)
    sums = np.bincount(ids, x)
    for limit, inside in ((got.low, True), (got.high, True), (got.low, False), (got.high, False)):
        mean = float(x.mean()) + (float(limit) - float(x.mean())) * (1 - 1e-6 if inside else 1 + 1e-6)  # type: ignore[arg-type]
        flips = sy.compare(sums - 3 * mean, baseline=np.zeros(10))
        assert (float(flips.p_value) > 0.1) == inside


def test_one_sided_limits_are_those_of_twice_the_tail() -> None:
    x, ids = rows([3, 9, 1, 4, 12, 5, 5, 2, 6])
    both = sy.estimate(x, clusters=ids, method="wild", confidence_level=0.9)
    less = sy.estimate(x, clusters=ids, method="wild", confidence_level=0.95, alternative="less")
    greater = sy.estimate(x, clusters=ids, method="wild", confidence_level=0.95, alternative="greater")
    assert (less.low, greater.high) == (-np.inf, np.inf)
    assert (greater.low, less.high) == pytest.approx((both.low, both.high), rel=1e-9)


def test_a_shift_and_a_scale_move_the_limits_alone() -> None:
    x, ids = rows([3, 9, 1, 4, 12, 5])
    got, moved = (sy.estimate(y, clusters=ids, method="wild") for y in (x, 1000 + 8 * x))
    assert (moved.low, moved.high) == pytest.approx((1000 + 8 * got.low, 1000 + 8 * got.high))  # type: ignore[operator]
    for scale in (1e-120, 1e120):
        far = sy.estimate(scale * x, clusters=ids, method="wild")
        assert far.low == pytest.approx(scale * got.low, rel=1e-9)  # type: ignore[operator]


def test_two_clusters_reject_no_mean() -> None:
    x, ids = rows([3, 4])
    got = sy.estimate(x, clusters=ids, method="wild")
    assert (got.low, got.high) == (None, None)
    assert got.standard_error is not None
    assert got.reason == "no limits, since 2 clusters reject no mean at 95 %"
    assert sy.estimate(x, clusters=ids, method="wild", confidence_level=0.8).low is not None


@pytest.mark.parametrize("method", ["cr3", "wild"])
def test_clusters_without_spread_and_one_cluster_are_as_without_a_name(method: str) -> None:
    ids = [0, 0, 1, 1, 2]
    assert sy.estimate([0.5] * 5, clusters=ids, method=method) == sy.estimate([0.5] * 5, clusters=ids, method="t")
    x = [0.5, 1.0, 2.0]
    assert sy.estimate(x, clusters=[0] * 3, method=method) == sy.estimate(x, clusters=[0] * 3, method="t")


@pytest.mark.parametrize("method", ["cr3", "wild"])
def test_weights_groups_states_and_answers(method: Any) -> None:
    x, ids = rows([3, 9, 1, 4, 12, 5])
    w = 0.5 + uniform(len(x), 3)
    sums, sizes = np.bincount(ids, w * x), np.bincount(ids, w)
    got = sy.estimate(x, clusters=ids, weights=w, method=method)
    assert got.value == pytest.approx(sums.sum() / sizes.sum())
    if method == "cr3":
        assert got.standard_error == pytest.approx(reference.jackknifed(sums, sizes)[0] ** 0.5)
    by = (np.arange(2 * len(x)) >= len(x)).astype(int)
    twice = sy.estimate(np.tile(x, 2), clusters=np.tile(ids, 2), by=by, method=method)
    alone = sy.estimate(x, clusters=ids, method=method)
    assert (twice["1"].low, twice["1"].high) == (alone.low, alone.high)
    state = sy.uncertainty.EstimateState(method=method).update(x[:9], clusters=ids[:9]).update(x[9:], clusters=ids[9:])
    assert state.compute().low == pytest.approx(alone.low)
    answers = sy.estimate(x > 0, clusters=ids, method=method)
    assert answers.low == pytest.approx(sy.estimate((x > 0).astype(float), clusters=ids, method=method).low)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("method: expected clusters= with 'cr3'; got none", {"method": "cr3"}),
    ("method: expected clusters= with 'wild'; got none", {"method": "wild"}),
    ("method: expected clusters= with 'wild'; got none", {"method": "wild", "weights": [1, 2, 3, 4]}),
    (
        "method: expected None with strata; got 'cr3'",
        {"method": "cr3", "clusters": [0, 1, 2, 3], "strata": [0, 0, 1, 1]},
    ),
    (
        "method: expected clusters of one kind with 'wild'; got crossed clusters (2 a, 2 b)",
        {"method": "wild", "clusters": {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]}},
    ),
]


@pytest.mark.parametrize(("message", "how"), REFUSED)
def test_what_has_no_such_interval_is_refused_in_one_sentence(message: str, how: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        sy.estimate([1.0, 2.0, 4.0, 8.0], **how)
    assert str(error.value).startswith(message)


def test_many_clusters_are_refused() -> None:
    x, ids = rows([2] * 21)
    with pytest.raises(ValueError, match="clusters: expected at most 20 with method='wild'; got 21"):
        sy.estimate(x, clusters=ids, method="wild")
    assert sy.estimate(x[:40], clusters=ids[:40], method="wild").low is not None


@pytest.mark.parametrize("alternative", ["less", "greater"])
def test_wild_has_no_one_sided_limit_beyond_the_mean(alternative: str) -> None:
    y, g = [1.0, 2.0, 4.0, 3.0, 5.0, 9.0], [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match=r"confidence_level: expected a number above 0.5 with method='wild' and one"):
        sy.estimate(y, clusters=g, method="wild", confidence_level=0.3, alternative=alternative)
    assert sy.estimate(y, clusters=g, method="wild", confidence_level=0.6, alternative=alternative).value == 4.0
