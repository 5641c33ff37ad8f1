"""Rows of the intervals and tests of one proportion."""

from __future__ import annotations

import numpy as np
from scipy import stats

from steelyard import _core
from steelyard._registries import names
from steelyard.reference import intervals as reference
from steelyard.reference import proportions

from . import Case, Inputs, Outputs

LEVEL, TAIL = 0.95, 0.025
HOW = {"confidence_level": LEVEL, "alternative": "two-sided"}
Z = float(stats.norm.isf(TAIL))
SIDES = names("interval.alternative")


def _counts(dtype: str, n: int) -> Inputs:
    k = np.arange(n + 1)[:: max(1, n // 20)].astype(np.int64)
    return {"k": k, "n": np.full_like(k, n)}


def _proportions(method: str):
    def run(inputs: Inputs) -> Outputs:
        return _core.proportion_intervals(k=inputs["k"], n=inputs["n"], method=method, **HOW)

    return run


def _limits(method: str, k: int, n: int) -> tuple[float, float]:
    if method == "clopper-pearson":
        return reference.clopper_pearson(k, n, TAIL)
    if method == "jeffreys":
        beta = stats.beta(k + 0.5, n - k + 0.5)
        return (float(beta.ppf(TAIL)) if k else 0.0, float(beta.isf(TAIL)) if k < n else 1.0)
    if method in {"mid-p", "blaker"}:
        return getattr(proportions, method.replace("-", "_"))(k, n, TAIL)
    return BY_Z[method](k, n, Z)


BY_Z = {
    "wilson": reference.wilson, "wald": reference.wald, "agresti-coull": reference.agresti_coull,
    "wilson-cc": proportions.wilson_cc, "arcsine": proportions.arcsine, "logit": proportions.logit,
    "likelihood": proportions.likelihood, "scas": proportions.scas,
}  # fmt: skip


def _proportions_reference(method: str):
    def run(inputs: Inputs) -> Outputs:
        k, n = inputs["k"], inputs["n"]
        limits = np.array([_limits(method, int(a), int(b)) for a, b in zip(k, n, strict=True)])
        wilson = np.array([reference.wilson(int(a), int(b), Z) for a, b in zip(k, n, strict=True)])
        p = k / n
        error = np.where(
            (k == 0) | (k == n), (wilson[:, 1] - wilson[:, 0]) / (2 * Z), np.sqrt(p * (1 - p) / np.maximum(n - 1, 1))
        )
        return {"value": p, "standard_error": error, "low": limits[:, 0], "high": limits[:, 1]}

    return run


# The method whose interval inverts each test.
INVERTED = {
    "exact": "clopper-pearson", "mid-p": "mid-p", "blaker": "blaker", "score": "wilson", "score-cc": "wilson-cc",
    "scas": "scas", "likelihood": "likelihood",
}  # fmt: skip


def _tested(test: str):
    def run(inputs: Inputs) -> Outputs:
        k, n, p0 = inputs["k"], inputs["n"], np.full(len(inputs["k"]), 0.375)
        of = {"k": k, "n": n, "p0": p0, "method": INVERTED[test]}
        return {side: _core.proportion_tests(**of, alternative=side)["p"] for side in SIDES}

    return run


def _tested_reference(test: str):
    def run(inputs: Inputs) -> Outputs:
        rows = list(zip(inputs["k"].tolist(), inputs["n"].tolist(), strict=True))
        return {side: np.array([proportions.p_value(k, n, 0.375, test, side) for k, n in rows]) for side in SIDES}

    return run


CASES = [
    *(
        Case(
            name=f"intervals.proportion_{method}", covers=("proportion_intervals",), make=_counts,
            run=_proportions(method), reference=_proportions_reference(method), dtypes=("",),
            lengths=(1, 2, 10, 77, 400), bound={"standard_error": 1e-14, "low": 1e-12, "high": 1e-12},
        )
        for method in names("proportion.method")
    ),
    *(
        Case(
            name=f"intervals.proportion_test_{test}", covers=("proportion_tests",), make=_counts, run=_tested(test),
            reference=_tested_reference(test), dtypes=("",), lengths=(1, 2, 10, 77, 400),
            bound=dict.fromkeys(SIDES, 1e-12),
        )
        for test in names("proportion.test")
    ),
]  # fmt: skip
