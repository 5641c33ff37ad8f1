"""Rows of the statistics of sorted rows: the bootstrap by rows and by clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from steelyard import _core
from steelyard._registries import REGISTRIES
from steelyard.reference import ordered as reference

from . import Case, Inputs, Outputs, as_dtype, normalish, uniform, words
from .uncertainty_bootstrap import COUNTED, NUMBERS, SEED, by_method, core

COUNT = 199
PARAMETERS = {"quantile": (0.8,), "trimmed_mean": (0.1,), "ece": (15.0,)}


def _columns(statistic: str, dtype: str, n: int) -> list[np.ndarray]:
    """Half of the values are rounded, so that many are tied; 0/1 targets lean towards large scores."""
    x = normalish(n, n + 21)
    x = as_dtype(np.where(words(n, n + 22) % np.uint64(2) == 0, np.round(x, 1), x), dtype)
    second = normalish(n, n + 23) + 0.5 * x.astype(np.float64)
    match REGISTRIES["uncertainty.statistic"][statistic].columns:
        case (_, "targets"):
            return [x, as_dtype((second > 0).astype(np.float64), dtype)]
        case (_, "outcomes"):
            return [as_dtype(uniform(n, 24), dtype), as_dtype((second > 0).astype(np.float64), dtype)]
        case (_, _):
            return [x, as_dtype(np.round(second, 1), dtype)]
    return [x]


def _inputs(statistic: str, clustered: bool) -> Callable[[str, int], Inputs]:
    def make(dtype: str, n: int) -> Inputs:
        count = max(2, n // 3)
        codes = np.append(np.arange(count), words(n, n + 3) % np.uint64(count))[:n].astype(np.int64)
        return {"columns": _columns(statistic, dtype, n), "codes": codes if clustered else None}

    return make


def _run(statistic: str) -> Callable[[Inputs], Outputs]:
    def options(_: Inputs, method: str) -> dict[str, Any]:
        return {
            "parameters": PARAMETERS.get(statistic, ()), "method": method, "n_resamples": COUNT, "seed": SEED,
            "confidence_level": 0.5,
        }  # fmt: skip

    return by_method(_core.bootstrap, statistic, options, NUMBERS, COUNTED)


def _reference(statistic: str) -> Callable[[Inputs], Outputs]:
    def run(inputs: Inputs) -> Outputs:
        columns = [x.astype(np.float64) for x in inputs["columns"]]
        codes = np.arange(len(columns[0])) if inputs["codes"] is None else inputs["codes"]
        units = [np.flatnonzero(codes == unit) for unit in range(int(codes.max()) + 1)]
        said = {}
        for method in COUNTED:
            found = reference.bootstrap(
                statistic, columns, PARAMETERS.get(statistic, ()), units=units, method=method, n_resamples=COUNT,
                seed=SEED, confidence_level=0.5,
            )  # fmt: skip
            said |= {f"{method}_{name}": value for name, value in found.items()}
        return said

    return run


CASES = [
    Case(
        name=f"uncertainty.bootstrap_{statistic}{'_clusters' if clustered else ''}",
        covers=("bootstrap",),
        dtypes=("float64", "float32", "bfloat16") if statistic in {"median", "auc"} else ("float64",),
        lengths=(100, 257, 1030),
        make=_inputs(statistic, clustered),
        run=_run(statistic),
        reference=_reference(statistic),
        bound={f"{method}_{name}": 1e-11 for method in COUNTED for name in NUMBERS},
    )
    for statistic in reference.STATISTICS
    for clustered in (False, True)
]


# -- intervals in closed form -----------------------------------------------------------------------------

FIELDS = ("value", "standard_error", "low", "high", "df")


def _interval(statistic: str) -> Callable[[Inputs], Outputs]:
    def run(inputs: Inputs) -> Outputs:
        codes, columns = inputs["codes"], [core(x) for x in inputs["columns"]]
        options = {
            "codes": codes, "clusters": 0 if codes is None else int(codes.max()) + 1, "confidence_level": 0.9,
            "alternative": "two-sided",
        }  # fmt: skip
        if statistic == "auc":
            found = _core.auc_interval(columns, **options)
        else:
            found = _core.quantile_interval(columns, *PARAMETERS[statistic], **options)
        return {name: found[name] for name in FIELDS}

    return run


def _interval_reference(statistic: str) -> Callable[[Inputs], Outputs]:
    def run(inputs: Inputs) -> Outputs:
        columns = [x.astype(np.float64) for x in inputs["columns"]]
        if statistic == "auc":
            return reference.auc_interval(columns[0], columns[1], inputs["codes"], 0.9)
        return reference.quantile_interval(columns[0], *PARAMETERS[statistic], inputs["codes"], 0.9)

    return run


CASES += [
    Case(
        name=f"uncertainty.{statistic}_interval{'_clusters' if clustered else ''}",
        covers=(f"{statistic}_interval",),
        dtypes=("float64", "float32", "bfloat16"),
        lengths=(100, 257, 1030),
        make=_inputs(statistic, clustered),
        run=_interval(statistic),
        reference=_interval_reference(statistic),
        bound=dict.fromkeys(FIELDS, 1e-9),
    )
    for statistic in ("quantile", "auc")
    for clustered in (False, True)
]
