"""Missing answers and missing scores, equality in ``a==b``, and records that repeat an id."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard import records
from steelyard.errors import RecordError
from steelyard.records import labels

FORMATS = ["jsonl", "csv", "parquet"]


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Records in the format that the name ends in."""
    if path.suffix == ".jsonl":
        return lines(path, rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        return path
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({name: pa.array([row.get(name) for row in rows]) for name in names}), path)
    return path


# ---- no answer


@pytest.mark.parametrize("blank", [None, "", "  ", "\n", float("nan"), "key"], ids=repr)
@pytest.mark.parametrize("score", [None, "target==prediction"])
def test_no_answer_beside_a_target_is_a_wrong_answer(tmp_path: Path, blank: Any, score: str | None) -> None:
    rows = [{"id": i, "target": "x", "prediction": blank if i < 2 else "xy"[i % 2]} for i in range(4)]
    for row in rows[:2] if blank == "key" else ():
        del row["prediction"]
    (run,) = records.read(lines(tmp_path / "a.jsonl", rows), score=score)
    assert run.score.tolist() == [0, 0, 1, 0]
    assert (run.no_answer, run.no_score, run.left_out) == (2, 0, {})


@pytest.mark.parametrize("kind", FORMATS)
def test_only_an_empty_target_leaves_a_record_out(tmp_path: Path, kind: str) -> None:
    pairs = [("x", "x"), ("x", ""), (None, "x"), ("", ""), (None, None), ("", "x"), ("y", None), ("y", "N/A")]
    rows = [{"id": i, "target": a, "prediction": b} for i, (a, b) in enumerate(pairs)]
    path = write(tmp_path / f"a.{kind}", rows)
    runs = records.read(path)
    assert runs["a"].ids.tolist() == ["0", "1", "6", "7"]
    assert runs["a"].score.tolist() == [1, 0, 0, 0]
    assert runs["a"].no_answer == 3
    assert runs.left_out == {str(path): {"no target": 4}}
    assert repr(runs).startswith("a: 4 records (3 without an answer: 0) (left out: 4 no target)")


def test_a_label_that_reads_like_no_answer_is_a_label(tmp_path: Path) -> None:
    rows = [
        {"target": "NA", "prediction": "NA"},
        {"target": "None", "prediction": "None"},
        {"target": "a", "prediction": "na"},
    ]
    (run,) = records.read(lines(tmp_path / "a.jsonl", rows))
    assert run.score.tolist() == [1, 1, 0]
    assert run.no_answer == 0  # NA is a class here, whichever target it is beside


@pytest.mark.parametrize("kind", FORMATS)
def test_a_model_that_answers_nothing_scores_nothing(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"a.{kind}", [{"id": i, "target": "x", "prediction": None} for i in range(3)])
    (run,) = records.read(path)
    assert run.score.tolist() == [0, 0, 0]
    assert run.no_answer == 3


def test_real_trials_without_an_answer_are_wrong(data_dir: Path) -> None:
    path = data_dir / "formats/other/edge_subject-09_session_1.csv"
    if not path.exists():
        pytest.skip(f"real input is absent: {path}")
    (run,) = records.read(path, score="object_response==category", id="none")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right = sum(row["object_response"] == row["category"] for row in rows)
    silent = sum(row["object_response"] == "na" for row in rows)
    assert silent > 0
    assert (len(run), run.score.sum(), run.no_answer) == (len(rows), right, silent)


@pytest.mark.parametrize(
    ("score", "target", "said"),
    [
        ("target==prediction", "target", True),
        ("prediction==target", "target", True),
        ("label==y_pred", "label", True),
        ("y_pred==y_true", "y_true", True),
        ("response==answer", "answer", True),
        ("answer==correct_answer", "correct_answer", True),
        ("modelAnswer==goldAnswer", "goldAnswer", True),
        ("object_response==category", "category", True),
        ("out==doc.gold", "doc.gold", True),
        ("model.answer==gold.answer", "gold.answer", True),
        ("out==x", "x", True),
        ("a==b", "a", False),
        ("b==a", "b", False),
        ("response==output", "response", False),
    ],
)
def test_the_names_say_which_side_is_the_target(tmp_path: Path, score: str, target: str, said: bool) -> None:
    found = labels.sides(score)
    assert (found.target, found.said) == (target, said)
    other = found.prediction
    path = write(tmp_path / "a.csv", [{target: "x", other: ""}, {target: "", other: "x"}, {target: "x", other: "x"}])
    runs = records.read(path, score=score)
    assert runs["a"].score.tolist() == [0, 1]
    assert runs.left_out == {str(path): {"no target": 1}}
    assert runs.guesses == (() if said else (f"target = {target}",))


@pytest.mark.parametrize("kind", FORMATS)
def test_na_is_an_answer_where_a_format_can_say_null(tmp_path: Path, kind: str) -> None:
    """Namibia, sodium, North America; in CSV, which has no null, R writes NA for it and pandas reads it so."""
    rows = [{"id": i, "target": "DE", "prediction": p} for i, p in enumerate(["DE", "NA", "na", None, "None"])]
    runs = records.read(write(tmp_path / f"a.{kind}", rows))
    assert runs["a"].score.tolist() == [1, 0, 0, 0, 0]
    assert (runs["a"].no_answer, runs.notes) == (4 if kind == "csv" else 2, ())
    # The models, ids and clusters of that name are there in every format, and so is the target.
    rows = [{"id": i, "model": m, "cluster": i, "target": i, "prediction": i} for m in ("NA", "b") for i in ("NA", "x")]
    runs = records.read(write(tmp_path / f"b.{kind}", rows))
    assert (runs.names, runs["NA"].score.tolist(), runs["NA"].no_answer) == (("NA", "b"), [1, 1], 0)
    assert runs["NA"].ids.tolist() == runs["NA"].cluster.tolist() == ["NA", "x"]
    said = f"{tmp_path / 'b.csv'}: 'NA' among the targets in 'target' is read as a class; a field is empty where there"
    assert [note.startswith(said) for note in runs.notes] == [True] * (kind == "csv")


@pytest.mark.parametrize("word", ["None", "null", "n/a", "NA", "nan", " none "])
def test_words_for_nothing_are_no_answer_unless_a_target_of_the_run_is_one(tmp_path: Path, word: str) -> None:
    path = write(tmp_path / "a.csv", [{"target": "x", "prediction": p} for p in ("x", word, "y")])
    (run,) = records.read(path)
    assert (run.score.tolist(), run.no_answer) == ([1, 0, 0], 1)
    more = write(tmp_path / "b.csv", [{"target": word.strip().upper(), "prediction": "x"}])
    for paths, names in (([path, more], ["m", "m"]), ([more, path], ["m", "m"])):
        (run,) = records.read(paths, names=names)
        assert (sorted(run.score.tolist()), run.no_answer) == ([0, 0, 0, 1], 0)
    assert records.read([path, more])["a"].no_answer == 1  # another model's targets are not this one's


# ---- no score


@pytest.mark.parametrize("kind", FORMATS)
def test_missing_scores_are_dropped_wrong_or_a_number(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"a.{kind}", [{"id": i, "score": s} for i, s in enumerate([1.0, None, 0.5, None])])
    dropped = records.read(path)
    assert dropped["a"].score.tolist() == [1, 0.5]
    assert (dropped["a"].left_out, dropped["a"].no_score, dropped["a"].missing) == ({"no score": 2}, 2, None)
    assert (dropped.scores().no_score, dropped["a"].known().no_score) == ({"a": 2}, 2)
    assert repr(dropped["a"]) == "a: 2 records (left out: 2 no score)"
    assert repr(dropped.scores()) == "Scores(a: 2 records; left out: 2 no score)"
    wrong = records.read(path, missing="wrong")
    assert wrong["a"].score.tolist() == [1, 0, 0.5, 0]
    assert (wrong["a"].no_score, wrong["a"].no_answer, wrong.left_out, wrong["a"].missing) == (2, 0, {}, 0.0)
    assert repr(wrong["a"]) == "a: 4 records (2 without a score: 0)"
    assert repr(wrong) == f"{wrong['a']!r}\nguessed: id = id\nguessed: score = score"
    other = records.read(path, missing=-1.5)
    assert other["a"].score.tolist() == [1, -1.5, 0.5, -1.5]
    assert other.scores().no_score == {"a": 2}
    assert "a: 2 without a score" in repr(other.scores())


def test_a_missing_target_cannot_be_filled(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"target": "x", "prediction": "x"}, {"target": None, "prediction": "x"}])
    runs = records.read(path, missing="wrong")
    assert runs["a"].score.tolist() == [1]
    assert runs.left_out == {str(path): {"no target": 1}}


def test_an_empty_cell_of_a_wide_file_is_the_models_own(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("id,a.correct,b.correct\n1,1,\n2,0,1\n3,,1\n")
    runs = records.read(path)
    assert (runs["a"].left_out, runs["b"].left_out) == ({"no score": 1}, {"no score": 1})
    assert runs.scores().ids.tolist() == ["2"]
    runs = records.read(path, missing="wrong")
    assert {run.name: run.score.tolist() for run in runs} == {"a": [1, 0, 0], "b": [0, 1, 1]}
    assert runs.scores().no_score == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("missing", "kind", "sentence"),
    [
        ("keep", TypeError, "missing: expected 'drop', 'wrong' or a number; got str 'keep'"),
        (True, TypeError, "missing: expected 'drop', 'wrong' or a number; got bool True"),
        (float("nan"), ValueError, "missing: expected a finite number; got nan"),
    ],
)
def test_other_values_of_missing_are_refused(
    tmp_path: Path, missing: Any, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        records.read(lines(tmp_path / "a.jsonl", [{"acc": 1}]), missing=missing)


# ---- ids of which none is there


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("id", [None, "id"])
def test_records_whose_ids_are_all_null_have_no_ids(tmp_path: Path, kind: str, id: str | None) -> None:
    path = write(tmp_path / f"a.{kind}", [{"id": None, "correct": i % 2} for i in range(6)])
    runs = records.read(path, id=id)
    assert len(runs["a"]) == 6
    assert runs["a"].ids is None
    assert runs.left_out == {}


def test_some_null_ids_are_left_out_however_the_file_is_split(tmp_path: Path) -> None:
    rows = [{"id": None, "model": "m", "correct": 1}] * 3 + [{"id": 1, "model": "m", "correct": 0}]
    whole = records.read(lines(tmp_path / "a.jsonl", rows))
    parts = records.read([lines(tmp_path / "b.jsonl", rows[:3]), lines(tmp_path / "c.jsonl", rows[3:])])
    for runs in (whole, parts):
        assert runs["m"].ids.tolist() == ["1"]
        assert runs["m"].left_out == {"no id": 3}


@pytest.mark.parametrize("empty", [float("nan"), "  ", "", None])
def test_ids_that_say_nothing_are_missing(tmp_path: Path, empty: Any) -> None:
    rows = [{"id": empty, "acc": 1}, {"id": empty, "acc": 0}, {"id": 3, "acc": 1}]
    (run,) = records.read(lines(tmp_path / "a.jsonl", rows))
    assert run.ids.tolist() == ["3"]
    assert run.left_out == {"no id": 2}


# ---- equality


SAME = [
    [True, 1, 1.0, "1", "true", "True", "TRUE", "1.0", " 1 ", "true\n", "1.000"],
    [False, 0, 0.0, -0.0, "0", "false", "False", "-0", "0.0", "-0.0"],
    [7, 7.0, "7", "7.0", "\t7"],
    ["q", " q", "q\n", "\u2003q"],
    [0.5, "0.5", " 0.5"],
    *[["a" * n, "a" * n + "\n", " " * n + "a" * n] for n in (199, 200, 201, 5000)],
    ["7" + "0" * 300, "7" + "0" * 300 + ".0", "7" + "0" * 300 + "." + "0" * 300],
    ["B", " " * 300 + "B"],
]


@pytest.mark.parametrize("same", SAME, ids=lambda same: str(same[0])[:9] + f" {len(str(same[0]))}")
def test_what_says_the_same_is_equal_and_nothing_else(tmp_path: Path, same: list[Any]) -> None:
    pairs = [(a, b, 1) for a in same for b in same]
    others = [other[0] for other in SAME if other is not same]
    pairs += [(a, b, 0) for a in same for b in [*others, "a" * 5001, "a" * 4999 + "b", "07", "Q"]]
    rows = [{"target": a, "prediction": b} for a, b, _ in pairs]
    (run,) = records.read(lines(tmp_path / "a.jsonl", rows))
    assert run.score.tolist() == [equal for _, _, equal in pairs]


# ---- records that repeat an id


def test_repeated_ids_count_once_and_are_counted(tmp_path: Path) -> None:
    rows = [{"id": 1, "model": "a", "score": 1.0}] * 3 + [{"id": 2, "model": "a", "score": 0.0}]
    rows += [{"id": i, "model": "b", "score": 0.0} for i in (1, 2)]
    runs = records.read(lines(tmp_path / "a.jsonl", rows), repeats="epochs")
    a, b = runs
    assert a.weights.tolist() == [1 / 3, 1 / 3, 1 / 3, 1]
    assert a.merged == {"ids": 2, "records": 4, "fewest": 1, "most": 3}
    assert (b.weights, b.merged) == (None, {})
    scores = runs.scores()
    assert scores["a"].mean() == np.average(a.score, weights=a.weights) == 0.5
    assert scores.merged == {"a": {"ids": 2, "records": 4, "fewest": 1, "most": 3}}
    assert repr(scores) == "Scores(a, b: 2 ids; a: 4 records of 2 ids (1 to 3 per id))"
    assert repr(runs).splitlines()[0] == "a: 4 records of 2 ids (1 to 3 per id)"


def test_equally_many_epochs_need_no_weights(tmp_path: Path) -> None:
    rows = [{"id": i, "epoch": e, "acc": (i + e) % 2} for i in range(3) for e in range(2)]
    (run,) = records.read(lines(tmp_path / "a.jsonl", rows))
    assert run.weights is None
    assert run.merged == {"ids": 3, "records": 6, "fewest": 2, "most": 2}


def test_weights_follow_the_rows_that_are_kept(tmp_path: Path) -> None:
    rows = [{"id": i // 2, "epoch": i % 2, "acc": 1, "confidence": None if i == 3 else 0.5} for i in range(4)]
    (run,) = records.read(lines(tmp_path / "a.jsonl", rows))
    assert run.weights is None
    assert run.known("confidence").weights.tolist() == [0.5, 0.5, 1]


def test_no_answers_count_by_record_in_what_is_matched(tmp_path: Path) -> None:
    a = [{"id": i // 2, "epoch": i % 2, "target": "x", "prediction": None if i < 3 else "x"} for i in range(6)]
    b = [{"id": i, "target": "x", "prediction": "x" if i else ""} for i in range(1, 3)]
    scores = records.read([lines(tmp_path / "a.jsonl", a), lines(tmp_path / "b.jsonl", b)]).scores()
    assert scores["a"].tolist() == [0.5, 1]
    assert scores.no_answer == {"a": 1, "b": 0}


@given(counts=st.lists(st.integers(1, 4), min_size=1, max_size=12), seed=st.integers(0, 2**32 - 1))
def test_weighted_records_are_the_mean_of_the_means(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = [{"id": i, "acc": float(rng.integers(0, 8)) / 8} for i, n in enumerate(counts) for _ in range(n)]
    (run,) = runs = records.read(lines(tmp_path_factory.mktemp("w") / "a.jsonl", rows), repeats="epochs")
    weights = np.ones(len(run)) if run.weights is None else run.weights
    assert np.average(run.score, weights=weights) == pytest.approx(runs.scores()["a"].mean(), abs=1e-15)


def test_a_list_is_still_no_label(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"target": "x", "prediction": "x"}, {"target": "x", "prediction": ["x"]}])
    with pytest.raises(RecordError, match="score column 'prediction': expected a label; got a list"):
        records.read(path)
