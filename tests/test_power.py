"""Planning: what is predicted is how often ``compare`` and ``proportion`` decide, and what other programs compute."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard.uncertainty import PowerAnalysis, minimum_detectable, power, sample_size

SIMULATED = 20_000


def near(rate: float, predicted: float, simulated: int = SIMULATED) -> bool:
    """Whether a rate of so many simulations is within four of its standard errors."""
    return bool(abs(rate - predicted) <= 4 * np.sqrt(max(predicted * (1 - predicted), 1e-4) / simulated))


# -- the rejection rate of the very comparison --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "psi", "d", "margin"), [(60, 0.3, 0.15, 0.0), (200, 0.1, 0.05, 0.0), (150, 0.2, 0.0, 0.1), (9, 0.9, 0.9, 0.0)]
)
def test_pairs_decide_as_often_as_predicted(n: int, psi: float, d: float, margin: float) -> None:
    rng = np.random.default_rng(1)
    b, c, rest = rng.multinomial(n, [(psi + d) / 2, (psi - d) / 2, 1 - psi], SIMULATED).T
    both = rest // 2
    found = sy.proportion(b + both, n, baseline=(c + both, n), both=both)
    predicted = power(n, d, discordance=psi, margin=margin).power
    assert near(np.mean(found.low > -margin), predicted)
    for test in ("mid-p", "exact", "chi-squared"):
        found = sy.proportion(b + both, n, baseline=(c + both, n), both=both, test=test)
        assert near(np.mean(found.detail["p_value"] <= 0.05), power(n, d, discordance=psi, test=test).power), test


def test_a_verdict_of_pairs_is_what_is_predicted() -> None:
    """The verdict of ``compare`` itself, of every table of 12 pairs."""
    n, psi, d, margin = 12, 0.6, 0.3, 0.25
    up, down = (psi + d) / 2, (psi - d) / 2
    found = {"better": 0.0, "not_worse": 0.0}
    for b in range(n + 1):
        for c in range(n - b + 1):
            new, base = np.repeat([1, 0, 1], [b, c, n - b - c]), np.repeat([0, 1, 1], [b, c, n - b - c])
            verdict = sy.compare(new, baseline=base).verdict(margin)
            if verdict in found:
                choose = float(_core.binomial_pmf(c, n, down) * _core.binomial_pmf(b, n - c, up / (1 - down)))
                found[verdict] += choose
    assert power(n, d, discordance=psi).power == pytest.approx(found["better"], abs=1e-12)
    assert power(n, d, discordance=psi, margin=margin).power == pytest.approx(sum(found.values()), abs=1e-12)


@pytest.mark.parametrize(
    ("n", "ratio", "q", "d", "margin"), [(80, 1.0, 0.6, 0.2, 0.0), (50, 2.0, 0.9, 0.0, 0.15), (30, 0.5, 0.1, 0.4, 0.0)]
)
def test_samples_decide_as_often_as_predicted(n: int, ratio: float, q: float, d: float, margin: float) -> None:
    rng = np.random.default_rng(2)
    m = int(np.ceil(ratio * n))
    k, j = rng.binomial(n, q + d, SIMULATED), rng.binomial(m, q, SIMULATED)
    planned = power(n, d, baseline=q, paired=False, ratio=ratio, margin=margin)
    assert planned.n_baseline == m
    assert near(np.mean(sy.proportion(k, n, baseline=(j, m)).low > -margin), planned.power)
    for test in ("mid-p", "exact", "chi-squared"):
        found = sy.proportion(k, n, baseline=(j, m), test=test).detail["p_value"]
        assert near(np.mean(found <= 0.05), power(n, d, baseline=q, paired=False, ratio=ratio, test=test).power), test


@pytest.mark.parametrize("method", ["wilson", "clopper-pearson", "jeffreys"])
@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_a_share_decides_as_often_as_predicted(method: Any, alternative: Any) -> None:
    rng = np.random.default_rng(3)
    n, p0, d = 70, 0.25, 0.12
    how = {"method": method, "alternative": alternative}
    found = sy.proportion(rng.binomial(n, p0 + d, SIMULATED), n, **how)
    assert near(np.mean(found.low > p0), power(n, d, baseline=p0, **how).power)
    found = sy.proportion(rng.binomial(n, p0 - 0.02, SIMULATED), n, **how)
    assert near(np.mean(found.low > p0 - 0.1), power(n, -0.02, baseline=p0, margin=0.1, **how).power)


def test_less_is_greater_in_the_mirror() -> None:
    for how in ({"baseline": 0.7}, {"baseline": 0.7, "paired": False}, {"discordance": 0.4}, {"sd": 0.5}):
        mirrored = how | ({"baseline": 1.0 - how["baseline"]} if "baseline" in how else {})
        less = power(50, -0.15, alternative="less", margin=0.01, **how)
        greater = power(50, 0.15, alternative="greater", margin=0.01, **mirrored)
        assert less.power == pytest.approx(greater.power, rel=1e-12)
        assert less.difference == -0.15
        found = minimum_detectable(50, alternative="less", **how)
        assert found.difference == pytest.approx(-minimum_detectable(50, alternative="greater", **mirrored).difference)
        assert sample_size(-0.15, alternative="less", **how).n == sample_size(0.15, alternative="greater", **mirrored).n


def test_lower_is_better_by_less() -> None:
    rng = np.random.default_rng(4)
    d = rng.normal(-0.2, 1.0, (60, 2_000))
    found = sy.estimate(d, alternative="less").high
    pair = sy.compare(d[:, 0], baseline=np.zeros(60), alternative="less").difference
    assert found[0] == pytest.approx(pair.high, abs=1e-12)
    assert near(np.mean(found < 0), power(60, -0.2, sd=1.0, alternative="less").power, 2_000)


@pytest.mark.parametrize("paired", [True, False])
def test_graded_scores_decide_as_often_as_predicted(paired: bool) -> None:
    rng = np.random.default_rng(5)
    new, base = rng.normal(0.3, 0.8, (40, 1_000)), rng.normal(0.0, 0.4, (40, 1_000))
    if paired:
        # The interval of compare, without its sign flips, which would take long here.
        found = sy.estimate(new).low
        assert found[0] == pytest.approx(sy.compare(new[:, 0], baseline=np.zeros(40)).difference.low, abs=1e-12)
        predicted = power(40, 0.3, sd=0.8)
    else:
        pairs = zip(new.T, base.T, strict=True)
        found = np.array([sy.compare(a, baseline=b, paired=False).difference.low for a, b in pairs])
        predicted = power(40, 0.3, sd=(0.8, 0.4), paired=False)
    assert near(np.mean(found > 0), predicted.power, 1_000)


def test_clusters_decide_as_often_as_predicted() -> None:
    rng = np.random.default_rng(6)
    groups, size, icc = 20, 5, 0.3
    shared = rng.normal(0.0, np.sqrt(icc), (groups, 1, 2_000))
    d = (0.25 + shared + rng.normal(0.0, np.sqrt(1 - icc), (groups, size, 2_000))).reshape(-1, 2_000)
    ids = np.repeat(np.arange(groups), size)
    # The interval of compare, without its sign flips, which would take long here.
    found = sy.estimate(d, clusters=ids).low
    pair = sy.compare(d[:, 0], baseline=np.zeros(100), clusters=ids).difference
    assert found[0] == pytest.approx(pair.low, abs=1e-12)
    planned = power(100, 0.25, sd=1.0, cluster_size=size, icc=icc)
    assert planned.n_clusters == groups
    assert near(np.mean(found > 0), planned.power, 2_000)
    assert planned.power < power(100, 0.25, sd=1.0).power - 0.1


def test_pairs_of_answers_in_clusters_and_repeated_are_near_what_is_predicted() -> None:
    """By t where the means are not normal: within three points at 40 clusters."""
    rng = np.random.default_rng(7)
    groups, size, psi, d, icc, simulated = 40, 5, 0.4, 0.12, 0.2, 2_000
    # A cluster shares one draw with probability sqrt(icc) a row, so that two rows do with probability icc.
    values, chances = [1.0, -1.0, 0.0], [(psi + d) / 2, (psi - d) / 2, 1 - psi]
    own = rng.choice(values, (groups, size, simulated), p=chances)
    common = rng.choice(values, (groups, 1, simulated), p=chances)
    drawn = np.where(rng.random((groups, size, simulated)) < np.sqrt(icc), common, own)
    ids = np.repeat(np.arange(groups), size)
    # The interval of compare, without its sign flips, which would take minutes here.
    found = sy.estimate(drawn.reshape(-1, simulated), clusters=ids)
    pair = sy.compare(drawn[:, :, 0].ravel() > 0, baseline=drawn[:, :, 0].ravel() < 0, clusters=ids).difference
    assert found.low[0] == pytest.approx(pair.low, abs=1e-12)
    predicted = power(groups * size, d, discordance=psi, cluster_size=size, icc=icc).power
    assert np.mean(found.low > 0) == pytest.approx(predicted, abs=0.06)
    # The same draws as five answers to each of 40 items, of which the means are compared.
    found = sy.estimate(drawn.mean(axis=1))
    predicted = power(groups, d, discordance=psi, answers=size, answer_icc=icc).power
    assert np.mean(found.low > 0) == pytest.approx(predicted, abs=0.06)


@pytest.mark.parametrize(("q", "d"), [(0.6, 0.12), (0.9, 0.06)])
def test_a_share_of_clustered_answers_is_near_what_is_predicted(q: float, d: float) -> None:
    """Beta-binomial clusters; the clustered Wilson interval that ``estimate`` has for them."""
    rng = np.random.default_rng(13)
    p, icc = q + d, 0.1
    of_cluster = rng.beta(p * (1 / icc - 1), (1 - p) * (1 / icc - 1), (40, 1, 2_000))
    x = (rng.random((40, 5, 2_000)) < of_cluster).astype(float).reshape(-1, 2_000)
    found = sy.estimate(x, clusters=np.repeat(np.arange(40), 5)).low
    assert np.mean(found > q) == pytest.approx(power(200, d, baseline=q, cluster_size=5, icc=icc).power, abs=0.04)


# -- other programs -----------------------------------------------------------------------------------------------

# statsmodels 0.15.0: TTestPower().power(effect, n, 0.025, alternative="larger").
PAIRED_T = ((0.25, 50, 0.4102702122269287), (0.5, 20, 0.5644828966786231), (0.1, 400, 0.514048219243137))
# TTestIndPower().power(effect, n, 0.025, ratio=1, alternative="larger").
TWO_T = ((0.5, 30, 0.4778409859409132), (0.2, 200, 0.5140433945755436))
# power_proportions_2indep(difference, baseline, n, alpha=0.05): by the normal distribution.
TWO_SHARES = (
    (0.1, 0.6, 200, 0.5546504839282322),
    (0.05, 0.7, 1000, 0.7070604336198817),
    (0.2, 0.3, 80, 0.7374190444895681),
)


def test_t_power_is_that_of_statsmodels() -> None:
    for d, n, want in PAIRED_T:
        assert power(n, d, sd=1.0).power == pytest.approx(want, abs=1e-10)
    for d, n, want in TWO_T:
        assert power(n, d, sd=1.0, paired=False).power == pytest.approx(want, abs=1e-10)
    # .solve_power(effect_size=0.25, power=0.8, alpha=0.025) and (nobs=50, power=0.8): 127.51613762834667 rows.
    assert sample_size(0.25, sd=1.0).n == 128
    assert minimum_detectable(50, sd=1.0).difference == pytest.approx(0.4041834520268627, rel=1e-7)


def test_two_shares_are_near_the_normal_formula_of_statsmodels() -> None:
    for d, q, n, want in TWO_SHARES:
        assert power(n, d, baseline=q, paired=False).power == pytest.approx(want, abs=0.015)
    # samplesize_proportions_2indep_onetail(0.1, 0.6, 0.8, alpha=0.025): 355.9.
    assert sample_size(0.1, baseline=0.6, paired=False).n == pytest.approx(356, abs=6)


def test_exact_tests_are_those_of_other_programs() -> None:
    """SciPy's binomial distribution summed over the discordant pairs; MESS prints 0.80; G*Power .411449."""
    how: dict[str, Any] = {"test": "exact", "alternative": "greater"}
    assert power(50, 0.24, discordance=0.4, **how).power == pytest.approx(0.8393569848602911, abs=1e-12)
    mess = power(144, 0.2, discordance=0.7, confidence_level=0.975, **how)
    assert mess.power == pytest.approx(0.8009194439706918, abs=1e-12)
    share = power(20, 0.15, baseline=0.65, method="clopper-pearson", alternative="greater")
    assert share.power == pytest.approx(0.4114488619565686, abs=1e-12)


# -- the inverses -------------------------------------------------------------------------------------------------

DESIGNS: dict[str, dict[str, Any]] = {
    "share": {"baseline": 0.25},
    "samples": {"baseline": 0.6, "paired": False},
    "pairs": {"discordance": 0.25},
    "few ties": {"discordance": 0.95},
    "graded": {"sd": 0.4},
    "clusters": {"sd": 0.4, "cluster_size": 3.5, "icc": 0.2},
    "margin": {"discordance": 0.25, "margin": 0.05},
    "test": {"discordance": 0.25, "test": "exact"},
    "comparisons": {"baseline": 0.5, "paired": False, "comparisons": 4, "ratio": 2},
}


@pytest.mark.parametrize("design", DESIGNS)
def test_from_n_on_the_power_stays(design: str) -> None:
    how = DESIGNS[design]
    for wanted in (0.5, 0.8, 0.95):
        found = sample_size(0.12, power=wanted, **how)
        assert found.power >= wanted
        assert found.solved == "n"
        further = power(found.n + np.arange(300), 0.12, **how).power
        assert further[0] == found.power
        assert (further >= wanted).all()
        fewer = found.n - 1 if "cluster_size" not in how else int(np.ceil((found.n_clusters - 1) * 3.5))
        assert power(fewer, 0.12, **how).power < wanted


def test_the_first_n_would_not_do() -> None:
    """One share: the saw dips below 80 % again after the first n that reaches it."""
    n = np.arange(2, 200)
    reached = power(n, 0.12, baseline=0.25).power >= 0.8
    first, last = n[reached][0], n[~reached][-1]
    assert first < last
    assert sample_size(0.12, baseline=0.25).n == last + 1


@pytest.mark.parametrize("design", DESIGNS)
def test_the_least_difference_has_the_power(design: str) -> None:
    how = DESIGNS[design]
    found = minimum_detectable([60, 200], power=0.7, **how)
    np.testing.assert_allclose(found.power, 0.7, atol=1e-9)
    assert (power([60, 200], found.difference - 1e-6, **how).power < 0.7).all()
    assert found.difference[0] > found.difference[1]


def test_beyond_the_table_the_normal_distribution_goes_on() -> None:
    most = _core.POWER_ROWS
    for how in ({"discordance": 0.2}, {"baseline": 0.4}, {"baseline": 0.4, "paired": False}):
        below, above = power([most, most + 1], 0.0035, **how).power
        assert 0.3 < below < 0.99
        assert below == pytest.approx(above, abs=3e-3)
    assert sample_size(1e-4, discordance=0.1).n == pytest.approx(0.1 * (1.959964 + 0.841621) ** 2 / 1e-8, rel=1e-4)


def test_clusters_come_whole() -> None:
    found = sample_size([0.1, 0.05], sd=0.5, cluster_size=4, icc=0.25)
    assert (found.n == 4 * found.n_clusters).all()
    assert found.n[0] > sample_size(0.1, sd=0.5).n


def test_answers_that_agree_are_one_answer() -> None:
    one = power(80, 0.2, discordance=0.5)
    assert power(80, 0.2, discordance=0.5, answers=7, answer_icc=1.0).power == one.power
    more = power(80, 0.1, sd=0.4, answers=[1, 2, 1000], answer_icc=0.0).power
    assert more[0] < more[1] < more[2] == pytest.approx(1.0, abs=1e-12)


# -- pilots -------------------------------------------------------------------------------------------------------


def test_a_pilot_of_answers_says_the_discordance() -> None:
    pilot = [1] * 12 + [-1] * 8 + [0] * 80
    found = sample_size(0.1, pilot=pilot)
    low, high = (float(getattr(sy.proportion(20, 100), side)) for side in ("low", "high"))
    assert found.n == sample_size(0.1, discordance=0.2).n
    assert found.low == sample_size(0.1, discordance=low).n < found.n < found.high
    assert found.high == sample_size(0.1, discordance=high).n
    assert found.assumed == {"discordance": 0.2, "pilot": 100}
    # A pilot cannot rule out a difference that is larger than its discordance.
    assert power(50, 0.4, pilot=pilot).power == power(50, 0.4, discordance=0.4).power


def test_a_pilot_of_scores_says_their_spread() -> None:
    rng = np.random.default_rng(8)
    d = rng.normal(0.0, 0.3, 30)
    found = sample_size(0.05, pilot=d)
    assert found.n == sample_size(0.05, sd=d.std(ddof=1)).n
    assert found.low < found.n < found.high
    spread = (float(found.high) - float(found.low)) / float(found.n)
    assert 0.7 < spread < 1.6  # chi-squared with 29 degrees of freedom: from .63 to 1.81 of the variance


def test_the_interval_of_n_holds_the_n_that_is_needed() -> None:
    rng = np.random.default_rng(9)
    needed = sample_size(0.1, sd=0.3).n
    inside = 0
    for _ in range(300):
        found = sample_size(0.1, pilot=rng.normal(0.0, 0.3, 40))
        inside += found.low <= needed <= found.high
    assert inside / 300 == pytest.approx(0.94, abs=0.05)


def test_a_pilot_of_several_answers_says_how_they_vary() -> None:
    rng = np.random.default_rng(10)
    items = rng.normal(0.0, 0.3, 4_000)
    pilot = items[:, None] + rng.normal(0.0, 0.4, (4_000, 5))
    found = sample_size(0.05, pilot=pilot, answers=[1, 5, 20])
    want = [sample_size(0.05, sd=np.sqrt(0.09 + 0.16 / k)).n for k in (1, 5, 20)]
    np.testing.assert_allclose(found.n, want, rtol=0.06)
    means = pilot.mean(axis=1)
    assert found.n[1] == sample_size(0.05, sd=means.std(ddof=1)).n


def test_a_pilot_in_clusters_has_a_design_effect() -> None:
    rng = np.random.default_rng(11)
    ids = np.repeat(np.arange(200), 4)
    d = 0.5 * rng.normal(size=200)[ids] + rng.normal(size=800) * np.sqrt(0.75)
    found = sample_size(0.2, pilot=d, clusters=ids)
    assert found.assumed["design_effect"] == pytest.approx(1 + 3 * 0.25, abs=0.25)
    assert found.n == pytest.approx(sample_size(0.2, sd=1.0, cluster_size=4, icc=0.25).n, rel=0.25)
    assert found.n_clusters == found.n / 4
    error = float(sy.compare(d, baseline=np.zeros(800), clusters=ids).difference.standard_error)
    again = power(800, 0.2, pilot=d, clusters=ids)
    t = _core.t_quantile(0.975, 199.0)
    assert again.power == pytest.approx(_core.noncentral_t_sf(t, 199.0, 0.2 / error), rel=1e-9)


def test_a_pilot_of_two_samples() -> None:
    rng = np.random.default_rng(12)
    new, base = (rng.random(100) < 0.7).astype(int), np.repeat([1, 0], [55, 45])
    found = sample_size(0.1, pilot=(new, base), paired=False)
    assert found.n == sample_size(0.1, baseline=0.55, paired=False).n
    assert found.low <= found.n <= found.high
    graded = sample_size(0.1, pilot=(new + rng.normal(size=100), base + 0.5), paired=False)
    assert graded.n > found.n
    assert graded.low < graded.n < graded.high


def test_a_pilot_near_one_keeps_the_difference_that_is_asked() -> None:
    pilot = ([1] * 40, [1] * 38 + [0] * 2)  # Wilson's limits of the baseline are .835 and .986
    low, high = (float(end) for end in (sy.proportion(38, 40).low, sy.proportion(38, 40).high))
    found = sample_size(0.04, pilot=pilot, paired=False)
    ends = [sample_size(0.04, baseline=q, paired=False).n for q in (low, 0.95, 0.96)]
    assert high + 0.04 > 1.0
    assert (found.low, found.n, found.high) == (min(ends), ends[1], max(ends))
    assert found.low < found.n
    mirrored = ([0] * 40, [0] * 38 + [1] * 2)
    turned = sample_size(-0.04, pilot=mirrored, paired=False, alternative="less")
    one_sided = sample_size(0.04, pilot=pilot, paired=False, alternative="greater")
    assert (turned.n, turned.low, turned.high) == (one_sided.n, one_sided.low, one_sided.high)


def test_a_limit_without_an_answer_is_left_out() -> None:
    pilot = ([1] * 40, [1] * 38 + [0] * 2)
    low = float(sy.proportion(38, 40).low)  # type: ignore[arg-type]
    found = minimum_detectable(300, pilot=pilot, paired=False)
    assert found.low == found.difference == minimum_detectable(300, baseline=0.95, paired=False).difference
    assert found.high == minimum_detectable(300, baseline=low, paired=False).difference
    assert found.high > 0.05  # more than the pilot's own share leaves
    assert "nan" not in str(found)


# -- the result ---------------------------------------------------------------------------------------------------


def test_settings_broadcast() -> None:
    found = power([[100], [200]], [0.05, 0.1, 0.15], discordance=0.3)
    assert found.power.shape == found.n.shape == found.difference.shape == (2, 3)
    assert found.power[1, 2] == power(200, 0.15, discordance=0.3).power
    assert power(np.array([], np.int64), 0.1, sd=1.0).power.shape == (0,)
    assert len(found.table["n"]) == 6
    with pytest.raises(ValueError, match=r"n, difference, .*expected shapes that broadcast"):
        power([100, 200], [0.1, 0.2, 0.3], sd=1.0)


def test_a_result_is_a_number_a_text_and_a_row() -> None:
    found = sample_size(0.05, discordance=0.2, comparisons=3)
    assert float(found) == found.n
    assert "98.333 %" in str(found)
    assert "99.995 %" in str(sample_size(0.05, discordance=0.2, comparisons=1000))
    assert "3 comparisons" in str(found)
    assert "exact, the sum" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["n"] == found.n
    again = pickle.loads(pickle.dumps(found))
    assert isinstance(again, PowerAnalysis)
    assert again == found
    assert "<table>" in found._repr_html_()
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(found)
    assert "margin" in str(power(50, 0.0, sd=0.1, margin=[0.05, 0.1]))
    assert "clusters" in str(power(50, 0.1, baseline=0.5, cluster_size=5, icc=0.1))
    assert "normal distribution" in str(power(10**6, 0.001, baseline=0.5))
    assert "2 rows of the baseline" in str(power(50, 0.1, sd=1.0, paired=False, ratio=2))
    assert "upper limit" in str(power(50, -0.1, baseline=0.5, alternative="less"))
    assert "McNemar's mid-p" in str(power(50, 0.1, discordance=0.3, test="mid-p"))
    assert "Fisher's exact" in str(power(50, 0.1, baseline=0.3, test="exact", paired=False))


def test_no_difference_that_is_possible_reaches_the_power() -> None:
    found = minimum_detectable([4, 400], discordance=0.05)
    assert np.isnan(found.difference[0])
    assert np.isnan(found.power[0])
    assert found.difference[1] < 0.05
    assert "no difference is seen" in str(found)
    assert found.to_dict()["difference"][0] is None


def test_curves_are_drawn() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    found = sample_size([0.05, 0.1], discordance=0.2)
    axes = found.plot()
    assert len(axes.lines) == 4
    assert axes.get_ylabel() == "power"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["difference 0.05", "difference 0.1"]
    assert power(50, -0.1, sd=0.5, alternative="less").plot(axes) is axes
    assert len(pickle.loads(pickle.dumps(found)).plot().lines) == 4
    assert power([100, 200], 0.1, discordance=0.2).plot().get_legend() is None  # nothing to tell apart but n
    with pytest.raises(ValueError, match="at most 10 settings"):
        power(np.arange(2, 20), 0.1, sd=1.0).plot()
    plt.close("all")


# -- trying to break it -------------------------------------------------------------------------------------------


def test_certain_and_impossible_answers() -> None:
    assert power(10, 0.0, baseline=1.0).power == 0.0  # no lower limit exceeds 1
    assert power(10, 0.4, baseline=0.0).power == pytest.approx(1 - 0.6**10)  # one right answer is enough
    assert power(30, 1.0, baseline=0.0).power == 1.0
    assert power(30, 1.0, discordance=1.0).power == 1.0
    assert power(30, 1.0, discordance=1.0, cluster_size=3, icc=0.5).power == 1.0
    assert power(50, 0.0, baseline=1.0, paired=False, margin=0.2).power == 1.0
    assert power(1, 0.3, sd=1.0).power == 0.0  # one graded difference has no interval
    assert power(4, 0.3, sd=1.0, cluster_size=4, icc=0.1).power == 0.0  # one cluster neither
    assert 0.0 <= power(1, 1.0, discordance=1.0).power <= 1.0
    assert power(100, 0.0, discordance=0.2).power == pytest.approx(0.025, abs=0.005)  # the chance of a false alarm
    assert power(100, -0.2, discordance=0.2).power == 0.0
    assert power(100, -0.2, discordance=0.2, test="exact").power > 0.99
    assert power(2, 5.0, sd=1e-3).power > 0.9999
    assert sample_size(1.0, discordance=1.0).n == 4
    verdicts = [sy.compare([1] * n, baseline=[0] * n).verdict() for n in (3, 4)]
    assert verdicts == ["undecided", "better"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "expected one of baseline=, discordance=, sd= and pilot=.*got none"),
    "two": ({"sd": 1.0, "baseline": 0.5}, "got baseline= and sd="),
    "share": ({"baseline": 1.2}, "baseline: expected a share from 0 to 1; got 1.2"),
    "beyond": ({"baseline": 0.95}, r"difference: expected one that leaves baseline \+ difference in \[0, 1\]; got 0.1"),
    "discordance": ({"discordance": [0.3, 0.05]}, "difference: expected at most discordance.* at index 1"),
    "none differ": ({"discordance": 0.0}, "discordance: expected a share above 0"),
    "unpaired": ({"discordance": 0.3, "paired": False}, "discordance: expected None with paired=False"),
    "sd": ({"sd": 0.0}, "sd: expected a finite number above 0; got 0"),
    "nan": ({"sd": float("nan")}, "sd: expected a finite number above 0; got nan"),
    "margin": ({"discordance": 0.3, "margin": -0.1}, "margin: expected a finite number, at least 0"),
    "whole margin": ({"discordance": 0.3, "margin": 1.0}, "margin: expected less than 1"),
    "margin of a share": ({"baseline": 0.2, "margin": 0.3}, "margin: expected at most the baseline"),
    "icc": ({"sd": 1.0, "cluster_size": 5}, "icc: expected the correlation of two rows of a cluster"),
    "negative icc": ({"sd": 1.0, "cluster_size": 5, "icc": -0.25}, r"icc: expected above -1/\(cluster_size - 1\)"),
    "large icc": ({"sd": 1.0, "cluster_size": 5, "icc": 1.5}, "icc: expected a correlation of at most 1"),
    "answers": ({"sd": 1.0, "answers": 4}, "answer_icc: expected the correlation of two answers to an item"),
    "no answers": ({"sd": 1.0, "answers": 0}, "answers: expected at least 1; got 0"),
    "cluster size": ({"sd": 1.0, "cluster_size": 0.5}, "cluster_size: expected a finite number, at least 1"),
    "ids": ({"sd": 1.0, "clusters": [1, 2]}, "clusters: expected None without a pilot"),
    "constant": ({"pilot": [0.25] * 9}, "pilot: expected differences that vary.*got 9 equal ones"),
    "ties": ({"pilot": [0] * 9}, "pilot: expected rows on which the two differ"),
    "one row": ({"pilot": [0.5]}, "pilot: expected at least two rows"),
    "nan row": ({"pilot": [0.5, float("nan")]}, "pilot: expected finite numbers; got nan at index 1"),
    "one cluster": ({"pilot": [0.5, 0.1, 0.2], "clusters": [1, 1, 1]}, "clusters: expected at least two clusters"),
    "equal clusters": (
        {"pilot": [0.5, 0.1, 0.5, 0.1], "clusters": [1, 1, 2, 2]},
        "pilot: expected clusters whose mean",
    ),
    "one answer": ({"pilot": [0.5, 0.1], "answers": 3}, "answers: expected 1 with a pilot of one answer"),
    "icc of a pilot": ({"pilot": [0.5, 0.1], "icc": 0.1}, "icc: expected None with a pilot"),
    "size of a pilot": ({"pilot": [0.5, 0.1], "cluster_size": 3}, "cluster_size: expected 1 with a pilot"),
    "equal samples": ({"pilot": ([0.5] * 4, [0.1, 0.2]), "paired": False}, r"pilot\[0\]: expected scores that vary"),
    "newcombe": ({"discordance": 0.3, "method": "newcombe"}, "method: expected one of tango, bonett-price"),
    "test of a share": ({"baseline": 0.3, "test": "exact"}, "test: expected None for one share"),
    "method and test": ({"discordance": 0.3, "method": "tango", "test": "exact"}, "test: expected None with method="),
    "margin of a test": ({"discordance": 0.3, "margin": 0.1, "test": "exact"}, "margin: expected 0 with test="),
    "test of scores": ({"sd": 1.0, "test": "exact"}, "test: expected None where scores are graded"),
    "no test": ({"discordance": 0.3, "test": "z"}, "test: expected one of mid-p, exact, chi-squared; got 'z'"),
    "comparisons": ({"sd": 1.0, "comparisons": 0}, "comparisons: expected a whole number, at least 1"),
    "level": ({"sd": 1.0, "confidence_level": 95}, "confidence_level: expected a number inside"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_said(name: str) -> None:
    how, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        power(100, 0.1, **how)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_size(0.0, discordance=0.2), "difference: expected above -margin; no number of rows"),
        (lambda: sample_size([0.1, -0.2], sd=1.0, margin=0.1), "above -margin; .*got -0.2 at index 1"),
        (lambda: sample_size(0.1, sd=1.0, alternative="less"), "difference: expected below margin; .*got 0.1"),
        (lambda: sample_size(0.0, discordance=0.2, test="exact"), "difference: expected a difference other than 0"),
        (lambda: sample_size(0.1, power=1.0, sd=1.0), r"power: expected a number inside \(0, 1\); got 1"),
        (lambda: sample_size(0.1, power=0.02, sd=1.0), "power: expected more than the chance of a false alarm"),
        (lambda: sample_size(1e-9, sd=1.0), "difference: expected one that fewer than 1e15 rows can show"),
        (lambda: power(0, 0.1, sd=1.0), "n: expected at least 1"),
        (lambda: power(10, float("inf"), sd=1.0), "difference: expected finite numbers"),
        (lambda: minimum_detectable([10, -1], sd=1.0), "n: expected at least 1 and below 1e15; got -1 at index 1"),
    ],
)
def test_what_no_number_of_rows_shows(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"n": 10.5, "sd": 1.0}, "n: expected integers"),
        ({"n": 10, "sd": (1.0, 2.0)}, "sd: expected the standard deviation of the differences"),
        ({"n": 10, "sd": (1.0, 2.0, 3.0), "paired": False}, r"sd: expected one standard deviation or those of \(new"),
        ({"n": 10, "pilot": ([1, 2], [2, 3])}, "pilot: expected an array of the differences"),
        ({"n": 10, "pilot": [1, 2, 4], "paired": False}, r"pilot: expected the scores \(new, base\)"),
        ({"n": 10, "sd": "1"}, "sd: expected"),
        ({"n": 10, "sd": 1.0, "paired": 1}, "paired: expected True or False"),
    ],
)
def test_the_wrong_kind_is_said(how: dict[str, Any], message: str) -> None:
    n = how.pop("n")
    with pytest.raises(TypeError, match=message):
        power(n, 0.1, **how)
