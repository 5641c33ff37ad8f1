"""The audit of preference data: each figure recomputed, and what was planted found again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats

import steelyard as sy
from steelyard._options import confidence_of
from steelyard.preference.auditing.answers import Malformed, pair_of, short
from steelyard.preference.auditing.measured import Measured
from steelyard.preference.auditing.scale import noise, scale
from steelyard.preference.auditing.sweep import BETAS, NOISES, folds_of

LEVEL = confidence_of(0.95, "two-sided")
HUMAN, ASSISTANT = "\n\nHuman: ", "\n\nAssistant: "
audit = sy.preference.audit


s = special.expit


def chances(t: Any, e: float) -> Any:
    """The log-likelihood of labels that noise turns with probability e."""
    right = special.log_expit(t) + math.log1p(-e)
    return right if e == 0 else np.logaddexp(right, special.log_expit(-t) + math.log(e))


def drawn(rng: np.random.Generator, n: int, *, beta: float = 0.1, spread: float = 15.0, wrong: float = 0.0) -> Any:
    """Margins of labels that follow the Bradley-Terry model, some of which are turned."""
    d = rng.normal(0.0, spread, n)
    label = rng.random(n) < s(beta * d)
    label ^= rng.random(n) < wrong
    return np.where(label, d, -d)


def columns(u: Any, x: float = -2.0) -> dict[str, Any]:
    """Log-probabilities with these margins."""
    u = np.asarray(u, float)
    reference = np.full(len(u), -900.0)
    return {
        "policy_chosen": reference + x + u / 2, "policy_rejected": reference + x - u / 2,
        "reference_chosen": reference, "reference_rejected": reference,
    }  # fmt: skip


# ---- texts


def test_a_prompt_inside_both_texts_is_recovered_at_the_last_turn_of_the_assistant() -> None:
    start = f"{HUMAN}Hi{ASSISTANT}Hello.{HUMAN}Is it far?{ASSISTANT}"
    found = pair_of(None, start + "It is a mile.", start + "It is not.")  # both answers begin alike
    assert found == (start, "It is a mile.", "It is not.", True)


@pytest.mark.parametrize(
    "mark", ["<|im_start|>assistant\n", "<|start_header_id|>assistant<|end_header_id|>\n\n", "[/INST] ", "### Response:\n",
             "<start_of_turn>model\n", "<|assistant|>\n"],
)  # fmt: skip
def test_marks_of_chat_templates_end_a_prompt(mark: str) -> None:
    start = f"Question: why?\n{mark}"
    assert pair_of(None, f"{start}So.", f"{start}Some say no.")[:3] == (start, "So.", "Some say no.")


def test_without_a_mark_a_prompt_ends_at_a_word_and_has_five() -> None:
    start = "Explain to me why the sky is "
    assert pair_of(None, start + "blue.", start + "black.") == (start, "blue.", "black.", True)
    assert pair_of(None, "I am sure.", "I am sorry.") == (None, "I am sure.", "I am sorry.", False)
    assert pair_of(None, "One text of some six words.", "One text of some six words.").prompt is None


def test_a_given_prompt_is_cut_off_where_both_answers_repeat_it() -> None:
    assert pair_of("Why? ", "Why? So.", "Why? No.") == ("Why? ", "So.", "No.", False)
    assert pair_of("Why?", "Why? So.", "No.") == ("Why?", "Why? So.", "No.", False)


def messages(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[k % 2], "content": text} for k, text in enumerate(texts)]


def test_conversations_share_their_prompt() -> None:
    found = pair_of(None, messages("a", "b", "c", "d"), messages("a", "b", "c", "e"))
    assert found == ("user: a\n\nassistant: b\n\nuser: c", "d", "e", True)
    assert pair_of("a", messages("a", "b"), messages("a", "c")) == ("a", "b", "c", False)
    twice = pair_of(None, messages("a", "b"), messages("a", "b"))
    assert (twice.prompt, twice.chosen, twice.rejected) == ("a", "b", "b")
    shorter = pair_of(None, messages("a", "b", "c"), messages("a"))
    assert shorter.rejected == ""
    other = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    assert pair_of(None, other, [other[0], {"from": "gpt", "value": "c"}]).rejected == "c"
    parts = [{"role": "assistant", "content": [{"type": "text", "text": "b"}, {"type": "image"}]}]
    assert pair_of("a", parts, messages("a", "c")[1:]).chosen == "b"


@pytest.mark.parametrize(
    ("chosen", "rejected", "said"),
    [
        (None, "a", "no chosen"),
        ("a", float("nan"), "no rejected"),
        (3, "a", "chosen is no text and no conversation"),
        ([], "a", "chosen is no text and no conversation"),
        ([[1]], "a", "chosen is no text and no conversation"),
        ([{"role": 1, "content": "a"}], "a", "chosen is no text and no conversation"),
        ([{"role": "user", "content": 7}], "a", "chosen is no text and no conversation"),
        ("a", messages("a"), "one answer is a text and the other a conversation"),
    ],
)
def test_malformed_answers_are_counted(chosen: Any, rejected: Any, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        pair_of("Why?", chosen, rejected)
    found = audit([chosen, "b"], [rejected, "c"], prompts=["Why?", "Why?"])
    assert found.left_out == {said: 1}
    assert (found.rows, found.pairs) == (2, 1)


def test_texts_are_shown_short_on_one_line() -> None:
    assert short("a\n\nb\tc") == "a b c"
    assert len(short("word " * 1000)) <= 90
    assert short("word " * 1000).endswith("…")


def test_copies_and_contradictions_are_counted() -> None:
    rows = [
        ("p", "a", "b"), ("p", "a", "b"), ("p", "b", "a"), ("q", "a", "b"), ("q", "c", "c"), ("r", "", "d"),
        ("r", "e", "f"), ("r", "e ", "f"),
    ]  # fmt: skip
    prompts, chosen, rejected = zip(*rows, strict=True)
    found = audit(chosen, rejected, prompts=prompts)
    texts = found.texts
    assert texts is not None
    assert (found.rows, found.pairs, found.left_out) == (8, 7, {"two identical answers": 1})
    assert (texts.prompts, texts.shared_prompts, texts.most_of_prompt) == (3, 3, 3)
    assert (texts.empty, texts.identical, texts.duplicates) == (1, 1, 2)
    assert (texts.repeated, texts.repeated_rows, texts.contradictions, texts.contradicting_rows) == (2, 5, 1, 3)
    assert [doubt.row for doubt in found.doubts if doubt.why == "contradiction"] == [0, 1, 2]
    # Two of the three pairs of labels of the first pair disagree, none of the second.
    disagree = np.mean([2 / 3, 0.0])
    assert texts.noise is not None
    assert float(texts.noise) == pytest.approx((1 - math.sqrt(1 - 2 * disagree)) / 2)
    assert texts.noise.detail == {"disagreement": pytest.approx(disagree)}


def test_noise_of_repeated_labels_is_found_again() -> None:
    rng, wrong, covered, values = np.random.default_rng(5), 0.15, 0, []
    for _ in range(100):
        flips = rng.random((400, 2)) < wrong
        chosen = [("b" if flip else "a") for flip in flips.ravel()]
        rejected = [("a" if flip else "b") for flip in flips.ravel()]
        found = audit(chosen, rejected, prompts=[str(k // 2) for k in range(800)]).texts.noise
        values.append(float(found))
        covered += found.low <= wrong <= found.high
    assert np.mean(values) == pytest.approx(wrong, abs=0.006)
    assert covered >= 90


# ---- length


def test_the_longer_answer_wins_with_ties_half() -> None:
    chosen, rejected = ["aaa", "b", "cc", "dddd"], ["a", "bb", "dd", "e"]
    found = audit(chosen, rejected).lengths
    assert (float(found.longer), found.equal, found.unit) == (0.625, 1, "character")
    assert float(found.difference) == pytest.approx(np.mean([2, -1, 0, 3]))
    tokens = audit(chosen, rejected, length_chosen=[1, 5, 5, 5], length_rejected=[2, 2, 2, 2]).lengths
    assert (float(tokens.longer), tokens.unit) == (0.75, "token")


def planted(rng: np.random.Generator, n: int, by_length: float) -> tuple[Any, Any, Any]:
    """Margins that follow quality and length, lengths, of labels that follow both."""
    long, short_ = rng.integers(20, 200, n).astype(float), rng.integers(20, 200, n).astype(float)
    gap = np.log(long / short_)
    quality = rng.normal(0, 1, n)
    first = rng.random(n) < s(1.5 * quality + 1.5 * gap)  # labels like length
    u = np.where(first, 1, -1) * (quality * (1 - by_length) + by_length * gap)
    return u, np.where(first, long, short_), np.where(first, short_, long)


def test_a_reward_of_length_alone_has_half_when_length_is_controlled() -> None:
    u, chosen, rejected = planted(np.random.default_rng(2), 4000, 1.0)
    found = audit(**columns(10 * u), length_chosen=chosen, length_rejected=rejected)
    assert float(found.lengths.longer) > 0.65
    assert float(found.rewards.accuracy) > 0.65
    assert float(found.rewards.length_controlled) == pytest.approx(0.5, abs=1e-12)


def test_length_cannot_be_controlled_where_one_side_never_occurs() -> None:
    found = audit(**columns([3.0, -1.0, 2.0]), length_chosen=[5, 6, 7], length_rejected=[1, 2, 3])
    assert found.rewards.length_controlled is None
    assert any("length-controlled" in note for note in found.notes)


# ---- scores


def test_scores_agree_with_ties_half() -> None:
    found = audit(["a"] * 5, ["b"] * 5, score_chosen=[5, 3, 3, 4, np.nan], score_rejected=[1, 3, 4, 1, 2]).scores
    assert (float(found.agreement), found.ties, found.pairs) == (0.625, 1, 4)
    margins = np.array([4.0, 0.0, -1.0, 3.0])
    assert found.near == pytest.approx(0.1 * margins.std())
    assert float(found.near_ties) == 0.25
    same = audit(["a"] * 5, ["b"] * 5, score_margin=[4, 0, -1, 3, np.nan]).scores
    assert same == found


# ---- rewards


def test_margins_accuracy_and_displacement() -> None:
    x, y = np.array([-1.0, -2.0, 3.0, 0.5, -1.0]), np.array([-3.0, -1.0, 1.0, 0.5, -1.5])
    reference = np.full(5, -50.0)
    found = audit(
        policy_chosen=reference + x, policy_rejected=reference + y, reference_chosen=reference,
        reference_rejected=reference, beta=0.5,
    ).rewards  # fmt: skip
    assert float(found.accuracy) == 0.7
    assert float(found.displaced) == 0.4
    assert float(found.chosen_shift) == pytest.approx(x.mean())
    assert float(found.rejected_shift) == pytest.approx(y.mean())
    assert float(found.margin) == pytest.approx(0.5 * (x - y).mean())
    u = x - y
    assert float(found.overconfidence) == pytest.approx((s(0.5 * np.abs(u)) - [1, 0, 1, 0.5, 1]).mean())
    alone = sy.preference_loss(reference + x, reference + y, reference, reference, beta=0.5)
    assert float(found.margin) == float(alone.reward_margin)
    assert found.accuracy.low == alone.reward_accuracy.low


def test_beta_is_the_maximum_of_the_likelihood_with_its_sandwich() -> None:
    u = drawn(np.random.default_rng(0), 500)
    found = scale(u, Measured(LEVEL, None))
    best = optimize.minimize_scalar(lambda b: np.logaddexp(0, -b * u).sum(), bracket=(0.01, 0.2), tol=1e-12).x
    assert float(found) == pytest.approx(best, rel=1e-7)
    score = u * s(-best * u)
    information = (u * u * s(best * u) * s(-best * u)).sum()
    error = math.sqrt((score**2).sum() * 500 / 499) / information
    assert found.standard_error == pytest.approx(error, rel=1e-6)
    assert found.high == pytest.approx(best + stats.t.ppf(0.975, 499) * error, rel=1e-6)


@pytest.mark.parametrize("clusters", [None, 60])
def test_the_interval_of_beta_covers(clusters: int | None) -> None:
    rng, covered, n = np.random.default_rng(8), 0, 240
    codes = None if clusters is None else np.arange(n) % clusters
    for _ in range(200):
        u = drawn(rng, n if clusters is None else clusters)
        u = u if clusters is None else np.tile(u, n // clusters)  # equal pairs within a cluster: the hardest case
        found = scale(u, Measured(LEVEL, codes))
        covered += found.low <= 0.1 <= found.high
    assert 180 <= covered <= 199


@pytest.mark.parametrize(("u", "value"), [([1.0, 2.0, 0.0], math.inf), ([-1.0, -2.0], -math.inf), ([0.0, 0.0], 0.0)])
def test_separated_margins_have_no_finite_beta(u: list[float], value: float) -> None:
    found = audit(**columns(u)).rewards.fitted_beta
    assert (found.value, found.low, found.high) == (value, None, None)
    assert found.reason
    assert audit(**columns(u)).to_dict()["rewards"]["fitted_beta"]["value"] in (value, "Infinity", "-Infinity")


def test_beta_may_be_negative() -> None:
    u = -drawn(np.random.default_rng(1), 300)
    found = audit(**columns(u))
    assert found.rewards.fitted_beta.high < 0
    assert found.rewards.noise is None
    assert any("label noise" in note for note in found.notes)


def test_noise_is_the_maximum_of_its_likelihood_with_profile_limits() -> None:
    u = drawn(np.random.default_rng(4), 1500, spread=40.0, wrong=0.15)
    found, _ = noise(u, Measured(LEVEL, None))
    assert found is not None

    def loss(b: float, e: float) -> float:
        return -float(chances(b * u, e).sum())

    def profile(e: float) -> float:
        return min(
            optimize.minimize_scalar(lambda t: loss(math.exp(t), e), bounds=(a, a + 3), method="bounded").fun
            for a in (-5.0, -3.0, -1.0)
        )

    best = optimize.minimize_scalar(profile, bounds=(0.0, 0.45), method="bounded", options={"xatol": 1e-7})
    assert float(found) == pytest.approx(best.x, abs=1e-4)
    assert found.detail["factor"] >= 1.0
    limit = best.fun + 0.5 * found.detail["factor"] * stats.norm.ppf(0.975) ** 2
    for side in (found.low, found.high):
        assert profile(side) == pytest.approx(limit, abs=1e-2)


@pytest.mark.parametrize("wrong", [0.0, 0.1, 0.2])
def test_planted_noise_is_found_again(wrong: float) -> None:
    rng, covered, values = np.random.default_rng(6), 0, []
    for _ in range(40):
        found, _ = noise(drawn(rng, 800, spread=40.0, wrong=wrong), Measured(LEVEL, None))
        values.append(float(found))
        covered += found.low <= wrong <= found.high
    assert np.mean(values) == pytest.approx(wrong, abs=0.012)
    assert covered >= 35


def test_calibration_takes_the_likelier_answer_first() -> None:
    u = drawn(np.random.default_rng(7), 4000)
    found = audit(**columns(np.append(u, 0.0)), beta=0.1)
    confidence, right, clusters = found.forecasts()
    np.testing.assert_allclose(confidence, s(0.1 * np.abs(u)), rtol=1e-12)
    assert (right == (u > 0)).all()
    assert clusters is None
    calibrated = sy.reliability(confidence, right, n_bins=20)
    assert calibrated.ece.low == 0.0
    assert abs(float(found.rewards.overconfidence)) < 3 * found.rewards.overconfidence.standard_error
    # The other order of every pair is the same question.
    turned = sy.reliability(
        np.append(s(0.1 * u), s(-0.1 * u)), np.append(np.ones(4000, bool), np.zeros(4000, bool)), n_bins=20
    )
    assert float(turned.ece) == pytest.approx(float(calibrated.ece), rel=1e-9)
    sure = audit(**columns(u), beta=0.5)
    assert sure.rewards.overconfidence.low > 0
    assert sure.rewards.fitted_beta.high < 0.5


def test_rewards_without_a_reference_are_the_policys() -> None:
    u = drawn(np.random.default_rng(9), 200)
    found = audit(policy_chosen=-900 + u, policy_rejected=np.full(200, -900.0))
    assert found.rewards.displaced is None
    assert found.rewards.chosen_shift is None
    assert float(found.rewards.accuracy) == (u > 0).mean()
    assert [one.name for one in found.sweep.readings if one.difference is None] == ["cpo"]


def test_pairs_without_log_probabilities_are_counted() -> None:
    given = columns([1.0, 2.0, -1.0, 4.0, 3.0])
    given["policy_chosen"][0] = np.nan
    given["reference_rejected"][1] = -np.inf
    found = audit(["a"] * 5, list("bcdef"), **given)
    assert found.rewards.pairs == 3
    assert found.rewards.left_out == {"no log-probability": 1, "infinite log-probability": 1}
    assert found.pairs == 5
    assert np.isnan(found.margins).tolist() == [True, True, False, False, False]
    nothing = audit(["a"], ["b"], **{name: [np.nan] for name in given})
    assert nothing.rewards is None
    assert any("no rewards" in note for note in nothing.notes)


# ---- the sweep


def test_held_out_losses_are_those_of_the_setting_that_suits_the_other_folds() -> None:
    rng = np.random.default_rng(10)
    u = drawn(rng, 300, spread=25.0)
    clusters = np.arange(300) // 3
    found = audit(**columns(u), clusters=clusters, folds=4, seed=7)
    best = next(one for one in found.sweep.readings if one.name == "dpo")
    fold = folds_of(clusters, 4, 7)
    assert all(len(set(fold[clusters == c])) == 1 for c in range(100))
    assert np.bincount(fold).tolist() == [75, 75, 75, 75]
    losses = np.empty(300)
    for k in range(4):
        grid = {(b, e): chances(b * u[fold != k], e).sum() for b in BETAS for e in NOISES}
        b, e = max(grid, key=grid.__getitem__)
        losses[fold == k] = -chances(b * u[fold == k], e)
    assert float(best.loss) == pytest.approx(losses.mean(), rel=1e-9)
    assert best.loss.n_clusters == 100
    assert float(best.accuracy) == (u > 0).mean()
    assert found.sweep.settings == len(found.sweep.readings) * len(BETAS) * len(NOISES)
    assert found == audit(**columns(u), clusters=clusters, folds=4, seed=7)
    assert found.sweep != audit(**columns(u), clusters=clusters, folds=4, seed=8).sweep


def test_the_reading_that_made_the_labels_is_held_out_best() -> None:
    rng = np.random.default_rng(11)
    n = 1500
    nc, nr = rng.integers(20, 300, n), rng.integers(20, 300, n)
    per_token = rng.normal(0, 0.4, n)  # labels follow means over tokens
    label = np.where(rng.random(n) < s(4 * per_token), 1, -1)
    x, y = 0.5 * per_token * label * nc, -0.5 * per_token * label * nr
    reference = np.full(n, -900.0)
    found = audit(
        policy_chosen=reference + x, policy_rejected=reference + y, reference_chosen=reference,
        reference_rejected=reference, length_chosen=nc, length_rejected=nr,
    ).sweep  # fmt: skip
    assert found.readings[0].name == "sigmoid_norm"
    assert found.readings[0].difference.high < 0
    assert {one.name for one in found.readings} == {
        "dpo", "dpo, forward-kl", "dpo, js", "dpo, alpha", "sigmoid_norm", "cpo", "simpo", "orpo", "length alone",
    }  # fmt: skip


def test_one_cluster_cannot_be_held_out() -> None:
    found = audit(**columns([1.0, -2.0, 3.0]), clusters=[1, 1, 1])
    assert found.sweep is None
    assert (found.rewards.accuracy.low, found.n_clusters) == (None, 1)
    assert any("no sweep" in note for note in found.notes)


def test_one_prompt_has_values_and_no_intervals() -> None:
    found = audit(["a", "bb", "c"], ["d", "e", "ff"], prompts=["p"] * 3)
    assert (float(found.lengths.longer), found.lengths.longer.low) == (0.5, None)


def test_all_ties_are_defined() -> None:
    found = audit(**columns([0.0] * 20))
    assert float(found.rewards.accuracy) == 0.5
    assert 0 < found.rewards.accuracy.low < 0.5
    assert found.rewards.noise is None
    assert found.rewards.margin.low is None
    assert len(found.forecasts()[0]) == 0


# ---- doubts, sources, single answers


def test_doubts_are_the_farthest_against_and_the_nearest_to_nothing() -> None:
    u = [5.0, -9.0, 0.5, -0.2, -30.0, 8.0]
    found = audit(["a"] * 6, list("bcdefg"), ids=list("uvwxyz"), most=2, **columns(u))
    assert [(one.why, one.id, one.row) for one in found.doubts] == [
        ("reward against", "y", 4), ("reward against", "v", 1), ("reward near tie", "x", 3), ("reward near tie", "w", 2),
    ]  # fmt: skip
    assert [one.margin for one in found.doubts] == pytest.approx([-30.0, -9.0, -0.2, 0.5])
    scored = audit(["a"] * 3, list("bcd"), score_margin=[1.0, -2.0, 0.0], most=1)
    assert [(one.why, one.row) for one in scored.doubts] == [("score against", 1), ("score near tie", 2)]


def test_sources_hold_together() -> None:
    chosen, rejected = ["aa", "a"] * 30, ["a", "aa"] * 30
    found = audit(chosen, rejected, sources=["x", "x", None] * 20)
    assert [(group.name, group.pairs) for group in found.groups] == [("(none)", 20), ("x", 40)]
    strict = sy.proportion(20, 40, confidence_level=0.975)
    assert found.groups[1].longer.low == pytest.approx(strict.low)
    assert found.groups[1].accuracy is None


def test_single_answers_with_labels_make_pairs() -> None:
    prompts = ["p", "p", "p", "q", "q", "r", None]
    answers = ["long answer", "x", "yy", "abc", "abc", "k", "none"]
    labels = [True, False, 0, "true", "false", 1, -1]
    found = audit([*answers, "z", 5], labels=[*labels, "maybe", True], prompts=[*prompts, "r", "r"])
    assert found.left_out == {
        "label is no yes or no": 1, "completion is no text and no conversation": 1, "two identical answers": 1,
    }  # fmt: skip
    assert (found.rows, found.pairs) == (9, 2)
    assert float(found.lengths.longer) == 1.0
    assert float(found.desirable) == pytest.approx(3 / 7)
    sizes, good = np.array([11, 1, 2, 3, 3, 1, 4]), np.array([1, 0, 0, 1, 0, 1, 0], bool)
    auc = np.mean([(a > b) + 0.5 * (a == b) for a in sizes[good] for b in sizes[~good]])
    assert float(found.desirable_longer) == pytest.approx(auc)


def test_single_answers_with_both_labels_contradict() -> None:
    answers, labels = ["a", "a", "a ", "b", "b", "c", "c"], [True, False, True, True, True, True, False]
    found = audit(answers, labels=labels, prompts=["p"] * 5 + [None] * 2)
    texts = found.texts
    assert texts is not None
    assert (texts.prompts, texts.without_prompt, texts.most_of_prompt, texts.empty) == (3, 2, 5, 0)
    assert (texts.duplicates, texts.repeated, texts.repeated_rows) == (2, 2, 5)
    assert (texts.contradictions, texts.contradicting_rows) == (1, 3)
    assert texts.noise.detail["disagreement"] == pytest.approx(np.mean([2 / 3, 0]))
    assert [(doubt.why, doubt.row) for doubt in found.doubts] == [("contradiction", row) for row in (0, 1, 2)]


def test_single_answers_of_one_kind_are_counted_alone() -> None:
    found = audit(["a", "bb"], labels=[True, True])
    assert (found.pairs, found.lengths, found.desirable_longer) == (0, None, None)
    assert float(found.desirable) == 1.0
    same = audit(["a", "b"], labels=[True, False]).desirable_longer
    assert (same.value, same.low, same.reason) == (0.5, None, "all answers are equally long")


# ---- results, input


def test_the_result_is_data() -> None:
    found = audit(["aa", "b"], ["c", "dd"], **columns([1.0, -2.0]))
    data = found.to_dict()
    assert data["texts"]["prompts"] == 2
    assert data["rewards"]["accuracy"]["value"] == 0.5
    assert "margins" not in data
    assert "reward accuracy" in repr(found)
    assert "<table" in found._repr_html_()


def test_it_is_plotted() -> None:
    pytest.importorskip("matplotlib")
    ax = audit(["aa", "b", "cc"], ["c", "dd", "e"]).plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["chosen is longer"]


def test_columns_of_other_containers() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"c": ["aa", "b", "cc"], "r": ["c", "dd", "e"], "m": [1.0, np.nan, -1.0]})
    assert audit(frame["c"], frame["r"], score_margin=frame["m"]) == audit(
        frame["c"].tolist(), frame["r"].tolist(), score_margin=frame["m"].tolist()
    )


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ("chosen: expected texts of answers, or log-probabilities of a policy; got None", {}),
        ("rejected: expected answers, as chosen has them; got None", {"chosen": ["a"]}),
        ("rejected: expected 2 values, as many as chosen; got 1", {"chosen": ["a", "b"], "rejected": ["c"]}),
        ("chosen: expected at least one row; got none", {"chosen": [], "rejected": []}),
        ("chosen: expected at least one pair of two different answers; got none in 2 rows "
         "(1 no chosen, 1 two identical answers)", {"chosen": [None, "a"], "rejected": ["a", "a"]}),
        ("policy_rejected: expected a column, as policy_chosen is one; got None", {"policy_chosen": [-1.0]}),
        ("labels: expected None beside rejected answers", {"chosen": ["a"], "rejected": ["b"], "labels": [True]}),
        ("policy_chosen: expected None beside labels", {"chosen": ["a"], "labels": [True], "policy_chosen": [-1.0]}),
        ("beta: expected a finite number above 0; got 0", {"chosen": ["a"], "rejected": ["b"], "beta": 0}),
        ("folds: expected a whole number, at least 2; got 1", {"chosen": ["a"], "rejected": ["b"], "folds": 1}),
        ("score_rejected: expected a column, as score_chosen is one",
         {"chosen": ["a"], "rejected": ["b"], "score_chosen": [1.0]}),
        ("score_margin: expected numbers from -1e+100 to 1e+100, NaN where there is none; got inf at index 0",
         {"chosen": ["a"], "rejected": ["b"], "score_margin": [np.inf]}),
        ("length_chosen: expected whole numbers from 0 to 1e+100, NaN where there is none; got -1.0 at index 0",
         {"chosen": ["a"], "rejected": ["b"], "length_chosen": [-1], "length_rejected": [2]}),
        ("chosen: expected a list or a column, one entry a row; got str 'abc'", {"chosen": "abc", "rejected": "abc"}),
        ("policy_chosen: expected log-probabilities", {"policy_chosen": [9.0], "policy_rejected": [8.0]}),
        ("chosen: expected at least one answer with a label; got none in 1 rows", {"chosen": ["a"], "labels": [None]}),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(said: str, given: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        audit(**given)
    assert str(error.value).startswith(said)


def test_where_and_clusters() -> None:
    found = audit(["aa", "b", "cc"], ["c", "dd", "e"], where=[True, True, False], clusters=[1, 2, 2])
    assert (found.rows, found.pairs, found.left_out, found.n_clusters) == (3, 2, {"where": 1}, 2)


def test_lengths_are_whole_numbers_by_their_own_name() -> None:
    with pytest.raises(ValueError, match=r"length_chosen: expected whole numbers .* got 1\.5 at index 0"):
        audit(**columns([3.0, -1.0]), length_chosen=[1.5, 6], length_rejected=[1, 2])
