"""The statistics that are chosen by name: each is computed by its own formula or refused by its own name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

import steelyard as sy
from steelyard._registries import REGISTRIES, Variant
from steelyard.uncertainty._ordered import SORTED
from steelyard.uncertainty._statistics import of_sums_by_name, refusal, words

from .cases import all_cases, normalish, uniform
from .cases.uncertainty_bootstrap import OTHERS, sums_columns

STATISTICS = REGISTRIES["uncertainty.statistic"]


def moment(k: int, x: np.ndarray) -> float:
    return float(((x - x.mean()) ** k).mean())


def cells(p: np.ndarray, t: np.ndarray) -> tuple[float, float, float, float]:
    """TP, FP, FN and TN."""
    return tuple(float(np.sum((p == a) & (t == b))) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0)))  # type: ignore[return-value]


def kappa(p: np.ndarray, t: np.ndarray) -> float:
    tp, fp, fn, tn = cells(p, t)
    n = tp + fp + fn + tn
    chance = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / n**2
    return ((tp + tn) / n - chance) / (1 - chance)


def bleu(system: np.ndarray, reference: np.ndarray, *counts: np.ndarray) -> float:
    precisions = [m.sum() / t.sum() for m, t in zip(counts[:4], counts[4:], strict=True)]
    return 100 * min(1, math.exp(1 - reference.sum() / system.sum())) * math.prod(precisions) ** 0.25


def chrf(*counts: np.ndarray) -> float:
    system, reference, matches = (np.array([column.sum() for column in counts[k::3]]) for k in range(3))
    precision, recall = (matches / system).mean(), (matches / reference).mean()
    return 100 / (0.2 / precision + 0.8 / recall)


# Every statistic by its definition, from as many columns as it takes.
DEFINITIONS: dict[str, Callable[..., float]] = {
    "mean": lambda x: math.fsum(x) / len(x),
    "ratio": lambda x, y: math.fsum(x) / math.fsum(y),
    "sum": math.fsum,
    "weighted_mean": lambda x, w: math.fsum(x * w) / math.fsum(w),
    "geometric_mean": lambda x: math.prod(x.tolist()) ** (1 / len(x)),
    "perplexity": lambda nll, tokens: math.exp(math.fsum(nll) / math.fsum(tokens)),
    "variance": np.var,
    "std": np.std,
    "skewness": lambda x: moment(3, x) / moment(2, x) ** 1.5,
    "kurtosis": lambda x: moment(4, x) / moment(2, x) ** 2 - 3,
    "correlation": lambda x, y: np.corrcoef(x, y)[0, 1],
    "slope": lambda x, y: np.polyfit(x, y, 1)[0],
    "rmse": lambda p, t: math.sqrt(((p - t) ** 2).mean()),
    "r2": lambda p, t: 1 - ((p - t) ** 2).sum() / ((t - t.mean()) ** 2).sum(),
    "accuracy": lambda p, t: (p == t).mean(),
    "precision": lambda p, t: t[p == 1].mean(),
    "recall": lambda p, t: p[t == 1].mean(),
    "f1": lambda p, t: 2 / (1 / t[p == 1].mean() + 1 / p[t == 1].mean()),
    "balanced_accuracy": lambda p, t: (p[t == 1].mean() + (1 - p[t == 0]).mean()) / 2,
    "mcc": lambda p, t: np.corrcoef(p, t)[0, 1],
    "kappa": kappa,
    "brier": lambda p, t: ((p - t) ** 2).mean(),
    "log_loss": lambda p, t: -np.log(np.where(t == 1, p, 1 - p)).mean(),
    "bleu": bleu,
    "chrf": chrf,
    "chrf++": chrf,
    "median": np.median,
    "quantile": lambda x: np.quantile(x, 0.8),
    "trimmed_mean": lambda x: stats.trim_mean(x, 0.1),
    "iqr": stats.iqr,
    "mad": stats.median_abs_deviation,
    "auc": lambda scores, targets: metrics.roc_auc_score(targets, scores),
    "gini": lambda scores, targets: 2 * metrics.roc_auc_score(targets, scores) - 1,
    "average_precision": lambda scores, targets: metrics.average_precision_score(targets, scores),
    "ks": lambda scores, targets: stats.ks_2samp(scores[targets == 1], scores[targets == 0]).statistic,
    "spearman": lambda x, y: stats.spearmanr(x, y).statistic,
    "ece": lambda p, y: sum(abs((p - y)[np.ceil(15 * p) == b].sum()) for b in range(16)) / len(p),
}


def data(statistic: str) -> list[np.ndarray]:
    if statistic in OTHERS:
        return sums_columns(statistic, 60)
    columns = [3.0 + normalish(40, 40 + i) for i, _ in enumerate(STATISTICS[statistic].columns)]
    if STATISTICS[statistic].columns[-1] == "targets":
        columns[1] = (columns[1] > 3).astype(float)
    if statistic == "ece":
        return [uniform(40, 40), (columns[1] > 3).astype(float)]
    return columns


def asked(call: Callable[..., Any], statistic: str) -> Any:
    columns = data(statistic)
    named = sy.uncertainty.quantile(0.8) if statistic == "quantile" else statistic
    return call(columns[0] if len(columns) == 1 else tuple(columns), named)


@pytest.mark.filterwarnings("ignore:bootstrap of the ece")
@pytest.mark.parametrize("statistic", sorted(STATISTICS))
def test_each_is_answered_by_its_definition(statistic: str) -> None:
    want = DEFINITIONS[statistic](*data(statistic))
    assert asked(partial(sy.bootstrap, method="percentile"), statistic).value == pytest.approx(want, rel=1e-12)
    if statistic in (*of_sums_by_name(), *SORTED):
        assert asked(sy.estimate, statistic).value == pytest.approx(want, rel=1e-12)
    else:
        instead = "reliability" if statistic == "ece" else "bootstrap"
        with pytest.raises(ValueError, match=rf"^statistic: .*got '{statistic}'; use steelyard\.{instead}"):
            asked(sy.estimate, statistic)


@pytest.mark.parametrize("columns", [("x",), ("x", "y")])
def test_a_name_without_a_formula_is_refused_by_name(columns: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never taken for another: not by the core of the estimate, not by that of the bootstrap."""
    monkeypatch.setitem(STATISTICS, "new", Variant("new", "", "", "", columns, "", {}))  # type: ignore[arg-type]
    for call in (sy.estimate, sy.bootstrap):
        with pytest.raises(ValueError, match=r"statistic: expected one of .*got 'new'"):
            call(np.ones(20) if len(columns) == 1 else (np.ones(20),) * 2, "new")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"^statistic: expected one of mean, .*; got 'skewnes'; did you mean 'skewness'\?"
    ):
        sy.estimate([1.0, 2.0], "skewnes")  # type: ignore[call-overload]


def test_each_has_a_definition() -> None:
    assert set(DEFINITIONS) == set(STATISTICS)


def test_a_misspelt_name_is_answered_with_the_one_meant() -> None:
    with pytest.raises(ValueError, match=r"^statistic: .*got 'medain'; did you mean 'median'\?$"):
        sy.bootstrap([1.0, 2.0], "medain")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected steelyard\.uncertainty\.quantile\(q\), since it takes a number"):
        sy.bootstrap([1.0, 2.0], "quantile")


def test_several_statistics_share_their_resamples() -> None:
    x = 3.0 + normalish(50, 7)
    several = sy.bootstrap(x, ("mean", *sy.uncertainty.quantile([0.25, 0.5])), n_resamples=199)
    assert several.names == ("mean", "quantile(0.25)", "quantile(0.5)")
    for name, one in (("mean", "mean"), ("quantile(0.5)", "median")):
        alone = sy.bootstrap(x, one, n_resamples=199)
        assert several[name].low == alone.low
        np.testing.assert_array_equal(several[name].replicates, alone.replicates)
    for bad in ((), ("mean", "mean")):
        with pytest.raises(ValueError, match=r"^statistic"):
            sy.bootstrap(x, bad)
    with pytest.raises(ValueError, match=r"^statistic: .*got several columns"):
        sy.bootstrap({"a": x, "b": x + 1}, ("mean", "median"))
    with pytest.raises(ValueError, match=r"^statistic: .*got several columns"):
        sy.bootstrap(np.stack([x, x + 1], axis=1), ("mean", "median"))


@pytest.mark.parametrize("statistic", ["auc", "gini", "average_precision", "ks"])
def test_targets_are_zeros_and_ones_of_both_kinds(statistic: str) -> None:
    scores = normalish(6, 3)
    with pytest.raises(ValueError, match=r"^x\[1\]: expected targets that are 0 or 1; got 2\.0 at index 4$"):
        sy.bootstrap((scores, [0, 1, 0, 1, 2, 1]), statistic)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^x\[1\]: expected targets of both kinds, 0 and 1; got only 1$"):
        sy.bootstrap((scores, np.ones(6)), statistic)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^x\[1\]: expected targets of both kinds in every resample"):
        sy.bootstrap((scores, [0, 1, 0, 0, 0, 0]), statistic)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^x: expected scores that differ; got 6 equal scores"):
        sy.bootstrap((np.ones(6), [0, 1, 0, 1, 0, 1]), statistic)  # type: ignore[arg-type]


def test_replicates_of_one_value_are_refused() -> None:
    """A perfect ranking has an AUC of 1 in every resample, which is no certainty."""
    targets = np.arange(200) % 2
    with pytest.raises(ValueError, match=r"^x: expected resamples that differ in their auc; got 99 of one value"):
        sy.bootstrap((targets + 0.25 * normalish(200, 9) / 6, targets), "auc", n_resamples=99)


def test_each_has_cases_beside_the_reference() -> None:
    """In the shared test table: resampled by rows and by clusters."""
    cases = {case.name for case in all_cases()}
    wanted = {f"uncertainty.bootstrap_{name}{units}" for name in STATISTICS for units in ("", "_clusters")}
    assert sorted(wanted - cases) == []


@pytest.mark.parametrize("statistic", sorted(STATISTICS))
@pytest.mark.parametrize("kind", ["equal values", "equal means", "empty resample", "no answer"])
def test_no_message_speaks_of_another_statistic(statistic: str, kind: str) -> None:
    """Where a sample may lack something that the statistic needs, the message says what."""
    columns = {f"x[{i}]": column for i, column in enumerate(data(statistic))}
    found = {"refused": kind, "n": 20}
    sums = statistic in OTHERS
    if (kind == "empty resample" and words(statistic).no_answer is None and not sums) or (
        kind == "no answer" and not sums
    ):
        assert kind == "no answer" or statistic in {"mean", "median", "quantile", "trimmed_mean", "iqr", "mad", "ece"}
        return
    message = str(refusal(found, statistic, columns, None))  # type: ignore[arg-type]
    others = set(STATISTICS) - {statistic}
    assert not [name for name in others if re.search(rf"(?<!trimmed ){re.escape(name)}s", message)], message
    if kind == "no answer":
        assert statistic in message
    if sums and kind == "empty resample":
        assert STATISTICS[statistic].needs in message
