"""The named intervals and tests of two models' 0/1 answers: published values, other libraries, exact coverage, refusals."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard import _core
from steelyard._registries import names

from .coverage import differences

UNPAIRED, PAIRED, TESTS = names("unpaired.method"), names("paired.method"), names("answers.test")
Z = stats.norm.isf(0.025)


def of_samples(k: int, n: int, j: int, m: int, **options: Any) -> sy.uncertainty.Comparison:
    return sy.compare(np.arange(n) < k, baseline=np.arange(m) < j, paired=False, **options)


def of_pairs(both: int, wins: int, losses: int, neither: int, **options: Any) -> sy.uncertainty.Comparison:
    table = (both, wins, losses, neither)
    return sy.compare(np.repeat((1, 1, 0, 0), table), baseline=np.repeat((1, 0, 1, 0), table), **options)


def ends(found: sy.uncertainty.Comparison) -> tuple[Any, Any]:
    return found.difference.low, found.difference.high


# published values


# Table II of Newcombe, Statistics in Medicine 17:873 (1998): methods 6 and 10.
NEWCOMBE = {
    (56, 70, 48, 80): ((0.0528, 0.3382), (0.0524, 0.3339)),
    (9, 10, 3, 10): ((0.1700, 0.8406), (0.1705, 0.8090)),
    (6, 7, 2, 7): ((0.0342, 0.8534), (0.0582, 0.8062)),
    (5, 56, 0, 29): ((-0.0326, 0.1933), (-0.0381, 0.1926)),
    (0, 10, 0, 20): ((-0.1658, 0.2844), (-0.1611, 0.2775)),
    (0, 10, 0, 10): ((-0.2879, 0.2879), (-0.2775, 0.2775)),
    (10, 10, 0, 20): ((0.7156, 1.0), (0.6791, 1.0)),
    (10, 10, 0, 10): ((0.6636, 1.0), (0.6075, 1.0)),
}


@pytest.mark.parametrize("table", NEWCOMBE)
def test_two_samples_of_newcombes_table(table: tuple[int, int, int, int]) -> None:
    score, newcombe = NEWCOMBE[table]
    assert ends(of_samples(*table, method="miettinen-nurminen")) == pytest.approx(score, abs=5.1e-5)
    assert ends(of_samples(*table, method="newcombe")) == pytest.approx(newcombe, abs=5.1e-5)


def test_pairs_of_a_published_table() -> None:
    """Response before and after a therapy (Cavo et al. 2012), as Fagerland, Lydersen and Laake (2017) print it."""
    assert ends(of_pairs(59, 6, 16, 80, method="newcombe")) == pytest.approx((-0.1186, -0.0046), abs=5.1e-5)


def test_two_samples_as_statsmodels_has_them() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    # Its "score" limits are not those of Newcombe's table above ((.0526, .3440) for the first row), and are left out.
    theirs = {"agresti-caffo": "agresti-caffo", "newcombe": "newcomb"}
    for k, n, j, m in ((56, 70, 48, 80), (9, 10, 3, 10), (5, 56, 1, 29), (3, 12, 9, 14)):
        for method, name in theirs.items():
            want = proportion.confint_proportions_2indep(k, n, j, m, method=name, compare="diff")
            assert ends(of_samples(k, n, j, m, method=method)) == pytest.approx(want, abs=1e-12), method


def test_mcnemars_tests_as_statsmodels_has_them() -> None:
    mcnemar = pytest.importorskip("statsmodels.stats.contingency_tables").mcnemar
    for both, wins, losses, neither in ((59, 6, 16, 80), (10, 0, 4, 3), (20, 15, 19, 1), (1, 7, 1, 12)):
        table = [[both, wins], [losses, neither]]
        exact = mcnemar(table, exact=True).pvalue
        normal = mcnemar(table, exact=False, correction=False).pvalue
        assert of_pairs(both, wins, losses, neither, test="exact").p_value == pytest.approx(exact, rel=1e-12)
        assert of_pairs(both, wins, losses, neither, test="chi-squared").p_value == pytest.approx(normal, rel=1e-12)


def test_fishers_tests_as_scipy_has_them() -> None:
    for k, n, j, m in ((56, 70, 48, 80), (9, 10, 3, 10), (3, 12, 9, 14), (0, 5, 4, 9)):
        table = [[k, n - k], [j, m - j]]
        for side in ("less", "greater"):
            want = stats.fisher_exact(table, alternative=side).pvalue
            assert of_samples(k, n, j, m, test="exact", alternative=side).p_value == pytest.approx(want, rel=1e-11)
        pearson = stats.chi2_contingency(table, correction=False).statistic
        want = stats.chi2.sf(pearson * (n + m - 1) / (n + m), 1)
        assert of_samples(k, n, j, m, test="chi-squared").p_value == pytest.approx(want, rel=1e-11)


# what belongs together


def test_the_chi_squared_p_is_below_alpha_where_the_score_interval_leaves_zero_out() -> None:
    for level in (0.8, 0.95, 0.99):
        for k, j in np.ndindex(13, 10):
            found = of_samples(k, 12, j, 9, method="miettinen-nurminen", test="chi-squared", confidence_level=level)
            low, high = ends(found)
            assert (found.p_value < 1 - level) == (low > 0 or high < 0), (k, j)
        for b, c in ((wins, losses) for wins in range(21) for losses in range(21 - wins)):
            found = of_pairs(0, b, c, 20 - b - c, test="chi-squared", confidence_level=level)
            low, high = ends(found)
            assert (found.p_value < 1 - level) == (low > 0 or high < 0), (b, c)


@pytest.mark.parametrize("alternative", ["less", "greater"])
def test_one_sided_limits_are_those_of_twice_the_tail(alternative: str) -> None:
    for method in UNPAIRED:
        two = ends(of_samples(9, 10, 3, 10, method=method, confidence_level=0.9))
        one = ends(of_samples(9, 10, 3, 10, method=method, alternative=alternative))
        assert one == pytest.approx((-1, two[1]) if alternative == "less" else (two[0], 1), abs=1e-14)
    for method in PAIRED:
        two = ends(of_pairs(20, 9, 3, 8, method=method, confidence_level=0.9))
        one = ends(of_pairs(20, 9, 3, 8, method=method, alternative=alternative))
        assert one == pytest.approx((-1, two[1]) if alternative == "less" else (two[0], 1), abs=1e-14)


def test_the_names_are_said() -> None:
    found = of_samples(9, 10, 3, 10, method="miettinen-nurminen", test="chi-squared")
    assert (found.difference.method, found.test) == ("Miettinen-Nurminen", "chi-squared")
    assert [of_samples(9, 10, 3, 10, test=test).test for test in TESTS] == [
        "Fisher mid-p",
        "Fisher exact",
        "chi-squared",
    ]
    found = of_pairs(20, 9, 3, 8, method="bonett-price", test="exact")
    assert (found.difference.method, found.test) == ("Bonett-Price", "McNemar exact")
    assert str(found).splitlines()[0] == "new - baseline: 0.15 [-0.03, 0.31] (95 %, Bonett-Price, n = 40)"
    assert of_pairs(20, 9, 3, 8, method="tango", test="mid-p").to_dict() == of_pairs(20, 9, 3, 8).to_dict()


def test_groups_and_several_models_take_the_names() -> None:
    base, new = np.arange(40) % 3 > 0, np.arange(40) % 5 > 0
    of = {"method": "newcombe", "test": "exact"}
    many = sy.compare({"a": new, "b": ~new}, baseline=base, **of)
    assert many.p_value[0] == sy.compare(new, baseline=base, **of).p_value
    assert many.difference["a"].low == sy.compare(new, baseline=base, **of).difference.low
    groups = sy.compare(new, baseline=base, by=np.arange(40) // 20, **of)
    assert groups.difference["0"].low == sy.compare(new[:20], baseline=base[:20], **of).difference.low
    assert groups.test == ("McNemar exact",) * 2


# the permutation test of graded scores


def permuted(new: Any, base: Any, **options: Any) -> sy.uncertainty.Comparison:
    return sy.compare(new, baseline=base, paired=False, test="permutation", **options)


def test_all_ways_to_deal_few_scores_as_scipy_counts_them() -> None:
    rng = np.random.default_rng(5)
    for n, m in ((3, 4), (6, 5), (2, 9)):
        for new, base in (
            (rng.normal(size=n), rng.normal(size=m)),
            (rng.integers(1, 6, n) / 5, rng.integers(0, 5, m) / 5),
        ):
            for side in ("two-sided", "less", "greater"):
                want = stats.permutation_test(
                    (new, base), lambda a, b, axis: a.mean(axis) - b.mean(axis), n_resamples=math.inf,
                    alternative=side, vectorized=True,
                ).pvalue  # fmt: skip
                assert permuted(new, base, alternative=side).p_value == pytest.approx(want, rel=1e-12)


def test_the_permutation_test_of_answers_would_be_fishers() -> None:
    """Scores of 0 and 1/2 are dealt like answers."""
    for k, n, j, m in ((9, 10, 3, 10), (3, 12, 9, 14), (20, 70, 48, 80)):
        halves = permuted(0.5 * (np.arange(n) < k), 0.5 * (np.arange(m) < j)).p_value
        assert halves == pytest.approx(of_samples(k, n, j, m, test="exact").p_value, rel=1e-11)


def test_the_size_of_the_permutation_test_is_exact() -> None:
    """Over all ways to deal the scores, p <= alpha in at most a share alpha, one-sided in each such share."""
    scores = [0.1, 0.2, 0.2, 0.5, 0.7, 0.9, 0.9, 1.0]
    p = []
    for chosen in combinations(range(8), 4):
        of = np.isin(np.arange(8), chosen)
        p.append(permuted(np.array(scores)[of], np.array(scores)[~of], alternative="greater").p_value)
    for alpha in sorted(set(p)):
        assert np.mean(np.array(p) <= alpha + 1e-12) == pytest.approx(alpha, abs=1e-12)


def test_the_permutation_test_is_named_and_says_where_it_deals_at_random() -> None:
    found = permuted([0.9, 0.8, 0.7], [0.1, 0.2, 0.6])
    assert found.p_value == pytest.approx(0.1)
    assert found.test == "permutation, exact"
    assert found.difference.method == "Welch"
    assert permuted([0.5] * 3, [0.5] * 4).p_value == 1.0
    assert permuted([0.25] * 3, [0.75] * 4).p_value == pytest.approx(2 / 35)
    odd = np.sqrt(np.arange(60))
    assert permuted(odd[:30], odd[30:]).test == "permutation, 9,999 random deals"
    many = np.sqrt(np.arange(_core.SHUFFLED_ROWS + 1))
    with pytest.raises(ValueError, match=r"test: expected at most 262,144 scores for 'permutation'; got 262,142 and 3"):
        permuted(many[3:], many[:3])
    with pytest.raises(
        ValueError, match=r"test: expected one of mid-p, exact, chi-squared for 0/1 answers; got 'permutation'"
    ):
        permuted([1, 0, 1], [0, 0, 1])
    with pytest.raises(ValueError, match=r"test: expected one of mid-p, exact, chi-squared; got 'permutation'"):
        sy.compare([0.5, 0.2], baseline=[0.1, 0.2], test="permutation")
    assert sy.compare(odd[:30], baseline=odd[30:], paired=False, test="t").test == "Welch's t"


# exact coverage and size


def test_exact_coverage_of_two_samples() -> None:
    """Over all pairs of shares of a grid: on average near 95 %, and by how much the worst pair falls short."""
    lowest = {"newcombe": 0.87, "miettinen-nurminen": 0.91, "agresti-caffo": 0.91}
    for method in UNPAIRED:
        held = differences.of_samples(method, 10, 15)
        assert 0.945 <= held.mean() <= 0.98, (method, held.mean())
        assert held.min() >= lowest[method], (method, held.min())


def test_exact_coverage_of_pairs() -> None:
    lowest = {"tango": 0.91, "newcombe": 0.92, "bonett-price": 0.93, "exact": 0.95}
    for method in PAIRED:
        held = differences.of_pairs(method, 15)
        assert 0.945 <= held.mean() <= (0.995 if method == "exact" else 0.985), (method, held.mean())
        assert held.min() >= lowest[method], (method, held.min())


def test_exact_size_of_the_tests() -> None:
    """The exact tests never exceed their level; the mid-p hardly does; the chi-squared tests by a little."""
    for of_test in (differences.size_of_samples, differences.size_of_pairs):
        sizes = {test: of_test(test, 20) for test in TESTS}
        assert sizes["exact"].max() <= 0.05
        assert sizes["mid-p"].max() <= 0.0535
        assert sizes["chi-squared"].max() <= 0.07
        assert (sizes["exact"] <= sizes["mid-p"] + 1e-15).all()


# equivalence


def test_equivalence_is_two_one_sided_tests() -> None:
    """At 90 %: both one-sided tests at 5 % reject, which is what the two one-sided limits at 95 % say."""
    rng = np.random.default_rng(6)
    seen = set()
    for spread, shift in ((0.05, 0.0), (0.05, 0.1), (0.05, 0.3), (1.0, 0.0), (0.05, -0.3)):
        x, y = rng.normal(shift, spread, 40), rng.normal(0.0, spread, 40)
        verdict = sy.compare(x, baseline=y, confidence_level=0.9).verdict(0.1, equivalence=True)
        low = sy.compare(x, baseline=y, alternative="greater").difference.low
        high = sy.compare(x, baseline=y, alternative="less").difference.high
        assert (verdict == "equivalent") == (low > -0.1 and high < 0.1)
        assert (verdict == "different") == (low > 0.1 or high < -0.1)
        flipped = sy.compare(x, baseline=y, confidence_level=0.9, higher_is_better=False)
        assert flipped.verdict(0.1, equivalence=True) == verdict
        seen.add(verdict)
    assert seen == {"equivalent", "different", "undecided"}


def test_equivalence_needs_a_margin_and_is_of_each_model() -> None:
    found = sy.compare({"a": [1, 0] * 200, "b": [0, 0] * 200}, baseline=[1, 0] * 200)
    assert found.verdict(0.05, equivalence=True) == ("equivalent", "different")
    assert found.verdict(0.05) == ("not_worse", "worse")
    with pytest.raises(ValueError, match="margin: expected above 0 with equivalence=True; got 0; say how large"):
        found.verdict(equivalence=True)


def test_two_one_sided_tests_hold_their_level() -> None:
    """Exact: at a true difference of the margin, 0/1 pairs are called equivalent at most about as often as alpha/2."""
    n, margin = 30, 0.2
    every = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
    found = [of_pairs(0, b, c, n - b - c, confidence_level=0.9).verdict(margin, equivalence=True) for b, c in every]
    tables = np.array([(b, c, n - b - c) for b, c in every])
    called = np.array(found) == "equivalent"
    for losses in (0.02, 0.1, 0.2, 0.35):
        chance = stats.multinomial.pmf(tables, n, [losses + margin, losses, 1 - 2 * losses - margin])
        assert (chance * called).sum() <= 0.06


# refusals


def test_what_has_no_answers_refuses_the_names() -> None:
    x, y = [0.5, 0.2, 0.9, 1.0], [0.1, 0.2, 0.8, 0.0]
    with pytest.raises(
        ValueError, match=r"method: expected None for graded scores, .*; got 'tango'; leave it out: they have Student's"
    ):
        sy.compare(x, baseline=y, method="tango")
    with pytest.raises(ValueError, match=r"test: expected None for graded scores.*Welch's interval"):
        sy.compare(x, baseline=y, paired=False, test="exact")
    with pytest.raises(ValueError, match=r"test: expected None with clusters"):
        sy.compare([1, 0, 1, 1], baseline=[0, 0, 1, 1], test="exact", clusters=[0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"method: expected None with strata"):
        sy.compare([1, 0, 1, 1], baseline=[0, 0, 1, 1], method="newcombe", strata=[0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"method: expected None without a baseline"):
        sy.compare({"a": [1, 0], "b": [0, 1]}, method="newcombe")
    with pytest.raises(ValueError, match=r"test: expected None with statistic='perplexity'"):
        sy.compare([[1.0, 2.0]], baseline=[[1.0, 2.0]], statistic="perplexity", test="exact")
    with pytest.raises(
        ValueError, match=r"method: expected one of tango, newcombe, bonett-price, exact; got 'agresti-caffo'"
    ):
        sy.compare([1, 0], baseline=[0, 1], method="agresti-caffo")
    with pytest.raises(
        ValueError, match=r"method: expected one of newcombe, miettinen-nurminen, agresti-caffo; got 'tango'"
    ):
        sy.compare([1, 0], baseline=[0, 1], paired=False, method="tango")
