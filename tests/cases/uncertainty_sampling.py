"""Rows of the ways to draw a resample: balanced, by Poisson counts, by exponential weights, and m draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from steelyard import _core
from steelyard._registries import REGISTRIES
from steelyard.reference import designs as reference
from steelyard.reference import random

from . import Case, Inputs, Outputs, as_dtype, normalish
from .uncertainty_bootstrap import COUNT, SEED, core

M, H = 7, 0.25
NUMBERS = {"subsample": [float(M)], "smoothed": [H]}
SAMPLINGS = {name: NUMBERS.get(name, []) for name in REGISTRIES["bootstrap.sampling"]}
UNSTRATIFIED = ("smoothed",)
DRAWS = [3, 9, 12]  # of three strata: no share of their rows
# Of sums, whose weights are real numbers; of sorted rows, which count whole times; and a sum, which is no share.
STATISTICS = {"mean": 1, "variance": 1, "sum": 1, "median": 1}


def _make(dtype: str, n: int) -> Inputs:
    """Three strata of different sizes."""
    return {"x": as_dtype(3.0 + normalish(n, n + 9), dtype), "strata": np.minimum(np.arange(n) % 5, 2)}


def _calls() -> list[tuple[str, str, bool]]:
    """The statistics with each sampling, and a mean in strata with each that draws them."""
    plain = [(sampling, statistic, False) for sampling in SAMPLINGS for statistic in STATISTICS]
    return plain + [(sampling, "mean", True) for sampling in SAMPLINGS if sampling not in UNSTRATIFIED]


def _run(inputs: Inputs) -> Outputs:
    said = {}
    for sampling, statistic, stratified in _calls():
        how: dict[str, Any] = {"stratum_codes": inputs["strata"], "strata": 3} if stratified else {}
        found = _core.bootstrap(
            [core(inputs["x"])], statistic, **how, sampling=sampling,
            sampling_parameters=list(map(float, DRAWS)) if stratified and sampling == "subsample" else SAMPLINGS[sampling],
            method="percentile", n_resamples=COUNT, seed=SEED, confidence_level=0.5, alternative="two-sided",
        )  # fmt: skip
        said[f"{sampling}_{statistic}{'_strata' if stratified else ''}"] = found["replicates"]
    return said


def _counts(sampling: str, n: int, stratum: int = 0) -> np.ndarray:
    """The counts of n rows in each replicate."""
    if sampling == "balanced":
        return reference.balanced(n, COUNT, SEED, stratum)
    if sampling == "subsample":
        return np.array([reference.subsample(M, n, SEED, r) for r in range(COUNT)])
    of = {"multinomial": random.counts, "poisson": reference.poisson, "bayesian": reference.bayesian}[sampling]
    return np.array([of(n, SEED, r, stratum) for r in range(COUNT)])


def _median(x: np.ndarray, counts: np.ndarray) -> float:
    """NumPy's median of the rows that count whole times; of weights where half of their sum is reached."""
    if counts.dtype.kind == "i":
        return float(np.median(np.repeat(x, counts)))
    order = np.argsort(x, kind="stable")
    below = np.cumsum(counts[order])
    return float(x[order][np.searchsorted(below, below[-1] / 2)])


def _reference(inputs: Inputs) -> Outputs:
    x, strata, said = inputs["x"].astype(np.float64), inputs["strata"], {}
    for sampling, statistic, stratified in _calls():
        if sampling == "smoothed":
            of: Any = {"mean": np.mean, "sum": np.sum, "variance": np.var, "median": np.median}[statistic]
            said[f"smoothed_{statistic}"] = np.array([of(reference.smoothed(x, H, SEED, r)) for r in range(COUNT)])
            continue
        weights, scale = _counts(sampling, len(x)), math.sqrt(M / len(x))
        if stratified and sampling == "subsample":
            drawn = [reference.subsample_in_strata(DRAWS, strata, SEED, r) for r in range(COUNT)]
            weights, scale = np.array([one for one, _ in drawn]), drawn[0][1]
        elif stratified:
            weights = np.zeros((COUNT, len(x)))
            for h in range(3):
                members = np.flatnonzero(strata == h)
                counts = _counts(sampling, len(members), h)
                weights[:, members] = counts * len(members) / counts.sum(axis=1, keepdims=True)
        total = weights.sum(axis=1)
        mean = weights @ x / total
        value, found = {
            "mean": (x.mean(), mean),
            "sum": (x.sum(), mean * len(x)),
            "variance": (x.var(), np.array([w @ (x - m) ** 2 for w, m in zip(weights, mean, strict=True)]) / total),
            "median": (np.median(x), np.array([_median(x, w) for w in weights])),
        }[statistic]
        if sampling == "subsample":
            found = value + scale * (found - value)
        said[f"{sampling}_{statistic}{'_strata' if stratified else ''}"] = found
    return said


def _bound(inputs: Inputs) -> float:
    """Exponential weights are rounded to 2^-27, some of them the other way by another logarithm."""
    return 1e-8 * len(inputs["x"]) * float(np.abs(inputs["x"].astype(np.float64)).max())


def _column(dtype: str, n: int) -> Inputs:
    return {"x": as_dtype(3.0 + normalish(n, n + 9), dtype)}


def _noise(n: int) -> np.ndarray:
    return np.concatenate([reference.smoothed(np.zeros(n), 1.0, SEED, r) for r in range(COUNT)])


CASES = [
    Case(
        name="uncertainty.smoothing",
        covers=("bandwidth", "smoothing_noise"),
        dtypes=("float32", "float64", "float16", "bfloat16"),
        lengths=(2, 3, 40, 1025),
        make=_column,
        run=lambda inputs: {
            "bandwidth": _core.bandwidth(core(inputs["x"]))["bandwidth"],
            "noise": _core.smoothing_noise(len(inputs["x"]), seed=SEED, first=0, count=COUNT),
        },
        reference=lambda inputs: {
            "bandwidth": reference.bandwidth(inputs["x"].astype(np.float64)),
            "noise": _noise(len(inputs["x"])),
        },
        bound={"bandwidth": 1e-12, "noise": 1e-13},
    ),
    Case(
        name="uncertainty.bootstrap_sampling",
        covers=("bootstrap", "resampled_counts"),
        dtypes=("float32", "float64"),
        lengths=(40, 1025),
        make=_make,
        run=_run,
        reference=_reference,
        bound={
            f"{sampling}_{statistic}{'_strata' if stratified else ''}": _bound
            for sampling, statistic, stratified in _calls()
        },
    ),
]
