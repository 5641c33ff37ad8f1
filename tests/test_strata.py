"""The keywords `strata=` and `average=`: one estimate from rows that were drawn separately in each stratum."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import steelyard as sy

RNG = np.random.Generator(np.random.Philox(12))
TASK = np.repeat(["code", "law", "math"], (8, 15, 30))
X = RNG.normal(np.repeat([0.2, 0.5, 0.9], (8, 15, 30)), 0.1)
RIGHT = X + RNG.normal(0.0, 0.3, 53) > 0.5
DOCUMENT = np.array([f"{task}{i // 2}" for i, task in enumerate(TASK)])
W = RNG.uniform(0.5, 2.0, 53)


def parts(x: Any, strata: Any = TASK) -> list[np.ndarray]:
    return [np.asarray(x)[np.asarray(strata) == name] for name in sorted(set(np.asarray(strata).tolist()))]


def test_the_macro_average_is_that_of_the_strata() -> None:
    """By Student's formulas: the mean of the means, the sum of their variances, Satterthwaite's degrees of freedom."""
    got = sy.estimate(X, strata=TASK, average="macro")
    of = parts(X)
    variances = np.array([x.var(ddof=1) / len(x) for x in of]) / 9
    df = variances.sum() ** 2 / sum(v**2 / (len(x) - 1) for v, x in zip(variances, of, strict=True))
    value = np.mean([x.mean() for x in of])
    low, high = stats.t(df, value, np.sqrt(variances.sum())).interval(0.95)
    np.testing.assert_allclose([got.value, got.low, got.high, got.detail["df"]], [value, low, high, df], rtol=1e-12)
    assert got.method == "macro stratified t"
    assert got.reason == "graded values in 3 strata, each counting once"


def test_the_macro_average_of_two_strata_is_welchs() -> None:
    """The difference of two means has the variance and the degrees of freedom of their sum."""
    a, b = X[:8], X[8:23]
    welch = stats.ttest_ind(a, b, equal_var=False)
    got = sy.estimate(X[:23], strata=TASK[:23], average="macro")
    assert got.detail["df"] == pytest.approx(welch.df, rel=1e-12)
    half = (welch.confidence_interval().high - welch.confidence_interval().low) / 4
    assert got.high - got.value == pytest.approx(half, rel=1e-12)


def test_the_micro_average_of_rows_is_the_stratified_sample() -> None:
    """Cochran's formula, sum (n_h/N)^2 s_h^2/n_h, without the correction for a finite population."""
    got = sy.estimate(X, strata=TASK)
    variance = sum((len(x) / 53) ** 2 * x.var(ddof=1) / len(x) for x in parts(X))
    assert got.value == pytest.approx(X.mean(), rel=1e-15)
    assert got.standard_error == pytest.approx(variance**0.5, rel=1e-12)
    assert got.standard_error < sy.estimate(X).standard_error / 2
    assert got.method == "stratified t"


def test_clusters_of_one_size_give_the_survey_formula() -> None:
    """sum_h G_h/(G_h - 1) sum_g (u_g - mean u)^2 / N^2 of u_g = S_g - m n_g, as R's survey and Stata's svy have it."""
    ids, strata = np.repeat(np.arange(20), 3), np.repeat([0, 0, 1, 1, 1], 12)
    x = RNG.normal(strata, 1.0)
    m, variance = x.mean(), 0.0
    for h in (0, 1):
        u = np.array([(x[ids == g] - m).sum() for g in np.unique(ids[strata == h])])
        variance += len(u) / (len(u) - 1) * ((u - u.mean()) ** 2).sum()
    got = sy.estimate(x, strata=strata, clusters=ids)
    assert got.standard_error == pytest.approx(variance**0.5 / len(x), rel=1e-12)
    assert (got.method, got.n_clusters) == ("stratified clustered t", 20)


def test_fifty_strata_of_a_regression() -> None:
    """statsmodels: the CR2-like HC2 error of the mean of the strata's coefficients, which is exact for dummies."""
    sm = pytest.importorskip("statsmodels.api")
    strata = np.arange(200) % 50
    x = RNG.normal(strata / 25, 1.0)
    dummies = (strata[:, None] == np.arange(50)).astype(float)
    fit = sm.OLS(x, dummies).fit(cov_type="HC2")
    shares = np.full(50, 1 / 50)
    error = float(np.sqrt(shares @ fit.cov_params() @ shares))
    got = sy.estimate(x, strata=strata, average="macro")
    assert got.standard_error == pytest.approx(error, rel=1e-10)
    weights = 0.5 + RNG.random(200)
    fit = sm.WLS(x, dummies, weights=weights).fit(cov_type="HC2")
    got = sy.estimate(x, strata=strata, average="macro", weights=weights)
    assert got.standard_error == pytest.approx(float(np.sqrt(shares @ fit.cov_params() @ shares)), rel=1e-10)


@pytest.mark.parametrize("words", [{}, {"weights": W}, {"clusters": DOCUMENT}, {"weights": W, "clusters": DOCUMENT}])
@pytest.mark.parametrize("average", ["micro", "macro"])
def test_one_stratum_is_no_stratum(words: Any, average: Any) -> None:
    got, want = sy.estimate(X, strata=["all"] * 53, average=average, **words), sy.estimate(X, **words)
    for field in ("value", "standard_error", "low", "high"):
        assert getattr(got, field) == pytest.approx(getattr(want, field), rel=1e-12)
    assert got.detail["df"] == pytest.approx(want.detail["df"], rel=1e-12)
    assert (got.n_effective, got.n_clusters) == (want.n_effective, want.n_clusters)


@pytest.mark.parametrize("words", [{}, {"weights": W}, {"clusters": DOCUMENT}])
def test_the_macro_average_is_made_of_the_strata_s_own_estimates(words: Any) -> None:
    got = sy.estimate(X, strata=TASK, average="macro", **words)
    own = sy.estimate(X, by=TASK, **words)
    assert got.value == pytest.approx(own.value.mean(), rel=1e-13)
    assert got.standard_error == pytest.approx(np.sqrt((own.standard_error**2).sum()) / 3, rel=1e-12)


def test_answers_have_wilsons_interval_of_the_effective_rows() -> None:
    for average in ("micro", "macro"):
        got = sy.estimate(RIGHT, strata=TASK, average=average)
        plain = sy.estimate(RIGHT.astype(float), strata=TASK, average=average, method="t")
        p, t = got.value, stats.t.ppf(0.975, got.detail["df"])
        n = p * (1 - p) / plain.standard_error**2
        assert got.n_effective == pytest.approx(n, rel=1e-12)
        low, high = (
            (p + t * t / (2 * n) + side * t * np.sqrt(p * (1 - p) / n + t * t / (4 * n * n))) / (1 + t * t / n)
            for side in (-1, 1)
        )
        assert (got.low, got.high) == (pytest.approx(low, rel=1e-11), pytest.approx(high, rel=1e-11))
        assert got.method.endswith("stratified Wilson")


def test_strata_without_spread_add_the_error_of_values_without_spread() -> None:
    x, strata = [1, 1, 1, 1, 0.25, 0.5, 0.75, 0.5], ["a"] * 4 + ["b"] * 4
    got = sy.estimate(x, strata=strata, average="macro")
    still, own = sy.estimate(x[:4], method="t").standard_error, sy.estimate(x[4:]).standard_error
    assert got.standard_error == pytest.approx(np.hypot(still, own) / 2, rel=1e-12)
    assert "1 stratum without spread" in got.reason
    # Values beyond [0, 1]: the range is that of the values, and the reason says so.
    got = sy.estimate(np.array(x) * 8, strata=strata)
    assert "range 6" in got.reason
    assert got.standard_error == pytest.approx(np.hypot(still * 6, own * 8) / 2, rel=1e-12)


def test_without_any_spread() -> None:
    strata = ["a"] * 4 + ["b"] * 16
    macro = sy.estimate([True] * 20, strata=strata, average="macro")
    assert macro.n_effective == pytest.approx(1 / (0.25 / 4 + 0.25 / 16))
    assert macro.high == 1.0
    assert macro.low < sy.estimate([True] * 20, strata=strata).low < 1.0
    graded = sy.estimate([0.5] * 20, strata=strata)
    assert (graded.low, graded.high) == (sy.estimate([0.5] * 20).low, sy.estimate([0.5] * 20).high)
    assert graded.method == "stratified no spread"
    unknown = sy.estimate([7.0] * 20, strata=strata)
    assert (unknown.value, unknown.low, unknown.standard_error) == (7.0, None, None)


def test_by_and_strata_nest() -> None:
    model = np.tile(["a", "b"], 27)[:53]
    found = sy.estimate(X, by=model, strata=TASK, average="macro", clusters=DOCUMENT)
    for name in ("a", "b"):
        mine = model == name
        want = sy.estimate(X[mine], strata=TASK[mine], average="macro", clusters=DOCUMENT[mine])
        assert (found[name].value, found[name].low, found[name].high) == (want.value, want.low, want.high)


def test_several_columns_share_their_strata() -> None:
    found = sy.estimate({"a": X, "b": RIGHT}, strata=TASK, average="macro")
    assert found["a"] == sy.estimate(X, strata=TASK, average="macro")
    assert found["b"] == sy.estimate(RIGHT, strata=TASK, average="macro")


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_the_order_of_rows_and_the_names_of_strata_decide_nothing(data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(53))))
    average = data.draw(st.sampled_from(["micro", "macro"]))
    names = {"code": 3, "law": 1, "math": 2}
    got = sy.estimate(X[order], strata=[names[task] for task in TASK[order]], average=average)
    want = sy.estimate(X, strata=TASK, average=average)
    for field in ("value", "standard_error", "low", "high"):
        assert getattr(got, field) == pytest.approx(getattr(want, field), rel=1e-12)


def test_rows_left_out() -> None:
    x = np.where(np.arange(53) % 7 == 0, np.nan, X)
    strata: Any = [None if i == 5 else task for i, task in enumerate(TASK)]
    got = sy.estimate(x, strata=strata, nan_policy="omit", where=np.arange(53) != 9, average="macro")
    keep = ~np.isnan(x) & (np.arange(53) != 5) & (np.arange(53) != 9)
    want = sy.estimate(X[keep], strata=TASK[keep], average="macro")
    assert (got.value, got.low, got.high) == (want.value, want.low, want.high)
    assert got.left_out == {"where": 1, "nan": 8, "no stratum": 1}
    # `where` may leave a stratum out as a whole.
    assert sy.estimate(X, strata=TASK, where=TASK != "law").reason == "graded values in 2 strata"


REFUSED: dict[str, tuple[str, Any]] = {
    "one row": (
        "strata: expected at least two rows in every stratum; got one in 'law', which has no variance; merge",
        lambda: sy.estimate(X[:9], strata=TASK[:9]),
    ),
    "one cluster": (
        "strata: expected at least two clusters in every stratum; got one in 'law', which",
        lambda: sy.estimate(X[:10], strata=TASK[:10], clusters=[*range(8), 8, 8]),
    ),
    "crossing": (
        "clusters: expected clusters that lie inside one stratum each; got one with rows in 'law' and in 'math'; if",
        lambda: sy.estimate(X[20:40], strata=TASK[20:40], clusters=np.arange(20) % 10),
    ),
    "no strata": ("average: expected strata= with it; got 'macro'; pass", lambda: sy.estimate(X, average="macro")),
    "a stratum that nan_policy empties": (
        "strata: expected a row that counts in every stratum; got none of 8 in 'code'; leave",
        lambda: sy.estimate(np.where(TASK == "code", np.nan, X), strata=TASK, nan_policy="omit"),
    ),
    "a ratio to numbers below 0": (
        "x[1]: expected values of at least 0 with strata; got values from -1 on; by= gives",
        lambda: sy.estimate((X, np.where(TASK == "code", -1.0, 1.0)), "ratio", strata=TASK),
    ),
    "another interval": (
        "method: expected wilson or t with strata; got 'wald'",
        lambda: sy.estimate(RIGHT, strata=TASK, method="wald"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    message, call = REFUSED[name]
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()


BASE = RNG.normal(np.repeat([0.3, 0.5, 0.7], (8, 15, 30)), 0.1)


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("clusters", [None, DOCUMENT])
def test_a_comparison_in_strata_is_the_estimate_of_the_differences(average: Any, clusters: Any) -> None:
    found = sy.compare(X, baseline=BASE, strata=TASK, average=average, clusters=clusters)
    want = sy.estimate(X - BASE, strata=TASK, average=average, clusters=clusters)
    for field in ("value", "standard_error", "low", "high"):
        assert getattr(found.difference, field) == pytest.approx(getattr(want, field), rel=1e-11)
    assert found.difference.method == want.method
    assert found.difference.n_clusters == want.n_clusters
    assert (found.wins + found.losses + found.ties, len(found.items["index"])) == (53, 53)


def test_the_flips_of_a_comparison_weigh_as_its_average_does() -> None:
    """By enumeration: of the differences, and of those divided by the rows of their stratum."""
    new, strata = X[4:17], TASK[4:17]
    d = new - BASE[4:17]
    signs = 1 - 2 * (np.arange(2**13)[:, None] >> np.arange(13) & 1)
    for average, weights in (("micro", np.ones(13)), ("macro", np.where(strata == "law", 1 / 9, 1 / 4))):
        sums = np.abs(signs @ (d * weights))
        p = float((sums >= abs((d * weights).sum()) * (1 - 1e-12)).mean())
        found = sy.compare(new, baseline=BASE[4:17], strata=strata, average=average)
        assert found.p_value == pytest.approx(p, rel=1e-12)
    assert sy.compare(new, baseline=BASE[4:17], strata=strata).p_value == sy.compare(new, baseline=BASE[4:17]).p_value


def test_a_comparison_of_answers_in_strata() -> None:
    old = RNG.random(53) < 0.5
    found = sy.compare(RIGHT, baseline=old, strata=TASK, average="macro")
    d = parts(RIGHT.astype(float) - old)
    assert found.difference.value == pytest.approx(np.mean([x.mean() for x in d]), rel=1e-13)
    error = np.sqrt(sum(x.var(ddof=1) / len(x) for x in d)) / 3
    assert found.difference.standard_error == pytest.approx(error, rel=1e-12)
    same = sy.compare(old, baseline=old, strata=TASK)
    assert same.difference.method == "stratified no spread"
    assert same.difference.high == -same.difference.low == pytest.approx(1.96**2 / (53 + 1.96**2), rel=1e-4)


def test_several_models_in_strata() -> None:
    found = sy.compare({"a": X, "b": BASE, "c": 1 - X}, baseline="b", strata=TASK, average="macro")
    alone = sy.compare(X, baseline=BASE, strata=TASK, average="macro", confidence_level=1 - 0.05 / 2)
    assert found.difference["a"].detail["simultaneous_low"] == alone.difference.low
    assert found.p_value[0] == alone.p_value


@pytest.mark.parametrize(("new", "base"), [(X, BASE), (RIGHT, BASE > 0.5)], ids=["graded", "answers"])
@pytest.mark.parametrize("words", [{}, {"clusters": DOCUMENT}, {"where": np.arange(53) % 5 > 0}])
def test_a_comparison_by_group_is_that_of_its_rows(new: Any, base: Any, words: Any) -> None:
    found = sy.compare(new, baseline=base, by=TASK, **words)
    assert found.names == ("code", "law", "math")
    p = []
    for at, name in enumerate(found.names):
        mine = name == TASK
        own = {word: ids[mine] for word, ids in words.items()}
        want = sy.compare(new[mine], baseline=base[mine], **own)
        strict = sy.compare(new[mine], baseline=base[mine], confidence_level=1 - 0.05 / 3, **own)
        got = found.difference[name]
        assert (got.value, got.low, got.high, got.n) == (
            want.difference.value, want.difference.low, want.difference.high, want.difference.n,
        )  # fmt: skip
        assert got.detail["simultaneous_low"] == strict.difference.low
        assert (found.wins[at], found.losses[at], found.p_value[at]) == (want.wins, want.losses, want.p_value)
        assert found.verdict()[at] == strict.verdict()
        p.append(want.p_value)
    order = np.argsort(p)
    holm = np.minimum(1, np.maximum.accumulate(np.array(p)[order] * [3, 2, 1]))
    assert found.p_adjusted[order].tolist() == pytest.approx(holm.tolist(), rel=1e-14)
    assert str(found).startswith("code: new - baseline: ")
    assert len(found.items["index"]) == found.wins.sum() + found.losses.sum()


def test_the_groups_of_one_model_of_a_mapping() -> None:
    by: Any = [None if i == 3 else task for i, task in enumerate(TASK)]
    found = sy.compare({"old": BASE, "sft": X}, baseline="old", by=by, nan_policy="omit")
    assert str(found).startswith("code: sft - old: ")
    assert found.difference.left_out == {"no group": 1}
    assert len(found.items["index"]) == 52
    assert found.table["name"].tolist() == ["code", "law", "math"]


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (
            "new: expected one model with by=; got 2 models",
            lambda: sy.compare(np.stack([X, X], 1), baseline=BASE, by=TASK),
        ),
        ("by: expected paired rows", lambda: sy.compare(X, baseline=BASE, by=TASK, paired=False)),
        ("strata: expected paired rows", lambda: sy.compare(X, baseline=BASE, strata=TASK, paired=False)),
        ("average: expected strata= with it", lambda: sy.compare(X, baseline=BASE, average="macro")),
        ("strata: expected at least two rows", lambda: sy.compare(X[:9], baseline=BASE[:9], strata=TASK[:9])),
    ],
)
def test_comparisons_that_are_refused(message: str, call: Any) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()


def test_the_level_of_the_macro_test_where_strata_differ() -> None:
    """The macro difference is 0 while the strata's are not: the test errs at most as often as it says."""
    strata, p = np.repeat([0, 1], (20, 200)), np.repeat([0.3, 0.05], (20, 200))
    rng, wrong, held = np.random.default_rng(6), 0, 0
    for _ in range(300):
        u = rng.random(220)
        new, base = u < p, u > 1 - (0.35 - p)
        found = sy.compare(new, baseline=base, strata=strata, average="macro")
        wrong += found.p_value <= 0.05
        held += found.difference.low <= 0.0 <= found.difference.high
    assert wrong <= 0.08 * 300
    assert held >= 0.91 * 300


def covers(average: Any, sets: int, draw: Any, truth: float) -> float:
    held = 0
    for _ in range(sets):
        x, words = draw()
        e = sy.estimate(x, average=average, **words)
        held += e.low <= truth <= e.high
    return held / sets


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_coverage_of_answers_with_a_small_stratum(average: Any) -> None:
    """A stratum of ten rows, 95 % of which are right, is often without spread: adding nothing for it covers .47."""
    strata, p = np.repeat([0, 1], (10, 400)), np.repeat([0.95, 0.5], (10, 400))
    rng = np.random.default_rng(3)
    truth = float(p.mean()) if average == "micro" else 0.725
    assert covers(average, 400, lambda: (rng.random(410) < p, {"strata": strata}), truth) >= 0.93


def test_coverage_of_the_micro_average_where_clusters_differ_in_size() -> None:
    """The shares of the strata are not known: taking them as fixed covers .68."""
    rng = np.random.default_rng(4)

    def draw() -> tuple[Any, Any]:
        sizes = np.maximum(1, np.round(8 * np.exp(rng.normal(size=40)))).astype(int)
        ids = np.repeat(np.arange(40), sizes)
        mean = np.where(ids < 20, 0.2, 0.9)
        return mean + 0.1 * rng.normal(size=len(ids)), {"strata": ids < 20, "clusters": ids}

    assert 0.9 <= covers("micro", 400, draw, 0.55) <= 0.99
