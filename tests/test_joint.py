"""Exact intervals of pairs, simultaneous shares, joint tests against a baseline, and the test of independence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard import _core

SIDES = ("two-sided", "less", "greater")


def tables(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The wins and losses of every table of n pairs."""
    return tuple(np.array([(b, c) for b in range(n + 1) for c in range(n + 1 - b)]).T)


@pytest.mark.parametrize("n", [12, 30])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_exact_interval_of_pairs_never_covers_less_than_it_says(n: int, level: float) -> None:
    b, c = tables(n)
    e = sy.proportion(b, n, baseline=(c, n), both=0, method="exact", confidence_level=level)
    counts = np.column_stack([b, c, n - b - c])
    shares = np.concatenate([[0.001, 0.01], np.linspace(0.02, 0.98, 25)])
    held = []
    for win in shares:
        for loss in shares[shares + win < 1]:
            chance = stats.multinomial.pmf(counts, n, (win, loss, 1 - win - loss))
            held.append(chance @ ((e.low <= win - loss) & (win - loss <= e.high)))
    assert min(held) >= level


def test_the_exact_interval_of_pairs_agrees_with_mcnemars_exact_test() -> None:
    n = 25
    b, c = tables(n)
    e = sy.proportion(b, n, baseline=(c, n), both=0, method="exact", test="exact")
    assert ((e.detail["p_value"] < 0.05) == ((e.low > 0) | (e.high < 0))).all()
    new, base = np.repeat([1, 0, 0], (9, 2, 14)), np.repeat([0, 1, 0], (9, 2, 14))
    diff = sy.compare(new, baseline=base, method="exact")
    alone = sy.proportion(9, 25, baseline=(2, 25), both=0, method="exact")
    assert (diff.difference.low, diff.difference.high) == (alone.low, alone.high)
    assert "Fay-Lumbard exact" in str(diff)


@pytest.mark.parametrize("method", ["tango", "newcombe", "bonett-price", "exact"])
def test_limits_under_one_half_change_places(method: str) -> None:
    """At a level of .3 a one-sided lower limit is the upper limit at .7."""
    of: Any = {"baseline": (30, 50), "both": 25, "method": method}
    low = sy.proportion(38, 50, **of, confidence_level=0.3, alternative="greater").low
    high = sy.proportion(38, 50, **of, confidence_level=0.7, alternative="less").high
    if method == "exact":  # the two binomial limits lie apart
        assert low <= high + 1e-12
    else:
        assert low == pytest.approx(high, abs=1e-12)
        assert low > 0.16


# statsmodels 0.15.0, multinomial_proportions_confint(counts, method=...): the limits of the first and the last category.
STATSMODELS = [
    ([56, 72, 73, 59, 62, 87, 58], "goodman", (0.0851672391387, 0.1662614081305), (0.0887890581298, 0.1710741959307)),
    (
        [56, 72, 73, 59, 62, 87, 58],
        "sison-glaz",
        (0.0792291220557, 0.1643557340403),
        (0.0835117773019, 0.1686383892865),
    ),
    ([0, 1, 9, 30], "goodman", (0.0, 0.1349206447769), (0.5536803413902, 0.8788593362214)),
    ([0, 1, 9, 30], "sison-glaz", (0.0, 0.1472081205620), (0.65, 0.8972081205620)),
    ([91, 49, 37, 43], "sison-glaz", (0.3454545454545, 0.4832998738863), (0.1272727272727, 0.2651180557045)),
    ([5, 3, 2], "sison-glaz", (0.3, 0.8753164878770), (0.0, 0.5753164878770)),
]


@pytest.mark.parametrize(("counts", "method", "first", "last"), STATSMODELS)
def test_shares_of_categories_are_statsmodels(counts: list[int], method: str, first: Any, last: Any) -> None:
    e = sy.proportion(counts, method=method)
    assert (e.low[0], e.high[0]) == pytest.approx(first, abs=1e-9)
    assert (e.low[-1], e.high[-1]) == pytest.approx(last, abs=1e-9)
    table = sy.proportion([counts, counts[::-1]], sum(counts), method=method)
    assert (table.low[0] == e.low).all()
    assert table.high[1] == pytest.approx(e.high[::-1], abs=1e-14)
    assert (e.value == np.array(counts) / sum(counts)).all()


@pytest.mark.parametrize(
    ("k", "options", "message"),
    [
        (5, {}, "k: expected the counts of two or more categories"),
        ([[1, 2], [0, 0]], {}, "k: expected a count above 0; got none at index 1"),
        ([1, -2], {}, "k: expected counts of at least 0; got -2 at index 1"),
        ([1, 2], {"n": 4}, "n: expected the sum of the counts of all categories; got 4, but counts that add up to 3"),
        ([[1, 2], [2, 1]], {"n": [3, 3, 3]}, "k, n: expected shapes that broadcast"),
        ([2**62] * 3, {}, "k: expected counts whose sum is below 2[*][*]63; got a larger sum"),
        ([1, 2], {"test": 0.5}, "test: expected None with method='sison-glaz'"),
        ([[1, 2], [0, 3]], {}, "two or more categories .* got all rows in one at index 1; use method='goodman'"),
        ([1, 2], {"alternative": "less"}, "alternative: expected 'two-sided'"),
    ],
)
def test_counts_that_are_no_categories_are_refused(k: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sy.proportion(k, method="sison-glaz", **options)


def test_trials_are_asked_for() -> None:
    with pytest.raises(TypeError, match="n: expected the number of trials; got None"):
        sy.proportion(3)


@pytest.mark.parametrize("clusters", [None, np.arange(60) // 3])
def test_romano_wolf_steps_down_from_max_t(clusters: Any) -> None:
    rng = np.random.default_rng(1)
    base, x = rng.normal(size=60), rng.normal(size=(60, 4)) + np.array([0.0, 0.3, 0.6, 1.5])
    for side in SIDES:
        options: Any = {"baseline": base, "alternative": side, "clusters": clusters}
        single = sy.compare(x, **options, adjust="max-t")
        step = sy.compare(x, **options, adjust="romano-wolf")
        assert (single.p_value == step.p_value).all()
        assert (single.p_value <= step.p_adjusted).all()
        assert (step.p_adjusted <= single.p_adjusted).all()
        if side != "less":
            assert step.p_adjusted[3] == single.p_adjusted[3] < 0.01
    one = sy.compare(x[:, 1], baseline=base, adjust="romano-wolf")
    assert one.p_adjusted == pytest.approx(one.p_value, abs=0.02)


def test_romano_wolf_keeps_its_level_and_is_sharper_than_holm() -> None:
    rng = np.random.default_rng(2)
    false, found = 0, {"holm": 0, "romano-wolf": 0}
    for _ in range(300):
        base, common = rng.normal(size=20), rng.normal(size=(20, 1))
        x = 0.3 * rng.normal(size=(20, 8)) + common
        false += bool((sy.compare(x, baseline=base, adjust="romano-wolf").p_adjusted <= 0.05).any())
        for adjust in found:
            found[adjust] += int((sy.compare(x + 1.0, baseline=base, adjust=adjust).p_adjusted <= 0.05).sum())
    assert stats.binom.sf(false - 1, 300, 0.05) > 0.001
    assert found["romano-wolf"] > found["holm"]


@pytest.mark.parametrize("options", [{"paired": False}, {"by": [0, 1] * 5}, {"strata": [0, 1] * 5}])
def test_joint_adjustments_need_shared_flips(options: dict[str, Any]) -> None:
    x = np.arange(10.0)
    with pytest.raises(ValueError, match=r"adjust: expected one of bonferroni.* but for pairs of scores"):
        sy.compare(x, baseline=x[::-1], adjust="romano-wolf", **options)


@pytest.mark.parametrize("side", SIDES)
def test_independence_of_few_rows_is_scipys_exact_p(side: Any) -> None:
    x, y = np.random.default_rng(3).normal(size=(2, 7))
    y = np.round(y, 1)
    for test, of in (("permutation", stats.pearsonr), ("rank-permutation", stats.spearmanr)):
        found = sy.estimate((x, y), "correlation", test=test, alternative=side)
        want = stats.permutation_test(
            (y,), lambda v, of=of: of(x, v)[0], permutation_type="pairings", n_resamples=np.inf, alternative=side
        )
        assert found.detail["p_value"] == pytest.approx(want.pvalue, abs=1e-12)
        assert found.detail["test"].endswith("exact")


def test_independence_of_more_rows_is_drawn_and_near_the_t_test() -> None:
    x, y = np.random.default_rng(4).normal(size=(2, 40))
    y += 0.3 * x
    found = sy.estimate((x, y), "correlation", test="permutation")
    assert found.detail["p_value"] == pytest.approx(stats.pearsonr(x, y).pvalue, abs=0.02)
    assert found.detail["test"] == "permutation, 9,999 random orders"
    assert found == sy.estimate((x, y), "correlation", test="permutation")
    assert sy.estimate((x, 2 * x), "slope", test="rank-permutation").detail["p_value"] == 2e-4


def test_random_orders_are_counted_by_progress_and_have_a_largest_number_of_rows() -> None:
    x, told = np.random.default_rng(6).normal(size=(2, 20_000)), list[tuple[int, int]]()
    _core.independence(*x, test="rank-permutation", alternative="less", seed=0, progress=lambda *at: told.append(at))
    done, totals = zip(*told, strict=True)
    assert set(totals) == {770}  # chunks of 13 orders
    assert list(done) == sorted(done)
    assert 770 / 4 < max(done[:-1]) <= done[-1] == 770
    many = np.sqrt(np.arange(_core.SHUFFLED_ROWS + 1))
    with pytest.raises(ValueError, match="test: expected None for more than 262,144 rows"):
        sy.estimate((many, many), "correlation", test="permutation")


@pytest.mark.parametrize("name", ["weights", "clusters", "by", "strata"])
def test_independence_is_of_rows_that_are_alike(name: str) -> None:
    x = np.arange(6.0)
    with pytest.raises(ValueError, match=f"{name}: expected None with test"):
        sy.estimate((x, x**2), "correlation", test="permutation", **{name: [1, 1, 1, 2, 2, 2]})
    with pytest.raises(ValueError, match="test: expected None but for statistic='correlation'"):
        sy.estimate(x, test="permutation")


def test_two_samples_that_cannot_be_counted_are_dealt() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=40), rng.normal(size=30) + 0.6
    diff = sy.compare(x, baseline=y, paired=False, test="permutation")
    assert diff.test == "permutation, 9,999 random deals"
    assert diff.p_value == pytest.approx(stats.ttest_ind(x, y).pvalue, abs=0.01)
    back = sy.compare(y, baseline=x, paired=False, test="permutation")
    assert back.p_value == diff.p_value
