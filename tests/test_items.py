"""The rows that flipped: ``compare(...).items`` against a plain loop over the rows."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.reference import intervals as reference


def expected(new: Sequence[float], base: Sequence[float], higher: bool = True) -> list[tuple[int, float, float]]:
    """The rows that differ, by a loop: losses first, the largest first, equal ones in the order of the data."""
    rows = [(i, a, b) for i, (a, b) in enumerate(zip(new, base, strict=True)) if a != b]
    sign = 1 if higher else -1
    losses = sorted((row for row in rows if sign * (row[1] - row[2]) < 0), key=lambda row: -abs(row[1] - row[2]))
    wins = sorted((row for row in rows if sign * (row[1] - row[2]) > 0), key=lambda row: -abs(row[1] - row[2]))
    return losses + wins


def rows_of(items: dict[str, Any] | None) -> list[tuple[Any, ...]]:
    assert items is not None
    assert np.array_equal(items["difference"], items["new"] - items["baseline"])
    return list(zip(items["index"].tolist(), items["new"].tolist(), items["baseline"].tolist(), strict=True))


@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("n", [1, 7, 500, 70_000, 200_001])
def test_items_are_those_of_a_loop(n: int, higher: bool) -> None:
    rng = np.random.default_rng(n)
    for new, base in (
        (rng.random(n) < 0.5, rng.random(n) < 0.4),
        (rng.integers(0, 5, n) / 4, rng.integers(0, 5, n) / 4),
        (rng.standard_normal(n), np.where(rng.random(n) < 0.5, rng.standard_normal(n), 0.0)),
    ):
        diff = sy.compare(new, baseline=base, higher_is_better=higher)
        a, b = new.astype(float).tolist(), base.astype(float).tolist()
        assert rows_of(diff.items) == expected(a, b, higher)
        assert len(diff.items["index"]) == diff.wins + diff.losses


@pytest.mark.parametrize(("kinds", "coarse"), [(("f8", "f4"), "f4"), (("f4", "f8"), "f4"), (("f2", "f8"), "f2")])
def test_rounding_is_a_tie_as_it_is_in_the_counts(kinds: tuple[str, str], coarse: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.random(1000)
    y = np.where(rng.random(1000) < 0.1, x + 0.25, x)
    new, base = x.astype(kinds[0]), y.astype(kinds[1])
    diff = sy.compare(new, baseline=base)
    of = np.finfo(coarse)
    differ = np.flatnonzero(reference.differences(new, base, (float(of.eps), float(of.smallest_subnormal))))
    assert sorted(diff.items["index"].tolist()) == differ.tolist()
    assert len(differ) == diff.wins + diff.losses < 200
    near = sy.compare([0.1 + 0.2, 1.0], baseline=[0.3, 2.0])
    assert near.items["index"].tolist() == [1]


def test_rows_that_do_not_count_are_no_items() -> None:
    new, base = [1.0, 0.0, float("nan"), 1.0], [0.0, 1.0, 1.0, 0.0]
    diff = sy.compare(new, baseline=base, where=[True, True, True, False], nan_policy="omit")
    assert rows_of(diff.items) == [(1, 0.0, 1.0), (0, 1.0, 0.0)]


def test_several_models_follow_one_another() -> None:
    scores = {"a": [1, 0, 1], "b": [0, 1, 1], "c": [1, 1, 0]}
    items = sy.compare(scores, baseline="b").items
    assert list(items) == ["name", "index", "new", "baseline", "difference"]
    assert items["name"].tolist() == ["a", "a", "c", "c"]
    assert items["index"].tolist() == [1, 0, 2, 0]
    table = np.array([[1, 1], [0, 1], [1, 0]])
    assert sy.compare(table, baseline=[0, 1, 1]).items["name"].tolist() == ["0", "0", "1", "1"]
    assert sy.compare(table, baseline=[0, 1, 1]).items["index"].tolist() == [1, 0, 2, 0]
    ties = sy.compare([1, 0], baseline=[1, 0]).items
    assert {column: len(values) for column, values in ties.items()} == dict.fromkeys(ties, 0)


def test_records_keep_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    rows = [
        {"id": f"q{i}", "model": m, "correct": (i * k) % 7 < 3} for m, k in (("base", 1), ("new", 3)) for i in range(30)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    scores = sy.records.read(path).scores()
    items = sy.compare(scores, baseline="base").items
    answers = {(row["id"], row["model"]): float(row["correct"]) for row in rows}
    assert list(items)[:2] == ["name", "id"]
    assert len(items["id"]) > 5
    for one, new, base in zip(items["id"].tolist(), items["new"].tolist(), items["baseline"].tolist(), strict=True):
        assert (new, base) == (answers[one, "new"], answers[one, "base"])
    assert items["difference"].tolist() == sorted(items["difference"].tolist())


def test_scores_that_changed_since_are_an_error() -> None:
    new, base = np.array([1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0])
    diff = sy.compare(new, baseline=base)
    base[1] = 1.0
    with pytest.raises(
        ValueError, match=r"new: expected the scores that were compared; .* 1 wins and 1 losses now, 1 and 0 then"
    ):
        _ = diff.items


def test_items_are_read_only_and_outlive_a_pickle() -> None:
    diff = sy.compare([1, 0, 1, 1], baseline=[0, 1, 1, 1])
    with pytest.raises(ValueError, match="read-only"):
        diff.items["index"][0] = 7
    first = diff.items
    assert diff.items is first
    again = pickle.loads(pickle.dumps(diff))
    assert again == diff
    assert rows_of(again.items) == rows_of(diff.items)
    assert not any(isinstance(value, tuple) and value[:1] == ([1, 0, 1, 1],) for value in vars(again).values())
