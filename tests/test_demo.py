"""The parts of the demo, and one complete run of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from examples.demo import corpus, losses, pictures, quantise, run
from examples.demo.counting import CountingModel, V
from examples.demo.evaluate import evaluate, places, write_records
from examples.demo.network import Network, Sizes, contexts, loglikelihood_slope
from examples.demo.train import Recipe, train
from examples.demo.tune import (
    Loglikelihoods,
    Objective,
    Tuning,
    answer,
    gradients,
    loglikelihoods,
    make_pairs,
    prose,
    sample,
    tune,
)
from steelyard import records
from steelyard.optim._tree import unfold

TEXTS = {"a": "one steelyard weighs one thing\n" * 9, "b": "another weighs another thing\n" * 9, "c": "things\n" * 40}


@pytest.fixture(scope="module")
def documents() -> list[corpus.Document]:
    return [corpus.Document(name, text, corpus.encode(text)) for name, text in TEXTS.items()]


def test_the_text_is_the_projects_own_and_split_by_name() -> None:
    documents = corpus.documents(corpus.ROOT)
    assert len({document.name for document in documents}) == len(documents) >= 20
    assert all(set(document.codes.tolist()) <= set(range(V)) for document in documents)
    held_out = [document for document in documents if document.held_out]
    assert len(documents) / 10 < len(held_out) < len(documents) / 2
    assert [d.name for d in corpus.documents(corpus.ROOT)] == [d.name for d in documents]


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
        np.testing.assert_array_equal(read.loglikelihood, -model.tokens.nll.round(6))
        np.testing.assert_array_equal(read.confidence, model.confidence.round(6))
        assert set(read.cluster.tolist()) == set(TEXTS)
        perplexity = sy.perplexity(-read.loglikelihood, clusters=read.cluster)
        assert float(perplexity) == pytest.approx(float(sy.perplexity(model.tokens, clusters=read.cluster)), rel=1e-6)


def test_every_third_character_is_a_third_of_all(documents: list[corpus.Document]) -> None:
    model = CountingModel(2).fit(documents)
    whole, third = evaluate(model, documents), evaluate(model, documents, every=3)
    np.testing.assert_array_equal(third.tokens.nll, whole.tokens.nll[::3])
    ids, of_document = places(documents, every=3)
    assert ids[:3] == ["a:0", "a:3", "a:6"]
    assert len(ids) == len(of_document) == len(third.correct)
    assert all(one.startswith(f"{document}:") for one, document in zip(ids, of_document, strict=True))


# ---- the network

SMALL = Sizes(context=3, embedding=4, hidden=(7, 6))


def double(seed: int = 0) -> Network:
    return Network(SMALL, seed=seed, dtype=np.float64)


def check_gradients(network: Network, grads: dict[str, Any], loss: Callable[[], float]) -> None:
    """Every array's gradient along a random direction, against central differences."""
    rng = np.random.default_rng(5)
    (outline, parameters), (like, gradients) = unfold(network.params, "params"), unfold(grads, "grads")
    assert outline == like
    for parameter, grad in zip(parameters, gradients, strict=True):
        assert parameter.shape == grad.shape
        direction, kept, h = rng.standard_normal(grad.shape), parameter.copy(), 1e-6
        sides = []
        for sign in (1, -1):
            parameter[...] = kept + sign * h * direction
            sides.append(loss())
        parameter[...] = kept
        slope = float((grad * direction).sum())
        assert abs(slope) > 1e-6  # a gradient of nothing would prove nothing
        assert (sides[0] - sides[1]) / (2 * h) == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_a_context_is_the_characters_before() -> None:
    assert contexts(np.array([5, 6, 7, 8]), 3).tolist() == [[0, 0, 0], [0, 0, 5], [0, 5, 6], [5, 6, 7]]


def test_the_networks_probabilities_add_up_to_one(documents: list[corpus.Document]) -> None:
    log_p = double().log_probabilities(documents[0])
    assert log_p.shape == (len(documents[0].text), V)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-12)


def test_gradients_of_the_likelihood_equal_central_differences(documents: list[corpus.Document]) -> None:
    network = double()
    seen, following = contexts(documents[1].codes, SMALL.context)[:40], documents[1].codes[:40]
    made = network.forward(seen)
    slope = -loglikelihood_slope(made, following, sy.token_scores(made.logits, following).log_z) / len(following)

    def loss() -> float:
        return float(sy.token_scores(network.forward(seen).logits, following).nll.mean())

    check_gradients(network, network.backward(made, slope), loss)


LENGTH, BETA = 5, 2.0
# Each objective with its loss of what the policy and the reference say of both answers.
LOSSES: dict[str, tuple[Objective, Callable[[Loglikelihoods, Loglikelihoods], Any]]] = {
    "dpo": (Objective(beta=BETA), lambda now, old: np.logaddexp(0, -BETA * margin(now, old))),
    "ipo": (Objective("ipo", beta=BETA), lambda now, old: (margin(now, old) - 1 / (2 * BETA)) ** 2),
    "simpo": (
        Objective("simpo", beta=BETA, gamma=0.5, reference_free=True),
        lambda now, old: np.logaddexp(0, 0.5 - BETA * (now.chosen - now.rejected) / LENGTH),
    ),
}


def margin(now: Loglikelihoods, old: Loglikelihoods) -> Any:
    return now.chosen - old.chosen - (now.rejected - old.rejected)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_preferences_equal_central_differences(documents: list[corpus.Document], name: str) -> None:
    objective, formula = LOSSES[name]
    network, tuning = double(), Tuning(length=LENGTH)
    pairs = make_pairs(double(seed=3), documents, 12, tuning, seed=1)
    reference = loglikelihoods(double(seed=4), pairs)

    def loss() -> float:
        return float(formula(loglikelihoods(network, pairs), reference).mean())

    out, grads = gradients(network, pairs, reference, objective)
    assert float(out.loss) == pytest.approx(loss(), rel=1e-12)
    check_gradients(network, grads, loss)


def test_training_lowers_the_loss_and_notes_every_step(documents: list[corpus.Document]) -> None:
    network = Network(SMALL, seed=0)
    recipe = Recipe(steps=150, batch=32, lr=0.02, warmup_steps=10)
    curve = train(network, documents, recipe, range(recipe.steps))
    assert np.mean(curve.loss[-20:]) < np.mean(curve.loss[:5]) - 1
    np.testing.assert_array_equal(curve.lr, recipe.schedule(np.arange(recipe.steps)))
    assert len(curve.grad_norm) == recipe.steps
    again = Network(SMALL, seed=0)
    assert train(again, documents, recipe, range(3)).loss == curve.loss[:3]


# ---- its preferences


def test_an_answers_score_is_that_of_its_characters() -> None:
    network = double()
    text = corpus.encode("abcdef")[None]
    _, scores = answer(network, text[:, :3], text[:, 3:])
    document = corpus.Document("d", "abcdef", text[0])
    log_p = network.log_probabilities(document)
    np.testing.assert_allclose(-scores.nll[0], log_p[np.arange(3, 6), text[0, 3:]], rtol=1e-12)


def test_samples_follow_the_networks_distribution() -> None:
    network = double()
    prompts = np.repeat(corpus.encode("the")[None], 40_000, axis=0)
    drawn = sample(network, prompts, 1, np.random.default_rng(0))
    share = np.bincount(drawn[:, 0], minlength=V) / len(drawn)
    logits = network.forward(prompts[:1]).logits[0]
    p = np.exp(logits - np.logaddexp.reduce(logits))
    assert np.abs(share - p).max() < 5 * np.sqrt(0.25 / len(drawn))


def test_preferred_answers_have_more_letters_and_spaces(documents: list[corpus.Document]) -> None:
    assert prose(corpus.encode("a b_1\n")[None]).tolist() == [3]
    pairs = make_pairs(double(), documents, 50, Tuning(length=6, pairs_a_prompt=3), seed=1)
    assert 50 < len(pairs) <= 150
    assert (prose(pairs.chosen) > prose(pairs.rejected)).all()
    texts = {document.name: document.text for document in documents}
    for prompt, name in zip(pairs.prompts, pairs.document, strict=True):
        assert "".join(corpus.ALPHABET[code] for code in prompt) in texts[name]


def test_tuning_moves_rewards_and_leaves_the_reference(documents: list[corpus.Document]) -> None:
    network = Network(SMALL, seed=0)
    tuning = Tuning(length=6, prompts=200, steps=40, batch=64, lr=0.01, warmup_steps=3)
    pairs = make_pairs(network, documents, tuning.prompts, tuning, seed=1)
    before, tuned = loglikelihoods(network, pairs), network.named("tuned")
    curve = tune(tuned, pairs, tuning, range(tuning.steps))
    assert curve.loss[0] == pytest.approx(np.log(2), rel=1e-6)  # policy and reference are one at first
    assert np.mean(curve.loss[-5:]) < 0.64
    after = loglikelihoods(tuned, pairs)
    assert np.array_equal(loglikelihoods(network, pairs).chosen, before.chosen)
    assert ((after.chosen - before.chosen) > (after.rejected - before.rejected)).mean() > 0.8
    assert after.right.mean() > before.right.mean()
    assert Loglikelihoods(np.array([1.0, 0, 0]), np.array([0.0, 1, 0])).right.tolist() == [1, 0, 0.5]


# ---- the whole


def test_a_running_mean_of_a_constant_is_the_constant() -> None:
    assert pictures.smoothed([2.0] * 200) == pytest.approx([2.0] * 200)
    assert pictures.smoothed([1.0, 3.0]) == [1.0, 3.0]  # a run too short to smooth


TINY = run.Plan(
    sizes=Sizes(context=4, embedding=8, hidden=(32,)),
    recipe=Recipe(steps=60, batch=64, warmup_steps=5, lr=0.01),
    tuning=Tuning(length=8, prompts=100, held_out_prompts=60, steps=10, warmup_steps=2),
    places=1500,
)


def test_the_demo_runs_and_longer_histories_win(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run.main(tmp_path, TINY)
    said = capfd.readouterr().out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(name in said and name in page for name in ("unigram", "bigram", "trigram", "network", "tuned"))
    assert all(words in said and words in page for words in ("Training", "Preference tuning", "reward accuracy"))
    assert "gradient norm" in page  # the curve is drawn
    assert str(tmp_path / "report.html") in said
    runs = records.read(tmp_path / "records.jsonl")
    assert {len(one.score) for one in runs} == {runs["network"].score.size}
    assert runs["network"].score.size <= TINY.places
    scores = runs.scores()
    assert scores["unigram"].mean() < scores["bigram"].mean() < scores["trigram"].mean()
    for name in quantise.STORED:
        assert name in said
        assert name in (tmp_path / f"{name}.html").read_text(encoding="utf-8")
    made = quantise.reports(
        {name: tmp_path / "logits" / f"{name}.npy" for name in ("float32", *quantise.STORED)}, tmp_path / "logits"
    )
    assert 0 < made["float16"].kl.value < made["int4"].kl.value


def test_losses_are_compared_after_all_steps_and_at_one_distance(capfd: pytest.CaptureFixture[str]) -> None:
    study = losses.Study(
        TINY.sizes, TINY.recipe, losses.Steady(length=8, prompts=100, held_out_prompts=60, steps=8, warmup_steps=1, lr=0.01),
        runs=2, nats=0.5, every=1, watched=80,
    )  # fmt: skip
    found = losses.main(study)
    said = capfd.readouterr().out
    assert list(found) == ["last", "near"]
    for outcomes in found.values():
        assert list(outcomes) == list(losses.OBJECTIVES)
        for one in outcomes.values():
            assert one.share.shape == one.log_ratio.shape == one.moved.shape
            assert len(one.share) == study.runs
            assert ((one.share >= 0) & (one.share <= 1)).all()
    # The rate is high, so that all steps lead far beyond the distance that the copies are kept at.
    assert found["near"]["dpo"].log_ratio.mean() < found["last"]["dpo"].log_ratio.mean()
    assert found["last"]["dpo"].log_ratio.mean() > 1.5 * study.nats
    assert f"ipo - {losses.BASELINE}, letters and spaces" in said
    assert said.count("prompts and runs") == 4
    assert all(name in said.rpartition("Steps until then:")[2] for name in losses.OBJECTIVES)


def test_an_interval_over_runs_holds_what_runs_change() -> None:
    """Two runs that differ by .2 in every answer: over prompts alone nothing would be uncertain."""
    document = np.repeat(["a", "b", "c", "d"], 5)
    jitter = np.linspace(-0.01, 0.01, 20)
    estimate = losses.over_prompts_and_runs(np.stack([0.4 + jitter, 0.6 + jitter]), document)
    assert estimate.value == pytest.approx(0.5)
    assert estimate.standard_error >= 0.1 - 1e-9


def test_weights_in_fewer_bits_are_the_nearest_that_there_are() -> None:
    weights = np.random.default_rng(0).normal(size=(37, 5)).astype(np.float32)
    weights[:7] = 0.0
    four = quantise.in_4_bits(weights)
    flat, stored = weights.reshape(-1), four.reshape(-1)
    for start in range(0, flat.size, quantise.GROUP):
        group, codes = flat[start : start + quantise.GROUP], stored[start : start + quantise.GROUP]
        step = np.abs(group).max() / 7
        assert np.abs(group - codes).max() <= step / 2 * (1 + 1e-5)
        assert len(np.unique(codes)) <= 15
    assert four.dtype == np.float32
    np.testing.assert_array_equal(quantise.in_4_bits(four), four)
    assert np.abs(quantise.in_16_bits(weights) - weights).max() <= 2.0**-11 * np.abs(weights).max()
