"""Ratings from battles: against published tables and other libraries, and what is refused and counted."""

from __future__ import annotations

import doctest
import itertools
import json
from typing import Any

import numpy as np
import pytest

from steelyard.uncertainty import Ratings, ratings

from .test_docs import ROOT, blocks, failures

POINTS = 400.0 / np.log(10.0)
# Wins of the row's team against the column's in the American League's eastern division, 1987 (Agresti, "Categorical Data
# Analysis", 2002, table 10.10).
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
SEASON = np.array([
    [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
])  # fmt: skip
# Turner and Firth, "Bradley-Terry models in R" (Journal of Statistical Software 48, 2012): abilities, Baltimore 0.
ABILITIES = {
    "Boston": 1.1077, "Cleveland": 0.6839, "Detroit": 1.4364, "Milwaukee": 1.5814, "New York": 1.2476,
    "Toronto": 1.2945, "Baltimore": 0.0,
}  # fmt: skip


def season() -> tuple[list[str], list[str], list[int]]:
    """Every game, with the winner first and second in turns."""
    a, b, won = [], [], []
    for i, j in itertools.permutations(range(len(TEAMS)), 2):
        for game in range(SEASON[i, j]):
            turned = game % 2
            a.append(TEAMS[j if turned else i])
            b.append(TEAMS[i if turned else j])
            won.append(1 - turned)
    return a, b, won


def arena(n: int, models: int = 6, seed: int = 0, tie: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Battles whose law is Davidson's, with the ratings (0, .2, .4, ...) and nu = ``tie``."""
    rng = np.random.Generator(np.random.Philox(seed))
    a = rng.integers(0, models, n)
    b = (a + rng.integers(1, models, n)) % models
    up = np.exp(0.1 * (a - b))
    u = rng.random(n) * (up + 1.0 / up + tie)
    return a, b, np.where(u < up, 1.0, np.where(u < up + 1.0 / up, 0.0, 0.5))


def by_name(found: Ratings) -> dict[str, float]:
    return dict(zip(found.names, found.rating.tolist(), strict=True))


def test_the_season_has_the_published_abilities() -> None:
    found = ratings(*season(), scale="log", anchor={"Baltimore": 0.0})
    assert by_name(found) == pytest.approx(ABILITIES, abs=5e-5)
    assert found.names[0] == "Milwaukee"
    assert found.n == 13 * 21
    table = found.table
    assert table["wins"].tolist() == sorted(SEASON.sum(1).tolist(), reverse=True)
    assert (table["wins"] + table["losses"]).tolist() == [78] * 7


def test_elo_is_a_scale() -> None:
    log, elo = ratings(*season(), scale="log"), ratings(*season())
    assert log.rating.sum() == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(elo.rating, 1000.0 + POINTS * log.rating, rtol=1e-14)
    np.testing.assert_allclose(elo.score.standard_error, POINTS * log.score.standard_error, rtol=1e-13)
    assert (elo.rank_low.tolist(), elo.rank_high.tolist()) == (log.rank_low.tolist(), log.rank_high.tolist())


def design(a: np.ndarray, b: np.ndarray, models: int) -> np.ndarray:
    """Rows of +1 and -1, without the last model's column."""
    x = np.zeros((len(a), models))
    x[np.arange(len(a)), a] = 1.0
    x[np.arange(len(a)), b] = -1.0
    return x[:, :-1]


@pytest.mark.parametrize("grouped", [False, True])
def test_the_sandwich_is_that_of_statsmodels(grouped: bool) -> None:
    sm = pytest.importorskip("statsmodels.api")
    a, b, outcome = arena(3000)
    groups = np.arange(3000) // 7 if grouped else None
    found = ratings(a, b, outcome, scale="log", anchor={5: 0.0}, clusters=groups)
    how: dict[str, Any] = {"cov_type": "HC0"}
    if groups is not None:
        how = {"cov_type": "cluster", "cov_kwds": {"groups": groups, "use_correction": False}}
    fitted = sm.GLM(outcome, design(a, b, 6), family=sm.families.Binomial()).fit(tol=1e-14, **how)
    factor = np.sqrt(429 / 428) if grouped else 1.0
    rating = by_name(found)
    error = dict(zip(found.names, found.score.standard_error.tolist(), strict=True))
    for model in range(5):
        assert rating[str(model)] == pytest.approx(fitted.params[model], abs=1e-9)
        assert error[str(model)] == pytest.approx(factor * fitted.bse[model], rel=1e-8)
    assert error["5"] == 0.0


def test_davidson_is_the_maximum_that_scipy_finds() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    a, b, outcome = arena(4000, tie=1.5)

    def loss(x: np.ndarray) -> float:
        up = np.append(x[:5], 0.0)
        terms = np.stack([(up[a] - up[b]) / 2, (up[b] - up[a]) / 2, np.full(len(a), x[5])])
        own = terms[np.where(outcome == 1, 0, np.where(outcome == 0, 1, 2)), np.arange(len(a))]
        return float((np.logaddexp.reduce(terms, axis=0) - own).mean())

    best = optimize.minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-9})
    found = ratings(a, b, outcome, ties="davidson", scale="log", anchor={5: 0.0})
    assert [by_name(found)[str(i)] for i in range(5)] == pytest.approx(best.x[:5].tolist(), abs=1e-6)
    assert found.tie_weight == pytest.approx(np.exp(best.x[5]), rel=1e-6)
    assert found.tie_weight == pytest.approx(1.5, rel=0.1)
    assert ratings(a, b, outcome).tie_weight is None


def test_two_models_have_a_closed_form() -> None:
    """60 : 20 and 30 ties: the sandwich of one difference is the delta method's variance of its mean score."""
    outcome = [1] * 60 + [0] * 20 + [0.5] * 30
    found = ratings(["x"] * 110, ["y"] * 110, outcome, scale="log", anchor={"y": 0.0})
    m = 75 / 110
    spread = (60 + 0.25 * 30) / 110 - m * m
    assert found.rating[0] == pytest.approx(np.log(m / (1 - m)), rel=1e-13)
    assert found.score.standard_error[0] == pytest.approx(np.sqrt(spread / 110) / (m * (1 - m)), rel=1e-12)
    own = ratings(["x"] * 110, ["y"] * 110, outcome, ties="davidson", scale="log", anchor={"y": 0.0})
    assert own.rating[0] == pytest.approx(np.log(3.0), rel=1e-13)
    assert own.tie_weight == pytest.approx(30 / np.sqrt(1200), rel=1e-13)


def test_the_bootstrap_agrees_with_the_sandwich() -> None:
    a, b, outcome = arena(20_000)
    near = ratings(a, b, outcome)
    for clusters in (None, np.arange(20_000)):
        boot = ratings(a, b, outcome, method="bootstrap", n_resamples=4000, clusters=clusters, seed=3)
        assert boot.names == near.names
        np.testing.assert_allclose(boot.score.standard_error, near.score.standard_error, rtol=0.05)
        np.testing.assert_allclose(boot.score.low, near.score.low, atol=0.15 * near.score.standard_error.max())
        assert np.abs(boot.rank_high - near.rank_high).max() <= 1
        assert boot.replicates is not None
        assert boot.replicates.shape == (4000, 6)
        assert boot.replicates.std(axis=0, ddof=1) == pytest.approx(boot.score.standard_error, rel=1e-10)
    weighed = ratings(a, b, outcome, method="bootstrap", n_resamples=500, weights=np.full(20_000, 2.0))
    np.testing.assert_allclose(weighed.score.standard_error, near.score.standard_error, rtol=0.15)


def test_clusters_widen_what_repeats() -> None:
    """Every battle counted five times, as one cluster: the error is that of the battles counted once."""
    a, b, outcome = arena(2000)
    five = [np.repeat(side, 5) for side in (a, b, outcome)]
    groups = np.repeat(np.arange(2000), 5)
    once, naive, grouped = ratings(a, b, outcome), ratings(*five), ratings(*five, clusters=groups)
    np.testing.assert_allclose(
        grouped.score.standard_error, once.score.standard_error * np.sqrt(2000 / 1999), rtol=1e-10
    )
    np.testing.assert_allclose(naive.score.standard_error * np.sqrt(5), once.score.standard_error, rtol=1e-10)
    assert grouped.score.n_clusters == 2000
    assert grouped.score.method == "clustered sandwich"
    boot = ratings(*five, clusters=groups, method="bootstrap", n_resamples=2000)
    np.testing.assert_allclose(boot.score.standard_error, once.score.standard_error, rtol=0.08)


def test_weights_are_sampling_weights() -> None:
    a, b, outcome = arena(2000)
    plain = ratings(a, b, outcome)
    np.testing.assert_allclose(ratings(a, b, outcome, weights=np.full(2000, 3.0)).rating, plain.rating, rtol=1e-12)
    np.testing.assert_allclose(
        ratings(a, b, outcome, weights=np.full(2000, 3.0)).score.standard_error, plain.score.standard_error, rtol=1e-12
    )
    often = np.arange(2000) % 3
    repeated = ratings(np.repeat(a, often), np.repeat(b, often), np.repeat(outcome, often))
    weighed = ratings(a, b, outcome, weights=often)
    np.testing.assert_allclose(weighed.rating, repeated.rating, rtol=1e-12)
    assert weighed.left_out == {"zero weight": 667}


def test_sides_order_and_words_change_nothing() -> None:
    a, b, outcome = arena(900)
    found = ratings(a, b, outcome)
    assert ratings(b, a, 1.0 - outcome) == found
    order = np.argsort(np.random.default_rng(0).random(900))
    assert ratings(a[order], b[order], outcome[order]) == found
    words = np.where(outcome == 1, "model_a", np.where(outcome == 0, "model_b", "tie (bothbad)"))
    assert ratings(a, b, words) == found
    assert (
        ratings(a.tolist(), b.tolist(), [{"model_a": "a", "model_b": "b"}.get(word, "tie") for word in words]) == found
    )
    decided = outcome != 0.5
    some = ratings(a, b, outcome, where=decided)
    assert some.rating.tolist() == ratings(a[decided], b[decided], outcome[decided] == 1).rating.tolist()


def test_ranks_hold_all_pairs_together() -> None:
    found = ratings(*arena(30_000))
    assert found.names == ("5", "4", "3", "2", "1", "0")
    assert ((found.rank_low <= found.rank) & (found.rank <= found.rank_high)).all()
    near = ratings(*arena(300, seed=2))
    assert near.rank_high[0] > 1
    assert near.best[0]
    # A pair is told apart at the level of its adjusted p, which is at least that of its own test.
    assert (near.p_value >= 0).all()
    assert (near.p_value == near.p_value.T).all()
    one_pair = ratings(["x"] * 100, ["y"] * 100, [1] * 62 + [0] * 38, scale="log")
    z = 2.0 * one_pair.rating[0] / (2.0 * one_pair.score.standard_error[0])
    assert one_pair.p_value[0, 1] == pytest.approx(2.0 * (1.0 - _normal_cdf(z)), abs=0.004)


def _normal_cdf(z: float) -> float:
    from statistics import NormalDist

    return NormalDist().cdf(z)


def test_an_anchor_has_its_rating_and_no_interval() -> None:
    a, b, outcome = arena(3000)
    found, free = ratings(a, b, outcome, anchor={"2": 1114}), ratings(a, b, outcome)
    place = found.names.index("2")
    assert found.rating[place] == 1114.0
    assert found.score["2"].low is None
    assert "anchor" in str(found.score["2"].reason)
    np.testing.assert_allclose(found.rating - free.rating, found.rating[0] - free.rating[0], rtol=1e-9)
    boot = ratings(a, b, outcome, anchor={"2": 1114}, method="bootstrap")
    np.testing.assert_allclose(boot.score.standard_error, found.score.standard_error, rtol=0.12, atol=1e-12)
    assert (found.rank_low == free.rank_low).all()


def test_models_apart_are_named() -> None:
    a, b = ["x", "y", "z", "w"], ["y", "z", "y", "x"]
    with pytest.raises(ValueError, match=r"outcome: expected scores in both directions.* 'w' never lost"):
        ratings(a, b, [1, 1, 1, 1])
    with pytest.raises(ValueError, match="'v' never met the others"):
        ratings([*"xyuv"], [*"yxvu"], [1, 1, 1, 1])
    with pytest.raises(ValueError, match="more wins than ties"):
        ratings(["x"] * 4, ["y"] * 4, [1, 1, 0.5, 0.5], ties="davidson")
    assert ratings(["x"] * 4, ["y"] * 4, [1, 1, 0.5, 0.5]).names == ("x", "y")


def test_a_prior_rates_all_and_draws_together() -> None:
    a, b, outcome = ["x", "y", "z", "w"], ["y", "z", "y", "x"], [1, 1, 1, 1]
    found, strong = (ratings(a, b, outcome, prior=prior) for prior in (1.0, 10.0))
    assert found.names[0] == "w"
    assert np.ptp(strong.rating) < np.ptp(found.rating)
    a, b, outcome = arena(500)
    assert ratings(a, b, outcome, prior=1e-9).rating == pytest.approx(ratings(a, b, outcome).rating, rel=1e-9)
    assert ratings(["x"] * 4, ["y"] * 4, [1, 1, 0.5, 0.5], ties="davidson", prior=1.0).tie_weight > 0


def test_resamples_without_ratings_are_counted() -> None:
    """With one loss of 100 battles, (1 - 1/100)^100 = 36.6 % of the resamples have none."""
    outcome = [1] * 99 + [0]
    found = ratings(["x"] * 100, ["y"] * 100, outcome, method="bootstrap", n_resamples=2000)
    missing = found.score.detail["missing"][0]
    assert missing == pytest.approx(0.366 * 2000, rel=0.1)
    assert found.score.low is None
    assert f"{int(missing):,} of 2,000 resamples have no ratings: pass prior=1" in found.score.reason[0]
    rated = ratings(["x"] * 100, ["y"] * 100, outcome, method="bootstrap", n_resamples=2000, prior=1.0)
    assert rated.score.detail["missing"][0] == 0
    assert rated.score.low is not None
    few = ratings(["x"] * 100, ["y"] * 100, [1] * 96 + [0] * 4, method="bootstrap", n_resamples=2000)
    assert 0 < few.score.detail["missing"][0] < 50 and few.score.low is not None  # noqa: PT018
    assert "resamples have no ratings" in few.score.reason[0]


def test_one_cluster_has_no_spread() -> None:
    a, b, outcome = arena(200)
    for method in ("sandwich", "bootstrap"):
        found = ratings(a, b, outcome, clusters=np.zeros(200), method=method)
        assert found.score.standard_error is None
        assert (found.rank_low.tolist(), found.rank_high.tolist()) == ([1] * 6, [6] * 6)
        assert "two clusters" in found.score.reason[0]


def test_battles_that_do_not_count_are_counted() -> None:
    a, b, outcome = arena(600)
    a, b, outcome = (np.append(column, more) for column, more in ((a, [3, 9]), (b, [3, 9]), (outcome, [1.0, 0.5])))
    found = ratings(a, b, outcome, clusters=np.arange(602), where=np.arange(602) > 9)
    assert found.left_out == {"where": 10, "a model against itself": 2}
    assert found.n == 590
    assert "9" not in found.names
    with pytest.raises(ValueError, match="a: expected at least one battle"):
        ratings([1, 2], [1, 2], [1, 0])


def test_the_result_can_be_read() -> None:
    found = ratings(*season())
    text = str(found)
    assert text.splitlines()[0].split()[1] == "Milwaukee"
    assert "for all pairs, step-down max-t over 9,999 draws of a normal law" in text
    assert repr(found).startswith("<Ratings\n")
    assert "rating" in found._repr_html_()
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["wins"] == found.wins.tolist()
    assert plain["scale"] == "elo"
    with pytest.raises(TypeError, match="a Ratings is neither true nor false"):
        bool(found)
    pytest.importorskip("matplotlib").use("Agg")
    assert found.plot().get_xlabel() == "rating"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "outcome": ({"outcome": [2, 1]}, "outcome: expected 1, 0 or 0.5, or the words .*; got 2"),
    "word": ({"outcome": ["model_c", "tie"]}, "outcome: expected .*; got 'model_c'"),
    "missing": ({"outcome": [None, 1.0]}, "outcome: expected an id for every row"),
    "length": ({"b": ["y"]}, "b: expected .*shape"),
    "kinds": ({"b": [1, 2]}, "b: expected names of models, as in a; got numbers"),
    "anchor": ({"anchor": {"q": 1000}}, "anchor: expected a model that has a battle; got 'q'"),
    "anchors": ({"anchor": "x"}, "anchor: expected one model and its rating"),
    "prior": ({"prior": -1}, "prior: expected a number that is at least 0"),
    "ties": ({"ties": "none"}, "ties: expected one of half, davidson"),
    "method": ({"method": "jackknife"}, "method: expected one of sandwich, bootstrap"),
    "resamples": ({"method": "bootstrap", "n_resamples": 30}, "n_resamples: expected at least 39"),
    "clusters": ({"clusters": ([1, 2], [1, 2])}, "clusters: expected an array or a list of ids; got a tuple"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_has_one_sentence(name: str) -> None:
    options, message = BAD[name]
    with pytest.raises((TypeError, ValueError), match=message):
        ratings(**({"a": ["x", "x"], "b": ["y", "y"], "outcome": [1, 0]} | options))


def test_the_page_on_ratings_is_true() -> None:
    session = "\n".join(blocks("python", ROOT / "docs" / "ratings.md"))
    ran, said = failures(doctest.DocTestParser().get_doctest(session, {}, "ratings.md", None, 0))
    assert ran > 5
    assert said == ""
