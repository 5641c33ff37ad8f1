"""Rows of resampling: random counts, and the bootstrap of every statistic by rows and by clusters."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from steelyard import _core
from steelyard._registries import names
from steelyard.reference import bootstrap as reference
from steelyard.reference import random
from steelyard.uncertainty._statistics import column_names, of_sums_by_name

from . import Case, Inputs, Outputs, as_dtype, normalish, uniform, words

SEED = 2**63 + 11
COUNT = 39
STRATA = (0, 2**20 - 1)


def core(x: np.ndarray) -> np.ndarray:
    return x.view(np.uint16) if x.dtype.name == "bfloat16" else x


# -- counts -----------------------------------------------------------------------------------------------


def _counts(inputs: Inputs) -> Outputs:
    found = {stratum: _core.resampling_counts(inputs["n"], SEED, 3, stratum) for stratum in STRATA}
    return {f"stratum {stratum}": counts.astype(np.int64) for stratum, counts in found.items()}


def _counts_reference(inputs: Inputs) -> Outputs:
    return {f"stratum {stratum}": random.counts(inputs["n"], SEED, 3, stratum) for stratum in STRATA}


# -- statistics -------------------------------------------------------------------------------------------

NUMBERS = ("value", "standard_error", "low", "high", "low_error", "high_error", "acceleration", "replicates")


def _column(dtype: str, n: int) -> Inputs:
    return {"columns": [as_dtype(3.0 + normalish(n, n + 1), dtype)], "codes": None}


def _clustered(dtype: str, n: int) -> Inputs:
    """About three rows per cluster, and at least one in each."""
    count = max(2, n // 3)
    codes = np.append(np.arange(count), words(n, n + 3) % np.uint64(count))[:n].astype(np.int64)
    return _column(dtype, n) | {"codes": codes}


def _pairs(dtype: str, n: int) -> Inputs:
    """A denominator with some zeros, and a numerator near three of it."""
    y = as_dtype((words(n, n + 7) % np.uint64(5)).astype(np.float64), dtype)
    y[0] = 1
    return {"columns": [as_dtype(3.0 * y.astype(np.float64) + normalish(n, n + 1), dtype), y], "codes": None}


def _clustered_pairs(dtype: str, n: int) -> Inputs:
    return _pairs(dtype, n) | {"codes": _clustered(dtype, n)["codes"]}


# -- statistics of sums -----------------------------------------------------------------------------------

OTHERS = [name for name in of_sums_by_name() if name not in ("mean", "ratio")]
QUOTIENTS = ["mean/std", "geometric_mean/mean", "slope/correlation", "f1/accuracy"]


def sums_columns(statistic: str, n: int) -> list[np.ndarray]:
    """Columns of float64 that the statistic takes; answers are right in three of four rows."""
    graded = [5.0 + normalish(n, 31), 5.0 + normalish(n, 32)]
    targets = (np.arange(n) % 2).astype(np.float64)
    predictions = np.where(words(n, 33) % np.uint64(4) > 0, targets, 1 - targets)
    kinds = {
        "x": graded[0], "y": graded[0] + graded[1], "nll": graded[0], "weights": 0.5 + uniform(n, 34),
        "tokens": 1.0 + (words(n, 35) % np.uint64(9)).astype(np.float64), "targets": targets,
        "predictions": predictions, "probabilities": 0.1 + 0.6 * predictions + 0.2 * uniform(n, 36),
    }  # fmt: skip
    if statistic in ("bleu", "chrf", "chrf++"):
        return corpus_counts(statistic, n)
    if statistic in ("rmse", "r2"):
        return [graded[0] + 0.5 * graded[1], graded[0]]
    return [kinds[column] for column in column_names(statistic)]


def corpus_counts(statistic: str, n: int) -> list[np.ndarray]:
    """Counts of n-grams of sentences of 6 to 45 tokens, of which nine in ten match, and fewer the longer they are."""
    lengths = [np.floor(6 + 40 * uniform(n, 41)), np.floor(6 + 40 * uniform(n, 41) + 6 * uniform(n, 42) - 3)]
    orders = 4 if statistic == "bleu" else 6 if statistic == "chrf" else 8
    grams = [[np.maximum(length - k, 0.0) for length in lengths] for k in range(orders)]
    share = 0.8 + 0.2 * uniform(n, 43)
    matches = [np.floor(share ** (k + 1) * np.minimum(*of)) for k, of in enumerate(grams)]
    if statistic == "bleu":
        return [*lengths, *matches, *(system for system, _ in grams)]
    return [column for of, match in zip(grams, matches, strict=True) for column in (*of, match)]


def _of_sums(statistic: str, units: str, dtype: str, n: int) -> Inputs:
    columns = [as_dtype(x, dtype) for x in sums_columns(statistic, n)]
    return {"columns": columns, "codes": _clustered(dtype, n)["codes"] if units else None}


def _sums_reference(statistic: str) -> Callable[[Inputs], Outputs]:
    def of(inputs: Inputs) -> Outputs:
        columns, said = [x.astype(np.float64) for x in inputs["columns"]], {}
        for method in COUNTED:
            found = reference.of_statistic(statistic, columns, inputs["codes"], **_options(inputs, method))
            said |= {f"{method}_{name}": value for name, value in found.items()}
        return said

    return of


def _options(inputs: Inputs, method: str) -> dict[str, Any]:
    return {"method": method, "n_resamples": COUNT, "seed": SEED, "confidence_level": 0.5}


# Those with cases of their own: without resamples, and with resamples of resamples.
METHODS = tuple(method for method in names("bootstrap.method") if method not in ("abc", "double"))
# Those without the influences of the units at each resample, which the reference takes long to compute.
COUNTED = tuple(method for method in METHODS if method not in ("studentized", "beta_t"))


def by_method(
    call: Callable[..., Any],
    statistic: str,
    options: Callable[[Inputs, str], dict[str, Any]],
    fields: tuple[str, ...],
    methods: tuple[str, ...] = METHODS,
) -> Callable[[Inputs], Outputs]:
    """Runs ``call`` of the core for each method, and gives these fields of each answer."""

    def run(inputs: Inputs) -> Outputs:
        codes, said = inputs["codes"], {}
        for method in methods:
            found = call(
                [core(x) for x in inputs["columns"]], statistic, codes=codes,
                clusters=0 if codes is None else int(codes.max()) + 1, alternative="two-sided",
                **options(inputs, method),
            )  # fmt: skip
            said |= {f"{method}_{name}": found[name] for name in fields}
        return said

    return run


def _run(statistic: str, methods: tuple[str, ...] = METHODS) -> Callable[[Inputs], Outputs]:
    return by_method(_core.bootstrap, statistic, _options, NUMBERS, methods)


def _reference(inputs: Inputs) -> Outputs:
    units = _units(inputs)
    said = {}
    for method in METHODS:
        found = reference.bootstrap(*units, **_options(inputs, method))
        said |= {f"{method}_{name}": value for name, value in found.items()}
    return said


def _units(inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """The numerators and denominators of the units: of a mean the denominators are 1."""
    columns = [x.astype(np.float64) for x in inputs["columns"]]
    columns += [np.ones(len(columns[0]))] if len(columns) == 1 else []
    codes = inputs["codes"]
    if codes is None:
        return columns[0], columns[1]
    sums = [[math.fsum(x[codes == g]) for g in range(int(codes.max()) + 1)] for x in columns]
    return np.array(sums[0]), np.array(sums[1])


def _bound(inputs: Inputs) -> float:
    """Of what has the unit of the values: replicates are that close, and limits lie between two of them."""
    return 1e-11 * max(float(np.abs(x.astype(np.float64)).max()) for x in inputs["columns"])


def _bounds(methods: tuple[str, ...] = METHODS) -> dict[str, Any]:
    return {f"{method}_{name}": 1e-10 if name == "acceleration" else _bound for method in methods for name in NUMBERS}


# Lengths on both sides of a leaf (1,024 rows), of several, and of a power of two.
LENGTHS = (5, 40, 1000, 1023, 1024, 1025, 3000)

CASES = [
    Case(
        name="uncertainty.resampling_counts",
        covers=("resampling_counts",),
        dtypes=("",),
        lengths=(1, 2, 3, *LENGTHS, 4096, 70_001),
        make=lambda _, n: {"n": n},
        run=_counts,
        reference=_counts_reference,
    ),
    *(
        Case(
            name=f"uncertainty.bootstrap_{statistic}{'_clusters' if 'clustered' in make.__name__ else ''}",
            covers=("bootstrap",),
            # Resamples of the two clusters of five rows show no spread too often for a t.
            lengths=(40, *LENGTHS[2:]) if "clustered" in make.__name__ else LENGTHS,
            make=make,
            run=_run(statistic),
            reference=_reference,
            bound=_bounds(),
        )
        for statistic, make in (("mean", _column), ("mean", _clustered), ("ratio", _pairs), ("ratio", _clustered_pairs))
    ),
    *(
        Case(
            name=f"uncertainty.bootstrap_{statistic.replace('/', '_by_')}{units}",
            covers=("bootstrap",),
            dtypes=("float32", "float64"),
            lengths=(40, 1025),
            make=partial(_of_sums, statistic, units),
            run=_run(statistic, COUNTED),
            reference=_sums_reference(statistic),
            bound=_bounds(COUNTED),
        )
        for statistic in (*OTHERS, *QUOTIENTS)
        for units in ("", "_clusters")
    ),
]
