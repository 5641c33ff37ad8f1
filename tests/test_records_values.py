"""Words that are scores: ``values=``, the known sets, percentages, and what is asked instead of guessed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from steelyard import cli, records
from steelyard.errors import RecordError
from steelyard.records.known_words import KNOWN

from .test_records_answers import FORMATS, lines, write


def of(path: Path, column: list[Any], **how: Any) -> records.Runs:
    return records.read(lines(path, [{"id": i, "score": value} for i, value in enumerate(column)]), **how)


# ---- values=


@pytest.mark.parametrize(
    "values", ["C=1,I=0,P=0.5", " C = 1 , I=0,P=.5", {"C": 1, "I": 0, "P": 0.5}, {"C": True, "I": 0, "P": 0.5}]
)
@pytest.mark.parametrize("kind", FORMATS)
def test_words_are_worth_what_the_caller_says(tmp_path: Path, values: Any, kind: str) -> None:
    path = write(tmp_path / f"a.{kind}", [{"id": i, "grade": v} for i, v in enumerate(["C", " I ", "P", "C"])])
    runs = records.read(path, score="grade", values=values)
    assert runs["a"].score.tolist() == [1, 0, 0.5, 1]
    assert not any("values" in said for said in (*runs.guesses, *runs.notes))


def test_numbers_and_nulls_stay_beside_words_that_are_mapped(tmp_path: Path) -> None:
    runs = of(tmp_path / "a.jsonl", ["good", 0.25, True, "0.5", None, "n/a", "bad"], values="good=2,bad=-1")
    assert runs["a"].score.tolist() == [2, 0.25, 1, 0.5, -1]
    assert runs.left_out == {str(tmp_path / "a.jsonl"): {"no score": 2}}


def test_what_is_mapped_is_a_word_whatever_else_it_could_be(tmp_path: Path) -> None:
    """A word for nothing, true and false as text or not, and the numbers that are no scores."""
    values = ["n/a", "True", False, "true", float("inf"), "NaN", 1]
    runs = of(tmp_path / "a.jsonl", values, values="n/a=0.1,True=0,false=1,true=0,inf=0.2,nan=0.3")
    assert runs["a"].score.tolist() == [0.1, 0, 1, 0, 0.2, 0.3, 1]


def test_words_are_compared_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(RecordError, match=r"line 2: 'score': .*got 'c'; .*values='C=1,c=NUMBER'"):
        of(path, ["C", "c"], values="C=1")


def test_a_word_that_is_not_mapped_is_named_with_what_the_file_has(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    wrong = (
        f"{path}, line 3: 'score': expected a number, true or false (null or 'N/A' where there is none); got 'maybe'; "
    )
    wrong += "its words are 'maybe', 'no', 'yes': say what each is worth, as in values='yes=1,no=0,maybe=NUMBER'"
    with pytest.raises(RecordError, match=re.escape(wrong)):
        of(path, ["yes", "no", "maybe"], values="yes=1,no=0")


def test_words_with_commas_and_equals_signs(tmp_path: Path) -> None:
    runs = of(tmp_path / "a.jsonl", ["A, B", "x=y"], values="A, B=1,x=y=0.5")
    assert runs["a"].score.tolist() == [1, 0.5]


@pytest.mark.parametrize(
    ("values", "error", "wrong"),
    [
        ("C", ValueError, "values: expected WORD=NUMBER, separated by commas, such as 'C=1,I=0'; got 'C'"),
        ("", ValueError, "values: expected WORD=NUMBER"),
        ("C=1,I", ValueError, "values: expected WORD=NUMBER"),
        ("C=one", ValueError, "values: expected a finite number for 'C'; got 'one'"),
        ("C=NUMBER", ValueError, "values: expected a finite number for 'C'; got 'NUMBER'"),
        ("C=inf", ValueError, "values: expected a finite number for 'C'; got 'inf'"),
        ({"C": float("nan")}, ValueError, "values: expected a finite number for 'C'; got nan"),
        ({"C": "1"}, TypeError, "values: expected a number for 'C'; got str '1'"),
        ({"C": None}, TypeError, "values: expected a number for 'C'; got None"),
        ({1: 0}, TypeError, "values: expected words; got int 1 among them"),
        (["C"], TypeError, "values: expected a mapping from words to numbers, or text such as 'C=1,I=0'"),
        ({}, ValueError, "values: expected at least one word; got none"),
        ("C=1,C=0", ValueError, "values: expected each word once; got 'C' twice"),
        ("C=1, C =0", ValueError, "values: expected each word once; got 'C' twice"),
        ("=0", ValueError, "values: expected a word before =0; got nothing; pass missing="),
        ("1=0,2=1", ValueError, "values: expected words; got the number '1'; numbers stay as they are"),
    ],
)
def test_values_that_say_nothing(tmp_path: Path, values: Any, error: type[Exception], wrong: str) -> None:
    with pytest.raises(error, match=re.escape(wrong)):
        of(tmp_path / "a.jsonl", ["C", "I"], values=values)


def test_values_without_such_words_are_noted(tmp_path: Path) -> None:
    runs = of(tmp_path / "a.jsonl", [1, 0], values="C=1,I=0")
    assert runs.notes == ("no score is one of the words 'C', 'I' of values=",)


def test_values_and_a_score_of_two_columns_are_refused(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": 1, "target": "C", "prediction": "C"}])
    with pytest.raises(ValueError, match="values: expected a score that is one column; got 'target==prediction'"):
        records.read(path, values="C=1")


def test_the_only_column_of_the_words_is_the_score(tmp_path: Path) -> None:
    rows = [
        {"id": i, "text": f"t{i}", "opinion": v, "target": "x", "prediction": "y"}
        for i, v in enumerate(["good", "bad"])
    ]
    path = lines(tmp_path / "a.jsonl", rows)
    runs = records.read(path, values="good=1,bad=0")
    assert runs["a"].score.tolist() == [1, 0]
    assert "score = opinion" in runs.guesses
    path = lines(tmp_path / "b.jsonl", [row | {"second": "bad"} for row in rows])
    with pytest.raises(
        RecordError,
        match="one column that can be the score; got 2: 'opinion', 'second'; choose with score='opinion' or",
    ):
        records.read(path, values="good=1,bad=0")


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = lines(tmp_path / "a.jsonl", [{"id": i, "verdict": "good" if i % 2 else "bad"} for i in range(20)])
    b = lines(tmp_path / "b.jsonl", [{"id": i, "verdict": "good"} for i in range(20)])
    words = [str(a), str(b), "--score", "verdict"]
    assert cli.run(["report", *words]) == 2
    said = capsys.readouterr().err
    assert "--values good=1,bad=0" in said
    assert cli.run(["report", *words, "--values", "bad=0,good=1"]) == 0
    assert cli.run(["compare", *words, "--values", "bad=0,good=1"]) == 0
    assert cli.run(["compare", *words, "--values", "bad=1,good=0"]) == 1
    capsys.readouterr()
    assert cli.run(["report", *words, "--values", "bad"]) == 2
    assert "--values: expected WORD=NUMBER" in capsys.readouterr().err


# ---- known sets


@pytest.mark.parametrize("known", [row for row in KNOWN if row.guessed], ids=lambda row: "/".join(row.worth))
@pytest.mark.parametrize("kind", FORMATS)
def test_a_column_of_one_known_set_is_read(tmp_path: Path, known: Any, kind: str) -> None:
    words = [*known.worth, *known.worth, next(iter(known.worth))]
    path = write(tmp_path / f"a.{kind}", [{"id": i, "correct": word} for i, word in enumerate(words)])
    runs = records.read(path)
    assert runs["a"].score.tolist() == [known.worth[word] for word in words]
    said = ", ".join(
        f"{word}={known.worth[word]:g}" for word in sorted(known.worth, key=lambda one: (-known.worth[one], one))
    )
    assert runs.guesses == ("id = id", "score = correct", f"values = {said}")


@pytest.mark.parametrize(
    ("values", "scores", "said"),
    [
        (["PASS", "Fail", "pass"], [1, 0, 1], "PASS=1, pass=1, Fail=0"),
        ([" passed ", "FAILED"], [1, 0], "passed=1, FAILED=0"),
        (["Yes", "no", "YES"], [1, 0, 1], "YES=1, Yes=1, no=0"),
        (["t", "F"], [1, 0], "t=1, F=0"),
        (["Correct", "Incorrect"], [1, 0], "Correct=1, Incorrect=0"),
        (["CORRECT", "WRONG"], [1, 0], "CORRECT=1, WRONG=0"),
        (["C", "I", "N", "P"], [1, 0, 0, 0.5], "C=1, P=0.5, I=0, N=0"),
        (["I", None, "I"], [0, 0], "I=0"),
        (["pass", None, "n/a"], [1], "pass=1"),
        (["Y", "n"], [1, 0], "Y=1, n=0"),
    ],
)
def test_known_sets_in_other_cases_and_in_parts(
    tmp_path: Path, values: list[Any], scores: list[float], said: str
) -> None:
    runs = of(tmp_path / "a.jsonl", values)
    assert runs["a"].score.tolist() == scores
    assert f"values = {said}" in runs.guesses


@pytest.mark.parametrize(
    ("column", "values", "typed"),
    [
        ("score", ["P", "N"], "P=0.5,N=0"),  # positive and negative?
        ("score", ["N", "N"], "N=0"),
        ("score", ["c", "i"], "c=NUMBER,i=NUMBER"),
        ("score", ["F", "F"], "F=0"),  # a grade of schools?
        ("grade", ["C", "C"], "C=1"),
        ("score", ["A", "C", "I"], "A=NUMBER,C=NUMBER,I=NUMBER"),
        ("score", ["pass", "correct"], "correct=1,pass=1"),
        ("score", ["yes", "no", "maybe"], "yes=1,no=0,maybe=NUMBER"),
        ("score", ["pass", 1, 0], "pass=1"),
        ("score", ["pass", "True"], "pass=1"),
        ("answer", ["yes", "no"], "yes=1,no=0"),
        ("label", ["T", "F"], "T=1,F=0"),
        ("correct_answer", ["yes", "no"], "yes=1,no=0"),
        ("expected_result", ["yes", "no"], "yes=1,no=0"),
        ("incorrect", ["yes", "no"], "no=NUMBER,yes=NUMBER"),
        ("x", ["C", "I"], "C=1,I=0"),
        ("scores.match.answer", ["C", "I"], "C=1,I=0"),
        ("verdict", ["CORRECT", "INCORRECT", "NOT_ATTEMPTED"], "CORRECT=1,INCORRECT=0,NOT_ATTEMPTED=0"),
        ("status", ["pass", "fail", "timeout"], "pass=1,fail=0,timeout=0"),
    ],
)
def test_what_is_not_sure_is_asked_with_the_words_to_type(
    tmp_path: Path, column: str, values: list[Any], typed: str
) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": i, column: v} for i, v in enumerate(values)])
    with pytest.raises(RecordError, match=re.escape(f"values='{typed}'")) as error:
        records.read(path, score=column)
    assert str(error.value).startswith(f"{path}, line ")
    if "NUMBER" not in typed:
        assert len(records.read(path, score=column, values=typed)["a"]) == len(values)


def test_text_of_many_words_is_no_grade(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="got 'text 0'; choose a column of numbers with score=") as error:
        of(tmp_path / "a.jsonl", [f"text {i}" for i in range(40)])
    assert "values=" not in str(error.value)


def test_words_of_an_answer_beside_a_grade_are_asked(tmp_path: Path) -> None:
    """`correct` may be the right answer to a question that is answered by yes or no."""
    rows = [{"id": i, "correct": "yes", "prediction": "yes" if i else "no"} for i in range(3)]
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(RecordError, match=r"compare the answer with score='correct==prediction', or .*values='yes=1'"):
        records.read(path)
    assert records.read(path, values="yes=1")["a"].score.tolist() == [1, 1, 1]
    assert records.read(path, score="correct==prediction")["a"].score.tolist() == [0, 1, 1]
    rows = [{"id": i, "is_correct": "yes", "prediction": f"text {i}"} for i in range(3)]
    assert records.read(lines(tmp_path / "b.jsonl", rows))["b"].score.tolist() == [1, 1, 1]


def test_letters_of_inspect_where_inspect_writes_them(tmp_path: Path) -> None:
    """Also where a log holds one letter, and the answers are letters too."""
    rows = [{"id": i, "scores": {"match": {"value": "C", "answer": "C"}}, "target": "C"} for i in range(3)]
    runs = records.read(lines(tmp_path / "a.jsonl", rows))
    assert runs["a"].score.tolist() == [1, 1, 1]
    assert runs.guesses == ("id = id", "score = scores.match.value", "values = C=1")


def test_files_that_are_read_together_are_guessed_together(tmp_path: Path) -> None:
    """All of one file is C, which alone could be a grade of schools."""
    a = lines(tmp_path / "a.jsonl", [{"id": i, "grade": "C"} for i in range(3)])
    b = lines(tmp_path / "b.jsonl", [{"id": i, "grade": "I"} for i in range(3)])
    runs = records.read([a, b], score="grade")
    assert {run.name: run.score.tolist() for run in runs} == {"a": [1, 1, 1], "b": [0, 0, 0]}
    assert "values = C=1, I=0" in runs.guesses
    c = lines(tmp_path / "c.jsonl", [{"id": i, "grade": "B"} for i in range(3)])
    with pytest.raises(RecordError, match="values='B=NUMBER,C=NUMBER'"):
        records.read([a, c], score="grade")
    assert records.read([a, b, c], score="grade", models=["a", "b"]).names == ("a", "b")


def test_models_that_are_not_asked_for_have_no_say(tmp_path: Path) -> None:
    rows = [
        {"id": i, "model": m, "correct": v} for m, v in (("a", "pass"), ("b", "fail"), ("c", "?")) for i in range(3)
    ]
    path = lines(tmp_path / "a.jsonl", rows)
    runs = records.read(path, models=["a", "b"])
    assert "values = pass=1, fail=0" in runs.guesses
    with pytest.raises(RecordError, match="values='pass=1,fail=0,\\?=NUMBER'"):
        records.read(path)


def test_models_side_by_side_share_their_words(tmp_path: Path) -> None:
    rows = [{"id": i, "a": {"correct": "yes"}, "b": {"correct": "no"}} for i in range(3)]
    runs = records.read(lines(tmp_path / "a.jsonl", rows))
    assert {run.name: run.score.tolist() for run in runs} == {"a": [1, 1, 1], "b": [0, 0, 0]}
    assert "values = yes=1, no=0" in runs.guesses
    path = tmp_path / "wide.csv"
    path.write_text("question,gpt,claude\nx,pass,fail\ny,pass,pass\n")
    runs = records.read(path, models=["gpt", "claude"])
    assert runs["claude"].score.tolist() == [0, 1]


def test_another_score_is_read_by_its_own_words(tmp_path: Path) -> None:
    paths = [
        lines(tmp_path / f"{name}.jsonl", [{"id": i, "correct": 1, "grade": word} for i in range(3)])
        for name, word in (("a", "C"), ("b", "I"))
    ]
    scores = records.read(paths).scores("grade")
    assert {name: scores[name].tolist() for name in scores} == {"a": [1, 1, 1], "b": [0, 0, 0]}
    assert scores.notes == ("the words of 'grade' are read as C=1, I=0",)
    scores = records.read(paths, values="C=0,I=1").scores("grade")
    assert {name: scores[name].tolist() for name in scores} == {"a": [0, 0, 0], "b": [1, 1, 1]}


@pytest.mark.parametrize("beside", [{"acc": 1}, {"score": 0.5}])
def test_numbers_are_taken_before_words(tmp_path: Path, beside: dict[str, Any]) -> None:
    rows = [{"id": i, "correct": "yes"} | beside for i in range(3)]
    runs = records.read(lines(tmp_path / "a.jsonl", rows))
    assert f"score = {next(iter(beside))}" in runs.guesses


def test_a_correct_option_is_still_no_score(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": "ABCD"[i % 4], "target": "ABCD"[i % 4], "prediction": "A"} for i in range(8)]
    runs = records.read(lines(tmp_path / "a.jsonl", rows))
    assert "score = target==prediction" in runs.guesses
    assert runs.notes[0].startswith("'correct' is not read as the score, which was only guessed")


# ---- per cent


@pytest.mark.parametrize("kind", FORMATS)
def test_per_cent(tmp_path: Path, kind: str) -> None:
    path = write(
        tmp_path / f"a.{kind}",
        [{"id": i, "score": v} for i, v in enumerate(["87%", "33.3 %", None, "-5%", "100%", ".5%"])],
    )
    runs = records.read(path)
    assert runs["a"].score.tolist() == [0.87, 0.333, -0.05, 1, 0.005]
    assert "values = per cent (100% is 1)" in runs.guesses


@pytest.mark.parametrize("values", [["87%", 0.5], ["87%", "50"], ["87%", "good"], ["%", "87%"]])
def test_per_cent_beside_other_values_is_asked(tmp_path: Path, values: list[Any]) -> None:
    with pytest.raises(RecordError, match="expected a number, true or false"):
        of(tmp_path / "a.jsonl", values)


def test_a_confidence_in_per_cent(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "a.jsonl", [{"id": i, "correct": 1, "confidence": v} for i, v in enumerate(["87%", None, "5%"])]
    )
    runs = records.read(path)
    assert runs["a"].known("confidence").confidence.tolist() == [0.87, 0.05]


# ---- metrics one level down


@pytest.mark.parametrize(
    ("record", "column"),
    [
        ({"metric": {"em": 1}}, "metric.em"),
        ({"metrics": {"f1_score": 0.5}}, "metrics.f1_score"),
        ({"scores": {"match": 1}}, "scores.match"),
        ({"scores": {"match": {"value": 0.25, "answer": "x", "explanation": "y"}}}, "scores.match.value"),
        ({"scores": {"match": {"value": "I", "answer": "C"}}}, "scores.match.value"),
        ({"Scores": {"Match": {"Value": True}}}, "Scores.Match.Value"),
        ({"metrics": {"em": 1, "latency": 12.5, "tokens": 17}}, "metrics.em"),
        ({"metrics": {"em": 1, "comment": "fine"}}, "metrics.em"),
    ],
)
def test_the_only_metric_is_the_score(tmp_path: Path, record: dict[str, Any], column: str) -> None:
    runs = records.read(lines(tmp_path / "a.jsonl", [{"id": i, "text": "x"} | record for i in range(3)]))
    assert f"score = {column}" in runs.guesses
    assert len(runs["a"]) == 3


def test_several_metrics_are_asked(tmp_path: Path) -> None:
    rows = [{"id": i, "metrics": {"em": 1, "f1_score": 0.5, "latency": 3.5}} for i in range(3)]
    path = lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(
        RecordError, match=re.escape("score='metrics.em' (every value 1) or score='metrics.f1_score' (0.5 to 0.5)")
    ):
        records.read(path)
    assert records.read(path, score="metrics.f1_score")["a"].score.tolist() == [0.5] * 3
    rows = [row | {"target": "x", "prediction": "x"} for row in rows]
    assert "score = target==prediction" in records.read(lines(tmp_path / "b.jsonl", rows)).guesses


def test_usual_names_are_taken_before_metrics(tmp_path: Path) -> None:
    rows = [{"id": i, "acc": 1, "metrics": {"em": 0}} for i in range(3)]
    assert "score = acc" in records.read(lines(tmp_path / "a.jsonl", rows)).guesses
    rows = [{"id": i, "metrics": {"em": 0}, "target": "x", "prediction": "x"} for i in range(3)]
    assert "score = metrics.em" in records.read(lines(tmp_path / "b.jsonl", rows)).guesses


def test_the_json_report_says_what_words_are_worth(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": i, "correct": "pass" if i % 2 else "fail"} for i in range(20)])
    out = tmp_path / "out.json"
    assert cli.run(["report", str(path), "--json", str(out)]) == 0
    assert "values = pass=1, fail=0" in json.dumps(json.loads(out.read_text()))
