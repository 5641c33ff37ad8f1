"""The table of roles, and what is written out for each role beside it: keywords, fields, options, docstrings."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard import cli, records
from steelyard.errors import RecordError
from steelyard.records.roles import NUMBERS, ROLES, TEXTS

each_role = pytest.mark.parametrize("name", ROLES)


def keywords(call: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(call).parameters)


def entry(name: str) -> str:
    """What the docstring of ``records.read`` says of a keyword."""
    found = re.search(rf"^    {name}\n((?:        .*\n)+)", records.read.__doc__ or "", re.MULTILINE)
    assert found, name
    return found[1]


def test_read_has_a_keyword_for_each_role_in_the_order_of_the_table() -> None:
    assert [name for name in keywords(records.read) if name in ROLES] == list(ROLES)
    assert {(keywords(records.read)[name].annotation, keywords(records.read)[name].default) for name in ROLES} == {
        ("str | None", None)
    }


@each_role
def test_the_docstring_tells_which_columns_are_guessed(name: str) -> None:
    told = re.findall(r"``(\w+)``", entry(name).partition("Guessed")[2])
    assert [column for column in told if column in ROLES[name].usual] == list(ROLES[name].usual)


def test_commands_have_an_option_for_each_role_that_they_use() -> None:
    assert [name for name in keywords(cli.report_command) if name in ROLES] == list(ROLES)
    compared = [name for name in keywords(cli.compare) if name in ROLES]
    assert compared == [role.name for role in ROLES.values() if role.only_for != "calibration"]
    assert "confidence" not in compared


@each_role
def test_the_help_says_what_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["report", "--help"]) == 0
    assert f"{ROLES[name].option} COLUMN {ROLES[name].help}" in re.sub(r"[\s│]+", " ", capsys.readouterr().out)


def test_a_run_has_a_field_for_each_role() -> None:
    held = {role.name for role in (*NUMBERS, *TEXTS)}
    assert held <= {field.name for field in fields(records.Run)}
    assert held == {role.name for role in ROLES.values() if role.kind != "special"}


def values(name: str) -> list[Any]:
    """Three values that a column of the role may hold."""
    if ROLES[name].kind == "number" or name == "score":
        return [next(x for x in (1.0, -1.0) if ROLES[name].allowed(np.array([x])).all())] * 3
    return ["a", "b", "c"]


@each_role
@pytest.mark.parametrize("named", [False, True], ids=["guessed", "named"])
def test_its_column_is_found(tmp_path: Path, name: str, named: bool) -> None:
    """By a usual name; whatever its name, by the keyword and by the option."""
    role = ROLES[name]
    column = "its column" if named else role.usual[0]
    path = tmp_path / "a.jsonl"
    beside = {role.beside: -1.0} if role.beside else {}
    rows = [{"id": i, "correct": 1} | beside | {column: value} for i, value in enumerate(values(name))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs = records.read(path, **({name: column} if named else {}))
    assert (f"{name} = {column}" in runs.guesses) is not named
    if role.kind != "special":
        assert getattr(runs["a"], name).tolist() == values(name)
        assert cli.run(["report", *([role.option, column] if named else []), "--", str(path)]) == 0


@each_role
def test_a_column_that_is_not_there_is_asked_for_by_the_name_of_the_role(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "correct": 1}\n')
    with pytest.raises(RecordError, match=f"a column 'absent' for {name}="):
        records.read(path, **{name: "absent"})
    assert cli.run(["report", ROLES[name].option, "absent", str(path)]) == 2
    assert f"a column 'absent' for {ROLES[name].option};" in capsys.readouterr().err


@pytest.mark.parametrize("role", NUMBERS, ids=lambda role: role.name)
def test_a_number_that_is_not_allowed_is_refused_with_its_words(tmp_path: Path, role: Any) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"id": 1, "correct": 1, "x": 1e300, "loglikelihood": -1.0}) + "\n")
    with pytest.raises(ValueError, match=f"line 1: {role.name} 'x': expected {role.expected}; got 1e\\+300; "):
        records.read(path, **{role.name: "x"})
