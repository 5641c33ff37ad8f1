"""Hostile, damaged and mixed files under random options: the command ends with its own codes, and files are whole.

A trial writes a few files of records (odd names, odd columns, odd values, cut, flipped, packed, through a pipe), runs
``report`` or ``compare`` on them, and checks: the code is 0, 1 or 2; 1 comes with a verdict that was asked for; bad
input is one sentence; nothing that is shown has a control character; the files that were read are as before, and those
that are written are the old or whole new ones.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

from steelyard import cli
from steelyard.records.roles import ROLES

from ._frame import run

NAMES = [
    "a", "b", "base", "new", "-", "--html", "- list", "1. x", "@octocat", "#12", "GH-1", "www.a.b", "https://a.b",
    "<b>x</b>", "$x$", "a|b", "`x`", "a\\", "\x1b[2J", "\r\b\a", "\u202eabc", "\u200b", "\ud800", "\udcff", "模型", "",
    " ", "a.b", "none", "row", "x" * 300, "\x85", "a\nb", "\0", "a,b", "a==b",
]  # fmt: skip
COLUMNS = [
    "id", "doc_id", "model", "correct", "acc", "score", "target", "prediction", "confidence", "prob", "loglikelihood",
    "n_tokens", "cluster", "epoch", "filter", "resps", "doc_hash", "a.correct", "b.correct", "doc",
]  # fmt: skip
VALUES: list[Any] = [
    0, 1, -1, True, False, None, 0.5, 1e308, -0.0, 2**70, "", "0", "1", "yes", "N/A", "nan", [], [1], {}, {"x": 1},
    {"correct": 1}, float("nan"), float("inf"), *NAMES,
]  # fmt: skip
HOSTILE = "\x1b[2J<b>\u202e- @octocat #12 $x$ www.a.b | "
OLD = "old and whole"


def _zstd(data: bytes) -> bytes:
    import pyarrow as pa

    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


FORMATS = ["jsonl", "json", "csv", "tsv", "parquet"]
PACKINGS: list[Callable[[bytes], bytes]] = [gzip.compress, bz2.compress, lzma.compress, _zstd]


# ---- files


def record(rng: Random, columns: list[str], i: int, oddity: float, graded: list[Any]) -> dict[str, Any]:
    """One record: plain values, and now and then one that nobody expects."""
    plain: dict[str, Callable[[], Any]] = {
        "id": lambda: i, "doc_id": lambda: i, "model": lambda: "ab"[i % 2], "confidence": rng.random, "prob": rng.random,
        "loglikelihood": lambda: -rng.random(), "n_tokens": lambda: rng.randrange(1, 9), "cluster": lambda: i // 4,
        "epoch": lambda: 0, "target": lambda: rng.choice("AB"), "prediction": lambda: rng.choice("AB"),
    }  # fmt: skip
    usual = {name: plain.get(name, lambda: rng.choice(graded)) for name in columns}
    return {name: rng.choice(VALUES) if rng.random() < oddity else value() for name, value in usual.items()}


def calm_rows(rng: Random, prefix: str, answers: bool) -> list[dict[str, Any]]:
    """Plain records but for one column without a role and, where there is a prefix, hostile ids."""
    odd = rng.choice([name for name in NAMES if name not in COLUMNS])
    ids = [{"id": f"{prefix}{i}", odd or "x": rng.choice(NAMES)} for i in range(60)]
    if answers:
        said = ["A", "a", " A", "B", "", None]
        return [one | {"target": "A", "prediction": rng.choice(said)} for one in ids]
    share, blank = rng.choice([0.2, 0.5, 0.9]), rng.choice([0, 0, 0.1])
    return [one | {"correct": None if rng.random() < blank else rng.random() < share} for one in ids]


def rows(rng: Random) -> list[dict[str, Any]]:
    """Records that nobody expects."""
    columns = ["id", "correct"] if rng.random() < 0.7 else []
    columns += rng.sample(COLUMNS, rng.randrange(4)) + rng.sample(NAMES, rng.choice([0, 0, 1, 2]))
    oddity = rng.choice([0, 0, 0, 0.01, 0.3])
    graded: list[Any] = rng.choice([[0, 1]] * 4 + [["C", "I"], ["yes", "no"], ["87%", "5%"], ["pass", "fail", "?"]])
    return [
        record(rng, list(dict.fromkeys(columns)), i, oddity, graded) for i in range(rng.choice([0, 1, 2, 3, 20, 60]))
    ]


def separated(of: list[dict[str, Any]], mark: str, lone: str) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(of[0]) if of else ["id"], delimiter=mark)
    writer.writeheader()
    writer.writerows(of)
    return out.getvalue().encode("utf-8", lone)


def parquet(rng: Random, of: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def column(values: list[Any]) -> Any:
        """As Arrow takes it and Parquet can hold it (a structure without fields it cannot), else as text."""
        try:
            of_kind = pa.array(values)
            pq.write_table(pa.table({"x": of_kind}), io.BytesIO())
        except (pa.ArrowException, TypeError, OverflowError, UnicodeError):
            return pa.array([None if value is None else ascii(value) for value in values])
        return of_kind

    columns = {ascii(name): column([row[name] for row in of]) for name in (of[0] if of else ["id"])}
    odd = [
        pa.array([rng.randrange(2**45) for _ in of], kind)
        for kind in (pa.timestamp("s"), pa.timestamp("ns"), pa.duration("us"), pa.time64("ns"), pa.uint64())
    ]
    columns |= {f"odd {k}": values for k, values in enumerate(rng.sample(odd, rng.randrange(3)))}
    out = io.BytesIO()
    pq.write_table(pa.table({name.strip("'"): values for name, values in columns.items()}), out)
    return out.getvalue()


def encoded(rng: Random, of: list[dict[str, Any]], kind: str) -> bytes:
    lone = rng.choice(["replace"] * 19 + ["surrogatepass"])  # what becomes of a lone surrogate
    if kind == "parquet":
        return parquet(rng, of)
    if kind in ("csv", "tsv"):
        return separated(of, {"csv": ",", "tsv": "\t"}[kind], lone)
    if kind == "json":
        return json.dumps(of, indent=rng.choice([None, 1])).encode()
    plain = rng.random() < 0.5
    return "".join(json.dumps(row, ensure_ascii=plain) + "\n" for row in of).encode("utf-8", lone)


def inspect_log(rng: Random, model: str) -> dict[str, Any]:
    """A log of Inspect with values of all kinds, and now and then something else where a part should be."""

    def odd(value: Any) -> Any:
        return rng.choice(VALUES) if rng.random() < 0.01 else value

    value = rng.choice([lambda: rng.randrange(2), lambda: rng.choice("CIPN"), lambda: {"a": rng.random(), "b": 1}])
    samples = [
        {
            "id": odd(i),
            "epoch": odd(1),
            "input": "?",
            "target": "A",
            "scores": odd({"match": odd({"value": odd(value())})}),
        }
        for i in range(rng.choice([0, 1, 30]))
    ]
    header = {"version": 2, "status": odd("success"), "eval": odd({"task": "t", "model": odd(model)})}
    return {**header, "samples": odd(samples)}


def zipped(rng: Random, log: dict[str, Any]) -> bytes:
    """The same log as an archive, with parts of it missing at times."""
    samples = log["samples"] if isinstance(log["samples"], list) else []
    members = {f"samples/{i}_epoch_1.json": one for i, one in enumerate(samples)}
    members |= {"_journal/start.json": {"eval": log["eval"]}, "_journal/summaries/1.json": samples}
    members |= {"summaries.json": samples, "header.json": {key: log[key] for key in ("status", "eval")}}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name, value in members.items():
            if rng.random() < 0.9:
                archive.writestr(name, json.dumps(value))
    return out.getvalue()


def helm_log(rng: Random) -> list[Any]:
    """Instances of HELM with their metrics, and now and then something else."""

    def odd(value: Any) -> Any:
        return rng.choice(VALUES) if rng.random() < 0.003 else value

    def stat(metric: str) -> Any:
        name = odd({"name": odd(metric), "split": odd(rng.choice(["test"] * 199 + ["valid"]))})
        return odd({"name": name, "count": odd(1), "sum": odd(1), "mean": odd(rng.randrange(2))})

    return [
        odd(
            {"instance_id": odd(f"id{i}"), "train_trial_index": odd(0), "stats": odd([stat("exact_match"), stat("f1")])}
        )
        for i in range(rng.choice([1, 30]))
    ]


def promptfoo_results(rng: Random, model: str) -> list[Any]:
    """Results of promptfoo, with something else where a part should be at times."""

    def odd(value: Any) -> Any:
        return rng.choice(VALUES) if rng.random() < 0.01 else value

    return [
        {
            "testIdx": odd(i),
            "promptIdx": odd(column),
            "provider": odd(rng.choice([model, {"id": model, "label": odd("")}])),
            "prompt": odd({"raw": "?", "label": odd(f"prompt {column}")}),
            "vars": odd({"q": odd(i // 2)}),
            "testCase": odd({"vars": odd({"q": i // 2})}),
            "success": odd(rng.random() < 0.5) if i else True,
            "score": odd(rng.random()),
            "failureReason": odd(rng.randrange(3)),
            "response": odd({"output": odd("yes")}),
            "gradingResult": odd({"reason": odd("so")}),
        }
        for i in range(rng.choice([1, 2, 20]))
        for column in range(rng.choice([1, 2]))
    ]


def promptfoo_csv(rng: Random, model: str) -> bytes:
    """The table of promptfoo as CSV, of the older and the newer kind."""
    newer = rng.random() < 0.5
    beside = ["Status", "Score", "Named Scores", "Grader Reason", "Comment"][: rng.choice([2, 5])] if newer else []
    models = [model, *rng.sample(NAMES, rng.choice([0, 1, 3]))]
    table = [["q", *(one for name in models for one in [f"[{name}] ask", *beside])]]
    for i in range(rng.choice([0, 1, 20])):
        cells = [str(i)]
        for _ in models:
            outcome = rng.choice(["PASS", "FAIL", "ERROR" if rng.random() < 0.1 else "PASS"])
            odd = rng.choice(NAMES) if rng.random() < 0.01 else outcome
            cells += ["said", odd, "0.5", "{}", "so", ""][: 1 + len(beside)] if newer else [f"[{odd}] said"]
        table.append(cells)
    out = io.StringIO()
    csv.writer(out).writerows(table)
    return out.getvalue().encode("utf-8", "replace")


def excel_csv(rng: Random, model: str) -> bytes:
    """What Excel saves in a country of decimal commas."""
    mark = rng.choice(";\t")
    numbers = [f"{rng.random():.{rng.choice([1, 3])}f}".replace(".", ",") for _ in range(20)]
    if rng.random() < 0.2:
        numbers[rng.randrange(20)] = rng.choice(["1.000,5", "0.5", "1,234", "x", "n/a", "1,", ",5", "1e400,5"])
    text = "".join(f"{mark.join((str(i), one, model))}\r\n" for i, one in enumerate(numbers))
    text = rng.choice(["", f"sep={mark}\r\n", "sep=\r\n"]) + mark.join(["id", "acc", "model"]) + "\r\n" + text
    return text.encode(rng.choice(["utf-8", "utf-8-sig", "utf-16"]), "replace")


def table_json(rng: Random, model: str) -> dict[str, Any]:
    """A table as pandas, MLflow and wandb write it."""
    columns: list[Any] = rng.choice(
        [["id", "correct", "model"], ["q", "toxicity/v1/score", "model"], rng.sample(VALUES, 3)]
    )
    data: list[Any] = [[i, rng.choice(VALUES) if rng.random() < 0.01 else i % 2, model] for i in range(20)]
    if rng.random() < 0.1:
        data[rng.randrange(20)] = rng.choice([[], {}, [1], 0, None])
    more = rng.choice([{}, {"_type": "table", "ncols": 3}, {"index": rng.choice([[], list("ab" * 10), None])}])
    return {**more, "columns": columns, "data": data}


def lighteval_details(rng: Random, model: str) -> bytes:
    """Details of lighteval, of the older and the newer kind."""
    metrics = rng.sample(["acc", "em", "f1", "words"], 2)
    texts = rng.sample(["word_perplexity", "byte_perplexity", "bits_per_byte", "ppl"], rng.choice([0, 0, 1, 3]))
    newer = rng.random() < 0.5
    of: list[dict[str, Any]] = []
    for i in range(20):
        values: dict[str, Any] = {name: model if name == "words" else rng.randrange(2) for name in metrics}
        values |= {name: {"logprobs": -2.5 * i, "weights": rng.choice([i, 9])} for name in texts}
        doc = {"id": str(i // rng.choice([1, 1, 1, 2])), "query": "?"}
        of.append({"doc": doc, "metric": values} if newer else {"example": "?", "metrics": values})
    return parquet(rng, of)


def openai_evals(rng: Random, model: str) -> bytes:
    """Events of OpenAI evals."""
    spec = {"spec": {"completion_fns": [model], "eval_name": "e"}}
    events = [
        {
            "run_id": "r",
            "event_id": i,
            "sample_id": f"e.{i // 2}",
            "type": kind,
            "data": {key: rng.choice([0, 1, True])},
        }
        for i in range(30)
        for kind, key in [rng.choice([("match", "correct"), ("metrics", "f1"), ("sampling", "sampled")])]
    ]
    return "".join(json.dumps(one) + "\n" for one in [spec, *sprinkled(rng, events), {"final_report": {}}]).encode()


def sprinkled(rng: Random, records: list[Any]) -> list[Any]:
    """Records of which a few are, or hold, something else than expected."""

    def other(one: Any) -> Any:
        return rng.choice([rng.choice(VALUES), one | {rng.choice(list(one)): rng.choice(VALUES)}])

    return [other(one) if rng.random() < 0.02 else one for one in records]


def alpaca_eval(rng: Random, model: str) -> list[Any]:
    """Annotations of AlpacaEval."""
    names = {"generator_1": "a", "generator_2": model, "dataset": "d"}
    preferences = [rng.choice([1, 2, 1.5, rng.uniform(1, 2), None]) for _ in range(30)]
    return sprinkled(rng, [{"instruction": f"do {i}", **names, "preference": one} for i, one in enumerate(preferences)])


def evalplus(rng: Random) -> dict[str, Any]:
    """Results of EvalPlus, of the newer and the older kind."""
    status = ["pass", "fail", "timeout", None]
    if rng.random() < 0.3:
        return {"eval": {f"t/{i}": [{"status": rng.choice(["pass", "fail"])}] for i in range(30)}}
    if rng.random() < 0.5:
        of = [
            [{"base_status": rng.choice(status), "plus_status": rng.choice(status)} for _ in range(3)] for _ in range(9)
        ]
        return {"eval": {f"t/{i}": sprinkled(rng, one) for i, one in enumerate(of)}}
    old = [{"nfiles": 3, "base": [["pass", []]] * 3, "plus": [[rng.choice(status), []]] * 3} for _ in range(9)]
    return {"hash": "x", "eval": {f"t/{i}": one for i, one in enumerate(sprinkled(rng, old))}}


def rolling(rng: Random, model: str) -> bytes:
    """Samples of lm-evaluation-harness with rolling log-likelihoods."""
    metrics = ["word_perplexity", "byte_perplexity", "bits_per_byte"]
    of = [
        {"doc_id": i, "doc_hash": str(i), "resps": [[-1.5]], "model": model}
        | {metric: [-1.5 * i, rng.choice([0, 1.5]) if rng.random() < 0.02 else 9] for metric in metrics}
        for i in range(rng.choice([1, 30]))
    ]
    return "".join(json.dumps(one) + "\n" for one in sprinkled(rng, of)).encode()


def responses(rng: Random, model: str) -> bytes:
    """Responses of servers with log-probabilities, with something else where a part should be at times."""

    def odd(value: Any) -> Any:
        return rng.choice([*VALUES, -9999.0, float("-inf")]) if rng.random() < 0.01 else value

    def one(i: int) -> Any:
        values = odd([odd(-1.5 * k if k else None) for k in range(6)])
        logged = {
            "tokens": odd([odd("a")] * 6),
            "token_logprobs": values,
            "text_offset": odd([odd(k) for k in range(6)]),
        }
        content = odd([odd({"token": "a", "logprob": odd(-0.5), "bytes": odd([97])}) for _ in range(6)])
        prompt = odd(
            [None, *[odd({"7": {"logprob": odd(-1.0), "rank": odd(9)}, "8": {"logprob": -0.5, "rank": 1}})] * 5]
        )
        choice = {"text": odd("aaaaaa"), "logprobs": odd(rng.choice([logged, {"content": content}]))}
        usage = odd({"prompt_tokens": odd(5), "completion_tokens": odd(1)})
        body: Any = {"model": odd(model), "choices": odd([odd(choice)] * rng.choice([1, 1, 2])), "usage": usage}
        body |= rng.choice([{}, {"prompt_logprobs": prompt}, {"completion_probabilities": content}])
        inside = {"id": odd(f"b{i}"), "custom_id": odd(f"q{i}"), "response": odd({"body": body}), "error": None}
        return odd(rng.choice([body, inside]))

    return "".join(json.dumps(one(i)) + "\n" for i in range(rng.choice([1, 20]))).encode()


def llama_perplexity(rng: Random, model: str) -> bytes:
    """What llama-perplexity prints, with something else where a value should be at times."""
    odd = ["nan", "-inf", "0.5"]
    values = [f"{rng.uniform(5, 5.01):.4f}" if rng.random() < 0.99 else rng.choice(odd) for _ in range(20)]
    chunks = "".join(f"[{i if rng.random() < 0.998 else 3}]{value}," for i, value in enumerate(values, 1))
    size = rng.choice(["", ", n_ctx=512", ", n_ctx=2"])
    said = f"perplexity: calculating perplexity over {rng.choice([20, 30])} chunks{size}\n"
    return (rng.choice(["", said]) + chunks + rng.choice(["", "\nFinal estimate: PPL = 5.0 +/- 1\n"])).encode()


def keyed(rng: Random, model: str) -> dict[str, Any]:
    """Dictionaries of records, by id or by task."""
    records = sprinkled(rng, [{"correct": rng.randrange(2), "model": model, "id": i} for i in range(12)])
    by_id = {f"q{i}": one for i, one in enumerate(records)}
    return rng.choice([by_id, {"t": records, "u": records}, {"accuracy": 0.5, "details": {"type": "GEN", **by_id}}])


# Makes the bytes of a log of each kind, from the name of a model.
LOG_FILES: dict[str, Callable[[Random, str], bytes]] = {
    "eval": lambda rng, model: zipped(rng, inspect_log(rng, model)),
    "json": lambda rng, model: json.dumps(inspect_log(rng, model), indent=rng.choice([None, 1])).encode(),
    "jsonl of OpenAI evals": openai_evals,
    "json of AlpacaEval": lambda rng, model: json.dumps(alpaca_eval(rng, model)).encode(),
    "json of EvalPlus": lambda rng, model: json.dumps(evalplus(rng), indent=rng.choice([None, 1])).encode(),
    "json of records": lambda rng, model: json.dumps(keyed(rng, model), indent=rng.choice([None, 1])).encode(),
    "json of HELM": lambda rng, model: json.dumps(helm_log(rng), indent=rng.choice([None, 1])).encode(),
    "jsonl promptfoo": lambda rng, model: "\n".join(map(json.dumps, promptfoo_results(rng, model))).encode(),
    "json promptfoo": lambda rng, model: json.dumps(
        {"evalId": "e", "results": {"results": promptfoo_results(rng, model)}}
    ).encode(),
    "csv promptfoo": promptfoo_csv,
    "csv excel": excel_csv,
    "json table": lambda rng, model: json.dumps(table_json(rng, model), indent=rng.choice([None, 1])).encode(),
    "jsonl of rolling log-likelihoods": rolling,
    "jsonl of responses": responses,
    "log of llama-perplexity": llama_perplexity,
    "parquet lighteval": lighteval_details,
}


def log_file(rng: Random) -> tuple[str, bytes]:
    """A log of any kind, with the ending of its name."""
    kind = rng.choice(list(LOG_FILES))
    data = LOG_FILES[kind](rng, rng.choice(["a", "b", rng.choice(NAMES)]))
    if rng.random() < 0.05:  # something else after it, or the same once more
        data += b"\n" + rng.choice([data, json.dumps({rng.choice(NAMES): rng.choice(VALUES)}).encode()])
    return kind.partition(" ")[0], data


def damaged(rng: Random, data: bytes) -> bytes:
    """Cut, flip, drop, repeat, insert, or dress up."""
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    junk = rng.choice(
        [b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"{", b"[" * 5000, b'"', b"\n\n", b"PAR1", b"\x1f\x8b\x08", b"BZh9"]
    )
    return rng.choice([
        lambda: data[:at],
        lambda: data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :],
        lambda: data[:at] + data[end:],
        lambda: data + data[at:end],
        lambda: data[:at] + junk + data[at:],
        lambda: junk + data,
        lambda: data.decode("utf-8", "replace").encode("utf-16"),
        lambda: data.replace(b"\n", b"\r\n"),
    ])()  # fmt: skip


def file_name(rng: Random, kind: str) -> str:
    stem = rng.choice(NAMES) if rng.random() < 0.3 else rng.choice("abcdefgh")
    stem = "".join(c for c in stem if c not in "/\0")[:60].encode(
        "utf-8", "surrogateescape" if "\udcff" in stem else "replace"
    )
    return os.fsdecode(stem + f"{'' if rng.random() < 0.1 else '.'}{kind}".encode())


def inputs(rng: Random, folder: Path, calm: bool) -> Iterator[Path]:
    prefix, answers = rng.choice(["", "", HOSTILE]), rng.random() < 0.3
    for _ in range(rng.choice([2, 2, 3] if calm else [1, 1, 2, 2, 3])):
        kind = rng.choice(FORMATS)
        data = encoded(rng, calm_rows(rng, prefix, answers) if calm else rows(rng), kind)
        if not calm and rng.random() < 0.3:
            kind, data = log_file(rng)
        if not calm and rng.random() < 0.35:
            data = damaged(rng, data)
        if rng.random() < 0.2:
            data = rng.choice(PACKINGS)(data)
            data = damaged(rng, data) if not calm and rng.random() < 0.3 else data
        path = folder / file_name(rng, kind)
        path.write_bytes(data)
        yield path


# ---- the command


def options(rng: Random, verb: str, folder: Path, files: list[Path]) -> tuple[list[str], list[Path]]:
    """Options at random, and the places that they name to write to."""
    words: list[str] = []
    calm = rng.random() < 0.6
    named = [role.option for role in ROLES.values() if verb == "report" or not role.only_for]
    named += ["--filter", "--repeats", "--names", "--baseline", "--models"]
    for option in rng.sample(named, 0 if calm else rng.choice([0, 0, 1, 2])):
        words += [option, rng.choice([*COLUMNS, *NAMES, "epochs", "a,b", "none"]).replace("\0", "")]
    if rng.random() < 0.3:
        words += ["--margin", rng.choice(["0", "0.1", "1e-300"] if calm else ["-1", "nan", "inf", "x"])]
    if rng.random() < 0.2:
        words += ["--confidence-level", rng.choice(["0.9", "1e-9", "0.999999"] if calm else ["0", "1", "95", "nan"])]
    if rng.random() < 0.2:
        words += ["--lower-is-better"]
    if rng.random() < 0.15:
        words += ["--unpaired"]
    if rng.random() < 0.2:
        words += ["--missing", rng.choice(["drop", "wrong", "0.5"] + ["", "nan", "right"] * (not calm))]
    if rng.random() < 0.2:
        words += ["--values", rng.choice(["C=1,I=0", "yes=1,no=0,n/a=0.5"] + ["", "1=0", "C=x", "="] * (not calm))]
    if rng.random() < 0.1:
        compared = rng.choice(["==", "!=", "<", ">=", "=", " and "])
        wanted = f"{rng.choice(COLUMNS)}{compared}{rng.choice([0, 1, *NAMES])}"
        words += ["--where", rng.choice(["id!=3", "id>=2 and id!=a"] if calm else [wanted]).replace("\0", "")]
    if rng.random() < 0.05:
        words += ["--exclude", rng.choice(["*.png", "*a*", "old"] + ["", "*", "[", folder.name] * (not calm))]
    if verb == "compare" and rng.random() < 0.2:
        words += ["--min-matched", rng.choice(["0", "0.5", "1"] + ["2", "-1", "nan", "x"] * (not calm))]
    if words and rng.random() < 0.02:
        words += words[:2]  # given twice: refused, not overruled
    if verb == "compare" and rng.random() < 0.4:
        words += ["--fail-on", rng.choice(["worse", "undecided", "never"] + ["sometimes"] * (not calm))]
    places = [folder / "out.json", folder / "page.html", folder, *files, Path("-"), Path("/dev/null")]
    asked = []
    for option, often in (("--json", 0.5), ("--html", 0.04)):
        if rng.random() < often:
            asked.append(place := rng.choice(places[:2] * 4 + places * (not calm)))
            words += [option, str(place)]
    return words, asked


@contextmanager
def streams() -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Standard output and error as bytes."""
    out, err = io.BytesIO(), io.BytesIO()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = io.TextIOWrapper(out, "utf-8"), io.TextIOWrapper(err, "utf-8")
    try:
        yield out, err
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout.detach()
        sys.stderr.detach()
        sys.stdout, sys.stderr = before


def inside(words: list[str]) -> tuple[int, bytes, bytes]:
    with streams() as (out, err), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = cli.run(words)
    return int(code), out.getvalue(), err.getvalue()


def passes(word: str) -> bool:
    """Whether the system takes a word as an argument; from Python any text may come."""
    try:
        os.fsencode(word)
    except UnicodeEncodeError:
        return False
    return True


def outside(words: list[str]) -> tuple[int, bytes, bytes]:
    words = [sys.executable, "-W", "ignore", "-m", "steelyard", *words]
    done = subprocess.run(words, capture_output=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout, done.stderr


def feed(fifo: Path, data: bytes, over: Event) -> None:
    """Write to the pipe once the command has opened it, if it does."""
    while not over.is_set():
        try:
            pipe = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.001)  # nobody reads yet
            continue
        os.set_blocking(pipe, True)
        try:
            with open(pipe, "wb") as out:
                out.write(data)
        except BrokenPipeError:
            pass  # the command had seen enough
        return


# ---- what must hold


def check_words(code: int, out: bytes, err: bytes, is_data: bool) -> None:
    said = err.decode()
    assert "Traceback" not in said, said
    assert code in (0, 1, 2), (code, said)
    if code == 2:
        assert said.startswith("steelyard: "), said
        assert len(said.splitlines()) == 1, said
        assert not out or is_data
    for text in [said] if is_data else [said, out.decode()]:
        assert all(c.isprintable() or c == "\n" for c in text), ascii(text)


def whole(text: str) -> bool:
    """Whether a written file is the old one, data or a page to its last character."""
    if text == OLD:
        return True
    if text.startswith("<!doctype html>"):
        return text.endswith("</html>")
    return bool(json.loads(text))


def check_verdict(code: int, verb: str, words: list[str], data: str | None) -> None:
    """1 means a verdict, and each verdict that was asked for is 1."""
    if code == 1:
        assert verb == "compare"
    if code == 2 or verb != "compare" or data is None:
        return
    fail_on = words[words.index("--fail-on") + 1] if "--fail-on" in words else "worse"
    bad = {"worse": {"worse"}, "undecided": {"worse", "undecided"}, "never": set[str]()}[fail_on]
    verdicts = {pair["verdict"] for pair in json.loads(data)["pairs"]}
    assert code == bool(verdicts & bad), (code, verdicts, fail_on)


def check_sense(data: str | None) -> None:
    """No interval without width, no p of 0, limits on their sides; without limits a pair is undecided."""
    for pair in json.loads(data)["pairs"] if data is not None else ():
        low, high, value = (pair["difference"][key] for key in ("low", "high", "value"))
        seen = pair["difference"]["confidence_level"] > 1e-6  # else the width may be below the value's last digit
        assert low is None or (low < high if seen else low <= high), pair
        assert low is None or low <= value <= high, pair
        assert 0 < pair["p_value"] <= 1, pair
        assert pair["simultaneous"]["low"] is not None or pair["verdict"] == "undecided", pair


def trial(rng: Random) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        files = list(dict.fromkeys(inputs(rng, folder, calm=rng.random() < 0.6)))
        for place in (folder / "out.json", folder / "page.html"):
            if rng.random() < 0.5:
                place.write_text(OLD)
        summary = Path(name) / "summary.md"
        before = {path: path.read_bytes() for path in files}
        verb = rng.choice(["report", "compare", "compare"])
        words, asked = options(rng, verb, folder, files)
        places = [str(path) for path in files]
        piped = rng.random() < 0.05
        os.environ["GITHUB_STEP_SUMMARY"] = str(rng.choice([summary, summary, folder, summary if piped else files[0]]))
        if piped:
            fifo = Path(name) / "pipe"
            os.mkfifo(fifo)
            places[0] = str(fifo)
            writer = Thread(target=feed, args=(fifo, before[files[0]], over := Event()), daemon=True)
            writer.start()
        if rng.random() < 0.03:
            places.append(rng.choice([str(Path(name) / "absent"), name, "/dev/null", places[0]]))
        elif not piped and rng.random() < 0.1:
            places = rng.choice([[str(folder)], [f"{folder}/*"], [f"{folder}/**/*.jsonl"], [name, *places]])
        process = rng.random() < 0.02 and all(map(passes, words))
        code, out, err = (outside if process else inside)([verb, *words, "--", *places])
        if piped:
            over.set()  # the command may have refused before it opened the pipe
            writer.join()
        check_words(code, out, err, is_data=Path("-") in asked)
        for path, data in before.items():
            through = piped and path == files[0]  # the command was given the pipe, and may write to the file
            assert through or path.read_bytes() == data, "what was read has changed"
        for place in (folder / "out.json", folder / "page.html"):
            assert not place.exists() or whole(place.read_text(encoding="utf-8")), place
        known = {path.name for path in files} | {"out.json", "page.html"}
        assert set(os.listdir(folder)) <= known, os.listdir(folder)
        data_place = words[words.index("--json") + 1] if "--json" in words else ""
        written = {"-": out.decode() if b'"steelyard"' in out else None, str(folder / "out.json"): None}
        if data_place == str(folder / "out.json") and code != 2:
            written[data_place] = (folder / "out.json").read_text(encoding="utf-8")
        check_verdict(code, verb, words, written.get(data_place))
        check_sense(written.get(data_place))
        check_summary(summary)
    kind = {0: "fine", 1: "verdict", 2: "refused"}[code]
    return f"{verb} {kind}{' through a pipe' if piped else ''}{' as a process' if process else ''}"


def check_summary(summary: Path) -> None:
    if summary.exists():
        text = summary.read_text(encoding="utf-8")
        assert text.startswith("## ")
        assert text.endswith("\n")
        assert all(c.isprintable() or c == "\n" for c in text)
        for link in ("<b>", "@octocat", "#12", "www.a", "://", "$x$"):
            assert link not in text, text


if __name__ == "__main__":
    os.environ["COLUMNS"] = "80"
    os.environ["NO_COLOR"] = "1"
    sys.exit(run("files", trial))
