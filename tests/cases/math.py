"""Rows of the foundation's mathematics: elementary functions and distributions against forty digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from steelyard import _core

from .. import exact
from . import Case, Inputs, Outputs, uniform

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1e-310, 1e308, 1.0, -1.0])
LENGTHS = (1, 2, 15, 16, 17, 300)


def _signed(n: int, size: float) -> np.ndarray:
    """Numbers up to ``size`` on both sides, small and large ones, and every special one from n = 20 on."""
    u = uniform(2 * n, n)
    x = (u[:n] - 0.5) * 2.0 * size * u[n:] ** 3
    if n >= 20:
        x[3 : 3 + 2 * SPECIAL.size : 2] = SPECIAL
    return x


def _float64(size: float, keep: Callable[[np.ndarray], np.ndarray] = lambda x: x) -> Callable[[str, int], Inputs]:
    return lambda dtype, n: {"x": keep(_signed(n, size)).astype(dtype)}


def _ulps(limit: float, reference: Callable[[Inputs], Outputs], name: str) -> Callable[[Inputs], np.ndarray]:
    """``limit`` units in the last place of the reference."""

    def bound(inputs: Inputs) -> np.ndarray:
        value = np.abs(np.asarray(reference(inputs)[name]))
        return limit * np.spacing(np.where(np.isfinite(value), value, 1.0)).astype(np.float64)

    return bound


def _function(
    name: str,
    f: Callable[[Any], Any],
    oracle: Callable[[mpmath.mpf], mpmath.mpf],
    make: Callable[[str, int], Inputs],
    ulps: float,
    dtype: str = "float64",
) -> Case:
    """The row of a function of one number."""

    def reference(inputs: Inputs) -> Outputs:
        x = inputs["x"]
        with np.errstate(over="ignore"):  # float32 becomes infinite on purpose
            return {"value": exact.each(oracle, x).astype(x.dtype)}

    return Case(
        name=f"math.{name}",
        covers=(f.__name__,),
        dtypes=(dtype,),
        lengths=LENGTHS,
        make=make,
        run=lambda inputs: {"value": f(inputs["x"])},
        reference=reference,
        # The reference is itself rounded: half an ulp more.
        bound={"value": _ulps(ulps + 0.5, reference, "value")},
    )


def _log(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.log(x) if x >= 0 else mpmath.mpf("nan")


def _log1p(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.log1p(x) if x > -1 else _log(1 + x)


def _exp(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.exp(min(max(x, -1e4), 1e4))


def _bend(x: mpmath.mpf) -> mpmath.mpf:
    with mpmath.workprec(mpmath.mp.prec + 2 * abs(int(mpmath.mag(x))) if x and mpmath.isfinite(x) else mpmath.mp.prec):
        return mpmath.expm1(min(x, 1e4)) - min(x, 1e4)


def _cos(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.cos(x) if mpmath.isfinite(x) else mpmath.mpf("nan")


def _finite(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x, 0.0)


def _distribution(name: str, make: Callable[[str, int], Inputs], oracles: dict[str, Any], limit: float) -> Case:
    """The row of a distribution: ``oracles`` maps a ``_core`` function to its argument names and its oracle."""

    def run(inputs: Inputs) -> Outputs:
        return {f: getattr(_core, f)(*(inputs[a] for a in names)) for f, (names, _) in oracles.items()}

    def reference(inputs: Inputs) -> Outputs:
        return {f: exact.each(oracle, *(inputs[a] for a in names)) for f, (names, oracle) in oracles.items()}

    def bound(f: str) -> Callable[[Inputs], np.ndarray]:
        return lambda inputs: limit * np.abs(np.asarray(run(inputs)[f])) + 1e-300

    return Case(
        name=f"math.{name}",
        covers=tuple(oracles),
        dtypes=("",),
        lengths=(1, 17, 60),
        make=make,
        run=run,
        reference=reference,
        bound={f: bound(f) for f in oracles},
    )


def _normal(_: str, n: int) -> Inputs:
    u = uniform(n, 7)
    return {"x": (u - 0.5) * 70.0, "p": u**9}


def _t(_: str, n: int) -> Inputs:
    u = uniform(3 * n, 8)
    return {"t": (u[:n] - 0.5) * 30.0, "df": 0.5 + 40.0 * u[n : 2 * n], "p": 0.5 * u[2 * n :] ** 9}


def _noncentral(_: str, n: int) -> Inputs:
    u = uniform(3 * n, 11)
    df = 1.0 + 60.0 * u[:n] ** 2
    return {"t": (u[n : 2 * n] - 0.3) * 12.0, "df": df, "delta": (u[2 * n :] - 0.3) * 10.0}


def _noncentral_t(inputs: Inputs) -> Outputs:
    return {"sf": _core.noncentral_t_sf(inputs["t"], inputs["df"], inputs["delta"])}


def _noncentral_t_reference(inputs: Inputs) -> Outputs:
    return {"sf": exact.each(exact.tail_of_noncentral_t, inputs["t"], inputs["df"], inputs["delta"])}


def _beta(_: str, n: int) -> Inputs:
    u = uniform(4 * n, 9)
    a, b = 0.5 + 80.0 * u[:n] ** 2, 0.5 + 80.0 * u[n : 2 * n] ** 2
    return {"a": a, "b": b, "x": u[2 * n : 3 * n], "p": 0.5 * u[3 * n :] ** 9}


def _t_quantile(p: mpmath.mpf, df: mpmath.mpf) -> mpmath.mpf:
    start = _core.t_quantile(float(p), float(df))
    return exact.inverse(start, lambda t: exact.tail_of_t(-t, df), lambda t: exact.derivative_of_t(t, df), p)


def _beta_quantile(a: mpmath.mpf, b: mpmath.mpf, p: mpmath.mpf) -> mpmath.mpf:
    start = _core.beta_quantile(float(a), float(b), float(p))
    return exact.inverse(
        start,
        lambda x: exact.tails_of_beta(a, b, x, 1 - x)[0],
        lambda x: exact.x_dx_of_beta(a, b, x, 1 - x) / (x * (1 - x)),
        p,
    )


def _normal_quantile(p: mpmath.mpf) -> mpmath.mpf:
    start = _core.normal_quantile(float(p))
    return exact.inverse(start, lambda x: exact.tail_of_normal(-x), mpmath.npdf, p)


def _counts(_: str, n: int) -> Inputs:
    u = uniform(3 * n, 10)
    trials = (1 + 400 * u[:n]).astype(np.int64)
    return {"n": trials, "k": (trials * u[n : 2 * n]).astype(np.int64), "p": u[2 * n :], "base": 0.9 + 0.1 * u[:n]}


def _binomial(inputs: Inputs) -> Outputs:
    rows = [(int(k), int(n), float(p)) for k, n, p in zip(inputs["k"], inputs["n"], inputs["p"], strict=True)]
    powers = [_core.math_powi(float(b), int(n)) for b, n in zip(inputs["base"], inputs["n"], strict=True)]
    return {
        "pmf": np.array([_core.binomial_pmf(*row) for row in rows]),
        "cdf": np.array([_core.binomial_cdf(*row) for row in rows]),
        "sf": np.array([_core.binomial_sf(*row) for row in rows]),
        "power": np.array(powers),
    }


def _binomial_reference(inputs: Inputs) -> Outputs:
    out: dict[str, list[float]] = {"pmf": [], "cdf": [], "sf": [], "power": []}
    for k, n, p, base in zip(inputs["k"], inputs["n"], inputs["p"], inputs["base"], strict=True):
        q = mpmath.mpf(float(p))
        pmf = [mpmath.binomial(int(n), i) * q**i * (1 - q) ** (int(n) - i) for i in range(int(n) + 1)]
        out["pmf"].append(float(pmf[k]))
        out["cdf"].append(float(mpmath.fsum(pmf[: k + 1])))
        out["sf"].append(float(mpmath.fsum(pmf[k + 1 :])))
        out["power"].append(float(mpmath.mpf(float(base)) ** int(n)))
    return {name: np.array(values) for name, values in out.items()}


CASES = [
    _function("exp", _core.math_exp, _exp, _float64(760.0), 0.9),
    _function("exp32", _core.math_exp32, _exp, _float64(110.0, lambda x: x.clip(-200, 200)), 0.92, "float32"),
    _function("bend", _core.math_bend, _bend, _float64(760.0), 90.0),
    _function("expm1", _core.math_expm1, lambda x: mpmath.expm1(min(x, 1e4)), _float64(760.0), 0.95),
    _function("log", _core.math_log, _log, _float64(1e6), 0.8),
    _function("log1p", _core.math_log1p, _log1p, _float64(1e6), 0.8),
    _function("cos", _core.math_cos, _cos, _float64(1e3), 0.9),
    _function("erfc", _core.math_erfc, mpmath.erfc, _float64(26.0, lambda x: x.clip(-30, 26)), 3.0),
    _function("lgamma", _core.math_lgamma, mpmath.loggamma, _float64(1e6, lambda x: 2.1 + np.abs(_finite(x))), 3.0),
    _distribution(
        "normal",
        _normal,
        {
            "normal_pdf": (("x",), mpmath.npdf),
            "normal_cdf": (("x",), lambda x: exact.tail_of_normal(-x)),
            "normal_sf": (("x",), exact.tail_of_normal),
            "normal_quantile": (("p",), _normal_quantile),
        },
        1e-15,
    ),
    _distribution(
        "student_t",
        _t,
        {
            "t_cdf": (("t", "df"), lambda t, df: exact.tail_of_t(-t, df)),
            "t_sf": (("t", "df"), exact.tail_of_t),
            "t_quantile": (("p", "df"), _t_quantile),
        },
        1e-12,
    ),
    Case(
        name="math.noncentral_t",
        covers=("noncentral_t_sf",),
        dtypes=("",),
        lengths=(1, 17, 40),
        make=_noncentral,
        run=_noncentral_t,
        reference=_noncentral_t_reference,
        bound={"sf": 1e-13},
    ),
    _distribution(
        "beta",
        _beta,
        {
            "beta_cdf": (("a", "b", "x"), lambda a, b, x: exact.tails_of_beta(a, b, x, 1 - x)[0]),
            "beta_sf": (("a", "b", "x"), lambda a, b, x: exact.tails_of_beta(a, b, x, 1 - x)[1]),
            "beta_quantile": (("a", "b", "p"), _beta_quantile),
            "beta_isf": (("b", "a", "p"), lambda b, a, p: 1 - _beta_quantile(a, b, p)),
        },
        1e-12,
    ),
    Case(
        name="math.binomial",
        covers=("binomial_pmf", "binomial_cdf", "binomial_sf", "math_powi"),
        dtypes=("",),
        lengths=(1, 40),
        make=_counts,
        run=_binomial,
        reference=_binomial_reference,
        bound={
            name: lambda inputs, name=name: 1e-12 * np.abs(_binomial_reference(inputs)[name]) + 1e-300
            for name in ("pmf", "cdf", "sf")
        },
    ),
]
