"""Perplexities compared: the ratio of two models on the same tokens."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy

RNG = np.random.default_rng(9)
BASE = RNG.gamma(2.0, 1.0, (12, 40))
NEW = np.abs(BASE + RNG.normal(-0.1, 0.2, (12, 40)) + RNG.normal(0, 0.05, (12, 1)))


def compared(new: Any, base: Any, **options: Any) -> sy.uncertainty.Comparison:
    return sy.compare(new, baseline=base, statistic="perplexity", **options)


def test_the_ratio_is_that_of_the_two_perplexities() -> None:
    found = compared(NEW, BASE)
    assert found.ratio is not None
    a, b = sy.perplexity(NEW), sy.perplexity(BASE)
    assert found.ratio.value == pytest.approx(a.value / b.value, rel=1e-12)
    d = found.difference
    assert (found.ratio.low, found.ratio.high) == pytest.approx((math.exp(d.low), math.exp(d.high)), rel=1e-14)
    assert found.ratio.standard_error == pytest.approx(found.ratio.value * d.standard_error)
    assert (d.n, d.n_clusters, d.method) == (480, 12, "clustered t")
    # Pairing is what makes it sharp.
    assert d.high - d.low < 0.4 * (math.log(b.high) - math.log(b.low))


def test_it_is_the_clustered_mean_of_the_differences_and_a_sign_flip_of_their_sums() -> None:
    ids = np.repeat(np.arange(12), 40)
    found, want = compared(NEW, BASE), sy.estimate((NEW - BASE).ravel(), clusters=ids)
    d = found.difference
    assert (d.value, d.low, d.high) == pytest.approx((want.value, want.low, want.high), rel=1e-11)
    sums = (NEW - BASE).sum(1)
    signs = np.array(list(itertools.product((1, -1), repeat=12)))
    assert found.p_value == pytest.approx(float(np.mean(np.abs(signs @ sums) >= abs(sums.sum()) * (1 - 1e-12))))
    assert (found.wins, found.losses, found.ties) == (int((sums < 0).sum()), int((sums > 0).sum()), 0)


def test_lower_is_better_unless_said_otherwise() -> None:
    found = compared(NEW, BASE)
    assert found.verdict() == "better"
    assert not found.higher_is_better
    assert compared(BASE, NEW).verdict() == "worse"
    assert compared(NEW, BASE, higher_is_better=True).verdict() == "worse"
    assert sy.compare([1.0, 0.5], baseline=[0.5, 0.25]).higher_is_better


def test_clusters_per_token_and_per_row() -> None:
    docs = np.repeat(list("abcdef"), 2)
    by_row = compared(NEW, BASE, clusters=docs)
    by_token = compared(NEW, BASE, clusters=np.repeat(docs, 40).reshape(12, 40))
    flat = compared(NEW.ravel(), BASE.ravel(), clusters=np.repeat(docs, 40))
    assert by_row.to_dict() == by_token.to_dict() == flat.to_dict()
    assert by_row.difference.n_clusters == 6


def test_one_sequence_is_one_cluster() -> None:
    found = compared(NEW[0], BASE[0])
    assert found.difference.low is None
    assert found.p_value == 1.0
    assert found.verdict() == "undecided"
    assert "under two clusters" in found.difference.reason
    assert found.ratio is not None
    assert found.ratio.low is None
    assert found.ratio.value > 0


def test_per_counts_words_or_bytes() -> None:
    words = RNG.integers(10, 30, 12)
    found = compared(NEW, BASE, per=words)
    assert found.difference.value == pytest.approx((NEW - BASE).sum() / words.sum(), rel=1e-12)
    assert found.difference.detail["units"] == words.sum()
    a, b = (sy.perplexity(x, per=words) for x in (NEW, BASE))
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(a.value / b.value, rel=1e-11)
    assert compared(NEW, BASE, per=np.ones_like(NEW)).p_value == compared(NEW, BASE).p_value
    # Documents whose tokens differ between the models: sums of NLL, divided by their words.
    sums = compared(NEW.sum(1), BASE.sum(1), per=words, clusters=range(12))
    assert (sums.difference.value, sums.difference.low) == pytest.approx((found.difference.value, found.difference.low))


def test_which_tokens_count() -> None:
    logits = RNG.normal(size=(4, 6, 9))
    targets = RNG.integers(0, 9, (4, 6))
    targets[:, 0] = -100
    scores = [sy.token_scores(x, targets) for x in (logits, logits + RNG.normal(size=logits.shape))]
    found = compared(*scores, where=np.arange(6) < np.array([[5]] * 4))
    assert (found.difference.n, found.difference.left_out) == (16, {"ignored": 4, "where": 4})
    same = compared(scores[0].nll[:, 1:5], scores[1].nll[:, 1:5])
    assert found.difference.value == same.difference.value
    broken = NEW.copy()
    broken[2, 3] = np.nan
    assert compared(broken, BASE, nan_policy="omit").difference.left_out == {"nan": 1}
    other = sy.token_scores(logits, np.where(np.arange(6) == 1, -100, targets))
    with pytest.raises(
        ValueError, match=r"new: expected the same counted tokens as baseline; got another at index \[0, 1\]"
    ):
        compared(other, scores[1])


def test_several_models() -> None:
    models = {"a": NEW, "b": BASE + 0.01 * RNG.normal(size=BASE.shape), "base": BASE}
    found = compared(models, "base")
    assert found.names == ("a", "b")
    assert found.ratio is not None
    assert found.ratio["a"].value == compared(NEW, BASE).ratio.value  # type: ignore[union-attr]
    assert found.p_adjusted.tolist()[0] == min(1.0, 2 * found.p_value.min())
    strict = compared(NEW, BASE, confidence_level=0.975)
    assert found.difference.detail["simultaneous_low"][0] == pytest.approx(strict.difference.low)
    assert found.ratio.detail["simultaneous_low"][0] == pytest.approx(strict.ratio.low)  # type: ignore[union-attr]
    assert found.verdict()[0] == "better"


def test_what_is_shown() -> None:
    found = compared(NEW, BASE)
    text = str(found)
    assert "perplexity 0.9" in text
    assert "of the baseline's" in text
    assert "ties of clusters" in text
    data = json.loads(json.dumps(found.to_dict()))
    assert data["ratio"]["value"] == found.ratio.value  # type: ignore[union-attr]
    assert {"ratio", "ratio_low", "ratio_high"} <= set(found.table)
    assert found.items is None


def test_no_spread_is_no_certainty() -> None:
    found = compared(BASE, BASE)
    assert (found.difference.value, found.p_value, found.verdict()) == (0.0, 1.0, "undecided")
    assert found.difference.low is None
    assert "no spread is no certainty" in found.difference.reason
    shifted = compared(BASE + 0.25, BASE)
    assert shifted.difference.low is None
    assert shifted.ratio is not None
    assert shifted.ratio.value == pytest.approx(math.exp(0.25))


@pytest.mark.parametrize(
    ("new", "base", "options", "message"),
    [
        (NEW, BASE[:5], {}, r"new: expected shape \(5, 40\), the tokens of baseline; .*by document"),
        (-NEW, BASE, {}, r"new: expected negative log-likelihoods in nats, 0 or more; got -"),
        (np.full((2, 3), np.inf), np.ones((2, 3)), {}, r"new: expected finite negative log-likelihoods"),
        (np.ones((2, 3)), np.full((2, 3), np.nan), {}, r"baseline: expected negative log-likelihoods; got nan"),
        (NEW, BASE, {"clusters": [1, 2]}, r"clusters: expected one id per token"),
        (NEW, BASE, {"where": [True]}, r"where: expected shape"),
        (NEW, BASE, {"per": [1.0]}, r"per: expected one number per token"),
        (NEW, BASE, {"per": np.zeros(12)}, r"per: expected numbers that sum to more than 0"),
        (NEW, BASE, {"per": -np.ones(12)}, r"per: expected counts, finite and 0 or more"),
        (NEW, BASE, {"paired": False}, r"paired: expected True with statistic='perplexity'"),
        (NEW, BASE, {"by": np.arange(12)}, r"by: expected statistic=\"mean\""),
        (NEW, None, {}, r"baseline: expected the scores of the same tokens"),
        (NEW, "base", {}, r"baseline: expected scores of tokens"),
        (1.0, 2.0, {}, r"new: expected a token axis"),
    ],
)
def test_what_is_refused(new: Any, base: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        compared(new, base, **options)


def test_statistics_are_known_by_name() -> None:
    with pytest.raises(ValueError, match=r"^statistic: expected one of mean, perplexity, sum, .*; got 'median'"):
        sy.compare([1.0], baseline=[1.0], statistic="median")
    with pytest.raises(ValueError, match="per: expected statistic='perplexity'"):
        sy.compare([1.0, 0.0], baseline=[1.0, 1.0], per=[1, 1])
