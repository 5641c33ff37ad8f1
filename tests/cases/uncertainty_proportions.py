"""Rows of the intervals and tests of one proportion, and of the difference of two."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from steelyard import _core
from steelyard._registries import names
from steelyard.reference import answers, multinomial, proportions
from steelyard.reference import intervals as reference

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


# Two models' answers: how many both, new alone, base alone and neither got right, as shares of n.
TABLES = ((0, 0, 0), (0.5, 0.2, 0.1), (0.1, 0.3, 0.4), (0.3, 0.4, 0.0), (1, 0, 0), (0, 1, 0))


def _tables(dtype: str, n: int) -> Inputs:
    counts = np.array([[int(share * n) for share in shares] for shares in TABLES])
    return {"tables": np.column_stack([counts, n - counts.sum(1)])}


def _both(table: np.ndarray) -> dict[str, np.ndarray]:
    """The answers of both models."""
    new, base = ((1, 1, 0, 0), (1, 0, 1, 0))
    return {"new": np.repeat(np.float32(new), table), "base": np.repeat(np.float32(base), table)}


def _each_table(method: str, test: str, paired: bool):
    """Unpaired, the baseline has two more rows, of which one is right."""
    of = {"method": method, "test": test, "booleans": (True, True), "confidence_levels": [LEVEL]}

    def run(inputs: Inputs) -> Outputs:
        ends, p = [], []
        for table in inputs["tables"]:
            scores = _both(table)
            if not paired:
                scores["base"] = np.append(scores["base"], np.float32([1, 0]))
            call = _core.paired_comparison if paired else _core.unpaired_comparison
            found = [call(**scores, **of, alternative=side) for side in SIDES]
            ends.append([found[0]["levels"][0][end] for end in ("low", "high")])
            p.append([one["p"] for one in found])
        return {"limits": np.array(ends), "p": np.array(p)}

    return run


def _paired_limits(method: str, a: int, b: int, c: int, d: int) -> tuple[float, float]:
    if method == "exact":
        return answers.fay_lumbard(b, c, a + b + c + d, TAIL)
    if method == "newcombe":
        return answers.newcombe_paired(a, b, c, d, Z)
    return {"tango": reference.tango, "bonett-price": answers.bonett_price}[method](b, c, a + b + c + d, Z)


def _unpaired_limits(method: str, hits: tuple[int, int], rows: tuple[int, int]) -> tuple[float, float]:
    if method == "newcombe":
        return reference.newcombe(*((k / n, reference.wilson(k, n, Z)) for k, n in zip(hits, rows, strict=True)))
    return getattr(answers, method.replace("-", "_"))(hits, rows, Z)


def _mcnemar(test: str, side: str, b: int, c: int) -> float:
    if test == "chi-squared":
        return answers.chi_squared((b - c) / math.sqrt(b + c) if b != c else 0.0, side)
    return (
        proportions.p_value(b, b + c, 0.5, test, side)
        if b + c
        else (0.5 if test == "mid-p" and side != "two-sided" else 1.0)
    )


def _fisher(test: str, side: str, hits: tuple[int, int], rows: tuple[int, int]) -> float:
    if test == "chi-squared":
        return answers.chi_squared(answers.score(hits, rows), side)
    if test == "mid-p":
        return reference.fisher_mid_p(hits, rows, side)
    of = stats.hypergeom(sum(rows), sum(hits), rows[0])
    less, greater = of.cdf(hits[0]), of.sf(hits[0] - 1)
    return {"less": less, "greater": greater, "two-sided": min(1.0, 2 * min(less, greater))}[side]


def _each_table_reference(method: str, test: str, paired: bool):
    def run(inputs: Inputs) -> Outputs:
        ends, p = [], []
        for a, b, c, d in inputs["tables"].tolist():
            hits, rows = (a + b, a + c + 1), (a + b + c + d, a + b + c + d + 2)
            ends.append(_paired_limits(method, a, b, c, d) if paired else _unpaired_limits(method, hits, rows))
            p.append([_mcnemar(test, side, b, c) if paired else _fisher(test, side, hits, rows) for side in SIDES])
        return {"limits": np.array(ends), "p": np.array(p)}

    return run


def _tables_at_once(method: str, test: str, paired: bool):
    """The same tables as counts, in one call for each alternative."""

    def run(inputs: Inputs) -> Outputs:
        a, b, c, d = np.ascontiguousarray(inputs["tables"].T)
        n = a + b + c + d
        counts = {"k": a + b, "base_k": a + c, "n": n} | ({"both": a} if paired else {})
        if not paired:
            counts |= {"base_k": a + c + 1, "base_n": n + 2}
        call = _core.paired_counts if paired else _core.unpaired_counts
        of = {"method": method, "test": test, "confidence_level": LEVEL}
        found = [call(**counts, **of, alternative=side) for side in SIDES]
        ends = np.column_stack([found[0]["low"], found[0]["high"]])
        return {"limits": ends, "p": np.column_stack([one["p"] for one in found])}

    return run


def _categories(dtype: str, n: int) -> Inputs:
    return {"counts": np.array([[n, n + 1, 0], [n // 3, 2 * n, 5], [1, 1, n]], np.int64)}


def _multinomial(method: str):
    def run(inputs: Inputs) -> Outputs:
        counts = inputs["counts"]
        found = _core.multinomial_intervals(counts=counts.ravel(), categories=3, method=method, **HOW)
        return {end: found[end].reshape(counts.shape) for end in ("value", "low", "high")}

    return run


def _multinomial_reference(method: str):
    def run(inputs: Inputs) -> Outputs:
        rows = inputs["counts"].tolist()
        z = float(stats.norm.isf(TAIL / 3))
        of = [
            multinomial.goodman(row, z) if method == "goodman" else multinomial.sison_glaz(row, LEVEL) for row in rows
        ]
        low, high = np.moveaxis(np.array(of), -1, 0)
        return {"value": inputs["counts"] / inputs["counts"].sum(1, keepdims=True), "low": low, "high": high}

    return run


# Each method beside one of the tests, which do not depend on it.
TESTS = names("answers.test")
NAMED = [
    (kind, method, TESTS[i % len(TESTS)])
    for kind in ("paired", "unpaired")
    for i, method in enumerate(names(f"{kind}.method"))
]


CASES = [
    *(
        Case(
            name=f"intervals.multinomial_{method}", covers=("multinomial_intervals",), make=_categories,
            run=_multinomial(method), reference=_multinomial_reference(method), dtypes=("",),
            lengths=(1, 2, 7, 40), bound={"low": 1e-10, "high": 1e-10},
        )
        for method in names("multinomial.method")
    ),
    *(
        Case(
            name=f"intervals.{kind}_{method}", covers=(f"{kind}_comparison",), make=_tables,
            run=_each_table(method, test, kind == "paired"),
            reference=_each_table_reference(method, test, kind == "paired"), dtypes=("",),
            lengths=(1, 2, 5, 40, 120 if method == "exact" else 700), bound={"limits": 1e-11, "p": 1e-12},
        )
        for kind, method, test in NAMED
    ),
    *(
        Case(
            name=f"intervals.{kind}_counts_{method}", covers=(f"{kind}_counts",), make=_tables,
            run=_tables_at_once(method, test, kind == "paired"),
            reference=_each_table_reference(method, test, kind == "paired"), dtypes=("",),
            lengths=(1, 2, 5, 40, 120 if method == "exact" else 700), bound={"limits": 1e-11, "p": 1e-12},
        )
        for kind, method, test in NAMED
    ),
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
