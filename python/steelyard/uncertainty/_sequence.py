"""What a confidence sequence says at some times: the call of the core, scaled back to scores, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._arrays import to_float64
from .._estimate import Estimate
from .._intervals import not_finite
from .._options import number
from .._progress import OnProgress
from .._registries import titles
from .._rows import Rows
from ..errors import keyword, shown, type_error, value_error

__all__ = ["ALWAYS", "ANSWERS", "METHODS", "Bounds", "Looks", "add", "bounds_of", "estimate_of", "looks"]

Floats = NDArray[np.float64]
METHODS = titles("sequence.method")
ANSWERS = "beta-binomial"
"""The method that counts 0/1 values; the limits of the others depend on the order of the values."""
ALWAYS = "holds at every time at once, so that looks may be repeated and data collection stopped at any of them"
APART = "the limits of different times leave no mean: it has changed over time, or this is the one sequence in {many}"


class Bounds(NamedTuple):
    """The least and the largest possible score."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low

    def scaled(self, y: Floats, *, differences: bool) -> Floats:
        """Values in [0, 1] as scores, or as differences of scores."""
        return (2.0 * y - 1.0) * self.width if differences else self.low + self.width * y


def bounds_of(bounds: Any, method: str) -> Bounds:
    """Check the bounds of the scores."""
    expected = "a pair of numbers, the least and the largest possible score"
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise type_error("bounds", expected, shown(bounds))
    low, high = (number(bound, "bounds", expected) + 0.0 for bound in bounds)
    if not (low < high and high - low < float("inf")):
        raise value_error("bounds", f"{expected}, with a finite distance", f"({low:g}, {high:g})")
    if method == ANSWERS and (low, high) != (0.0, 1.0):
        fix = f"pass {keyword('method', 'betting')} for other scores"
        raise value_error("bounds", f"(0, 1) with {keyword('method', ANSWERS)}", f"({low:g}, {high:g})", fix)
    return Bounds(low, high)


def add(
    totals: _core.SequenceTotals,
    columns: Sequence[tuple[str, NDArray[Any]]],
    rows: Rows,
    bounds: Bounds,
    progress: OnProgress,
) -> None:
    """Add the rows that count of one column of scores, or of two whose differences are meant."""
    values = [to_float64(rows.of(column)) for _, column in columns]
    bad = totals.update(
        *values, bounds=bounds, excluded=rows.left_out.get("where", 0), nan=rows.left_out.get("nan", 0),
        progress=progress,
    )  # fmt: skip
    if bad is None:
        return
    column, index = bad
    (name, _), value = columns[column], values[column][index].item()
    if not np.isfinite(value):
        raise not_finite(values[column], index, name, rows)
    got = f"{value!r} at index {rows.place(index)}"
    if not totals.size()["ordered"]:
        fix = f"{keyword('method', 'betting')} takes scores between bounds"
        raise value_error(name, f"0/1 values with {keyword('method', ANSWERS)}", got, fix)
    fix = f"pass {keyword('bounds')} where other scores are possible"
    raise value_error(name, f"scores from {bounds.low:g} to {bounds.high:g}", got, fix)


class Looks(NamedTuple):
    """Mean and limits at some times; both limits are NaN where those of different times leave no mean."""

    mean: Floats
    low: Floats
    high: Floats


def looks(
    totals: _core.SequenceTotals,
    times: NDArray[np.int64],
    bounds: Bounds,
    *,
    method: str,
    confidence_level: float,
    progress: OnProgress = None,
) -> Looks:
    """What the sequence says at these numbers of values."""
    found = totals.looks(times, method=method, confidence_level=confidence_level, progress=progress)
    differences = totals.size()["differences"]
    low, high, mean = (bounds.scaled(found[side], differences=differences) for side in ("low", "high", "mean"))
    apart = low > high
    return Looks(mean, np.where(apart, np.nan, low), np.where(apart, np.nan, high))


def estimate_of(
    totals: _core.SequenceTotals,
    bounds: Bounds,
    left_out: dict[str, int],
    *,
    method: str,
    confidence_level: float,
    progress: OnProgress = None,
) -> Estimate:
    """The estimate after all values, of which there is at least one."""
    n = totals.size()["values"]
    found = looks(
        totals, np.array([n]), bounds, method=method, confidence_level=confidence_level, progress=progress
    )  # fmt: skip
    mean, low, high = (column.item() for column in found)
    known = low == low
    return Estimate(
        value=mean, low=low if known else None, high=high if known else None, confidence_level=confidence_level, n=n,
        method=f"always-valid {METHODS[method]}",
        reason=ALWAYS if known else APART.format(many=f"{1.0 / (1.0 - confidence_level):.3g}"), left_out=left_out,
    )  # fmt: skip
