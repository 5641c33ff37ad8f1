"""Bad files: each gets one sentence with the file, the line, what was expected, what came and what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard import records
from steelyard.errors import RecordError

GOOD = b'{"id": 1, "acc": 1}\n{"id": 2, "acc": 0}\n'
ZSTD: bytes = pa.compress(GOOD * 1000, codec="zstd", asbytes=True)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 4080492\n"
KIND = "expected records as JSON Lines, a JSON array, CSV or Parquet; got "

INSPECT = b'{\n "version": 2,\n "eval": {"task": "t"},\n "samples": [{"id": 1}]\n}\n'


def zipped(name: str) -> bytes:
    """A zip archive of one empty file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, "")
    return out.getvalue()


# name of the file, its bytes, what the sentence says after the file's path
BAD = {
    "cut off": ("a.jsonl", GOOD + b'{"id": 3, "ac', ", line 3: expected a whole JSON object; got a last line that is cut off"),
    "cut off at once": ("a.jsonl", b'{"id": 1, "acc"', ", line 1: expected a whole JSON object; got a last line that is"),
    "not JSON": ("a.jsonl", GOOD + b"{'id': 3}\n" + GOOD, ", line 3: expected a JSON object; got text that is not JSON"),
    "two on a line": ("a.jsonl", GOOD + b"{}{}\n", ", line 3: expected a JSON object; got text that is not JSON (Extra data"),
    "starts as text": ("a.jsonl", b"hello\n" + GOOD, ", line 1: expected a JSON object or array; got 'hello'; write one"),
    "a list among objects": ("a.jsonl", GOOD + b"[1, 2]\n", ", line 3: expected a JSON object; got a list; write one"),
    "a number": ("a.jsonl", GOOD + b"17\n", ", line 3: expected a JSON object; got a number; write one"),
    "null": ("a.jsonl", GOOD + b"null\n", ", line 3: expected a JSON object; got null; write one"),
    "a key twice": ("a.jsonl", GOOD + b'{"id": 3, "acc": 1, "acc": 0}\n', ", line 3: expected each key once; got the key 'acc' twice"),
    "a nested key twice": ("a.jsonl", b'{"id": 3, "acc": 1, "d": {"x": 1, "x": 2}}\n', ", line 1: expected each key once; got the key 'x'"),
    "one path twice": ("a.jsonl", b'{"acc": 1, "d.x": 1, "d": {"x": 2}}\n', ", line 1: expected one value for 'd.x'; got both a key"),
    "too deep": ("a.jsonl", GOOD + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n", ", line 3: expected a flat record; got a JSON object nested"),
    "many digits": ("a.jsonl", b'{"acc": 1' + b"0" * 5000 + b"}\n", ", line 1: expected a JSON object; got text that is not JSON (Exceeds the limit"),
    "not UTF-8": ("a.jsonl", GOOD + b'{"id": "caf\xe9", "acc": 1}\n', ", line 3: expected text in UTF-8; got the byte 0xe9 at position 12"),
    "UTF-16": ("a.jsonl", GOOD.decode().encode("utf-16"), f": {KIND}text in UTF-16; save it as UTF-8"),
    "one object": ("a.json", b'{\n "id": 1,\n "acc": 1\n}\n', f": {KIND}one JSON object (keys 'id', 'acc'); write one record per line"),
    "broken object": ("a.json", b'{\n "id": 1,\n oops\n}\n', ", line 3: expected a JSON object per line; got text that is not JSON"),
    "broken bytes in an object": ("a.json", b'{\n "id": "\xff"}\n', ", line 2: expected text in UTF-8; got the byte 0xff"),
    "array cut off": ("a.json", b'[{"acc": 1},\n{"acc": 0},\n', ", line 3: expected a JSON array of records; got the end of the file"),
    "array cut in a record": ("a.json", b'[{"acc": 1},\n{"acc": ', ", line 2: expected a JSON array of records; got text that is not JSON"),
    "array without end": ("a.json", b'[{"acc": 1}\n', ", line 1: expected ',' or ']' after a record; got the end of the file"),
    "array without comma": ("a.json", b'[{"acc": 1}\n{"acc": 0}]', ", line 1: expected ',' or ']' after a record; got '{'"),
    "array of numbers": ("a.json", b"[1, 2]", ", line 1: expected a JSON object; got a number; write an array of objects"),
    "text after the array": ("a.json", b'[{"acc": 1}]\n[]', ", line 2: expected one JSON array; got more text after it"),
    "a list a line": ("a.jsonl", b"[1, 2]\n[3, 4]\n", ", line 1: expected a JSON object; got a number; write an array"),
    "empty array": ("a.json", b"[]", ": expected at least one record; got none; check how"),
    "empty": ("a.jsonl", b"", f": {KIND}an empty file"),
    "only blanks": ("a.jsonl", b"\n \r\n\n", f": {KIND}an empty file"),
    "only a BOM": ("a.csv", b"\xef\xbb\xbf", f": {KIND}an empty file"),
    "LFS pointer": ("a.jsonl", POINTER, f": {KIND}a git-lfs pointer; run `git lfs pull`"),
    "LFS pointer as Parquet": ("a.parquet", POINTER, f": {KIND}a git-lfs pointer; run `git lfs pull`"),
    "zip": ("a.zip", zipped("a.txt"), f": {KIND}a zip archive; unpack it"),
    "zip cut off": ("a.eval", b"PK\x03\x04" + bytes(40), ": expected a whole zip archive; got a damaged or truncated one (File is not a zip file); fetch"),
    "Inspect by another name": ("a.log", zipped("_journal/start.json"), ", _journal/start.json: expected JSON; got something else"),
    "NumPy arrays": ("a.npz", zipped("scores.npy"), f": {KIND}NumPy arrays; load them with np.load and use"),
    "Inspect unscored": ("a.json", INSPECT, ": expected an Inspect log with scores; got one whose samples have none; score it with `inspect score`"),
    "Inspect on one line": ("a.json", json.dumps(json.loads(INSPECT)).encode(), ": expected an Inspect log with scores; got one whose"),
    "lm-eval on one line": ("a.json", b'{"results": {}, "configs": {}}', f": {KIND}an lm-evaluation-harness results file; give"),
    "records inside": ("a.json", b'{\n "n": 1, "my rows": [{"acc": 1}]}', f": {KIND}one JSON object (keys 'n', 'my rows'); write what is under 'my rows' one record per line, or an array"),
    "letters of a school": ("a.csv", b"id,score\n1,C\n2,A\n", ", line 2: 'score': expected a number, true or false (null or 'N/A' where there is none); got 'C'; its words are 'A', 'C': say what each is worth, as in values='A=NUMBER,C=NUMBER'"),
    "one letter inside": ("a.jsonl", b'{"id": 1, "scores": {"m": {"value": "N"}}}\n', ": expected a score column (correct, is_correct, acc, exact_match, score, or a pair such as true_label and pred_label); got the columns 'id', 'scores.m.value'; likely score='scores.m.value', values='N=0', or"),
    "NumPy": ("a.npy", b"\x93NUMPY" + bytes(40), f": {KIND}a NumPy array; load it"),
    "gzip cut off": ("a.jsonl.gz", gzip.compress(GOOD * 1000)[:-20], ": expected a whole gzip file; got a damaged or truncated one"),
    "gzip damaged": ("a.jsonl.gz", gzip.compress(GOOD)[:-8] + bytes(8), ": expected a whole gzip file; got a damaged or truncated one"),
    "bzip2 cut off": ("a.jsonl.bz2", bz2.compress(GOOD * 1000)[:-20], ": expected a whole bzip2 file; got a damaged or truncated one"),
    "bzip2 damaged": ("a.jsonl.bz2", b"BZh9" + bytes(40), ": expected a whole bzip2 file; got a damaged or truncated one (Invalid data stream)"),
    "xz cut off": ("a.jsonl.xz", lzma.compress(GOOD * 1000)[:-20], ": expected a whole xz file; got a damaged or truncated one"),
    "xz damaged": ("a.jsonl.xz", lzma.compress(GOOD)[:20] + bytes(40), ": expected a whole xz file; got a damaged or truncated one"),
    "zstd cut off": ("a.jsonl.zst", ZSTD[:-2], ": expected a whole zstd file; got a damaged or truncated one"),
    "zstd damaged": ("a.jsonl.zst", ZSTD[:4] + bytes(40), ": expected a whole zstd file; got a damaged or truncated one"),
    "gzip of nothing": ("a.jsonl.gz", gzip.compress(b""), f": {KIND}an empty file"),
    "Parquet in name only": ("a.parquet", b"col\n1\n", ": expected a Parquet file; got 'col'"),
    "row too short": ("a.csv", b"id,acc\n1,1\n2\n", ", line 3: expected 2 fields as in the header; got 1"),
    "row too long": ("a.csv", b"id,acc\n1,1,1\n", ", line 2: expected 2 fields as in the header; got 3"),
    "quote left open": ("a.csv", b'id,acc\n1,"1\n', ", line 2: expected CSV; got a malformed row (unexpected end of data)"),
    "text after a quote": ("a.csv", b'id,acc\n1,"1"x\n', ", line 2: expected CSV; got a malformed row"),
    "column twice": ("a.csv", b"id,acc,acc\n1,1,1\n", ", line 1: expected a header of different column names; got 'acc' twice"),
    "columns without names": ("a.csv", b"id,,\n1,1,1\n", ", line 1: expected a header of different column names; got several without"),
    "column twice after sep=": ("a.csv", b"sep=;\nid;acc;acc\n1;1;1\n", ", line 2: expected a header of different column names; got 'acc' twice"),
    "row too short after sep=": ("a.csv", b"sep=;\nid;acc\n1;1\n2\n", ", line 4: expected 2 fields as in the header; got 1"),
    "only sep=": ("a.csv", b"sep=;\n", f": {KIND}something else, beginning nothing"),
    "only a mark of UTF-16": ("a.csv", b"\xff\xfe", f": {KIND}an empty file"),
    "UTF-16 cut off": ("a.csv", "id,acc\n1,1\n".encode("utf-16")[:-1], ": expected text in UTF-16; got the byte 0x0a; save the file as UTF-8"),
    "commas of thousands": ("a.csv", b"id;acc\n1;1,234\n2;2,500\n", ", line 2: 'acc': expected a number, true or false (null or 'N/A' where there is none); got '1,234'"),
    "a word among decimal commas": ("a.csv", b"id;acc\n1;0,5\n2;x\n", ", line 2: 'acc': expected a number, true or false (null or 'N/A' where there is none); got '0,5'"),
    "decimal commas in quotes": ("a.csv", b'id,acc\n1,"0,5"\n', ", line 2: 'acc': expected a number, true or false (null or 'N/A' where there is none); got '0,5'"),
    "CSV not UTF-8": ("a.csv", b"id,acc\ncaf\xe9,1\n", ": expected text in UTF-8; got the byte 0xe9; save the file"),
    "only a header": ("a.csv", b"id,acc\n", ": expected at least one record; got none; check how the file was written"),
    "binary": ("a.bin", b"\x7fELF\x02\x01\x00\x00", ": expected records as JSON Lines, a JSON array, CSV or Parquet; got something else"),
    "too many keys": (
        "a.jsonl",
        json.dumps({f"k{i}": 1 for i in range(20_000)}).encode(),
        ", line 1: expected records that share their keys, at most 10,000 different ones; got another one",
    ),
    "score Infinity": ("a.jsonl", GOOD + b'{"id": 3, "acc": Infinity}\n', ", line 3: score 'acc': expected a finite number; got inf"),
    "score NaN": ("a.jsonl", GOOD + b'{"id": 3, "acc": NaN}\n', ", line 3: score 'acc': expected a finite number; got nan"),
    "score as text inf": ("a.csv", b"id,acc\n1,-inf\n", ", line 2: score 'acc': expected a finite number; got -inf"),
    "score of letters": ("a.jsonl", GOOD + b'{"id": 3, "acc": "C"}\n', ", line 3: 'acc': expected a number, true or false (null or 'N/A' where there is none); got 'C'"),
    "score 1_0": ("a.jsonl", b'{"acc": "1_0"}\n', ", line 1: 'acc': expected a number, true or false"),
    "score too large": ("a.jsonl", b'{"acc": 1' + b"0" * 400 + b"}\n", ", line 1: 'acc': expected a number, true or false (null or 'N/A' where there is none); got an integer beyond"),
    "score sometimes a list": ("a.jsonl", GOOD + b'{"id": 3, "acc": [1, 1]}\n', ", line 3: 'acc': expected a number; got a list, as corpus metrics"),
    "negative log-likelihood": ("a.jsonl", b'{"loglikelihood": 12.5}\n', ", line 1: loglikelihood 'loglikelihood': expected at most 0; got 12.5; pass log-likelihoods in nats, not their"),
    "loglikelihood NaN": ("a.jsonl", b'{"loglikelihood": NaN}\n', ", line 1: loglikelihood 'loglikelihood': expected at most 0; got nan"),
    "no tokens": ("a.jsonl", b'{"loglikelihood": -1, "n_tokens": 0}\n', ", line 1: n_tokens 'n_tokens': expected a whole number from 1 on; got 0.0"),
    "half a token": ("a.jsonl", b'{"loglikelihood": -1, "n_tokens": 1.5}\n', ", line 1: n_tokens 'n_tokens': expected a whole number from 1 on; got 1.5"),
    "id twice": ("a.jsonl", GOOD + GOOD, ", line 3: expected each id once in run 'a'; got id '1' there and on"),
    "only nulls": ("a.jsonl", b'{"id": 1, "acc": null}\n', ": expected a score column (correct, is_correct, acc, exact_match, score, or a pair such as true_label and pred_label); got the columns 'id' and no values in 'acc'; name"),
    "only lists": ("a.jsonl", b'{"id": 1, "acc": [1]}\n', ": expected a score column (correct, is_correct, acc, exact_match, score, or a pair such as true_label and pred_label); got the columns 'id' and lists in 'acc'; name"),
    "label a list": ("a.jsonl", b'{"target": "x", "prediction": "x"}\n{"target": "x", "prediction": ["x"]}\n', ", line 2: score column 'prediction': expected a label; got a list"),
}  # fmt: skip


def sentence_of(path: Path, **options: Any) -> str:
    with pytest.raises(RecordError) as caught:
        records.read(path, **options)
    return str(caught.value)


@pytest.mark.parametrize("case", BAD)
def test_bad_files_get_one_sentence(tmp_path: Path, case: str) -> None:
    name, data, expected = BAD[case]
    path = tmp_path / name
    path.write_bytes(data)
    said = sentence_of(path)
    assert said.startswith(f"{path}{expected}"), said
    parts = said.removeprefix(str(path)).split("; ")
    assert len(parts) >= 3, said  # expected, got, and what to do
    assert parts[1].startswith("got "), said
    assert "\n" not in said
    assert len(said) < 600, said


def test_missing_files_and_directories(tmp_path: Path) -> None:
    path = tmp_path / "nothing.jsonl"
    assert sentence_of(path) == f"{path}: expected a file; got nothing of that name; check the path"
    assert sentence_of(tmp_path).endswith("got an empty directory; check the path, or give a file by its name")


def test_truncated_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": range(1000), "acc": [1.0] * 1000}), path)
    whole = path.read_bytes()
    for size in (4, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert sentence_of(path).startswith(f"{path}: expected a whole Parquet file; got a damaged or truncated one")


@pytest.mark.parametrize(("kind", "data"), [("Parquet", b"PAR1" + bytes(40) + b"PAR1"), ("zstd", ZSTD)])
def test_what_pyarrow_reads_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, data: bytes
) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    says = f"expected pyarrow to read a {kind} file; got none installed; install it with `pip install 'steelyard[cli]'`"
    assert sentence_of(path).endswith(says)


def test_parquet_nulls_and_nans_are_kept_apart(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"acc": [1.0, None, 0.0]}), path)
    assert records.read(path).left_out == {str(path): {"no score": 1}}
    pq.write_table(pa.table({"acc": [1.0, float("nan")]}), path)
    assert (
        sentence_of(path)
        == f"{path}, row 2: score 'acc': expected a finite number; got nan; say what it is worth with values='nan=NUMBER', or choose another column with score="
    )


def test_parquet_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table([pa.array([1.0]), pa.array([{"x": 1}]), pa.array([2])], names=["acc", "d", "d.x"]), path)
    assert sentence_of(path) == f"{path}: expected one column 'd.x'; got several of that name; rename them"


def test_a_ten_megabyte_line_is_a_record_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"id": 1, "acc": 1, "prompt": "x" * 10_000_000, "tokens": [0] * 100_000}) + "\n")
    (run,) = records.read(path)
    assert run.score.tolist() == [1.0]
    assert len(run.column("prompt")[0]) < 100


def test_lone_surrogates_can_be_matched_and_printed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(r'{"id": "\ud800", "acc": 1, "long": "' + r"\ud800" * 300 + '"}\n')
    (run,) = records.read(path)
    assert run.ids.tolist() == [r"\ud800"]
    str(run.ids[0]).encode()
    run.column("long")[0].encode()


def test_mixed_record_types_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events: list[dict[str, Any]] = [{"spec": {"model": "m"}, "run_id": "r"}]
    events += [{"type": "match", "sample_id": f"s.{i}", "data": {"correct": i < 2}} for i in range(3)]
    events += [{"final_report": {"accuracy": 0.67}}]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    runs = records.read(path)
    assert runs.guesses == ("id = sample_id", "score = data.correct")
    assert runs.runs[0].score.tolist() == [1, 1, 0]
    assert runs.left_out == {str(path): {"no score": 2}}


def test_a_row_with_a_score_and_no_id_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD + b'{"acc": 1}\n')
    runs = records.read(path)
    assert runs.runs[0].ids.tolist() == ["1", "2"]
    assert runs.left_out == {str(path): {"no id": 1}}


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"paths": 7}, TypeError, "paths: expected a path or a sequence of paths; got int"),
        ({"paths": [7]}, TypeError, "paths: expected a path or a sequence of paths; got int among them"),
        ({"paths": []}, ValueError, "paths: expected at least one file; got none"),
        ({"score": 3}, TypeError, "score: expected a column's name; got int"),
        ({"names": "ab"}, TypeError, "names: expected a sequence of names, one per file; got str 'ab'"),
        ({"names": ["a", "b"]}, ValueError, "names: expected one name for each of the 1 files; got 2"),
        ({"models": "a"}, TypeError, "models: expected a sequence of models' names; got 'a'"),
        ({"score": "a=="}, RecordError, "expected two columns in score='a==b'; got 'a=='; name one on each side"),
        ({"filter": "strict"}, RecordError, "expected a column 'filter' for filter='strict'; got the columns"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, Any], kind: type[Exception], sentence: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD)
    with pytest.raises(kind, match=re.escape(sentence)):
        records.read(**{"paths": path, **options})


def test_the_same_file_twice_needs_names(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD)
    with pytest.raises(
        ValueError, match=r"paths: expected each file once; got .* twice; leave one out, or pass names="
    ):
        records.read([path, path])
    assert records.read([path, path], names=["a", "b"]).names == ("a", "b")


def test_ids_that_repeat_over_files_of_one_model(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path in paths:
        path.write_bytes(b'{"id": 1, "acc": 1, "model": "m"}\n')
    with pytest.raises(RecordError, match=r"b.jsonl, line 1: expected each id once in run 'm'.*own run with names="):
        records.read(paths)


def test_names_and_a_models_column_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id": 1, "acc": 1, "model": "m"}\n')
    assert records.read(path).names == ("m",)
    assert records.read(path, names=["x"]).names == ("x",)
    with pytest.raises(ValueError, match="names: expected no names where model= names a column"):
        records.read(path, names=["x"], model="model")


@given(data=st.binary(max_size=200), name=st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.parquet", "a.gz", "a"]))
def test_any_bytes_give_runs_or_a_record_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("bytes") / name
    for head in (b"", b"[", b'{"acc": 1', b"acc\n", b"PAR1", b"\x1f\x8b\x08"):
        path.write_bytes(head + data)
        try:
            read = records.read(path)
        except RecordError as error:
            assert ": expected " in str(error)  # noqa: PT017
        else:
            assert len(read.runs) > 0


@given(
    cut=st.integers(0, 200),
    packed=st.sampled_from([None, gzip.compress, bz2.compress, lzma.compress]),
    rows=st.lists(st.fixed_dictionaries({"id": st.integers(), "acc": st.integers(0, 1), "t": st.text()}), min_size=1),
)
def test_a_file_cut_anywhere_loses_nothing_in_silence(
    tmp_path_factory: pytest.TempPathFactory,
    cut: int,
    packed: Callable[[bytes], bytes] | None,
    rows: list[dict[str, Any]],
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.jsonl"
    text = "".join(json.dumps(row | {"id": index}) + "\n" for index, row in enumerate(rows)).encode()
    whole = packed(text) if packed else text
    path.write_bytes(whole[: max(len(whole) - cut, 0)])
    try:
        (run,) = records.read(path)
    except RecordError:
        assert cut > 0
        return
    assert not packed or cut == 0  # a cut compressed file is never read as a shorter one
    expected = [row["acc"] for row in rows]
    assert run.score.tolist() == expected[: len(run)]
    left = whole[: len(whole) - cut].rstrip(b"\n").count(b"\n") + 1
    assert len(run) == (len(rows) if packed else left)
