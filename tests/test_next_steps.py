"""What a refusal tells to do next: the likely columns, names that are near, and what to type; guesses in any case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from steelyard import cli, records
from steelyard.errors import RecordError

from .test_records_answers import FORMATS, lines, write


def refusal(capsys: pytest.CaptureFixture[str], *words: Any) -> str:
    assert cli.run([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1), err
    return str(err)


# ---- names in upper and lower case


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("id", "score"), [("ID", "Correct"), ("Id", "IS_CORRECT"), ("Question_ID", "Is_Correct"), ("iD", "Acc")]
)
def test_names_are_guessed_in_any_case(tmp_path: Path, kind: str, id: str, score: str) -> None:
    rows = [{id: i, "Model": "ab"[i % 2], score: i % 3 > 0, "Confidence": 0.5} for i in range(6)]
    runs = records.read(write(tmp_path / f"a.{kind}", rows))
    assert runs.names == ("a", "b")
    assert set(runs.guesses) == {"model = Model", f"id = {id}", f"score = {score}", "confidence = Confidence"}


@pytest.mark.parametrize(
    ("row", "score"),
    [
        ({"Correct": 1, "correct": 0}, "correct"),
        ({"Acc": 1, "correct": 0}, "correct"),  # as it is written before any other
        ({"Target": "x", "Prediction": "x"}, "Target==Prediction"),
        ({"Target": "x", "Prediction": "x", "target": "y", "prediction": "x"}, "target==prediction"),
        ({"Out": {"Correct": 1}}, "Out.Correct"),
        ({"Out": {"Correct": 1}, "out": {"correct": 0}}, "out.correct"),
    ],
)
def test_the_usual_spelling_is_taken_first(tmp_path: Path, row: dict[str, Any], score: str) -> None:
    runs = records.read(lines(tmp_path / "a.jsonl", [{"id": i} | row for i in range(3)]))
    assert f"score = {score}" in runs.guesses


def test_two_spellings_are_asked_about(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": i, "Correct": 1, "CORRECT": 0} for i in range(3)])
    with pytest.raises(RecordError, match="one column that can be the score; got 2: 'Correct', 'CORRECT'"):
        records.read(path)


def test_models_side_by_side_in_any_case(tmp_path: Path) -> None:
    rows = [{"id": i, "a": {"Correct": 1, "Confidence": 0.5}, "b": {"Correct": 0, "Confidence": 0.5}} for i in range(3)]
    runs = records.read(lines(tmp_path / "a.jsonl", rows))
    assert {run.name: (run.score[0], run.confidence[0]) for run in runs} == {"a": (1, 0.5), "b": (0, 0.5)}


def test_a_correct_option_in_another_case_is_no_score(tmp_path: Path) -> None:
    rows = [{"id": i, "Correct": i % 4, "Target": i % 4, "Prediction": i % 3} for i in range(12)]
    runs = records.read(lines(tmp_path / "a.jsonl", rows))
    assert "score = Target==Prediction" in runs.guesses


# ---- names that are near


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("corect", "correct"),
        ("CORRECT", "correct"),
        ("metric.em", "metrics.em"),
        ("metrics", "metrics.em"),
        ("exact", "exact_match_strict"),
    ],
)
def test_a_column_that_is_not_there_is_looked_for_among_its_like(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: str, near: str
) -> None:
    rows = [{"id": i, "correct": 1, "metrics": {"em": 1}, "exact_match_strict": 1, "zz": 1} for i in range(3)]
    path = lines(tmp_path / "a.jsonl", rows)
    wrong = f"expected a column {asked!r} for score=; got the columns "
    with pytest.raises(RecordError, match=re.escape(wrong) + rf".*; did you mean score='{near}'\?$"):
        records.read(path, score=asked)
    assert refusal(capsys, "report", path, "--score", asked).endswith(f"; did you mean --score {near}?\n")
    assert cli.run(["report", str(path), "--score", near]) == 0


def test_one_side_of_a_comparison_is_looked_for_too(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": 1, "target": "x", "answer": "x"}])
    with pytest.raises(RecordError, match=r"a column 'anwser' for score=.*did you mean 'answer'\?"):
        records.read(path, score="target==anwser")


def test_a_name_without_any_like_it_gets_the_columns(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": 1, "correct": 1}])
    with pytest.raises(RecordError, match="got the columns 'id', 'correct'; name one of them"):
        records.read(path, score="qqqq")


def test_a_model_that_is_not_there_is_looked_for_among_its_like(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": i, "model": m, "correct": 1} for m in ("gpt-4o", "claude-sonnet") for i in range(3)]
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(ValueError, match=r"models: expected some of .*; got 'GPT-4o'; did you mean 'gpt-4o'\?"):
        records.read(path, models=["GPT-4o"])
    said = refusal(capsys, "report", path, "--baseline", "claude-sonet")
    assert said.endswith("; did you mean --baseline claude-sonnet?\n")


def test_a_filter_that_is_not_there_is_looked_for_among_its_like(tmp_path: Path) -> None:
    rows = [
        {"doc_id": i, "doc_hash": "x", "exact_match": 1, "filter": f}
        for f in ("strict-match", "none")
        for i in range(2)
    ]
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(
        RecordError, match=r"with filter 'strict'; got none, strict-match; did you mean filter='strict-match'\?"
    ):
        records.read(path, filter="strict")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "a.jsonl", "--scoer", "x"], "--score"),
        (["report", "a.jsonl", "--baselin", "x"], "--baseline"),
        (["repot", "a.jsonl"], "report"),
        (["a.jsonl"], "steelyard report a.jsonl"),
        (["a.jsonl", "b.jsonl", "--html", "x"], "steelyard report a.jsonl b.jsonl --html x"),
        (["--html", "x", "a.jsonl"], "steelyard report --html x a.jsonl"),
    ],
)
def test_commands_and_options_are_looked_for_among_their_like(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        lines(tmp_path / f"{name}.jsonl", [{"id": 1, "correct": 1}])
    assert re.search(rf"(?i)(did you mean|possible options).*{re.escape(said)}", refusal(capsys, *words))


# ---- the likely columns


@pytest.mark.parametrize(
    ("row", "typed"),
    [
        ({"passed": [True, False], "seconds": [1.5, 2.5]}, "score='passed' (true or false)"),
        ({"isRight": ["yes", "no"], "n": [1, 2]}, "score='isRight' (no, yes)"),
        ({"judge_rating": [7, 3], "cost": [0.1, 0.2]}, "score='judge_rating' (3 to 7)"),
        ({"quality": [0.5, 0.25]}, "score='quality' (0.25 to 0.5)"),
        ({"opinion": ["good", "bad"]}, "score='opinion', values='good=1,bad=0'"),
        ({"verdict": ["a", "b"]}, "score='verdict', values='a=NUMBER,b=NUMBER'"),
        ({"grade": ["A", "C"]}, "score='grade', values='A=NUMBER,C=NUMBER'"),
        ({"winner": ["model_a", "tie"]}, "score='winner', values='tie=0.5,model_a=NUMBER'"),
        ({"mae": [1.5, float("inf")]}, "score='mae', values='inf=NUMBER' (1.5 to 1.5)"),
        ({"rating": [3, 7], "judge": ["gpt-4", "gpt-4"], "turn": [1, 1]}, "score='rating' (3 to 7), or"),
        ({"answer_relevancy": [0.5, 0.75], "response": ["x", "y"]}, "score='answer_relevancy' (0.5 to 0.75), or"),
        ({"passed": [True, False], "result": ["passed", "failed: x"]}, "score='passed' (true or false), or"),
        (
            {"category": ["x", "y"], "object_response": ["x", "z"], "condition": [0, 0]},
            "score='category==object_response'",
        ),
        ({"gold": ["x", "y"], "reply": ["x", "z"]}, "score='gold==reply' to compare two"),
        ({"pass_rate": ["10%", "95%"]}, "score='pass_rate' (0.1 to 0.95)"),
        ({"wer": [3, 7], "graded": [1, 0]}, "score='graded' (0 or 1) or score='wer' (3 to 7)"),
    ],
)
def test_likely_columns_are_named_with_what_to_type(tmp_path: Path, row: dict[str, list[Any]], typed: str) -> None:
    rows = [{"question": f"text {i}"} | {name: values[i % 2] for name, values in row.items()} for i in range(6)]
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(RecordError, match=f"; likely {re.escape(typed)}"):
        records.read(path)


@pytest.mark.parametrize(
    "row",
    [
        {"label": 1}, {"answer": "yes"}, {"tokens": 0.5}, {"latency_ms": 1.5}, {"is_wrong": True}, {"year": 2020},
        {"text": "pass"} | {"more": "x"}, {"seed": 0}, {"prediction": 1},
    ],
    ids=str,
)  # fmt: skip
def test_columns_that_are_no_scores_are_not_called_likely(tmp_path: Path, row: dict[str, Any]) -> None:
    rows = [
        {"question": f"text {i}"} | {k: (f"{v} {i}" if k in ("text", "more") else v) for k, v in row.items()}
        for i in range(6)
    ]
    with pytest.raises(RecordError, match="expected a score column") as error:
        records.read(lines(tmp_path / "a.jsonl", rows))
    assert "likely" not in str(error.value)


@pytest.mark.parametrize("column", ["mae", "is_wrong", "metrics.wer", "word_error_rate"])
def test_losses_are_told_with_the_option_that_turns_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], column: str
) -> None:
    """A loss is never guessed to be a metric: more of it would be called better."""
    rows = [{"id": i, column: [0, 1, 0.25][i % (2 if column == "is_wrong" else 3)]} for i in range(20)]
    path = lines(tmp_path / "a.jsonl", rows)
    assert f"likely --score {column} --lower-is-better (0 " in refusal(capsys, "report", path)
    with pytest.raises(RecordError, match=rf"likely score='{column}' \(0 "):
        records.read(path)


def test_what_is_typed_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that a refusal tells is typed into a shell as it stands."""
    import shlex

    rows = [{"id": i, "my verdict": "good" if i % 3 else "not bad"} for i in range(20)]
    path = lines(tmp_path / "a.jsonl", rows)
    said = refusal(capsys, "report", path)
    told = re.search(r"likely (--score .*?), or", said)
    assert told, said
    words = shlex.split(told[1].replace("NUMBER", "0"))
    assert cli.run(["report", str(path), *words]) == 0


def test_ids_are_likely_where_they_are_all_different(tmp_path: Path) -> None:
    paths = [
        lines(
            tmp_path / f"{m}.jsonl", [{"prompt": f"p{i}", "kind": "x", "seen": i / 7, "correct": 1} for i in range(9)]
        )
        for m in "ab"
    ]
    runs = records.read(paths)
    with pytest.raises(
        RecordError, match=r"an id column to match 'a' by; got none; likely id='prompt'; or pass id='row' if"
    ):
        runs.scores()
    assert len(records.read(paths, id="prompt").scores().ids) == 9


def test_files_of_different_scores_are_told_what_they_share(tmp_path: Path) -> None:
    a = lines(tmp_path / "a.jsonl", [{"id": i, "acc": 1, "grade": 0.5} for i in range(3)])
    b = lines(tmp_path / "b.jsonl", [{"id": i, "exact_match": 1, "grade": 0.5} for i in range(3)])
    with pytest.raises(RecordError, match=r"the same score column in every file; got .*; all have score='grade'"):
        records.read([a, b])


# ---- published files


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b'id,acc\n1,"x"y\n'),
        ("a.csv", b"id,acc\n1,2,3\n"),
        ("a.jsonl", b'{"id": 1, "acc": 1}\nno json\n'),
        ("a.json", b'{\n "id": 1,\n oops}\n'),
        ("a.jsonl", b'{"id": 1, "acc": Infinity}\n'),
        ("a.jsonl", b'{"id": 1, "acc": "perhaps"}\n'),
        ("a.jsonl", b'{"id": 1, "acc": 1, "loglikelihood": -1, "n_tokens": "many"}\n'),
    ],
)
@pytest.mark.parametrize("option", [[], ["--n-tokens", "n_tokens"]])
def test_nobody_is_told_to_correct_a_file_of_somebody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, option: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    cli.run(["report", str(path), *option])
    assert "correct the" not in capsys.readouterr().err


def test_no_message_says_to_correct_something() -> None:
    for package in ("records", "cli", "report"):
        for file in (Path(cli.__file__).parents[1] / package).rglob("*.py"):
            assert not re.search(r"[\"';,] ?correct (the|a) ", file.read_text("utf-8")), file
