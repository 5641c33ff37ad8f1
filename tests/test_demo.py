"""The demo's parts, and the whole of it once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import steelyard as sy
from examples.demo import corpus, run
from examples.demo.counting import CountingModel, V
from examples.demo.evaluate import evaluate, write_records
from steelyard import records

TEXTS = {"a": "one steelyard weighs one thing\n" * 9, "b": "another weighs another thing\n" * 9, "c": "things\n" * 40}


@pytest.fixture(scope="module")
def documents() -> list[corpus.Document]:
    return [corpus.Document(name, text, corpus.encode(text)) for name, text in TEXTS.items()]


def test_the_text_is_the_projects_own_and_split_by_name() -> None:
    documents = corpus.documents(run.ROOT)
    assert len({document.name for document in documents}) == len(documents) >= 20
    assert all(set(document.codes.tolist()) <= set(range(V)) for document in documents)
    held_out = [document for document in documents if document.held_out]
    assert len(documents) / 10 < len(held_out) < len(documents) / 2
    assert [d.name for d in corpus.documents(run.ROOT)] == [d.name for d in documents]


def test_characters_outside_the_alphabet_become_question_marks() -> None:
    assert [corpus.ALPHABET[code] for code in corpus.encode("a\n~é\t€\U0001f600")] == [
        "a",
        "\n",
        "~",
        "?",
        "?",
        "?",
        "?",
    ]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_every_history_has_a_distribution(documents: list[corpus.Document], order: int) -> None:
    table = CountingModel(order).fit(documents).table
    assert table.shape == (V ** (order - 1), V)
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-12)
    assert table.min() > 0


def test_witten_bell_by_hand() -> None:
    document = corpus.Document("d", "aab", corpus.encode("aab"))
    a, b = (corpus.ALPHABET.index(character) for character in "ab")
    unigram = CountingModel(1).fit([document]).table[0]
    assert unigram[a] == (2 + 2 / V) / (3 + 2)
    bigram = CountingModel(2).fit([document]).table
    assert bigram[a, b] == (1 + 2 * unigram[b]) / (2 + 2)  # a was followed by a and b
    assert bigram[b, a] == pytest.approx(unigram[a], rel=1e-15)  # nothing came after b
    trigram = CountingModel(3).fit([document])
    assert trigram.table[a * V + a, b] == (1 + 1 * bigram[a, b]) / (1 + 1)
    log_p = trigram.log_probabilities(document)
    assert log_p[2, b] == np.log(trigram.table[a * V + a, b])
    assert log_p[1, a] == np.log(trigram.table[a, a])  # after the line break before the text, and a


def test_records_say_what_was_evaluated(documents: list[corpus.Document], tmp_path: Path) -> None:
    models = [evaluate(CountingModel(order).fit(documents), documents) for order in (1, 2)]
    write_records(tmp_path / "records.jsonl", models, documents)
    runs = records.read(tmp_path / "records.jsonl")
    assert runs.names == ("unigram", "bigram")
    for model in models:
        read = runs[model.name]
        np.testing.assert_array_equal(read.score, model.correct)
        np.testing.assert_array_equal(read.loglikelihood, -model.tokens.nll)
        np.testing.assert_array_equal(read.confidence, model.confidence)
        assert set(read.cluster.tolist()) == set(TEXTS)
        perplexity = sy.perplexity(-read.loglikelihood, clusters=read.cluster)
        assert float(perplexity) == float(sy.perplexity(model.tokens, clusters=read.cluster))


def test_the_demo_runs_and_longer_histories_win(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("steelyard.cli", reason="the demo reports through the command line")
    run.main(tmp_path)
    said = capfd.readouterr().out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(name in said and name in page for name in ("unigram", "bigram", "trigram"))
    assert str(tmp_path / "report.html") in said
    scores = records.read(tmp_path / "records.jsonl").scores()
    assert scores["unigram"].mean() < scores["bigram"].mean() < scores["trigram"].mean()
