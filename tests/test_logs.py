"""Logs of evaluation tools, from files made here by the descriptions of their formats, and from real ones."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import steelyard as sy
from steelyard import records
from steelyard.errors import RecordError
from steelyard.records import logs, source
from steelyard.records.logs import archive as archives

ZSTD = archives.ZSTD


def read_one(path: Path, **options: Any) -> records.Run:
    (run,) = records.read(path, **options)
    return run


def sentence_of(path: Path, **options: Any) -> str:
    with pytest.raises(RecordError) as error:
        records.read(path, **options)
    said = str(error.value)
    assert "\n" not in said
    return said.removeprefix(str(path))


# ---- Inspect


def header(**also: Any) -> dict[str, Any]:
    return {"version": 2, "status": "success", "eval": {"task": "arc", "model": "openai/gpt-4o"}, **also}


def sample(id: int | str, value: Any = 1, epoch: int = 1, **also: Any) -> dict[str, Any]:
    scores = {"match": {"value": value, "answer": "x", "metadata": {}}}
    return {"id": id, "epoch": epoch, "input": "Which?", "target": "A", "scores": scores, "messages": [{}] * 3, **also}


SAMPLES = [sample(i, i % 3 > 0, metadata={"subject": "ab"[i % 2], "correct": 7}) for i in range(6)]


def zstd_member(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


def zipped(members: Mapping[str, Any], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of JSON values or bytes; members by zstandard are written as stored ones, with the method changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED if method == ZSTD else method) as archive:
        for name, value in members.items():
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            archive.writestr(name, zstd_member(data) if method == ZSTD else data)
    data = out.getvalue()
    return (
        as_zstd(data, [v if isinstance(v, bytes) else json.dumps(v).encode() for v in members.values()])
        if method == ZSTD
        else data
    )


def as_zstd(data: bytes, contents: list[bytes]) -> bytes:
    """The same archive with the method, checksums and sizes of zstandard members in its directory."""
    out = bytearray(data)
    at = data.index(b"PK\x01\x02")
    for content in contents:
        out[at + 10 : at + 12] = ZSTD.to_bytes(2, "little")
        out[at + 16 : at + 20] = zlib.crc32(content).to_bytes(4, "little")
        out[at + 24 : at + 28] = len(content).to_bytes(4, "little")
        name, extra, comment = (int.from_bytes(out[at + k : at + k + 2], "little") for k in (28, 30, 32))
        at += 46 + name + extra + comment
    return bytes(out)


def summaries(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "messages"} for one in samples]


def whole_members(samples: list[dict[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {"_journal/start.json": header(status=None)}
    members |= {f"samples/{one['id']}_epoch_{one['epoch']}.json": one for one in samples}
    return members | {"summaries.json": summaries(samples), "header.json": header()}


def without(members: Mapping[str, Any], *beginnings: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if not name.startswith(beginnings)}


INSPECT: dict[str, bytes] = {
    "json": json.dumps(header(samples=SAMPLES), indent=1).encode(),
    "json on one line": json.dumps(header(samples=SAMPLES)).encode(),
    "eval": zipped(whole_members(SAMPLES)),
    "eval, stored": zipped(whole_members(SAMPLES), zipfile.ZIP_STORED),
    "eval, zstd": zipped(whole_members(SAMPLES), ZSTD),
    "eval without summaries": zipped(without(whole_members(SAMPLES), "summaries")),
    "eval with summaries that lack the scores": zipped(
        whole_members(SAMPLES) | {"summaries.json": [{"id": i, "epoch": 1} for i in range(6)]}
    ),
    "eval with summaries that lack the metadata": zipped(
        whole_members(SAMPLES)
        | {"summaries.json": [{k: v for k, v in one.items() if k != "metadata"} for one in summaries(SAMPLES)]}
    ),
    "eval with fewer summaries": zipped(whole_members(SAMPLES) | {"summaries.json": summaries(SAMPLES[:3])}),
}


@pytest.mark.parametrize("data", INSPECT.values(), ids=INSPECT)
def test_inspect(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "2025-01-01_arc.log"
    path.write_bytes(data)
    runs = records.read(path)
    assert runs.names == ("openai/gpt-4o",)
    assert runs.notes == ()
    assert "score = scores.match.value" in runs.guesses
    run = runs["openai/gpt-4o"]
    assert run.score is not None
    assert run.score.tolist() == [0, 1, 1, 0, 1, 1]
    assert run.ids is not None
    assert run.ids.tolist() == list("012345")
    assert run.column("metadata.subject").tolist() == list("ababab")
    assert run.column("task").tolist() == ["arc"] * 6
    assert run.column("scores.match.answer").tolist() == ["x"] * 6


def test_a_long_name_of_a_file_that_names_its_model_is_not_mentioned(tmp_path: Path) -> None:
    path = tmp_path / f"2025-05-12T20-28-13_{'long' * 20}.eval"
    path.write_bytes(INSPECT["eval"])
    assert records.read(path).notes == ()
    assert "names of runs are shortened" in records.read(path, model="none").notes[0]


def test_two_runs_of_one_model_are_named_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "a.eval", tmp_path / "b.eval"]
    for path in paths:
        path.write_bytes(INSPECT[f"eval{', zstd' * (path is paths[1])}"])
    with pytest.raises(RecordError, match=r"give each file its own run with names="):
        records.read(paths)
    assert records.read(paths, names=["old", "new"]).names == ("old", "new")


def test_a_log_may_be_packed_once_more(tmp_path: Path) -> None:
    path = tmp_path / "a.eval.zst"
    path.write_bytes(zstd_member(INSPECT["eval, zstd"]))
    assert len(read_one(path)) == 6


@pytest.mark.parametrize("journal", [True, False])
def test_an_interrupted_inspect_run(tmp_path: Path, journal: bool) -> None:
    """Only a journal: with all summaries, and with fewer than there are samples."""
    members = without(whole_members(SAMPLES), "header", "summaries")
    members |= {"_journal/summaries/1.json": summaries(SAMPLES[:4])}
    members |= {"_journal/summaries/2.json": summaries(SAMPLES[4:])} if journal else {}
    path = tmp_path / "a.eval"
    path.write_bytes(zipped(members))
    runs = records.read(path)
    assert [len(run) for run in runs] == [6]
    assert runs.notes == (f"{path}: the run was interrupted; the samples that it holds are read",)


def test_inspect_says_how_the_run_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(header(samples=SAMPLES) | {"status": "cancelled"}))
    assert records.read(path).notes == (
        f"{path}: the run ended with the status 'cancelled'; the samples that it holds are read",
    )


def test_inspect_says_that_a_log_is_invalidated(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(header(samples=SAMPLES, invalidated=True)))
    assert records.read(path).notes == (f"{path}: the log is marked as invalidated; it is read as it stands",)


def test_inspect_with_several_scorers_asks(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    two = [
        one | {"scores": {"match": {"value": 1}, "f.1": {"value": {"p": 0.5, "r": i}}}} for i, one in enumerate(SAMPLES)
    ]
    path.write_text(json.dumps(header(samples=two)))
    said = sentence_of(path)
    assert "expected one column that can be the score; got 3: 'scores.match.value', 'scores.f.1.value.p', " in said
    assert read_one(path, score="scores.f.1.value.p").score.tolist() == [0.5] * 6  # type: ignore[union-attr]


def test_inspect_epochs_are_epochs_and_no_verdict_is_no_score(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    samples = [sample(i, 1.0 if i else float("nan"), epoch=k) for i in range(3) for k in (1, 2)]
    samples.append(sample(3, epoch=1) | {"scores": None, "error": {"message": "out of memory"}})
    path.write_text(json.dumps(header(samples=samples)))
    run = read_one(path)
    assert len(run) == 4
    assert run.no_score == 3
    assert run.merged == {"ids": 2, "records": 4, "fewest": 2, "most": 2}


def test_two_inspect_logs_are_compared_by_id(tmp_path: Path) -> None:
    paths = [tmp_path / "a.eval", tmp_path / "b.json"]
    paths[0].write_bytes(INSPECT["eval"])
    paths[1].write_text(json.dumps(header(samples=SAMPLES[::-1]) | {"eval": {"task": "arc", "model": "b"}}))
    scores = records.read(paths).scores()
    assert np.array_equal(scores["openai/gpt-4o"], scores["b"])


def damaged(member: str, **changes: int) -> bytes:
    """An archive whose directory says something else about a member: flags at 8, the method at 10, the size at 24."""
    data = bytearray(zipped(whole_members(SAMPLES)))
    at = data.rindex(member.encode()) - 46
    for field, value in changes.items():
        place, size = {"flags": (8, 2), "method": (10, 2), "crc": (16, 4), "packed": (20, 4), "size": (24, 4)}[field]
        data[at + place : at + place + size] = value.to_bytes(size, "little")
    return bytes(data)


WHOLE = zipped(whole_members(SAMPLES))
BAD_INSPECT: dict[str, tuple[bytes, str]] = {
    "cut": (WHOLE[: len(WHOLE) // 2], ": expected a whole zip archive; got a damaged or truncated one (File is not a zip file); fetch"),
    "checksum": (damaged("summaries.json", crc=1), ", summaries.json: expected a whole zip archive; got a damaged or truncated one (Bad CRC-32"),
    "method": (damaged("header.json", method=97), ", header.json: expected a whole zip archive; got a damaged or truncated one (That compression"),
    "no zstd": (damaged("header.json", method=93), ", header.json: expected a whole zip archive; got a damaged or truncated one ("),
    "encrypted": (damaged("header.json", flags=1), ", header.json: expected a member that is not encrypted; got an encrypted one; decrypt"),
    "no JSON": (zipped({"header.json": b"{oops"}), ", header.json: expected JSON; got something else (Expecting property name"),
    "not UTF-8": (zipped({"header.json": b"\xff"}), ", header.json: expected JSON; got something else ('utf-8' codec can't decode"),
    "a key twice": (zipped({"header.json": b'{"a": 1, "a": 2}'}), ", header.json: expected each key once; got the key 'a' twice"),
    "no header": (zipped({"header.json": [1]}), ": expected the header of an Inspect log; got something else in header.json; write"),
    "no samples": (zipped({"header.json": header()}), ": expected an Inspect log with samples; got one without any; give a log of a run"),
    "unscored": (
        zipped(whole_members([one | {"scores": {}} for one in SAMPLES])),
        ": expected an Inspect log with scores; got one whose samples have none; score it with `inspect score` and give",
    ),
    "failed": (
        zipped(whole_members([one | {"scores": {}, "error": {"message": "x"}} for one in SAMPLES])),
        ": expected an Inspect log with scores; got one whose samples all failed; run it again",
    ),
    "numbers as samples": (json.dumps(header(samples=[1])).encode(), ", sample 1: expected a sample of an Inspect log; got something"),
    "another zip": (zipped({"a.txt": b""}), ": expected records as JSON Lines, a JSON array, CSV or Parquet; got a zip archive; unpack it"),
    "npz": (zipped({"a.npy": b""}), ": expected records as JSON Lines, a JSON array, CSV or Parquet; got NumPy arrays; load them"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "said"), BAD_INSPECT.values(), ids=BAD_INSPECT)
def test_bad_inspect_logs(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "a.eval"
    path.write_bytes(data)
    assert sentence_of(path).startswith(said)


def test_a_member_of_zstd_that_differs_from_its_checksum(tmp_path: Path) -> None:
    data = INSPECT["eval, zstd"]
    at = data.rindex(b"header.json") - 46 + 16
    path = tmp_path / "a.eval"
    path.write_bytes(data[:at] + bytes(4) + data[at + 4 :])
    assert "(a member differs from its size or checksum)" in sentence_of(path)


def test_an_archive_that_unpacks_to_far_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGE_UNPACKED", 10_000)
    path = tmp_path / "a.eval"
    path.write_bytes(zipped({"header.json": b" " * 10_000_000 + b"{}"}))
    assert (
        f"expected a zip archive that unpacks to at most {source.MOST_UNPACKED} times its size; got more"
        in sentence_of(path)
    )


def test_the_last_of_two_members_of_one_name_counts(tmp_path: Path) -> None:
    """A log that is scored again gets its header once more, after the first."""
    out = io.BytesIO(zipped(whole_members(SAMPLES)))
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("header.json", json.dumps(header() | {"eval": {"task": "arc", "model": "new"}}))
    path = tmp_path / "a.eval"
    path.write_bytes(out.getvalue())
    assert records.read(path).names == ("new",)


# ---- HELM


def stat(name: str, mean: float | None, split: str | None = "test", **also: Any) -> dict[str, Any]:
    counted = {"count": 0, "sum": 0} if mean is None else {"count": 2, "sum": 2 * mean, "mean": mean}
    return {"name": {"name": name, "split": split, **also}, **counted}


def instance(i: int, split: str = "test", perturbation: dict[str, Any] | None = None, trial: int = 0) -> dict[str, Any]:
    means = {"num_prompt_tokens": 700, "exact_match": i % 2, "f1_score": i / 8, "toxicity": None}
    found = {"instance_id": f"id{i}", "train_trial_index": trial}
    found["stats"] = [stat(name, mean, split) for name, mean in means.items()]
    return found | ({} if perturbation is None else {"perturbation": perturbation})


HELM_FOLDER = "mmlu:subject=law,model=openai_gpt2,groups=x"
SPEC = {"name": "mmlu:subject=law,model=openai_gpt2", "adapter_spec": {"model": "openai/gpt2"}, "scenario_spec": {}}


def helm(folder: Path, instances: list[dict[str, Any]], spec: bytes | None = None) -> Path:
    folder.mkdir()
    if spec is not None:
        (folder / "run_spec.json").write_bytes(spec)
    path = folder / "per_instance_stats.json"
    path.write_text(json.dumps(instances, indent=1))
    return path


@pytest.mark.parametrize(
    ("folder", "spec", "model", "task"),
    [
        (HELM_FOLDER, json.dumps(SPEC).encode(), "openai/gpt2", "mmlu:subject=law"),
        (HELM_FOLDER, None, "openai_gpt2", "mmlu:subject=law,groups=x"),
        (HELM_FOLDER, b"{oops", "openai_gpt2", "mmlu:subject=law,groups=x"),
        ("boolq-model=openai_gpt2", None, "openai_gpt2", "boolq"),
        ("results", None, None, None),
    ],
)
def test_helm(tmp_path: Path, folder: str, spec: bytes | None, model: str | None, task: str | None) -> None:
    runs = records.read(helm(tmp_path / folder, [instance(i) for i in range(8)], spec))
    (run,) = runs
    assert run.score is not None
    assert run.score.tolist() == [0, 1] * 4
    assert "score = exact_match" in runs.guesses
    assert run.ids is not None
    assert run.ids.tolist() == [f"id{i}" for i in range(8)]
    assert run.graded_by("f1_score").score.tolist() == [i / 8 for i in range(8)]  # type: ignore[union-attr]
    if model is not None:
        assert run.name == model
        assert run.column("task").tolist() == [task] * 8
    with pytest.raises(RecordError, match="expected one value in every row; got none"):
        run.column("toxicity")


def test_helm_trials_are_epochs(tmp_path: Path) -> None:
    run = read_one(helm(tmp_path / "a", [instance(i, trial=k) for k in range(3) for i in range(4)]))
    assert run.merged == {"ids": 4, "records": 12, "fewest": 3, "most": 3}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (instance(9, split="valid"), ": expected one split; got 2: 'test', 'valid'; choose with where='split==test'"),
        (
            instance(1, perturbation={"name": "typos", "prob": 0.1, "robustness": True, "computed_on": "perturbed"}),
            ": expected one perturbation; got 2: 'none', 'typos prob=0.1'; choose with where='perturbation==none'",
        ),
    ],
)
def test_helm_splits_and_perturbations_are_never_mixed(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    assert sentence_of(helm(tmp_path / "a", [*(instance(i) for i in range(8)), more])) == said


@pytest.mark.parametrize(("where", "n"), [("split==test and perturbation==none", 8), ("perturbation!=none", 1)])
def test_helm_of_one_split_and_perturbation(tmp_path: Path, where: str, n: int) -> None:
    more = [instance(9, split="valid"), instance(1, perturbation={"name": "typos"})]
    run = read_one(helm(tmp_path / "a", [*(instance(i) for i in range(8)), *more]), where=where)
    assert len(run) == n
    assert run.ids is not None
    assert run.ids[-1] == ("id7" if n > 1 else "id1 (typos)")


def test_helm_asks_for_the_score_without_exact_match(tmp_path: Path) -> None:
    metrics = [stat("f1_score", 0.5), stat("rouge_l", 0.25), stat("num_bytes", 7)]
    path = helm(tmp_path / "a", [{"instance_id": "a", "train_trial_index": 0, "stats": metrics}])
    assert "expected one column that can be the score; got 2: 'f1_score', 'rouge_l'; choose" in sentence_of(path)


BAD_HELM: dict[str, tuple[Any, str]] = {
    "run_spec": (SPEC, ": expected records as JSON Lines, a JSON array, CSV or Parquet; got another file of a HELM run; give the"),
    "stats": ([stat("exact_match", 1)], ": expected records as JSON Lines, a JSON array, CSV or Parquet; got another file of a HELM"),
    "scenario state": ({"adapter_spec": {}, "request_states": []}, ": expected records as JSON Lines, a JSON array, CSV or Parq"),
    "mixed": ([instance(1), {"a": 1}], ", line 2: expected an instance of HELM with its stats; got something else; write"),
    "no stats": ([instance(1) | {"stats": [1]}], ", line 1: expected stats of HELM, each with the name of a metric; got"),
    "twice": ([instance(1) | {"stats": [stat("f1", 1)] * 2}], ", line 1: expected each metric once; got 'f1' twice; write"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "said"), BAD_HELM.values(), ids=BAD_HELM)
def test_bad_helm_logs(tmp_path: Path, data: Any, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        "[" + ",\n".join(map(json.dumps, data)) + "]" if isinstance(data, list) else json.dumps(data, indent=1)
    )
    assert sentence_of(path).startswith(said)


# ---- OpenAI evals


def event(kind: str, sample: int, **data: Any) -> dict[str, Any]:
    return {"run_id": "r", "event_id": 0, "sample_id": f"arc.dev.{sample}", "type": kind, "data": data}


OAI_SPEC = {"spec": {"completion_fns": ["gpt-4"], "eval_name": "arc.dev.v0", "base_eval": "arc", "run_id": "r"}}
REPORT = {"final_report": {"accuracy": 0.5}}


def json_lines(path: Path, objects: list[Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in objects))
    return path


def test_openai_evals(tmp_path: Path) -> None:
    events = [
        one
        for i in range(4)
        for one in (
            event("sampling", i, prompt="?", sampled="A"),
            event("match", i, correct=i < 3, expected="A", picked="B"),
        )
    ]
    runs = records.read(json_lines(tmp_path / "a.jsonl", [OAI_SPEC, *events, REPORT]))
    run = runs["gpt-4"]
    assert run.score.tolist() == [1, 1, 1, 0]  # type: ignore[union-attr]
    assert run.ids.tolist() == [f"arc.dev.{i}" for i in range(4)]  # type: ignore[union-attr]
    assert run.column("task").tolist() == ["arc.dev.v0"] * 4
    assert run.column("data.expected").tolist() == ["A"] * 4
    assert "score = data.correct" in runs.guesses
    assert runs.notes == ()


def test_openai_evals_with_metrics_and_without_an_end(tmp_path: Path) -> None:
    """A sample that only failed has no score; a match counts before metrics of the same sample."""
    events = [event("metrics", 0, accuracy=0.5), event("metrics", 1, accuracy=1), event("error", 2, message="no")]
    path = json_lines(tmp_path / "a.jsonl", [OAI_SPEC, *events])
    runs = records.read(path)
    assert runs["gpt-4"].score.tolist() == [0.5, 1]  # type: ignore[union-attr]
    assert runs["gpt-4"].no_score == 1
    assert runs.notes == (
        f"{path}: there is no final report: the run was interrupted; the samples that it got to are read",
    )
    json_lines(path, [OAI_SPEC, *events, event("match", 0, correct=False), event("match", 1, correct=True)])
    run = read_one(path)
    assert run.score.tolist() == [0, 1]  # type: ignore[union-attr]
    assert run.graded_by("data.accuracy").score.tolist() == [0.5, 1]  # type: ignore[union-attr]


def test_openai_evals_that_cannot_be_read(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "a.jsonl", [OAI_SPEC, event("sampling", 1), REPORT])
    assert (
        sentence_of(path)
        == ": expected events of the type match or metrics; got none; give the log of an eval that records them"
    )
    json_lines(path, [OAI_SPEC, {"a": 1}])
    assert sentence_of(path).startswith(
        ", line 2: expected an event of OpenAI evals; got something else; write the log"
    )
    json_lines(path, [OAI_SPEC, event("match", 1, correct=True), event("match", 1, correct=False), REPORT])
    assert "expected each id once in run 'gpt-4'; got id 'arc.dev.1' there and on" in sentence_of(path)


# ---- AlpacaEval


def annotation(i: int, preference: Any, **also: Any) -> dict[str, Any]:
    names = {"generator_1": "davinci", "generator_2": "my model", "dataset": "koala"}
    return {"instruction": f"Do {i}", "output_1": "a", "output_2": "b", **names, "preference": preference, **also}


def test_alpaca_eval(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    preferences = [1, 2, 1.5, 0, 1.25, None, float("nan")]
    path.write_text(json.dumps([annotation(i, one) for i, one in enumerate(preferences)], indent=1))
    runs = records.read(path)
    run = runs["my model"]
    assert run.score.tolist() == [0, 1, 0.5, 0.5, 0.25]  # type: ignore[union-attr]
    assert run.ids.tolist()[0] == "koala: Do 0"  # type: ignore[union-attr]
    assert run.no_score == 2
    (note,) = runs.notes
    assert (
        note
        == f"{path}: 'win' is preference - 1: 1 where generator_2 is preferred to generator_1 (davinci), 0.5 is a draw"
    )


@pytest.mark.parametrize("preference", [3, -1, "2", True + 2])
def test_alpaca_eval_of_another_preference(tmp_path: Path, preference: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([annotation(0, 1), annotation(1, preference)]))
    assert sentence_of(path).startswith(", line 1: expected a preference from 1 to 2, or 0 for a draw; got ")


# ---- EvalPlus and HumanEval

STATUS = [("pass", "pass"), ("pass", "fail"), ("fail", "fail"), ("timeout", "timeout")]
EVALPLUS = {
    "new": {t: [{"task_id": t, "base_status": a, "plus_status": b} for a, b in STATUS] for t in ("HumanEval/0", "HumanEval/1")},
    "old": {
        t: {"nfiles": 4, "base": [[a, []] for a, _ in STATUS], "plus": [[b, []] for _, b in STATUS]}
        for t in ("HumanEval/0", "HumanEval/1")
    },
}  # fmt: skip


@pytest.mark.parametrize("of_tasks", EVALPLUS.values(), ids=EVALPLUS)
def test_evalplus(tmp_path: Path, of_tasks: dict[str, Any]) -> None:
    path = tmp_path / "eval_results.json"
    path.write_text(json.dumps({"date": "today", "hash": "x", "eval": of_tasks}))
    assert "expected one column that can be the score; got 2: 'base', 'plus'" in sentence_of(path)
    for score, expected in (("base", [1, 1, 0, 0] * 2), ("plus", [1, 0, 0, 0] * 2)):
        run = read_one(path, score=score)
        assert run.score.tolist() == expected  # type: ignore[union-attr]
        assert run.merged == {"ids": 2, "records": 8, "fewest": 4, "most": 4}


def test_evalplus_without_added_tests_and_bigcodebench(tmp_path: Path) -> None:
    path = tmp_path / "eval_results.json"
    for completions, name in (([{"base_status": "pass"}, {"base_status": "fail", "plus_status": None}], "base"), (
        [{"status": "pass", "details": {}}, {"status": "fail", "details": {"x": "y"}}], "passed")):  # fmt: skip
        path.write_text(json.dumps({"eval": {"t/0": completions}}))
        runs = records.read(path)
        assert f"score = {name}" in runs.guesses
        assert runs.runs[0].score.tolist() == [1, 0]  # type: ignore[union-attr]
    path.write_text(json.dumps({"eval": {"t/0": [{"x": 1}]}}))
    assert sentence_of(path).startswith(", completion 1: expected the status of a completion; got none; evaluate the")


def test_human_eval(tmp_path: Path) -> None:
    lines = [
        {"task_id": f"HumanEval/{i}", "completion": "x", "result": "passed", "passed": k < i}
        for k in range(3)
        for i in range(2)
    ]
    runs = records.read(json_lines(tmp_path / "samples.jsonl_results.jsonl", lines))
    (run,) = runs
    assert "score = passed" in runs.guesses
    assert run.score.tolist() == [0, 1, 0, 0, 0, 0]  # type: ignore[union-attr]
    assert run.merged == {"ids": 2, "records": 6, "fewest": 3, "most": 3}


def test_lm_eval_0_3(tmp_path: Path) -> None:
    """The values of its ``_write_out_info.json`` are text."""
    path = tmp_path / "arc_write_out_info.json"
    found = [{"doc_id": i, "prompt_0": "?", "logit_0": "-1.5", "truth": "1", "acc": str(i > 0)} for i in range(4)]
    path.write_text(json.dumps(found, indent=1))
    assert read_one(path).score.tolist() == [0, 1, 1, 1]  # type: ignore[union-attr]


# ---- dictionaries of records


@pytest.mark.parametrize("indent", [None, 1])
def test_a_dictionary_by_id(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({f"q{i}": {"correct": i > 0, "text": "x"} for i in range(4)}, indent=indent))
    runs = records.read(path)
    (run,) = runs
    assert run.ids.tolist() == ["q0", "q1", "q2", "q3"]  # type: ignore[union-attr]
    assert run.score.tolist() == [0, 1, 1, 1]  # type: ignore[union-attr]
    assert runs.notes == (f"{path}: a dictionary of 4 records ('q0', 'q1', 'q2', ...): its keys are the ids",)


def test_predictions_and_details_of_opencompass(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    said = {str(i): {"origin_prompt": "?", "prediction": "AB"[i % 2], "gold": "A"} for i in range(4)}
    path.write_text(json.dumps(said, indent=4))
    assert read_one(path, score="gold==prediction").score.tolist() == [1, 0, 1, 0]  # type: ignore[union-attr]
    graded = {str(i): {"pred": "A", "answer": "A", "correct": i > 1} for i in range(4)}
    path.write_text(json.dumps({"accuracy": 50.0, "details": {"type": "GEN", **graded}}, indent=4))
    assert read_one(path).score.tolist() == [0, 0, 1, 1]  # type: ignore[union-attr]


def test_a_dictionary_by_task(tmp_path: Path) -> None:
    """The same ids in two tasks are different items."""
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({task: [{"id": i, "correct": i % 2} for i in range(3)] for task in ("algebra", "logic")})
    )
    runs = records.read(path)
    assert len(runs.runs[0]) == 6
    assert runs.runs[0].merged == {}
    assert runs.runs[0].column("task").tolist() == ["algebra"] * 3 + ["logic"] * 3
    assert runs.notes[0] == f"{path}: a dictionary of 2 lists of records ('algebra', 'logic'): its keys are the tasks"


@pytest.mark.parametrize(
    "content",
    [
        {"model": {"name": "x", "size": 7}, "data": {"path": "y", "size": 8}},
        {"mmlu": {"acc": 0.5, "acc_stderr": 0.01}, "arc": {"acc": 0.5, "acc_stderr": 0.01}},
        {"samples": [{"correct": 1}]},
        {"q1": {"correct": 1}},
        {"q1": {"correct": 1}, "n": 2},
    ],
)
def test_other_dictionaries_are_no_records(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content, indent=1))
    assert sentence_of(path).startswith(
        ": expected records as JSON Lines, a JSON array, CSV or Parquet; got one JSON object"
    )


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (header(samples=SAMPLES), "expected an Inspect log; got something else; give one log per file"),
        ({"eval": {"t": [{"status": "pass"}]}}, "expected results of EvalPlus; got something else; give one file of"),
        (instance(1), "expected an instance of HELM with its stats; got something else"),
        (annotation(1, 1), "expected an annotation of AlpacaEval; got something else"),
        (OAI_SPEC, "expected an event of OpenAI evals; got something else"),
    ],
)
def test_something_else_after_a_log(tmp_path: Path, first: dict[str, Any], said: str) -> None:
    assert sentence_of(json_lines(tmp_path / "a.jsonl", [first, {"a": 1}])).startswith(f", line 2: {said}")


# ---- a kind of log of one's own


def test_a_program_adds_a_kind_of_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(document: logs.Document) -> Any:
        for run, line in document.objects:
            for k, right in enumerate(run["right"]):
                yield {"id": k, "right": right, "model": run["by"]}, line
        document.scores["right"] = None
        document.note("made by hand")

    own = logs.Log("a log of ours", lambda one, alone: one.get("kind") == "ours", answers)
    monkeypatch.setattr(logs, "LOGS", [*logs.LOGS, own])
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"kind": "ours", "by": "m", "right": [1, 0, 1, 1]}))
    runs = records.read(path)
    assert runs.names == ("m",)
    assert runs.notes == (f"{path}: made by hand",)
    assert runs["m"].score.tolist() == [1, 0, 1, 1]  # type: ignore[union-attr]


# ---- real logs


def test_real_inspect_logs_that_cannot_be_read(data_dir: Path) -> None:
    folder = data_dir / "formats/inspect"
    assert "score it with `inspect score`" in sentence_of(folder / "popularity.eval")
    assert "an Inspect log with samples" in sentence_of(folder / "2025-05-12T20-28-13-04-00_no-samples.json")


def test_a_real_inspect_log(data_dir: Path) -> None:
    run = read_one(data_dir / "formats/inspect/2025-05-12T20-28-13-04-00_popularity.json")
    mean = sy.estimate(run.score)
    assert run.name == "openai/gpt-4o-mini"
    assert mean.value == pytest.approx(2 / 3)
    assert mean.standard_error == pytest.approx(1 / 3)


def test_real_helm_logs(data_dir: Path) -> None:
    folder = data_dir / "formats/helm"
    run = read_one(folder / "hellaswag.json")
    assert len(run) == 10
    assert run.score is not None
    assert run.score.mean() == pytest.approx(0.3)
    assert "choose with where='split==test'" in sentence_of(folder / "narrative_qa.json")
    run = read_one(folder / "narrative_qa.json", score="f1_score", where="split==test")
    assert run.score is not None
    assert len(run) == 4
    assert run.score.mean() == pytest.approx(0.1742424, abs=1e-7)
    assert "give the per_instance_stats.json" in sentence_of(folder / "hellaswag_run_spec.json")
