"""BLEU and chrF from the counts of sentences: shapes of the input, smoothing, designs, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard.reference import sums as reference
from steelyard.uncertainty._statistics import column_names

from .cases.uncertainty_bootstrap import corpus_counts

CORPUS = ("bleu", "chrf", "chrf++")
every = pytest.mark.parametrize("statistic", CORPUS)


def table(statistic: str, n: int = 60) -> np.ndarray:
    return np.stack(corpus_counts(statistic, n), axis=1)


@every
def test_a_table_is_the_tuple_of_its_columns(statistic: str) -> None:
    counts = table(statistic)
    want = sy.estimate(tuple(counts.T), statistic)  # type: ignore[call-overload]
    frame = {f"c{i}": column for i, column in enumerate(counts.T)}
    for x in (counts, counts.astype(np.int64), counts.astype(np.int32).tolist(), np.asfortranarray(counts), frame):
        got = sy.estimate(x, statistic)  # type: ignore[call-overload]
        assert (got.value, got.low, got.high) == (want.value, want.low, want.high)
    boot = sy.bootstrap(counts, statistic, n_resamples=99, method="percentile")  # type: ignore[arg-type]
    np.testing.assert_array_equal(
        boot.replicates,
        sy.bootstrap(tuple(counts.T), statistic, n_resamples=99, method="percentile").replicates,  # type: ignore[arg-type]
    )


@every
def test_a_replicate_is_the_score_of_the_sentences_drawn(statistic: str) -> None:
    counts = table(statistic, 40)
    boot = sy.bootstrap(counts, statistic, n_resamples=99, seed=4, method="percentile")  # type: ignore[arg-type]
    for r in range(99):
        drawn = _core.resampling_counts(40, 4, r).astype(np.float64)
        want = reference.STATISTICS[statistic](*counts.T, drawn)
        assert boot.replicates[r] == pytest.approx(float(want), rel=1e-13)  # type: ignore[index]


def test_orders_without_a_match_are_smoothed() -> None:
    """As in mteval-v13a: the first has the precision 1/(2 total), the second 1/(4 total)."""
    counts = np.array([[5, 5, 4, 1, 0, 0, 5, 4, 3, 2], [6, 6, 3, 1, 0, 0, 6, 5, 4, 3]])
    total = counts.sum(axis=0)
    precisions = [total[2] / total[6], total[3] / total[7], 1 / (2 * total[8]), 1 / (4 * total[9])]
    got = sy.estimate(counts, "bleu")  # type: ignore[call-overload]
    assert got.value == pytest.approx(100 * float(np.prod(precisions)) ** 0.25, rel=1e-13)
    assert 0 < got.low < got.value < got.high < 100  # type: ignore[operator]


def test_a_short_system_is_penalised() -> None:
    counts = table("bleu", 30)
    counts[:, 1] = counts[:, 0] + 3
    system, ref = counts[:, 0].sum(), counts[:, 1].sum()
    longer = counts.copy()
    longer[:, 1] = 1
    ratio = sy.estimate(counts, "bleu").value / sy.estimate(longer, "bleu").value  # type: ignore[call-overload]
    assert ratio == pytest.approx(np.exp(1 - ref / system), rel=1e-13)


@every
def test_perfect_and_hopeless_systems_are_not_certain(statistic: str) -> None:
    counts = table(statistic)
    names = column_names(statistic)
    perfect, hopeless = counts.copy(), counts.copy()
    for i, name in enumerate(names):
        kind, order = name.split("_", 1) if "_" in name else (name, "")
        of = names.index(f"total_{order}") if f"total_{order}" in names else i - i % 3
        if kind == "matches":
            perfect[:, i], hopeless[:, i] = counts[:, of], 0
        elif kind == "reference":
            perfect[:, i] = counts[:, 0 if statistic == "bleu" else of]
    for counts, value in ((perfect, 100), (hopeless, 0)):
        got = sy.estimate(counts, statistic)  # type: ignore[call-overload]
        assert got.value == pytest.approx(value, abs=1e-12)
        assert 0 <= got.low <= got.high <= 100  # type: ignore[operator]
        assert got.high - got.low > 2  # type: ignore[operator]
        with pytest.raises(ValueError, match=r"^x: expected rows that add different parts"):
            sy.bootstrap(counts, statistic)  # type: ignore[arg-type]


@every
def test_documents_may_be_clusters_and_languages_strata_or_groups(statistic: str) -> None:
    counts = table(statistic, 120)
    documents, languages = np.arange(120) // 6, np.arange(120) // 60
    clustered = sy.bootstrap(counts, statistic, clusters=documents, n_resamples=999)  # type: ignore[arg-type]
    assert clustered.n_clusters == 20
    by = sy.estimate(counts, statistic, by=languages)  # type: ignore[call-overload]
    macro = sy.estimate(counts, statistic, strata=languages, average="macro")  # type: ignore[call-overload]
    assert macro.value == pytest.approx(by.value.mean(), rel=1e-13)


REFUSED: list[tuple[str, Any, str]] = [
    ("bleu", np.ones((5, 9)), r"^x: expected counts \[n, 10\] for statistic='bleu', .*BLEU\(\).*; got 9 columns"),
    ("chrf", np.ones((5, 24)), r"^x: expected counts \[n, 18\] .*CHRF\(\) makes them; got 24 columns"),
    ("chrf++", np.ones(5), r"^x: expected counts \[n, 24\] .*; got float64 array of shape \(5,\)"),
    ("bleu", (np.ones(5),) * 9, r"^x: expected a tuple of 10 columns \(system, reference, matches_1, "),
    ("bleu", -np.ones((5, 10)), r"^x\[:, 0\]: expected values of at least 0 for statistic='bleu'"),
    ("bleu", np.zeros((5, 10)), r"^x: expected a reference that is not empty, which the bleu needs"),
    (
        "bleu", np.tile(np.arange(10.0)[::-1], (5, 1)),
        r"^x\[:, 2\]: expected at most as many matches as n-grams in x\[:, 6\] \(the columns are system, .*; got more at",
    ),
    ("chrf", np.tile(np.arange(18.0), (5, 1)), r"^x\[:, 2\]: expected at most as many matches as n-grams in x\[:, 0\]"),
]  # fmt: skip


@pytest.mark.parametrize(("statistic", "x", "message"), REFUSED)
def test_what_is_refused(statistic: Any, x: Any, message: str) -> None:
    for call in (sy.estimate, sy.bootstrap):
        with pytest.raises((ValueError, TypeError), match=message):
            call(x, statistic)
