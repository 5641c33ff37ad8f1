"""Comparisons of two samples of different rows: against other libraries, enumeration and the laws that they keep."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy

RNG = np.random.default_rng(12)


def answers(k: int, n: int) -> np.ndarray:
    return np.arange(n) < k


def unpaired(new: Any, base: Any, **options: Any) -> sy.uncertainty.Comparison:
    return sy.compare(new, baseline=base, paired=False, **options)


# against other libraries


def test_newcombes_interval_as_published_and_as_statsmodels_has_it() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    found = unpaired(answers(56, 70), answers(48, 80)).difference
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
    for k, n, j, m in ((56, 70, 48, 80), (9, 10, 3, 10), (10, 10, 0, 20), (5, 56, 0, 29), (0, 10, 0, 10), (1, 1, 0, 3)):
        got = unpaired(answers(k, n), answers(j, m)).difference
        low, high = proportion.confint_proportions_2indep(k, n, j, m, method="newcomb", compare="diff")
        assert (got.low, got.high) == pytest.approx((low, high), abs=1e-12)
        assert got.low < got.high
        assert got.low <= got.value <= got.high
        assert got.standard_error > 0


def test_fishers_p_is_that_of_scipy_less_half_of_the_observed_table() -> None:
    for k, n, j, m in ((56, 70, 48, 80), (9, 10, 3, 10), (3, 12, 9, 14), (0, 5, 4, 9)):
        at = stats.hypergeom.pmf(k, n + m, k + j, n)
        for alternative in ("less", "greater"):
            exact = stats.fisher_exact([[k, n - k], [j, m - j]], alternative=alternative).pvalue
            assert unpaired(answers(k, n), answers(j, m), alternative=alternative).p_value == pytest.approx(
                exact - at / 2
            )
        both = min(unpaired(answers(k, n), answers(j, m), alternative=side).p_value for side in ("less", "greater"))
        assert unpaired(answers(k, n), answers(j, m)).p_value == pytest.approx(2 * both, abs=1e-15)


def test_welch_is_that_of_scipy() -> None:
    for n, m, scale in ((50, 30, 1.0), (5, 200, 3.0), (2, 2, 1.0)):
        new, base = RNG.normal(0.3, 1.0, n), scale * RNG.normal(size=m)
        got, want = unpaired(new, base), stats.ttest_ind(new, base, equal_var=False)
        interval = want.confidence_interval()
        assert got.p_value == pytest.approx(want.pvalue, rel=1e-11)
        assert (got.difference.low, got.difference.high) == pytest.approx((interval.low, interval.high), rel=1e-10)
        assert got.difference.detail["df"] == pytest.approx(want.df)
        for alternative in ("less", "greater"):
            want = stats.ttest_ind(new, base, equal_var=False, alternative=alternative)
            got = unpaired(new, base, alternative=alternative)
            assert got.p_value == pytest.approx(want.pvalue, rel=1e-11)


def test_fishers_p_of_every_table_of_few_rows() -> None:
    """Enumerated: all ways to deal the right answers to the two sides."""
    for n, m in ((3, 4), (5, 5)):
        for k in range(n + 1):
            for j in range(m + 1):
                ways = [math.comb(n, x) * math.comb(m, k + j - x) if 0 <= k + j - x <= m else 0 for x in range(n + 1)]
                more = (sum(ways[k + 1 :]) + ways[k] / 2) / sum(ways)
                assert unpaired(answers(k, n), answers(j, m)).p_value == pytest.approx(2 * min(more, 1 - more))


# clusters


def clustered(x: np.ndarray, ids: np.ndarray) -> sy.Estimate:
    return sy.estimate(x, clusters=ids)


def test_each_side_has_its_clusters() -> None:
    new, base = RNG.normal(0.4, 1, 60), RNG.normal(0, 1, 90)
    ids = {"new": np.arange(60) // 4, "baseline": np.arange(90) // 9}
    got = unpaired(new, base, clusters=ids)
    a, b = clustered(new, ids["new"]), clustered(base, ids["baseline"])
    v, w = a.standard_error**2, b.standard_error**2
    df = (v + w) ** 2 / (v * v / a.detail["df"] + w * w / b.detail["df"])
    half = stats.t.isf(0.025, df) * math.sqrt(v + w)
    d = got.difference
    assert (d.value, d.standard_error, d.detail["df"]) == pytest.approx((a.value - b.value, math.sqrt(v + w), df))
    assert (d.low, d.high) == pytest.approx((d.value - half, d.value + half))
    assert got.p_value == pytest.approx(2 * stats.t.sf(abs(d.value) / math.sqrt(v + w), df))
    assert (d.n, d.n_clusters, d.method) == (150, 25, "clustered Welch")


def test_answers_in_clusters_combine_two_clustered_wilson_intervals() -> None:
    new, base = RNG.random(60) < 0.8, RNG.random(90) < 0.6
    ids = {"new": np.arange(60) // 4, "baseline": np.arange(90) // 9}
    d = unpaired(new, base, clusters=ids).difference
    a, b = clustered(new, ids["new"]), clustered(base, ids["baseline"])
    assert d.low == pytest.approx(d.value - math.hypot(a.value - a.low, b.high - b.value))
    assert d.high == pytest.approx(d.value + math.hypot(a.high - a.value, b.value - b.low))
    assert d.method == "clustered Newcombe"


def test_without_clusters_each_row_of_a_side_is_its_own() -> None:
    new, base = RNG.normal(size=40), RNG.normal(size=30)
    one = unpaired(new, base, clusters={"new": np.arange(40) // 4})
    both = unpaired(new, base, clusters={"new": np.arange(40) // 4, "baseline": np.arange(30)})
    assert one.to_dict() == both.to_dict()
    assert unpaired(new, base, clusters={"baseline": range(30)}).p_value == pytest.approx(unpaired(new, base).p_value)


def test_one_cluster_has_no_interval() -> None:
    got = unpaired([1, 0, 1], [1, 0, 1, 1], clusters={"new": [3, 3, 3]})
    assert got.difference.low is None
    assert got.p_value == 1.0
    assert got.verdict() == "undecided"
    assert "under two clusters" in got.difference.reason
    assert got.test.startswith("no test")


# no spread


def test_sides_without_spread_have_a_width() -> None:
    got = unpaired([0.9] * 3, [0.9] * 4)
    d, (a, b) = got.difference, (sy.estimate([0.9] * 3), sy.estimate([0.9] * 4))
    assert d.low == pytest.approx(-math.hypot(0.9 - a.low, b.high - 0.9))
    assert d.high == pytest.approx(math.hypot(a.high - 0.9, 0.9 - b.low))
    assert d.low < 0 < d.high
    assert d.standard_error > 0
    assert got.p_value == 1.0
    assert d.method == "no spread"
    assert d.reason.count("no spread") == 0
    assert "all 3 values are equal" in d.reason
    # The same as Newcombe's where the scores are answers.
    ones, zeros = (
        unpaired([1.0] * 9 + [1.0 - 1e-17], [0.0] * 4).difference,
        unpaired([True] * 10, [False] * 4).difference,
    )
    assert (ones.low, ones.high) == (zeros.low, zeros.high)


def test_two_values_are_compared_by_permutation() -> None:
    """All three rows of one side above all four of the other: one of 35 ways, counted half, on each side."""
    assert unpaired([7.0] * 3, [5.0] * 4).p_value == pytest.approx(1 / 35)
    got = unpaired([7.0] * 3, [5.0] * 4).difference
    assert got.low is None
    assert got.high is None
    assert got.standard_error is None
    assert "may lie outside" in got.reason


def test_one_side_without_spread_is_not_taken_to_be_certain() -> None:
    base = np.clip(RNG.normal(0.5, 0.1, 300), 0, 1)
    got = unpaired([0.9, 0.9], base).difference
    assert got.low < 0
    assert "new: all 2 values are equal" in got.reason
    beyond = unpaired([9.0, 9.0], base)
    assert beyond.difference.low is None
    assert beyond.p_value == 1.0
    assert beyond.verdict() == "undecided"
    assert unpaired([0.5], base).difference.low is None


# laws


@pytest.mark.parametrize("kind", ["answers", "scores", "clusters"])
def test_swapping_the_sides_swaps_the_result(kind: str) -> None:
    new, base = (RNG.random(37) < 0.7, RNG.random(22) < 0.5) if kind == "answers" else (RNG.random(37), RNG.random(22))
    ids = {"new": np.arange(37) // 3, "baseline": np.arange(22) // 2} if kind == "clusters" else None
    turned = None if ids is None else {"new": ids["baseline"], "baseline": ids["new"]}
    there, back = unpaired(new, base, clusters=ids), unpaired(base, new, clusters=turned)
    a, b = there.difference, back.difference
    assert (a.value, a.low, a.high, a.standard_error) == (-b.value, -b.high, -b.low, b.standard_error)
    assert there.p_value == back.p_value
    less = unpaired(new, base, clusters=ids, alternative="less").p_value
    assert less == pytest.approx(unpaired(base, new, clusters=turned, alternative="greater").p_value, rel=1e-12)


def test_wider_levels_contain_narrower_ones_and_low_levels_stay_in_order() -> None:
    for new, base in ((answers(5, 9), answers(2, 8)), (RNG.random(9), RNG.random(8)), ([0.4] * 5, [0.3] * 4)):
        before = None
        for level in (0.01, 0.3, 0.5, 0.9, 0.999, 1 - 1e-12):
            d = unpaired(new, base, confidence_level=level).difference
            assert before is None or (d.low <= before.low and d.high >= before.high)
            before = d
        for alternative, side in (("less", "high"), ("greater", "low")):
            one = unpaired(new, base, confidence_level=0.975, alternative=alternative).difference
            assert getattr(one, side) == pytest.approx(getattr(unpaired(new, base).difference, side), abs=1e-12)
            under = unpaired(new, base, confidence_level=0.3, alternative=alternative).difference
            assert (under.high <= under.value) if side == "high" else (under.low >= under.value)


# several models, and which rows count


def test_several_models_of_any_lengths() -> None:
    scores = {"a": answers(50, 60), "b": answers(20, 80), "base": answers(30, 70)}
    found = unpaired(scores, "base")
    assert found.names == ("a", "b")
    assert found.difference.n.tolist() == [130, 150]
    alone = [unpaired(scores[name], scores["base"]) for name in found.names]
    assert found.p_value.tolist() == [one.p_value for one in alone]
    assert found.p_adjusted.tolist() == [2 * min(found.p_value), max(*found.p_value, 2 * min(found.p_value))]
    strict = [unpaired(scores[name], scores["base"], confidence_level=0.975).difference for name in found.names]
    assert found.difference.detail["simultaneous_low"].tolist() == pytest.approx([one.low for one in strict])
    assert found.verdict() == ("better", "worse")
    table = unpaired(np.stack([answers(5, 9), answers(7, 9)], 1), answers(3, 7))
    assert table.difference.value.tolist() == pytest.approx([5 / 9 - 3 / 7, 7 / 9 - 3 / 7])


def test_what_is_shown_of_samples() -> None:
    found = unpaired(answers(56, 70), answers(48, 80))
    assert (found.wins, found.losses, found.ties, found.paired) == (None, None, None, False)
    assert list(found.table) == [
        "name", "difference", "standard_error", "low", "high", "p_value", "p_adjusted", "n", "n_new", "n_baseline"
    ]  # fmt: skip
    assert (found.table["n_new"].tolist(), found.table["n_baseline"].tolist()) == ([70], [80])
    data = found.to_dict()
    assert data["paired"] is False
    assert data["wins"] is None
    assert data["difference"]["detail"]["n_new"] == 70
    assert "unpaired: 70 rows against 80" in str(found)
    assert "<td>80</td>" in found._repr_html_()
    assert found.verdict() == "better"
    assert found.higher_is_better
    assert unpaired(answers(56, 70), answers(48, 80), higher_is_better=False).verdict() == "worse"
    pytest.importorskip("matplotlib")
    assert found.plot().get_xlabel() == "difference from the baseline"


def test_rows_of_each_side_are_chosen_and_counted() -> None:
    new, base = np.array([1.0, np.nan, 2.0, 3.0, 9.0]), np.array([0.5, 1.5, np.nan, np.nan, 1.0, 8.0])
    keep = {"new": [True] * 4 + [False], "baseline": [True] * 5 + [False]}
    got = unpaired(new, base, where=keep, nan_policy="omit", clusters={"baseline": list("aabbcd")})
    want = unpaired([1.0, 2.0, 3.0], [0.5, 1.5, 1.0], clusters={"baseline": list("aac")})
    assert got.difference.left_out == {"where": 2, "nan": 3}
    assert (got.difference.low, got.p_value) == (want.difference.low, want.p_value)
    with pytest.raises(ValueError, match=r"new: expected finite values; got nan at index 1"):
        unpaired(new, base)
    with pytest.raises(ValueError, match=r"baseline: expected finite values; got nan at index 2"):
        unpaired([1.0, 2.0], base)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": [1, 2, 3]}, r"clusters: expected a mapping \{\"new\": .* with paired=False"),
        ({"clusters": ([1, 2, 3], [1, 2])}, r"clusters: expected a mapping"),
        ({"where": {"base": [True]}}, r"where: expected a mapping .*; got the key 'base'"),
        ({"where": {}}, r"where: expected a mapping .*; got an empty mapping"),
        ({"where": {"new": [True]}}, r"where\['new'\]: expected shape \(3,\)"),
        ({"clusters": {"baseline": [1, 2, 3]}}, r"clusters\['baseline'\]: expected one id per row"),
        ({"clusters": {"new": (1, 2, 3)}}, r"clusters\['new'\]: expected an array or a list of ids"),
    ],
)
def test_rows_of_one_side_alone_are_asked_for(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        unpaired([0.1, 0.2, 0.4], [0.3, 0.5], **options)


def test_samples_are_not_paired_unless_asked() -> None:
    with pytest.raises(ValueError, match=r"new: expected 2 rows, as baseline has; got 3; .* or pass paired=False"):
        sy.compare([1, 0, 1], baseline=[1, 0])
    with pytest.raises(TypeError, match="paired: expected True or False"):
        sy.compare([1, 0, 1], baseline=[1, 0], paired="no")


def test_numbers_too_large_name_their_side() -> None:
    with pytest.raises(ValueError, match=r"baseline: expected values whose sum of squares stays finite"):
        unpaired([1.0, 2.0], [1e300, -1e300])


def test_a_p_below_the_smallest_float_is_an_upper_bound() -> None:
    found = unpaired(answers(4000, 4000), answers(0, 4000))
    assert found.p_value == np.finfo(np.float64).tiny
    assert "p <= 2.23e-308" in str(found)
