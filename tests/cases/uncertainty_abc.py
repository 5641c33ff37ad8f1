"""Rows of the bootstrap without resampling (ABC) and with twice as much (double)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from steelyard import _core
from steelyard.reference import abc, double, sums

from . import Case, Inputs, Outputs, as_dtype
from .uncertainty_bootstrap import SEED, core, sums_columns
from .uncertainty_designs import ONE_KIND, _make

FIELDS = ("value", "standard_error", "low", "high", "acceleration", "z0", "curvature", "bias")
FEW = 9  # outer resamples, each with 24 inner ones


def _abc(statistic: str, plan: dict[str, Any], inputs: Inputs) -> Outputs:
    codes = inputs["clusters"]
    found = _core.abc_interval(
        [core(x) for x in inputs["columns"]], statistic, codes=codes, clusters=0 if codes is None else int(codes[-1]) + 1,
        weights=inputs["weights"], stratum_codes=inputs["strata"], strata=plan.get("strata", 0),
        average=plan.get("average", "micro"), confidence_level=0.8, alternative="two-sided",
    )  # fmt: skip
    return {name: found[name] for name in FIELDS}


def _abc_reference(statistic: str, plan: dict[str, Any], inputs: Inputs) -> Outputs:
    return abc.abc(
        statistic, [x.astype(np.float64) for x in inputs["columns"]], clusters=inputs["clusters"],
        weights=inputs["weights"], strata=inputs["strata"], macro="average" in plan, confidence_level=0.8,
    )  # fmt: skip


def _rows(statistic: str, units: bool, dtype: str, n: int) -> Inputs:
    columns = [as_dtype(x, dtype) for x in sums_columns(statistic, n)]
    return {"columns": columns, "codes": np.arange(n) % (n // 3) if units else None}


NUMBERS = ("value", "standard_error", "low", "high", "low_error", "high_error", "replicates")


def _double(statistic: str, inputs: Inputs) -> Outputs:
    codes = inputs["codes"]
    found = _core.bootstrap(
        [core(x) for x in inputs["columns"]], statistic, codes=codes, clusters=0 if codes is None else int(codes.max()) + 1,
        method="double", n_resamples=FEW, seed=SEED, confidence_level=0.2, alternative="two-sided",
    )  # fmt: skip
    return {name: found[name] for name in NUMBERS}


def _double_reference(statistic: str, inputs: Inputs) -> Outputs:
    columns, codes = [x.astype(np.float64) for x in inputs["columns"]], inputs["codes"]
    of, units = sums.definition(statistic), len(columns[0]) if codes is None else int(codes.max()) + 1

    def value(counts: np.ndarray) -> float:
        return float(of(*columns, counts if codes is None else counts[codes]))

    how: Any = {"n_resamples": FEW, "seed": SEED, "confidence_level": 0.2, "tie": 1e-11}
    found = double.double(value, units, **how)
    return {name: found[name] for name in NUMBERS}


def _bound(inputs: Inputs) -> float:
    return 1e-10 * max(float(np.abs(x.astype(np.float64)).max()) for x in inputs["columns"])


CASES = [
    *(
        Case(
            name=f"uncertainty.abc_{statistic.replace('/', '_by_')}_{name.replace(' ', '_')}",
            covers=("abc_interval",),
            dtypes=("float32", "float64"),
            lengths=(45,),
            make=partial(_make, statistic, plan),
            run=partial(_abc, statistic, plan),
            reference=partial(_abc_reference, statistic, plan),
            bound=dict.fromkeys(FIELDS, 1e-6),
        )
        for statistic in ("mean", "variance", "correlation", "f1", "mean/std")
        for name, plan in (("rows", {}), ("clusters", {"clusters": True}), *ONE_KIND.items())
    ),
    *(
        Case(
            name=f"uncertainty.double_{statistic.replace('/', '_by_')}{'_clusters' if units else ''}",
            covers=("bootstrap",),
            dtypes=("float32", "float64"),
            lengths=(12, 40, 1100),
            make=partial(_rows, statistic, units),
            run=partial(_double, statistic),
            reference=partial(_double_reference, statistic),
            bound=dict.fromkeys(NUMBERS, _bound),
        )
        for statistic in ("mean", "ratio", "variance", "slope")
        for units in (False, True)
    ),
]
