"""Tables of evaluation tools: promptfoo (JSON Lines, JSON and CSV), MLflow, wandb, pandas, lighteval."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steelyard import cli, records, report
from steelyard.errors import RecordError


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def document(path: Path, value: Any, indent: int | None = None) -> Path:
    path.write_text(json.dumps(value, indent=indent))
    return path


# ---- promptfoo


def result(test: int, column: int, success: bool, **more: Any) -> dict[str, Any]:
    """One result, as promptfoo describes it."""
    providers = [{"id": "openai:gpt-4.1", "label": "gpt"}, {"id": "anthropic:claude", "label": ""}]
    return {
        "id": f"{test}-{column}", "testIdx": test, "promptIdx": column, "provider": providers[column],
        "prompt": {"raw": "Answer {{q}}\nin one word", "label": "Answer {{q}}\nin one word"},
        "vars": {"q": f"question {test}"}, "testCase": {"vars": {"q": f"question {test}"}, "assert": []},
        "success": success, "score": float(success), "failureReason": 0 if success else 1, "namedScores": {},
        "response": {"output": "yes"}, "gradingResult": {"pass": success, "reason": "said so"}, "latencyMs": 9,
    } | more  # fmt: skip


RESULTS = [result(t, c, (t + c) % 3 > 0) for t in range(6) for c in range(2)]
EXPORTS = {
    "lines": lambda path: lines(path, RESULTS),
    "array": lambda path: document(path, RESULTS),
    "export": lambda path: document(path, {"evalId": "e", "results": {"version": 3, "results": RESULTS}}),
    "indented": lambda path: document(path, {"evalId": "e", "results": {"version": 3, "results": RESULTS}}, 2),
    "summary": lambda path: document(path, {"version": 3, "results": RESULTS, "stats": {}}),
}


@pytest.mark.parametrize("kind", EXPORTS)
def test_results_of_promptfoo(tmp_path: Path, kind: str) -> None:
    runs = records.read(EXPORTS[kind](tmp_path / "results.json"))
    assert runs.names == ("gpt", "anthropic:claude")
    assert runs["gpt"].score.tolist() == [t % 3 > 0 for t in range(6)]
    assert runs["anthropic:claude"].score.tolist() == [(t + 1) % 3 > 0 for t in range(6)]
    assert runs.scores().ids.tolist() == ["0", "1", "2", "3", "4", "5"]
    assert runs["gpt"].column("vars.q").tolist() == [f"question {t}" for t in range(6)]
    assert "score = success" in runs.guesses
    assert runs.notes == ()


def test_a_provider_is_text_in_some_files_and_several_prompts_are_several_models(tmp_path: Path) -> None:
    rows = [
        result(t, 0, t > p, provider="openai:gpt", prompt={"raw": "x" * p, "label": label}, promptIdx=p)
        for t in range(3)
        for p, label in enumerate(("short", "x" * 99))
    ]
    assert records.read(lines(tmp_path / "a.jsonl", rows)).names == ("short", "prompt 2")
    both = rows + [row | {"provider": "anthropic:claude"} for row in rows]
    names = records.read(lines(tmp_path / "b.jsonl", both)).names
    assert names == ("openai:gpt short", "openai:gpt prompt 2", "anthropic:claude short", "anthropic:claude prompt 2")


def test_errors_have_no_score_and_grades_are_mentioned(tmp_path: Path) -> None:
    rows = [result(t, 0, t > 1) for t in range(5)]
    rows[0] |= {"failureReason": 2, "error": "timeout", "response": {}}
    del rows[1]["failureReason"], rows[1]["gradingResult"]
    rows[1] |= {"error": "timeout", "response": None}
    rows[4]["score"] = 0.5
    path = lines(tmp_path / "a.jsonl", rows)
    runs = records.read(path)
    assert runs.left_out == {str(path): {"no score": 2}}
    assert runs.notes == (f"{path}: 'success' is the score; 1 of 5 results have another grade in 'score'",)
    assert records.read(path, score="score")["gpt"].score.tolist() == [0, 0, 1, 1, 0.5]


def test_a_repeated_test_is_one_item(tmp_path: Path) -> None:
    """promptfoo gives every repetition a number of its own: as items of their own their interval was too narrow."""
    rows = [result(3 * t + repeat, 0, repeat > t, testCase={"vars": {"q": t}}) for t in range(4) for repeat in range(3)]
    path = lines(tmp_path / "a.jsonl", rows)
    runs = records.read(path)
    assert runs.scores().ids.tolist() == ["0", "3", "6", "9"]
    assert runs.scores()["gpt"].tolist() == [2 / 3, 1 / 3, 0, 0]
    assert runs.notes == (f"{path}: 8 of 12 results repeat a test: equal tests have one id",)


def outcome(row: dict[str, Any]) -> str:
    return "PASS" if row["success"] else "FAIL"


def promptfoo_csv(*, newer: bool, error: int = -1) -> str:
    out = io.StringIO()
    write = csv.writer(out).writerow
    headings = ["[gpt] Answer {{q}}\nin one, word", "[claude:3.5] Answer {{q}}\nin one, word"]
    beside = ["Status", "Score", "Named Scores", "Metric: f1", "Grader Reason", "Comment"]
    write(["q", "__expected", *(one for heading in headings for one in ([heading, *beside] if newer else [heading]))])
    for t in range(6):
        cells: list[str] = []
        for row in RESULTS[2 * t : 2 * t + 2]:
            said = "ERROR" if t == error else outcome(row)
            graded = [said, f"{row['score']:.2f}", '{"f1": 1}', "1.00", "said so", ""]
            cells += ["the, answer", *graded] if newer else [f"[{said}] the, answer\n---\nmore" + "x" * 300]
        write([f"question {t}", "yes", *cells])
    return out.getvalue()


@pytest.mark.parametrize("newer", [False, True])
def test_the_csv_of_promptfoo(tmp_path: Path, newer: bool) -> None:
    path = tmp_path / "results.csv"
    path.write_text(promptfoo_csv(newer=newer))
    runs = records.read(path)
    assert runs.names == ("gpt", "claude:3.5")
    assert runs["gpt"].score.tolist() == [t % 3 > 0 for t in range(6)]
    assert runs["claude:3.5"].score.tolist() == [(t + 1) % 3 > 0 for t in range(6)]
    assert runs["gpt"].column("q").tolist() == [f"question {t}" for t in range(6)]
    assert runs.guesses == ("id = the row number", "models = gpt, claude:3.5 (the columns *.correct)")
    path.write_text(promptfoo_csv(newer=newer, error=2))
    assert records.read(path).left_out == {str(path): {"no score (gpt)": 1, "no score (claude:3.5)": 1}}


def test_text_that_begins_like_an_outcome_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text,correct\n1,[PASS] a,1\n2,b,0\n")
    (run,) = records.read(path)
    assert run.column("text").tolist() == ["[PASS] a", "b"]


# ---- tables as one object

COLUMNS = ["id", "question", "correct"]
DATA = [[k, {"text": f"q{k}"}, k % 2] for k in range(4)]
TABLES = {
    "MLflow": {"columns": COLUMNS, "data": DATA},
    "pandas": {"columns": COLUMNS, "index": [0, 1, 2, 3], "data": DATA},
    "wandb": {"_type": "table", "column_types": {"params": {}}, "columns": COLUMNS, "data": DATA, "ncols": 3, "nrows": 4},
}  # fmt: skip


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_as_one_object(tmp_path: Path, kind: str, indent: int | None) -> None:
    (run,) = records.read(document(tmp_path / "table.json", TABLES[kind], indent))
    assert run.score.tolist() == [0, 1, 0, 1]
    assert run.ids.tolist() == ["0", "1", "2", "3"]
    assert run.column("question.text").tolist() == ["q0", "q1", "q2", "q3"]


def test_an_index_that_says_something_is_a_column(tmp_path: Path) -> None:
    table = {"columns": ["correct"], "index": ["a", "b"], "data": [[1], [0]]}
    (run,) = records.read(document(tmp_path / "table.json", table), id="index")
    assert run.ids.tolist() == ["a", "b"]


def test_the_scores_of_mlflow(tmp_path: Path) -> None:
    columns = ["inputs", "outputs", "toxicity/v1/score", "toxicity/v1/justification"]
    table = {"columns": columns, "data": [["a", "b", 0.25, "calm"], ["c", "d", 0.75, "rude"]]}
    path = document(tmp_path / "eval_results_table.json", table)
    runs = records.read(path)
    assert runs.runs[0].score.tolist() == [0.25, 0.75]
    assert runs.guesses == ("score = toxicity/v1/score",)
    columns[1] = "relevance/v1/score"
    document(path, table | {"data": [["a", 5, 0.25, "calm"], ["c", 1, 0.75, "rude"]]})
    with pytest.raises(RecordError, match="one column that can be the score; got 2: 'relevance/v1/score', 'toxicity"):
        records.read(path)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"columns": ["acc", "b"], "data": [[1, 2], [3]]}, "row 2: expected a list of 2 values; got 1"),
        ({"columns": ["acc"], "data": [[1], {"acc": 1}]}, "row 2: expected a list of 1 values; got something else"),
        ({"columns": ["acc", "acc"], "data": [[1, 1]]}, "expected a table of different column names; got 'acc' twice"),
        ({"columns": ["acc"], "data": []}, "expected at least one record; got none"),
        ({"columns": ["acc"], "data": [["x"]]}, "row 1: 'acc': expected a number, true or false"),
        ({"evalId": "e", "results": {"results": []}}, "expected results of promptfoo; got none"),
        ({"results": [RESULTS[0], 7]}, "result 2: expected a result of promptfoo; got something else"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, table: dict[str, Any], said: str) -> None:
    path = document(tmp_path / "table.json", table)
    with pytest.raises(RecordError) as caught:
        records.read(path)
    assert said in str(caught.value)
    assert cli.run(["report", str(path)]) == 2


# ---- lighteval


def details(metrics: dict[str, Any], *, newer: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for k in range(4):
        of_row = {name: values[k] for name, values in metrics.items()}
        doc = {"id": str(7 * k), "query": f"q{k}", "task_name": "anli:r1|0", "choices": ["a", "b"], "specific": None}
        old = {"example": f"q{k}", "full_prompt": f"prompt q{k}", "predictions": ["a"], "hash": {"example": "x"}}
        response = {"text": ["a"], "logprobs": [-0.5, -1.0]}
        rows.append({"doc": doc, "metric": of_row, "model_response": response} if newer else old | {"metrics": of_row})
    return rows


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("metric", ["acc", "em", "extractive_match"])
def test_details_of_lighteval(tmp_path: Path, newer: bool, metric: str) -> None:
    path = tmp_path / "details.parquet"
    pq.write_table(pa.Table.from_pylist(details({metric: [1, 0, 1, 1], "lists": [[1]] * 4}, newer=newer)), path)
    runs = records.read(path)
    (run,) = runs
    assert run.score.tolist() == [1, 0, 1, 1]
    assert f"score = {'metric' if newer else 'metrics'}.{metric}" in runs.guesses
    assert (run.ids.tolist() == ["0", "7", "14", "21"]) if newer else (run.ids is None)


def test_details_of_several_metrics_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "details.parquet"
    pq.write_table(pa.Table.from_pylist(details({"em": [1, 0, 1, 1], "f1": [0.5, 0, 1, 1]}, newer=True)), path)
    with pytest.raises(RecordError, match=r"one column that can be the score; got 2: 'metric.em', 'metric.f1'"):
        records.read(path)
    assert records.read(path, score="metric.f1")["details"].score.tolist() == [0.5, 0, 1, 1]


@pytest.mark.parametrize("newer", [False, True])
def test_perplexities_of_lighteval(tmp_path: Path, newer: bool) -> None:
    """Its own values of the same sums have no error."""
    ll, words, size = [-30.5, -41.0, -12.25, -0.0], [9, 12, 4, 1], [40, 61, 20, 0]
    of = {
        "word_perplexity": [{"logprobs": x, "weights": w} for x, w in zip(ll, words, strict=True)],
        "byte_perplexity": [{"logprobs": x, "weights": b} for x, b in zip(ll, size, strict=True)],
        "bits_per_byte": [{"logprobs": x, "weights": b} for x, b in zip(ll, size, strict=True)],
    }
    path = tmp_path / "details.parquet"
    pq.write_table(pa.Table.from_pylist(details(of, newer=newer)), path)
    (model,) = report.build(records.read(path)).models
    assert model.score is None
    assert model.of_text["word perplexity"].value == pytest.approx(math.exp(-sum(ll) / sum(words)))
    assert model.of_text["bits per byte"].value == pytest.approx(-sum(ll) / sum(size) / math.log(2))
    assert model.of_text["bits per byte"].standard_error is not None
    assert model.notes == ("details: 1 of 4 records have no n_bytes",)
    both = details(of | {"acc": [1, 0, 1, 1]}, newer=newer)
    pq.write_table(pa.Table.from_pylist(both), path)
    assert records.read(path)["details"].score.tolist() == [1, 0, 1, 1]


def test_published_details_of_lighteval(data_dir: Path) -> None:
    runs = records.read(data_dir / "formats" / "lighteval" / "details_anli.parquet")
    assert runs["details_anli"].score.tolist() == [0, 0]
    assert set(runs.guesses) == {"id = doc.id", "score = metric.acc"}
    assert runs["details_anli"].ids.tolist() == ["776", "507"]
