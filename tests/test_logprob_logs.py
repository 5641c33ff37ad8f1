"""Logs of log-likelihoods: files made here by the descriptions of their formats, read, reported and refused."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import records, report
from steelyard.cli import run as command
from steelyard.errors import RecordError

RNG = np.random.default_rng(11)


def json_lines(path: Path, objects: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    return path


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(RecordError) as error:
        records.read(path, **options)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(str(path))


# ---- rolling log-likelihoods of lm-evaluation-harness

WORDS = RNG.integers(50, 400, 30)
BYTES = WORDS * 5 + RNG.integers(0, 200, 30)
LL = -RNG.gamma(9.0, 0.4, 30) * WORDS


def rolling(ll: Any = LL, words: Any = WORDS, bytes_: Any = BYTES) -> list[dict[str, Any]]:
    """Samples as ``lm_eval --log_samples`` writes them for wikitext."""
    return [
        {
            "doc_id": i, "doc": {"page": f"page {i}"}, "target": f"page {i}", "arguments": [[f"page {i}"]],
            "resps": [[[float(x)]]], "filtered_resps": [[float(x)]], "doc_hash": f"h{i}", "filter": "none",
            "metrics": ["word_perplexity", "byte_perplexity", "bits_per_byte"],
            "word_perplexity": [float(x), int(w)], "byte_perplexity": [float(x), int(b)],
            "bits_per_byte": [float(x), int(b)],
        }
        for i, (x, w, b) in enumerate(zip(ll, words, bytes_, strict=True))
    ]  # fmt: skip


def test_rolling_samples_have_the_harness_values_and_an_interval(tmp_path: Path, capsys: Any) -> None:
    """The harness prints N/A for the error of all three."""
    path = json_lines(tmp_path / "samples_wikitext_2025-01-31T10-00-00.000000.jsonl", rolling())
    (model,) = report.build(records.read(path)).models
    harness = {
        "word perplexity": math.exp(-LL.sum() / WORDS.sum()),
        "byte perplexity": math.exp(-LL.sum() / BYTES.sum()),
        "bits per byte": -LL.sum() / BYTES.sum() / math.log(2),
    }
    assert {name: e.value for name, e in model.of_text.items()} == pytest.approx(harness, rel=1e-12)
    want = sy.perplexity(-LL, per=BYTES, clusters=np.arange(30), unit="bits")
    assert model.of_text["bits per byte"] == want
    assert want.n_clusters == 30
    assert model.perplexity is None, "the file does not say how many tokens there are"
    page = tmp_path / "page.html"
    assert command(["report", str(path), "--html", str(page), "--json", str(tmp_path / "r.json")]) == 0
    printed = capsys.readouterr().out
    assert "Perplexity by the length of the text" in printed
    assert "Perplexity per token" not in printed
    assert "bits per byte" in page.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "r.json").read_text())["models"][0]["of_text"]["bits per byte"]["value"] == want.value


def test_rolling_samples_are_compared_per_byte(tmp_path: Path, capsys: Any) -> None:
    new = LL * RNG.normal(0.95, 0.02, 30)
    paths = []
    for name, ll in (("base", LL), ("new", new)):
        (tmp_path / name).mkdir()
        paths.append(
            str(json_lines(tmp_path / name / "samples_wikitext_2025-01-31T10-00-00.000000.jsonl", rolling(ll)))
        )
    (pair,) = report.build(records.read(paths)).perplexities
    want = sy.compare(-new, baseline=-LL, statistic="perplexity", per=BYTES, clusters=np.arange(30)).ratio
    assert (pair.unit, pair.ratio) == ("byte", want)
    assert command(["report", *paths]) == 0
    assert "Per byte of the text, where tokens are not the same: new / base." in capsys.readouterr().out
    assert command(["compare", *paths, "--loglikelihood", "loglikelihood", "--fail-on", "worse"]) == 0
    assert command(["compare", *paths[::-1], "--loglikelihood", "loglikelihood", "--fail-on", "worse"]) == 1
    assert "perplexities are compared with loglikelihood='loglikelihood'" in refusal(
        Path(paths[0]), loglikelihood="none"
    )


def test_an_empty_text_is_left_out_and_counted(tmp_path: Path) -> None:
    samples = rolling()
    samples[3] |= {"word_perplexity": [0.0, 1], "byte_perplexity": [0.0, 0], "bits_per_byte": [0.0, 0]}
    path = json_lines(tmp_path / "samples_wikitext.jsonl", samples)
    runs = records.read(path)
    assert len(runs.runs[0]) == 29
    assert list(runs.left_out.values()) == [{"with an empty text": 1}]


def test_a_text_of_probability_0_is_an_infinite_perplexity(tmp_path: Path) -> None:
    samples = rolling(np.where(np.arange(30) == 4, -np.inf, LL))
    assert "-Infinity" in json.dumps(samples[4])
    (model,) = report.build(records.read(json_lines(tmp_path / "a.jsonl", samples))).models
    assert [float(e) for e in model.of_text.values()] == [math.inf] * 3


@pytest.mark.parametrize(
    ("also", "said"),
    [
        ({"word_perplexity": [-1.0]}, "a log-likelihood and a count as 'word_perplexity'; got [-1.0]"),
        ({"byte_perplexity": [-1.0, 2.5]}, "a log-likelihood and a count as 'byte_perplexity'; got [-1.0, 2.5]"),
        ({"bits_per_byte": [None, 2]}, "a log-likelihood and a count as 'bits_per_byte'; got [None, 2]"),
        ({"word_perplexity": [-(10**400), 2]}, "one loglikelihood for all metrics of a sample; got -"),
        ({"bits_per_byte": 0.7}, "a log-likelihood and a count as 'bits_per_byte'; got 0.7"),
        ({"bits_per_byte": [-9.0, 7]}, "one loglikelihood for all metrics of a sample; got"),
    ],
)
def test_bad_rolling_samples_are_named(tmp_path: Path, also: dict[str, Any], said: str) -> None:
    samples = rolling()
    samples[2] |= also
    assert refusal(json_lines(tmp_path / "a.jsonl", samples)).startswith(f", line 3: expected {said}")


def test_log_likelihoods_alone_are_not_mixed_with_scores(tmp_path: Path) -> None:
    """A directory of results with WikiText beside a task that has scores."""
    graded = [{"doc_id": i, "doc_hash": "x", "resps": [[0]], "filter": "none", "acc": i % 2} for i in range(9)]
    json_lines(tmp_path / "samples_arc_2025-01-31T10-00-00.000000.jsonl", graded)
    name = "samples_wikitext_2025-01-31T10-00-00.000000.jsonl"
    json_lines(tmp_path / name, rolling())
    said = refusal(tmp_path)
    assert f"{name}: expected a score, as other files have; got log-likelihoods alone; read it by itself, or" in said
    assert len(records.read(tmp_path, exclude=name).runs[0]) == 9
    assert len(records.read(tmp_path / name).runs[0]) == 30


# ---- the length of the text in any file of records


def test_models_with_other_tokens_are_compared_by_the_bytes_of_the_text(tmp_path: Path) -> None:
    """Perplexities per token of two tokenizers say nothing about each other."""
    paths, ll = [], {"base": LL, "new": LL * 0.9}
    for name, per in (("base", 3), ("new", 4)):
        rows = [
            {"id": i, "loglikelihood": float(x), "n_tokens": int(b) // per, "n_bytes": int(b), "n_words": int(w)}
            for i, (x, b, w) in enumerate(zip(ll[name], BYTES, WORDS, strict=True))
        ]
        paths.append(json_lines(tmp_path / f"{name}.jsonl", rows))
    made = report.build(records.read(paths))
    (pair,) = made.perplexities
    assert pair.unit == "byte"
    assert pair.ratio.value == pytest.approx(math.exp(0.1 * LL.sum() / BYTES.sum()))
    assert made.models[0].perplexity is not None
    assert list(made.models[0].of_text) == ["word perplexity", "byte perplexity", "bits per byte"]
    cut = json_lines(tmp_path / "cut.jsonl", [{**json.loads(line), "n_bytes": None, "n_words": None, "n_tokens": 9}
                                              for line in paths[0].read_text().splitlines()])  # fmt: skip
    assert report.build(records.read([cut, paths[1]])).perplexities == ()


def test_records_without_the_length_of_their_text_are_counted(tmp_path: Path) -> None:
    rows = [
        {"id": i, "loglikelihood": float(x), "n_tokens": 9, "n_bytes": None if i < 2 else int(b)}
        for i, (x, b) in enumerate(zip(LL, BYTES, strict=True))
    ]
    (model,) = report.build(records.read(json_lines(tmp_path / "a.jsonl", rows))).models
    assert model.notes == ("a: 2 of 30 records have no n_bytes",)
    assert model.of_text["bits per byte"].value == pytest.approx(-LL[2:].sum() / BYTES[2:].sum() / math.log(2))


# ---- responses of servers

VOCABULARY = ["The", " cat", " sat", " on", " the", " mat", " é", " 猫", ".\n"]


def tokens_of(n: int, stream: int) -> tuple[list[str], list[float]]:
    rng = np.random.default_rng(stream)
    return rng.choice(VOCABULARY, n).tolist(), (-rng.gamma(2.0, 1.0, n)).tolist()


def echoed(stream: int, n: int = 9, written: int = 0, **also: Any) -> dict[str, Any]:
    """A completion that repeats its prompt, with the tokens that the model wrote after it."""
    words, logprobs = tokens_of(n + written, stream)
    offsets = np.cumsum([0, *map(len, words)])[:-1].tolist()
    logged = {"tokens": words, "token_logprobs": [None, *logprobs[1:]], "top_logprobs": None, "text_offset": offsets}
    return {
        "id": f"cmpl-{stream}", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": "".join(words), "logprobs": logged, "finish_reason": "length"}],
        "usage": {"prompt_tokens": n, "completion_tokens": written, "total_tokens": n + written},
    } | also  # fmt: skip


def chat(stream: int, n: int = 9, choices: int = 1) -> dict[str, Any]:
    """A chat: tokens that the model wrote."""
    of = []
    for at in range(choices):
        words, logprobs = tokens_of(n, stream + 1000 * at)
        content = [
            {"token": word, "logprob": x, "bytes": list(word.encode()), "top_logprobs": [{"token": word, "logprob": x}]}
            for word, x in zip(words, logprobs, strict=True)
        ]
        message = {"role": "assistant", "content": "".join(words)}
        of.append({"index": at, "message": message, "logprobs": {"content": content, "refusal": None}})
    return {"id": f"chatcmpl-{stream}", "object": "chat.completion", "model": "m", "choices": of, "usage": {}}


def vllm_prompt(stream: int, k: int, n: int = 40, *, first: bool = True, ids: bool = False) -> dict[str, Any]:
    """vLLM's ``prompt_logprobs`` with the k likeliest tokens, and the prompt's own, first or by its rank."""
    rng = np.random.default_rng(stream)
    prompt, entries, total = [7], [None], []
    for _ in range(n - 1):
        own, rank = 5000 + int(rng.integers(100)), int(rng.integers(1, k + 4)) if k else 1
        likeliest = {str(6000 + r): {"logprob": -0.1 * r, "rank": r, "decoded_token": "x"} for r in range(1, k + 1)}
        mine = {"logprob": -0.1 * rank - 0.01, "rank": rank, "decoded_token": " cat"}
        rest = {key: one for key, one in likeliest.items() if one["rank"] != rank}
        both = (
            {str(own): mine} | rest
            if first
            else dict(sorted((rest | {str(own): mine}).items(), key=lambda e: e[1]["rank"]))
        )
        prompt.append(own)
        entries.append(both)
        total.append(mine["logprob"])
    made = {
        "model": "m",
        "choices": [{"index": 0, "text": "!", "logprobs": None}],
        "prompt_logprobs": entries,
        "_sum": sum(total),
    }
    return made | ({"prompt_token_ids": prompt} if ids else {})


def the_run(path: Path) -> records.Run:
    (run,) = records.read(path)
    assert run.loglikelihood is not None
    return run


def test_an_echoed_prompt_without_what_the_model_wrote(tmp_path: Path) -> None:
    """As lm-evaluation-harness asks OpenAI's API: echo, one new token, and the first has no log-probability."""
    path = json_lines(tmp_path / "m.jsonl", [echoed(i, 9 + i, written=1) for i in range(20)])
    runs = records.read(path)
    run = the_run(path)
    want = [tokens_of(10 + i, i) for i in range(20)]
    assert run.loglikelihood.tolist() == pytest.approx([sum(x[1:-1]) for _, x in want])  # type: ignore[union-attr]
    assert run.n_tokens.tolist() == [8 + i for i in range(20)]
    assert run.n_bytes is not None
    assert run.n_bytes.tolist() == [len("".join(words[1:-1]).encode()) for words, _ in want]
    assert runs.names == ("m",)
    assert [note.partition(": ")[2] for note in runs.notes] == [
        "20 tokens have no log-probability, as the first of a text, and do not count",
        "20 tokens that the model wrote after its text do not count",
    ]
    assert "id = response_id" not in runs.guesses
    assert run.ids is None, "the server's ids are others in every run"
    (model,) = report.build(runs).models
    nll, per = -run.loglikelihood, run.n_tokens  # type: ignore[operator]
    assert model.perplexity == sy.perplexity(nll, per=per, clusters=np.arange(20))
    assert model.of_text["bits per byte"].n_clusters == 20


def test_a_part_of_a_character_is_counted_by_its_offset(tmp_path: Path) -> None:
    one = echoed(1)
    logged = one["choices"][0]["logprobs"]
    words = ["The", " ", "bytes:\\xe7\\x8c", "bytes:\\xab", " sat"]
    logged |= {"tokens": words, "token_logprobs": [None, -1, -2, -3, -4], "text_offset": [0, 3, 4, 5, 5]}
    one["choices"][0]["text"] = "The 猫 sat"
    one["usage"] = {"prompt_tokens": 5, "completion_tokens": 0}
    (size,) = the_run(json_lines(tmp_path / "a.jsonl", [one])).n_bytes or []  # type: ignore[misc]
    assert size == len(" 猫 sat".encode())
    logged["text_offset"] = [0, 3, 4, 2, 5]
    assert the_run(json_lines(tmp_path / "a.jsonl", [one])).n_bytes is None


@pytest.mark.parametrize("form", ["lines", "batch", "inside", "array", "alone"])
def test_a_chat_in_all_its_places(tmp_path: Path, form: str) -> None:
    chats = [chat(i) for i in range(5)]
    path = tmp_path / "a.json"
    if form == "lines":
        json_lines(path, chats)
    elif form == "batch":
        body = [{"status_code": 200, "request_id": "r", "body": one} for one in chats]
        lines = [
            {"id": f"batch_req_{i}", "custom_id": f"q{i}", "response": x, "error": None} for i, x in enumerate(body)
        ]
        failed = {"id": "batch_req_9", "custom_id": "q9", "response": None, "error": {"code": "x"}}
        json_lines(path, [failed, *lines])
    elif form == "inside":
        json_lines(path, [{"id": f"q{i}", "topic": "ab"[i % 2], "response": one} for i, one in enumerate(chats)])
    elif form == "array":
        path.write_text(json.dumps(chats, indent=1))
    else:
        path.write_text(json.dumps(chats[0], indent=1))
    runs, run = records.read(path), the_run(path)
    n = 1 if form == "alone" else 5
    assert run.loglikelihood.tolist() == pytest.approx([sum(tokens_of(9, i)[1]) for i in range(n)])  # type: ignore[union-attr]
    assert run.n_bytes is not None
    assert run.n_bytes.tolist() == [len("".join(tokens_of(9, i)[0]).encode()) for i in range(n)]
    assert f"{n} of {n} texts were written by the model itself" in runs.notes[0]
    assert (None if run.ids is None else run.ids.tolist()) == (
        [f"q{i}" for i in range(5)] if form in ("batch", "inside") else None
    )
    assert list(runs.left_out.values()) == ([{"without a response": 1}] if form == "batch" else [])
    if form == "inside":
        assert run.column("topic").tolist() == list("ababa")


def test_answers_to_one_prompt_are_one_cluster(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "a.jsonl", [{"id": i, "response": chat(i, choices=3)} for i in range(4)])
    run = the_run(path)
    assert run.ids is not None
    assert run.ids.tolist()[:4] == ["0/0", "0/1", "0/2", "1/0"]
    assert run.cluster is not None
    assert run.cluster.tolist() == [f"request {1 + i // 3}" for i in range(12)]
    (model,) = report.build(records.read(path)).models
    assert model.perplexity is not None
    assert model.perplexity.n_clusters == 4


@pytest.mark.parametrize("k", [0, 1, 2, 5])
@pytest.mark.parametrize("how", ["first", "by rank", "ids"])
def test_prompt_logprobs_of_vllm(tmp_path: Path, k: int, how: str) -> None:
    """Versions differ in where the prompt's own token stands among the likeliest."""
    made = [vllm_prompt(i, k, first=how == "first", ids=how == "ids") for i in range(3)]
    want = [one.pop("_sum") for one in made]
    path = json_lines(tmp_path / "a.jsonl", made)
    if how == "by rank" and k > 1:
        said = ", line 1: expected to know which entry of 'prompt_logprobs' is the prompt's token; got neither"
        assert refusal(path).startswith(said)
        return
    run = the_run(path)
    assert run.loglikelihood.tolist() == pytest.approx(want)  # type: ignore[union-attr]
    assert run.n_tokens.tolist() == [39] * 3
    assert run.n_bytes is None, "without the prompt, decoded tokens may lack blanks"
    for one in made:
        one["prompt"] = "Hm" + " cat" * 39
    if k <= 1:
        run = the_run(json_lines(path, [{"id": i, "body": one} for i, one in enumerate(made)]))
        assert run.n_bytes is not None
        assert run.n_bytes.tolist() == [4 * 39] * 3


@pytest.mark.parametrize("prompt", [False, True])
def test_log_probabilities_without_their_tokens(tmp_path: Path, prompt: bool) -> None:
    values = [None, -0.5, -1.25, 0]
    held = {"prompt_logprobs": values} if prompt else {"logprobs": {"token_logprobs": values}}
    run = the_run(json_lines(tmp_path / "a.jsonl", [{"model": "m", "choices": [{"text": "a", **held}]}]))
    assert (run.loglikelihood.tolist(), run.n_tokens.tolist()) == ([-1.75], [3])  # type: ignore[union-attr]
    assert run.n_bytes is None


def test_completion_probabilities_of_llama_cpp(tmp_path: Path) -> None:
    def answer(i: int) -> dict[str, Any]:
        words, logprobs = tokens_of(9, i)
        probabilities = [
            {"id": 1, "token": word, "bytes": list(word.encode()), "logprob": x, "top_logprobs": []}
            for word, x in zip(words, logprobs, strict=True)
        ]
        of = {"content": "".join(words), "tokens": [], "stop": True, "model": "g.gguf", "tokens_predicted": 9}
        return of | {"prompt": "?", "generation_settings": {"seed": 1}, "completion_probabilities": probabilities}

    run = the_run(json_lines(tmp_path / "a.jsonl", [answer(i) for i in range(4)]))
    assert run.name == "g.gguf"
    assert run.loglikelihood.tolist() == pytest.approx([sum(tokens_of(9, i)[1]) for i in range(4)])  # type: ignore[union-attr]
    after_sampling = answer(0)
    after_sampling["completion_probabilities"] = [{"id": 1, "token": "a", "prob": 0.5, "top_probs": []}]
    assert refusal(json_lines(tmp_path / "a.jsonl", [after_sampling])).startswith(
        ", line 1: expected tokens with a 'logprob' each; got {'id': 1"
    )


@pytest.mark.parametrize("written", ["-9999.0", "-Infinity", "-1e30"])
def test_minus_infinity_is_probability_0_and_said(tmp_path: Path, written: str) -> None:
    path = json_lines(tmp_path / "a.jsonl", [echoed(i) for i in range(6)])
    lines = path.read_text().splitlines()
    one = echoed(6)
    one["choices"][0]["logprobs"]["token_logprobs"][3] = -12345.5
    path.write_text("\n".join([*lines, json.dumps(one).replace("-12345.5", written)]))
    runs = records.read(path)
    note = runs.notes[-1]
    assert "1 tokens of 1 texts have the log-probability -9999 or -Infinity, which stands for probability 0" in note
    (model,) = report.build(runs).models
    assert float(model.perplexity) == math.inf  # type: ignore[arg-type]
    rest = records.read(path, where="impossible_tokens==0")
    assert len(rest.runs[0]) == 6
    assert math.isfinite(float(report.build(rest).models[0].perplexity))  # type: ignore[arg-type]


def test_what_cannot_be_told_apart_is_left_out(tmp_path: Path) -> None:
    """Two prompts in one request, after which the model wrote several tokens: where each ends is not said."""
    two = echoed(1, 9, written=2)
    two["choices"] = [two["choices"][0], echoed(2, 9, written=2)["choices"][0]]
    two["usage"] = {"prompt_tokens": 18, "completion_tokens": 4}
    path = json_lines(tmp_path / "a.jsonl", [two, *(echoed(i) for i in range(3))])
    assert list(records.read(path).left_out.values()) == [{"with a text that cannot be told apart": 2}]
    two["usage"]["completion_tokens"] = 2  # one each
    run = the_run(json_lines(path, [two]))
    assert run.n_tokens.tolist() == [9, 9]


def test_texts_without_logprobs_are_left_out_and_counted(tmp_path: Path) -> None:
    no = chat(1)
    no["choices"][0]["logprobs"] = None
    empty = chat(2)
    empty["choices"][0]["logprobs"]["content"] = []
    path = json_lines(tmp_path / "a.jsonl", [chat(0), no, empty, {"response": None}])
    runs = records.read(path)
    assert list(runs.left_out.values()) == [{"without log-probabilities": 2, "without a response": 1}]


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        ({"token_logprobs": [None, -1]}, "as many 'token_logprobs' as 'tokens'; got {'tokens': ["),
        ({"tokens": "abc"}, "as many 'token_logprobs' as 'tokens'; got {'tokens': 'abc'"),
        ({"tokens": ["a"] * 3, "token_logprobs": [None, 0.5, -1]}, "log-probabilities of at most 0; got 0.5"),
        ({"tokens": ["a"] * 3, "token_logprobs": [None, "x", -1]}, "log-probabilities of at most 0; got 'x'"),
        ({"tokens": ["a"] * 3, "token_logprobs": [None, True, -1]}, "log-probabilities of at most 0; got True"),
        ({"tokens": ["a"] * 3, "token_logprobs": [None, math.nan, -1]}, "log-probabilities of at most 0; got nan"),
    ],
)
def test_bad_responses_are_named(tmp_path: Path, logged: dict[str, Any], said: str) -> None:
    bad = echoed(1)
    bad["choices"][0]["logprobs"] |= logged
    path = json_lines(tmp_path / "a.jsonl", [echoed(0), bad])
    assert refusal(path).startswith(f", line 2: expected {said}")


def test_other_bad_responses(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert "line 2: expected a response of a server; got something else" in refusal(
        json_lines(path, [chat(0), {"a": 1}])
    )
    failed = {"id": "b", "custom_id": "q", "response": None, "error": {}}
    assert refusal(json_lines(path, [failed])).startswith(": expected log-probabilities of tokens; got none; ask the")
    one = vllm_prompt(1, 0)
    one["prompt_logprobs"][4] = [1]
    assert "a dictionary by token, or null, for each token of 'prompt_logprobs'; got [1]" in refusal(
        json_lines(path, [one])
    )
    one["prompt_logprobs"][4] = {"3": {"logprob": -1}}
    one["prompt_token_ids"] = [0] * 40
    assert "the id of each token of the prompt in 'prompt_logprobs'; got [0" in refusal(json_lines(path, [one]))


def test_questions_with_choices_are_no_responses(tmp_path: Path) -> None:
    rows = [{"id": i, "choices": [{"text": "a"}, {"text": "b"}], "correct": i % 2} for i in range(4)]
    assert the_scores(json_lines(tmp_path / "a.jsonl", rows)) == [0, 1, 0, 1]


def the_scores(path: Path) -> list[float]:
    (run,) = records.read(path)
    assert run.score is not None
    return run.score.tolist()


def test_records_of_the_callers_keep_their_score(tmp_path: Path) -> None:
    rows = [{"id": i, "correct": i % 2, "response": chat(i)} for i in range(4)]
    path = json_lines(tmp_path / "a.jsonl", rows)
    assert the_scores(path) == [0, 1, 0, 1]
    assert the_run(path).loglikelihood is not None


# ---- what llama-perplexity prints


def printed(means: Any, context: int | None = 512, chunks: int | None = None, final: bool = True) -> str:
    """The output for chunks with these mean NLLs, as the tool's loop prints it."""
    running = np.exp(np.cumsum(means) / np.arange(1, len(means) + 1))
    size = "" if context is None else f", n_ctx={context}"
    head = (
        "build: 4338 (7b1ec53f) with cc for x86_64-linux-gnu\nllama_model_loader: loaded meta data\n\n"
        "perplexity: tokenizing the input ..\n"
        f"perplexity: calculating perplexity over {chunks or len(means)} chunks{size}, batch_size=2048, n_seq=4\n"
        "perplexity: 4.77 seconds per pass - ETA 0.07 minutes\n"
    )
    values = "".join(f"[{i}]{value:.4f}," for i, value in enumerate(running.tolist(), 1))
    end = f"\nFinal estimate: PPL = {running[-1]:.4f} +/- 0.03292\n" if final else "\n"
    return head + values + end


MEANS = RNG.gamma(30.0, 1.8 / 30, 100)


def test_the_chunks_of_llama_perplexity(tmp_path: Path) -> None:
    path = tmp_path / "q4.log"
    path.write_text(printed(MEANS))
    runs = records.read(path)
    (run,) = runs
    assert run.n_tokens.tolist() == [255] * 100
    assert run.loglikelihood == pytest.approx(-255 * MEANS, abs=255 * 100 * 1e-4 / math.exp(1.8))
    assert "a record is a chunk; its mean NLL is worked out from printed perplexities, to within 0.00" in runs.notes[0]
    within = float(runs.notes[0].partition("to within ")[2].partition(" nats")[0])
    assert np.abs(run.loglikelihood / 255 + MEANS).max() <= 1.05 * within
    (model,) = report.build(runs).models
    assert model.perplexity is not None
    assert model.perplexity.value == pytest.approx(math.exp(MEANS.mean()), abs=1e-4)
    exact = sy.perplexity(255 * MEANS, per=np.full(100, 255), clusters=np.arange(100))
    assert model.perplexity.standard_error == pytest.approx(exact.standard_error, rel=1e-2)


def test_two_quantizations_are_compared_chunk_by_chunk(tmp_path: Path) -> None:
    """The tool's two +/- say nothing of a difference on the same text, which is much smaller than either."""
    worse = MEANS * 1.01 + RNG.normal(0, 0.005, 100)
    for name, means in (("f16", MEANS), ("q4", worse)):
        (tmp_path / f"{name}.txt").write_text(printed(means))
    made = report.build(records.read([tmp_path / "f16.txt", tmp_path / "q4.txt"]))
    (pair,) = made.perplexities
    assert pair.verdict == "worse"
    assert pair.ratio.value == pytest.approx(math.exp(worse.mean() - MEANS.mean()), rel=1e-4)
    alone = made.models[0].perplexity
    assert alone is not None
    assert 10 * pair.difference.standard_error < alone.standard_error / alone.value  # type: ignore[operator]


def test_a_log_without_the_context_and_one_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(printed(MEANS, context=None, chunks=120, final=False))
    runs = records.read(path)
    assert "100 of 120 chunks are there: the run was cut off" in runs.notes[1]
    (model,) = report.build(runs).models
    assert model.perplexity is not None
    assert model.perplexity.value == pytest.approx(math.exp(MEANS.mean()), abs=1e-4)
    path.write_text("[1]9.6667,[2]11.4286,[3]11.6311,[4]10.3475,\n")
    (model,) = report.build(records.read(path)).models
    assert float(model.perplexity) == pytest.approx(10.3475, rel=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("perplexity: tokenizing the input ..\n", ": expected the perplexities of chunks that llama-perplexity prints"),
        (
            "[1]9.6667,[2]11.4286,\n[1]9.6667,\n",
            ", line 2: expected the chunks of one run in their order; got [1] after",
        ),
        ("[1]9.6667,[3]11.4286,\n", ", line 1: expected the chunks of one run in their order; got [3] after [1]"),
        ("[1]-nan,[2]-nan,\n", ", line 1: expected a perplexity of at least 1; got -nan; look for"),
        (
            "[1]9.6667,[2]1.0000,\n",
            ", line 1: expected perplexities that can follow each other; got a chunk with a mean",
        ),
        (
            "[1]9.6667,\nFinal estimate: PPL = 9.5 +/- 1\n",
            ": expected the last perplexity as the final estimate; got 9",
        ),
    ],
)
def test_bad_logs_of_llama_perplexity(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.log"
    path.write_text(text)
    assert refusal(path).startswith(said)


def test_a_table_about_llama_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("llama_7b.correct,llama_13b.correct\n1,0\n0,1\n")
    assert records.read(path).names == ("llama_7b", "llama_13b")
