"""Readers of evaluation records: real files, formats, guesses, wide and long files, epochs, matching."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard as sy
from steelyard import records
from steelyard.errors import RecordError

GSM8K = {"6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458, "175b_verification": 742}


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def graded(path: Path, scores: dict[str, float]) -> Path:
    return lines(path, [{"id": one, "correct": score} for one, score in scores.items()])


# ---- real files


def test_gsm8k_is_a_wide_file_of_four_models(data_dir: Path) -> None:
    runs = records.read(data_dir / "gsm8k_four_models.jsonl")
    assert runs.names == tuple(GSM8K)
    assert {run.name: (int(run.score.sum()), len(run)) for run in runs} == {m: (k, 1319) for m, k in GSM8K.items()}
    assert any("is_correct" in guess for guess in runs.guesses)
    assert "id = the row number" in runs.guesses
    assert runs.left_out == {}
    scores = runs.scores()
    difference = scores["6b_verification"] - scores["175b_finetuning"]
    assert difference.mean() == pytest.approx(0.0432146, abs=5e-8)
    assert difference.std(ddof=1) / 1319**0.5 == pytest.approx(0.0143611, abs=5e-8)
    assert (np.sum(difference > 0), np.sum(difference < 0)) == (209, 152)


@pytest.mark.parametrize(
    ("name", "accuracy"),
    [("densenet40_c10", 0.9242), ("densenet40_c100", 0.7), ("resnet110_c10", 0.9356), ("resnet110_c100", 0.7148)],
)
def test_calibration_csv_scores_a_pair_of_columns(data_dir: Path, name: str, accuracy: float) -> None:
    runs = records.read(data_dir / "calibration" / f"{name}.csv")
    run = runs[name]
    assert run.score.mean() == accuracy
    assert run.confidence.shape == (10_000,)
    assert 0 < run.confidence.min() < run.confidence.max() <= 1
    assert set(runs.guesses) == {"confidence = confidence", "score = true_label==pred_label"}
    raw = np.genfromtxt(data_dir / "calibration" / f"{name}.csv", delimiter=",", skip_header=1)
    np.testing.assert_array_equal(run.confidence, raw[:, 2])
    np.testing.assert_array_equal(run.score, raw[:, 0] == raw[:, 1])


def test_lm_eval_samples_under_a_json_name(data_dir: Path) -> None:
    (path,) = (data_dir / "lm_eval").glob("samples_*.json")
    runs = records.read(path)
    (run,) = runs
    assert run.name == "bias_classification"
    assert len(run) == 609
    assert run.score.mean() == pytest.approx(0.5369458128078818, abs=1e-15)
    assert run.score.std(ddof=1) / 609**0.5 == pytest.approx(0.020222244091885166, rel=1e-12)
    assert runs.left_out == {str(path): {"with a list as 'f1'": 609}}
    assert runs.scores("acc_norm")[run.name].mean() == pytest.approx(0.5369458128078818, abs=1e-15)
    assert set(runs.scores().column("doc.Bias").tolist()) == {"Yes", "No"}
    with pytest.raises(RecordError, match=r"line 1: 'f1': expected a number; got a list"):
        runs.scores("f1")


def test_lm_eval_results_file_is_named_as_what_it_is(data_dir: Path) -> None:
    (path,) = (data_dir / "lm_eval").glob("results_*.json")
    with pytest.raises(RecordError, match="results file; give the samples"):
        records.read(path)


def test_matched_scores_go_into_the_rooms_as_they_are(data_dir: Path) -> None:
    scores = records.read(data_dir / "gsm8k_four_models.jsonl").scores()
    found = sy.compare(scores, baseline="175b_finetuning")
    row = found.names.index("6b_verification")
    assert found.difference.value[row] == pytest.approx(0.0432146, abs=5e-8)
    assert found.difference.standard_error[row] == pytest.approx(0.0143611, abs=5e-8)
    assert found.p_value[row] == pytest.approx(0.00268739, abs=5e-9)
    assert (found.wins[row], found.losses[row]) == (209, 152)
    assert sy.estimate(scores)["6b_verification"].value == 515 / 1319


@pytest.mark.parametrize(
    ("name", "ece"),
    [("densenet40_c10", 5.5003), ("densenet40_c100", 21.1563), ("resnet110_c10", 4.7504), ("resnet110_c100", 18.4805)],
)
def test_confidences_and_scores_give_the_published_calibration_errors(data_dir: Path, name: str, ece: float) -> None:
    (run,) = records.read(data_dir / "calibration" / f"{name}.csv")
    found = sy.reliability(run.confidence, run.score == 1, n_bins=15)
    assert 100 * float(found.ece) == pytest.approx(ece, abs=5e-5)


# ---- formats

ROWS = [
    {"id": 1, "correct": True, "confidence": 0.75, "doc": {"subject": "law"}},
    {"id": 2, "correct": False, "confidence": 0.5, "doc": {"subject": "art"}},
    {"id": 3, "correct": True, "confidence": 1.0, "doc": {"subject": "law"}},
]


def as_csv(separator: str) -> bytes:
    rows = [["id", "correct", "confidence", "doc.subject"]]
    rows += [[str(r["id"]), str(r["correct"]), str(r["confidence"]), r["doc"]["subject"]] for r in ROWS]
    return "".join(separator.join(row) + "\r\n" for row in rows).encode()


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
FORMATS = {
    "a.jsonl": JSONL,
    "lines.json": JSONL,
    "array.json": json.dumps(ROWS).encode(),
    "indented.json": json.dumps(ROWS, indent=2).encode(),
    "bom.jsonl": b"\xef\xbb\xbf" + JSONL,
    "crlf.jsonl": JSONL.replace(b"\n", b"\r\n"),
    "blank.jsonl": b"\n" + JSONL.replace(b"\n", b"\n  \n"),
    "no_newline.jsonl": JSONL.rstrip(),
    "a.jsonl.gz": gzip.compress(JSONL),
    "packed_under_a_plain_name.jsonl": gzip.compress(JSONL),
    "a.csv": as_csv(","),
    "bom.csv": b"\xef\xbb\xbf" + as_csv(","),
    "a.tsv": as_csv("\t"),
    "semicolon.csv": as_csv(";"),
    "unicode_text_of_excel.txt": as_csv("\t").decode().encode("utf-16"),
    "big_endian.csv": b"\xfe\xff" + as_csv(",").decode().encode("utf-16-be"),
    "separator_named.csv": b"sep=;\r\n" + as_csv(";"),
    "separator_named_after_bom.csv": b'\xef\xbb\xbf"sep=,"\r\n' + as_csv(","),
    "separator_named_bar.csv": b"sep=|\n" + as_csv("|"),
    "a.csv.gz": gzip.compress(as_csv(",")),
    "a.jsonl.bz2": bz2.compress(JSONL),
    "two_streams.jsonl.bz2": bz2.compress(JSONL[:100]) + bz2.compress(JSONL[100:]),
    "a.csv.xz": lzma.compress(as_csv(",")),
    "a.jsonl.zst": zstd(JSONL),
    "packed_zstd_under_a_plain_name.json": zstd(json.dumps(ROWS, indent=1).encode()),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_run(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FORMATS[name])
    check_rows(records.read(path))


def check_rows(runs: records.Runs) -> None:
    (run,) = runs
    assert run.ids.tolist() == ["1", "2", "3"]
    assert run.score.tolist() == [1.0, 0.0, 1.0]
    assert run.confidence.tolist() == [0.75, 0.5, 1.0]
    assert run.column("doc.subject").tolist() == ["law", "art", "law"]
    assert runs.left_out == {}
    assert set(runs.guesses) == {"id = id", "score = correct", "confidence = confidence"}


@pytest.mark.parametrize("packed", [None, gzip.compress, bz2.compress, lzma.compress, zstd])
def test_parquet_with_structs_and_lists(tmp_path: Path, packed: Callable[[bytes], bytes] | None) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([row | {"choices": ["x", "y"]} for row in ROWS]), path)
    if packed:
        path.write_bytes(packed(path.read_bytes()))
    runs = records.read(path)
    check_rows(runs)
    with pytest.raises(RecordError, match="row 1: choices: expected one value in every row; got a list"):
        runs.runs[0].column("choices")


def test_csv_keeps_quoted_separators_newlines_and_long_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,completion,correct\na,"one, two\nthree",1\nb,' + "x" * 500_000 + ",0\nc,,oops\n")
    with pytest.raises(RecordError, match=r"line 5: 'correct': expected a number.*got 'oops'"):
        records.read(path)
    path.write_text(path.read_text().replace("oops", "N/A"))
    runs = records.read(path)
    assert runs.runs[0].score.tolist() == [1.0, 0.0]
    assert runs.left_out == {str(path): {"no score": 1}}
    first, second = runs.runs[0].column("completion").tolist()
    assert first == "one, two\nthree"
    assert len(second) < 100


def test_a_separator_inside_quotes_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,"which; of; these; is it",correct\na,x,1\nb,y,0\n')
    (run,) = records.read(path)
    assert run.score.tolist() == [1.0, 0.0]
    assert run.column("which; of; these; is it").tolist() == ["x", "y"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_where_the_comma_does_not_separate(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "a.csv"
    rows = [["id", "acc", "confidence", "words", "price"], ["1,5", "0,5", "1", "0,5", "1,250"]]
    rows += [["2,5", "1", "2,5e-1", "half", "0,5"], ["3,5", "", "0,125", "0,5", "2,250"]]
    path.write_text("".join(separator.join(row) + "\n" for row in rows))
    runs = records.read(path)
    (run,) = runs
    assert run.score.tolist() == [0.5, 1.0]
    assert run.confidence.tolist() == [1.0, 0.25]
    assert run.ids.tolist() == ["1.5", "2.5"]
    assert run.column("words").tolist() == ["0,5", "half"]
    assert run.column("price").tolist() == ["1.250", "0.5"]
    assert runs.notes == (
        f"{path}: numbers with a decimal comma are read in 'id', 'acc', 'confidence', 'price'",
    )  # fmt: skip


# ---- values


def test_scores_come_as_bools_numbers_and_text(tmp_path: Path) -> None:
    values = [True, False, 1, 0, 0.5, "True", "false", " 1.0 ", "-10.0", "1e-3"]
    path = lines(tmp_path / "a.jsonl", [{"acc": value} for value in values])
    expected = [1, 0, 1, 0, 0.5, 1, 0, 1, -10, 0.001]
    assert records.read(path).runs[0].score.tolist() == expected


@pytest.mark.parametrize("nothing", [None, "", "N/A", "na", "null", {"nested": 1}])
def test_rows_without_a_score_are_left_out_and_counted(tmp_path: Path, nothing: Any) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": 1, "acc": 1}, {"id": 2, "acc": nothing}, {"id": 3}])
    runs = records.read(path)
    assert runs.runs[0].ids.tolist() == ["1"]
    assert runs.left_out == {str(path): {"no score": 2}}
    assert runs.runs[0].left_out == {"no score": 2}


def test_a_key_that_comes_late_is_not_lost(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": i, "correct": 1} for i in range(20_000)]
    rows[-1]["late"] = 7
    path = lines(tmp_path / "a.jsonl", rows)
    run = records.read(path).runs[0]
    with pytest.raises(RecordError, match="line 1: late: expected one value in every row; got none"):
        run.column("late")


@pytest.mark.parametrize(
    ("first", "second", "score"),
    [(3, "3", 1), ("3.0", 3, 1), (True, "True", 1), ("B", "B", 1), ("B", "A", 0), ("07", "7", 0), (0, 0.0, 1)],
)
def test_a_pair_is_compared_by_what_it_says(tmp_path: Path, first: Any, second: Any, score: float) -> None:
    path = lines(tmp_path / "a.jsonl", [{"target": first, "prediction": second}])
    assert records.read(path).runs[0].score.tolist() == [score]


def test_ids_of_numbers_and_text_are_one(tmp_path: Path) -> None:
    a = lines(tmp_path / "a.jsonl", [{"id": 1, "acc": 1}, {"id": 2.0, "acc": 0}, {"id": "10", "acc": 1}])
    b = tmp_path / "b.csv"
    b.write_text("id,acc\n10,0\n2,1\n1,1\n")
    scores = records.read([a, b]).scores()
    assert scores.ids.tolist() == ["1", "2", "10"]
    assert scores["b"].tolist() == [1, 1, 0]


def test_long_text_matches_by_its_whole_content(tmp_path: Path) -> None:
    prompt = "x" * 1000
    a = lines(tmp_path / "a.jsonl", [{"id": prompt + "1", "acc": 1}, {"id": prompt + "2", "acc": 0}])
    b = lines(tmp_path / "b.jsonl", [{"id": prompt + "2", "acc": 1}, {"id": prompt + "3", "acc": 0}])
    scores = records.read([a, b]).scores()
    assert scores["a"].tolist() == [0]
    assert scores["b"].tolist() == [1]
    assert scores.left_out == {"unmatched": 2}


def test_confidence_may_be_missing_in_some_rows(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"acc": 1, "confidence": 0.5}, {"acc": 0}, {"acc": 1, "confidence": None}])
    run = records.read(path).runs[0]
    assert np.isnan(run.confidence).tolist() == [False, True, True]
    known = run.known("confidence")
    assert (known.confidence.tolist(), known.score.tolist()) == ([0.5], [1.0])
    assert known.left_out == {"no confidence": 2}


def test_loglikelihood_alone_is_a_record(tmp_path: Path) -> None:
    rows = [{"loglikelihood": -12.5, "n_tokens": 7}, {"loglikelihood": float("-inf"), "n_tokens": 1}, {"text": "x"}]
    path = lines(tmp_path / "a.jsonl", rows)
    runs = records.read(path)
    (run,) = runs
    assert run.score is None
    assert run.loglikelihood.tolist() == [-12.5, float("-inf")]
    assert run.n_tokens.tolist() == [7, 1]
    assert runs.left_out == {str(path): {"no loglikelihood": 1}}
    with pytest.raises(RecordError, match="no score column; name one with score="):
        runs.scores()


def test_n_tokens_is_one_where_the_file_does_not_say(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"acc": 1, "loglikelihood": -1}, {"acc": 1}])
    run = records.read(path).runs[0]
    assert run.n_tokens.tolist() == [1, 1]
    assert np.isnan(run.loglikelihood).tolist() == [False, True]
    rows = [{"acc": 1, "loglikelihood": -1, "n_tokens": 3}, {"acc": 1, "loglikelihood": None, "n_tokens": None}]
    (run,) = records.read(lines(tmp_path / "b.jsonl", rows))
    assert run.n_tokens.tolist() == [3, 1]


# ---- models


def test_a_long_file_holds_many_models(tmp_path: Path) -> None:
    rows = [{"question_id": q, "model": m, "score": (q + len(m)) % 2} for m in ("a", "bb") for q in range(4)]
    path = lines(tmp_path / "dump.jsonl", [*rows, {"question_id": 9, "score": 1}])
    runs = records.read(path)
    assert runs.names == ("a", "bb")
    assert runs.scores()["a"].tolist() == [1, 0, 1, 0]
    assert runs.scores()["bb"].tolist() == [0, 1, 0, 1]
    assert runs.left_out == {str(path): {"no model": 1}}
    only = records.read(path, models=["bb"])
    assert only.names == ("bb",)
    assert only.left_out == {str(path): {"no model": 1, "of a model not asked for": 4}}
    with pytest.raises(ValueError, match="models: expected some of 'a', 'bb'; got 'c'"):
        records.read(path, models=["c"])


def test_shards_of_one_model_are_one_run(tmp_path: Path) -> None:
    paths = [
        lines(tmp_path / f"{i}.jsonl", [{"id": 2 * i + k, "model": "m", "correct": k} for k in range(2)])
        for i in range(3)
    ]
    (run,) = records.read(paths)
    assert (run.name, run.ids.tolist(), len(run.files)) == ("m", ["0", "1", "2", "3", "4", "5"], 3)


def test_wide_files_bring_each_models_own_columns(tmp_path: Path) -> None:
    rows = [
        {"id": i, "a": {"is_correct": 1, "confidence": 0.9}, "b": {"is_correct": i, "confidence": 0.5 + i / 4}}
        for i in range(2)
    ]
    rows.append({"id": 2, "a": {"is_correct": 0, "confidence": 0.1}, "b": {"is_correct": None, "confidence": 0.2}})
    path = lines(tmp_path / "wide.jsonl", rows)
    runs = records.read(path)
    assert runs["a"].confidence.tolist() == [0.9, 0.9, 0.1]
    assert runs["b"].confidence.tolist() == [0.5, 0.75]
    assert runs.left_out == {str(path): {"no score (b)": 1}}
    scores = runs.scores()
    assert scores.ids.tolist() == ["0", "1"]
    assert scores.left_out == {"unmatched": 1, "no score": 1}
    assert runs.scores("confidence")["b"].tolist() == [0.5, 0.75, 0.2]
    assert records.read(path, score="is_correct", models=["b"]).names == ("b",)


def test_names_of_runs(tmp_path: Path) -> None:
    paths = []
    for folder in ("base", "new"):
        (tmp_path / folder).mkdir()
        name = "samples_gsm8k_2025-01-31T10-00-00.123456.jsonl"
        paths.append(graded(tmp_path / folder / name, {"x": 1.0}))
    assert records.read(paths).names == ("base", "new")
    assert records.read(paths[0]).names == ("gsm8k",)
    assert records.read(paths, names=["old", "young"]).names == ("old", "young")
    assert records.read(graded(tmp_path / "v1.2.jsonl", {"x": 1.0})).names == ("v1.2",)


# ---- lm-evaluation-harness


def samples(path: Path, **scores: list[float]) -> Path:
    rows = [
        {"doc_id": i, "doc": {"subject": "s"}, "resps": [["x"]], "doc_hash": f"h{i}", "filter": name, "exact_match": v}
        for name, values in scores.items()
        for i, v in enumerate(values)
    ]
    return lines(path, rows)


def test_filters_are_chosen_not_mixed(tmp_path: Path) -> None:
    path = samples(tmp_path / "samples_gsm8k.jsonl", strict=[1.0, 0.0], flexible=[1.0, 1.0])
    with pytest.raises(RecordError, match="expected one filter; got 2: flexible, strict; choose with filter="):
        records.read(path)
    runs = records.read(path, filter="strict")
    assert runs.runs[0].score.tolist() == [1, 0]
    assert runs.left_out == {str(path): {"with another filter": 2}}
    with pytest.raises(RecordError, match="expected records with filter 'loose'; got flexible, strict"):
        records.read(path, filter="loose")


def test_different_tasks_do_not_pair_by_number(tmp_path: Path) -> None:
    paths = [samples(tmp_path / f"samples_{task}.jsonl", none=[1.0, 0.0]) for task in ("arc", "gsm8k")]
    runs = records.read(paths, names=["a", "b"])
    assert runs["a"].ids.tolist() == ["arc/0", "arc/1"]
    with pytest.raises(RecordError, match="ids that all models have; got 'a' has 'arc/0'"):
        runs.scores()
    for merged in (*records.read(paths, names=["m", "m"]), *records.read(paths)):  # one folder is one model
        assert merged.ids.tolist() == ["arc/0", "arc/1", "gsm8k/0", "gsm8k/1"]


def test_equal_numbers_of_different_documents_are_refused(tmp_path: Path) -> None:
    a = samples(tmp_path / "a.jsonl", none=[1.0, 0.0])
    b = tmp_path / "b.jsonl"
    b.write_text(a.read_text().replace('"h1"', '"other"'))
    with pytest.raises(RecordError, match=r"doc_id '1': expected the document that 'a' has.*another doc_hash"):
        records.read([a, b]).scores()
    assert records.read([a, b], id="doc_id").scores().ids.tolist() == ["0", "1"]
    assert records.read([a, b], id="doc_hash").scores().left_out == {"unmatched": 2}


def test_a_single_metric_of_another_name_is_the_score(tmp_path: Path) -> None:
    row = {
        "doc_id": 0,
        "doc": {"score": 5},
        "resps": [[["-1", "False"]]],
        "target": "x",
        "mae": 0.5,
        "bleu": ["a", "b"],
    }
    path = lines(tmp_path / "a.jsonl", [row])
    runs = records.read(path)
    assert "score = mae" in runs.guesses
    assert runs.left_out == {str(path): {"with a list as 'bleu'": 1}}
    path = lines(tmp_path / "b.jsonl", [row | {"mse": 0.25}])
    with pytest.raises(RecordError, match=r"one column that can be the score; got 2: 'mae', 'mse'; choose with score="):
        records.read(path)


def test_an_old_harness_array_with_text_scores(tmp_path: Path) -> None:
    path = tmp_path / "task_write_out_info.json"
    rows = [{"doc_id": i, "logit_0": "-1.5", "truth": "0", "acc": str(i == 0)} for i in range(3)]
    path.write_text(json.dumps(rows))
    assert records.read(path).runs[0].score.tolist() == [1, 0, 0]


# ---- epochs


def test_epochs_are_one_cluster_an_id_and_pair_by_their_mean(tmp_path: Path) -> None:
    rows = [{"id": i, "epoch": e, "correct": (i + e) % 3 == 0} for i in range(4) for e in range(3)]
    a = lines(tmp_path / "a.jsonl", rows)
    b = graded(tmp_path / "b.jsonl", {"0": 1, "1": 0, "2": 1, "3": 1})
    runs = records.read([a, b], epoch=None)
    run = runs["a"]
    assert len(run) == 12
    assert run.cluster.tolist() == run.ids.tolist()
    assert runs["b"].cluster is None
    scores = runs.scores()
    assert scores["a"].tolist() == [1 / 3] * 4
    assert scores["b"].tolist() == [1, 0, 1, 1]
    assert scores.epochs["a"].tolist() == [3] * 4
    assert scores.epochs["b"].tolist() == [1] * 4


def test_equal_ids_are_refused_unless_they_are_epochs(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": 7, "acc": 1}, {"id": 8, "acc": 1}, {"id": 7, "acc": 0}])
    with pytest.raises(
        RecordError, match=r"line 3: expected each id once in run 'a'; got id '7' there and on .*line 1;"
    ):
        records.read(path)
    runs = records.read(path, repeats="epochs")
    assert runs.scores()["a"].tolist() == [0.5, 1.0]
    assert runs["a"].cluster.tolist() == ["7", "8", "7"]
    same = lines(tmp_path / "b.jsonl", [{"id": 7, "epoch": 1, "acc": 1}, {"id": 7, "epoch": 1, "acc": 0}])
    with pytest.raises(RecordError, match="each id once an epoch"):
        records.read(same)
    with pytest.raises(ValueError, match="repeats: expected 'epochs' or None; got 'mean'"):
        records.read(path, repeats="mean")


def test_a_named_cluster_stands_where_ids_repeat(tmp_path: Path) -> None:
    rows = [
        {"id": i, "epoch": e, "correct": 1, "cluster": "even" if i % 2 == 0 else "odd"}
        for i in range(3)
        for e in (1, 2)
    ]
    (run,) = records.read(lines(tmp_path / "a.jsonl", rows))
    assert run.cluster.tolist() == ["even", "even", "odd", "odd", "even", "even"]


# ---- matching


def test_unmatched_ids_are_counted_on_both_sides(tmp_path: Path) -> None:
    a = graded(tmp_path / "a.jsonl", {"x": 1, "y": 0, "z": 1})
    b = graded(tmp_path / "b.jsonl", {"y": 1, "z": 0, "u": 1, "v": 1})
    scores = records.read([a, b]).scores()
    assert scores.ids.tolist() == ["y", "z"]
    assert {name: values.tolist() for name, values in scores.items()} == {"a": [0, 1], "b": [1, 0]}
    assert scores.left_out == {"unmatched": 3}
    assert scores.unmatched == {"a": 1, "b": 2}


def test_models_that_are_left_out_do_not_unmatch(tmp_path: Path) -> None:
    a = graded(tmp_path / "a.jsonl", {"x": 1, "y": 0})
    b = graded(tmp_path / "b.jsonl", {"x": 1, "y": 1})
    c = graded(tmp_path / "c.jsonl", {"x": 0})
    runs = records.read([a, b, c])
    assert runs.scores().ids.tolist() == ["x"]
    assert runs.scores(models=["b", "a"]).ids.tolist() == ["x", "y"]
    assert list(runs.scores(models=["b", "a"])) == ["b", "a"]
    with pytest.raises(KeyError, match="no run 'd'"):
        runs.scores(models=["a", "d"])


def test_files_pair_only_by_an_id(tmp_path: Path) -> None:
    a = lines(tmp_path / "a.jsonl", [{"acc": 1}, {"acc": 0}])
    b = lines(tmp_path / "b.jsonl", [{"acc": 1}, {"acc": 1}, {"acc": 1}])
    with pytest.raises(RecordError, match=r"an id column to match 'a' by; got none; .*id='row'"):
        records.read([a, b]).scores()
    scores = records.read([a, b], id="row").scores()
    assert scores.ids.tolist() == ["1", "2"]
    assert scores.unmatched == {"a": 0, "b": 1}
    alone = records.read(a).scores()
    assert alone.ids is None
    assert alone["a"].tolist() == [1, 0]


def test_columns_follow_the_match_and_must_agree(tmp_path: Path) -> None:
    rows = [{"id": i, "acc": 1, "doc": {"subject": f"s{i % 2}"}, "words": i} for i in range(4)]
    a = lines(tmp_path / "a.jsonl", rows)
    b = lines(tmp_path / "b.jsonl", rows[::-1])
    scores = records.read([a, b]).scores()
    assert scores.column("doc.subject").tolist() == ["s0", "s1", "s0", "s1"]
    assert scores.column("words").tolist() == [0, 1, 2, 3]
    assert scores.column("words").dtype == np.int64
    with pytest.raises(RecordError, match=r"a column 'doc.subjec' for column\(\); got the columns 'doc.subject'"):
        scores.column("doc.subjec")
    c = lines(tmp_path / "c.jsonl", [row | {"words": 9} for row in rows])
    with pytest.raises(RecordError, match="column 'words', id '0': expected one value for all records of an id"):
        records.read([a, c]).scores().column("words")


ID_AND_SCORE = st.lists(st.tuples(st.integers(0, 30), st.floats(-1e6, 1e6)), min_size=1, max_size=60)


@given(rows=ID_AND_SCORE, other=ID_AND_SCORE, seed=st.integers(0, 2**32))
def test_the_order_of_rows_never_changes_matched_scores(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float]], other: list[tuple[int, float]], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("shuffled")
    shared = [(1000, 0.25)]  # so that some id matches

    def read(order: random.Random | None) -> records.Scores:
        paths = []
        for name, of_model in (("a", rows), ("b", other)):
            listed = [{"id": i, "acc": score} for i, score in of_model + shared]
            if order is not None:
                order.shuffle(listed)
            paths.append(lines(folder / f"{name}.jsonl", listed))
        return records.read(paths, repeats="epochs").scores()

    before, after = read(None), read(random.Random(seed))
    assert before.ids.tolist() == after.ids.tolist()
    assert before.left_out == after.left_out
    for model in before:
        assert before[model].tobytes() == after[model].tobytes()


# ---- guesses


def test_an_ambiguous_file_is_asked_about(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": 1, "acc": 1, "exact_match": 0, "confidence": 0.5, "prob": 0.4}])
    with pytest.raises(RecordError, match="the score; got 2: 'acc', 'exact_match'; choose with score="):
        records.read(path, confidence="prob")
    runs = records.read(path, confidence="none", score="exact_match")
    assert runs.runs[0].score.tolist() == [0]
    assert runs.runs[0].confidence is None
    assert runs.guesses == ("id = id",)


def test_two_files_must_mean_the_same_score(tmp_path: Path) -> None:
    a = lines(tmp_path / "a.jsonl", [{"id": 1, "acc": 1}])
    b = lines(tmp_path / "b.jsonl", [{"id": 1, "exact_match": 1}])
    with pytest.raises(RecordError, match=r"the same score column in every file; got 'acc' in .*'exact_match' in"):
        records.read([a, b])


def test_a_file_without_a_score_lists_its_columns(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": 1, "grade": 1, "doc": {"text": "x"}}])
    with pytest.raises(RecordError, match=r"got the columns 'id', 'grade', 'doc.text'; likely score='grade'"):
        records.read(path)
    with pytest.raises(
        RecordError, match="a column 'grad' for score=; got the columns 'grade'; did you mean score='grade'"
    ):
        records.read(path, score="grad")
    with pytest.raises(RecordError, match=r"a column 'doc' for cluster=; got the columns 'doc.text'"):
        records.read(path, score="grade", cluster="doc")


def test_progress_tells_bytes(tmp_path: Path) -> None:
    path = graded(tmp_path / "a.jsonl", {str(i): 1 for i in range(20_000)})
    told: list[tuple[int, int]] = []
    records.read([path, path], names=["a", "b"], progress=lambda done, total: told.append((done, total)))
    size = path.stat().st_size
    assert told[-1] == (2 * size, 2 * size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert [done for done, _ in told].count(2 * size) == 1
    assert len(told) > 4


def test_what_a_reading_prints(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": 1, "acc": 1}, {"id": 2}])
    assert repr(records.read(path)) == ("a: 1 records (left out: 1 no score)\nguessed: id = id\nguessed: score = acc")
    assert repr(records.read(path).scores()) == "Scores(a: 1 records; left out: 1 no score)"


def test_models_that_cluster_an_id_differently_are_refused(tmp_path: Path) -> None:
    files = []
    for name, group in (("base", 20), ("new", 67)):
        rows = [{"id": i, "correct": i % 2, "cluster": i // group} for i in range(200)]
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    runs = records.read(files)
    with pytest.raises(RecordError, match=r"cluster, id '20'.*'1' and, in 'new', '0'.*cluster='none'"):
        _ = runs.scores().cluster
    alike = records.read([files[0], files[0]], names=["base", "new"]).scores().cluster
    assert alike is not None
    assert alike[40] == "2"


def test_a_file_of_another_model_needs_no_filter(tmp_path: Path) -> None:
    """Only what is asked for is filtered: the two filters of `b.jsonl` stand in nobody's way."""
    row = {"doc_id": 0, "doc": {}, "resps": [["x"]], "doc_hash": "h", "exact_match": 1.0}
    for name, filters in (("a", ["none"]), ("b", ["flexible", "strict"])):
        # A column of the name could hold the scores of the model that is asked for: the file is looked at.
        text = "".join(json.dumps(row | {"filter": one, "a": "b"}) + "\n" for one in filters)
        (tmp_path / f"{name}.jsonl").write_text(text)
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for asked_for in (["a"], lambda inside: ["a"]):
        assert records.read(paths, models=asked_for).names == ("a",)
    for asked_for in (None, ["b"], lambda inside: ["b"]):
        with pytest.raises(RecordError, match="expected one filter; got 2: flexible, strict"):
            records.read(paths, models=asked_for)
