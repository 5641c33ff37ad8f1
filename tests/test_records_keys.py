"""Ids and clusters of several columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from steelyard import cli, records
from steelyard.errors import RecordError
from steelyard.records.keys import _joined

ROWS: list[dict[str, Any]] = [
    {"subject": s, "number": n, "at": {"page": n % 2}, "correct": n % 2} for s in ("art, old", "law") for n in (1, 2, 3)
]


def put(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_several_columns_are_one_id(tmp_path: Path) -> None:
    paths = [put(tmp_path / "a.jsonl", ROWS), put(tmp_path / "b.jsonl", ROWS[::-1])]
    runs = records.read(paths, id="subject,number")
    expected = ['"art, old",1', '"art, old",2', '"art, old",3', "law,1", "law,2", "law,3"]
    assert runs["a"].ids.tolist() == expected
    assert runs.scores().ids.tolist() == expected
    assert runs.guesses == ("score = correct",)
    assert records.read(paths, id=" subject , number ")["a"].ids.tolist() == expected
    with pytest.raises(RecordError, match="each id once"):
        records.read(paths, id="number")
    result = CliRunner().invoke(cli.app, ["compare", *map(str, paths), "--id", "subject,number", "--fail-on", "never"])
    assert result.exit_code == 0, result.output


def test_several_columns_are_one_cluster(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", ROWS)
    run = records.read(path, id="subject,number", cluster="subject,at.page")["a"]
    assert run.cluster.tolist() == [f"{s},{n % 2}" for s in ('"art, old"', "law") for n in (1, 2, 3)]
    rows = [*ROWS, {"subject": "law", "number": 4, "correct": 1}]
    with pytest.raises(RecordError, match=r"line 7: cluster 'subject,at.page': expected a value in every row"):
        records.read(put(path, rows), id="subject,number", cluster="subject,at.page")


def test_a_record_without_a_part_has_no_id(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", [*ROWS, {"subject": "law", "number": None, "correct": 1}])
    runs = records.read(path, id="subject,number")
    assert runs.left_out == {str(path): {"no id": 1}}


def test_a_column_with_a_comma_in_its_name_is_that_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"a,b",a,b,correct\n1,x,y,1\n2,x,y,0\n')
    assert records.read(path, id="a,b")["a"].ids.tolist() == ["1", "2"]
    assert records.read(path, id="a,b", cluster="a,correct")["a"].cluster.tolist() == ["x,1", "x,0"]


def test_a_part_that_is_no_column_is_named(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(RecordError, match=r"expected a column 'nummer' for id='subject,nummer'; got .*'number'"):
        records.read(path, id="subject,nummer")
    with pytest.raises(RecordError, match=r"expected a column '' for cluster='subject,'"):
        records.read(path, id="number", cluster="subject,")
    result = CliRunner().invoke(cli.app, ["report", str(path), "--id", "subject,nummer"])
    assert result.exit_code == 2
    assert "for --id subject,nummer;" in result.stderr


def test_a_wide_file_with_a_key_of_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("s,n,base,new\nx,1,1,0\nx,2,0,1\ny,1,1,1\n")
    runs = records.read(path, id="s,n")
    assert runs.names == ("base", "new")
    assert runs["new"].ids.tolist() == ["x,1", "x,2", "y,1"]


def test_a_key_with_the_task_does_not_have_it_twice(tmp_path: Path) -> None:
    rows = [{"task": t, "id": i, "correct": 1} for t in "xy" for i in range(2)]
    run = records.read(put(tmp_path / "a.jsonl", rows), id="task,id")["a"]
    assert run.ids.tolist() == ["x,0", "x,1", "y,0", "y,1"]


@given(st.lists(st.text(alphabet='a,"', min_size=1, max_size=4), min_size=2, max_size=3).map(tuple), st.data())
def test_no_two_keys_look_alike(one: tuple[str, ...], data: st.DataObject) -> None:
    text = st.text(alphabet='a,"', min_size=1, max_size=4)
    other = data.draw(st.lists(text, min_size=len(one), max_size=len(one)).map(tuple))
    assert (_joined(one) == _joined(other)) == (one == other)
