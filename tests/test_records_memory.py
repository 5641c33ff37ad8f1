"""Dictionaries inside records cost what they hold, however their keys vary."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard import records
from steelyard.errors import RecordError
from steelyard.records.builder import TableBuilder

from .test_records_answers import lines

Row = dict[str, Any]
SHAPES: dict[str, Callable[[], Iterator[Row]]] = {
    "three keys of their own a record": lambda: ({"votes": {f"a {i * 3 + j}": 1 for j in range(3)}} for i in range(6000)),
    "three of many keys a record": lambda: ({"votes": {f"a {(i * 3 + j) % 9000}": 1 for j in range(3)}} for i in range(9000)),
    "at several depths": lambda: ({"r": {f"q{i}": {"a": {"x": 1, f"y{i}": {"z": 2}}}}} for i in range(5000)),
    "a dictionary of its own a record": lambda: ({"r": {f"q{i}": {"x": {"y": {}}}}} for i in range(20_000)),
    "top keys of their own": lambda: ({f"key {i}": 1} for i in range(6000)),
    "two dictionaries": lambda: ({"f": {f"k{i % 6000}": 1}, "g": {f"k{i % 6000}": 1}} for i in range(8000)),
    "dense and then sparse": lambda: ({"f": {f"k{j}": 1 for j in range(400)} if i < 40 else {f"k{i % 400}": 2}} for i in range(12_000)),
    "sparse and then dense": lambda: ({"f": {f"k{j}": 1 for j in range(300)} if i > 9900 else {f"k{i % 300}": 2}} for i in range(10_000)),
    "wide and dense": lambda: ({"f": {f"k{j}": i * j for j in range(400)}} for i in range(400)),
    "lists": lambda: ({"f": {f"k{i}": [1, 2]}} for i in range(6000)),
    "nulls": lambda: ({"f": {f"k{i}": None}} for i in range(6000)),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_costs_a_small_multiple_of_its_size(tmp_path: Path, shape: str) -> None:
    rows = [{"id": i, "correct": i % 2} | row for i, row in enumerate(SHAPES[shape]())]
    path = lines(tmp_path / "a.jsonl", rows)
    n = len(rows)
    del rows
    tracemalloc.start()
    try:
        runs = records.read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(runs["a"]) == n
    assert peak < 20 * path.stat().st_size + 6_000_000, f"{peak:,} bytes for a file of {path.stat().st_size:,}"


def test_dictionaries_with_ever_new_keys_are_not_opened(tmp_path: Path) -> None:
    rows = [
        {"id": i, "correct": i % 3 > 0, "meta": {"topic": f"t{i % 7}", "votes": {f"a {i * 3 + j}": 1 for j in range(3)}}}
        for i in range(4000)
    ]  # fmt: skip
    path = lines(tmp_path / "sparse.jsonl", rows)
    runs = records.read(path, cluster="meta.topic")
    assert runs.left_out == {str(path): {"dictionaries 'meta.votes' of too many different keys": 4000}}
    assert len(runs.runs[0]._parts[0].table.columns) == 3
    (run,) = records.read(path, score="meta.votes.a 11998")  # a key that is asked for is kept
    assert run.score.tolist() == [1.0]
    assert run.left_out == {"no score": 3999}


def test_a_dictionary_that_is_asked_for_is_kept_inside_a_closed_one(tmp_path: Path) -> None:
    rows = [{"r": {f"q{i}": {"x": {"y": i % 2}}}} for i in range(12_000)]
    (run,) = records.read(lines(tmp_path / "a.jsonl", rows), score="r.q11999.x.y")
    assert run.score.tolist() == [1.0]


def test_too_many_keys_of_the_records_themselves_are_refused(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"correct": 1, f"key {i}": 1} for i in range(10_001)])
    with pytest.raises(RecordError, match=r"line 10000: expected records that share their keys, at most 10,000 differ"):
        records.read(path)


@given(
    cells=st.lists(
        st.tuples(st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), max_size=2), st.integers(0, 300)),
        max_size=60,
    ),
    before=st.integers(0, 900),
)
def test_a_column_is_the_same_list_however_it_was_kept(cells: list[tuple[dict[str, int], int]], before: int) -> None:
    rows = [{"d": i} for i in range(before)]
    for row, gap in cells:
        rows += [row, *[{}] * gap]
    builder = TableBuilder("x")
    for line, row in enumerate(rows, 1):
        builder.append({"in": row}, line)
    table = builder.finish()
    for key in {key for row in rows for key in row}:
        expected = [row.get(key) for row in rows]
        assert table.columns[f"in.{key}"] == expected
        assert table.kind(f"in.{key}") == "scalar"
