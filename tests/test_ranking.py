"""Many models compared with each other: ranks, and which models cannot be told from the best."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core

from .coverage.rankings import false_claims


def answers(n: int, means: list[float], seed: int = 0) -> dict[str, np.ndarray]:
    """0/1 answers of models that find the same items hard."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=n)
    return {f"m{k}": (hard + rng.normal(size=n) < 2 * (mean - 0.5)).astype(float) for k, mean in enumerate(means)}


def test_two_models_are_compared_as_compare_does() -> None:
    """One pair: the two-sided sign-flip p, exact where there are few items."""
    for seed in range(20):
        scores = {"a": np.random.default_rng(seed).normal(size=12), "b": np.zeros(12)}
        exact = sy.compare(scores["a"], baseline=scores["b"]).p_value
        assert sy.compare(scores).p_value[0, 1] == pytest.approx(exact, abs=1e-12)
    scores = {"a": np.random.default_rng(1).normal(0.1, 1, 500), "b": np.zeros(500)}
    exact = sy.compare(scores["a"], baseline=scores["b"]).p_value
    assert sy.compare(scores).p_value[0, 1] == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 9999) ** 0.5)


def slow_ranges(x: np.ndarray, alpha: float) -> tuple[list[int], list[int]]:
    """The rank ranges by all patterns of signs, step by step with quantiles in place of p-values."""
    n, m = x.shape
    claims = [(i, j) for i, j in product(range(m), repeat=2) if i != j]
    d = {(i, j): x[:, i] - x[:, j] for i, j in claims}
    t = {pair: v.sum() / np.sqrt((v**2).sum()) if v.any() else 0.0 for pair, v in d.items()}
    patterns = np.array(list(product((1, -1), repeat=n)))
    flipped = {pair: patterns @ v / np.sqrt((v**2).sum()) if v.any() else np.zeros(2**n) for pair, v in d.items()}
    left, surely = set(claims), set()
    while left:
        largest = np.max([flipped[pair] for pair in left], axis=0)
        now = {pair for pair in left if t[pair] > 0 and np.mean(largest >= t[pair] - 1e-9) <= alpha}
        if not now:
            break
        surely |= now
        left -= now
    low = [1 + sum((i, k) in surely for i in range(m) if i != k) for k in range(m)]
    high = [m - sum((k, j) in surely for j in range(m) if j != k) for k in range(m)]
    return low, high


@pytest.mark.parametrize("seed", range(6))
def test_rank_ranges_are_those_of_an_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(11, 4)) + np.array([0.0, 0.4, 1.5, 1.6])
    if seed % 2:
        x = np.round(x)  # many ties
    found = sy.compare({str(k): x[:, k] for k in range(4)}, confidence_level=0.9)
    low, high = slow_ranges(x, 1 - 0.9)
    assert [low[int(name)] for name in found.names] == found.rank_low.tolist()
    assert [high[int(name)] for name in found.names] == found.rank_high.tolist()
    assert max(high) - min(low) > 0


def test_the_best_come_first_and_ties_share_a_rank() -> None:
    scores = {"low": [0, 0, 1, 0] * 50, "high": [1, 1, 1, 0] * 50, "same": [1, 1, 0, 1] * 50}
    found = sy.compare(scores)
    assert found.names == ("high", "same", "low")
    assert found.rank.tolist() == [1, 1, 3]
    assert found.best.tolist() == [True, True, False]
    assert (found.rank_low.tolist(), found.rank_high.tolist()) == ([1, 1, 3], [2, 2, 3])
    reverse = sy.compare(scores, higher_is_better=False)
    assert reverse.names == ("low", "high", "same")
    assert (reverse.rank_low.tolist(), reverse.rank_high.tolist()) == ([1, 2, 2], [1, 3, 3])


def test_the_order_of_models_and_threads_change_nothing() -> None:
    scores = answers(400, [0.5, 0.5, 0.55, 0.6, 0.7])
    found = sy.compare(scores)
    other = sy.compare(dict(reversed(scores.items())))
    place = [other.names.index(name) for name in found.names]
    assert np.array_equal(found.p_value, other.p_value[np.ix_(place, place)])
    assert np.array_equal(found.rank_high, other.rank_high[place])
    with sy.threads(1):
        assert sy.compare(scores) == found


def test_models_that_are_equal_or_have_no_spread() -> None:
    same = sy.compare({"a": [0.5] * 30, "b": [0.5] * 30, "c": [0.5] * 30})
    assert same.best.all()
    assert same.rank_high.tolist() == [3, 3, 3]
    assert (same.p_value == 1).all()
    rounding = sy.compare({"a": [0.1 + 0.2] * 300, "b": [0.3] * 300})
    assert rounding.best.all()
    # Every item says the same, which is no proof where there are few: 2^-n two-sided.
    assert sy.compare({"a": [0.6] * 4, "b": [0.5] * 4}).p_value[0, 1] == 2 / 2**4
    assert sy.compare({"a": [0.6] * 7, "b": [0.5] * 7}).best.tolist() == [True, False]
    assert sy.compare({"a": [1.0], "b": [0.0]}).best.all()


def test_types_that_differ_differ_by_their_rounding() -> None:
    x = np.random.default_rng(0).random(500)
    assert sy.compare({"a": x, "b": x.astype(np.float32)}).p_value[0, 1] == 1.0
    assert sy.compare({"a": x, "b": np.nextafter(x, 2) + 1e-12}).p_value[0, 1] < 0.05


def test_clusters_are_flipped_whole() -> None:
    """Rows of one cluster that say the same are one piece of evidence."""
    rng = np.random.default_rng(3)
    a, b = np.repeat(rng.normal(0.3, 1, 12), 50), np.zeros(600)
    rows, clusters = sy.compare({"a": a, "b": b}), sy.compare({"a": a, "b": b}, clusters=np.repeat(np.arange(12), 50))
    assert rows.p_value[0, 1] < 0.002 < 0.05 < clusters.p_value[0, 1]
    assert clusters.p_value[0, 1] == sy.compare(a, baseline=b, clusters=np.repeat(np.arange(12), 50)).p_value


def test_rows_are_left_out_for_all_models() -> None:
    scores = answers(100, [0.4, 0.6, 0.8])
    holes = {name: values.copy() for name, values in scores.items()}
    holes["m0"][:5], holes["m2"][3:9] = np.nan, np.nan
    with pytest.raises(ValueError, match=r"new\['m0'\]: expected finite values; got nan at index 0"):
        sy.compare(holes)
    found = sy.compare(holes, nan_policy="omit")
    kept = sy.compare({name: values[9:] for name, values in scores.items()})
    assert found.n == 91
    assert np.array_equal(found.p_value, kept.p_value)
    assert found.score.left_out == {"nan": 9}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"new": np.zeros((2, 2049))}, "new: expected at most 2,048 models to rank; got 2,049"),
        ({"new": {"a": [1.0, 0.0], "b": [1.0]}}, r"new\['b'\]: expected 2 rows, as new\['a'\] has; got 1"),
        ({"new": np.zeros((3, 2)), "alternative": "less"}, "alternative: expected 'two-sided'"),
        ({"new": np.zeros((3, 2)), "adjust": None}, "adjust: expected 'holm' where no baseline is given"),
    ],
)
def test_what_cannot_be_ranked_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sy.compare(**arguments)


def test_a_single_column_needs_a_baseline() -> None:
    with pytest.raises(TypeError, match="baseline: expected an array of scores"):
        sy.compare([1.0, 0.0, 1.0])


def test_how_a_ranking_is_shown() -> None:
    found = sy.compare({"a<b": [1, 1, 1, 0] * 25, "b\n": [1, 1, 0, 1] * 25, "c": [0, 1, 0, 0] * 25})
    assert "1-2  b\\n  0.750 [0.657, 0.825]" in str(found)
    assert "  3  c" in str(found)
    html = found._repr_html_()
    assert "<td>1-2</td><td>a&lt;b</td>" in html
    assert {len(column) for column in found.table.values()} == {3}
    assert {column.dtype.kind for column in found.table.values()} == set("Uifb")
    assert found.to_dict()["rank_high"] == [2, 2, 3]
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(found)


def test_false_claims_are_as_rare_as_promised() -> None:
    """Ten equal models: all of them are in the best set, in at least 95 % of 400 sets (3 standard errors allowed)."""
    for kind in ("0/1, items alike hard", "graded, skewed", "clusters"):
        assert false_claims(kind, equal=10, n=100, sets=400) <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
    # Some models that differ do not make claims about equal ones more frequent.
    assert false_claims("0/1, items alike hard", equal=5, n=100, sets=400, others=5) <= 0.05 + 3 * 0.011


def test_the_kernel_refuses_rows_that_are_not_whole() -> None:
    with pytest.raises(ValueError, match="x: expected rows of 3 scores; got 4"):
        _core.max_t(np.zeros(4), models=3, tie=0.0, seed=0)
