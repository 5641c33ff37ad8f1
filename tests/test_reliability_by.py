"""The keyword `by=` of `reliability`: one result for each group of rows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import steelyard as sy

RNG = np.random.Generator(np.random.Philox(3))
P = RNG.random(300)
Y = RNG.random(300) < P**1.5
BY = np.array(["law", "math", "art"])[RNG.integers(0, 3, 300)]
USERS = np.arange(300) // 4
ESTIMATES = ("ece", "rmsce", "mce", "gap", "frequency")


def alone(e: sy.Estimate) -> sy.Estimate:
    return replace(e, detail={key: v for key, v in e.detail.items() if not key.startswith("simultaneous")})


@pytest.mark.parametrize("words", [{}, {"clusters": USERS}, {"weights": P + 0.5}, {"where": USERS % 5 > 0}])
def test_each_group_is_the_calibration_of_its_rows(words: Any) -> None:
    found = sy.reliability(P, Y, by=BY, n_bins=5, **words)
    assert list(found) == ["art", "law", "math"]
    for name, got in found.items():
        mine = name == BY
        own = {word: value[mine] for word, value in words.items()}
        want = sy.reliability(P[mine], Y[mine], n_bins=5, **own)
        strict = sy.reliability(P[mine], Y[mine], n_bins=5, confidence_level=1 - 0.05 / 3, **own)
        for of in ESTIMATES:
            assert alone(getattr(got, of)) == getattr(want, of)
            assert getattr(got, of).detail["simultaneous_high"] == getattr(strict, of).high
        assert got.table["count"].tolist() == want.table["count"].tolist()
        assert (got.noise_floor, got.left_out, got.n_clusters) == (want.noise_floor, want.left_out, want.n_clusters)
        assert got.verdict() == want.verdict()


def test_one_group_is_all_rows() -> None:
    assert sy.reliability(P, Y, by=["all"] * 300) == {"all": sy.reliability(P, Y)}


def test_rows_without_a_group_and_with_a_nan_are_counted() -> None:
    by: Any = [None if i == 4 else name for i, name in enumerate(BY)]
    p = np.where(np.arange(300) == 7, np.nan, P)
    found = sy.reliability(p, Y, by=by, nan_policy="omit", where=np.arange(300) != 9)
    for name, got in found.items():
        mine = name == BY
        assert got.left_out.get("no group") == 1
        assert got.left_out.get("nan", 0) == mine[7]
        assert got.left_out.get("where", 0) == mine[9]
        assert got.ece.left_out == got.left_out
    assert sum(got.n for got in found.values()) == 297


@pytest.mark.parametrize(
    ("message", "by"),
    [("by: expected one id per row, shape (300,)", BY[:9]), ("by: expected an id for every row", [None, *BY[1:]])],
)
def test_what_is_refused(message: str, by: Any) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        sy.reliability(P, Y, by=by)
