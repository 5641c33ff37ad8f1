"""A small table with every kind of column, and what the calls on its arrays say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import steelyard as sy
from steelyard.uncertainty import BootstrapState, CompareState, EstimateState

N = 3000
PARTITIONS = (1, 2, 7, 64)
PAIRS = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")


def table() -> pd.DataFrame:
    """Scores, 0/1 answers, probabilities and NLL with documents, languages and a mask."""
    rng = np.random.default_rng(17)
    return pd.DataFrame({
        "score": rng.normal(0.5, 0.2, N),
        "before": rng.normal(0.45, 0.2, N),
        "right": rng.integers(0, 2, N),
        "wrong": rng.integers(0, 2, N),
        "p": rng.uniform(size=N).astype(np.float32),
        "nll": rng.exponential(size=N),
        **{name: -rng.exponential(size=N) for name in PAIRS},
        "bytes": rng.integers(1, 9, N),
        "doc": [f"document {i}" for i in rng.integers(0, 120, N)],
        "user": rng.integers(0, 40, N),
        "lang": [("de", "en", "fr")[i] for i in rng.integers(0, 3, N)],
        "counted": rng.random(N) < 0.9,
        "site": (sites := rng.integers(0, 90, N)),
        "land": [("north", "south")[i % 2] for i in sites],
    })  # fmt: skip


TABLE = table()
SHUFFLED = TABLE.sample(frac=1, random_state=3).reset_index(drop=True)

# By the name of a call: the function of an engine, its arguments, and the answer for the arrays of the whole table.
CALLS: dict[str, tuple[str, tuple[str, ...], dict[str, Any], Any]] = {
    "clustered mean": (
        "estimate", ("score",), {"clusters": "doc", "where": "counted"},
        EstimateState().update(TABLE.score, clusters=TABLE.doc, where=TABLE.counted).compute(),
    ),
    "shares by group": (
        "estimate", ("right",), {"by": "lang", "where": "counted"},
        sy.estimate(TABLE.right, by=TABLE.lang, where=TABLE.counted),
    ),
    "weighted mean in strata": (
        "estimate", ("right",),
        {"clusters": "site", "weights": "bytes", "strata": "land", "average": "macro", "where": "counted"},
        EstimateState(average="macro").update(
            TABLE.right, clusters=TABLE.site, weights=TABLE["bytes"], strata=TABLE.land, where=TABLE.counted
        ).compute(),
    ),
    "slope with weights": (
        "estimate", (("score", "before"),), {"statistic": "slope", "clusters": "doc", "weights": "p"},
        EstimateState("slope").update((TABLE.score, TABLE.before), clusters=TABLE.doc, weights=TABLE.p).compute(),
    ),
    "ratio": (
        "estimate", (("nll", "p"),), {"statistic": "ratio", "clusters": "doc", "where": "counted"},
        EstimateState("ratio").update((TABLE.nll, TABLE.p), clusters=TABLE.doc, where=TABLE.counted).compute(),
    ),
    "bootstrap": (
        "bootstrap", (("score", "before"),), {"statistic": "correlation", "clusters": "doc", "n_resamples": 200, "seed": 5},
        BootstrapState("correlation", n_resamples=200, seed=5).update(
            (TABLE.score, TABLE.before), clusters=TABLE.doc
        ).compute(),
    ),
    "perplexity": (
        "perplexity", ("nll",), {"clusters": "doc", "per": "bytes", "unit": "bits"},
        sy.perplexity(TABLE.nll, clusters=TABLE.doc, per=TABLE["bytes"], unit="bits"),
    ),
    "perplexity by group": (
        "perplexity", ("nll",), {"clusters": "user", "by": "lang"},
        sy.perplexity(TABLE.nll, clusters=TABLE.user, by=TABLE.lang),
    ),
    "comparison": (
        "compare", ("right", "wrong"), {"where": "counted", "by": "lang"},
        sy.compare(TABLE.right, baseline=TABLE.wrong, where=TABLE.counted, by=TABLE.lang),
    ),
    "graded comparison": (
        "compare", ("score", "before"), {"clusters": "doc"},
        CompareState().update(TABLE.score, TABLE.before, clusters=TABLE.doc).compute(),
    ),
    "reliability": (
        "reliability", ("p", "right"), {"clusters": "user", "n_bins": 10},
        sy.reliability(TABLE.p, TABLE.right, clusters=TABLE.user, n_bins=10),
    ),
    "reliability by group": (
        "reliability", ("p", "right"), {"by": "lang", "where": "counted"},
        sy.reliability(TABLE.p, TABLE.right, by=TABLE.lang, where=TABLE.counted),
    ),
}  # fmt: skip
