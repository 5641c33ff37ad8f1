"""The designs of resampling: strata, weights and blocks, for the core and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .. import _core, _intervals
from .._columns import Array
from .._registries import titles
from .._rows import Rows
from .._strata import scheme_of, unit_strata
from ..errors import value_error
from ._callables import Called
from ._statistics import Chosen, for_core, is_of_sums, refusal
from .blocks import Blocks

__all__ = ["PLAIN", "Design", "design_of"]

TITLES = titles("bootstrap.blocks")
MEAN = " on average"


class Design(NamedTuple):
    """How rows are resampled and become one statistic, apart from their clusters."""

    keywords: dict[str, Any]
    """What the core is told."""
    scheme: str = ""
    """The words before the method."""
    kind: str = ""
    """What ``reason`` says of it."""
    detail: Mapping[str, Any] = MappingProxyType({})
    """What ``detail`` says of it."""


PLAIN = Design({})


def design_of(
    rows: Rows, statistic: Chosen | Called, columns: Mapping[str, Array], n_resamples: float, blocks: Blocks | None
) -> Design:
    """The design of the rows; raises where the statistic cannot be resampled under it."""
    asked = "blocks" if blocks is not None else _asked(rows)
    if asked is None:
        return PLAIN
    if isinstance(statistic, Called):
        raise value_error(asked, "None for a statistic that is a function", asked, "name a statistic")
    if n_resamples == math.inf:
        raise value_error(asked, "None with n_resamples=math.inf", asked, "9999 resamples are usual")
    if not is_of_sums(statistic.name):
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
    kind, detail = (" with weights" if weighted else "") + ("" if strata is None else strata.kind), {}
    scheme = scheme_of(strata) + ("weighted " if weighted else "")
    if blocks is not None:
        length = _length(blocks, rows, statistic, columns)
        keywords |= {"blocks": blocks.kind, "block_length": length}
        chosen = "chosen by Politis and White" if blocks.length is None else "as given"
        kind += f" in blocks of {length:.4g} rows{MEAN if blocks.kind == 'stationary' else ''}, {chosen}"
        scheme, detail = f"{scheme}{TITLES[blocks.kind]} ", {"block_length": length}
    return Design(keywords, scheme, kind, detail)


def _length(blocks: Blocks, rows: Rows, statistic: Chosen, columns: Mapping[str, Array]) -> float:
    """The length of the blocks, which the data choose where none is given."""
    for name, of in (("clusters", rows.clusters), ("strata", rows.strata)):
        if of is not None:
            fix = "by= gives the answer of each of several series"
            raise value_error("blocks", f"None with {name}", repr(blocks.kind), fix if name == "strata" else "")
    values = for_core(map(rows.of, columns.values()))
    if blocks.length is not None:
        if blocks.length > len(values[0]):
            raise value_error("blocks", f"a length of at most {len(values[0])} rows", f"{blocks.length:g}")
        return blocks.length
    if len(values) > 1 and not is_of_sums(statistic.name):
        fix = f"pass blocks=steelyard.uncertainty.blocks({blocks.kind!r}, length)"
        raise value_error("blocks", f"a length for statistic={statistic.name!r}", repr(blocks.kind), fix)
    found = _core.block_length(values, statistic.name, kind=blocks.kind)
    if "refused" in found:
        raise refusal(found, statistic.name, columns, rows)
    length: float = found["length"]
    return length


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
