"""Graded values that are all equal: no public call gives an interval of width 0, or a verdict from one.

The expected values are computed here with fractions and `statistics`, not with the package's own code.
"""

from __future__ import annotations

from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard as sy
from steelyard._registries import names
from steelyard.reference import tokens
from steelyard.tokens import PerplexityState

from .cases import as_dtype
from .cases.preference import reads, scored

Z = NormalDist().inv_cdf(0.975)
T19 = 2.093024054408263  # of the tables, for 19 degrees of freedom


def shares(value: float, n: float, z: float = Z) -> tuple[float, float]:
    q = z * z / (n + z * z)
    return value * (1 - q), value + q * (1 - value)


def differences(value: float, n: float, z: float = Z) -> tuple[float, float]:
    q = z * z / (n + z * z)
    return value - q * (1 + value), value + q * (1 - value)


def assert_interval(e: Any, limits: tuple[float, float], n: int, *, rounded: bool = False) -> None:
    """The limits, the error that belongs to them, and which rule made them."""
    assert (e.low, e.high) == pytest.approx(limits, rel=1e-9, abs=1e-12)
    assert e.standard_error == pytest.approx((limits[1] - limits[0]) / (2 * Z), rel=1e-9)
    assert f"Wilson's upper limit for 0 of {n}, to lie at the far end" in str(e.reason)
    assert ("but for rounding" in str(e.reason)) == rounded, e.reason
    assert e.method == ("no spread" if e.n_clusters is None else "clustered no spread")


def assert_none(e: Any) -> None:
    assert (e.standard_error, e.low, e.high) == (None, None, None)
    assert "no limits, since values that may lie outside [0, 1] show no spread" in str(e.reason)
    assert "no interval: " in str(e)


# -- means --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("n", [2, 20, 1000])
@pytest.mark.parametrize("value", [0.5, 0.1, 0.999])
def test_equal_scores_have_a_width(value: float, n: int, dtype: type) -> None:
    e = sy.estimate(np.full(n, value, dtype))
    assert e.value == float(dtype(value))
    assert_interval(e, shares(e.value, n), n)


def test_equal_values_of_any_size_have_no_interval() -> None:
    for value in (7.0, 1.5, -0.25, 1e300, 1 + 2.0**-52):
        assert_none(sy.estimate([value] * 20))
    assert sy.estimate([7.0] * 20).value == 7.0


def test_answers_keep_their_rules() -> None:
    e = sy.estimate([1.0] * 20)
    assert (e.method, e.high, e.low) == ("Wilson", 1.0, pytest.approx(20 / (20 + Z * Z)))
    asked = sy.estimate([1] * 20, method="t")
    assert str(asked.reason).startswith("as asked; all 20 values are equal")
    assert_interval(asked, shares(1.0, 20), 20)
    assert (asked.low, asked.high) == pytest.approx((e.low, e.high), rel=1e-12)


def test_one_value_has_no_interval_and_two_that_differ_have_students() -> None:
    assert sy.estimate([0.5]).low is None
    assert sy.estimate([0.5, 0.5 + 2.0**-40]).standard_error == pytest.approx(2.0**-41, rel=1e-9)
    mixed = sy.estimate([0, 1, 0.5, 0.5])
    assert (mixed.method, mixed.reason) == ("t", "graded values")


def test_one_sided_limits() -> None:
    z = NormalDist().inv_cdf(0.95)
    less, greater = (sy.estimate([0.5] * 9, alternative=side) for side in ("less", "greater"))
    assert (less.low, less.high) == (0.0, pytest.approx(shares(0.5, 9, z)[1], rel=1e-12))
    assert (greater.low, greater.high) == (pytest.approx(shares(0.5, 9, z)[0], rel=1e-12), 1.0)
    down = sy.compare([0.5] * 9, baseline=[0.6] * 9, alternative="less").difference
    assert (down.low, down.high) == (-1.0, pytest.approx(differences(-0.1, 9, z)[1], rel=1e-12))
    assert_none(sy.estimate([7.0] * 9, alternative="less"))


@pytest.mark.parametrize("level", [0.3, 0.5, 0.95])
@pytest.mark.parametrize("side", ["less", "greater"])
def test_one_sided_limits_of_any_level_hold_the_value(level: float, side: Any) -> None:
    e = sy.estimate([0.25] * 5, alternative=side, confidence_level=level)
    assert e.low <= 0.25 <= e.high  # type: ignore[operator]
    assert e.low < e.high  # type: ignore[operator]
    assert e.standard_error > 0  # type: ignore[operator]


def test_what_differs_by_rounding_alone_shows_no_spread() -> None:
    """Means over epochs in another order: .2 and .20000000000000004 are one score."""
    a, b = (0.1 + 0.2 + 0.3) / 3, (0.3 + 0.2 + 0.1) / 3
    assert a != b
    assert_interval(sy.estimate([a, b] * 10), shares((a + b) / 2, 20), 20, rounded=True)
    assert_none(sy.estimate([a * 10, b * 10] * 10))
    single = np.array([0.3, np.nextafter(np.float32(0.3), np.float32(1))] * 5, np.float32)
    assert_interval(sy.estimate(single), shares(float(single.astype(float).mean()), 10), 10, rounded=True)
    # One part in 10^14 is no rounding, nor is the step of a half-precision score.
    assert sy.estimate([0.2, 0.2 + 1e-14]).reason == "graded values"
    assert sy.estimate(np.array([0.5, 0.5 + 2.0**-11], np.float16)).reason == "graded values"


def test_huge_means() -> None:
    assert sy.estimate([1e15, 1e15 + 2]).reason == "graded values"
    assert_none(sy.estimate([1e15, 1e15 + 0.125]))
    assert sy.estimate([1e15, 1e15 + 1, 1e15 + 2], clusters=[0, 1, 2]).reason == "values in clusters"


def test_where_and_omit_leave_what_is_equal() -> None:
    x = np.array([0.5, np.nan, 0.9, 0.5, 0.5])
    e = sy.estimate(x, where=np.arange(5) != 2, nan_policy="omit")
    assert_interval(e, shares(0.5, 3), 3)
    assert e.left_out == {"where": 1, "nan": 1}


def test_many_columns_at_once() -> None:
    e = sy.estimate({"equal": [0.5] * 4, "seven": [7.0] * 4, "spread": [0.1, 0.2, 0.3, 0.4]})
    assert_interval(e["equal"], shares(0.5, 4), 4)
    assert_none(e["seven"])
    assert np.isnan(e.low).tolist() == [False, True, False]  # type: ignore[arg-type]
    assert e.to_dict()["low"][1] is None


# -- clusters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.1, 1 / 3, 0.7])
def test_clusters_of_unequal_size_whose_means_are_equal(value: float) -> None:
    sizes = [1, 3, 10, 49, 7]
    groups = np.repeat(np.arange(5), sizes)
    e = sy.estimate(np.full(70, value), clusters=groups)
    assert_interval(e, shares(value, 5), 5)
    assert (e.n, e.n_clusters, e.method) == (70, 5, "clustered no spread")
    assert_none(sy.estimate(np.full(70, value + 3), clusters=groups))


def test_cluster_means_that_are_equal_but_for_rounding() -> None:
    """.1 + .2 + .3 three ways, and .6 in one go."""
    x = [0.1, 0.2, 0.3, 0.3, 0.2, 0.1, 0.2, 0.2, 0.1, 0.1, 0.2, 0.3, 0.3]
    groups = [0, 0, 0, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3]
    means = [
        Fraction(sum(Fraction(str(v)) for v, g in zip(x, groups, strict=True) if g == i), groups.count(i))
        for i in range(4)
    ]
    assert set(means) == {Fraction(1, 5)}
    e = sy.estimate(x, clusters=groups)
    assert (e.low, e.high) == pytest.approx(shares(0.2, 4), rel=1e-9)
    assert "all 4 cluster means are equal" in str(e.reason)
    assert_none(sy.estimate([v * 100 for v in x], clusters=groups))
    # The tenth part of a per cent in one row is no rounding.
    x[0] += 1e-4
    assert sy.estimate(x, clusters=groups).reason == "values in clusters"


def test_two_clusters_and_one() -> None:
    assert_interval(sy.estimate([0.25, 0.75, 0.5, 0.5], clusters=[0, 0, 1, 1]), shares(0.5, 2), 2)
    one = sy.estimate([0.5, 0.5], clusters=[0, 0])
    assert (one.low, one.reason) == (None, "the spread between clusters is unknown under two clusters")


def test_large_clusters_that_differ_are_told_apart() -> None:
    """A million rows whose clusters differ by a part in 10^8: more than rounding can add up to."""
    x = np.full(1_000_000, 0.1)
    x[::2] = 0.1 + 1e-8
    e = sy.estimate(x, clusters=np.arange(1_000_000) % 2)
    assert e.reason == "values in clusters"
    assert e.standard_error == pytest.approx(5e-9, rel=1e-4)


def test_means_over_epochs_in_any_order_are_equal() -> None:
    """Twenty epochs in tenths, added one by one in six orders: up to 3.6 steps apart."""
    rng = np.random.default_rng(0)
    for k in (3, 10, 20):
        for _ in range(100):
            tenths = rng.integers(1, 11, k) / 10
            means = []
            for _ in range(6):
                total = 0.0
                for score in rng.permutation(tenths).tolist():
                    total += score
                means.append(total / k)
            assert sy.estimate(means).method == "no spread"
            same = sy.compare(means, baseline=means[::-1])
            assert (same.ties, same.p_value, same.verdict()) == (6, 1.0, "undecided")


# -- pairs --------------------------------------------------------------------------------------------------


def test_two_pairs_that_differ_by_a_tenth() -> None:
    diff = sy.compare([0.5, 0.5], baseline=[0.6, 0.6])
    assert (diff.difference.low, diff.difference.high) == pytest.approx((-0.692, 0.623), abs=5e-4)
    assert_interval(diff.difference, differences(-0.1, 2), 2)
    assert diff.verdict() == "undecided"


def test_two_hundred_ties() -> None:
    scores = np.linspace(0.1, 0.9, 200)
    diff = sy.compare(scores, baseline=scores)
    assert str(diff.difference.reason).startswith("graded values; all ")
    assert (diff.difference.value, diff.difference.high) == (0.0, pytest.approx(0.019, abs=5e-4))
    assert_interval(diff.difference, differences(0.0, 200), 200)
    assert (diff.verdict(), diff.verdict(0.02), diff.p_value) == ("undecided", "not_worse", 1.0)


def test_differences_that_round_apart() -> None:
    new, base = np.array([0.6, 0.4, 0.8, 1.0]), np.array([0.5, 0.3, 0.7, 0.9])
    assert len(set((new - base).tolist())) > 1
    assert_interval(sy.compare(new, baseline=base).difference, differences(0.1, 4), 4, rounded=True)
    # In float32 the scores themselves were rounded more coarsely.
    new, base = (x.astype(np.float32) for x in (new, base))
    single = sy.compare(new, baseline=base).difference
    assert (single.low, single.high) == pytest.approx(differences(0.1, 4), abs=1e-6)
    assert "but for rounding" in str(single.reason)
    mixed = sy.compare(new, baseline=[0.5, 0.3, 0.7, 0.9]).difference
    assert "but for rounding" in str(mixed.reason)


def test_sums_that_cancel() -> None:
    x = np.full(20, 0.1 + 0.2)
    diff = sy.compare(x, baseline=np.full(20, 0.3))
    assert (diff.difference.value, diff.wins, diff.ties, diff.p_value) == (0.0, 0, 20, 1.0)
    assert_interval(diff.difference, differences(0.0, 20), 20)
    assert diff.verdict() == "undecided"
    groups = np.arange(20) // 3
    assert_interval(sy.compare(x, baseline=np.full(20, 0.3), clusters=groups).difference, differences(0.0, 7), 7)


def test_scores_of_any_size() -> None:
    """A loss: nothing says how far the next difference may lie."""
    diff = sy.compare([2.5, 3.5, 4.5], baseline=[2.0, 3.0, 4.0], higher_is_better=False)
    assert_none(diff.difference)
    assert [diff.verdict(m) for m in (0.0, 0.1, 10.0)] == ["undecided"] * 3
    assert diff.table["low"].tolist() != diff.table["low"].tolist()  # NaN
    assert diff.losses == 3
    # One score beyond on either side is enough, whatever the differences are.
    assert_none(sy.compare([0.5, 0.5, 1.0], baseline=[0.75, 0.75, 1.25]).difference)
    assert_none(sy.compare([-0.5, 0.5, 0.75], baseline=[-0.25, 0.75, 1.0]).difference)


def test_clustered_pairs() -> None:
    groups = [0, 0, 0, 1, 2, 2]
    new, base = [0.1, 0.2, 0.3, 0.2, 0.4, 0.0], [0.2, 0.3, 0.4, 0.3, 0.5, 0.1]
    diff = sy.compare(new, baseline=base, clusters=groups)
    assert (diff.difference.low, diff.difference.high) == pytest.approx(differences(-0.1, 3), rel=1e-9)
    assert "all 3 cluster means are equal but for rounding" in str(diff.difference.reason)
    assert diff.verdict() == "undecided"
    far = sy.compare(np.add(new, 7), baseline=np.add(base, 7), clusters=groups)
    assert_none(far.difference)
    assert far.verdict(0.2) == "undecided"


def test_clustered_answers_keep_tango() -> None:
    diff = sy.compare([1] * 9, baseline=[0] * 9, clusters=np.arange(9) // 3)
    assert diff.difference.method == "clustered Tango"
    # One 0/1 side and one graded: the differences are graded.
    diff = sy.compare([1] * 9, baseline=[0.5] * 9, clusters=np.arange(9) // 3)
    assert_interval(diff.difference, differences(0.5, 3), 3)
    assert sy.compare([1, 1], baseline=[0.25, 0.25]).difference.high == pytest.approx(differences(0.75, 2)[1])


def test_several_models_and_their_simultaneous_limits() -> None:
    base = [0.6] * 30
    several = sy.compare({"a": [0.5] * 30, "b": [0.7] * 30, "c": [7.0] * 30}, baseline=base)
    z = NormalDist().inv_cdf(1 - 0.025 / 3)
    detail = several.difference.detail
    for i, value in enumerate((-0.1, 0.1)):
        assert (several.difference.low[i], several.difference.high[i]) == pytest.approx(differences(value, 30))  # type: ignore[index]
        found = detail["simultaneous_low"][i], detail["simultaneous_high"][i]
        assert found == pytest.approx(differences(value, 30, z), rel=1e-9)
    assert several.difference["c"].low is None
    assert several.verdict() == ("undecided",) * 3
    assert several.verdict(0.3) == ("not_worse", "not_worse", "undecided")


def test_one_pair_has_no_interval() -> None:
    diff = sy.compare([0.5], baseline=[0.25])
    assert (diff.difference.low, diff.verdict(0.9)) == (None, "undecided")


def test_a_model_and_itself_is_never_worse_nor_better() -> None:
    for scores in ([0.5, 0.25], [7.0, 3.0, 1.0], [1, 0, 1], [0.5] * 40):
        for groups in (None, np.arange(len(scores)) // 2):
            diff = sy.compare(scores, baseline=scores, clusters=groups)
            assert (diff.verdict(), diff.p_value) == ("undecided", 1.0)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=12),
    st.sampled_from([0.05, 0.1 / 3, 1.0]), st.booleans(),
)  # fmt: skip
def test_no_interval_is_a_point(rows: list[tuple[int, int]], unit: float, clustered: bool) -> None:
    """Whatever the scores: more than 1e-6 wide, or none."""
    new, base = np.array(rows).T * unit
    groups = np.arange(len(rows)) // 2 if clustered else None
    made = [sy.compare(new, baseline=base, clusters=groups).difference, sy.estimate(new, clusters=groups)]
    for e in made:
        assert e.standard_error != 0.0
        if e.low is not None:
            assert e.high - e.low > 1e-6  # type: ignore[operator]


def test_resampling_of_what_is_equal_but_for_rounding_is_refused() -> None:
    a, b = (0.1 + 0.2 + 0.3) / 3, (0.3 + 0.2 + 0.1) / 3
    with pytest.raises(ValueError, match="x: expected values that differ; got 10 equal values"):
        sy.bootstrap([a, b] * 5)
    with pytest.raises(ValueError, match="x: expected values that differ; got 3 clusters of equal means"):
        sy.bootstrap([0.1, 0.2, 0.3, 0.3, 0.2, 0.1, 0.2], clusters=[0, 0, 0, 1, 1, 1, 2])


# -- tokens and rewards -------------------------------------------------------------------------------------


def test_perplexity_of_clusters_that_agree() -> None:
    for nll in (np.full((3, 4), 0.7), np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.2, 0.2]])):
        for unit in names("perplexity.unit"):
            e = sy.perplexity(nll, unit=unit)  # type: ignore[arg-type]
            assert (e.standard_error, e.low, e.high) == (None, None, None)
            assert "same mean NLL" in str(e.reason)
            assert e.n_clusters == 3
    uneven = sy.perplexity(np.full(70, 0.1), clusters=np.repeat(np.arange(5), [1, 3, 10, 49, 7]))
    assert (uneven.value, uneven.low) == (pytest.approx(np.exp(0.1)), None)
    certain = sy.perplexity(np.zeros((4, 5)))
    assert (certain.value, certain.low, certain.high) == (1.0, None, None)
    assert sy.perplexity([[0.1, 0.2], [0.1, 0.2 + 1e-12]]).low is not None
    infinite = sy.perplexity([[0.5, np.inf], [0.5, 0.5]])
    assert (infinite.value, infinite.reason) == (
        np.inf, "1 counted token has probability 0 and an infinite NLL"
    )  # fmt: skip


@pytest.mark.parametrize("precision", tokens.ROUNDING)
def test_perplexity_of_means_that_differ_by_the_rounding_of_their_type(precision: str) -> None:
    """One NLL for each of 1 to 13 words, 1.1 a word, in every type that cannot hold it exactly."""
    words = np.array([1, 3, 7, 11, 13])
    ids = np.arange(5)
    for scale in (1.1, 0.37, 2.9e-3):
        nll = as_dtype(words * scale, precision)
        e = sy.perplexity(nll, per=words, clusters=ids)
        assert (e.standard_error, e.low, e.high) == (None, None, None)
        assert ("but for the rounding of" in str(e.reason)) == (precision != "float64")
        # Which of two types is the coarser one does not depend on the order.
        for parts in (slice(0, 3), slice(3, 5)), (slice(3, 5), slice(0, 3)):
            mixed = PerplexityState()
            for part, of in zip(parts, (nll, words * scale), strict=True):
                mixed.update(of[part], per=words[part], clusters=ids[part])
            assert mixed.compute().low is None


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=6), st.sampled_from(list(tokens.ROUNDING)), st.data())
def test_which_means_are_the_same_is_as_in_the_reference(steps: list[int], precision: str, data: Any) -> None:
    """NLL that lie whole steps of their type apart, some clusters with two equal tokens."""
    step = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[precision]
    # About 1.3, so that no whole number of steps lies on the limit.
    values = as_dtype(np.array([1.3]), precision).astype(np.float64) + step * np.array(steps)
    tokens_of = np.array(data.draw(st.lists(st.integers(1, 2), min_size=len(steps), max_size=len(steps))))
    nll, ids = as_dtype(np.repeat(values, tokens_of), precision), np.repeat(np.arange(len(steps)), tokens_of)
    same = tokens.same_mean(values * tokens_of, tokens_of.astype(float), precision)
    assert (sy.perplexity(nll, clusters=ids).low is None) == same


def test_perplexity_in_units_that_agree() -> None:
    e = sy.perplexity(np.full(6, 0.3), clusters=list("aabbcc"), per=[2, 4, 3, 3, 1, 5])
    assert (e.value, e.low) == (pytest.approx(np.exp(0.1)), None)


def test_rewards_that_tie() -> None:
    """Step 0: policy and reference are the same."""
    zero = [0.0] * 4
    ties = sy.preference_loss(zero, zero, zero, zero)
    assert_interval(ties.reward_accuracy, shares(0.5, 4), 4)
    # Rewards and losses have no ends.
    assert_none(ties.reward_margin)
    # log 2 lies in [0, 1], but a loss need not.
    assert_none(ties.loss)
    # Nobody asked for a method.
    assert str(ties.reward_margin.reason).startswith("graded values; all 4 values are equal")
    wins = sy.preference_loss([1.0] * 19 + [0.0], [0.0] * 20, [0.0] * 20, [0.0] * 20).reward_accuracy
    assert (wins.value, wins.method, wins.n_effective) == (0.975, "Wilson", pytest.approx(39))
    # 19 wins and a tie: V = .0125/20 and p (1 - p)/V = 39, Wilson's equation with t of 19 degrees of freedom.
    for limit in (wins.low, wins.high):
        assert (0.975 - limit) ** 2 == pytest.approx(T19**2 * limit * (1 - limit) / 39, rel=1e-9)
    assert 0 < wins.low < 0.975 < wins.high <= 1  # type: ignore[operator]
    losses = sy.preference_loss([0.0] * 19 + [0.0], [1.0] * 19 + [0.0], [0.0] * 20, [0.0] * 20).reward_accuracy
    assert (1 - losses.high, 1 - losses.low) == pytest.approx((wins.low, wins.high), abs=1e-12)  # type: ignore[operator]


def test_a_sweep_and_clusters_of_rewards_that_tie() -> None:
    zero = [0.0] * 6
    out = sy.preference_loss(zero, zero, zero, zero, beta=[0.1, 0.5], clusters=[0, 0, 0, 1, 2, 2])
    for e in out.reward_accuracy:
        assert_interval(e, shares(0.5, 3), 3)
    assert np.isnan(out.reward_margin.low).all()  # type: ignore[arg-type]


ONES = np.ones(20)


# -- what log-probabilities leave ---------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [loss for loss in names("preference.loss") if reads(loss, "reference")])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [3.0, 1000.0])
def test_margins_that_differ_by_the_rounding_of_log_probabilities(size: float, dtype: type, loss: Any) -> None:
    """Every log-ratio is .1 of the chosen answer and -.2 of the rejected one, before rounding."""
    chosen = -np.random.default_rng(20).uniform(0.5, 1.0, 20) * size
    columns = [x.astype(dtype) for x in (chosen, chosen - 0.3, chosen - 0.1, chosen - 0.1)]
    out = scored(columns, lengths=(ONES, ONES), loss=loss, beta=[0.1, 2.0])
    assert np.ptp(out.rewards_chosen - out.rewards_rejected, axis=0).min() > 0
    for e in (out.loss, out.reward_margin):
        assert np.isnan([e.low, e.high, e.standard_error]).all()
        assert all("no limits, since values that may lie outside [0, 1] show no spread" in why for why in e.reason)


@pytest.mark.parametrize("loss", [loss for loss in names("preference.loss") if reads(loss, "reference")])
def test_pairs_that_do_not_count_do_not_hide_the_rounding_of_the_others(loss: Any) -> None:
    chosen = -np.random.default_rng(20).uniform(500.0, 1000.0, 20)
    columns = [chosen, chosen - 0.3, chosen - 0.1, chosen - 0.1]
    assert_none(scored(columns, lengths=(ONES, ONES), loss=loss, where=np.arange(20) > 0).loss)


def test_mixed_types_of_log_probabilities_round_as_the_coarsest() -> None:
    chosen = -np.linspace(500.0, 1000.0, 20)
    out = sy.preference_loss(chosen.astype(np.float32), chosen - 0.3, np.full(20, -1.0), np.full(20, -1.0))
    assert_none(out.reward_margin)
    assert_none(out.loss)


def test_margins_that_do_differ_keep_their_interval() -> None:
    chosen = -np.linspace(500.0, 1000.0, 20)
    rejected = chosen - 0.3 - np.arange(20) * 1e-3
    columns = [chosen, rejected, np.full(20, -1.0), np.full(20, -1.0)]
    for loss in [name for name in names("preference.loss") if name != "apo_zero"]:  # which is flat so far out
        out = scored(columns, loss=loss)
        assert out.reward_margin.low is not None
        assert out.loss.low is not None
