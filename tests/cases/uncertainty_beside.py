"""Rows of the bootstrap of many columns that share the random numbers."""

from __future__ import annotations

from functools import partial

import numpy as np

from steelyard import _core
from steelyard.reference import bootstrap as reference

from . import Case, Inputs, Outputs, as_dtype, normalish
from .uncertainty_bootstrap import COUNT, NUMBERS, SEED, core, sums_columns

METHOD = "percentile"


def _table(statistic: str, dtype: str, n: int) -> Inputs:
    """Five columns; the third begins with its neighbour's values, so that a mistaken place would show."""
    first = sums_columns(statistic, n)[0]
    columns = [as_dtype(first + 0.25 * j * (1 + normalish(n, 40 + j) / 50), dtype) for j in range(5)]
    return {"columns": columns, "statistic": statistic}


def _run(inputs: Inputs) -> Outputs:
    found = _core.bootstrap_each(
        [core(x) for x in inputs["columns"]], inputs["statistic"], method=METHOD, n_resamples=COUNT, seed=SEED,
        confidence_level=0.5, alternative="two-sided",
    )  # fmt: skip
    return {f"{j}_{name}": one[name] for j, one in enumerate(found) for name in NUMBERS}


def _reference(inputs: Inputs) -> Outputs:
    said = {}
    for j, x in enumerate(inputs["columns"]):
        found = reference.of_statistic(
            inputs["statistic"], [x.astype(np.float64)], None, method=METHOD, n_resamples=COUNT, seed=SEED,
            confidence_level=0.5,
        )  # fmt: skip
        said |= {f"{j}_{name}": value for name, value in found.items()}
    return said


CASES = [
    Case(
        name=f"uncertainty.bootstrap_each_{statistic}",
        covers=("bootstrap_each",),
        dtypes=("float32", "float64"),
        lengths=(5, 1000, 1024, 1025, 3000),
        make=partial(_table, statistic),
        run=_run,
        reference=_reference,
        bound=dict.fromkeys((f"{j}_{name}" for j in range(5) for name in NUMBERS), 1e-9),
    )
    for statistic in ("variance", "geometric_mean")
]
