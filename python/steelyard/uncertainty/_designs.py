"""The designs of resampling: nested and crossed clusters, strata, weights and blocks, for the core and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .. import _core, _intervals
from .._columns import Array
from .._levels import Crossed
from .._registries import titles
from .._rows import Rows
from .._strata import scheme_of, told
from ..errors import value_error
from ._callables import Called
from ._request import Options
from ._statistics import Chosen, column_names, for_core, is_of_sums, refusal
from .blocks import Blocks
from .sampling import Drawn

__all__ = ["PLAIN", "Design", "design_of"]

TITLES = titles("bootstrap.blocks")
MEAN = " on average"
# Units of balanced resamples: one replicate of more would take longer than a call may take to answer Ctrl-C.
MOST = 100_000


class Design(NamedTuple):
    """How rows are resampled and become one statistic, apart from clusters of one kind."""

    keywords: dict[str, Any]
    """What the core is told; of nested clusters the innermost ones."""
    scheme: str = ""
    """The words before the method."""
    kind: str = ""
    """What ``reason`` says of it."""
    detail: Mapping[str, Any] = MappingProxyType({})
    """What ``detail`` says of it."""


PLAIN = Design({})


def design_of(rows: Rows, options: Options, columns: Mapping[str, Array]) -> Design:
    """The design of the rows; raises where the statistic cannot be resampled under it."""
    statistic, blocks, sampling = options.statistic, options.blocks, options.sampling
    if sampling is not None:
        units = rows.clusters.total if rows.clusters else rows.count(next(iter(columns.values())))
        _can_be_drawn(sampling, rows, units, options)
    asked = "blocks" if blocks is not None else _asked(rows)
    if asked is None and sampling is None:
        return PLAIN
    if isinstance(statistic, Called):
        if asked is not None:
            raise _cannot(asked, rows, "for a statistic that is a function", "name a statistic")
        assert sampling is not None
        return Design({}, sampling.title, sampling.said, sampling.detail)
    if (blocks is not None or rows.several is not None) and options.n_resamples == math.inf:
        raise _cannot(asked or "clusters", rows, "with n_resamples=math.inf", "9999 resamples are usual")
    if not is_of_sums(statistic.name):
        _only_micro_without_weights(rows, statistic)
    elif statistic.name == "ratio":
        _of_one_sign(rows, columns, rows.several.words if rows.several else asked or "sampling")
    strata, weights, several = rows.strata, rows.weights, rows.several
    keywords: dict[str, Any] = {"weights": weights} | told(strata, rows.clusters)
    weighted = weights is not None
    detail: dict[str, Any] = {}
    kind = (" with weights" if weighted else "") + ("" if strata is None else strata.kind)
    scheme = scheme_of(strata) + ("weighted " if weighted else "")
    if several is not None:
        keywords |= several.for_core()
        kind = f" in {several.words}{kind}"
        scheme += "pigeonhole " if isinstance(several, Crossed) else ""
    if blocks is not None:
        length = _length(blocks, rows, statistic, columns)
        keywords |= {"blocks": blocks.kind, "block_length": length}
        chosen = "chosen by Politis and White" if blocks.length is None else "as given"
        kind += f" in blocks of {length:.4g} rows{MEAN if blocks.kind == 'stationary' else ''}, {chosen}"
        scheme, detail = f"{scheme}{TITLES[blocks.kind]} ", {"block_length": length}
    if sampling is not None:
        keywords |= {"sampling": sampling.kind, "sampling_parameters": sampling.parameters}
        scheme, kind, detail = scheme + sampling.title, kind + sampling.said, sampling.detail
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


def _cannot(asked: str, rows: Rows, where: str, fix: str) -> ValueError:
    """The error that a design cannot be asked for there."""
    if asked == "clusters" and rows.several is not None:
        return value_error(asked, f"one kind {where}", rows.several.words, fix)
    return value_error(asked, f"None {where}", asked, fix)


def _can_be_drawn(sampling: Drawn, rows: Rows, units: int, options: Options) -> None:
    """Raise where the rows cannot be drawn so, or the method's correction is that of multinomial draws."""
    statistic = options.statistic
    if options.n_resamples == math.inf:
        expected = "'multinomial' with n_resamples=math.inf"
        raise value_error("sampling", expected, str(sampling), "9999 resamples are usual")
    if options.blocks is not None:
        raise value_error("sampling", f"'multinomial' with blocks={options.blocks.kind!r}", str(sampling))
    if rows.several is not None:
        raise value_error("sampling", f"'multinomial' in {rows.several.words}", str(sampling))
    sampling.check(options.method)
    if sampling.kind == "balanced" and units > MOST:
        fix = "the mean of so many multinomial draws is close to the value anyway"
        raise value_error("sampling", f"at most {MOST} rows or clusters with 'balanced'", str(units), fix)
    if rows.strata is not None and sampling.parameters:
        fix = "by= gives the answer of each stratum"
        raise value_error("sampling", "draws of all rows with strata", str(sampling), fix)
    if isinstance(statistic, Called):
        if sampling.parameters or (sampling.kind == "bayesian" and statistic.takes != "counts"):
            fix = "a function that takes sample_weight can have weights" if not sampling.parameters else ""
            raise value_error("sampling", f"whole counts of n rows for the function {statistic}", str(sampling), fix)
    elif not is_of_sums(statistic.name):
        if sampling.kind == "bayesian" and len(column_names(statistic.name)) > 1:
            raise value_error("sampling", f"whole counts for statistic={str(statistic)!r}", str(sampling))
        if sampling.kind in ("bayesian", "poisson") and rows.strata is not None:
            expected = f"strata of as many rows as there are for statistic={str(statistic)!r}"
            raise value_error("sampling", expected, str(sampling), "'balanced' and 'multinomial' draws keep them")


def _asked(rows: Rows) -> str | None:
    """The argument that asks for a design of its own."""
    if rows.several is not None:
        return "clusters"
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
