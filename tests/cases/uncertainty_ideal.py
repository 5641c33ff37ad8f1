"""Rows of the ideal bootstrap: every resample of few units, and a plain inversion for more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from steelyard import _core
from steelyard.reference import ideal as reference

from . import Case, Inputs, Outputs
from .uncertainty_bootstrap import COUNTED, _clustered, _column, _units, by_method, words

NUMBERS = ("value", "standard_error", "low", "high", "acceleration", "bias", "up_to")


def _pairs(dtype: str, n: int) -> Inputs:
    """A positive denominator, and a numerator near three of it."""
    x = _column(dtype, n)["columns"][0]
    y = (1 + words(n, n + 7) % np.uint64(5)).astype(np.float64) / 2
    return {"columns": [(x.astype(np.float64) * y).astype(x.dtype), y.astype(x.dtype)], "codes": None}


def _asked(make: Callable[[str, int], Inputs]) -> Callable[[str, int], Inputs]:
    """The inputs with two places, in the standard mode, at which the distribution is asked for.

    They lie between two resamples, so that rounding does not decide which of them are counted.
    """

    def made(dtype: str, n: int) -> Inputs:
        inputs = make(dtype, n)
        sums, sizes = _units(inputs)
        return dict(inputs) | {"at": sums.sum() / sizes.sum() + np.array([-0.12345678, 0.07654321])}

    return made


OF_QUANTILES = tuple(method for method in COUNTED if method != "normal")  # which the distribution alone has


def _options(inputs: Inputs, method: str) -> dict[str, Any]:
    return {"method": method, "confidence_level": 0.9, "at": inputs["at"]}


# The coefficients of the quotients of two strata; None for one quotient of all.
SIGNS = {"micro": None, "macro": (0.5, 0.5), "difference": (1.0, -1.0)}


def _stratified(average: str) -> Callable[[Inputs, str], dict[str, Any]]:
    """Of two strata, the first of which has a third of the units."""

    def options(inputs: Inputs, method: str) -> dict[str, Any]:
        return _options(inputs, method) | {"stratum_codes": _strata(inputs), "strata": 2, "average": average}

    return options


def _strata(inputs: Inputs) -> np.ndarray:
    units = len(_units(inputs)[0])
    return (np.arange(units) >= units // 3).astype(np.int64)


def _rows(statistic: str, make: Callable[[str, int], Inputs], average: str = "", **how: Any) -> Case:
    options = _stratified(average) if average else _options

    def compared(inputs: Inputs) -> Outputs:
        said = {}
        strata = {"strata": _strata(inputs), "signs": SIGNS[average]} if average else {}
        for method in OF_QUANTILES:
            found = reference.ideal(*_units(inputs), **_options(inputs, method), **strata)
            said |= {f"{method}_{name}": value for name, value in found.items()}
        return said

    return Case(
        name=f"uncertainty.ideal_{statistic}_{how.pop('kind')}",
        covers=("ideal_bootstrap",),
        make=_asked(make),
        run=by_method(_core.ideal_bootstrap, statistic, options, NUMBERS, OF_QUANTILES),
        reference=compared,
        bound={f"{method}_{name}": 2e-9 for method in OF_QUANTILES for name in NUMBERS},
        **how,
    )


CASES = [
    _rows("mean", _column, kind="few", lengths=(4, 7, 8)),
    _rows("ratio", _pairs, kind="few", lengths=(4, 7, 8)),
    _rows("mean", _clustered, kind="few_clusters", lengths=(12, 24)),
    _rows("mean", _column, kind="smooth", dtypes=("float64",), lengths=(60, 500)),
    _rows("ratio", _pairs, kind="smooth", dtypes=("float64",), lengths=(60, 260)),
    _rows("mean", _clustered, kind="smooth_clusters", dtypes=("float64",), lengths=(240,)),
    _rows("mean", _column, "micro", kind="few_in_strata", dtypes=("float64",), lengths=(8,)),
    _rows("mean", _column, "macro", kind="few_macro", dtypes=("float64",), lengths=(8,)),
    _rows("mean", _column, "difference", kind="few_differences", dtypes=("float64",), lengths=(8,)),
    _rows("ratio", _pairs, "micro", kind="few_in_strata", dtypes=("float64",), lengths=(8,)),
    _rows("mean", _clustered, "micro", kind="few_clusters_in_strata", dtypes=("float64",), lengths=(24,)),
    _rows("mean", _column, "macro", kind="smooth_macro", dtypes=("float64",), lengths=(90,)),
    _rows("mean", _column, "difference", kind="smooth_differences", dtypes=("float64",), lengths=(90,)),
    _rows("ratio", _pairs, "micro", kind="smooth_in_strata", dtypes=("float64",), lengths=(180,)),
]
