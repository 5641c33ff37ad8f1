"""The statistics that ``estimate`` and ``bootstrap`` offer by name, and the columns that each one takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _intervals
from .._columns import Array, one_column
from .._options import parameter
from .._registries import REGISTRIES, names
from .._rows import Rows
from ..errors import did_you_mean, shown, type_error, value_error
from ._counts import COUNTS, check_matches, count_columns

__all__ = [
    "Chosen", "Statistic", "chosen", "column_names", "for_core", "is_of_sums", "of_sums_by_name", "refusal",
    "several_columns",
]  # fmt: skip

KEY = "uncertainty.statistic"
Statistic = Literal[
    "mean", "ratio", "sum", "weighted_mean", "geometric_mean", "perplexity", "variance", "std", "skewness",
    "kurtosis", "correlation", "slope", "rmse", "r2", "accuracy", "precision", "recall", "f1", "balanced_accuracy",
    "mcc", "kappa", "brier", "log_loss", "bleu", "chrf", "chrf++", "median", "quantile", "trimmed_mean", "iqr", "mad",
    "auc", "gini", "average_precision", "ks", "spearman", "ece",
]  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """A statistic with the numbers it takes, such as the 0.9 of ``quantile(0.9)``."""

    name: str
    parameters: tuple[float, ...] = ()

    @property
    def level(self) -> float | None:
        """The level of a quantile, which the median is too; None for another statistic."""
        return 0.5 if self.name == "median" else self.parameters[0] if self.name == "quantile" else None

    def __str__(self) -> str:
        return (
            f"{self.name}({', '.join(f'{number:g}' for number in self.parameters)})" if self.parameters else self.name
        )


class Words(NamedTuple):
    """What errors say where resamples of a statistic would all be equal, or where one of them has no answer."""

    expected: str
    """What is expected of the rows, so that resamples differ."""
    of_rows: str
    """What is equal where all rows are alike; ``of_clusters`` where all clusters are."""
    of_clusters: str
    no_answer: tuple[str, str, str, str] | None = None
    """The argument, what is expected in each resample, what came, and what to do; None where the name's row says it."""
    fix: str = "resampling them says nothing; use steelyard.proportion for 0/1 values, steelyard.estimate for others"


def _sorted_rows(what: str) -> Words:
    return Words("values that differ", "values", what)


EQUAL = "the bootstrap cannot say how uncertain it is; steelyard.estimate may have an interval in closed form"
NO_TARGETS = (
    "x[1]", "targets of both kinds in every resample", "a resample in which all are equal", "use steelyard.estimate"
)  # fmt: skip
CLASSES = Words("scores that differ", "scores", "scores", NO_TARGETS, "their order says nothing about the targets")

WORDS: Mapping[str, Words] = {
    "mean": Words("values that differ", "values", "means"),
    "ratio": Words(
        "rows of different ratios",
        "ratios",
        "ratios",
        ("x[1]", "denominators in every resample", "a resample in which they add up to 0", "use steelyard.estimate"),
    ),
    "median": _sorted_rows("medians"),
    "quantile": _sorted_rows("quantiles"),
    "trimmed_mean": _sorted_rows("trimmed means"),
    "iqr": _sorted_rows("values"),
    "mad": _sorted_rows("values"),
    "auc": CLASSES,
    "gini": CLASSES,
    "average_precision": CLASSES,
    "ks": CLASSES,
    "spearman": Words(
        "columns whose values differ",
        "values in a column",
        "values",
        ("x", "values that differ in every resample", "a resample with a constant column", "use more rows"),
        "a constant has no rank correlation",
    ),
    "ece": Words("rows that differ", "rows", "rows"),
}


def of_sums_by_name() -> list[str]:
    """The names of the statistics of sums, all of which have an interval in closed form."""
    return [name for name in names(KEY) if name not in WORDS or name in ("mean", "ratio")]


def is_of_sums(statistic: str) -> bool:
    """Whether it is a statistic of sums, or a quotient of two."""
    return "/" in statistic or statistic in of_sums_by_name()


def words(statistic: str) -> Words:
    """The words of a statistic; those of a statistic of sums name what its rows add to it."""
    if statistic in WORDS:
        return WORDS[statistic]
    parts = f"parts of the {statistic}"
    return Words(f"rows that add different {parts}", parts, parts, fix="resampling them says nothing")


def chosen(statistic: object) -> Chosen:
    """The statistic of that name, or one with its parameters as ``steelyard.uncertainty.quantile`` makes it."""
    found = statistic if isinstance(statistic, Chosen) else Chosen(_name(statistic))
    if "/" in found.name:
        return found
    taken = REGISTRIES[KEY][found.name].parameters
    if found.parameters or not taken:
        return found
    defaults = tuple(of.default for of in taken.values() if of.default is not None)
    if len(defaults) < len(taken):
        needed = f"steelyard.uncertainty.{found.name}({', '.join(taken)})"
        raise value_error("statistic", f"{needed}, since it takes a number", repr(found.name))
    return Chosen(found.name, defaults)


def with_parameter(name: str, keyword: str, value: Any) -> Chosen:
    """The statistic ``name`` with the one number that it takes, checked against its range."""
    found = parameter(KEY, name, keyword, value)
    assert found is not None
    return Chosen(name, (found,))


def _name(statistic: object) -> str:
    known = names(KEY)
    if not isinstance(statistic, str):
        raise type_error("statistic", "a name, such as 'mean' or 'median'", shown(statistic))
    if "/" in statistic:
        return _quotient(statistic)
    if statistic not in known:
        fix = did_you_mean(statistic, known)
        raise value_error("statistic", f"one of {', '.join(known)}", repr(statistic), fix)
    return statistic


def _quotient(statistic: str) -> str:
    """The name of a quotient, such as ``mean/std``: of two statistics of sums that take the same columns."""
    parts = [_name(part) for part in statistic.split("/")]
    if len(parts) != 2 or parts[0] == parts[1]:
        raise value_error("statistic", "a quotient of two different statistics, such as 'mean/std'", repr(statistic))
    for part in parts:
        if part not in of_sums_by_name() or part == "sum":
            fix = "a sum grows with the rows: use 'mean'" if part == "sum" else "a function may compute any quotient"
            raise value_error("statistic", "a quotient of statistics of sums", f"{part!r} in {statistic!r}", fix)
    above, below = (column_names(part) for part in parts)
    if above != below:
        got = " and ".join(f"{part!r} of ({', '.join(column_names(part))})" for part in parts)
        raise value_error("statistic", "a quotient of statistics of the same columns", got)
    return statistic


def column_names(statistic: str) -> tuple[str, ...]:
    """The core's names of the columns of a statistic, such as ``("x", "y")`` for the ratio."""
    return REGISTRIES[KEY][statistic.partition("/")[0]].columns  # those of a quotient are those of both


def _needs(statistic: str) -> str:
    """What the rows of a statistic of sums must have for it to have a value."""
    parts = statistic.split("/")
    said = dict.fromkeys(REGISTRIES[KEY][part].needs for part in parts)
    divisor = [f"a finite {parts[1]} that is not 0"] if len(parts) > 1 else []
    return " and ".join([*filter(None, said), *divisor])


def several_columns(x: Any, statistic: str, of: str = "x") -> dict[str, Array]:
    """The columns of a tuple, keyed by the caller's expressions for them: ``x[0]``, ``x[1]``; counts may be a table."""
    wanted = column_names(statistic)
    if statistic in COUNTS and not isinstance(x, tuple):
        table = count_columns(x, statistic, wanted, of)
        check_matches(table, statistic)
        return table
    expected = f"a tuple of {len(wanted)} columns ({', '.join(wanted)}) for statistic={statistic!r}"
    if not isinstance(x, tuple):
        raise type_error(of, expected, shown(x))
    if len(x) != len(wanted):
        raise value_error(of, expected, f"a tuple of {len(x)}")
    found = {f"{of}[{i}]": one_column(column, f"{of}[{i}]") for i, column in enumerate(x)}
    for name, column in found.items():
        if len(column) != len(found[f"{of}[0]"]):
            raise value_error(name, f"{len(found[f'{of}[0]'])} rows, as {of}[0] has", str(len(column)))
    if statistic in COUNTS:
        check_matches(found, statistic)
    return found


def for_core(columns: Iterable[Array]) -> list[NDArray[Any]]:
    """Convert boolean columns to numbers, since the core takes only floats."""
    return [x.astype(np.float32) if x.dtype == np.bool_ else x for x in columns]


# What is expected where numbers are too far from 1, and what to do.
SIZES: Mapping[str, tuple[str, str]] = {
    "too large": ("values whose sum of squares stays finite", "scale them down"),
    "too small": ("values whose powers float64 holds", "scale them up"),
    "blurred": ("values that differ by more of their size", "subtract a number near their mean"),
}


def refusal(found: Mapping[str, Any], statistic: str, columns: Mapping[str, Array], rows: Rows) -> ValueError:
    """The error for columns of which the core refused to compute a statistic, worded with the caller's names."""
    kind, names, said = found["refused"], list(columns), words(statistic)
    if kind == "not finite":
        name = names[found["column"]]
        return _intervals.not_finite(rows.of(columns[name]), found["index"], name, rows)
    if kind in SIZES:
        expected, fix = SIZES[kind]
        return value_error(names[found["column"]], expected, f"values from {found['low']:g} to {found['high']:g}", fix)
    if kind == "zero denominator":
        return value_error(names[-1], "values whose sum is not 0, since the ratio divides by it", "a sum of 0")
    if kind == "uncertain denominator":
        got = "values of both signs, whose sum has an interval that holds 0"
        return value_error(names[-1], "values whose sum is certainly not 0", got, "no ratio to it can be resampled")
    if kind == "empty resample" and said.no_answer is not None:
        return value_error(*said.no_answer)
    if kind == "not a label":
        name = names[found["column"]]
        got = f"{_intervals.shown_at(rows.of(columns[name]), found['index'])} at index {rows.place(found['index'])}"
        return value_error(name, "targets that are 0 or 1", got)
    if kind == "one label":
        return value_error(names[1], "targets of both kinds, 0 and 1", f"only {int(found['label'])}")
    whole = _whole(names)
    if kind == "equal replicates":
        got = f"{found['n'] or 'infinitely many'} of one value"
        return value_error(whole, f"resamples that differ in their {statistic}", got, EQUAL)
    about_sums = _refused_sums(found, statistic, names, rows)
    if about_sums is not None:
        return about_sums
    if kind == "equal values":
        return value_error(whole, said.expected, f"{found['n']} equal {said.of_rows}", said.fix)
    if kind == "equal means":
        return value_error(whole, said.expected, f"{found['n']} clusters of equal {said.of_clusters}", said.fix)
    raise KeyError(kind)  # a reason of the core for which no message has been written here


def _whole(names: list[str]) -> str:
    """The argument whose columns these are."""
    return names[0].partition("[")[0] if len(names) > 1 else names[0]


def _refused_sums(found: Mapping[str, Any], statistic: str, names: list[str], rows: Rows) -> ValueError | None:
    """The error for columns that a statistic of sums does not take, or of which it has no value; None for others."""
    kind, whole = found["refused"], _whole(names)
    if kind == "domain":
        got = f"values from {found['low']:g} to {found['high']:g}"
        return value_error(names[found["column"]], f"{found['expected']} for statistic={statistic!r}", got)
    if kind == "infinite":
        got = "an infinite one, which can be neither resampled nor added up"
        return value_error(whole, f"a finite {statistic}", got)
    needs = _needs(statistic) or ("denominators that add up to more than 0" if statistic == "ratio" else "")
    if kind == "empty resample":
        return value_error(
            whole, f"{needs or 'rows'} in every resample", "a resample without", "use steelyard.estimate"
        )
    if kind == "no answer":
        every = " in every stratum" if rows is not None and rows.strata is not None else ""
        return value_error(whole, f"{needs}{every}, which the {statistic} needs", "rows without")
    return None
