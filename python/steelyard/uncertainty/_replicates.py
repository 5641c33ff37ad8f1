"""Limits from replicates that are at hand: those of a Python function, or of several runs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._options import Confidence
from ..errors import value_error

__all__ = ["METHODS", "limits_of"]

Floats = NDArray[np.float64]

ALONE: Mapping[str, Any] = MappingProxyType({})  # no strata
# The methods that read nothing but replicates, and those without a unit.
METHODS = ("percentile", "basic", "bca", "bc", "expanded", "normal")


def limits_of(
    replicates: Floats,
    statistic: object,
    *,
    value: float,
    units: int,
    method: str,
    confidence: Confidence,
    strata: Mapping[str, Any] = ALONE,
    left_out: Floats | None = None,
    rounding: float = 0.0,
    before: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """What the core says of a statistic with these replicates.

    ``strata`` are those of the units, for the core. ``left_out`` and ``rounding`` are for the correction of bias by the
    jackknife; or ``before`` has the
    acceleration and the tie that another bootstrap of the data found.
    """
    found = _core.replicates_interval(
        replicates, value=value, left_out=np.empty(0) if left_out is None else left_out, units=units,
        **strata, rounding=rounding, method=method, confidence_level=confidence.level,
        alternative=confidence.alternative, before=before,
    )  # fmt: skip
    if found.get("refused") == "equal replicates":
        got = f"{len(replicates)} of one value"
        fix = "the bootstrap cannot say how uncertain it is"
        raise value_error("x", f"resamples that differ in their {statistic}", got, fix)
    if found.get("refused") == "too large":
        got = f"values from {found['low']:g} to {found['high']:g}"
        raise value_error("statistic", "values whose sum of squares stays finite", got)
    return found
