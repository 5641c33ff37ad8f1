"""How often intervals hold perplexities and divergences of tokens in documents, and what taking tokens one by one does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

import steelyard as sy

SETS = 1000
MEAN = 2.0  # nats of a token
DOCUMENTS = (10, 20, 50, 200)
EFFECTS = {"alike": 0.0, "a little apart": 0.1, "apart": 0.3}  # standard deviation of a document's mean NLL, in nats


class Tokens:
    """Documents of log-normal length (median 40 tokens) under two models.

    The NLL of a token is gamma distributed about the mean of its document, 2 nats but for the document's effect, and half
    of it is what the token before had. The other model is 0.05 nats worse, by an amount that varies between documents.
    """

    def __init__(self, rng: np.random.Generator, documents: int, effect: float) -> None:
        sizes = np.maximum(2, np.round(40 * np.exp(0.7 * rng.normal(size=documents)))).astype(np.int64)
        self.ids = np.repeat(np.arange(documents), sizes)
        n = len(self.ids)
        fresh, before = rng.gamma(1.0, MEAN, size=n), rng.gamma(1.0, MEAN, size=n + 1)
        shift = effect * rng.normal(size=documents)[self.ids]
        # Neighbours share an innovation: a moving average, whose mean is that of a token.
        self.nll = np.maximum(0.5 * (before[1:] + before[:-1]), 0.1 * fresh) + np.maximum(shift, -MEAN / 2) + 1.0
        change = 0.05 + 0.5 * effect * rng.normal(size=documents)[self.ids] + 0.2 * rng.normal(size=n)
        self.other = np.maximum(self.nll + change, 0.0)
        self.kl = 0.02 * np.exp(2 * effect * rng.normal(size=documents)[self.ids]) * rng.gamma(0.5, 2.0, size=n)


Answer = Callable[[Tokens, bool], sy.Estimate]


def _perplexity(t: Tokens, whole: bool) -> sy.Estimate:
    return sy.perplexity(t.nll, clusters=t.ids if whole else np.arange(len(t.ids)))


def _ratio(t: Tokens, whole: bool) -> sy.Estimate:
    ids = t.ids if whole else np.arange(len(t.ids))
    found = sy.compare(t.other, baseline=t.nll, statistic="perplexity", clusters=ids).ratio
    assert found is not None
    return found


def _kl(t: Tokens, whole: bool) -> sy.Estimate:
    return sy.estimate(t.kl, clusters=t.ids if whole else None)


ANSWERS: dict[str, Answer] = {"perplexity": _perplexity, "ratio of two perplexities": _ratio, "mean KL": _kl}


@cache
def _truth(of: str, effect: float) -> float:
    """The value of very many documents."""
    rng = np.random.Generator(np.random.Philox(99))
    return float(ANSWERS[of](Tokens(rng, 40_000, effect), True))


def _held(of: str, whole: bool, documents: int, effect: float, trials: int) -> str:
    """The share of intervals that hold the truth, and their mean width."""
    answer, truth, rng = ANSWERS[of], _truth(of, effect), np.random.Generator(np.random.Philox(documents))
    inside, widths = 0, []
    for _ in range(trials):
        one = answer(Tokens(rng, documents, effect), whole)
        assert one.low is not None
        assert one.high is not None
        inside += one.low <= truth <= one.high
        widths.append(one.high - one.low)
    return f"{inside / trials:.3f} ({np.mean(widths):.3g})"


def section(scale: float = 1.0) -> str:
    """The table as Markdown."""
    trials = max(20, int(scale * SETS))
    lines = [f"| of | documents | clustered by | {' | '.join(f'{n} documents' for n in DOCUMENTS)} |", "|---" * 7 + "|"]
    for name in ANSWERS:
        for kind, effect in EFFECTS.items():
            for whole in (True, False):
                cells = " | ".join(_held(name, whole, n, effect, trials) for n in DOCUMENTS)
                lines.append(f"| {name} | {kind} | {'document' if whole else 'nothing: tokens'} | {cells} |")
    return "\n".join([
        "## Tokens in documents",
        "",
        f"95 % intervals over {SETS:,} sets per design (standard error 0.007 at .95), and in brackets their mean width, of the "
        "same sets for each row of a block. Documents of log-normal length (median 40 tokens); the NLL of neighbouring "
        "tokens is correlated (.5), the document's own mean NLL has a standard deviation of 0, .1 or .3 nats (alike, a "
        "little apart, apart). The other model of the ratio is worse by an amount that varies between documents. "
        "Intervals that take tokens as independent, as a standard error over tokens does, are too narrow wherever tokens "
        "of one document are alike, and the more so the longer documents are.",
        "",
        *lines,
    ]) + "\n"  # fmt: skip
