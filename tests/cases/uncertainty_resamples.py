"""Rows of the bootstrap of functions: their resamples, and the limits of what they return."""

from __future__ import annotations

import numpy as np

from steelyard import _core
from steelyard.reference import bootstrap as reference
from steelyard.reference import random
from steelyard.uncertainty._callables import METHODS

from . import Case, Inputs, Outputs, normalish

SEED, FIRST, COUNT, STRATUM = 2**63 + 11, 2**32 - 8, 5, 3
NUMBERS = ("value", "standard_error", "low", "high", "low_error", "high_error", "acceleration", "replicates")


def _resamples(inputs: Inputs) -> Outputs:
    n = inputs["n"]
    counts = _core.resampled_counts(n, seed=SEED, first=FIRST, count=COUNT, stratum=STRATUM)
    rows = _core.resampled_rows(n, seed=SEED, first=FIRST, count=COUNT, stratum=STRATUM).reshape(COUNT, n)
    return {"counts": counts, "rows": np.sort(rows).ravel()}  # the order of the draws is no part of the definition


def _resamples_reference(inputs: Inputs) -> Outputs:
    counts = [random.counts(inputs["n"], SEED, FIRST + r, STRATUM) for r in range(COUNT)]
    rows = [np.repeat(np.arange(inputs["n"]), one) for one in counts]
    return {"counts": np.concatenate(counts).astype(np.float64), "rows": np.concatenate(rows)}


def _made(_: str, n: int) -> Inputs:
    """Replicates in tenths, of which some equal the value but for rounding."""
    replicates = np.round(normalish(n, 1) * 4) / 10 + 1e-15 * normalish(n, 2)
    return {"replicates": replicates, "left_out": normalish(min(n, 500), 3) ** 2}


def _limits(inputs: Inputs) -> Outputs:
    said = {}
    for method in METHODS:
        found = _core.replicates_interval(
            inputs["replicates"], value=0.1, left_out=inputs["left_out"], units=20, rounding=1e-12, method=method,
            confidence_level=0.5, alternative="two-sided",
        )  # fmt: skip
        said |= {f"{method}_{name}": found[name] for name in NUMBERS}
    return said


def _units(_: str, n: int) -> Inputs:
    """Three strata of different sizes, with a value for each unit."""
    return {"strata": np.minimum(np.arange(n) % 5, 2), "x": normalish(n, 4) ** 2, "replicates": normalish(n, 1)}


def _in_strata(inputs: Inputs) -> Outputs:
    x, codes = inputs["x"], inputs["strata"]
    parts = {
        "alike": _core.left_out_parts(len(x)),
        "strata": _core.left_out_parts(len(x), stratum_codes=codes, strata=3),
    }
    found = _core.replicates_interval(
        inputs["replicates"], value=0.1, left_out=x[: parts["strata"].max() + 1], units=len(x), stratum_codes=codes,
        strata=3, rounding=1e-12, method="bca", confidence_level=0.5, alternative="two-sided",
    )  # fmt: skip
    return parts | {"acceleration": found["acceleration"], "units": found["units"]}


def _in_strata_reference(inputs: Inputs) -> Outputs:
    x, codes = inputs["x"], inputs["strata"]
    of, homes = reference.left_out_parts(codes)
    left_out = x[: len(homes)]
    return {
        "alike": reference.left_out_parts(np.zeros(len(x), np.int64))[0],
        "strata": of,
        "acceleration": reference.stratified_acceleration(0.1, left_out, np.bincount(of), homes),
        "units": max(len(x) // 3, 2),
    }


def _limits_reference(inputs: Inputs) -> Outputs:
    said = {}
    for method in METHODS:
        found = reference.of_replicates(
            inputs["replicates"], 0.1, inputs["left_out"], units=20, rounding=1e-12, method=method, confidence_level=0.5
        )
        said |= {f"{method}_{name}": value for name, value in found.items()}
    return said


CASES = [
    Case(
        name="uncertainty.resamples",
        covers=("resampled_counts", "resampled_rows"),
        dtypes=("",),
        lengths=(1, 2, 3, 5, 40, 1000, 1023, 1024, 1025, 3000, 70_001),
        make=lambda _, n: {"n": n},
        run=_resamples,
        reference=_resamples_reference,
    ),
    Case(
        name="uncertainty.replicates_interval",
        covers=("replicates_interval",),
        dtypes=("",),
        lengths=(40, 999, 5000),
        make=_made,
        run=_limits,
        reference=_limits_reference,
        bound=dict.fromkeys((f"{m}_{n}" for m in METHODS for n in NUMBERS), 1e-11),
    ),
    Case(
        name="uncertainty.left_out",
        covers=("left_out_parts", "replicates_interval"),
        dtypes=("",),
        lengths=(40, 999, 5000),
        make=_units,
        run=_in_strata,
        reference=_in_strata_reference,
        bound={"acceleration": 1e-12},
    ),
]
