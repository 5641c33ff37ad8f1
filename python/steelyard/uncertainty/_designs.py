"""The designs of resampling: strata and weights, for the core and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import _intervals
from .._columns import Array
from .._rows import Rows
from .._strata import scheme_of, unit_strata
from ..errors import value_error
from ._callables import Called
from ._statistics import Chosen, of_sums_by_name

__all__ = ["PLAIN", "Design", "design_of"]


class Design(NamedTuple):
    """How rows are resampled and become one statistic, apart from their clusters."""

    keywords: dict[str, Any]
    """What the core is told."""
    scheme: str = ""
    """The words before the method."""
    kind: str = ""
    """What ``reason`` says of it."""


PLAIN = Design({})


def design_of(rows: Rows, statistic: Chosen | Called, columns: Mapping[str, Array], n_resamples: float) -> Design:
    """The design of the rows; raises where the statistic cannot be resampled under it."""
    asked = _asked(rows)
    if asked is None:
        return PLAIN
    if isinstance(statistic, Called):
        raise value_error(asked, "None for a statistic that is a function", asked, "name a statistic")
    if n_resamples == math.inf:
        raise value_error(asked, "None with n_resamples=math.inf", asked, "9999 resamples are usual")
    if statistic.name not in of_sums_by_name():
        _only_micro_without_weights(rows, statistic)
    elif statistic.name == "ratio":
        _of_one_sign(rows, columns, asked)
    strata, weights = rows.strata, rows.weights
    keywords: dict[str, Any] = {"weights": weights}
    if strata is not None:
        keywords |= {
            "stratum_codes": unit_strata(strata, rows.clusters), "strata": len(strata.ids), "average": strata.average,
        }  # fmt: skip
    weighted = weights is not None
    return Design(
        keywords,
        scheme_of(strata) + ("weighted " if weighted else ""),
        (" with weights" if weighted else "") + ("" if strata is None else strata.kind),
    )


def _asked(rows: Rows) -> str | None:
    """The argument that asks for a design of its own."""
    return "strata" if rows.strata is not None else "weights" if rows.weights is not None else None


def _only_micro_without_weights(rows: Rows, statistic: Chosen) -> None:
    """A statistic of sorted rows has strata of one sample, in which rows count whole times."""
    named = f"statistic={str(statistic)!r}"
    if rows.weights is not None:
        raise value_error("weights", f"None for {named}, which ranks rows that count whole times", "weights")
    if rows.strata is not None and rows.strata.average != "micro":
        fix = "by= gives the answer of each stratum"
        raise value_error("average", f"'micro' for {named}", repr(rows.strata.average), fix)


def _of_one_sign(rows: Rows, columns: Mapping[str, Array], asked: str) -> None:
    """The denominators of a ratio must be of one sign: their sum is then certainly not 0."""
    name, y = list(columns.items())[-1]
    low = _intervals.column(rows.of(y), name, rows=rows).low
    if low < 0.0:
        raise value_error(name, f"values of at least 0 with {asked}", f"values from {low:g} on")
