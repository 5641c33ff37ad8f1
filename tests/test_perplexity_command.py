"""``steelyard perplexity`` and ``report.perplexity``: from dumps of logits, and from records of log-likelihoods."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import steelyard as sy
from steelyard import cli, records, report
from steelyard.errors import RecordError
from steelyard.report.build import plain

from .cases import normalish, words
from .dumps import safetensors

ROWS, LENGTH, WIDTH = 12, 7, 23
X = (2.0 * normalish(ROWS * LENGTH * WIDTH, 3)).reshape(ROWS, LENGTH, WIDTH).astype(np.float32)
T = (words(ROWS * LENGTH, 4) % np.uint64(WIDTH)).astype(np.int64).reshape(ROWS, LENGTH)
T[1, 3:] = -100
T[5, :2] = -100
DOCUMENTS = np.array(["a", "b", "c", "a", "b", "c", "d", "d", "e", "f", "e", "g"])
N_BYTES = np.arange(ROWS) + 20
SCORES = sy.token_scores(X, T)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def dump(path: Path, rows: Any = slice(None), **more: Any) -> str:
    np.savez(path, logits=X[rows], targets=T[rows], **more)
    return str(path)


def model(*files: str, **options: Any) -> report.ModelResult:
    (found,) = report.perplexity(dumps=files, **options).models
    return found


def test_the_numbers_are_those_of_the_functions(folder: Path) -> None:
    found = model(dump(folder / "m.npz", documents=DOCUMENTS, n_bytes=N_BYTES, n_words=np.ones_like(T)))
    assert found.name == "m"
    assert found.perplexity == sy.perplexity(SCORES, clusters=DOCUMENTS)
    for unit, name in (("bits", "bits per byte"), ("perplexity", "byte perplexity")):
        want = sy.perplexity(SCORES, clusters=DOCUMENTS, per=N_BYTES, unit=unit)  # type: ignore[arg-type]
        assert found.of_text[name].value == pytest.approx(want.value, rel=1e-14)
        assert found.of_text[name].low == pytest.approx(want.low, rel=1e-12)
    assert found.of_text["word perplexity"].value == pytest.approx(found.perplexity.value, rel=1e-14)
    table = SCORES.by(DOCUMENTS)
    want = sy.estimate(table["perplexity"])
    assert found.of_documents is not None
    assert (found.of_documents.value, found.of_documents.low) == pytest.approx((want.value, want.low), rel=1e-13)
    assert found.documents is not None
    order = np.argsort(-table["perplexity"])
    for name in ("tokens", "perplexity"):
        assert getattr(found.documents, name).tolist() == table[name][order].tolist()
    assert found.documents.names.tolist() == table["id"][order].tolist()
    assert found.of_documents.value != found.perplexity.value


def test_every_form_of_a_dump_says_the_same(folder: Path) -> None:
    x16 = X.astype(ml_dtypes.bfloat16)
    np.savez("z.npz", logits=x16, targets=T, documents=DOCUMENTS)
    codes = np.unique(DOCUMENTS, return_inverse=True)[1]
    Path("s.safetensors").write_bytes(
        safetensors({"logits": ("BF16", x16), "targets": ("I64", T), "documents": ("I64", codes)})
    )
    Path("t.safetensors").write_bytes(safetensors({"lm_head": ("BF16", x16), "labels": ("I64", T)}))
    for name, array in {"logits": x16, "targets": T, "documents": DOCUMENTS}.items():
        np.save(name, array)
    want = sy.perplexity(sy.token_scores(x16, T), clusters=DOCUMENTS)
    assert model("z.npz").perplexity == want
    assert model("s.safetensors").perplexity == want
    assert model("logits.npy", targets="targets.npy", documents="documents.npy").perplexity == want
    named = {"logits": "lm_head", "targets": "labels"}
    assert model("t.safetensors", tensors=named, documents="documents.npy").perplexity == want
    np.savez("more.npz", of_targets=T, ids=DOCUMENTS)
    both = {"logits": "lm_head", "targets": "of_targets", "documents": "ids"}
    assert model("t.safetensors", tensors=both, targets="more.npz", documents="more.npz").perplexity == want
    assert model("t.safetensors", tensors=named).perplexity == sy.perplexity(sy.token_scores(x16, T))


def test_shards_are_one_model_and_documents_may_straddle_them(folder: Path) -> None:
    parts = [slice(0, 4), slice(4, 9), slice(9, ROWS)]
    files = [
        dump(folder / f"big-0000{i}-of-00003.npz", at, documents=DOCUMENTS[at], n_bytes=N_BYTES[at])
        for i, at in enumerate(parts, 1)
    ]
    whole = model(dump(folder / "big.npz", documents=DOCUMENTS, n_bytes=N_BYTES))
    found = model(*files)
    assert plain(found) == plain(whole)
    unnamed = [dump(folder / f"rows-{i}-of-3.npz", at) for i, at in enumerate(parts, 1)]
    of_rows, want = model(*unnamed).perplexity, sy.perplexity(SCORES)  # each row of each file is a document
    assert (of_rows.n_clusters, of_rows.value) == (want.n_clusters, want.value)
    assert of_rows.low == pytest.approx(want.low, rel=1e-13)
    assert [m.name for m in report.perplexity(dumps=files, names=["x", "y", "z"]).models] == ["x", "y", "z"]
    with pytest.raises(RecordError, match=r"^big: expected files of one model that have the same arrays"):
        report.perplexity(dumps=[files[0], dump(folder / "big-00002-of-00003.npz", parts[1]), files[2]])
    for some in (files[:2], [files[0], files[0], files[2]]):
        with pytest.raises(RecordError, match=r"expected parts 1 to 3|expected each file once"):
            report.perplexity(dumps=some)


def test_files_of_one_name_in_two_folders_are_two_models(folder: Path) -> None:
    for name in ("f16", "q4"):
        (folder / name).mkdir()
        dump(folder / name / "logits.npz", slice(0, 4))
    files = ["f16/logits.npz", "q4/logits.npz"]
    assert [m.name for m in report.perplexity(dumps=files).models] == ["f16/logits", "q4/logits"]
    with pytest.raises(RecordError, match="expected each file once"):
        report.perplexity(dumps=[files[0], "q4/../f16/logits.npz"])


def test_tokens_that_do_not_count_are_told(folder: Path) -> None:
    targets = T.copy()
    targets[:, 0] = -100
    np.savez("some.npz", logits=X, targets=targets)
    notes = report.perplexity(dumps=["some.npz"]).notes
    out = np.count_nonzero(targets == -100)
    assert any(f"{out} tokens of {T.size:,} not counted" in note for note in notes)


def test_one_text_has_no_interval_and_an_impossible_token_an_infinite_perplexity(folder: Path) -> None:
    np.savez("flat.npz", logits=X[0], targets=T[0])
    found = model("flat.npz")
    assert found.perplexity.low is None
    assert found.of_documents is None
    assert "the spread between clusters is unknown" in str(report.perplexity(dumps=["flat.npz"]))
    x = X.copy()
    x[2, 3, T[2, 3]] = -np.inf
    np.savez("inf.npz", logits=x, targets=T)
    made = report.perplexity(dumps=["inf.npz"])
    assert made.models[0].perplexity.value == math.inf
    said = "inf: no mean of the documents' perplexities, since that of 1 of 12 documents is infinite"
    assert made.notes[-1] == said
    assert "inf" in str(made)


def test_the_command_shows_writes_and_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump(folder / "f16.npz", documents=DOCUMENTS, n_bytes=N_BYTES)
    np.savez("q4.npz", logits=np.round(X), targets=T, documents=DOCUMENTS, n_bytes=N_BYTES)
    assert cli.run(["perplexity", "f16.npz", "q4.npz", "--html", "page.html", "--json", "out.json"]) == 0
    out, err = capsys.readouterr()
    assert err == "page written to page.html\n"
    for said in (
        "2 models, 7 records each", "Perplexity per token", "Mean of the documents' perplexities",
        "Perplexity by the length of the text", "bits per byte", "Left out: 12 ignored.", "Read 7 records of f16.npz",
    ):  # fmt: skip
        assert said in out
    assert "Each document counts the same" in " ".join(out.split())
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "Perplexity by document" in page
    assert "Perplexity by document" not in out
    assert "higher is better" not in page
    written = json.loads(Path("out.json").read_text())
    want = sy.perplexity(SCORES, clusters=DOCUMENTS)
    first = written["models"][0]
    assert (first["perplexity"]["value"], first["perplexity"]["n_clusters"]) == (want.value, 7)
    assert first["of_documents"]["value"] == pytest.approx(np.mean(SCORES.by(DOCUMENTS)["perplexity"]), rel=1e-14)
    assert (
        cli.run(["perplexity", "f16.npz", "q4.npz", "--names", "a,b", "--json", "-", "--confidence-level", "0.9"]) == 0
    )
    named = json.loads(capsys.readouterr().out)
    assert [m["name"] for m in named["models"]] == ["a", "b"]
    assert named["models"][0]["perplexity"]["confidence_level"] == 0.9
    assert cli.run(["perplexity", "f16.npz", "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def records_of(path: str, **columns: Any) -> str:
    rows = [
        {"id": i, "loglikelihood": -float(SCORES.nll[i][SCORES.counted[i]].sum()), "document": str(DOCUMENTS[i])}
        | {"n_tokens": int(SCORES.counted[i].sum())}
        | {name: values[i] for name, values in columns.items()}
        for i in range(ROWS)
    ]
    Path(path).write_text("\n".join(map(json.dumps, rows)))
    return path


def test_records_and_dumps_say_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump(folder / "logits.npz", documents=DOCUMENTS, n_bytes=N_BYTES)
    records_of("log.jsonl", n_bytes=N_BYTES.tolist(), correct=[1] * ROWS)
    words = ["perplexity", "log.jsonl", "logits.npz", "--cluster", "document", "--names", "log,dump", "--json", "-"]
    assert cli.run(words) == 0
    made = json.loads(capsys.readouterr().out)
    of = {m["name"]: m for m in made["models"]}
    assert set(of) == {"log", "dump"}
    assert of["log"]["score"] is None
    for part in ("perplexity", "of_documents"):
        for figure in ("value", "low", "high"):
            assert of["log"][part][figure] == pytest.approx(of["dump"][part][figure], rel=1e-12), (part, figure)
    log, from_dump = of["log"]["documents"], of["dump"]["documents"]
    assert (log["names"], log["tokens"]) == (from_dump["names"], from_dump["tokens"])
    assert log["perplexity"] == pytest.approx(from_dump["perplexity"], rel=1e-12)
    for name, e in of["log"]["of_text"].items():
        assert e["value"] == pytest.approx(of["dump"]["of_text"][name]["value"], rel=1e-12)
    assert made["sources"] == ["logits.npz", "log.jsonl"]
    alone = report.perplexity(records.read("log.jsonl", score="none"))
    assert alone.models[0].of_documents.n == ROWS  # type: ignore[union-attr]


def test_logs_of_servers_are_records(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def response(i: int) -> dict[str, Any]:
        logprobs = [None, -1.0 - i % 3, -0.5]
        tokens = ["The", " cat", " sat"]
        choice = {"text": "".join(tokens), "logprobs": {"tokens": tokens, "token_logprobs": logprobs}}
        return {"id": f"cmpl-{i}", "object": "text_completion", "model": "m", "choices": [choice]}

    Path("responses.jsonl").write_text("\n".join(json.dumps(response(i)) for i in range(12)))
    assert cli.run(["perplexity", "responses.jsonl", "--json", "-"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["models"]
    nll = np.array([[1.0 + i % 3, 0.5] for i in range(12)])
    want = sy.perplexity(nll)
    assert (found["perplexity"]["n"], found["perplexity"]["n_clusters"]) == (12, 12)
    assert found["perplexity"]["value"] == pytest.approx(want.value)
    assert found["of_documents"]["value"] == pytest.approx(np.exp(nll.mean(1)).mean())
    assert "bits per byte" in found["of_text"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["absent.npz"], "absent.npz: expected a place to read"),
        (["good.npz", "--targets", "absent.npy"], "absent.npy: expected a place to read"),
        (["text.npy"], "text.npy: expected arrays of numbers or texts"),
        (["text.npz"], "text.npz: expected arrays of numbers or texts"),
        (["text.safetensors"], "text.safetensors: expected a safetensors file"),
        (["objects.npz"], "objects.npz: expected arrays of numbers or texts"),
        (
            ["logits.npy"],
            "logits.npy: expected an array 'targets'; got an array without a name; name its file with --targets",
        ),
        (["other.npz"], "other.npz: expected an array 'logits'; got 'scores', 'targets'"),
        (["other.npz", "--tensors", "logits=x"], "other.npz: expected an array 'x'; got 'scores', 'targets'"),
        (["good.npz", "--tensors", "logits"], "--tensors: expected pairs such as logits=NAME"),
        (["good.npz", "--tensors", "labels=y"], "--tensors: expected names of logits, targets"),
        (["short.npz"], "short.npz: --targets: expected shape (12, 7)"),
        (["beyond.npz"], "beyond.npz: targets: expected"),
        (["wide.npz"], "wide.npz: --documents: expected one a token, shape (12, 7), or one a row"),
        (["negative.npz"], "negative.npz: --n-bytes: expected finite numbers that are at least 0"),
        (["good.npz", "other.npz", "--names", "a,b,c"], "--names: expected 2 names"),
        (["good.npz", "good.npz", "--names", "a,a", "--json", "good.npz"], "--json: expected a file of its own"),
        (["scores.jsonl"], "log-likelihood"),
        (["good.npz", "likely.jsonl", "--names", "a,a"], "--names: expected models of different names"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dump(folder / "good.npz")
    np.save("logits.npy", X)
    for name in ("text.npy", "text.npz", "text.safetensors"):
        Path(name).write_text("nothing of the kind")
    np.savez("objects.npz", logits=X, targets=np.array([None, 1], object))
    np.savez("other.npz", scores=X, targets=T)
    np.savez("short.npz", logits=X, targets=T[:-1])
    np.savez("beyond.npz", logits=X, targets=T + WIDTH)
    np.savez("wide.npz", logits=X, targets=T, documents=np.arange(5))
    np.savez("negative.npz", logits=X, targets=T, n_bytes=-N_BYTES)
    Path("scores.jsonl").write_text('{"id": 1, "correct": true}\n{"id": 2, "correct": false}\n')
    records_of("likely.jsonl")
    assert cli.run(["perplexity", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("steelyard: ")
    assert err.count("\n") == 1
    assert said in err
