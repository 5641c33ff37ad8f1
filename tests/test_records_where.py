"""Conditions on records: the language, what is equal, what is left out and counted, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from steelyard import cli, records
from steelyard.errors import RecordError
from steelyard.records.where import conditions

ROWS: list[dict[str, Any]] = [
    {"id": 0, "correct": 1, "split": "test", "n": 5, "ok": True, "my col": "a and b"},
    {"id": 1, "correct": 0, "split": " test ", "n": 50, "ok": False, "my col": "c"},
    {"id": 2, "correct": 1, "split": "valid", "n": 500, "ok": 1, "my col": "c"},
    {"id": 3, "correct": 1, "split": "valid", "n": "7.0", "ok": "1.0"},
    {"id": 4, "correct": 0, "split": None, "n": None, "ok": None},
]


def put(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return put(tmp_path / "a.jsonl", ROWS)


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("split==test", "01"),
        (" split == 'test' ", "01"),
        ("split!=test", "23"),
        ("n<50", "03"),
        ("n<=50", "013"),
        ("n>5e1", "2"),
        ("n>=50", "12"),
        ("n==7", "3"),
        ("ok==true", "023"),
        ("ok==1", "023"),
        ("ok!=True", "1"),
        ("split==test and n<50", "0"),
        ("split==test AND n<50", "0"),
        (["split==test", "n<50"], "0"),
        ('"my col"==c', "12"),
        ("my col=='a and b'", "0"),
        ("my col!=c", "0"),
        ("split==test and my col=='a and b' and id!=3", "0"),
        ([], "01234"),
    ],
)
def test_conditions(path: Path, where: Any, ids: str) -> None:
    runs = records.read(path, where=where)
    assert runs["a"].ids.tolist() == list(ids)
    assert runs.read == {str(path): 5}
    assert sum(runs.left_out.get(str(path), {}).values()) == 5 - len(ids)


def test_what_is_left_out_is_counted_by_its_reason(path: Path) -> None:
    said = {"without split": 1, "where split is not test": 2}
    assert records.read(path, where="split==test").left_out == {str(path): said}
    said = {"without split": 1, "where split is valid": 2, "where n is not < 50": 1}
    assert records.read(path, where="split!=valid and n<50").left_out == {str(path): said}
    result = CliRunner().invoke(cli.app, ["report", str(path), "--where", "split==test", "--where", "n<50"])
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "2 where split is not test" in text
    assert "1 where n is not < 50" in text


def test_every_format(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": i % 2, "split": "ab"[i % 2], "n": i / 2} for i in range(6)]
    files = [put(tmp_path / "a.jsonl", rows), tmp_path / "b.json", tmp_path / "c.csv", tmp_path / "d.parquet"]
    files[1].write_text(json.dumps(rows))
    files[2].write_text(
        "id,correct,split,n\n" + "".join(f"{r['id']},{r['correct']},{r['split']},{r['n']}\n" for r in rows)
    )
    pq.write_table(pa.Table.from_pylist(rows), files[3])
    for run in records.read(files, where="split==b and n>=1.5"):
        assert run.ids.tolist() == ["3", "5"]
        assert run.score.tolist() == [1, 1]
        assert run.column("n").astype(float).tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "where: expected a column, one of == != <= >= < > and a value, as in 'split==test'; got ''"),
        ("split", "got 'split'"),
        ("split=test", "got 'split=test'"),
        ("==test", "got '==test'"),
        ("split==a==b", "got 'split==a==b'"),
        ("my col==a and b", "got 'b'; several are joined by 'and'; put a name or a value"),
        ("split==", "a value after split==; got ''"),
        ("n<many", "where: expected a number after <; got 'many'"),
        ("split==test or n<3", "got"),
    ],
)
def test_conditions_that_cannot_be_read(path: Path, where: str, said: str) -> None:
    with pytest.raises(ValueError, match="where: expected") as caught:
        records.read(path, where=where)
    assert said in str(caught.value)


def test_columns_and_values_that_are_not_there(path: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"expected a column 'splits' for where=; got the columns 'split'"):
        records.read(path, where="splits==test")
    with pytest.raises(RecordError, match=r"records where split==dev; got none, since 'split' is 'test', 'valid'"):
        records.read(path, where="split==dev")
    with pytest.raises(RecordError, match=r"a.jsonl, line 1: 'split': expected a number.*compare it with == or !="):
        records.read(path, where="split<3")
    with pytest.raises(TypeError, match=r"where: expected conditions such as 'split==test'; got 3"):
        records.read(path, where=3)  # type: ignore[arg-type]
    lists = put(tmp_path / "l.jsonl", [{"id": 1, "correct": 1, "tags": ["a"]}])
    with pytest.raises(RecordError, match=r"one value per record in 'tags'; got lists"):
        records.read(lists, where="tags==a")


def test_a_file_of_which_nothing_is_left_is_counted(path: Path, tmp_path: Path) -> None:
    other = put(tmp_path / "b.jsonl", [{"id": 0, "correct": 1, "split": "valid"}])
    runs = records.read([path, other], where="split==test")
    assert runs.names == ("a",)
    assert runs.read == {str(path): 5, str(other): 1}
    assert runs.left_out[str(other)] == {"where split is not test": 1}
    assert f"{other}: no record is left by where=" in runs.notes


def test_guesses_see_the_records_that_are_left_alone(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": i % 2 if i < 4 else "n/k", "confidence": 0.5 if i < 4 else 7} for i in range(6)]
    path = put(tmp_path / "a.jsonl", rows)
    with pytest.raises(RecordError):
        records.read(path)
    run = records.read(path, where="id<4")["a"]
    assert run.score.tolist() == [0, 1, 0, 1]
    assert run.confidence.tolist() == [0.5] * 4


def test_row_numbers_are_those_of_all_records(tmp_path: Path) -> None:
    a = put(tmp_path / "a.jsonl", [{"correct": 1, "sure": s} for s in (1, 0, 1, 1)])
    b = put(tmp_path / "b.jsonl", [{"correct": 0, "sure": s} for s in (0, 1, 1, 1)])
    runs = records.read([a, b], id="row", where="sure==1")
    assert runs["a"].ids.tolist() == ["1", "3", "4"]
    assert runs["b"].ids.tolist() == ["2", "3", "4"]
    many = put(tmp_path / "m.jsonl", [{"correct": 1, "model": m, "sure": s} for m in "xy" for s in (1, 0)])
    with pytest.raises(RecordError, match="a column for id= where where= selects rows of several models"):
        records.read(many, id="row", where="sure==1")


@given(st.text(max_size=30), st.sampled_from(["==", "!=", "<", ">=", " and ", "'", '"', "="]), st.text(max_size=30))
def test_any_text_is_conditions_or_a_sentence(before: str, mark: str, after: str) -> None:
    said = "where: expected"
    try:
        found = conditions(before + mark + after)
    except ValueError as error:
        found, said = (), str(error)
    assert said.startswith("where: expected")
    assert all(one.column and one.value for one in found)


@pytest.mark.parametrize("verb", ["report", "compare", "plan"])
def test_every_command_selects(tmp_path: Path, verb: str) -> None:
    rows = [
        {"id": i, "correct": (i + k) % 3 > 0, "model": m, "part": i % 2} for k, m in enumerate("ab") for i in range(40)
    ]
    path = put(tmp_path / "a.jsonl", rows)
    asked = [verb, str(path), "--baseline", "a", *(["--fail-on", "never"] if verb == "compare" else [])]
    said = [
        CliRunner().invoke(cli.app, [*asked, *more]) for more in ([], ["--where", "part==1"], ["--where", "part==2"])
    ]
    assert [one.exit_code for one in said] == [0, 0, 2], said[1].output
    assert said[0].stdout != said[1].stdout
    assert "--where" in said[2].stderr
