"""Differences of two models' shares of right answers from counts, many problems in one call."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard._registries import names

SIDES = names("interval.alternative")
PAIRED, UNPAIRED, TESTS = names("paired.method"), names("unpaired.method"), names("answers.test")


def answers(k: int, n: int) -> np.ndarray:
    return np.arange(n) < k


def pairs(table: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The answers of both models for so many pairs that both, new alone, base alone and neither got right."""
    return np.repeat([True, True, False, False], table), np.repeat([True, False, True, False], table)


def same(one: Any, other: sy.Estimate, p: float) -> None:
    """``one`` entry of an estimate from counts has the bits of a comparison of the answers."""
    for field in ("value", "standard_error", "low", "high", "n", "method"):
        assert getattr(one, field) == getattr(other, field), field
    assert one.detail["p_value"] == p


@pytest.mark.parametrize(("method", "test", "side"), [*zip(UNPAIRED, TESTS, SIDES, strict=True)])
def test_counts_of_two_samples_have_the_bits_of_their_answers(method: str, test: str, side: Any) -> None:
    n, m = 7, 12
    k, j = (np.array(x) for x in zip(*product(range(n + 1), range(m + 1)), strict=True))
    options: Any = {"method": method, "test": test, "alternative": side}
    found = sy.proportion(k, n, baseline=(j, m), **options)
    assert found.value.shape == ((n + 1) * (m + 1),)
    for one, a, b in zip(found, k, j, strict=True):
        diff = sy.compare(answers(a, n), baseline=answers(b, m), paired=False, **options)
        same(one, diff.difference, float(diff.p_value))
        assert (one.detail["test"], one.reason) == (diff.test, diff.difference.reason.partition("; ")[0])
        assert one.detail["n_baseline"] == m


@pytest.mark.parametrize(
    ("method", "test", "side"), [*zip(PAIRED, [*TESTS, TESTS[1]], [*SIDES, SIDES[0]], strict=True)]
)
def test_counts_of_pairs_have_the_bits_of_their_answers(method: str, test: str, side: Any) -> None:
    n = 6
    tables = [(a, b, c, n - a - b - c) for a, b, c in product(range(n + 1), repeat=3) if a + b + c <= n]
    a, b, c, _ = np.array(tables).T
    options: Any = {"method": method, "test": test, "alternative": side}
    found = sy.proportion(a + b, n, baseline=(a + c, n), both=a, **options)
    for one, table in zip(found, tables, strict=True):
        new, base = pairs(table)
        diff = sy.compare(new, baseline=base, **options)
        same(one, diff.difference, float(diff.p_value))
        assert (one.detail["test"], one.reason) == (diff.test, diff.difference.reason)
        assert (one.detail["wins"], one.detail["losses"]) == (diff.wins, diff.losses)


def test_many_problems_are_one_by_one_the_same() -> None:
    rng = np.random.default_rng(0)
    n = rng.integers(1, 10**6, (40, 3))
    k, j = rng.integers(0, n + 1), rng.integers(0, n + 1)
    both = rng.integers(np.maximum(0, k + j - n), np.minimum(k, j) + 1)
    for options in ({"baseline": (j, n)}, {"baseline": (j, n), "both": both}):
        found = sy.proportion(k, n, **options)
        assert found.value.shape == (40, 3)
        for i in np.ndindex(40, 3):
            alone = sy.proportion(k[i], n[i], baseline=(j[i], n[i]), both=both[i] if "both" in options else None)
            assert (alone.value, alone.standard_error) == (found.value[i], found.standard_error[i])
            assert (alone.low, alone.high) == (found.low[i], found.high[i])
            assert alone.detail["p_value"] == found.detail["p_value"][i]


@pytest.mark.parametrize(
    ("k", "n", "options", "message"),
    [
        (3, [5, 2], {"baseline": (1, 2)}, "k: expected 0 <= k <= n; got 3 of 2 at index 1"),
        (3, 5, {"baseline": ([1, -1], 2)}, r"baseline\[0\]: expected 0 <= .* got -1 of 2 at index 1"),
        (3, 5, {"baseline": (0, [1, 0])}, r"baseline\[1\]: expected at least 1; got 0 at index 1"),
        (3, 5, {"baseline": (2, 4), "both": 1}, r"n, baseline\[1\]: expected the same number .* got 5 and 4"),
        (
            3,
            5,
            {"baseline": (4, 5), "both": [2, 1]},
            "both: expected from 2 to 3 .* got 1, for 3 and 4 of 5 at index 1",
        ),
        (1, 2**62, {"baseline": (1, 2**62)}, r"n, baseline\[1\]: expected at most 9223372036854775807 rows together"),
        (3, 5, {"both": 1}, "both: expected None without baseline"),
        (3, 5, {"baseline": ([1, 2], [[2], [3]]), "both": [1, 1, 1]}, "shapes that broadcast"),
        (3, 5, {"baseline": (1, 2), "method": "tango"}, "method: expected one of newcombe, miettinen-nurminen"),
        (3, 5, {"baseline": (1, 5), "both": 1, "method": "wilson"}, "method: expected one of tango"),
        (3, 5, {"baseline": (1, 2), "test": "t"}, "test: expected one of mid-p, exact, chi-squared"),
    ],
)
def test_counts_that_are_no_two_models_are_refused(k: Any, n: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sy.proportion(k, n, **options)


def test_a_baseline_is_two_counts() -> None:
    with pytest.raises(TypeError, match=r"baseline: expected the counts \(k, n\) of the other model; got int 3"):
        sy.proportion(3, 5, baseline=3)
