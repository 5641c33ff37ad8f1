"""Rows of the room of uncertainty: comparisons of two samples of different rows."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy import stats

from steelyard import _core
from steelyard._registries import names
from steelyard.reference import answers as by_name
from steelyard.reference import intervals as reference

from . import Case, Inputs, Outputs, as_dtype, normalish, uniform, words

LEVEL, TAIL = 0.95, 0.025
Z = float(stats.norm.isf(TAIL))
SIDES = names("interval.alternative")
SAID = ("value", "standard_error", "low", "high", "df")


def _core_array(x: np.ndarray) -> np.ndarray:
    """A bfloat16 array travels as its bits."""
    return x.view(np.uint16) if x.dtype.name == "bfloat16" else x


def _t(df: float) -> float:
    return float(stats.t.isf(TAIL, df))


def _answers(n: int, stream: int) -> np.ndarray:
    return (uniform(n, stream) < 0.6).astype(np.float64)


def _samples(kind: str, dtype: str, n: int) -> Inputs:
    """Two samples of different lengths; the baseline is always float32."""
    draw = _answers if kind.startswith("answers") else (lambda n, stream: 3.0 + normalish(n, stream))
    other = n + n // 3 + 2
    made = {"new": as_dtype(draw(n, 21), dtype), "base": draw(other, 22).astype(np.float32)}
    if kind.endswith("clusters"):
        codes = [(words(rows, 23) % np.uint64(5)).astype(np.int64) for rows in (n, other)]
        made["codes"] = tuple(np.where(np.arange(len(c)) < 5, np.arange(len(c)), c) for c in codes)
    return made


def _run(inputs: Inputs) -> Outputs:
    codes = inputs.get("codes")
    found = _core.unpaired_comparison(
        new=_core_array(inputs["new"]), base=_core_array(inputs["base"]), booleans=(False, False), codes=codes,
        clusters=None if codes is None else tuple(int(c.max()) + 1 for c in codes), confidence_levels=[LEVEL],
        alternative="two-sided",
    )  # fmt: skip
    return {name: found["levels"][0][name] for name in SAID} | {"p": found["p"]}


def _p(value: float, error: float, df: float) -> float:
    return float(2 * stats.t.sf(abs(value / error), df))


def _answers_reference(inputs: Inputs) -> Outputs:
    hits, rows = (
        [int(inputs[k].astype(np.float64).sum()) for k in ("new", "base")],
        [len(inputs[k]) for k in ("new", "base")],
    )
    sides = [(k / n, reference.wilson(k, n, Z)) for k, n in zip(hits, rows, strict=True)]
    errors = [
        (high - low) / (2 * Z) if p in (0.0, 1.0) else (p * (1 - p) / (n - 1)) ** 0.5
        for (p, (low, high)), n in zip(sides, rows, strict=True)
    ]
    low, high = reference.newcombe(*sides)
    p = reference.fisher_mid_p(tuple(hits), tuple(rows))
    value = sides[0][0] - sides[1][0]
    return dict(zip(SAID, (value, np.hypot(*errors), low, high, np.nan), strict=True)) | {"p": p}


def _scores_reference(inputs: Inputs) -> Outputs:
    x, y = (inputs[k].astype(np.float64) for k in ("new", "base"))
    variances = tuple(reference.moments(v)[1] / (len(v) - 1) / len(v) for v in (x, y))
    return _student(x.mean() - y.mean(), variances, (len(x) - 1, len(y) - 1))


def _student(value: float, variances: tuple[float, float], dfs: tuple[float, float]) -> Outputs:
    error, df = sum(variances) ** 0.5, reference.welch(variances, dfs)
    half = _t(df) * error
    said = zip(SAID, (value, error, value - half, value + half, df), strict=True)
    return dict(said) | {"p": _p(value, error, df)}


def _clustered(inputs: Inputs) -> list[tuple[float, float, float, int, int]]:
    found = []
    for name, codes in zip(("new", "base"), inputs["codes"], strict=True):
        sums, sizes = reference.cluster_sums(inputs[name].astype(np.float64), codes, int(codes.max()) + 1)
        found.append((*reference.clustered(sums, sizes), len(codes), len(sums)))
    return found


def _scores_clusters_reference(inputs: Inputs) -> Outputs:
    (a, v, f, *_), (b, w, g, *_) = _clustered(inputs)
    return _student(a - b, (v, w), (f, g))


def _answers_clusters_reference(inputs: Inputs) -> Outputs:
    sides = _clustered(inputs)
    limits = []
    for m, variance, df, n, clusters in sides:
        effective = reference.effective_rows(m, variance, n, clusters)
        limits.append((m, reference.wilson(m * effective, effective, _t(df))))
    low, high = reference.newcombe(*limits)
    (a, v, f, *_), (b, w, g, *_) = sides
    value, error, df = a - b, (v + w) ** 0.5, reference.welch((v, w), (f, g))
    return dict(zip(SAID, (value, error, low, high, df), strict=True)) | {"p": _p(value, error, df)}


REFERENCES = {
    "answers": (_answers_reference, (1, 2, 5, 16, 17, 1000)),
    "scores": (_scores_reference, (2, 5, 16, 17, 1000, 70_001)),
    "answers_clusters": (_answers_clusters_reference, (40, 77, 1000)),
    "scores_clusters": (_scores_clusters_reference, (15, 16, 17, 1000, 70_001)),
}
CLOSE = dict.fromkeys(("value", "standard_error", "low", "high", "p"), 1e-11) | {"df": lambda i: 1e-11 * len(i["new"])}


def _table(dtype: str, n: int) -> Inputs:
    hits = {side: (np.arange(n) < k).astype(np.float32) for side, k in (("new", n // 3), ("base", n // 2))}
    return {"new": hits["new"], "base": hits["base"][: max(1, n - n // 7)]}


def _fisher(inputs: Inputs) -> Outputs:
    of = {"new": inputs["new"], "base": inputs["base"], "booleans": (True, True), "confidence_levels": [LEVEL]}
    return {side: _core.unpaired_comparison(**of, alternative=side)["p"] for side in SIDES}


def _fisher_reference(inputs: Inputs) -> Outputs:
    hits, rows = ([int(f(inputs[k])) for k in ("new", "base")] for f in (np.sum, len))
    return {side: reference.fisher_mid_p(tuple(hits), tuple(rows), side) for side in SIDES}


def _grades(dtype: str, n: int) -> Inputs:
    """Grades in tenths, of which the new ones are a little better."""
    new, base = ((words(m, stream) % np.uint64(9)).astype(np.int64) for m, stream in ((n, 24), (n // 2 + 1, 25)))
    return {"new": as_dtype((new + 2) / 10, dtype), "base": (base + 1).astype(np.float64) / 10}


def _permutation(inputs: Inputs) -> Outputs:
    of = {"new": _core_array(inputs["new"]), "base": inputs["base"], "booleans": (False, False)}
    how = {"scores_test": "permutation", "confidence_levels": [LEVEL]}
    return {side: _core.unpaired_comparison(**of, **how, alternative=side)["p"] for side in SIDES}


def _permutation_reference(inputs: Inputs) -> Outputs:
    new, base = (np.rint(inputs[k].astype(np.float64) * 10).astype(int).tolist() for k in ("new", "base"))
    return {side: by_name.permutation(new, base, side) for side in SIDES}


CASES = [
    Case(
        name="uncertainty.permutation", covers=("unpaired_comparison",), make=_grades, run=_permutation,
        reference=_permutation_reference, dtypes=("float32", "float64"), lengths=(1, 2, 5, 16, 60, 150),
        bound=dict.fromkeys(SIDES, 1e-12),
    ),
    *(
        Case(
            name=f"uncertainty.unpaired_{kind}", covers=("unpaired_comparison",), make=partial(_samples, kind), run=_run,
            reference=of, lengths=lengths, bound=CLOSE,
        )
        for kind, (of, lengths) in REFERENCES.items()
    ),
    Case(
        name="uncertainty.fisher", covers=("unpaired_comparison",), make=_table, run=_fisher,
        reference=_fisher_reference, dtypes=("",), lengths=(1, 2, 3, 9, 40, 700), bound=dict.fromkeys(SIDES, 1e-13),
    ),
]  # fmt: skip
