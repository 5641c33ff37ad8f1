"""Strata: rows (or clusters) are drawn separately in each stratum, and the strata together give one answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._arrays import id_column
from ._clusters import codes_of_all, texts
from ._columns import Array, Mask
from ._options import choice
from ._registries import names
from ._strides import coded, kept, strides
from .errors import type_error, value_error

__all__ = [
    "Average", "Strata", "StratumIds", "at_least_two", "each_counts", "nested", "scheme_of", "stratum_ids", "told",
    "unit_strata",
]  # fmt: skip

Average = Literal["micro", "macro"]
Indices = NDArray[np.int64]
NO_STRATUM = -1
FAR_END = "the limits take the share z^2/(k + z^2) to lie at the far end, k = 1/sum (share^2/clusters) of the strata"
ANSWERS = "n_effective is 1/sum (share^2/clusters) of the strata, the standard error the width over 2t"
NO_LIMITS = "no limits, since the values may lie outside [0, 1]"
STILL = "the error of values without spread, range {width:g}, is added for {still} without spread"


class Strata(NamedTuple):
    """The strata of the rows that count: ``codes[i]`` in ``range(len(ids))`` is the stratum of row ``i``."""

    codes: Indices
    ids: Array
    average: str
    wanted: Indices | None = None
    """The number of rows of each stratum that ``where`` lets count, where some of them may have no row that counts."""

    def name(self, stratum: int) -> str:
        return texts(self.ids[stratum : stratum + 1], "strata")[0]

    @property
    def kind(self) -> str:
        """The part of ``reason`` that says how many strata there are, and which mean they form."""
        return f" in {_strata(len(self.ids))}{', each counting once' if self.average == 'macro' else ''}"

    def said(self, found: Mapping[str, Any], *, bounded: bool, answers: bool = False) -> str:
        """The part of ``reason`` about the strata of an interval that the core ``found``.

        ``bounded``: the values lie in [0, 1] or are differences of such values; ``answers``: they are 0 or 1.
        """
        reason = self.kind
        if found["unspread"]:
            return f"{reason}; no stratum shows a spread: {ANSWERS if answers else FAR_END if bounded else NO_LIMITS}"
        if found["still"]:
            reason += "; " + STILL.format(still=_strata(found["still"]), width=found["width"])
        return reason

    def of(self, rows: Indices) -> Strata:
        """The strata of some of the rows; those that have none of them are dropped."""
        codes, present = coded(self.codes[rows])
        return Strata(codes, self.ids[present], self.average)


def _strata(count: int) -> str:
    return f"{count} strat{'um' if count == 1 else 'a'}"


def scheme_of(strata: Strata | None) -> str:
    """The words about strata before the kind of interval in ``method``."""
    if strata is None:
        return ""
    return "macro stratified " if strata.average == "macro" else "stratified "


class StratumIds(NamedTuple):
    """The argument ``strata``, checked: the id of each row, the rows without one (None: all have one), the average."""

    ids: Array
    nameless: Mask | None
    average: str

    def strata(self, n: int, where: Mask | None, keep: Mask | None, *, some: bool = True) -> Strata:
        """The strata of the rows ``keep`` (None: all) of ``n`` rows.

        A stratum of which ``where`` leaves no row is dropped. One of which another reason leaves no row is an error,
        since a macro average would silently become another one; without ``some``, ``wanted`` tells of it instead.
        """
        known = None if self.nameless is None else ~self.nameless
        codes, ids = codes_of_all(self.ids, "strata", n, known, blank=NO_STRATUM)
        if keep is None and some:
            return Strata(codes, ids, self.average)
        wanted = np.bincount((codes if where is None else kept(codes, where)) - NO_STRATUM, minlength=len(ids) + 1)[1:]
        present = np.flatnonzero(wanted)
        dense = (np.cumsum(wanted > 0) - 1)[codes if keep is None else kept(codes, keep)]
        found = Strata(dense, ids[present], self.average, wanted[present].astype(np.int64))
        if not some:
            return found
        each_counts(found)
        return found._replace(wanted=None)


def stratum_ids(strata: Any, average: object) -> StratumIds | None:
    """The arguments ``strata`` and ``average``, checked."""
    chosen = choice(average, "average", names("strata.average"))
    if strata is None:
        if chosen != "micro":
            raise value_error("average", "strata= with it", repr(chosen), "pass the stratum of each row as strata=")
        return None
    if isinstance(strata, tuple):
        raise type_error("strata", "an array or a list of ids", "a tuple")
    return StratumIds(*id_column(strata, "strata"), chosen)


def unit_strata(strata: Strata, clusters: tuple[Indices, int] | None) -> Indices:
    """The stratum of each cluster, or of each row where there are no clusters.

    Raises where a cluster has rows in two strata, and where a stratum has just one cluster (or row).
    """
    of_units = strata.codes if clusters is None else nested(strata, *clusters)
    at_least_two(strata, of_units, "row" if clusters is None else "cluster")
    return of_units


def at_least_two(strata: Strata, of_units: Indices, unit: str) -> None:
    """Refuse a stratum of just one of the units, which lie in the strata ``of_units``."""
    few = np.flatnonzero(np.bincount(of_units, minlength=len(strata.ids)) < 2)
    if few.size:
        fix = "merge it with another stratum, or leave it out with where="
        got = f"one in {strata.name(int(few[0]))!r}, which has no variance"
        raise value_error("strata", f"at least two {unit}s in every stratum", got, fix)


def each_counts(strata: Strata) -> None:
    """Refuse a stratum of which ``where`` leaves rows that none of its codes tells of, since they do not count."""
    assert strata.wanted is not None
    lost = np.flatnonzero(np.bincount(strata.codes, minlength=len(strata.ids)) == 0)
    if lost.size:
        got = f"none of {strata.wanted[lost[0]]} in {strata.name(int(lost[0]))!r}"
        raise value_error("strata", "a row that counts in every stratum", got, "leave the stratum out with where=")


def told(strata: Strata | None, clusters: tuple[Indices, int] | None) -> dict[str, Any]:
    """What the core is told of the strata of the units; nothing where there are none. Raises as :func:`unit_strata`."""
    if strata is None:
        return {}
    codes = unit_strata(strata, clusters)
    return {"stratum_codes": codes, "strata": len(strata.ids), "average": strata.average}


def nested(strata: Strata, codes: Indices, total: int) -> Indices:
    """The stratum of each cluster, all of whose rows must lie in it."""
    of_clusters = np.empty(total, np.int64)
    for step in strides(len(codes)):
        of_clusters[codes[step]] = strata.codes[step]
    for step in strides(len(codes)):
        apart = of_clusters[codes[step]] != strata.codes[step]
        if apart.any():
            row = int(np.argmax(apart)) + step.start
            one, other = sorted((int(strata.codes[row]), int(of_clusters[codes[row]])))
            got = f"one with rows in {strata.name(one)!r} and in {strata.name(other)!r}"
            fix = (
                "if ids are numbered anew in each stratum, put the stratum into the id; where clusters cross strata "
                "(one question in several languages), leave strata out"
            )
            raise value_error("clusters", "clusters that lie inside one stratum each", got, fix)
    return of_clusters
