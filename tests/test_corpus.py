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


# -- comparisons ------------------------------------------------------------------------------------------


def systems(n: int, seed: int, better: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The counts of BLEU of two systems on the same sentences, each of which is about as hard for both."""
    rng = np.random.default_rng(seed)
    lengths, hard = rng.integers(8, 40, n), rng.uniform(0.3, 0.8, n)
    totals = [lengths - k for k in range(4)]
    sides = []
    for more in (better, 0.0):
        share = np.clip(hard + rng.normal(more, 0.08, n), 0.05, 0.95)
        matches = [rng.binomial(total, share ** (k + 1)) for k, total in enumerate(totals)]
        sides.append(np.stack([lengths, lengths + 1, *matches, *totals], axis=1))
    return sides[0], sides[1]


def replicates(counts: np.ndarray, **how: Any) -> Any:
    return sy.bootstrap(counts, "bleu", method="percentile", n_resamples=9999, **how).replicates


@pytest.mark.parametrize("how", [{}, {"clusters": np.arange(60) // 3}, {"strata": np.arange(60) // 30}])
def test_a_comparison_has_the_resamples_of_both(how: dict[str, Any]) -> None:
    """To the bit the difference of two bootstraps with one seed; p is the share of those as far from their centre."""
    new, base = systems(60, 1, 0.02)
    diff = sy.compare(new, baseline=base, statistic="bleu", **how)
    value = sy.estimate(new, "bleu").value - sy.estimate(base, "bleu").value  # type: ignore[call-overload]
    assert diff.difference.value == pytest.approx(value, abs=1e-12)
    away = replicates(new, **how) - replicates(base, **how) - diff.difference.value
    for alternative, far in (
        ("two-sided", abs(away) >= abs(value)), ("greater", away >= value), ("less", away <= value)
    ):  # fmt: skip
        one = sy.compare(new, baseline=base, statistic="bleu", alternative=alternative, **how)  # type: ignore[arg-type]
        assert one.p_value == (1 + np.count_nonzero(far)) / 10_000
    # The error of the difference, not that of two systems apart.
    apart = np.hypot(replicates(new, **how).std(), replicates(base, **how).std())
    assert diff.difference.standard_error == pytest.approx(away.std(), rel=0.1)
    assert away.std() < 0.8 * apart


def test_the_difference_of_two_means_is_that_of_the_plain_comparison() -> None:
    """Of a statistic that is a mean of the rows, with the same denominators on both sides."""
    t = (np.arange(200) % 3 > 0).astype(float)
    p, q = (np.where(np.arange(200) % k > 0, t, 1 - t) for k in (7, 4))
    got = sy.compare((p, t), baseline=(q, t), statistic="brier")
    want = sy.compare((p - t) ** 2, baseline=(q - t) ** 2, clusters=np.arange(200))
    for field in ("value", "standard_error", "low", "high"):
        assert getattr(got.difference, field) == pytest.approx(getattr(want.difference, field), rel=1e-9)
    assert not got.higher_is_better
    assert got.verdict() == sy.compare(-((p - t) ** 2), baseline=-((q - t) ** 2)).verdict()


def test_the_paired_test_holds_its_level_where_that_of_sacrebleu_does_not() -> None:
    """sacreBLEU compares abs(d*) less its mean with abs(d): it rejects 11 % of true hypotheses at 5 %."""
    centred = folded = 0
    for seed in range(300):
        new, base = systems(50, seed)
        diff = sy.compare(new, baseline=base, statistic="bleu")
        centred += diff.p_value <= 0.05  # type: ignore[operator]
        found = [
            sy.bootstrap(counts, "bleu", method="percentile", n_resamples=999).replicates
            for counts in (new, base)  # type: ignore[arg-type]
        ]
        sizes = abs(found[0] - found[1])
        p = (1 + np.count_nonzero(sizes - sizes.mean() > abs(diff.difference.value))) / 1000  # type: ignore[arg-type]
        folded += p <= 0.05
    assert 5 <= centred <= 27  # 15 expected, three standard deviations of 3.8
    assert folded >= 24  # 33 expected


def test_several_systems_are_compared_at_once() -> None:
    (a, base), (b, _) = systems(40, 1), systems(40, 2, 0.1)
    diff = sy.compare({"a": a, "b": b, "base": base}, baseline="base", statistic="bleu")
    assert diff.names == ("a", "b")
    assert diff.difference["b"].value == sy.compare(b, baseline=base, statistic="bleu").difference.value
    assert diff.difference.detail["simultaneous_low"][1] < diff.difference.low[1]  # type: ignore[index]
    assert diff.wins is None
    assert diff.items is None
    assert "wins" not in diff.table
    assert str(diff).splitlines()[1].endswith("(centred paired bootstrap, 9,999 resamples), paired: 40 rows")
    assert diff._repr_html_()
    assert diff.to_dict()["wins"] is None


def test_a_system_does_not_differ_from_itself() -> None:
    new, _ = systems(40, 1)
    diff = sy.compare(new, baseline=new, statistic="bleu")
    assert (diff.difference.value, diff.p_value, diff.difference.low) == (0, 1, None)
    assert diff.verdict() == "undecided"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"baseline": np.ones((5, 9))}, r"^baseline: expected counts \[n, 10\] for statistic='bleu'"),
        ({"baseline": np.ones((4, 10))}, r"^new: expected 4 rows, as baseline has; got 5; compare the same rows"),
        ({"baseline": None}, r"^baseline: expected the columns of another model with statistic='bleu'; got None"),
        ({"baseline": np.ones((5, 10)), "paired": False}, r"^paired: expected True with statistic='bleu'; got False"),
        ({"baseline": np.ones((5, 10)), "by": np.arange(5)}, r"^by: expected statistic=\"mean\""),
        ({"baseline": np.ones((5, 10)), "per": np.ones(5)}, r"^per: expected statistic='perplexity'"),
        ({"baseline": np.ones((5, 10)), "test": "exact"}, r"^test: expected None with statistic='bleu'"),
        ({"baseline": -np.ones((5, 10))}, r"^baseline\[:, 0\]: expected values of at least 0"),
        ({"baseline": np.zeros((5, 10))}, r"^new: expected a reference that is not empty, which the bleu needs"),
    ],
)
def test_comparisons_that_are_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        sy.compare(np.ones((5, 10)), statistic="bleu", **how)
