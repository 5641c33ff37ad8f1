"""What records say does not depend on how they are written: the type of a column, the order of rows, odd characters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard import cli, records, report
from steelyard.errors import RecordError
from steelyard.records.values import shortest

from .test_records_answers import lines

TYPES = ["json", "json of float32", "float64", "float32", "float16"]


def scored(path: Path, scores: Sequence[float], kind: str) -> Path:
    """Records with scores of a type."""
    if kind.startswith("json"):
        values = [float(np.float32(one)) for one in scores] if kind.endswith("32") else scores
        return lines(path.with_suffix(".jsonl"), [{"id": i, "score": v} for i, v in enumerate(values)])
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = {"id": list(range(len(scores))), "score": pa.array(np.array(scores, dtype=kind))}
    pq.write_table(pa.table(table), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def compared(new: Path, base: Path) -> report.Report:
    return report.comparison(records.read([new, base], names=["new", "base"]), baseline="base")


# ---- the type of a column


@pytest.mark.parametrize("kind", TYPES)
def test_the_type_of_a_column_changes_no_figure(tmp_path: Path, kind: str) -> None:
    new, base = [0.2, 0.4, 0.7, 0.8], [0.1, 0.3, 0.6, 0.7]
    (pair,) = compared(scored(tmp_path / "n", new, kind), scored(tmp_path / "b", base, kind)).pairs
    (json_pair,) = compared(scored(tmp_path / "m", new, "json"), scored(tmp_path / "c", base, "json")).pairs
    assert pair.difference == json_pair.difference
    assert (pair.verdict, pair.p_value) == (json_pair.verdict, json_pair.p_value) == ("undecided", pair.p_value)


@pytest.mark.parametrize("kind", TYPES)
def test_a_model_is_not_worse_than_itself_in_another_type(tmp_path: Path, kind: str) -> None:
    scores = [0.1, 0.2, 0.4, 0.8, 1, 0] * 10
    paths = scored(tmp_path / "a", scores, kind), scored(tmp_path / "b", scores, "json")
    assert records.read(paths[0]).runs[0].score.tolist() == scores
    (pair,) = compared(*paths).pairs
    assert (pair.difference.value, pair.wins, pair.losses, pair.verdict) == (0, 0, 0, "undecided")


@pytest.mark.parametrize("column", ["confidence", "loglikelihood"])
def test_other_numbers_stay_as_they_are_written(tmp_path: Path, column: str) -> None:
    sign = -1 if column == "loglikelihood" else 1
    values = [sign * float(np.float32(v)) for v in (0.1, 0.7, 0.9)]
    (run,) = records.read(lines(tmp_path / "a.jsonl", [{"acc": 1, column: v} for v in values]))
    assert getattr(run, column).tolist() == values


def test_the_shortest_decimal_is_the_one_that_is_written() -> None:
    rng = np.random.default_rng(7)
    drawn = np.concatenate([rng.random(2000), -rng.exponential(30, 2000), 10 ** rng.uniform(-40, 6, 2000)])
    kept = drawn.astype(np.float32)
    assert shortest(kept.astype(np.float64)).tolist() == [float(str(one)) for one in kept]
    assert shortest(drawn) is drawn  # not all of them are float32
    odd = np.array([np.inf, -np.inf, np.nan, 3, np.float32(0.1)])
    assert np.array_equal(shortest(odd), [np.inf, -np.inf, np.nan, 3, 0.1], equal_nan=True)
    for same in (
        [0, 1, 1],
        [1e300, np.float32(0.1)],
        [2**24 + 1, np.float32(0.1)],
        [0.25, 0.5, 1],
        [511 / 512, 1 / 4096],
        [1e300, 0.25],
        [0.1, 1e-300],
    ):
        assert shortest(np.array(same, dtype=np.float64)).tolist() == same


# ---- the order of rows


def epochs(of: Sequence[str]) -> list[dict[str, Any]]:
    """Two records an id, in the clusters of ``of``."""
    return [{"id": i // 2, "epoch": i % 2, "acc": i % 3 > 0, "cluster": one} for i, one in enumerate(of)]


@pytest.mark.parametrize("named", [None, "cluster"])
@pytest.mark.parametrize("turned", [False, True])
def test_records_of_one_id_are_in_one_cluster(tmp_path: Path, named: str | None, turned: bool) -> None:
    rows = epochs(["a", "a", "b", "c", "d", "d"])
    path = lines(tmp_path / "r.jsonl", rows[::-1] if turned else rows)
    there, before = (4, 3)
    first, second = ("c", "b")[:: -1 if turned else 1]
    said = (
        rf"r\.jsonl, line {there}: expected one cluster for all records of an id in run 'r'; got id '1' in cluster "
        rf"'{first}' there and in '{second}' on .*r\.jsonl, line {before}; "
        "pass cluster='none' to group the records by their id"
    )
    with pytest.raises(RecordError, match=said):
        records.read(path, cluster=named)
    (run,) = records.read(path, cluster="none")
    assert run.cluster.tolist() == run.ids.tolist()


def test_the_command_says_how_to_group_by_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lines(tmp_path / "r.jsonl", epochs(["a", "b", "c", "d"]))
    assert cli.run(["report", str(path)]) == 2
    assert "pass --cluster none to group the records by their id" in " ".join(capsys.readouterr().err.split())


def test_clusters_of_whole_ids_are_read(tmp_path: Path) -> None:
    (run,) = records.read(lines(tmp_path / "r.jsonl", epochs("aaaabb")))
    assert run.cluster.tolist() == list("aaaabb")


def test_a_column_that_a_report_groups_by_holds_whole_ids(tmp_path: Path) -> None:
    rows = [row | {"seed": row["epoch"]} for row in epochs("aabbcc")]
    runs = records.read(lines(tmp_path / "r.jsonl", rows))
    with pytest.raises(RecordError, match=r"one cluster for all records of an id.* choose a column with one value"):
        report.build(runs, clusters="seed")
    assert report.build(runs, clusters="cluster").models[0].score.n_clusters == 3


# ---- models without scores


def wide(path: Path, of_c: Any) -> Path:
    rows = [
        {"id": i, "a": {"acc": i % 2, "confidence": 0.5}, "b": {"acc": 1, "confidence": 0.5}, "c": {"acc": of_c}}
        for i in range(6)
    ]
    return lines(path, rows)


@pytest.mark.parametrize(("value", "why"), [(None, "no score"), ([1, 2], "with a list as 'c.acc'")])
def test_a_model_without_scores_stays_a_model(tmp_path: Path, value: Any, why: str) -> None:
    path = wide(tmp_path / "w.jsonl", value)
    runs = records.read(path)
    assert runs.names == ("a", "b", "c")
    assert runs.left_out == {str(path): {f"{why} (c)": 6}}
    assert [run.confidence is None for run in runs] == [False, False, True]
    filled = records.read(path, missing="wrong")
    assert (filled["c"].score.tolist(), filled["c"].no_score, filled.left_out) == ([0] * 6, 6, {})
    assert records.read(path, models=["a", "b"]).left_out == {}
    made = str(report.build(runs))
    assert "expected scores of 'c'; got none (left out: 6 " in " ".join(made.split())


def test_a_model_without_scores_is_known_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = wide(tmp_path / "w.jsonl", None)
    plain = tmp_path / "p.csv"
    plain.write_text("id,a,b,c\n1,1,0,\n2,0,1,\n3,1,1,\n")
    for file, base, new in ((path, "a", "c"), (path, "c", "a"), (plain, "a", "c")):
        words = ["compare", str(file), "--baseline", base, "--models", new]
        assert cli.run(words) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "expected scores of 'c'; got none (left out:" in said
        assert "or give such records a score with --missing" in said
        assert cli.run([*words, "--missing", "wrong"]) == 0
        capsys.readouterr()


def test_one_column_without_values_beside_the_score_is_said(tmp_path: Path) -> None:
    rows = [{"id": i, "out": {"score": i % 2}, "meta": {"score": None}} for i in range(4)]
    path = lines(tmp_path / "a.jsonl", rows)
    runs = records.read(path)
    assert runs["a"].score.tolist() == [0, 1, 0, 1]
    assert runs.notes == (f"{path}: 'meta.score' is not read as a score: no value in it is a number",)


def test_lists_beside_a_guessed_score_are_counted(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": i, "acc": 1, "correct": [1]} for i in range(3)])
    assert records.read(path).left_out == {str(path): {"with a list as 'correct'": 3}}
    assert records.read(path, score="acc").left_out == {}


# ---- odd characters


def test_text_that_differs_by_nul_stays_apart(tmp_path: Path) -> None:
    rows = [{"id": one, "model": m, "acc": 1, "cluster": one} for m in ("m", "m\0") for one in ("q", "q\0", "q\0\0")]
    runs = records.read(lines(tmp_path / "a.jsonl", rows))
    assert runs.names == ("m", "m\\x00")
    assert runs["m"].ids.tolist() == runs["m"].cluster.tolist() == ["q", "q\\x00", "q\\x00\\x00"]
    assert runs["m"].column("id").tolist() == runs["m"].ids.tolist()
    assert len(runs.scores()["m"]) == 3
    twice = [{"id": 1, "acc": i, "epoch": one} for i, one in enumerate(["e", "e\0"])]
    assert len(set(records.read(lines(tmp_path / "b.jsonl", twice))["b"].epoch.tolist())) == 2


@pytest.mark.parametrize(("first", "second"), [("q1", " q1"), (1, "1.0")])
def test_ids_that_look_alike_are_said(tmp_path: Path, first: Any, second: Any) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": one, "acc": 1} for one in (first, second, "other")])
    runs = records.read(path)
    assert len(runs["a"]) == 3
    assert runs.notes == (
        f"{path}: {str(first)!r} and {str(second)!r} count as different ids, "
        "though they differ only by blanks or by 1.0 for 1",
    )
    assert runs.notes[0] in json.dumps(report.build(runs).to_dict(), ensure_ascii=False)
