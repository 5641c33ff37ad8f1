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
        ({"bits_per_byte": 0.7}, "a log-likelihood and a count as 'bits_per_byte'; got 0.7"),
        ({"bits_per_byte": [-9.0, 7]}, "one loglikelihood for all metrics of a sample; got"),
    ],
)
def test_bad_rolling_samples_are_named(tmp_path: Path, also: dict[str, Any], said: str) -> None:
    samples = rolling()
    samples[2] |= also
    assert refusal(json_lines(tmp_path / "a.jsonl", samples)).startswith(f", line 3: expected {said}")


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
