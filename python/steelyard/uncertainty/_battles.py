"""Battles of two models each, read into a table of who beat whom and who tied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _clusters, _core
from .._arrays import aligned
from .._rows import Clusters, Selection, nonzero, nothing_counts
from .._strides import strides
from .._text import printable
from ..errors import type_error, value_error

__all__ = ["Battles", "battles"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
FIRST, SECOND, TIE = 0, 1, 2
# What the columns of LMArena's records say, and what is short for it.
WORDS = {
    "a": FIRST, "model_a": FIRST, "b": SECOND, "model_b": SECOND,
    "tie": TIE, "tie (bothbad)": TIE, "both_bad": TIE, "bothbad": TIE,
}  # fmt: skip
NUMBERS = {1.0: FIRST, 0.0: SECOND, 0.5: TIE}
EXPECTED = "1, 0 or 0.5, or the words model_a, model_b, tie, tie (bothbad)"
SELF = "a model against itself"
# The sum of the squares of as many weights as there may be rows is finite.
HEAVIEST = 1e140


class Battles(NamedTuple):
    """The battles that count, collapsed and row by row."""

    names: tuple[str, ...]
    counts: Whole
    """[2, K, K]: battles that one model won against another, and those that they tied (the earlier name first)."""
    table: Floats
    """The same as sums of weights."""
    squares: Floats | None
    """The same as sums of squared weights, where there are weights."""
    places: Whole
    """The entry of the table of each row."""
    clusters: Clusters | None
    weights: Floats | None
    left_out: dict[str, int]

    @property
    def n(self) -> int:
        return len(self.places)

    @property
    def models(self) -> int:
        return len(self.names)


def battles(a: Any, b: Any, outcome: Any, *, where: Any, clusters: Any, weights: Any) -> Battles:
    """Read the columns of battles, and leave out those of a model against itself."""
    aligned(a=a, b=b, outcome=outcome, where=where, clusters=clusters, weights=weights)
    if isinstance(clusters, Mapping | tuple):
        raise type_error("clusters", "an array or a list of ids", f"a {type(clusters).__name__}")
    ids, _ = _arrays.id_column(a, "a")
    if ids.ndim != 1:
        raise value_error("a", "one model per battle, shape (n,)", f"shape {ids.shape}")
    n = len(ids)
    selection = Selection(where, clusters, "raise", weights=weights, unit="battle")
    rows = selection.rows("a", np.zeros(n, np.bool_))
    names, first, second = _models(a, b, n, rows.keep)
    kinds = _kinds(outcome, n, rows.keep)
    apart = first != second
    left_out = nonzero(rows.left_out | {SELF: len(apart) - np.count_nonzero(apart)})
    groups, weighed = rows.clusters, rows.weights
    if not apart.all():
        if not apart.any():
            raise nothing_counts("a", "battle", left_out)
        first, second, kinds = first[apart], second[apart], kinds[apart]
        groups = None if groups is None else groups.of(np.flatnonzero(apart))
        weighed = None if weighed is None else weighed[apart]
        used = np.union1d(first, second)
        names = tuple(names[i] for i in used.tolist())
        first, second = np.searchsorted(used, first), np.searchsorted(used, second)
    if len(names) > _core.RATED_MODELS:
        raise value_error("a", f"at most {_core.RATED_MODELS:,} models", f"{len(names):,}")
    if weighed is not None and weighed.max() > HEAVIEST:
        raise value_error("weights", f"numbers of at most {HEAVIEST:g}", f"{weighed.max():g}")
    places = _places(first, second, kinds, len(names))
    counts = _summed(places, None, len(names)).astype(np.int64)
    return Battles(
        names, counts, _summed(places, weighed, len(names)),
        None if weighed is None else _summed(places, weighed * weighed, len(names)),
        places, groups, weighed, left_out,
    )  # fmt: skip


def _models(a: Any, b: Any, n: int, keep: NDArray[np.bool_] | None) -> tuple[tuple[str, ...], Whole, Whole]:
    """The names of all models in the order of their texts, and the number of either model in each battle."""
    sides = []
    for ids, name in ((a, "a"), (b, "b")):
        codes, unique = _arrays.codes(ids, name, n, keep)
        sides.append((codes, _clusters.texts(unique, name), unique.dtype.kind in "USO"))
    if sides[0][2] != sides[1][2]:
        kind = "names" if sides[0][2] else "numbers"
        raise type_error("b", f"{kind} of models, as in a", "numbers" if sides[0][2] else "names")
    names = sorted({*sides[0][1], *sides[1][1]})
    number = {name: i for i, name in enumerate(names)}
    first, second = (np.array([number[text] for text in texts], np.int64)[codes] for codes, texts, _ in sides)
    return tuple(names), first, second


def _kinds(outcome: Any, n: int, keep: NDArray[np.bool_] | None) -> Whole:
    """Who won each battle."""
    codes, unique = _arrays.codes(outcome, "outcome", n, keep)
    kinds = []
    for value in unique.tolist():
        known = WORDS.get(value) if isinstance(value, str) else NUMBERS.get(value)
        if known is None:
            raise value_error("outcome", EXPECTED, printable(repr(value)))
        kinds.append(known)
    return np.array(kinds, np.int64)[codes]


def _places(first: Whole, second: Whole, kinds: Whole, models: int) -> Whole:
    """The entry of the table of each battle."""
    places = np.empty(len(kinds), np.int64)
    for step in strides(len(kinds)):
        a, b, kind = first[step], second[step], kinds[step]
        turned = (kind == SECOND) | ((kind == TIE) & (a > b))
        winner, loser = np.where(turned, b, a), np.where(turned, a, b)
        places[step] = ((kind == TIE) * models + winner) * models + loser
    return places


def _summed(places: Whole, weights: Floats | None, models: int) -> Floats:
    """The number of battles, or the sum of their weights, in each entry of the table."""
    table = np.zeros(2 * models * models)
    for step in strides(len(places)):
        table += np.bincount(places[step], None if weights is None else weights[step], len(table))
    return table.reshape(2, models, models)
