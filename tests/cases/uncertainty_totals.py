"""Rows of the states of statistics of sums: of their closed form, and of their bootstrap."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from steelyard import _core
from steelyard.reference import sums, units

from . import Case, Inputs, Outputs, as_dtype, uniform, words
from .uncertainty import HOW, OTHERS, QUOTIENTS, core, sums_columns

SIZED = ("ratio", "weighted_mean", "perplexity", "bleu", "chrf", "chrf++", "f1/accuracy")
ANSWERS = ("accuracy", "precision", "recall", "f1")
REPLICATES, SEED = 130, 2**33 + 5
TEXTS = ["", "a", "doc/2", "thirteen bytes", "Zürich"]


def _rows(statistic: str, kind: str, dtype: str, n: int) -> Inputs:
    codes = None if kind == "rows" else np.arange(n) % (n // 3)
    weights = 0.5 + uniform(n, 3) if kind == "weights" else None
    columns = [as_dtype(x, dtype) for x in sums_columns(statistic, n)]
    return {"statistic": statistic, "columns": columns, "codes": codes, "weights": weights}


def _added(totals: Any, inputs: Inputs, rows: slice) -> None:
    columns = [np.ascontiguousarray(core(x[rows])) for x in inputs["columns"]]
    if not len(columns[0]):
        return
    ids: dict[str, Any] = {}
    if inputs["codes"] is not None:
        names, codes = np.unique(inputs["codes"][rows], return_inverse=True)
        ids = {"codes": codes.astype(np.int64), "names": names - 2}
        if inputs["weights"] is not None:
            ids["weights"] = np.ascontiguousarray(inputs["weights"][rows])
    elif isinstance(totals, _core.BootstrapTotals):
        ids = {"rows": np.arange(len(inputs["columns"][0]))[rows]}
    assert totals.update(columns, **ids) == {"added": True}


def _closed(totals: _core.StatisticTotals) -> Outputs:
    found = totals.interval(HOW["confidence_level"], HOW["alternative"])
    df = -1.0 if found["plain"] else found["df"]
    return {"value": found["value"], "standard_error": found["standard_error"], "df": df}


def _run(make: Any, said: Any, inputs: Inputs) -> Outputs:
    totals = make(inputs["statistic"])
    _added(totals, inputs, slice(None))
    return said(totals)


def _in_two(make: Any, said: Any, inputs: Inputs, cut: float) -> Outputs:
    """Both parts in states of their own, the later one first."""
    at = int(cut * len(inputs["columns"][0]))
    first, second = make(inputs["statistic"]), make(inputs["statistic"])
    _added(first, inputs, slice(0, at))
    _added(second, inputs, slice(at, None))
    second.merge(first)
    return said(second)


def _closed_reference(inputs: Inputs) -> Outputs:
    of, columns = inputs["statistic"], [x.astype(np.float64) for x in inputs["columns"]]
    weights = np.ones(len(columns[0])) if inputs["weights"] is None else inputs["weights"]
    error, df = sums.standard_error(of, *columns, w=weights, clusters=inputs["codes"])
    plain = of in ANSWERS and inputs["codes"] is None
    value = float(sums.definition(of)(*columns, weights))
    return {"value": value, "standard_error": error, "df": -1.0 if plain else df}


def _bootstrap(statistic: str) -> _core.BootstrapTotals:
    return _core.BootstrapTotals(statistic, REPLICATES, SEED)


def _replicates(totals: _core.BootstrapTotals) -> Outputs:
    found = totals.found()
    return {"value": found["value"], "replicates": found["replicates"]}


def _replicates_reference(inputs: Inputs) -> Outputs:
    of, columns = inputs["statistic"], [x.astype(np.float64) for x in inputs["columns"]]
    n, codes = len(columns[0]), inputs["codes"]
    numbers = np.arange(n) if codes is None else codes - 2
    counts = units.counts(numbers.astype(np.int64).view(np.uint64), SEED, REPLICATES)
    value = sums.definition(of)
    replicates = np.array([value(*columns, w) for w in counts.T.astype(np.float64)])
    if of == "sum":
        replicates *= n / counts.sum(0)
    return {"value": float(value(*columns, np.ones(n))), "replicates": replicates}


def _texts(_: str, n: int) -> Inputs:
    return {"n": n}


def _counts_of_texts(inputs: Inputs) -> Outputs:
    """Rows that are 1 in one text alone, so that the sum of a replicate over its rows is that text's count."""
    n = inputs["n"]
    found = []
    for text in TEXTS[:n]:
        totals = _bootstrap("ratio")
        # The other row, of the same id, counts as often.
        totals.update([np.array([1.0, 0.0]), np.ones(2)], codes=np.array([0, 0]), names=[text])
        totals.update([np.zeros(1), np.ones(1)], codes=np.array([0]), names=np.array([7]))
        found.append(totals.found()["replicates"])
    return {"shares": np.stack(found)}


def _counts_of_texts_reference(inputs: Inputs) -> Outputs:
    text = np.array([units.text_number(text) for text in TEXTS[: inputs["n"]]], np.uint64)
    counts = units.counts(text, SEED, REPLICATES, kind=units.TEXT)
    other = units.counts(np.array([7], np.uint64), SEED, REPLICATES)
    with np.errstate(invalid="ignore"):
        return {"shares": counts / (2 * counts + other)}


LEVELS = (0.0, 0.01, 0.5, 0.9, 1.0)


def _values(dtype: str, n: int) -> Inputs:
    """Few different values, of both signs, so that each has a bin of its own."""
    return {"x": as_dtype((words(n, 7) % np.uint64(499)).astype(np.float64) / 64 - 3.0, dtype)}


def _quantiles(totals: _core.QuantileTotals) -> Outputs:
    found = [totals.quantile(q, HOW["confidence_level"], HOW["alternative"]) for q in LEVELS]
    return {name: np.array([one[name] for one in found]) for name in ("value", "least", "most", "low", "high")}  # type: ignore[literal-required]


def _quantiles_of(inputs: Inputs) -> Outputs:
    totals = _core.QuantileTotals()
    totals.update(np.ascontiguousarray(core(inputs["x"])))
    return _quantiles(totals)


def _quantiles_in_two(inputs: Inputs, cut: float) -> Outputs:
    at = int(cut * len(inputs["x"]))
    parts = _core.QuantileTotals(), _core.QuantileTotals()
    for totals, rows in zip(parts, (slice(0, at), slice(at, None)), strict=True):
        totals.update(np.ascontiguousarray(core(inputs["x"][rows])))
    parts[1].merge(parts[0])
    return _quantiles(parts[1])


def _quantiles_reference(inputs: Inputs) -> Outputs:
    """NumPy's quantiles, and the order statistics whose ranks SciPy's binomial tails give."""
    x = np.sort(inputs["x"].astype(np.float64))
    n, tail = len(x), (1 - HOW["confidence_level"]) / 2
    value, low, high = np.quantile(x, LEVELS), [], []
    for q in LEVELS:
        ranks = np.arange(n)
        below = np.flatnonzero(stats.binom.cdf(ranks, n, q) > tail)
        above = np.flatnonzero(stats.binom.sf(ranks, n, q) <= tail)
        first = below[0] if len(below) else n
        low.append(x[first - 1] if first else np.nan)
        high.append(x[above[0]] if len(above) else np.nan)
    return {"value": value, "least": value, "most": value, "low": np.array(low), "high": np.array(high)}


CLOSED = {"value": 1e-9, "standard_error": 1e-9, "df": 1e-6}
CASES = [
    *(
        Case(
            name=f"uncertainty.{statistic.replace('/', '_by_')}_totals_of_{kind}", covers=("StatisticTotals",),
            make=partial(_rows, statistic, kind), run=partial(_run, _core.StatisticTotals, _closed),
            reference=_closed_reference, dtypes=("float32", "float64"), lengths=(40, 1025), bound=CLOSED,
            split=partial(_in_two, _core.StatisticTotals, _closed),
        )
        for statistic in (*OTHERS, *QUOTIENTS)
        for kind in ("rows", "clusters", "weights")
        if kind != "rows" or statistic not in SIZED
    ),
    *(
        Case(
            name=f"uncertainty.{statistic.replace('/', '_by_')}_bootstrap_totals_of_{kind}", covers=("BootstrapTotals",),
            make=partial(_rows, statistic, kind), run=partial(_run, _bootstrap, _replicates),
            reference=_replicates_reference, dtypes=("float32", "float64"), lengths=(40, 1025),
            bound={"value": 1e-9, "replicates": 1e-8}, split=partial(_in_two, _bootstrap, _replicates),
        )
        for statistic, kind in (
            ("sum", "rows"), ("std", "rows"), ("correlation", "clusters"), ("f1", "rows"), ("log_loss", "clusters"),
            ("bleu", "rows"),
        )
    ),
    Case(
        name="uncertainty.quantile_totals", covers=("QuantileTotals",), make=_values, run=_quantiles_of,
        reference=_quantiles_reference, lengths=(1, 2, 17, 1000, 70_001),
        bound=dict.fromkeys(("value", "least", "most"), 1e-14), split=_quantiles_in_two,
    ),
    Case(
        name="uncertainty.counts_of_texts", covers=("BootstrapTotals",), make=_texts, run=_counts_of_texts,
        reference=_counts_of_texts_reference, dtypes=("",), lengths=(1, len(TEXTS)), bound={"shares": 1e-15},
    ),
]  # fmt: skip
