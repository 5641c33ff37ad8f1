"""Rows of resampling: random counts, replicates, acceleration, limits."""

from __future__ import annotations

import numpy as np

from steelyard import _core
from steelyard.reference import bootstrap as reference
from steelyard.reference import random

from . import Case, Inputs, Outputs, as_dtype, normalish, words

SEED = 2**63 + 11
COUNT = 12


def core(x: np.ndarray) -> np.ndarray:
    return x.view(np.uint16) if x.dtype.name == "bfloat16" else x


# -- counts -----------------------------------------------------------------------------------------------


def _counts(inputs: Inputs) -> Outputs:
    return {"counts": _core.resampling_counts(inputs["n"], SEED, 3).astype(np.int64)}


def _counts_reference(inputs: Inputs) -> Outputs:
    return {"counts": random.counts(inputs["n"], SEED, 3)}


# -- a mean -----------------------------------------------------------------------------------------------


def _column(dtype: str, n: int) -> Inputs:
    x = as_dtype(3.0 + normalish(n, n + 1), dtype)
    # Roughly right: neither may matter.
    return {"x": x, "shift": 2.5, "scale": 1.0 + float(np.ptp(x.astype(np.float64)))}


def _mean(inputs: Inputs) -> Outputs:
    x, shift = inputs["x"], inputs["shift"]
    found = _core.mean_replicates(core(x), shift, SEED, COUNT)
    return {"replicates": found, "acceleration": _core.mean_acceleration(core(x), shift, inputs["scale"])}


def _mean_reference(inputs: Inputs) -> Outputs:
    x, shift = inputs["x"].astype(np.float64), inputs["shift"]
    found = reference.replicates(x, None, SEED, COUNT)
    return {"replicates": found, "acceleration": reference.acceleration(x, None, shift)}


def _mean_bound(inputs: Inputs) -> float:
    x = inputs["x"].astype(np.float64)
    return 1e-12 * float(np.abs(x - inputs["shift"]).max()) + 2.0**-50 * float(np.abs(x).max())


# -- a ratio ----------------------------------------------------------------------------------------------


def _pairs(_: str, n: int) -> Inputs:
    return {"sums": 5.0 * normalish(n, n + 2), "sizes": 1.0 + (words(n, n + 3) % np.uint64(9)).astype(np.float64)}


def _ratio(inputs: Inputs) -> Outputs:
    found = _core.ratio_replicates(inputs["sums"], inputs["sizes"], 0.0, SEED, COUNT)
    accelerate = _core.ratio_acceleration(inputs["sums"], inputs["sizes"], 0.1, 7.0)
    return {"replicates": found, "acceleration": accelerate}


def _ratio_reference(inputs: Inputs) -> Outputs:
    found = reference.replicates(inputs["sums"], inputs["sizes"], SEED, COUNT)
    return {"replicates": found, "acceleration": reference.acceleration(inputs["sums"], inputs["sizes"], 0.1)}


# -- limits -----------------------------------------------------------------------------------------------

METHODS = ("percentile", "basic", "bca")
NAMES = ("low", "high", "low_error", "high_error")


def _found(_: str, n: int) -> Inputs:
    return {"found": np.floor(40 * normalish(n, n + 5)) / 8.0}


def _limits(inputs: Inputs) -> Outputs:
    said = {}
    for method in METHODS:
        found = _core.bootstrap_limits(inputs["found"], 0.5, method, 0.9, "two-sided", 0.03, 0.01)
        said |= {f"{method}_{name}": value for name, value in zip(NAMES, found, strict=True)}
    return said


def _limits_reference(inputs: Inputs) -> Outputs:
    said = {}
    for method in METHODS:
        found = reference.limits(inputs["found"], 0.5, method, 0.9, accelerate=0.03, tie=0.01)
        said |= {f"{method}_{name}": value for name, value in zip(NAMES, found, strict=True)}
    return said


def _limits_bound(inputs: Inputs) -> float:
    """The levels are right to 1e-15 and interpolation multiplies by the distance of neighbours."""
    return 1e-12 * len(inputs["found"]) * float(np.ptp(inputs["found"]))


# Lengths on both sides of a leaf (1,024 rows), of several, and of a power of two.
LENGTHS = (1, 2, 3, 17, 1000, 1023, 1024, 1025, 3000)

CASES = [
    Case(
        name="uncertainty.resampling_counts",
        covers=("resampling_counts",),
        dtypes=("",),
        lengths=(*LENGTHS, 4096, 70_001),
        make=lambda _, n: {"n": n},
        run=_counts,
        reference=_counts_reference,
    ),
    Case(
        name="uncertainty.mean_replicates",
        covers=("mean_replicates", "mean_acceleration"),
        lengths=LENGTHS,
        make=_column,
        run=_mean,
        reference=_mean_reference,
        bound={"replicates": _mean_bound, "acceleration": 1e-12},
    ),
    Case(
        name="uncertainty.ratio_replicates",
        covers=("ratio_replicates", "ratio_acceleration"),
        dtypes=("float64",),
        lengths=LENGTHS,
        make=_pairs,
        run=_ratio,
        reference=_ratio_reference,
        bound={"replicates": 1e-12, "acceleration": 1e-12},
    ),
    Case(
        name="uncertainty.bootstrap_limits",
        covers=("bootstrap_limits",),
        dtypes=("float64",),
        lengths=(99, 100, 999, 5000),
        make=_found,
        run=_limits,
        reference=_limits_reference,
        bound={f"{method}_{name}": _limits_bound for method in METHODS for name in NAMES},
    ),
]
