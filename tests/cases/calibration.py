"""Rows of the calibration room."""

from __future__ import annotations

from typing import Any

import numpy as np

from steelyard import _arrays, _core, calibration
from steelyard.reference import calibration as reference

from ..states import clusters_of
from . import Case, Inputs, Outputs, as_dtype, uniform, words

N_BINS = 15


def probabilities(n: int, stream: int) -> np.ndarray:
    """Uniform, with tenths (on edges), 0, 1, and values far below the last fixed-point place."""
    x, kind = uniform(n, stream), words(n, stream + 1) % np.uint64(8)
    x = np.where(kind == 0, np.floor(x * 11) / 10, x)
    return np.where(kind == 1, x * 2.0**-40, x)


def make_binary(dtype: str, n: int) -> Inputs:
    probs = as_dtype(probabilities(n, 301), dtype)
    return {"probs": probs, "targets": (words(n, 303) % np.uint64(2)).astype(np.int32)}


def make_classes(dtype: str, n: int) -> Inputs:
    k = 7
    scores = uniform(n * k, 311).reshape(n, k) ** 4
    probs = as_dtype(scores / scores.sum(axis=1, keepdims=True), dtype)
    probs[:: max(1, n // 3)] = as_dtype(np.full(k, [0.25, 0.25, 0, 0.5, 0, 0, 0]), dtype)
    return {"probs": probs, "targets": (words(n, 313) % np.uint64(k)).astype(np.int64)}


def make_clusters(dtype: str, n: int) -> Inputs:
    """Documents whose rows are spread over the data, named by numbers or texts; one has rows in the first bin only."""
    inputs = make_binary(dtype, n)
    ids = (words(n, 305) % np.uint64(n // 9 + 2)).astype(np.int64) - 1
    return {**inputs, "clusters": ids if dtype != "float64" else np.char.add("doc ", ids.astype(str))}


def outputs(rows: list[reference.Row], said: dict[str, float]) -> Outputs:
    return {"rows": repr(rows), **said}


def compiled(state: calibration.ReliabilityState) -> Outputs:
    result = state.compute()
    said: dict[str, Any] = {"noise_floor": result.noise_floor}
    for name in ("ece", "rmsce", "mce", "gap"):
        e = getattr(result, name)
        said |= {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high}
        if name != "mce":
            said[f"{name}_standard_error"] = e.standard_error
    rows = state._totals.bins()
    return outputs(list(zip(rows["count"], rows["correct"], rows["sum"], strict=True)), said)


def run(inputs: Inputs) -> Outputs:
    return compiled(calibration.ReliabilityState(N_BINS).update(**inputs))


def merged(inputs: Inputs, cut: float) -> calibration.ReliabilityState:
    """The state of both parts, the later first, through its bytes."""
    at = int(cut * len(inputs["probs"]))
    parts = (slice(0, at), slice(at, None))
    states = [calibration.ReliabilityState(N_BINS).update(**{k: v[part] for k, v in inputs.items()}) for part in parts]
    return calibration.ReliabilityState.from_bytes((states[1] + states[0]).to_bytes())


def split(inputs: Inputs, cut: float) -> Outputs:
    return compiled(merged(inputs, cut))


def student(tail: float, df: float) -> float:
    return -float(_core.t_quantile(np.array([tail]), np.array([float(df)]))[0])


def by_reference(inputs: Inputs) -> Outputs:
    probs, targets = _arrays.floats(inputs["probs"], "probs"), inputs["targets"]
    if probs.ndim == 2:
        probs, targets = reference.top_labels(probs, targets)
    rows = reference.tally(probs, targets, N_BINS)
    return outputs(rows, reference.intervals(rows, student))


def clustered(result: calibration.ReliabilityState) -> Outputs:
    return {**compiled(result), "clusters": repr(clusters_of(result.to_bytes()))}


def run_clusters(inputs: Inputs) -> Outputs:
    return clustered(calibration.ReliabilityState(N_BINS).update(**inputs))


def split_clusters(inputs: Inputs, cut: float) -> Outputs:
    return clustered(merged(inputs, cut))


def clusters_by_reference(inputs: Inputs) -> Outputs:
    probs, targets = _arrays.floats(inputs["probs"], "probs"), inputs["targets"]
    tallies = reference.clustered_tally(probs, targets, inputs["clusters"], N_BINS)
    rows = [reference.added(column) for column in zip(*tallies.values(), strict=True)]
    filled = {name: {b: row for b, row in enumerate(tally) if row[0]} for name, tally in tallies.items()}
    return {**outputs(rows, reference.clustered_intervals(tallies, student)), "clusters": repr(filled)}


def make_weights(dtype: str, n: int) -> Inputs:
    """Rows with weights of any size, some of them equal; those of float64 without clusters."""
    inputs = make_clusters(dtype, n)
    weights = np.exp2(np.floor(12 * uniform(n, 321)) - 6) * (1 + np.floor(4 * uniform(n, 323)) / 3)
    if dtype == "float64":
        del inputs["clusters"]
    return {**inputs, "weights": weights}


def run_weights(inputs: Inputs) -> Outputs:
    return compiled(calibration.ReliabilityState(N_BINS).update(**inputs))


def split_weights(inputs: Inputs, cut: float) -> Outputs:
    return compiled(merged(inputs, cut))


def weights_by_reference(inputs: Inputs) -> Outputs:
    probs, targets, weights = _arrays.floats(inputs["probs"], "probs"), inputs["targets"], inputs["weights"]
    clusters = inputs.get("clusters", np.arange(len(probs)))
    tallies = reference.weighted_tally(probs, targets, weights, clusters, N_BINS)
    rows = [reference.added(column) for column in zip(*tallies.values(), strict=True)]
    return outputs(rows, reference.weighted_intervals(tallies, student))


# Two evaluations of one formula in f64; a bisection ends within 2^-60 of where its formula turns.
BOUND = {
    name: 1e-11
    for error in ("ece", "rmsce", "mce", "gap")
    for name in (error, f"{error}_low", f"{error}_high", f"{error}_standard_error")
    if name != "mce_standard_error"  # a maximum has none
} | {"noise_floor": 1e-14}

CASES = [
    Case(
        name="calibration.reliability",
        covers=("ReliabilityTotals",),
        make=make_binary,
        run=run,
        reference=by_reference,
        lengths=(1, 2, 15, 255, 256, 257, 1000, 66_000),
        bound=BOUND,
        split=split,
    ),
    Case(
        name="calibration.top_label",
        covers=("ReliabilityTotals",),
        make=make_classes,
        run=run,
        reference=by_reference,
        lengths=(1, 2, 16, 300, 40_000),
        bound=BOUND,
        split=split,
    ),
    Case(
        name="calibration.clusters",
        covers=("ReliabilityTotals",),
        make=make_clusters,
        run=run_clusters,
        reference=clusters_by_reference,
        lengths=(4, 15, 257, 1000, 10_000),
        bound=BOUND,
        split=split_clusters,
    ),
    Case(
        name="calibration.weights",
        covers=("ReliabilityTotals",),
        make=make_weights,
        run=run_weights,
        reference=weights_by_reference,
        lengths=(4, 15, 257, 1000),
        bound=BOUND,
        split=split_weights,
    ),
]
