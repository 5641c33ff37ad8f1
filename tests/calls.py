"""The table of public calls that read data, each on an input of any size, for the tests of interrupts and of forks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import steelyard as sy
from steelyard import _core


class Call(NamedTuple):
    """A call on ``prepare(n)``, and the public names that it shows to answer."""

    name: str
    covers: tuple[str, ...]
    prepare: Callable[[int], Any]
    call: Callable[[Any], object]


CALLS: list[Call] = []


def row(name: str, *covers: str, call: Callable[[Any], object]) -> Callable[[Callable[[int], Any]], None]:
    """Declare a row of the table: the decorated function prepares the input."""

    def declare(prepare: Callable[[int], Any]) -> None:
        CALLS.append(Call(name, covers, prepare, call))

    return declare


def uniform(n: int, seed: int = 0, dtype: Any = np.float64) -> Any:
    return np.random.default_rng(seed).random(n, dtype=dtype)


def spread_ids(n: int) -> Any:
    """Whole numbers that are far apart, so that nearly every row is its own cluster."""
    return np.random.default_rng(1).integers(-(2**62), 2**62, n)


def texts(n: int) -> list[str]:
    return [f"document {i}" for i in np.random.default_rng(2).integers(0, n // 4 + 1, n).tolist()]


# tokens


@row("token_scores: many rows", "token_scores", "tokens.token_scores", call=lambda d: sy.token_scores(*d))
def _(n: int) -> Any:
    one = (np.arange(128_256) % 977).astype(np.float32) / 100
    return np.broadcast_to(one, (n // 100, one.size)), np.arange(n // 100)


@row("token_scores: one row", "token_scores", call=lambda d: sy.token_scores(*d))
def _(n: int) -> Any:
    return np.zeros((1, 40 * n), np.float32), np.zeros(1, np.int64)


def all_columns(d: Any) -> Any:
    return sy.token_scores(d[0], d[1], columns="all", temperature=1.5)


@row("token_scores: all columns of transformed logits", "token_scores", call=all_columns)
def _(n: int) -> Any:
    return uniform(10 * n, dtype=np.float32).reshape(-1, 1000), np.zeros((n // 100, 3), np.int64)


@row(
    "token_scores: two models", "token_scores", call=lambda d: sy.token_scores(d[0], d[2], baseline=d[1], columns="all")
)
def _(n: int) -> Any:
    new, base = uniform(10 * n, dtype=np.float32), uniform(10 * n, 1, dtype=np.float32)
    return new.reshape(-1, 1000), base.reshape(-1, 1000), np.zeros(n // 100, np.int64)


@row(
    "token_scores_from_hidden",
    "token_scores_from_hidden",
    "tokens.token_scores_from_hidden",
    call=lambda d: sy.token_scores_from_hidden(*d),
)
def _(n: int) -> Any:
    hidden, weight = uniform(n, dtype=np.float32), uniform(100 * 100, 1, dtype=np.float32)
    return hidden.reshape(-1, 100), weight.reshape(-1, 100), np.zeros(n // 100, np.int64)


@row(
    "token_scores_from_hidden: gradients", "tokens.TokenGradients",
    call=lambda d: sy.token_scores_from_hidden(*d, gradients=True),
)  # fmt: skip
def _(n: int) -> Any:
    hidden, weight = uniform(n // 4, dtype=np.float32), uniform(100 * 100, 1, dtype=np.float32)
    return hidden.reshape(-1, 100), weight.reshape(-1, 100), np.zeros(n // 400, np.int64)


def base_file(n: int) -> sy.tokens.KLBase:
    """A base of n / 100 rows of 1,000 classes, all of which have log-probability 0: a file of zeros behind its head."""
    chunks, n_ctx, width = max(1, n // 10_000), 202, 1000
    size = 20 + 4 * chunks * n_ctx + 2 * chunks * 100 * (width + 4)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "base"
        path.write_bytes(b"_logits_" + np.array([n_ctx, width, chunks], np.int32).tobytes())
        os.truncate(path, size)
        return sy.tokens.KLBase(path)


def against_base(d: Any) -> Any:
    return sy.token_scores(d[0], d[1].targets, baseline=d[1])


@row("token_scores: a base file", "token_scores", "tokens.KLBase", call=against_base)
def _(n: int) -> Any:
    base = base_file(n)
    return np.broadcast_to(uniform(1000, dtype=np.float32), base.shape), base


@row("KLBase.figures", "tokens.KLFigures", call=lambda d: d[0].figures(d[1]))
def _(n: int) -> Any:
    base = base_file(n // 10)
    return base, against_base((np.broadcast_to(uniform(1000, dtype=np.float32), base.shape), base))


@row("TokenShard.compute", "tokens.TokenShard", call=lambda d: (d[0] + d[1]).compute(40))
def _(n: int) -> Any:
    logits, targets = uniform(20 * n, dtype=np.float32).reshape(-1, 40), np.arange(n // 2) % 40
    return [
        sy.token_scores(logits[:, a:b], targets, vocabulary=range(a, b), columns="all") for a, b in ((0, 20), (20, 40))
    ]


@row("sketch", "tokens.sketch", call=sy.tokens.sketch)
def _(n: int) -> Any:
    return uniform(20 * n, dtype=np.float32).reshape(-1, 1000)


@row("Sketch.kl", "tokens.Sketch", call=lambda d: d[0].kl(d[1]))
def _(n: int) -> Any:
    base, new = uniform(20 * n, dtype=np.float32), uniform(20 * n, 1, dtype=np.float32)
    return sy.tokens.sketch(base.reshape(-1, 1000)), new.reshape(-1, 1000)


@row("token_scores: a mask", "token_scores", call=lambda d: sy.token_scores(*d))
def _(n: int) -> Any:
    return np.zeros((4 * n, 2), np.float32), np.tile(np.array([0, -100]), 2 * n)


def scored(n: int) -> Any:
    return sy.tokens.TokenScores(uniform(n), uniform(n, 1), uniform(n, 2) < 0.9)


def first_read(s: Any) -> object:
    """Reads lazy attributes of a copy, since they are computed once and then kept."""
    s = replace(s)
    return s.sequence_logprob, s.n_counted, repr(s)


@row("sequence_logprob", "tokens.TokenScores", call=first_read)
def _(n: int) -> Any:
    s = scored(4 * n)
    return sy.tokens.TokenScores(s.nll.reshape(-1, 5), s.log_z.reshape(-1, 5), s.counted.reshape(-1, 5))


@row("sequence_logprob: one", "tokens.TokenScores", call=first_read)
def _(n: int) -> Any:
    return scored(4 * n)


@row("perplexity", "perplexity", "tokens.perplexity", "PerplexityState.update", call=sy.perplexity)
def _(n: int) -> Any:
    return uniform(n).reshape(-1, 10)


@row("perplexity: of TokenScores", "perplexity", call=lambda d: sy.perplexity(d[0], where=d[1]))
def _(n: int) -> Any:
    return scored(n), uniform(n) < 0.9


@row("perplexity: far ids", "perplexity", call=lambda d: sy.perplexity(d[0], clusters=d[1]))
def _(n: int) -> Any:
    return uniform(n), spread_ids(n)


@row("perplexity: near ids", "perplexity", call=lambda d: sy.perplexity(d[0], clusters=d[1], per=d[2]))
def _(n: int) -> Any:
    return uniform(n), np.arange(n) // 10, np.ones(n)


@row("perplexity: texts", "perplexity", call=lambda d: sy.perplexity(d[0], clusters=d[1]))
def _(n: int) -> Any:
    return uniform(n // 4), texts(n // 4)


def totals(n: int, first: int = 0) -> Any:
    return sy.tokens.PerplexityState().update(uniform(n), clusters=np.arange(first, first + n))


def values(n: int, first: int = 0) -> Any:
    return sy.uncertainty.EstimateState().update(uniform(n), clusters=np.arange(first, first + n))


@row("EstimateState.update", "EstimateState.update", call=lambda x: sy.uncertainty.EstimateState().update(x))
def _(n: int) -> Any:
    return uniform(n)


@row("EstimateState.update: clusters", "uncertainty.EstimateState", call=lambda d: values(len(d)))
def _(n: int) -> Any:
    return uniform(n // 4)


@row(
    "scan", "scan",
    call=lambda d: sy.scan(d, {"x": "x", "clusters": "ids"}, sy.uncertainty.EstimateState(), batch_rows=1 << 17),
)  # fmt: skip
def _(n: int) -> Any:
    return {"x": uniform(n // 2), "ids": np.arange(n // 2) % 1000}


def sequence(n: int) -> Any:
    return sy.uncertainty.ConfidenceSequenceState().update(uniform(n))


@row("confidence_sequence", "uncertainty.confidence_sequence", call=sy.uncertainty.confidence_sequence)
def _(n: int) -> Any:
    return uniform(n // 32)


@row(
    "confidence_sequence: Bernstein", "uncertainty.ConfidenceSequenceState", "ConfidenceSequenceState.update",
    call=lambda x: sy.uncertainty.ConfidenceSequenceState(method="empirical-bernstein").update(x, x[::-1].copy()).compute(),
)  # fmt: skip
def _(n: int) -> Any:
    return uniform(n // 4)


@row(
    "ConfidenceSequenceState.compute", "ConfidenceSequenceState.compute", "ConfidenceSequenceState.stop_when",
    call=lambda s: (s.compute(), s.stop_when(width=0.001)),
)  # fmt: skip
def _(n: int) -> Any:
    return sequence(n // 64)


@row("ConfidenceSequenceState.path", "ConfidenceSequenceState.path", call=lambda s: s.path())
def _(n: int) -> Any:
    return sequence(n // 512)


@row(
    "ConfidenceSequenceState.merge", "ConfidenceSequenceState.merge", "ConfidenceSequenceState.copy",
    call=lambda s: sy.uncertainty.ConfidenceSequenceState().merge(s).copy(),
)  # fmt: skip
def _(n: int) -> Any:
    return sequence(n)


@row("ConfidenceSequenceState.to_bytes", "ConfidenceSequenceState.to_bytes", call=lambda s: (s.to_bytes(), repr(s)))
def _(n: int) -> Any:
    return sequence(n)


@row(
    "ConfidenceSequenceState.from_bytes", "ConfidenceSequenceState.from_bytes",
    call=sy.uncertainty.ConfidenceSequenceState.from_bytes,
)  # fmt: skip
def _(n: int) -> Any:
    return sequence(n // 2).to_bytes()


@row("compare: sequential", call=lambda d: sy.compare(d[0], baseline=d[1], sequential=True))
def _(n: int) -> Any:
    return uniform(n // 32), uniform(n // 32)[::-1].copy()


@row("EstimateState.merge", "EstimateState.merge", call=lambda d: d[0].merge(d[1]) + d[1])
def _(n: int) -> Any:
    return values(n // 8), values(n // 8, n // 16)


@row("EstimateState.compute", "EstimateState.compute", call=lambda s: s.compute())
def _(n: int) -> Any:
    return values(n // 8)


@row("EstimateState.to_bytes", "EstimateState.to_bytes", call=lambda s: s.to_bytes())
def _(n: int) -> Any:
    return values(n // 8)


@row("EstimateState.from_bytes", "EstimateState.from_bytes", call=sy.uncertainty.EstimateState.from_bytes)
def _(n: int) -> Any:
    return values(n // 8).to_bytes()


@row("EstimateState.copy", "EstimateState.copy", call=lambda s: (s.copy(), s == s.copy(), repr(s)))
def _(n: int) -> Any:
    return values(n // 8)


@row(
    "EstimateState.update: a slope", "EstimateState.update",
    call=lambda d: sy.uncertainty.EstimateState("slope").update(d),
)  # fmt: skip
def _(n: int) -> Any:
    return uniform(n // 8), uniform(n // 8)


@row(
    "EstimateState.update: a ratio by clusters", "EstimateState.update",
    call=lambda d: sy.uncertainty.EstimateState("ratio").update(d, clusters=np.arange(len(d[0]))),
)  # fmt: skip
def _(n: int) -> Any:
    return uniform(n // 8), uniform(n // 8)


@row(
    "EstimateState.update: weights and strata", "EstimateState.update",
    call=lambda d: sy.uncertainty.EstimateState("slope").update(
        d, clusters=np.arange(len(d[0])), weights=d[0], strata=np.arange(len(d[0])) % 3
    ),
)  # fmt: skip
def _(n: int) -> Any:
    return uniform(n // 16), uniform(n // 16)


@row(
    "EstimateState.compute: weights and strata", "EstimateState.compute",
    call=lambda s: (s.compute(), s.to_bytes(), s + s, s.copy()),
)  # fmt: skip
def _(n: int) -> Any:
    x = uniform(n // 16) + 0.5
    strata = np.arange(len(x)) % 3
    return sy.uncertainty.EstimateState().update(x, clusters=np.arange(len(x)), weights=x, strata=strata)


@row("EstimateState.compute: a ratio", "EstimateState.compute", call=lambda s: (s.compute(), s.to_bytes(), s + s))
def _(n: int) -> Any:
    data = uniform(n // 16), uniform(n // 16)
    return sy.uncertainty.EstimateState("ratio").update(data, clusters=np.arange(n // 16))


def replicates(n: int) -> Any:
    """A state of as many replicates, of few rows."""
    return sy.uncertainty.BootstrapState(n_resamples=min(n, 2**20)).update(uniform(100), first_row=0)


@row(
    "BootstrapState.update", "BootstrapState.update", "uncertainty.BootstrapState",
    call=lambda x: sy.uncertainty.BootstrapState(n_resamples=300).update(x, first_row=0),
)  # fmt: skip
def _(n: int) -> Any:
    return uniform(n // 16)


@row("BootstrapState.update: by texts", "BootstrapState.update",
     call=lambda d: sy.uncertainty.BootstrapState(n_resamples=100).update(d[0], clusters=d[1]))  # fmt: skip
def _(n: int) -> Any:
    return uniform(n // 16), texts(n // 16)


@row("BootstrapState.merge", "BootstrapState.merge", call=lambda d: d[0].merge(d[1]) + d[1])
def _(n: int) -> Any:
    return replicates(n // 16), replicates(n // 16)


@row("BootstrapState.compute", "BootstrapState.compute", call=lambda s: s.compute())
def _(n: int) -> Any:
    return replicates(n // 16)


@row("BootstrapState.to_bytes", "BootstrapState.to_bytes", call=lambda s: s.to_bytes())
def _(n: int) -> Any:
    return replicates(n // 16)


@row("BootstrapState.from_bytes", "BootstrapState.from_bytes", call=sy.uncertainty.BootstrapState.from_bytes)
def _(n: int) -> Any:
    return replicates(n // 16).to_bytes()


@row("BootstrapState.copy", "BootstrapState.copy", call=lambda s: (s.copy(), s == s.copy(), repr(s)))
def _(n: int) -> Any:
    return replicates(n // 16)


@row("QuantileState.update", "QuantileState.update", "uncertainty.QuantileState",
     call=lambda x: sy.uncertainty.QuantileState().update(x))  # fmt: skip
def _(n: int) -> Any:
    return uniform(n // 8)


def anything(n: int, seed: int = 0) -> Any:
    """A state of as many bins as there can be of so many values."""
    bits = np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64).view(np.float64)
    return sy.uncertainty.QuantileState().update(np.where(np.isfinite(bits), bits, 0.0))


@row("QuantileState.merge", "QuantileState.merge", call=lambda d: d[0].merge(d[1]) + d[1])
def _(n: int) -> Any:
    return anything(n // 8), anything(n // 8, 1)


@row("QuantileState.compute", "QuantileState.compute", call=lambda s: s.compute())
def _(n: int) -> Any:
    return anything(n // 8)


@row("QuantileState.to_bytes", "QuantileState.to_bytes", call=lambda s: s.to_bytes())
def _(n: int) -> Any:
    return anything(n // 8)


@row("QuantileState.from_bytes", "QuantileState.from_bytes", call=sy.uncertainty.QuantileState.from_bytes)
def _(n: int) -> Any:
    return anything(n // 8).to_bytes()


@row("QuantileState.copy", "QuantileState.copy", call=lambda s: (s.copy(), s == s.copy(), repr(s)))
def _(n: int) -> Any:
    return anything(n // 8)


@row("PerplexityState.merge", "PerplexityState.merge", call=lambda d: d[0].merge(d[1]))
def _(n: int) -> Any:
    return totals(n // 4), totals(n // 4, n // 8)


@row("PerplexityState.__add__", "tokens.PerplexityState", call=lambda d: d[0] + d[1])
def _(n: int) -> Any:
    return totals(n // 4), totals(n // 4, n // 8)


@row("PerplexityState.compute", "PerplexityState.compute", call=lambda s: s.compute())
def _(n: int) -> Any:
    return totals(n // 4)


@row("PerplexityState.compute: rows", "tokens.PerplexityState", call=lambda s: s.compute())
def _(n: int) -> Any:
    return sy.tokens.PerplexityState().update(uniform(n // 4).reshape(-1, 1))


@row("PerplexityState.to_bytes", "PerplexityState.to_bytes", call=lambda s: s.to_bytes())
def _(n: int) -> Any:
    return totals(n // 4)


@row("PerplexityState.from_bytes", "PerplexityState.from_bytes", call=sy.tokens.PerplexityState.from_bytes)
def _(n: int) -> Any:
    return totals(n // 4).to_bytes()


@row("PerplexityState.copy", "PerplexityState.copy", call=lambda s: (s.copy(), s == s.copy(), repr(s)))
def _(n: int) -> Any:
    return totals(n // 4)


def means(n: int, first: int = 0) -> Any:
    return sy.tokens.TokenState(("nll", "log_z")).update(scored(n), clusters=np.arange(first, first + n))


@row("TokenState.update", "tokens.TokenState", "TokenState.update",
     call=lambda d: sy.tokens.TokenState(("nll", "log_z")).update(d[0], clusters=d[1]))  # fmt: skip
def _(n: int) -> Any:
    return scored(n), spread_ids(n)


@row("TokenState.update: logits", "TokenState.update",
     call=lambda d: sy.tokens.TokenState(("nll", "entropy")).update(*d, clusters="a"))  # fmt: skip
def _(n: int) -> Any:
    rows = n // 128 + 1
    return uniform(1024 * rows, dtype=np.float32).reshape(rows, 1024), np.zeros(rows, np.int64)


@row("TokenState.update: batches", "TokenState.update", call=lambda d: sy.tokens.TokenState().update(iter(d)))
def _(n: int) -> Any:
    rows = n // 256 + 1
    logits = uniform(2048 * rows, dtype=np.float32).reshape(rows, 16, 128)
    return list(zip(logits, np.zeros((rows, 16), np.int64), range(rows), strict=True))


@row("TokenState.merge", "TokenState.merge", "TokenState.copy", call=lambda d: d[0] + d[1])
def _(n: int) -> Any:
    return means(n // 8), means(n // 8, n // 16)


@row("TokenState.compute", "TokenState.compute", call=lambda s: s.compute())
def _(n: int) -> Any:
    return means(n // 8)


@row("TokenState.to_bytes", "TokenState.to_bytes", call=lambda s: s.to_bytes())
def _(n: int) -> Any:
    return means(n // 8)


@row("TokenState.from_bytes", "TokenState.from_bytes", call=sy.tokens.TokenState.from_bytes)
def _(n: int) -> Any:
    return means(n // 8).to_bytes()


# means and proportions


@row("estimate", "estimate", "uncertainty.estimate", call=sy.estimate)
def _(n: int) -> Any:
    return uniform(4 * n, dtype=np.float32)


@row("estimate: omit", "estimate", call=lambda d: sy.estimate(d[0], where=d[1], nan_policy="omit"))
def _(n: int) -> Any:
    x = uniform(n)
    x[::7] = np.nan
    return x, uniform(n) < 0.9


@row("estimate: answers", "estimate", call=lambda d: sy.estimate(d[0], clusters=d[1]))
def _(n: int) -> Any:
    return uniform(n) < 0.5, np.arange(n) % 1000


@row("estimate: far ids", "estimate", call=lambda d: sy.estimate(d[0], clusters=d[1]))
def _(n: int) -> Any:
    return uniform(n), spread_ids(n)


@row("estimate: near ids", "estimate", call=lambda d: sy.estimate(d[0], clusters=d[1]))
def _(n: int) -> Any:
    return uniform(n), np.random.default_rng(1).integers(0, n, n)


@row("estimate: weights", "estimate", call=lambda d: sy.estimate(d[0], weights=d[1], where=d[2]))
def _(n: int) -> Any:
    return uniform(n), uniform(n, 1), uniform(n, 2) < 0.9


@row("estimate: by", "estimate", call=lambda d: sy.estimate(d[0], by=d[1], clusters=d[2], where=d[3]))
def _(n: int) -> Any:
    return uniform(n), np.random.default_rng(1).integers(0, 300, n), np.arange(n) // 3, uniform(n) < 0.9


@row("estimate: strata", "estimate", call=lambda d: sy.estimate(d[0], strata=d[1], clusters=d[2], where=d[3]))
def _(n: int) -> Any:
    return uniform(n), np.arange(n) // 30 % 300, np.arange(n) // 3, uniform(n) < 0.9


@row("estimate: texts", "estimate", call=lambda d: sy.estimate(d[0], clusters=d[1]))
def _(n: int) -> Any:
    return uniform(n), texts(n)


@row("estimate: an array of texts", "estimate", call=lambda d: sy.estimate(d[0], clusters=d[1]))
def _(n: int) -> Any:
    return uniform(n), np.array(texts(n))


@row("estimate: objects", "estimate", call=lambda d: sy.estimate(d[0], clusters=d[1]))
def _(n: int) -> Any:
    return uniform(n), np.array(texts(n), object)


@row("estimate: float ids", "estimate", call=lambda d: sy.estimate(d[0], clusters=d[1], where=d[2]))
def _(n: int) -> Any:
    return uniform(n), uniform(n, 1), uniform(n) < 0.9


@row("estimate: many columns", "estimate", call=sy.estimate)
def _(n: int) -> Any:
    return uniform(n).reshape(-1, 1000)


@row("estimate: a list", "estimate", call=sy.estimate)
def _(n: int) -> Any:
    return uniform(n).tolist()


@row("estimate: ratio", "estimate", call=lambda d: sy.estimate(d[:2], "ratio", clusters=d[2]))
def _(n: int) -> Any:
    return uniform(n), 0.5 + uniform(n, 1), spread_ids(n)


@row("estimate: correlation", "estimate", call=lambda d: sy.estimate(d[:2], "correlation", clusters=d[2]))
def _(n: int) -> Any:
    return uniform(n), uniform(n, 1), spread_ids(n)


@row("estimate: random orders", "estimate", call=lambda d: sy.estimate(d, "correlation", test="rank-permutation"))
def _(n: int) -> Any:
    n = min(n, _core.SHUFFLED_ROWS)
    return uniform(n), uniform(n, 1)


@row(
    "compare: random deals", "compare", call=lambda d: sy.compare(d[0], baseline=d[1], paired=False, test="permutation")
)
def _(n: int) -> Any:
    n = min(n, _core.SHUFFLED_ROWS) // 2
    return uniform(n), uniform(n, 1)


@row("compare: romano-wolf", "compare", call=lambda d: sy.compare(d[0], baseline=d[1], adjust="romano-wolf"))
def _(n: int) -> Any:
    return uniform(n // 20 * 20).reshape(-1, 20), uniform(n // 20, 1)


@row("bootstrap: f1", "bootstrap", call=lambda d: sy.bootstrap(d, "f1", n_resamples=199, method="percentile"))
def _(n: int) -> Any:
    return uniform(n) < 0.5, uniform(n, 1) < 0.5


@row("proportion: clopper-pearson", "proportion", call=lambda d: sy.proportion(*d, method="clopper-pearson"))
def _(n: int) -> Any:
    return np.arange(n) % 900, np.full(n, 1000)


@row("proportion: blaker", "proportion", call=lambda d: sy.proportion(*d, method="blaker", test=0.7))
def _(n: int) -> Any:
    return np.arange(n) % 900, np.full(n, 1000)


@row("proportion: samples", "proportion", call=lambda d: sy.proportion(*d, baseline=(d[0], d[1])))
def _(n: int) -> Any:
    return np.arange(n) % 900, np.full(n, 1000)


@row("proportion: pairs", "proportion", call=lambda d: sy.proportion(*d, baseline=d, both=d[0]))
def _(n: int) -> Any:
    return np.arange(n) % 900, np.full(n, 1000)


@row("proportion", "proportion", "uncertainty.proportion", "Estimate", call=lambda d: sy.proportion(*d))
def _(n: int) -> Any:
    return np.arange(n) % 900, np.full(n, 1000)


@row("compare: graded", "compare", "uncertainty.compare", call=lambda d: sy.compare(d[0], baseline=d[1]))
def _(n: int) -> Any:
    return uniform(n), uniform(n, 1)


@row("compare: answers", "compare", "uncertainty.Comparison", call=lambda d: sy.compare(d[0], baseline=d[1]))
def _(n: int) -> Any:
    return uniform(n) < 0.6, uniform(n, 1) < 0.5


@row("compare: strata", "compare", call=lambda d: sy.compare(d[0], baseline=d[1], strata=d[2], average="macro"))
def _(n: int) -> Any:
    return uniform(n), uniform(n, 1), np.random.default_rng(1).integers(0, 300, n)


@row("compare: clusters", "compare", call=lambda d: sy.compare(d[0], baseline=d[1], clusters=d[2]))
def _(n: int) -> Any:
    return uniform(n), uniform(n, 1), spread_ids(n)


@row("estimate: judge", "estimate", call=lambda d: sy.estimate(d[0], judge=d[1], clusters=d[2]))
def _(n: int) -> Any:
    return np.where(np.arange(n) % 10 < 3, uniform(n), np.nan), uniform(n, 1), spread_ids(n)


@row("estimate: judge of rows", "estimate", call=lambda d: sy.estimate(d[0], judge=d[1]))
def _(n: int) -> Any:
    return np.where(np.arange(n) % 10 < 3, uniform(n), np.nan), uniform(n, 1)


@row("compare: judge", "compare", call=lambda d: sy.compare(d[0], baseline=d[1], judge=d[2]))
def _(n: int) -> Any:
    labels = np.where(np.arange(n) % 10 < 3, uniform(n), np.nan)
    return labels, labels + uniform(n, 2), uniform(n, 1)


@row(
    "krippendorff_alpha",
    "uncertainty.krippendorff_alpha",
    call=lambda d: sy.uncertainty.krippendorff_alpha(d, metric="ordinal"),
)
def _(n: int) -> Any:
    return np.floor(5 * uniform(n // 5 * 5).reshape(-1, 5))


def battles(n: int) -> tuple[Any, Any, Any]:
    """Battles of 100 models, a quarter of them ties."""
    rng = np.random.default_rng(7)
    a, gap = rng.integers(0, 100, n), rng.integers(1, 100, n)
    return a, (a + gap) % 100, rng.choice([0.0, 0.5, 1.0, 1.0], n)


@row("ratings", "uncertainty.ratings", "uncertainty.Ratings", call=lambda d: sy.uncertainty.ratings(*d, prior=1.0))
def _(n: int) -> Any:
    return battles(n)


@row(
    "ratings: bootstrap",
    "uncertainty.ratings",
    call=lambda d: sy.uncertainty.ratings(*d[:3], ties="davidson", clusters=d[3], method="bootstrap", prior=1.0),
)
def _(n: int) -> Any:
    return *battles(n), np.arange(n) // 20


@row("compare: ranks", "compare", "uncertainty.Ranking", call=sy.compare)
def _(n: int) -> Any:
    return uniform(n // 4).reshape(-1, 50)


@row("compare: samples", "compare", call=lambda d: sy.compare(d[0], baseline=d[1], paired=False, clusters=d[2]))
def _(n: int) -> Any:
    return uniform(n), uniform(n // 2 + 1, 1), {"new": spread_ids(n)}


@row("compare: perplexity", "compare", call=lambda d: sy.compare(d[0], baseline=d[1], statistic="perplexity"))
def _(n: int) -> Any:
    return uniform(n // 2).reshape(-1, 10), uniform(n // 2, 1).reshape(-1, 10)


@row("bootstrap", "bootstrap", "uncertainty.bootstrap", "uncertainty.BootstrapEstimate", call=sy.bootstrap)
def _(n: int) -> Any:
    return uniform(n)


@row(
    "bootstrap: many columns",
    "bootstrap",
    call=lambda d: sy.bootstrap(d, n_resamples=199, method="percentile"),
)
def _(n: int) -> Any:
    return uniform(4 * n).reshape(n, 4)


@row(
    "_core.bootstrap_each",
    call=lambda d: _core.bootstrap_each(
        d, "mean", method="basic", n_resamples=199, seed=0, confidence_level=0.5, alternative="less"
    ),
)
def _(n: int) -> Any:
    return [uniform(n), uniform(n)]


@row(
    "bootstrap: clusters",
    "bootstrap",
    call=lambda d: sy.bootstrap(d[0], clusters=d[1], n_resamples=199, method="percentile"),
)
def _(n: int) -> Any:
    return uniform(n), spread_ids(n)


@row(
    "bootstrap: nested clusters",
    "bootstrap",
    call=lambda d: sy.bootstrap(d[0], clusters=d[1:], n_resamples=199, method="percentile"),
)
def _(n: int) -> Any:
    return uniform(n), np.arange(n) // 100, np.arange(n) // 5


@row(
    "bootstrap: crossed clusters",
    "bootstrap",
    call=lambda d: sy.bootstrap(d[0], clusters=d[1], n_resamples=199, method="percentile"),
)
def _(n: int) -> Any:
    return uniform(n), {"item": np.arange(n) // 100, "judge": np.arange(n) % 100}


@row("estimate: crossed clusters", "estimate", call=lambda d: sy.estimate(d[0], clusters=d[1]))
def _(n: int) -> Any:
    return uniform(n), {"item": np.arange(n) // 100, "judge": np.arange(n) % 100}


@row(
    "bootstrap: strata",
    "bootstrap",
    call=lambda d: sy.bootstrap(d[0], strata=d[1], n_resamples=199, method="percentile"),
)
def _(n: int) -> Any:
    return uniform(n), np.arange(n) % 50


@row(
    "bootstrap: blocks",
    "bootstrap",
    call=lambda d: sy.bootstrap(d, blocks="moving", n_resamples=199, method="percentile"),
)
def _(n: int) -> Any:
    return np.repeat(uniform(n // 4), 4)


@row(
    "bootstrap: balanced",
    "bootstrap",
    call=lambda d: sy.bootstrap(d, sampling="balanced", n_resamples=199, method="percentile"),
)
def _(n: int) -> Any:
    return uniform(min(n, 100_000))


@row("bootstrap: smoothed", "bootstrap", call=lambda d: sy.bootstrap(d, "median", sampling="smoothed", n_resamples=199))
def _(n: int) -> Any:
    return uniform(min(n, 100_000))


@row("bootstrap: double", "bootstrap", call=lambda d: sy.bootstrap(d, method="double", n_resamples=199))
def _(n: int) -> Any:
    return uniform(n // 100 + 2)


@row("bootstrap: abc", "bootstrap", call=lambda d: sy.bootstrap(d, "std", method="abc"))
def _(n: int) -> Any:
    return uniform(n)


@row("bootstrap: ratio", "bootstrap", call=lambda d: sy.bootstrap(d, "ratio", n_resamples=199, method="percentile"))
def _(n: int) -> Any:
    return uniform(n), 0.5 + uniform(n, 1)


@row("bootstrap: median", "bootstrap", call=lambda d: sy.bootstrap(d, "median", n_resamples=199, method="percentile"))
def _(n: int) -> Any:
    return uniform(n)


@row("bootstrap: function", "bootstrap", call=lambda d: sy.bootstrap(d, np.mean, n_resamples=199, method="percentile"))
def _(n: int) -> Any:
    return uniform(n)


@row(
    "bootstrap: as in SciPy",
    "uncertainty.scipy_bootstrap",
    call=lambda d: sy.uncertainty.scipy_bootstrap((d,), np.mean, n_resamples=199, method="percentile", rng=0),
)
def _(n: int) -> Any:
    return uniform(n)


@row("bootstrap: ideal", "bootstrap", call=lambda d: sy.bootstrap(d, n_resamples=float("inf")))
def _(n: int) -> Any:
    return uniform(n)


@row("bootstrap: many replicates", "bootstrap", call=lambda d: sy.bootstrap(d[0], n_resamples=d[1]))
def _(n: int) -> Any:
    return np.arange(9.0) ** 2, n


# calibration


@row(
    "reliability",
    "reliability",
    "calibration.reliability",
    "calibration.Reliability",
    call=lambda d: sy.reliability(*d),
)
def _(n: int) -> Any:
    p = uniform(n)
    return p, uniform(n, 1) < p


@row("reliability: classes", "calibration.ReliabilityState", call=lambda d: sy.reliability(*d[:2], classes=d[2]))
def _(n: int) -> Any:
    p = np.full((n, 3), 1 / 3)
    return p, np.array(["a", "b", "c"])[np.arange(n) % 3], np.array(["a", "b", "c"])


@row("ReliabilityState.update", "ReliabilityState.update", call=lambda d: sy.calibration.ReliabilityState().update(*d))
def _(n: int) -> Any:
    p = uniform(n, dtype=np.float32)
    return p, uniform(n, 1) < p


@row("reliability: clusters", "reliability", call=lambda d: sy.reliability(d[0], d[1], clusters=d[2]))
def _(n: int) -> Any:
    p = uniform(n)
    return p, uniform(n, 1) < p, spread_ids(n)


@row("reliability: texts", "reliability", call=lambda d: sy.reliability(d[0], d[1], clusters=d[2]))
def _(n: int) -> Any:
    p = uniform(n // 2)
    return p, uniform(n // 2, 1) < p, texts(n // 2)


@row("reliability: weights", "reliability", call=lambda d: sy.reliability(d[0], d[1], weights=d[2]))
def _(n: int) -> Any:
    p = uniform(n // 2)
    return p, uniform(n // 2, 1) < p, uniform(n // 2, 2) + 0.5


@row(
    "reliability: clusters and weights",
    "reliability",
    call=lambda d: sy.reliability(d[0], d[1], clusters=d[2], weights=d[3]),
)
def _(n: int) -> Any:
    p = uniform(n // 2)
    return p, uniform(n // 2, 1) < p, spread_ids(n // 2), uniform(n // 2, 2) + 0.5


@row("reliability: many bins", "reliability", call=lambda d: sy.reliability(d[0], d[1], clusters=d[2], n_bins=1000))
def _(n: int) -> Any:
    p = uniform(n)
    return p, uniform(n, 1) < p, np.arange(n) % 500


def documents(n: int) -> Any:
    p = uniform(n)
    return sy.calibration.ReliabilityState().update(p, uniform(n, 1) < p, clusters=np.arange(n) // 2)


@row("ReliabilityState.merge: clusters", "ReliabilityState.merge", call=lambda s: s + s)
def _(n: int) -> Any:
    return documents(n)


@row("ReliabilityState.compute: clusters", "ReliabilityState.compute", call=lambda s: s.compute())
def _(n: int) -> Any:
    return documents(n)


@row("ReliabilityState bytes: clusters", "ReliabilityState.to_bytes", "ReliabilityState.from_bytes",
     call=lambda s: sy.calibration.ReliabilityState.from_bytes(s.to_bytes()))  # fmt: skip
def _(n: int) -> Any:
    return documents(n)


def bins(n: int) -> Any:
    p = uniform(n)
    return sy.calibration.ReliabilityState(10_000).update(p, uniform(n, 1) < p)


@row("ReliabilityState.merge", "ReliabilityState.merge", "ReliabilityState.copy", call=lambda s: s + s)
def _(n: int) -> Any:
    return bins(n)


@row("ReliabilityState.compute", "ReliabilityState.compute", call=lambda s: s.compute())
def _(n: int) -> Any:
    return bins(n)


@row("ReliabilityState bytes", "ReliabilityState.to_bytes", "ReliabilityState.from_bytes",
     call=lambda s: sy.calibration.ReliabilityState.from_bytes(s.to_bytes()))  # fmt: skip
def _(n: int) -> Any:
    return bins(n)


# optim, where nothing is written


@row("global_norm", "global_norm", "optim.global_norm", call=sy.global_norm)
def _(n: int) -> Any:
    return [np.zeros(40 * n, np.float32)]


@row("global_norm: any order", "global_norm", call=lambda d: sy.global_norm(d, 3.0))
def _(n: int) -> Any:
    return np.ones(10 * n, np.float32)


@row("global_norm: not finite", "global_norm", call=lambda d: sy.global_norm(d, nonfinite="propagate"))
def _(n: int) -> Any:
    x = np.zeros(40 * n, np.float32)
    x[-1] = np.nan
    return [x]


@row("global_norm: many arrays", "global_norm", call=sy.global_norm)
def _(n: int) -> Any:
    return {f"layer {i}": np.ones(10) for i in range(n // 20)}


@row(
    "GlobalNormState.update",
    "optim.GlobalNormState",
    "GlobalNormState.update",
    call=lambda d: sy.optim.GlobalNormState().update(d),
)
def _(n: int) -> Any:
    return [np.zeros(40 * n, np.float32)]


def _norm_of(state: Any) -> object:
    again = sy.optim.GlobalNormState.from_bytes((state + state).to_bytes())
    return again.merge(state).copy().compute()


@row("GlobalNormState", "GlobalNormState.merge", "GlobalNormState.copy", "GlobalNormState.compute",
     "GlobalNormState.to_bytes", "GlobalNormState.from_bytes", call=_norm_of)  # fmt: skip
def _(n: int) -> Any:
    return sy.optim.GlobalNormState().update([uniform(n)])


@row(
    "schedules",
    *(f"schedules.{name}" for name in sy.schedules.__all__),
    call=lambda d: d[0](d[1]),
)
def _(n: int) -> Any:
    return sy.schedules.cosine(1.0, total_steps=n), np.arange(n)


# preferences


@row("preference_loss", "preference_loss", "preference.preference_loss", call=lambda d: sy.preference_loss(*d))
def _(n: int) -> Any:
    return [-uniform(n, i) for i in range(4)]


@row("preference_loss: a convention", "preference_loss",
     call=lambda d: sy.preference_loss(*d[:2], loss="simpo", convention="trl", lengths=d[2:]))  # fmt: skip
def _(n: int) -> Any:
    return -uniform(n, 0), -uniform(n, 1), np.full(n, 7.0), np.full(n, 5.0)


@row("preference.agreement", "preference.agreement", call=lambda d: sy.preference.agreement(*d[:2], clusters=d[2]))
def _(n: int) -> Any:
    return uniform(n, 0) - 0.5, uniform(n, 1) - 0.5, spread_ids(n)


@row("preference.length_controlled_accuracy", "preference.length_controlled_accuracy",
     call=lambda d: sy.preference.length_controlled_accuracy(d[0], d[1:]))  # fmt: skip
def _(n: int) -> Any:
    return uniform(n, 0) - 0.5, np.arange(n) % 7, np.arange(n) % 5


def _pairs_of(d: Any) -> Any:
    state = sy.preference.PreferenceState().update(*d[0], clusters=d[1])
    merged = state.copy().merge(state)
    merged.compute()
    return sy.preference.PreferenceState.from_bytes(merged.to_bytes())


@row("PreferenceState", "preference.PreferenceState", "PreferenceState.update", "PreferenceState.merge",
     "PreferenceState.copy", "PreferenceState.compute", "PreferenceState.to_bytes", "PreferenceState.from_bytes",
     call=_pairs_of)  # fmt: skip
def _(n: int) -> Any:
    return [-uniform(n, i) for i in range(4)], spread_ids(n)


def _paired_of(d: Any) -> Any:
    state = sy.uncertainty.CompareState().update(d[0], d[1], clusters=d[2])
    merged = state.copy().merge(state)
    merged.compute()
    return sy.uncertainty.CompareState.from_bytes(merged.to_bytes())


@row("CompareState", "uncertainty.CompareState", "CompareState.update", "CompareState.merge", "CompareState.copy",
     "CompareState.compute", "CompareState.to_bytes", "CompareState.from_bytes", call=_paired_of)  # fmt: skip
def _(n: int) -> Any:
    return uniform(n), uniform(n, 1), spread_ids(n)


@row("preference.kl", "preference.kl", call=lambda d: sy.preference.kl(*d))
def _(n: int) -> Any:
    return [-uniform(n, i) for i in range(2)]


@row("preference.audit", "preference.audit", "preference.Audit", call=lambda d: sy.preference.audit(
    policy_chosen=d[0], policy_rejected=d[1], reference_chosen=d[2], reference_rejected=d[3], clusters=d[4],
))  # fmt: skip
def _(n: int) -> Any:
    return [*(-uniform(n // 10, i) for i in range(4)), spread_ids(n // 10)]


@row("preference.unpaired_loss", "preference.unpaired_loss",
     call=lambda d: sy.preference.unpaired_loss(*d[:3], kl=d[3]))  # fmt: skip
def _(n: int) -> Any:
    return -uniform(n, 0), -uniform(n, 1), np.arange(n) % 3 == 0, uniform(n, 2)


@row("preference.unpaired_loss: sorted", "preference.unpaired_loss",
     call=lambda d: sy.preference.unpaired_loss(*d, loss="aot_unpaired"))  # fmt: skip
def _(n: int) -> Any:
    return -uniform(n, 0), -uniform(n, 1), np.arange(n) % 3 == 0


@row("UnpairedLoss: means", "preference.UnpairedLoss", call=lambda s: repr(replace(s)))
def _(n: int) -> Any:
    return sy.preference.unpaired_loss(-uniform(n, 0), -uniform(n, 1), np.arange(n) % 3 == 0, loss="bco")


@row("preference.ranked_loss", "preference.ranked_loss",
     call=lambda d: sy.preference.ranked_loss(d[0], labels=d[1], clusters=d[2]))  # fmt: skip
def _(n: int) -> Any:
    return uniform(n - n % 4, 0).reshape(-1, 4), np.tile(np.arange(4), (n // 4, 1)), spread_ids(n // 4)


@row("preference.ranked_loss: pairs", "preference.ranked_loss",
     call=lambda d: sy.preference.ranked_loss(d[0], labels=d[1], loss="lipo"))  # fmt: skip
def _(n: int) -> Any:
    return uniform(n - n % 4, 0).reshape(-1, 4), np.tile(np.arange(4), (n // 4, 1))


@row("preference.ranked_loss: one wide row", "preference.ranked_loss",
     call=lambda d: sy.preference.ranked_loss(d[0], labels=d[1], loss="lipo"))  # fmt: skip
def _(n: int) -> Any:
    k = max(n // 100, 4)
    return uniform(k, 0)[None], np.arange(k)[None] % 7


@row("RankedLoss: means", "preference.RankedLoss", call=lambda s: repr(replace(s)))
def _(n: int) -> Any:
    return sy.preference.ranked_loss(uniform(n - n % 4, 0).reshape(-1, 4), labels=np.tile(np.arange(4), (n // 4, 1)))


@row("preference.reward_loss", "preference.reward_loss",
     call=lambda d: sy.preference.reward_loss(d[0], d[1], margin=d[2], center=0.01))  # fmt: skip
def _(n: int) -> Any:
    return [uniform(n, i) for i in range(3)]


@row("RewardLoss: means", "preference.RewardLoss", call=lambda s: repr(replace(s)))
def _(n: int) -> Any:
    return sy.preference.reward_loss(uniform(n, 0), uniform(n, 1))


@row("preference.policy_loss", "preference.policy_loss",
     call=lambda d: sy.preference.policy_loss(*d, loss="gspo", clusters=np.arange(len(d[2])) // 4))  # fmt: skip
def _(n: int) -> Any:
    return *[-uniform(n - n % 8, i).reshape(-1, 8) for i in range(2)], uniform(n // 8, 2)


@row("PolicyLoss: means", "preference.PolicyLoss", call=lambda s: repr(replace(s)))
def _(n: int) -> Any:
    columns = [-uniform(n - n % 8, i).reshape(-1, 8) for i in range(2)]
    return sy.preference.policy_loss(*columns, uniform(n // 8, 2))


@row("preference.advantages", "preference.advantages",
     call=lambda d: sy.preference.advantages(d[0], groups=d[1], normalise="batch"))  # fmt: skip
def _(n: int) -> Any:
    return uniform(n), np.arange(n) // 8


@row("preference.advantages: tokens", "preference.Advantages",
     call=lambda d: sy.preference.advantages(d[0], method="gae", values=d[1]).to_dict())  # fmt: skip
def _(n: int) -> Any:
    return [uniform(n - n % 8, i).reshape(-1, 8) for i in range(2)]


@row("preference.penalised_reward", "preference.penalised_reward",
     call=lambda d: sy.preference.penalised_reward(*d, kl_weight=0.1, estimator="k3"))  # fmt: skip
def _(n: int) -> Any:
    return [-uniform(n - n % 8, i).reshape(-1, 8) for i in range(3)]


@row("preference_loss: a sweep", "preference_loss", call=lambda d: sy.preference_loss(*d, beta=[0.1, 0.2, 0.3, 0.4]))
def _(n: int) -> Any:
    return [-uniform(n, i) for i in range(4)]


@row("preference_loss: columns of a sweep", "preference_loss",
     call=lambda d: sy.preference_loss(*d, beta=[0.1, 0.2], loss={"dpo": 0.8, "bco_pair": 0.2}, columns=True))  # fmt: skip
def _(n: int) -> Any:
    return [-uniform(n, i) for i in range(4)]


@row("preference_loss: ranks", "preference_loss", call=lambda d: sy.preference_loss(*d, loss="aot"))
def _(n: int) -> Any:
    return [-uniform(n, i) for i in range(4)]


@row("preference_loss: weights", "preference_loss",
     call=lambda d: sy.preference_loss(*d[:4], margin=d[4], weights=d[5], dtype="float32"))  # fmt: skip
def _(n: int) -> Any:
    return *(-uniform(n, i) for i in range(4)), uniform(n, 4), uniform(n, 5)


@row(
    "preference_loss: scores", "preference_loss", call=lambda d: sy.preference_loss(*d[:2], loss="orpo", lengths=d[2:])
)
def _(n: int) -> Any:
    return -uniform(n, 0), -uniform(n, 1), np.full(n, 7.0), np.full(n, 5.0)


@row("preference_loss: omit", "preference_loss",
     call=lambda d: sy.preference_loss(*d[0], clusters=d[1], nan_policy="omit"))  # fmt: skip
def _(n: int) -> Any:
    columns = [-uniform(n, i) for i in range(4)]
    columns[2][::7] = np.nan
    return columns, spread_ids(n)


@row("PreferenceLoss: means", "preference.PreferenceLoss", call=lambda s: repr(replace(s)))
def _(n: int) -> Any:
    return sy.preference_loss(*[-uniform(n, i) for i in range(4)])


# the core's functions of arrays, which the rooms share


def of_numbers(name: str, *columns: Callable[[int], Any]) -> None:
    function = getattr(_core, name)
    row(f"_core.{name}", call=lambda d: function(*d))(lambda n: [column(n) for column in columns])


def _whole(n: int) -> Any:
    return np.full(n, 3.5)


for _name in (
    "math_exp", "math_expm1", "math_log", "math_log1p", "math_cos", "math_erfc", "math_lgamma", "normal_pdf", "normal_cdf",
    "normal_sf", "normal_quantile",
):  # fmt: skip
    of_numbers(_name, uniform)
of_numbers("math_exp32", lambda n: uniform(4 * n, dtype=np.float32))
for _name in ("t_cdf", "t_sf", "t_quantile"):
    of_numbers(_name, uniform, _whole)
for _name in ("beta_cdf", "beta_sf", "beta_quantile", "beta_isf"):
    of_numbers(_name, _whole, _whole, uniform)
of_numbers("noncentral_t_sf", *(lambda n, of=of: of(n // 20) for of in (uniform, _whole, uniform)))
row("_core.adjusted", call=lambda p: _core.adjusted(p, method="by"))(uniform)


@row("adjust", "uncertainty.adjust", call=lambda p: sy.uncertainty.adjust(p, "hochberg"))
def _(n: int) -> Any:
    return uniform(n)


@row(
    "power", "uncertainty.power", "uncertainty.PowerAnalysis",
    call=lambda n: sy.uncertainty.power(n, 0.05, discordance=0.2),
)  # fmt: skip
def _(n: int) -> Any:
    return np.arange(1, n // 500 + 2)


@row("power: scores", "uncertainty.power", call=lambda n: sy.uncertainty.power(n, 0.05, sd=0.5))
def _(n: int) -> Any:
    return np.arange(1, n // 20 + 2)


@row("sample_size", "uncertainty.sample_size", call=lambda d: sy.uncertainty.sample_size(d, discordance=0.2))
def _(n: int) -> Any:
    return np.linspace(0.03, 0.1, n // 20_000 + 1)


@row(
    "minimum_detectable", "uncertainty.minimum_detectable",
    call=lambda n: sy.uncertainty.minimum_detectable(n, baseline=0.5, paired=False),
)  # fmt: skip
def _(n: int) -> Any:
    return np.arange(20, n // 10_000 + 21)


def _counts(most: int) -> Callable[[int], Any]:
    return lambda n: np.minimum(np.arange(n, dtype=np.uint64) % np.uint64(9), np.uint64(most))


def _nines(n: int) -> Any:
    return np.full(n, 9, np.uint64)


row("_core.pass_at", call=lambda d: _core.pass_at(*d, k=3))(lambda n: [_counts(9)(n), _nines(n)])
row("_core.majority_at", call=lambda d: _core.majority_at(d[0], d[1], wrong=d[2], ends=d[3], k=3))(
    lambda n: [_counts(5)(n), _nines(n), _counts(2)(n), np.arange(1, n + 1, dtype=np.uint64)]
)
of_numbers("resampling_counts", lambda n: n, lambda n: 0, lambda n: 0)
row("_core.near_codes", call=_core.near_codes)(lambda n: np.arange(n) * 3)
row("_core.resampled_counts", call=lambda n: _core.resampled_counts(n, seed=0, first=0, count=9))(lambda n: n)
row("_core.left_out_parts", call=_core.left_out_parts)(lambda n: n)
row("_core.smoothing_noise", call=lambda n: _core.smoothing_noise(n, seed=0, first=0, count=9))(lambda n: n)
row("_core.bandwidth", call=_core.bandwidth)(uniform)
row("_core.resampled_rows", call=lambda n: _core.resampled_rows(n, seed=0, first=0, count=9))(lambda n: n)


@row(
    "_core.replicates_interval",
    call=lambda x: _core.replicates_interval(
        x,
        value=0.5,
        left_out=x[:500],
        units=len(x),
        rounding=1e-12,
        method="bca",
        confidence_level=0.9,
        alternative="two-sided",
    ),
)
def _(n: int) -> Any:
    return uniform(n)


# sign flips, in each of their three ways


def sign_flips(way: str, values: Callable[[int], Any]) -> None:
    row(f"sign flips: {way}", call=lambda d: _core.sign_flip(d, alternative="two-sided"))(values)


def signed(n: int, sizes: Any) -> Any:
    """Values of these sizes, one after the other, of either sign."""
    return np.resize(sizes, n) * np.where(uniform(n, 4) < 0.501, 1.0, -1.0)


def counted(n: int) -> Any:
    """Values of which few patterns reach the observed sum, while 2^15 sums of a half are merged again for each large one.

    As long as wished, unlike 40 values, which a processor may count between two looks for an interrupt.
    """
    small, large = uniform(30, 5), 100 + 1e-5 * uniform(min(max(n // 5_000, 1), 1000), 6)
    small[np.argmin(small)] *= -1
    large[np.argmin(large)] *= -1
    return np.r_[small, large]


sign_flips("counted", counted)
sign_flips("of whole numbers", lambda n: signed(4 * n, np.arange(1.0, 10_001.0)))
sign_flips("of four sizes", lambda n: signed(n, np.sqrt([2.0, 3.0, 5.0, 7.0])))
