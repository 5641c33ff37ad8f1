"""Rows of the bootstrap of nested clusters, in strata, with weights and in blocks."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from steelyard import _core
from steelyard._registries import names
from steelyard.reference import designs as reference

from . import Case, Inputs, Outputs, as_dtype, normalish, uniform
from .uncertainty_bootstrap import COUNT, COUNTED, NUMBERS, SEED, core, sums_columns

ONE_KIND: dict[str, dict[str, Any]] = {
    "strata": {"strata": 3},
    "macro": {"strata": 3, "average": "macro"},
    "weights": {"weights": True},
    "weighted clusters in strata": {"strata": 3, "weights": True, "clusters": True},
}
PLANS: dict[str, dict[str, Any]] = ONE_KIND | {
    "crossed clusters": {"crossed": True},
    "weighted crossed clusters": {"crossed": True, "weights": True},
    "nested clusters": {"nested": True},
    "macro of nested clusters in strata": {"strata": 3, "average": "macro", "nested": True, "weights": True},
}


def _make(statistic: str, plan: dict[str, Any], dtype: str, n: int) -> Inputs:
    """Three rows a cluster, and clusters (or rows) in strata of different sizes."""
    clusters, parents = np.arange(n) // 3 if "clusters" in plan else None, None
    units = n if clusters is None else int(clusters[-1]) + 1
    if "nested" in plan:
        clusters, parents = np.arange(n) // 2, _parents((n + 1) // 2)
        units = int(parents[0][-1]) + 1
    if "crossed" in plan:
        clusters = np.arange(n) // 2
    return {
        "parents": parents,
        "cells": np.divmod(np.arange(int(clusters[-1]) + 1), 5) if "crossed" in plan and clusters is not None else None,
        "outermost": units if parents else 0,
        "columns": [as_dtype(x, dtype) for x in sums_columns(statistic, n)],
        "clusters": clusters,
        "strata": np.minimum(np.arange(units) % 5, 2) if "strata" in plan else None,
        "weights": 0.5 + uniform(n, 41) if "weights" in plan else None,
    }


def _parents(innermost: int) -> list[np.ndarray]:
    """The clusters around the middle ones, and those around the innermost ones: one to four inside each."""
    inner = np.repeat(np.arange(innermost), 1 + np.arange(innermost) % 4)[:innermost]
    middle = int(inner[-1]) + 1
    return [np.repeat(np.arange(middle), 1 + (np.arange(middle) + 2) % 3)[:middle], inner]


def _run(statistic: str, plan: dict[str, Any], inputs: Inputs) -> Outputs:
    codes, said = inputs["clusters"], {}
    for method in COUNTED:
        found = _core.bootstrap(
            [core(x) for x in inputs["columns"]], statistic, codes=codes,
            clusters=0 if codes is None else int(codes[-1]) + 1, weights=inputs["weights"],
            outermost=inputs["outermost"], parents=inputs["parents"], crossed=inputs["cells"],
            kinds=[int(of.max()) + 1 for of in inputs["cells"] or ()], stratum_codes=inputs["strata"],
            strata=plan.get("strata", 0), average=plan.get("average", "micro"),
            method=method, n_resamples=COUNT, seed=SEED, confidence_level=0.5, alternative="two-sided",
        )  # fmt: skip
        said |= {f"{method}_{name}": found[name] for name in NUMBERS}
    return said


def _reference(statistic: str, plan: dict[str, Any], inputs: Inputs) -> Outputs:
    codes, strata, said = inputs["clusters"], inputs["strata"], {}
    columns = [x.astype(np.float64) for x in inputs["columns"]]
    parents, outermost = inputs["parents"], None
    units = inputs["outermost"] if parents else len(columns[0]) if codes is None else int(codes[-1]) + 1
    same = np.zeros(units, np.int64) if strata is None else strata
    counts = [reference.in_strata(same, SEED, r) for r in range(COUNT)]
    if parents:
        counts = [reference.in_levels(parents, drawn, SEED, r) for r, drawn in enumerate(counts)]
        outermost = parents[0][parents[1]]
    if inputs["cells"]:
        counts = [reference.crossed(*inputs["cells"], SEED, r) for r in range(COUNT)]
    for method in COUNTED:
        found = reference.of_design(
            statistic, columns, counts, clusters=codes, weights=inputs["weights"], strata=strata,
            outermost=outermost, kinds=inputs["cells"], macro="average" in plan, method=method, confidence_level=0.5,
        )  # fmt: skip
        said |= {f"{method}_{name}": value for name, value in found.items()}
    return said


def _bound(inputs: Inputs) -> float:
    """Of what has the unit of the values: replicates are that close, and limits lie between two of them."""
    return 1e-10 * max(float(np.abs(x.astype(np.float64)).max()) for x in inputs["columns"])


# -- blocks -----------------------------------------------------------------------------------------------


def _series(dtype: str, n: int) -> Inputs:
    """Each value has part of the one before."""
    x = normalish(n, n + 5)
    for i in range(1, n):
        x[i] += 0.6 * x[i - 1]
    return {"columns": [as_dtype(x, dtype)]}


def _run_blocks(inputs: Inputs) -> Outputs:
    columns, said = [core(x) for x in inputs["columns"]], {}
    for kind in names("bootstrap.blocks"):
        found = _core.bootstrap(
            columns, "mean", blocks=kind, block_length=3.5, method="percentile", n_resamples=COUNT, seed=SEED,
            confidence_level=0.5, alternative="two-sided",
        )  # fmt: skip
        said[f"{kind}_length"] = _core.block_length(columns, "mean", kind=kind)["length"]
        said[f"{kind}_replicates"] = found["replicates"]
    return said


def _blocks_reference(inputs: Inputs) -> Outputs:
    x, said = inputs["columns"][0].astype(np.float64), {}
    for kind in names("bootstrap.blocks"):
        length = 3.5 if kind == "stationary" else 3
        counts = [reference.in_blocks(kind, length, len(x), SEED, r) for r in range(COUNT)]
        said[f"{kind}_length"] = reference.block_length(x, kind)
        said[f"{kind}_replicates"] = np.array([c @ x for c in counts]) / len(x)
    return said


CASES = [
    Case(
        name="uncertainty.bootstrap_blocks",
        covers=("bootstrap", "block_length"),
        dtypes=("float32", "float64"),
        lengths=(40, 1025),
        make=_series,
        run=_run_blocks,
        reference=_blocks_reference,
        bound={
            f"{kind}_{field}": 1e-9 if field == "length" else _bound
            for kind in names("bootstrap.blocks")
            for field in ("length", "replicates")
        },
    ),
    *(
        Case(
            name=f"uncertainty.bootstrap_{statistic}_{name.replace(' ', '_')}",
            covers=("bootstrap",),
            dtypes=("float32", "float64"),
            lengths=(90, 1025),
            make=partial(_make, statistic, plan),
            run=partial(_run, statistic, plan),
            reference=partial(_reference, statistic, plan),
            bound={
                f"{method}_{field}": 1e-9 if field == "acceleration" else _bound
                for method in COUNTED
                for field in NUMBERS
            },
        )
        for statistic in ("mean", "ratio", "sum", "variance", "f1")
        for name, plan in PLANS.items()
    ),
]
