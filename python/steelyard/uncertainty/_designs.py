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
from .._text import printable
from ..errors import value_error
from ._allotment import drawn_in_strata
from ._callables import Called
from ._request import Options
from ._statistics import Chosen, column_names, for_core, is_of_sums, refusal
from .blocks import Blocks
from .sampling import SMOOTHED, Drawn

__all__ = ["PLAIN", "Design", "design_of", "raise_if_drawn_empty"]

TITLES = titles("bootstrap.blocks")
MEAN = " on average"
# The ways to draw that are not for many rows, and why nobody misses them there.
ENOUGH = {
    "balanced": "the mean of so many multinomial draws is close to the value anyway",
    SMOOTHED: "so many rows are smooth enough",
}
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
        if sampling.kind == SMOOTHED:
            sampling = _with_bandwidth(sampling, rows, statistic, columns)
    asked = "blocks" if blocks is not None else _asked(rows)
    if asked is None and sampling is None:
        return PLAIN
    if (blocks is not None or rows.several is not None) and options.n_resamples == math.inf:
        raise _cannot(asked or "clusters", rows, "with n_resamples=math.inf", "9999 resamples are usual")
    if isinstance(statistic, Called):
        _only_micro_with_counts(rows, statistic)
    elif not is_of_sums(statistic.name):
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
        if strata is not None and sampling.parameters:
            sampling = drawn_in_strata(sampling, strata, keywords["stratum_codes"])
        keywords |= {"sampling": sampling.kind, "sampling_parameters": sampling.parameters}
        scheme, kind, detail = scheme + sampling.title, kind + sampling.said, sampling.detail
    return Design(keywords, scheme, kind, detail)


def raise_if_drawn_empty(rows: Rows, options: Options) -> None:
    """Raise where it is how rows are drawn that leaves a resample without a statistic."""
    if isinstance(rows.several, Crossed):
        a, b = map(printable, rows.several.names)
        got = f"a resample in which no {a} that was drawn has a row of a {b} that was drawn"
        raise value_error(
            "clusters", "rows in every resample", got, "pass the ids of one kind, or use steelyard.estimate"
        )
    if options.sampling is not None and options.sampling.kind == SMOOTHED:
        expected = f"'multinomial' for {_named(options.statistic)}"
        raise value_error("sampling", expected, str(options.sampling), "noise moves values out of its range")


def _length(blocks: Blocks, rows: Rows, statistic: Chosen | Called, columns: Mapping[str, Array]) -> float:
    """The length of the blocks, which the data choose where none is given."""
    for name, found in (("clusters", rows.clusters), ("strata", rows.strata)):
        if found is not None:
            fix = "by= gives the answer of each of several series"
            raise value_error("blocks", f"None with {name}", repr(blocks.kind), fix if name == "strata" else "")
    if blocks.length is not None:
        n = rows.count(next(iter(columns.values())))
        if blocks.length > n:
            raise value_error("blocks", f"a length of at most {n} rows", f"{blocks.length:g}")
        return blocks.length
    function = isinstance(statistic, Called)
    one = len(columns) == 1 and all(x.ndim == 1 for x in columns.values())
    if not one and (function or not is_of_sums(statistic.name)):
        fix = f"pass blocks=steelyard.uncertainty.blocks({blocks.kind!r}, length)"
        raise value_error("blocks", f"a length for {_named(statistic)}", repr(blocks.kind), fix)
    # The length that suits a function is not known: that for the mean of its values stands for it, as for sorted rows.
    title = "mean" if function else statistic.name
    chosen = _core.block_length(for_core(map(rows.of, columns.values())), title, kind=blocks.kind)
    if "refused" in chosen:
        raise refusal(chosen, title, columns, rows)
    length: float = chosen["length"]
    return length


def _named(statistic: Chosen | Called) -> str:
    """The statistic as error messages name it."""
    return f"the function {statistic}" if isinstance(statistic, Called) else f"statistic={str(statistic)!r}"


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
    if sampling.kind in ENOUGH and units > MOST:
        expected = f"at most {MOST} rows or clusters with {sampling.kind!r}"
        raise value_error("sampling", expected, str(units), ENOUGH[sampling.kind])
    if sampling.kind == SMOOTHED:
        return
    if rows.strata is None and sampling.sizes is not None:
        raise value_error("sampling", "one number of draws without strata", str(sampling))
    whole = isinstance(statistic, Called) or not is_of_sums(statistic.name)
    if whole and sampling.kind in ("bayesian", "poisson") and rows.strata is not None:
        expected = f"strata of as many rows as there are for {_named(statistic)}"
        raise value_error("sampling", expected, str(sampling), "'balanced' and 'multinomial' draws keep them")
    if isinstance(statistic, Called):
        if sampling.parameters or (sampling.kind == "bayesian" and statistic.takes != "counts"):
            fix = "a function that takes sample_weight can have weights" if not sampling.parameters else ""
            raise value_error("sampling", f"whole counts of n rows for {_named(statistic)}", str(sampling), fix)
    elif whole and sampling.kind == "bayesian" and len(column_names(statistic.name)) > 1:
        raise value_error("sampling", f"whole counts for {_named(statistic)}", str(sampling))


def _with_bandwidth(sampling: Drawn, rows: Rows, statistic: Chosen | Called, columns: Mapping[str, Array]) -> Drawn:
    """The smoothed bootstrap with its bandwidth, which the data choose where none is given."""
    (name, x), *others = columns.items()
    if others or x.ndim > 1:
        raise value_error("sampling", f"'multinomial' for the columns of {statistic}", str(sampling))
    for asked, of in (("clusters", rows.clusters), ("weights", rows.weights), ("strata", rows.strata)):
        if of is not None:
            fix = "by= gives the answer of each stratum" if asked == "strata" else ""
            raise value_error("sampling", f"'multinomial' with {asked}", str(sampling), fix)
    if isinstance(statistic, Called) and statistic.takes == "counts":
        fix = "noise needs a function that takes the rows of a resample"
        raise value_error("sampling", f"'multinomial' for {_named(statistic)}", str(sampling), fix)
    # Values without spread are refused with any bandwidth: the width of the limits would be that of the noise.
    found = _core.bandwidth(for_core([rows.of(x)])[0])
    if "refused" in found:
        raise refusal(found, "mean", {name: x}, rows)
    return sampling if sampling.parameters else Drawn(SMOOTHED, (found["bandwidth"],))


def _asked(rows: Rows) -> str | None:
    """The argument that asks for a design of its own."""
    if rows.several is not None:
        return "clusters"
    return "strata" if rows.strata is not None else "weights" if rows.weights is not None else None


def _only_micro_with_counts(rows: Rows, statistic: Called) -> None:
    """A function sees one sample; it can weigh rows where it takes how often each counts."""
    if rows.weights is not None and statistic.takes != "counts":
        fix = "a function that takes sample_weight can have weights"
        raise value_error("weights", f"None for {_named(statistic)}", "weights", fix)
    if rows.strata is not None and rows.strata.average != "micro":
        fix = "by= gives the answer of each stratum"
        raise value_error("average", f"'micro' for {_named(statistic)}", repr(rows.strata.average), fix)


def _only_micro_without_weights(rows: Rows, statistic: Chosen) -> None:
    """A statistic of sorted rows has strata of one sample, in which rows count whole times."""
    named = _named(statistic)
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
