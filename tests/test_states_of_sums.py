"""States of statistics of sums: any split gives the same bits, and the answers of ``estimate`` and ``bootstrap``."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.uncertainty import BootstrapState, EstimateState

from .cases.uncertainty_bootstrap import sums_columns

N = 1200
IDS = np.arange(N) * np.arange(N) % 83
SIZED = ("ratio", "weighted_mean", "perplexity", "bleu", "chrf", "chrf++", "f1/accuracy")
STATISTICS = (
    "ratio", "sum", "weighted_mean", "geometric_mean", "perplexity", "variance", "std", "skewness", "kurtosis",
    "correlation", "slope", "rmse", "r2", "accuracy", "precision", "recall", "f1", "balanced_accuracy", "mcc", "kappa",
    "brier", "log_loss", "bleu", "chrf", "chrf++", "mean/std", "f1/accuracy",
)  # fmt: skip


def data(statistic: str, n: int = N) -> Any:
    columns = sums_columns(statistic, n)
    return columns[0] if len(columns) == 1 else tuple(columns)


def part(x: Any, rows: slice) -> Any:
    return tuple(column[rows] for column in x) if isinstance(x, tuple) else x[rows]


@pytest.mark.parametrize("clustered", [True, False])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_state_says_what_estimate_says(statistic: str, clustered: bool) -> None:
    x, clusters = data(statistic), IDS if clustered else None
    if not clustered and statistic in SIZED:
        with pytest.raises(ValueError, match=r"^clusters: expected ids, since rows of this statistic differ in size"):
            EstimateState(statistic).update(x)
        return
    state = EstimateState(statistic)
    for rows in (slice(700, None), slice(0, 1), slice(1, 700)):
        state += EstimateState(statistic).update(part(x, rows), clusters=None if clusters is None else clusters[rows])
    assert state == EstimateState(statistic).update(x, clusters=clusters)
    got, want = state.compute(), sy.estimate(x, statistic, clusters=clusters)
    for name in ("value", "standard_error", "low", "high"):
        assert getattr(got, name) == pytest.approx(getattr(want, name), rel=1e-9, abs=1e-12), name
    assert (got.n, got.n_clusters, got.method) == (want.n, want.n_clusters, want.method)
    if statistic != "ratio":  # which has a kernel of its own in `estimate`
        assert got.reason == want.reason
        assert got.detail == pytest.approx(want.detail)


def test_digits_are_kept_far_from_zero() -> None:
    """The variance of values whose spread is 1e-9 of their mean, from the exact sums of the values."""
    rng = np.random.default_rng(3)
    x = 1e9 + rng.normal(size=2000)
    whole = [int(value * 2**23) for value in x]  # exact: the last place of 1e9 is 2^-23
    n, total = len(whole), sum(whole)
    exact = (n * sum(value * value for value in whole) - total * total) / n**2 / 2.0**46
    ids = np.arange(2000) // 2
    assert EstimateState("variance").update(x, clusters=ids).compute().value == pytest.approx(exact, rel=1e-13)
    with pytest.raises(ValueError, match=r"^x: expected values that differ by more of their size; got values from 1e"):
        EstimateState("variance").update(x).compute()  # its error without clusters needs fourth powers


@pytest.mark.parametrize("statistic", ["mean", *(name for name in STATISTICS if name != "sum")])
def test_replicates_vary_as_those_of_bootstrap(statistic: str) -> None:
    """Standard errors and limits agree within the error of 4,000 replicates, by rows and by clusters."""
    x = data(statistic)
    for clusters in (None, IDS):
        ids: dict[str, Any] = {"first_row": 0} if clusters is None else {"clusters": clusters}
        got = BootstrapState(statistic, n_resamples=4000).update(x, **ids).compute()
        want = sy.bootstrap(x, statistic, clusters=clusters, n_resamples=4000, method="percentile")
        assert got.value == pytest.approx(want.value, rel=1e-10)
        assert got.standard_error == pytest.approx(want.standard_error, rel=0.1)
        for limit in ("low", "high"):
            apart = abs(getattr(got, limit) - getattr(want, limit))
            assert apart < 5 * math.hypot(getattr(got, f"{limit}_error"), getattr(want, f"{limit}_error")), limit


def test_replicates_of_a_sum_are_of_as_many_rows() -> None:
    x = data("sum")
    got = BootstrapState("sum", n_resamples=4000).update(x, first_row=0).compute()
    want = sy.bootstrap(x, "sum", n_resamples=4000, method="percentile")
    assert got.standard_error == pytest.approx(want.standard_error, rel=0.06)
    with pytest.raises(ValueError, match=r"^clusters: expected None for statistic='sum'"):
        BootstrapState("sum").update(x, clusters=IDS)


@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_rows_count_alike_wherever_they_are_read(kind: str) -> None:
    x, rng = data("correlation"), np.random.default_rng(1)
    ids = IDS if kind == "numbers" else np.array([f"user {i}" for i in IDS])
    whole = BootstrapState("correlation", n_resamples=150).update(x, clusters=ids)
    order = rng.permutation(N)
    for parts in (1, 2, 7, 64):
        states = [
            BootstrapState("correlation", n_resamples=150).update(tuple(c[rows] for c in x), clusters=ids[rows])
            for rows in np.array_split(order, parts)
        ]
        states = [BootstrapState.from_bytes(state.to_bytes()) for state in states]
        rng.shuffle(states)
        assert sum(states) == whole
    assert pickle.loads(pickle.dumps(whole)).compute() == whole.compute()


def test_row_numbers_are_ids() -> None:
    x = data("mean")
    by_number = BootstrapState(n_resamples=64).update(x, first_row=-5).compute()
    by_id = BootstrapState(n_resamples=64).update(x, clusters=np.arange(N) - 5).compute()
    assert np.array_equal(by_number.replicates, by_id.replicates)
    halves = BootstrapState(n_resamples=64).update(x, first_row=-5, where=np.arange(N) % 2 == 0)
    halves.update(x, first_row=-5, where=np.arange(N) % 2 == 1)
    assert np.array_equal(halves.compute().replicates, by_number.replicates)
    assert halves.compute().left_out == {"where": N}


def test_more_replicates_begin_with_the_same_ones() -> None:
    x = data("mean")
    few = BootstrapState(n_resamples=100).update(x, first_row=0).compute().replicates
    many = BootstrapState(n_resamples=1000).update(x, first_row=0).compute().replicates
    assert few is not None
    assert many is not None
    assert np.array_equal(many[:100], few)
    other = BootstrapState(n_resamples=100, seed=1).update(x, first_row=0).compute().replicates
    assert other is not None
    assert not np.isin(other, few).any()


def test_threads_change_nothing() -> None:
    x = np.resize(data("std"), 150_000)
    with sy.threads(1):
        one = BootstrapState("std", n_resamples=300).update(x, first_row=0)
    assert one == BootstrapState("std", n_resamples=300).update(x, first_row=0)


@pytest.mark.parametrize("size", [1 << 20, 333])
def test_a_scan_numbers_the_rows(size: int) -> None:
    x = data("mean")
    want = BootstrapState(n_resamples=64).update(x, first_row=0)
    parts = [{"x": x[:500]}, {"x": x[500:]}]
    assert sy.scan(iter(parts), "x", BootstrapState(n_resamples=64), batch_rows=size) == want
    twice = BootstrapState(n_resamples=64)
    for one in parts:
        sy.scan(one, "x", twice, batch_rows=size)  # goes on where the first scan ended
    assert twice == want
    table = {"x": x, "id": IDS}
    by_id = sy.scan(table, {"x": "x", "clusters": "id"}, BootstrapState(n_resamples=64), batch_rows=size)
    assert by_id == BootstrapState(n_resamples=64).update(x, clusters=IDS)
    pair = data("ratio")
    columns = {"x": ("up", "down"), "clusters": "id"}
    ratio = sy.scan({"up": pair[0], "down": pair[1], "id": IDS}, columns, EstimateState("ratio"), batch_rows=size)
    assert ratio == EstimateState("ratio").update(pair, clusters=IDS)


def test_rows_that_a_statistic_does_not_take_are_named() -> None:
    def refused(state: Any, *args: Any, **options: Any) -> str:
        before = state.to_bytes()
        with pytest.raises((TypeError, ValueError)) as error:
            state.update(*args, **options)
        assert state.to_bytes() == before
        return str(error.value)

    f1, ones = EstimateState("f1").update(data("f1")), np.ones(3)
    assert refused(f1, (ones, ones * 2)).startswith(
        "x[1]: expected 0/1 values for statistic='f1'; got values from 2 to 2"
    )
    assert refused(f1, ones).startswith("x: expected a tuple of 2 columns (predictions, targets)")
    assert refused(f1, (ones, [1.0, np.nan, 0.0])).startswith("x[1]: expected finite values; got nan at index 1")
    assert refused(f1, (ones, ones), clusters=[1, 2, 3]).startswith("clusters: expected ids in every update")
    assert refused(EstimateState("kurtosis"), [1e80, 1.0]).startswith("x: expected values whose")
    boot = BootstrapState(n_resamples=9).update([0.5, 1.0], first_row=0)
    assert refused(boot, ones).startswith(
        "first_row: expected clusters, or the number of the first row in the whole data"
    )
    assert refused(boot, ones, clusters=[1, 2, 3], first_row=0).endswith(
        "got both; the counts of a row follow from its id, or from its number in the whole data"
    )
    assert refused(boot, ones, clusters=[1, 2, 3]).startswith("clusters: expected ids in every update")
    assert refused(boot, ones, first_row=2**63 - 2).startswith(
        "first_row: expected a number whose rows end before 2**63"
    )
    assert refused(boot, [1.0, math.inf], first_row=7).startswith("x: expected finite values; got inf at index 1")


def test_states_of_other_options_are_not_merged() -> None:
    boot = BootstrapState(n_resamples=9).update([0.5, 1.0], first_row=0)
    for options, said in (
        ({"n_resamples": 10}, "other: expected a state with n_resamples = 9; got 10"),
        ({"n_resamples": 9, "seed": 1}, "other: expected a state with seed = 0; got 1"),
        ({"n_resamples": 9, "method": "bc"}, "other: expected a state with method = 'percentile'; got 'bc'"),
    ):
        with pytest.raises(ValueError, match=rf"^{said}$"):
            boot.merge(BootstrapState(**options))
    with pytest.raises(ValueError, match=r"^other: expected a state with statistic = 'std'; got 'variance'$"):
        EstimateState("std").merge(EstimateState("variance"))
    with pytest.raises(ValueError, match=r"^data: expected a BootstrapState; got a EstimateState$"):
        BootstrapState.from_bytes(EstimateState("std").to_bytes())


@pytest.mark.parametrize(
    ("statistic", "x"),
    [
        ("std", [0.3, 0.99]),
        ("variance", [0, 3, 0, 3]),
        ("slope", ([0.1, 0.2, 0.3, 0.4], [1.1, 1.2, 1.3, 1.4])),
        ("correlation", ([0.1, 0.2, 0.3, 0.4], [1.1, 1.2, 1.3, 1.4])),
    ],
)
def test_rows_that_all_say_the_same_show_no_spread(statistic: Any, x: Any) -> None:
    """Their influences are all 0: what is left of the sum of their squares is rounding."""
    got, want = EstimateState(statistic).update(x).compute(), sy.estimate(x, statistic)
    assert (got.method, got.low, got.high) == (want.method, want.low, want.high)
    assert got.value == pytest.approx(want.value, rel=1e-12)


def test_what_has_no_answer_is_said() -> None:
    with pytest.raises(ValueError, match=r"^x: expected at least one value that counts; got none"):
        BootstrapState(n_resamples=9).compute()
    with pytest.raises(ValueError, match=r"^x: expected rows in every resample; got a resample without"):
        BootstrapState(n_resamples=200).update([0.5, 1.0], first_row=0).compute()
    with pytest.raises(ValueError, match=r"^x: expected resamples that differ in their mean; got 200 of one value"):
        BootstrapState(n_resamples=200).update([0.5] * 40, first_row=0).compute()
    with pytest.raises(ValueError, match=r"^x: expected values that differ, which the skewness needs"):
        EstimateState("skewness").update([1.0, 1.0]).compute()
    for state in (EstimateState, BootstrapState):
        with pytest.raises(ValueError, match=r"^statistic: expected one of mean, ratio, sum"):
            state("median")
    with pytest.raises(ValueError, match=r"^method: expected None for statistic='std'"):
        EstimateState("std", method="t")


def test_nan_is_left_out_of_all_columns_of_its_row() -> None:
    x, y = data("correlation")
    holes = np.where(np.arange(N) % 10 == 3, np.nan, y)
    state = EstimateState("correlation", nan_policy="omit").update((x, holes)).compute()
    want = sy.estimate((x, holes), "correlation", nan_policy="omit")
    assert state.value == pytest.approx(want.value)
    assert state.left_out == want.left_out == {"nan": N // 10}
