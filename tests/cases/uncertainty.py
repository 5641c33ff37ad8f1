"""Rows of the intervals, and of the uncertainty room that stands on them."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from steelyard import _core
from steelyard._registries import names
from steelyard.reference import intervals as reference
from steelyard.reference import repeats, sums

from ..answers import compared
from . import Case, Inputs, Outputs, as_dtype, normalish, uniform, words
from .uncertainty_bootstrap import OTHERS, QUOTIENTS, sums_columns

LEVEL, TAIL = 0.95, 0.025
HOW = {"confidence_level": LEVEL, "alternative": "two-sided"}
Z = float(stats.norm.isf(TAIL))
LENGTHS = (1, 2, 15, 16, 17, 1000, 70_001)
CLUSTERS = 7
FLOATS = ("float32", "float64", "bfloat16", "float16")


def core(x: np.ndarray) -> np.ndarray:
    """A bfloat16 array travels as its bits."""
    return x.view(np.uint16) if x.dtype.name == "bfloat16" else x


def t(df: float) -> float:
    return float(stats.t.isf(TAIL, df))


# -- columns ----------------------------------------------------------------------------------------------


def _column(dtype: str, n: int) -> Inputs:
    return {"x": as_dtype(3.0 + normalish(n, n), dtype)}


def _binary(dtype: str, n: int) -> Inputs:
    return {"x": as_dtype((uniform(n, 5) < 0.7).astype(np.float64), dtype)}


def _broken(dtype: str, n: int) -> Inputs:
    x = as_dtype(normalish(n, n), dtype)
    x[n // 2] = np.nan
    x[-1] = np.inf
    return {"x": x}


def _moments(inputs: Inputs) -> Outputs:
    return _core.column_moments(core(inputs["x"]))


def _moments_reference(inputs: Inputs) -> Outputs:
    x = inputs["x"].astype(np.float64)
    finite = np.isfinite(x)
    if not finite.all():
        return {"bad": int(np.flatnonzero(~finite)[0])}
    mean, squares = reference.moments(x)
    ones = int(x.sum()) if np.isin(x, (0, 1)).all() else None
    low, high = x.min().item(), x.max().item()
    step = float(np.abs(x).max()) * (2.0**-23 if inputs["x"].dtype == np.float32 else 2.0**-52)
    return {"mean": mean, "squares": squares, "low": low, "high": high, "step": step, "ones": ones}


def _mean_bound(inputs: Inputs) -> float:
    return 2.0**-40 * np.abs(inputs["x"].astype(np.float64)).mean()


def _squares_bound(inputs: Inputs) -> float:
    return 2.0**-40 * np.square(inputs["x"].astype(np.float64)).sum()


MOMENTS = {
    "covers": ("column_moments",), "run": _moments, "reference": _moments_reference, "lengths": LENGTHS,
    "bound": {"mean": _mean_bound, "squares": _squares_bound},
}  # fmt: skip


# -- clusters ---------------------------------------------------------------------------------------------


def _rows(dtype: str, n: int) -> Inputs:
    codes = (words(n, 9) % np.uint64(CLUSTERS)).astype(np.int64)
    return {"x": as_dtype(normalish(n, n), dtype), "codes": codes}


def _cluster_sums(inputs: Inputs) -> Outputs:
    sums, sizes = _core.cluster_sums(core(inputs["x"]), inputs["codes"], clusters=CLUSTERS, shift=0.25)
    return {"sums": sums, "sizes": sizes}


def _cluster_sums_reference(inputs: Inputs) -> Outputs:
    x = inputs["x"].astype(np.float64)
    sums, sizes = reference.cluster_sums(x, inputs["codes"], CLUSTERS, 0.25)
    return {"sums": sums, "sizes": sizes}


def _cluster_bound(inputs: Inputs) -> float:
    x = inputs["x"].astype(np.float64)
    return len(x) * 2.0**-53 * np.abs(x - 0.25).sum()


def _ids(dtype: str, n: int) -> Inputs:
    return {"ids": (words(n, 12) % np.uint64(2 * n)).astype(np.int64) * 2 - n}


def _near(inputs: Inputs) -> Outputs:
    found = _core.near_codes(inputs["ids"])
    assert found is not None
    return {"codes": found["codes"], "ids": found["low"] + found["above"]}


def _near_reference(inputs: Inputs) -> Outputs:
    codes, unique = reference.near_codes(inputs["ids"])
    return {"codes": codes, "ids": unique}


def _weighted_rows(dtype: str, n: int) -> Inputs:
    return _rows(dtype, n) | {"weights": 2.0 ** (5 * normalish(n, 10))}


def _weighted_sums(inputs: Inputs) -> Outputs:
    sums, sizes = _core.cluster_sums(
        core(inputs["x"]), inputs["codes"], clusters=CLUSTERS, shift=0.25, weights=inputs["weights"]
    )
    return {"sums": sums, "sizes": sizes}


def _scaled(inputs: Inputs) -> np.ndarray:
    """The weights times the power of two that brings the largest into [1, 2)."""
    w = inputs["weights"]
    return np.ldexp(w, 1 - np.frexp(w.max())[1]) if len(w) else w


def _weighted_sums_reference(inputs: Inputs) -> Outputs:
    x = inputs["x"].astype(np.float64)
    sums, sizes = reference.weighted_sums(x, _scaled(inputs), inputs["codes"], CLUSTERS, 0.25)
    return {"sums": sums, "sizes": sizes}


def _weighted_bound(inputs: Inputs) -> float:
    x, w = inputs["x"].astype(np.float64), _scaled(inputs)
    return (len(x) + 2) * 2.0**-53 * (w * (1 + np.abs(x - 0.25))).sum()


def _sums(dtype: str, groups: int) -> Inputs:
    sizes = 1.0 + (words(groups, 3) % np.uint64(9)).astype(np.float64)
    return {"sums": sizes * (1.0 + normalish(groups, 4)), "sizes": sizes}


def _ones(dtype: str, groups: int) -> Inputs:
    sizes = 1.0 + (words(groups, 3) % np.uint64(9)).astype(np.float64)
    return {"sums": np.floor(sizes * uniform(groups, 4)), "sizes": sizes, "score": "answers"}


def _halves(dtype: str, groups: int) -> Inputs:
    """Wins, ties and losses: halves of whole numbers."""
    return {key: 0.5 * value if key == "sums" else value for key, value in _ones(dtype, groups).items()} | {
        "score": "shares"
    }


FOUND = ("value", "standard_error", "low", "high", "df", "n_effective", "unspread")


def _ratio_rows(kind: str, dtype: str, n: int) -> Inputs:
    """A denominator above 0 and a numerator that is large beside what the ratio leaves of it."""
    y = as_dtype(1.0 + uniform(n, n), dtype)
    x = as_dtype(100.0 * y.astype(np.float64) + normalish(n, n + 1), dtype)
    rows, weights = np.arange(n), 0.5 + uniform(n, 3)
    codes = {"rows": rows, "clusters": rows % max(2, n // 3), "weights": rows}[kind]
    return {"columns": [x, y], "codes": codes, "weights": {"rows": None, "clusters": None, "weights": weights}[kind]}


def _ratio(inputs: Inputs) -> Outputs:
    codes, count = inputs["codes"], int(inputs["codes"].max()) + 1
    of = {} if count == len(codes) else {"codes": codes, "clusters": count}
    found = _core.ratio_interval([core(x) for x in inputs["columns"]], **of, weights=inputs["weights"], **HOW)
    return {name: found[name] for name in ("value", "standard_error", "low", "high", "df", "n_effective")}


def _ratio_reference(inputs: Inputs) -> Outputs:
    codes, weights = inputs["codes"], inputs["weights"]
    value, variance, df = reference.ratio(*inputs["columns"], codes, int(codes.max()) + 1, weights)
    error = math.sqrt(variance)
    half = t(df) * error
    effective = math.nan if weights is None else reference.effective_weights(weights)
    return {
        "value": value, "standard_error": error, "low": value - half, "high": value + half, "df": df,
        "n_effective": effective,
    }  # fmt: skip


def _statistic_rows(statistic: str, kind: str, dtype: str, n: int) -> Inputs:
    return {
        "statistic": statistic,
        "columns": [as_dtype(x, dtype) for x in sums_columns(statistic, n)],
        "codes": np.arange(n) % (n // 3) if kind == "clusters" else None,
        "weights": 0.5 + uniform(n, 3) if kind == "weights" else None,
    }


def _statistic(inputs: Inputs) -> Outputs:
    codes = inputs["codes"]
    found = _core.statistic_interval(
        [core(x) for x in inputs["columns"]], inputs["statistic"], codes=codes,
        clusters=0 if codes is None else int(codes.max()) + 1, weights=inputs["weights"], **HOW,
    )  # fmt: skip
    df = -1.0 if found["plain"] else found["df"]  # a plain proportion takes z
    return {"value": found["value"], "standard_error": found["standard_error"], "df": df}


def _statistic_reference(inputs: Inputs) -> Outputs:
    of, columns = inputs["statistic"], [x.astype(np.float64) for x in inputs["columns"]]
    weights = np.ones(len(columns[0])) if inputs["weights"] is None else inputs["weights"]
    error, df = sums.standard_error(of, *columns, w=weights, clusters=inputs["codes"])
    said = {"value": float(sums.definition(of)(*columns, weights)), "standard_error": error}
    plain = of in ("accuracy", "precision", "recall", "f1") and inputs["codes"] is None and inputs["weights"] is None
    return said | {"df": -1.0 if plain else df}


def _clustered(inputs: Inputs) -> Outputs:
    return _core.clustered_interval(sums=inputs["sums"], sizes=inputs["sizes"], **HOW, score=inputs.get("score", "t"))


def _clustered_reference(inputs: Inputs) -> Outputs:
    sums, sizes = inputs["sums"], inputs["sizes"]
    m, variance, df = reference.clustered(sums, sizes)
    error = variance**0.5
    if "score" not in inputs:
        half = t(df) * error
        return {
            "value": m, "standard_error": error, "low": m - half, "high": m + half, "df": df,
            "n_effective": float("nan"), "unspread": False,
        }  # fmt: skip
    most = sizes.sum() if inputs["score"] == "answers" else float("inf")
    effective = reference.effective_rows(m, variance, most, len(sizes))
    low, high = reference.wilson(m * effective, effective, t(df))
    return dict(zip(FOUND, (m, error, low, high, df, effective, False), strict=True))


def _same_means(dtype: str, groups: int) -> Inputs:
    """Sums that are .1 times their sizes but for rounding."""
    sizes = 1.0 + (words(groups, 3) % np.uint64(9)).astype(np.float64)
    return {"sums": np.nextafter(0.1 * sizes, np.where(words(groups, 5) % np.uint64(2), 0.0, 9.0)), "sizes": sizes}


def _same(kind: str, value: float):
    def run(inputs: Inputs) -> Outputs:
        sums, sizes = np.copysign(inputs["sums"], value), inputs["sizes"]
        values = {"low": -0.5, "high": 0.75, "step": 2.0**-52, "rows": sizes.sum(), "range": kind}
        return _core.clustered_interval(sums=sums, sizes=sizes, **HOW, **values)

    return run


def _same_reference(kind: str, value: float):
    def run(inputs: Inputs) -> Outputs:
        sizes = inputs["sizes"]
        df = reference.clustered(inputs["sums"], sizes)[2]
        found = (float("nan"),) * 3
        if kind != "unknown":
            found = reference.unspread(value, len(sizes), Z, LOWEST[kind])
        return dict(zip(FOUND, (value, *found, df, float("nan"), True), strict=True))

    return run


CLOSE = {"value": 1e-13, "standard_error": 1e-13, "low": 1e-11, "high": 1e-11}
CLUSTERED = {
    "covers": ("clustered_interval",), "run": _clustered, "reference": _clustered_reference, "dtypes": ("",),
    "lengths": (2, 3, 15, 16, 17, 5000),
    "bound": CLOSE | {"df": lambda i: 1e-12 * len(i["sums"]), "n_effective": lambda i: 1e-11 * i["sizes"].sum()},
}  # fmt: skip


def _cells(kind: str, dtype: str, n: int) -> Inputs:
    """Cells of up to ten clusters by four; ``answers``: sums of 0/1 values."""
    sizes, of = 1.0 + (words(n, 6) % np.uint64(9)).astype(np.float64), np.arange(n)
    ids = {"a": of // 4 % 10, "b": of % 4}
    sums = np.floor(sizes * uniform(n, 7)) if kind == "answers" else sizes * (ids["a"] + normalish(n, 8))
    return {"sums": sums, "sizes": sizes} | ids | ({"score": "answers"} if kind == "answers" else {})


def _crossed(inputs: Inputs) -> Outputs:
    return _core.crossed_interval(
        **inputs, **HOW, count_a=int(inputs["a"].max()) + 1, count_b=int(inputs["b"].max()) + 1
    )  # fmt: skip


def _crossed_reference(inputs: Inputs) -> Outputs:
    sums, sizes, kinds = inputs["sums"], inputs["sizes"], (inputs["a"], inputs["b"])
    m, variance, df = reference.crossed(sums, sizes, *kinds)
    error, n_effective = variance**0.5, math.nan
    low, high = m - t(df) * error, m + t(df) * error
    if "score" in inputs:
        n_effective = reference.effective_rows(m, variance, sizes.sum(), 4)
        low, high = reference.wilson(m * n_effective, n_effective, t(df))
    by = [reference.clustered(np.bincount(of, sums), np.bincount(of, sizes))[1] for of in kinds]
    found = dict(zip(FOUND, (m, error, low, high, df, n_effective, False), strict=True))
    return found | {"a": by[0], "b": by[1], "ruled": variance <= max(by)}


def _few(method: str):
    def run(inputs: Inputs) -> Outputs:
        found = _core.few_clusters_interval(**inputs, **HOW, method=method)
        limits = [found["low"], found["high"]]
        if method == "cr3":
            return {"error": found["standard_error"], "low": limits[0], "high": limits[1], "df": found["df"]}
        half = 1e-6 * (limits[1] - limits[0])
        # Whether a mean just inside of a limit is not rejected, and one just outside is.
        at = [limits[0] + half, limits[0] - half, limits[1] - half, limits[1] + half]
        return {"kept": [bool(reference.wild_p(**inputs, mean=mean) > 0.05) for mean in at]}

    return run


def _few_reference(method: str):
    def run(inputs: Inputs) -> Outputs:
        if method == "wild":
            return {"kept": [True, False, True, False]}
        variance, df = reference.jackknifed(**inputs)
        m, half = inputs["sums"].sum() / inputs["sizes"].sum(), t(df) * variance**0.5
        return {"error": variance**0.5, "low": m - half, "high": m + half, "df": df}

    return run


def _strata(kind: str, dtype: str, n: int) -> Inputs:
    """Clusters in four strata; ``answers``: sums of 0/1 values, all of them 1 in the first stratum."""
    sizes = 1.0 + (words(n, 6) % np.uint64(9)).astype(np.float64)
    strata = np.minimum(np.arange(n) % 5, 3)
    if kind == "answers":
        sums = np.floor(sizes * (0.25 + 0.5 * uniform(n, 7)))
        return {"sums": np.where(strata == 0, sizes, sums), "sizes": sizes, "strata": strata, "score": "answers"}
    return {"sums": sizes * (strata + normalish(n, 8)), "sizes": sizes, "strata": strata}


def _stratified(average: str):
    def run(inputs: Inputs) -> Outputs:
        count = int(inputs["strata"].max()) + 1
        return _core.stratified_interval(**inputs, **HOW, count=count, average=average, high=1.0)

    return run


def _stratified_reference(average: str):
    def run(inputs: Inputs) -> Outputs:
        answers = "score" in inputs
        columns = (inputs[key] for key in ("sums", "sizes", "strata"))
        m, variance, df = reference.stratified(*columns, average, z=Z, width=1.0)
        error, n_effective = variance**0.5, m * (1 - m) / variance if answers else math.nan
        low, high = (m - t(df) * error, m + t(df) * error)
        if answers:
            low, high = reference.wilson(m * n_effective, n_effective, t(df))
        found = dict(zip(FOUND, (m, error, low, high, df, n_effective, False), strict=True))
        return found | {"still": int(answers), "width": 1.0}

    return run


# -- means, proportions, pairs ----------------------------------------------------------------------------


ENDS = ("standard_error", "low", "high", "unspread")


def _mean_interval(inputs: Inputs) -> Outputs:
    n = inputs["n"]
    return _core.mean_interval(mean=1.5, squares=2.0 * n, n=n, **HOW, low=0.0, high=3.0, step=2.0**-51, rows=n)


def _mean_interval_reference(inputs: Inputs) -> Outputs:
    n = inputs["n"]
    if n < 2:
        return dict(zip(ENDS, (*(float("nan"),) * 3, False), strict=True))
    found = reference.t_interval(1.5, 2.0 * n, n, t(n - 1.0))
    return dict(zip(ENDS, (*found, False), strict=True))


def _equal(kind: str, value: float):
    """Values a step apart: the spread of two that were rounded."""

    def run(inputs: Inputs) -> Outputs:
        known = {"low": value, "high": value + 2.0**-54, "step": 2.0**-54, "rows": inputs["n"], "range": kind}
        return _core.mean_interval(mean=value, squares=1e-32, n=inputs["n"], **HOW, **known)

    return run


def _equal_reference(kind: str, value: float):
    def run(inputs: Inputs) -> Outputs:
        n = inputs["n"]
        if n < 2 or kind == "unknown":
            return dict(zip(ENDS, (*(float("nan"),) * 3, n > 1), strict=True))
        found = reference.unspread(value, n, Z, LOWEST[kind])
        return dict(zip(ENDS, (*found, True), strict=True))

    return run


KINDS = {kind: {"share": 0.1, "difference": -0.1, "unknown": 0.1}[kind] for kind in names("scores.range")}
# The lowest value of the kinds whose range is known.
LOWEST = {"share": 0.0, "difference": -1.0}


def _tables(dtype: str, n: int) -> Inputs:
    wins, losses = int(n * 0.3), int(n * 0.2)
    return {"wins": wins, "losses": losses, "n": n}


def _paired(inputs: Inputs) -> Outputs:
    found = compared(**inputs)
    return {name: found[name] for name in ("value", "standard_error", "low", "high", "mid_p")}


def _paired_reference(inputs: Inputs) -> Outputs:
    b, c, n = (inputs[key] for key in ("wins", "losses", "n"))
    low, high = reference.tango(b, c, n, Z)
    d = np.repeat([1.0, -1.0, 0.0], [b, c, n - b - c])
    error = d.std(ddof=1) / n**0.5 if b + c else (high - low) / (2 * Z)
    mid_p, _ = reference.mcnemar(b, c)
    return {"value": (b - c) / n, "standard_error": error, "low": low, "high": high, "mid_p": mid_p}


def _unspread(inputs: Inputs) -> Outputs:
    """Each cluster has one win in four rows."""
    groups = inputs["groups"]
    new, base = np.tile(np.array([1, 0, 0, 0], np.float32), groups), np.zeros(4 * groups, np.float32)
    found = _graded(new, base, codes=np.repeat(np.arange(groups), 4), clusters=groups)
    return {name: found["levels"][0][name] for name in ("standard_error", "low", "high")}


def _unspread_reference(inputs: Inputs) -> Outputs:
    groups = inputs["groups"]
    critical = t(groups - 1.0)
    low, high = reference.tango(0.25 * groups, 0.0, groups, critical)
    return {"standard_error": (high - low) / (2 * critical), "low": low, "high": high}


def _pairs(dtype: str, n: int) -> Inputs:
    return {"new": as_dtype(normalish(n, 1), dtype), "base": as_dtype(normalish(n, 2), "float32")}


def _close_pairs(dtype: str, n: int) -> Inputs:
    """Up to fifteen steps apart, about the border of what counts as a tie."""
    new = normalish(n, 1)
    return {"new": new, "base": new + (words(n, 2) % np.uint64(16)).astype(np.float64) * np.spacing(new)}


def _graded(new: np.ndarray, base: np.ndarray, **clusters: Any) -> Any:
    return _core.paired_comparison(
        new=core(new), base=core(base), booleans=(False, False), confidence_levels=[LEVEL], alternative="two-sided",
        **clusters,
    )  # fmt: skip


# The unit in the last place of 1 and the smallest number of the less precise type, beside scores in float32.
COARSE = {
    "float32": (0.0, 0.0), "float64": (2.0**-23, 2.0**-149), "float16": (2.0**-10, 2.0**-24),
    "bfloat16": (2.0**-7, 2.0**-133),
}  # fmt: skip


def _differences(inputs: Inputs) -> Outputs:
    found = _graded(inputs["new"], inputs["base"])
    return {name: found[name] for name in ("wins", "losses", "low", "high")} | {"value": found["levels"][0]["value"]}


def _differences_reference(inputs: Inputs) -> Outputs:
    return _extremes(reference.differences(inputs["new"], inputs["base"], COARSE[inputs["new"].dtype.name]))


def _extremes(d: np.ndarray) -> Outputs:
    wins, losses = int((d > 0).sum()), int((d < 0).sum())
    return {"wins": wins, "losses": losses, "low": d.min(), "high": d.max(), "value": d.mean()}


def _ties_reference(inputs: Inputs) -> Outputs:
    return _extremes(reference.differences(inputs["new"], inputs["base"]))


def _typed_pairs(dtype: str, n: int) -> Inputs:
    """The same scores in two types, every seventh a little larger, some below what the coarser type holds."""
    new = normalish(n, 1) * np.where(words(n, 3) % np.uint64(5) == 0, 1e-9, 1.0)
    base = new * np.where(words(n, 2) % np.uint64(7) == 0, 1.01, 1.0)
    return {"new": new, "base": base.astype(np.float16)}


def _typed_reference(inputs: Inputs) -> Outputs:
    return _extremes(reference.differences(inputs["new"], inputs["base"], COARSE["float16"]))


def _flips(dtype: str, m: int) -> Inputs:
    return {"x": ((words(m, 6) % np.uint64(9)).astype(np.float64) - 3.0)}


def _clustered_pairs(dtype: str, n: int) -> Inputs:
    """Whole scores, which every type holds, so that the sums over clusters are whole too."""
    new, base = ((words(n, stream) % np.uint64(6)).astype(np.float32) for stream in (1, 2))
    return {"new": as_dtype(new, dtype), "base": base, "codes": np.arange(n) % max(2, n // 3)}


def _comparison(inputs: Inputs) -> Outputs:
    codes = inputs["codes"]
    found = _graded(inputs["new"], inputs["base"], codes=codes, clusters=int(codes.max()) + 1)
    said = {name: found["levels"][0][name] for name in ("value", "standard_error", "low", "high", "df")}
    return {"wins": found["wins"], "losses": found["losses"], "p": found["flip"]["p"], **said}


def _comparison_reference(inputs: Inputs) -> Outputs:
    """The parts that have references of their own, put together."""
    d, codes = reference.differences(inputs["new"], inputs["base"]), inputs["codes"]
    sums, sizes = reference.cluster_sums(d, codes, int(codes.max()) + 1, 0.0)
    m, variance, df = reference.clustered(sums, sizes)
    half = t(df) * variance**0.5
    return {
        "wins": int((d > 0).sum()), "losses": int((d < 0).sum()), "p": reference.sign_flip(sums, "two-sided"),
        "value": m, "standard_error": variance**0.5, "low": m - half, "high": m + half, "df": df,
    }  # fmt: skip


SIDES = names("interval.alternative")


def _sign_flip(inputs: Inputs) -> Outputs:
    return {side: _core.sign_flip(inputs["x"], alternative=side)["p"] for side in SIDES}


def _sign_flip_reference(inputs: Inputs) -> Outputs:
    return {side: reference.sign_flip(inputs["x"], side) for side in SIDES}


def _rounded_flips(dtype: str, m: int) -> Inputs:
    """Whole numbers beside scores of a thousand, off by some millionths."""
    off = (uniform(m, 7) - 0.5) * 1e-5
    return {"x": (words(m, 6) % np.uint64(9)).astype(np.float64) - 3.0 + off}


def _rounded_flip(inputs: Inputs) -> Outputs:
    each = np.full(len(inputs["x"]), 2e-5)
    return {side: _core.sign_flip(inputs["x"], alternative=side, resolution=each)["p"] for side in SIDES}


def _rounded_flip_reference(inputs: Inputs) -> Outputs:
    return {side: reference.sign_flip(inputs["x"], side, 2e-5) for side in SIDES}


def _smooth(dtype: str, m: int) -> Inputs:
    return {"x": normalish(m, 7) + 2.0 / m**0.5}


def _smooth_flip(inputs: Inputs) -> Outputs:
    return {"p": _core.sign_flip(inputs["x"], alternative="greater")["p"]}


def _smooth_flip_reference(inputs: Inputs) -> Outputs:
    return {"p": reference.sign_flip_smooth(inputs["x"])}


def _p_values(dtype: str, m: int) -> Inputs:
    return {"p": np.square(uniform(m, 8))}


# -- repeats ----------------------------------------------------------------------------------------------


def _answers(dtype: str, n: int) -> Inputs:
    """Problems with 12 to 60 answers, some right; of the wrong ones up to three are given several times, others once."""
    tried = 12 + words(n, 21) % np.uint64(49)
    right = words(n, 22) % (tried + np.uint64(1))
    wrong, ends = [], []
    for n_wrong, kinds in zip((tried - right).tolist(), (words(n, 23) % np.uint64(5)).tolist(), strict=True):
        shares = [n_wrong // (2 + i) for i in range(kinds)]  # of which the rest are blank
        counts = [min(share, max(n_wrong - sum(shares[:i]), 0)) for i, share in enumerate(shares)]
        wrong += [count for count in counts if count]
        ends.append(len(wrong))
    return {
        "right": right, "tried": tried, "wrong": np.array(wrong, np.uint64), "ends": np.array(ends, np.uint64)
    }  # fmt: skip


def _majority(i: Inputs) -> Outputs:
    votes = {"wrong": i["wrong"], "ends": i["ends"]}
    return {f"at {k}": _core.majority_at(i["right"], i["tried"], **votes, k=k) for k in (1, 4, 12)}


def _majority_reference(i: Inputs) -> Outputs:
    ends = [0, *i["ends"].tolist()]
    problems = [
        (right, i["wrong"][start:end].tolist(), tried)
        for right, tried, start, end in zip(i["right"].tolist(), i["tried"].tolist(), ends[:-1], ends[1:], strict=True)
    ]
    return {f"at {k}": np.array([repeats.majority_at(*one, k) for one in problems]) for k in (1, 4, 12)}


CASES = [
    Case(name="intervals.moments", make=_column, **MOMENTS),
    Case(name="intervals.moments_binary", make=_binary, **MOMENTS),
    Case(name="intervals.moments_broken", make=_broken, **(MOMENTS | {"bound": {}})),  # only "bad" comes out
    Case(
        name="intervals.cluster_sums", covers=("cluster_sums",), make=_rows, run=_cluster_sums,
        reference=_cluster_sums_reference, lengths=(0, *LENGTHS), bound={"sums": _cluster_bound},
    ),
    Case(
        name="clusters.near", covers=("near_codes",), make=_ids, run=_near, reference=_near_reference, lengths=LENGTHS,
    ),
    Case(
        name="intervals.weighted_sums", covers=("cluster_sums",), make=_weighted_rows, run=_weighted_sums,
        reference=_weighted_sums_reference, lengths=(0, *LENGTHS),
        bound={"sums": _weighted_bound, "sizes": _weighted_bound},
    ),
    Case(
        name="intervals.effective_weights", covers=("effective_weights",), make=_weighted_rows,
        run=lambda i: {"n": _core.effective_weights(i["weights"])},
        reference=lambda i: {"n": reference.effective_weights(i["weights"])}, dtypes=("float64",), lengths=LENGTHS,
        bound={"n": lambda i: 1e-13 * len(i["weights"])},
    ),
    *(
        Case(
            name=f"intervals.stratified_{kind}_{average}", covers=("stratified_interval",), make=partial(_strata, kind),
            run=_stratified(average), reference=_stratified_reference(average), dtypes=("",),
            lengths=(15, 16, 17, 5000, 70_001), bound=CLUSTERED["bound"] | {"n_effective": lambda i: 1e-11 * i["sizes"].sum() ** 2},
        )
        for kind in ("graded", "answers")
        for average in names("strata.average")
    ),
    *(
        Case(
            name=f"intervals.same_means_{kind}", covers=("clustered_interval",), make=_same_means,
            run=_same(kind, value), reference=_same_reference(kind, value), dtypes=("",), lengths=(2, 3, 15, 16, 17, 5000),
            bound=CLUSTERED["bound"],
        )
        for kind, value in KINDS.items()
    ),
    *(
        Case(
            name=f"intervals.equal_values_{kind}", covers=("mean_interval",), make=lambda _, n: {"n": n},
            run=_equal(kind, value), reference=_equal_reference(kind, value), dtypes=("",),
            lengths=(1, 2, 3, 10, 1000, 10**9), bound=dict.fromkeys(("standard_error", "low", "high"), 1e-14),
        )
        for kind, value in KINDS.items()
    ),
    *(
        Case(
            name=f"uncertainty.ratio_{kind}", covers=("ratio_interval",), make=partial(_ratio_rows, kind),
            run=_ratio, reference=_ratio_reference, lengths=(2, 15, 16, 17, 1000, 70_001),
            bound=dict.fromkeys(("value", "standard_error", "low", "high", "n_effective"), 1e-9) | {"df": 1e-5},
        )
        for kind in ("rows", "clusters", "weights")
    ),
    *(
        Case(
            name=f"uncertainty.{statistic.replace('/', '_by_')}_{kind}", covers=("statistic_interval",),
            make=partial(_statistic_rows, statistic, kind), run=_statistic, reference=_statistic_reference,
            dtypes=("float32", "float64"), lengths=(40, 1025),
            bound={"value": 1e-9, "standard_error": 1e-9, "df": 1e-6},
        )
        for statistic in (*OTHERS, *QUOTIENTS)
        for kind in ("rows", "clusters", "weights")
    ),
    Case(name="intervals.clustered_ratio", make=_sums, **CLUSTERED),
    *(
        Case(
            name=f"intervals.crossed_{kind}", covers=("crossed_interval",), make=partial(_cells, kind), run=_crossed,
            reference=_crossed_reference, dtypes=("",), lengths=(12, 40, 39, 5000),
            bound=CLOSE | {"df": 1e-9, "n_effective": lambda i: 1e-9 * i["sizes"].sum(), "a": 1e-12, "b": 1e-12},
        )
        for kind in ("graded", "answers")
    ),
    *(
        Case(
            name=f"intervals.few_clusters_{method}", covers=("few_clusters_interval",), make=_sums, run=_few(method),
            reference=_few_reference(method), dtypes=("",), lengths=lengths,
            bound={"error": 1e-12, "low": 1e-11, "high": 1e-11, "df": 0.0} if method == "cr3" else {},
        )
        for method, lengths in (("cr3", (3, 15, 5000)), ("wild", (4, 5, 6, 9, 12)))
    ),
    Case(name="intervals.clustered_proportion", make=_ones, **CLUSTERED),
    Case(name="intervals.clustered_share", make=_halves, **CLUSTERED),
    Case(
        name="intervals.mean_interval", covers=("mean_interval",), make=lambda _, n: {"n": n}, run=_mean_interval,
        reference=_mean_interval_reference, dtypes=("",), lengths=(1, 2, 3, 10, 1000, 10**9),
        bound=dict.fromkeys(("standard_error", "low", "high"), lambda i: 1e-11 if i["n"] > 2 else 1e-9),
    ),
    Case(
        name="intervals.paired_binary", covers=("paired_comparison",), make=_tables, run=_paired,
        reference=_paired_reference, dtypes=("",), lengths=(1, 2, 5, 6, 20, 200, 3000),
        bound={"value": 1e-15, "standard_error": 1e-14, "low": 1e-12, "high": 1e-12, "mid_p": 1e-12},
    ),
    Case(
        name="intervals.unspread_difference", covers=("paired_comparison",), make=lambda _, n: {"groups": n},
        run=_unspread, reference=_unspread_reference, dtypes=("",), lengths=(2, 3, 10, 1000),
        bound={"standard_error": 1e-12, "low": 1e-12, "high": 1e-12},
    ),
    Case(
        name="intervals.paired_differences", covers=("paired_comparison",), make=_pairs, run=_differences,
        reference=_differences_reference, lengths=LENGTHS, bound={"value": 1e-12},
    ),
    Case(
        name="intervals.paired_ties", covers=("paired_comparison",), make=_close_pairs, run=_differences,
        reference=_ties_reference, dtypes=("float64",), lengths=LENGTHS, bound={"value": 1e-12},
    ),
    Case(
        name="intervals.paired_types", covers=("paired_comparison",), make=_typed_pairs, run=_differences,
        reference=_typed_reference, dtypes=("",), lengths=LENGTHS[:-1], bound={"value": 1e-12},
    ),
    Case(
        name="uncertainty.comparison", covers=("paired_comparison",), make=_clustered_pairs, run=_comparison,
        reference=_comparison_reference, lengths=(2, 15, 16, 17, 1000),
        bound=dict.fromkeys(("value", "standard_error", "low", "high", "p"), 1e-12) | {"df": 1e-9},
    ),
    Case(
        name="intervals.sign_flip", covers=("sign_flip",), make=_flips, run=_sign_flip, reference=_sign_flip_reference,
        dtypes=("",), lengths=(0, 1, 5, 12, 40, 77, 700), bound=dict.fromkeys(SIDES, 1e-13),
    ),
    Case(
        name="intervals.sign_flip_rounded", covers=("sign_flip",), make=_rounded_flips, run=_rounded_flip,
        reference=_rounded_flip_reference, dtypes=("",), lengths=(1, 5, 12, 40, 77, 700),
        bound=dict.fromkeys(SIDES, 1e-13),
    ),
    Case(
        name="intervals.sign_flip_smooth", covers=("sign_flip",), make=_smooth, run=_smooth_flip,
        reference=_smooth_flip_reference, dtypes=("",), lengths=(70, 300, 5000), bound={"p": 1e-12},
    ),
    Case(
        name="intervals.adjusted", covers=("adjusted",), make=_p_values,
        run=lambda i: {method: _core.adjusted(i["p"], method=method) for method in names("adjust.method")},
        reference=lambda i: {method: reference.adjusted(i["p"], method) for method in names("adjust.method")},
        dtypes=("",), lengths=(0, 1, 2, 9, 100), bound={"by": 1e-15},
    ),
    Case(
        name="uncertainty.pass_at", covers=("pass_at",), make=_answers, dtypes=("",), lengths=(0, 1, 2, 50, 500),
        run=lambda i: {f"at {k}": _core.pass_at(i["right"], i["tried"], k=k) for k in (1, 4, 12)},
        reference=lambda i: {f"at {k}": repeats.pass_at(i["right"], i["tried"], k) for k in (1, 4, 12)},
        bound={f"at {k}": 12 * 2.0**-52 for k in (1, 4, 12)},
    ),
    Case(
        name="uncertainty.majority_at", covers=("majority_at",), make=_answers, dtypes=("",), lengths=(0, 1, 2, 50),
        run=_majority, reference=_majority_reference, bound={f"at {k}": 1e-11 for k in (1, 4, 12)},
    ),
]  # fmt: skip
