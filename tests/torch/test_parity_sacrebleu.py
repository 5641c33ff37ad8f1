"""BLEU, chrF and chrF++ against sacreBLEU: the scores of corpora, and its paired test, whose defect is not ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import steelyard as sy

sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu is the peer")

REFERENCES = [
    "The cat sat on the mat, and the dog lay beside it.",
    "It rained all night; in the morning the streets were under water.",
    "The minister said on Tuesday that the talks would be resumed next week.",
    "Nobody knows why the bridge was never finished.",
    "Prices rose by 3.5 % in March, more than economists had expected.",
    "He opened the letter, read it twice and put it back into the drawer.",
    "The new trains will run every ten minutes between the two cities.",
    "Yes.",
    "The museum is closed on Mondays and on public holidays.",
    "In the second half of the match both teams were tired.",
    "She asked whether the results could be reproduced by another laboratory.",
    "The harvest was poor, and many farmers had to sell their animals.",
]
METRICS = {
    "bleu": sacrebleu.BLEU(),
    "chrf": sacrebleu.CHRF(),
    "chrf++": sacrebleu.CHRF(word_order=2),
}
every = pytest.mark.parametrize("statistic", METRICS)


def system(seed: int, kept: float) -> list[str]:
    """Translations that keep a share of the words, and exchange, repeat or drop the others."""
    rng = np.random.default_rng(seed)
    said = []
    for sentence in REFERENCES:
        words: list[str] = []
        for word in sentence.split():
            kind = rng.random()
            words += [word] if kind < kept else [[], [word, word], ["some"], [word[::-1]]][rng.integers(4)]
        said.append(" ".join(words))
    return said


def counts(statistic: str, hypotheses: list[str], references: list[str]) -> np.ndarray:
    return np.array(METRICS[statistic]._extract_corpus_statistics(hypotheses, [references]), np.float64)


@every
@pytest.mark.parametrize("kept", [1.0, 0.95, 0.8, 0.5, 0.1, 0.0])
def test_values_are_those_of_the_corpus(statistic: str, kept: float) -> None:
    for seed in range(5):
        hypotheses = system(seed, kept)
        want = METRICS[statistic].corpus_score(hypotheses, [REFERENCES]).score
        got = sy.estimate(counts(statistic, hypotheses, REFERENCES), statistic)  # type: ignore[call-overload]
        assert got.value == pytest.approx(want, rel=1e-9, abs=1e-12)


@every
@pytest.mark.parametrize("hypotheses", [["the the the"], ["sat mat on the cat"], [""], ["a"], ["The cat sat on the"]])
def test_values_of_single_sentences(statistic: str, hypotheses: list[str]) -> None:
    """With smoothing, without a match, and with too few words for an order."""
    want = METRICS[statistic].corpus_score(hypotheses, [REFERENCES[:1]]).score
    got = sy.estimate(counts(statistic, hypotheses, REFERENCES[:1]), statistic)  # type: ignore[call-overload]
    assert got.value == pytest.approx(want, rel=1e-9, abs=1e-12)


@every
def test_replicates_are_scores_of_resampled_corpora(statistic: str) -> None:
    hypotheses = system(3, 0.8)
    boot: Any = sy.bootstrap(
        counts(statistic, hypotheses, REFERENCES),
        statistic,
        n_resamples=50,
        seed=2,
        method="percentile",  # type: ignore[arg-type]
    )
    for r in range(50):
        rows = np.repeat(np.arange(len(REFERENCES)), sy._core.resampling_counts(len(REFERENCES), 2, r))
        drawn = [[texts[i] for i in rows] for texts in (hypotheses, REFERENCES)]
        want = METRICS[statistic].corpus_score(drawn[0], [drawn[1]]).score
        assert boot.replicates[r] == pytest.approx(want, rel=1e-9, abs=1e-12)
