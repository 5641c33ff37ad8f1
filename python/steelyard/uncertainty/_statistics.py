"""The statistics that ``estimate`` and ``bootstrap`` offer by name, and the columns that each one takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _intervals
from .._columns import Array, one_column
from .._options import choice
from .._registries import REGISTRIES, names
from .._rows import Rows
from ..errors import shown, type_error, value_error

__all__ = ["Statistic", "column_names", "for_core", "refusal", "several_columns", "statistic_name"]

Statistic = Literal["mean", "ratio"]


class Words(NamedTuple):
    """What errors say where resamples of a statistic would all be equal, or where one of them has no answer."""

    expected: str
    """What is expected of the rows, so that resamples differ."""
    of_rows: str
    """What is equal where all rows are alike; ``of_clusters`` where all clusters are."""
    of_clusters: str
    no_answer: tuple[str, str, str, str] | None = None
    """The argument, what is expected in each resample, what came, and what to do; None where all have an answer."""
    fix: str = "resampling them says nothing; use steelyard.proportion for 0/1 values, steelyard.estimate for others"


WORDS: Mapping[str, Words] = {
    "mean": Words("values that differ", "values", "means"),
    "ratio": Words(
        "rows of different ratios",
        "ratios",
        "ratios",
        ("x[1]", "denominators in every resample", "a resample in which they add up to 0", "use steelyard.estimate"),
    ),
}


def statistic_name(statistic: object) -> str:
    """Return ``statistic`` if it is the name of one; raise otherwise."""
    return choice(statistic, "statistic", names("uncertainty.statistic"))


def column_names(statistic: str) -> tuple[str, ...]:
    """The core's names of the columns of a statistic, such as ``("x", "y")`` for the ratio."""
    return REGISTRIES["uncertainty.statistic"][statistic].columns


def several_columns(x: Any, statistic: str) -> dict[str, Array]:
    """The columns of a tuple, keyed by the caller's expressions for them: ``x[0]``, ``x[1]``."""
    wanted = column_names(statistic)
    expected = f"a tuple of {len(wanted)} columns ({', '.join(wanted)}) for statistic={statistic!r}"
    if not isinstance(x, tuple):
        raise type_error("x", expected, shown(x))
    if len(x) != len(wanted):
        raise value_error("x", expected, f"a tuple of {len(x)}")
    found = {f"x[{i}]": one_column(column, f"x[{i}]") for i, column in enumerate(x)}
    for name, column in found.items():
        if len(column) != len(found["x[0]"]):
            raise value_error(name, f"{len(found['x[0]'])} rows, as x[0] has", str(len(column)))
    return found


def for_core(columns: Iterable[Array]) -> list[NDArray[Any]]:
    """Convert boolean columns to numbers, since the core takes only floats."""
    return [x.astype(np.float32) if x.dtype == np.bool_ else x for x in columns]


def refusal(found: Mapping[str, Any], statistic: str, columns: Mapping[str, Array], rows: Rows) -> ValueError:
    """The error for columns of which the core refused to compute a statistic, worded with the caller's names."""
    kind, names, words = found["refused"], list(columns), WORDS[statistic]
    if kind == "not finite":
        name = names[found["column"]]
        return _intervals.not_finite(rows.of(columns[name]), found["index"], name, rows)
    if kind == "too large":
        return _intervals.too_large(names[found["column"]], f"values from {found['low']:g} to {found['high']:g}")
    if kind == "zero denominator":
        return value_error(names[-1], "values whose sum is not 0, since the ratio divides by it", "a sum of 0")
    if kind == "uncertain denominator":
        got = "values of both signs, whose sum has an interval that holds 0"
        return value_error(names[-1], "values whose sum is certainly not 0", got, "no ratio to it can be resampled")
    if kind == "empty resample" and words.no_answer is not None:
        return value_error(*words.no_answer)
    whole = "x" if len(names) > 1 else names[0]
    if kind == "equal values":
        return value_error(whole, words.expected, f"{found['n']} equal {words.of_rows}", words.fix)
    if kind == "equal means":
        return value_error(whole, words.expected, f"{found['n']} clusters of equal {words.of_clusters}", words.fix)
    raise KeyError(kind)  # a reason of the core for which no message has been written here
