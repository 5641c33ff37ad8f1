"""Guesses: what cannot be what its name says never blocks a file; models that are not asked for do not matter."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard import cli, records
from steelyard.errors import RecordError

from .test_records_answers import FORMATS, lines, write

# role, column, its values in three rows, what is wrong with it where an option names it
UNUSABLE: dict[str, tuple[str, str, list[Any], str]] = {
    "words": ("confidence", "confidence", ["high", "low", "high"], "line 1: 'confidence': expected a number, true or false"),
    "per cent": ("confidence", "confidence", [0.5, 87.5, 1], "line 2: confidence 'confidence': expected a probability from 0 to 1; got 87.5; pass a probability, or confidence='none'"),
    "negative": ("confidence", "prob", [-0.1, 0.5, 1], "line 1: confidence 'prob': expected a probability from 0 to 1; got -0.1"),
    "NaN": ("confidence", "prob", [0.1, 0.5, float("nan")], "line 3: confidence 'prob': expected a probability from 0 to 1; got nan"),
    "list": ("confidence", "prob", [0.1, [0.5, 0.5], None], "line 2: 'prob': expected a number; got a list"),
    "nll": ("loglikelihood", "loglikelihood", [1.5, 2.5, 0], "line 1: loglikelihood 'loglikelihood': expected at most 0; got 1.5"),
    "epoch": ("epoch", "epoch", [1, 1, None], "line 3: epoch 'epoch': expected a value in every row; got none in 1 of 3; complete the column, or pass epoch='none'"),
    "model": ("model", "model", ["a", ["a", "b"], "b"], "line 2: model 'model': expected a number or text; got a list"),
    "id": ("id", "id", [1, [2, 3], 4], "line 2: id 'id': expected a number or text; got a list"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_guess_that_cannot_be_never_blocks_a_file(tmp_path: Path, case: str) -> None:
    role, column, values, wrong = UNUSABLE[case]
    path = lines(tmp_path / "a.jsonl", [{"id": i, "correct": i > 0} | {column: v} for i, v in enumerate(values)])
    runs = records.read(path)
    assert runs["a"].score.tolist() == [0, 1, 1]
    if role not in ("id", "model"):  # every run has ids; the model is the run's name
        assert getattr(runs["a"], role) is None
    (note,) = runs.notes
    said = f"{column!r} is not read as the {role}, which was only guessed (a column is named with {role}=): {path}, "
    assert note.startswith(said), note
    assert wrong.partition(";")[0] in note
    assert not any(guess.startswith(f"{role} =") for guess in runs.guesses)
    assert f"note: {note}" in repr(runs)
    with pytest.raises(RecordError, match=re.escape(wrong)):
        records.read(path, **{role: column})


@pytest.mark.parametrize(
    "row",
    [{"n_tokens": None}, {"confidence": None}, {"model": None}, {"cluster": None}, {"epoch": None}, {"loglikelihood": None},
     {"confidence": {"a": 1}}, {"model": {"name": "x"}}, {"cluster": [1]}, {"n_tokens": [1]}, {"id": {"x": 1}}],
    ids=str,
)  # fmt: skip
def test_columns_without_values_are_not_guessed(tmp_path: Path, row: dict[str, Any]) -> None:
    runs = records.read(lines(tmp_path / "a.jsonl", [{"correct": i > 0} | row for i in range(3)]))
    assert runs["a"].score.tolist() == [0, 1, 1]
    assert (runs.guesses, runs.notes, runs.left_out) == (("score = correct",), (), {})


@pytest.mark.parametrize("tokens", [None, "many", 0, 1.5, [1]])
def test_tokens_that_cannot_be_counted_take_a_guessed_loglikelihood_with_them(tmp_path: Path, tokens: Any) -> None:
    rows = [{"id": i, "correct": 1, "loglikelihood": -1.0, "n_tokens": 3 if i else tokens} for i in range(3)]
    path = lines(tmp_path / "a.jsonl", rows)
    runs = records.read(path)
    assert len(runs["a"]) == 3
    assert runs["a"].loglikelihood is None
    assert len(runs.notes) == 1
    with pytest.raises(RecordError, match="n_tokens"):
        records.read(path, loglikelihood="loglikelihood")
    assert records.read(path, n_tokens="none")["a"].loglikelihood.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("role", ["n_words", "n_bytes"])
def test_bytes_that_cannot_be_counted_are_dropped_alone(tmp_path: Path, role: str) -> None:
    rows = [{"id": i, "correct": 1, "loglikelihood": -1.0, role: [8, None, 9][i]} for i in range(3)]
    run = records.read(lines(tmp_path / "a.jsonl", rows))["a"]
    assert np.nan_to_num(getattr(run, role), nan=-1).tolist() == [8, -1, 9]
    rows[2][role] = 0.5
    runs = records.read(lines(tmp_path / "a.jsonl", rows))
    assert (getattr(runs["a"], role), len(runs.notes)) == (None, 1)
    assert runs["a"].loglikelihood is not None
    with pytest.raises(RecordError, match=f"line 3: {role} '{role}': expected a whole number from 1 on; got 0.5"):
        records.read(tmp_path / "a.jsonl", **{role: role})
    assert getattr(records.read(tmp_path / "a.jsonl", **{role: "none"})["a"], role) is None


def test_one_unusable_column_is_dropped_in_all_files(tmp_path: Path) -> None:
    good = [{"id": i, "model": "m", "correct": 1, "confidence": 0.5} for i in range(2)]
    bad = [{"id": i, "model": "m", "correct": 1, "confidence": "sure"} for i in range(2, 4)]
    whole = records.read(lines(tmp_path / "a.jsonl", good + bad))
    parts = records.read([lines(tmp_path / "b.jsonl", good), lines(tmp_path / "c.jsonl", bad)])
    assert whole["m"].confidence is None
    assert parts["m"].confidence is None


@pytest.mark.parametrize("named", [None, "cluster"])
@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        (
            ["d", None, "d"],
            "line 2: cluster 'cluster': expected a value in every row; got none in 1 of 3; give each row",
        ),
        (["d", " ", ""], "line 2: cluster 'cluster': expected a value in every row; got none in 2 of 3; give each row"),
        (["d", ["d", "e"], "d"], "line 2: cluster 'cluster': expected a number or text; got a list; choose another"),
    ],
)
def test_a_guessed_cluster_is_never_dropped(tmp_path: Path, named: str | None, values: list[Any], wrong: str) -> None:
    """Without it the intervals would be too narrow."""
    path = lines(tmp_path / "a.jsonl", [{"id": i, "correct": 1, "cluster": v} for i, v in enumerate(values)])
    with pytest.raises(RecordError, match=f"{wrong}.* pass cluster='none' to count all records as independent"):
        records.read(path, cluster=named)
    assert records.read(path, cluster="none")["a"].cluster is None
    rows = [{"id": i, "score": v and 1, "cluster": v} for i, v in enumerate(["d", None, "e"])]
    assert records.read(lines(tmp_path / "b.jsonl", rows))["b"].cluster.tolist() == ["d", "e"]  # rows that count


def test_a_cluster_that_some_files_lack_is_never_dropped(tmp_path: Path) -> None:
    paths = [
        lines(tmp_path / "a.jsonl", [{"id": 1, "model": "m", "correct": 1, "cluster": 1}]),
        lines(tmp_path / "b.jsonl", [{"id": 2, "model": "m", "correct": 1}]),
    ]
    with pytest.raises(RecordError, match=r"b\.jsonl: expected a column for cluster; got none.*pass cluster='none'"):
        records.read(paths)
    assert records.read(paths, cluster="none")["m"].cluster is None
    with pytest.raises(RecordError, match="a column 'cluster' for cluster="):
        records.read(paths, cluster="cluster")


# ---- candidates


def test_two_confidences_are_none_and_said(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"acc": 1, "confidence": 0.5, "prob": 0.4}] * 2)
    runs = records.read(path)
    assert runs["a"].confidence is None
    assert runs.notes == (
        f"{path}: 'confidence' and 'prob' can be the confidence: none is read; choose with confidence=",
    )
    assert records.read(path, confidence="prob").runs[0].confidence.tolist() == [0.4, 0.4]


def test_of_two_candidates_the_one_that_can_be_is_taken(tmp_path: Path) -> None:
    row = {"confidence": "high", "prob": 0.4, "correct": "B", "acc": 1}
    runs = records.read(lines(tmp_path / "a.jsonl", [row, row]))
    assert runs["a"].confidence.tolist() == [0.4, 0.4]
    assert runs["a"].score.tolist() == [1, 1]
    assert set(runs.guesses) == {"confidence = prob", "score = acc"}


def test_a_score_of_words_leaves_the_place_to_the_next(tmp_path: Path) -> None:
    rows = [{"correct": "B", "target": "x", "prediction": "x"}, {"correct": "A", "target": "x", "prediction": "y"}]
    path = lines(tmp_path / "a.jsonl", rows)
    runs = records.read(path)
    assert runs["a"].score.tolist() == [1, 0]
    assert runs.notes[0].startswith("'correct' is not read as the score")
    with pytest.raises(RecordError, match="line 1: 'correct': expected a number"):
        records.read(path, score="correct")


def test_two_columns_of_models_are_asked_about(tmp_path: Path) -> None:
    rows = [{"id": i, "model": "a", "model_name": "b", "correct": 1} for i in range(2)]
    with pytest.raises(RecordError, match="one column that can be the model; got 2: 'model', 'model_name'"):
        records.read(lines(tmp_path / "a.jsonl", rows))


def test_a_filled_id_is_taken_before_an_empty_one(tmp_path: Path) -> None:
    rows = [{"id": None, "question_id": f"q{i}", "correct": 1} for i in range(2)]
    runs = records.read(lines(tmp_path / "a.jsonl", rows))
    assert runs["a"].ids.tolist() == ["q0", "q1"]
    assert "id = question_id" in runs.guesses


# ---- models that were not asked for


Damage = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
DAMAGE: dict[str, Damage] = {
    "a doubled row": lambda rows: [*rows, rows[-1]],
    "words for a score": lambda rows: [*rows, {"id": 99, "model": "c", "correct": "maybe"}],
    "an infinite score": lambda rows: [*rows, {"id": 99, "model": "c", "correct": float("inf")}],
    "a list for an id": lambda rows: [*rows, {"id": [1], "model": "c", "correct": 1}],
    "words for a confidence": lambda rows: [
        row | {"confidence": 0.5 if row["model"] != "c" else "high"} for row in rows
    ],
    "no cluster": lambda rows: [row | ({"cluster": 1} if row["model"] != "c" else {}) for row in rows],
}


@pytest.mark.parametrize("case", DAMAGE)
@pytest.mark.parametrize("how", ["names", "function"])
def test_what_is_wrong_with_other_models_does_not_matter(tmp_path: Path, case: str, how: str) -> None:
    rows = [{"id": i, "model": m, "correct": (i + k) % 3 > 0} for k, m in enumerate("abc") for i in range(6)]
    path = lines(tmp_path / "all.jsonl", DAMAGE[case](rows))
    runs = records.read(path, models=["b", "a"] if how == "names" else lambda inside: ["b", "a"])
    assert runs.names == ("b", "a")
    assert runs.notes == ()
    left = sum(runs.left_out[str(path)].values())
    assert runs.left_out[str(path)] == {"of a model not asked for": left}
    assert sum(map(len, runs)) + left == runs.read[str(path)]


def test_other_files_of_models_not_asked_for_do_not_matter(tmp_path: Path) -> None:
    a, b = (lines(tmp_path / f"{name}.jsonl", [{"id": 1, "acc": 1}, {"id": 2, "acc": 0}]) for name in "ab")
    bad = lines(tmp_path / "c.jsonl", [{"id": 1, "exact_match": "?"}, {"grade": 2}])
    for models in (["a", "b"], lambda inside: [name for (name,) in inside[:2]]):
        runs = records.read([a, b, bad], models=models)
        assert runs.names == ("a", "b")
        assert runs.left_out == {str(bad): {"of a model not asked for": 2}}
    with pytest.raises(RecordError, match="the same score column"):
        records.read([a, b, bad])
    with pytest.raises(ValueError, match="models: expected some of 'a', 'b'"):
        records.read([a, b], models=["a", "d"])


def test_columns_of_other_models_in_a_wide_file_do_not_matter(tmp_path: Path) -> None:
    rows = [
        {"id": i, "a": {"acc": 1, "confidence": 0.5}, "b": {"acc": 0, "confidence": 0.25}, "c": {"acc": "x"}}
        for i in range(3)
    ]
    runs = records.read(lines(tmp_path / "wide.jsonl", rows), models=["a", "b"])
    assert {run.name: (run.score.tolist(), run.confidence[0]) for run in runs} == {
        "a": ([1, 1, 1], 0.5), "b": ([0, 0, 0], 0.25),
    }  # fmt: skip
    (alone,) = records.read(lines(tmp_path / "wide.jsonl", rows), models=["b"])
    assert (alone.name, alone.score.tolist()) == ("b", [0, 0, 0])


def test_a_model_of_a_wide_file_is_never_left_out_for_a_bad_value(tmp_path: Path) -> None:
    rows = [{"id": i, **{m: {"correct": 1} for m in "abc"}} for i in range(3)]
    rows[2]["c"] = {"correct": "oops"}
    path = lines(tmp_path / "wide.jsonl", rows)
    with pytest.raises(RecordError, match=r"line 3: 'c.correct': expected a number.*got 'oops'"):
        records.read(path)
    assert records.read(path, models=["a", "b"]).names == ("a", "b")


def test_a_nested_column_of_words_alone_is_no_score(tmp_path: Path) -> None:
    rows = [{"id": i, "meta": {"score": "high"}, "out": {"score": i % 2}} for i in range(4)]
    path = lines(tmp_path / "a.jsonl", rows)
    runs = records.read(path)
    assert runs["a"].score.tolist() == [0, 1, 0, 1]
    assert "score = out.score" in runs.guesses
    assert runs.notes == (f"{path}: 'meta.score' is not read as a score: no value in it is a number",)


# ---- plain wide files


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("id", [None, "row"])
def test_a_plain_file_of_zeros_and_ones_is_a_model_a_column(tmp_path: Path, kind: str, id: str | None) -> None:
    rows = [{"model a": i % 2, "Model B ": int(i % 3 > 0)} for i in range(20)]
    path = write(tmp_path / f"wide.{kind}", rows)
    runs = records.read(path, id=id)
    second = "Model B" if kind == "csv" else "Model B "
    assert runs.names == ("model a", second)
    assert f"models = model a, {second} (every column is 0 or 1)" in runs.guesses
    assert runs["model a"].score.tolist() == [i % 2 for i in range(20)]
    assert runs.scores().ids.tolist() == [str(i + 1) for i in range(20)]


def test_columns_with_usual_names_keep_their_roles_beside_models(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("question_id,x,y,cluster\n7,1,0,1\n8,0,,1\n9,TRUE,1,0\n")
    runs = records.read(path)
    assert runs.names == ("x", "y")
    assert runs["x"].ids.tolist() == ["7", "8", "9"]
    assert runs["x"].cluster.tolist() == ["1", "1", "0"]
    assert runs["y"].left_out == {"no score": 1}


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,0\n",  # one record
        "a\n1\n0\n",  # one column
        "a,b\n1,0\n0,2\n",  # no share
        "a,b,text\n1,0,x\n0,1,y\n",
        "a,b\n1,\n0,\n",  # a column without a value
        "model,a,b\nm,1,0\nn,1,1\n",  # models are rows
        "label,a,b\n1,1,0\n0,1,1\n",  # predictions of a class 0 or 1, beside the truth
        "gold_answer,a\n1,1\n0,1\n",
        "a,b,is_math\n1,1,0\n0,1,1\n",
    ],
)
def test_other_plain_files_are_asked_about(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"expected a score column.*or a column for each model with models="):
        records.read(path)


def test_columns_of_zeros_and_ones_that_are_no_models_are_named(tmp_path: Path) -> None:
    """`label` beside predictions was read as the best of three models."""
    path = tmp_path / "wide.csv"
    path.write_text("id,label,gpt,claude\n1,1,1,0\n2,0,1,0\n3,0,0,0\n")
    with pytest.raises(RecordError, match=r"expected a score column.*; by its name 'label' is no model's score"):
        records.read(path)
    assert records.read(path, models=["gpt", "claude"]).names == ("gpt", "claude")
    assert records.read(path, models=["label", "gpt"]).names == ("label", "gpt")
    assert records.read(path, score="label==gpt")["wide"].score.tolist() == [1, 0, 1]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["correct", "is_correct", "exact_match", "out.correct"])
def test_a_correct_choice_is_no_score(tmp_path: Path, kind: str, name: str) -> None:
    """The number of the right choice, 0 to 3, gave a score of 1.5."""
    if name != "correct" and kind != "jsonl":
        pytest.skip("one name in every format, and every name in one")
    choices = [{"id": i, name: i % 4, "target": i % 4, "prediction": i % 3} for i in range(12)]
    path = write(tmp_path / f"a.{kind}", choices)
    runs = records.read(path)
    assert runs["a"].score.tolist() == [i % 4 == i % 3 for i in range(12)]
    assert runs.notes[0].startswith(f"{name!r} is not read as the score, which was only guessed")
    assert records.read(path, score=name)["a"].score.max() == 3
    path = write(tmp_path / f"b.{kind}", [{"id": row["id"], name: row[name]} for row in choices])
    with pytest.raises(RecordError, match=rf"score '{name}': expected 0, 1 or a share.*; got 2.0; name the score with"):
        records.read(path)
    path = write(tmp_path / f"c.{kind}", [{"id": row["id"], "correct": row[name], "score": 1} for row in choices])
    assert "score = score" in records.read(path).guesses


def test_graded_columns_are_models_when_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("text,words,a,b\nx,12,0.5,1\ny,7,0.25,\n")
    runs = records.read(path, models=["b", "a"])
    assert runs.names == ("b", "a")
    assert runs["a"].score.tolist() == [0.5, 0.25]
    assert runs.left_out == {str(path): {"no score (b)": 1}}
    assert "models = b, a (the columns of these names)" in runs.guesses
    out = tmp_path / "out.json"
    words = ["compare", str(path), "--baseline", "a", "--models", "b", "--missing", "0", "--json", str(out)]
    assert cli.run(words) == 0
    assert [pair["model"] for pair in json.loads(out.read_text())["pairs"]] == ["b"]


def test_graded_columns_are_offered_as_they_are_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("id,gpt,claude 3,llama,text\n1,0.5,0.7,1,x\n2,0.25,,0,y\n")
    with pytest.raises(RecordError, match=r"a column for each model with models=\['gpt', 'claude 3', 'llama'\]"):
        records.read(path)
    assert cli.run(["report", str(path)]) == 2
    assert "or a column for each model with --models 'gpt,claude 3,llama'" in capsys.readouterr().err
    assert cli.run(["report", str(path), "--models", "gpt,claude 3,llama"]) == 0
    path.write_text("id,gpt,llama\n1,0.5,0.7\n2,0.25,1\n")
    assert cli.run(["report", str(path)]) == 2
    assert "or a column for each model with --models gpt,llama\n" in capsys.readouterr().err


# ---- one object


@pytest.mark.parametrize(
    "record",
    [
        {"summary": {"score": 0.5}, "eval": {"t1": {"score": 1}, "t2": {"score": 0}}},
        {"eval": {f"HumanEval/{i}": {"correct": i % 2} for i in range(20)}},
    ],
)
def test_one_object_is_not_models(tmp_path: Path, record: dict[str, Any]) -> None:
    for text in (json.dumps(record), json.dumps(record, indent=1), json.dumps([record])):
        path = tmp_path / "one.json"
        path.write_text(text)
        with pytest.raises(RecordError, match="write one record per line"):
            records.read(path)


def test_a_dictionary_of_records_is_records_and_no_models(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    record = {"a": {"is_correct": 1}, "b": {"is_correct": 0}}
    for text in (json.dumps(record), json.dumps(record, indent=1)):
        path.write_text(text)
        (run,) = records.read(path)
        assert (run.ids.tolist(), run.score.tolist()) == (["a", "b"], [1, 0])
    path.write_text(json.dumps([record]))
    with pytest.raises(RecordError, match="write one record per line"):
        records.read(path)


def test_nested_scores_beside_a_models_column_are_asked_about(tmp_path: Path) -> None:
    rows = [{"model": m, "eval": {"t1": {"score": 1}, "t2": {"score": 0}}} for m in "ab"]
    with pytest.raises(RecordError, match=r"can be the score; got 2: 'eval.t1.score', 'eval.t2.score'"):
        records.read(lines(tmp_path / "a.jsonl", rows))


# ---- ids


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([" q1", "q2"], ["q1", "q2\n"]),
        (["1.0", "2.0"], [1, 2]),
        ([7.0, "8"], ["7", 8]),
        (["x" * 300, "q"], ["x" * 300 + " ", "q"]),
    ],
)
def test_ids_match_whatever_their_type_and_outer_blanks(tmp_path: Path, first: list[Any], second: list[Any]) -> None:
    paths = [
        lines(tmp_path / f"{name}.jsonl", [{"id": one, "acc": i} for i, one in enumerate(ids)])
        for name, ids in (("a", first), ("b", second))
    ]
    runs = records.read(paths)
    scores = runs.scores()
    assert scores["a"].tolist() == scores["b"].tolist()
    assert sorted(scores["a"].tolist()) == [0, 1]
    assert scores.unmatched == {"a": 0, "b": 0}
    as_written = [set(runs[name].ids.tolist()) for name in "ab"]
    if as_written[0] == as_written[1]:
        assert scores.notes == ()
    else:
        assert "ids match only without the blanks around them, and with 7.0 as 7: " in scores.notes[0]
        assert scores.notes[0] in repr(scores)
    assert set(scores.ids.tolist()) == as_written[0]


def test_care_never_makes_one_id_of_two(tmp_path: Path) -> None:
    a = lines(tmp_path / "a.jsonl", [{"id": one, "acc": 1} for one in ("q1", " q1", "q2")])
    b = lines(tmp_path / "b.jsonl", [{"id": one, "acc": 0} for one in ("q1", "q2 ")])
    scores = records.read([a, b]).scores()
    assert scores.ids.tolist() == ["q1"]
    assert scores.unmatched == {"a": 2, "b": 1}
    assert scores.notes == ("ids are compared as they are written, blanks and all: 'a' has both ' q1' and 'q1'",)


def test_care_pairs_epochs(tmp_path: Path) -> None:
    a = lines(tmp_path / "a.jsonl", [{"id": " q", "epoch": e, "acc": e} for e in (0, 1)])
    b = lines(tmp_path / "b.jsonl", [{"id": "q", "epoch": e, "acc": 1} for e in (0, 1)])
    scores = records.read([a, b]).scores()
    assert (scores["a"].tolist(), scores["b"].tolist()) == ([0.5], [1])
    assert scores.notes[0].startswith("1 id matches only without")


def test_blanks_around_names_of_columns_and_models(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,doc , right \n1,a,1\n2,a,0\n")
    (run,) = records.read(path, cluster="doc ", score=" right ")
    assert (run.score.tolist(), run.cluster.tolist()) == ([1, 0], ["a", "a"])
    rows = [{"id": i, "model": model, "correct": 1} for i in range(2) for model in ("m", "b ", "b")]
    runs = records.read(lines(tmp_path / "b.jsonl", rows))
    assert runs.names == ("m", "b ", "b")
    assert runs.notes == ("'b ' and 'b' are different models: their names differ in the blanks around them",)


def test_a_model_that_is_there_without_a_record_is_not_expected_and_got(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("question_id,document,gpt,claude\n1,a,1,0\n2,b,0,1\n")
    with pytest.raises(ValueError, match="models: expected some of 'gpt', 'claude'; got 'wide'"):
        records.read(path, models=["wide", "claude"])
    path.write_text("question_id,gpt,claude\n1,1,good\n2,0,bad\n")
    with pytest.raises(ValueError, match="models: expected some of 'gpt'; got 'claude'"):
        records.read(path, models=["gpt", "claude"])
    rows = [{"id": i, "model": model, "correct": 1, "filter": model} for i in range(3) for model in "ab"]
    path = lines(tmp_path / "long.jsonl", rows)
    with pytest.raises(
        ValueError, match=r"models with records, of 'a'; got none of 'b' \(left out: with another filter"
    ):
        records.read(path, models=["a", "b"], filter="a")


def test_fields_of_the_harness_hold_scores_in_other_files(tmp_path: Path) -> None:
    """`metrics` holds no score where lm-evaluation-harness wrote the file; elsewhere it is a column as any other."""
    rows = [{"id": i, "metrics": {"correct": int(i > 0)}} for i in range(3)]
    runs = records.read(lines(tmp_path / "a.jsonl", rows))
    assert runs["a"].score.tolist() == [0, 1, 1]
    assert "score = metrics.correct" in runs.guesses
