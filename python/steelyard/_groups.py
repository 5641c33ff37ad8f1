"""Splitting rows into the groups that ``by=`` names; each group is estimated as a problem of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._clusters import codes_of_all, texts
from ._columns import Array, Mask, differ
from ._levels import Clusters, Crossed, Nested
from ._rows import Rows, Selection, nonzero
from ._strata import Strata
from ._strides import kept, rows_by_part
from ._text import listed_counts
from .errors import value_error

__all__ = ["groups"]

Indices = NDArray[np.int64]
NO_GROUP = -1


class _Groups(NamedTuple):
    """The group of each row as a code, ``NO_GROUP`` where it has none, and the ids that the codes stand for."""

    codes: Indices
    ids: Array

    def sizes(self, rows: Mask | None) -> NDArray[np.int64]:
        """How many of ``rows`` (None: all) each group has."""
        codes = self.codes if rows is None else kept(self.codes, rows)
        return np.bincount(codes - NO_GROUP, minlength=len(self.ids) + 1)[1:]


def groups(selection: Selection, name: str, *columns: Array) -> dict[str, Rows]:
    """The rows of each group that count, keyed by the group's id as text, in the order of the ids.

    ``left_out`` of a group counts rows of that group, and under ``no group`` the rows of the whole column that have no
    id. A group of which ``where`` leaves no row is omitted; one of which another reason leaves no row is an error.
    """
    n = len(columns[0])
    keep, gone = selection.counted(name, *columns)
    known = None if selection.nameless is None else ~selection.nameless
    of = _Groups(*codes_of_all(selection.by, "by", n, known, blank=NO_GROUP))
    left_out = {why: of.sizes(rows) for why, rows in gone.items()}
    left_out["no group"] = left_out["no group"] + np.count_nonzero(gone["no group"])
    left_out |= {why: np.full(len(of.ids), count) for why, count in selection.left_out.items()}
    total = of.sizes(None)
    present = np.flatnonzero(total > left_out["where"]) if "where" in left_out else np.arange(len(of.ids))
    names = texts(of.ids[present], "by")
    differ(names, "by")
    found = {}
    parts = _parts(selection, of, keep, present)
    for group, label, (at, clusters, several, strata) in zip(present.tolist(), names, parts, strict=True):
        counts = nonzero({why: lost[group] for why, lost in left_out.items()})
        if not len(at):
            got = f"none of {total[group]} in {label!r} (left out: {listed_counts(counts)})"
            raise value_error("by", "a row that counts in every group", got, "leave the group out with where=")
        weights = None if selection.weights is None else selection.weights[at]
        found[label] = Rows(None, clusters, counts, weights, group=at, strata=strata, several=several)
    return found


def _parts(
    selection: Selection, of: _Groups, keep: Mask | None, present: Indices
) -> Iterator[tuple[Indices, Clusters | None, Nested | Crossed | None, Strata | None]]:
    """The rows of each group in ``present``, in their original order, with their clusters and strata."""
    n = len(of.codes)
    sizes = of.sizes(keep)
    ends = np.cumsum(sizes)
    order = rows_by_part(of.codes if keep is None else kept(of.codes, keep), ends - sizes)
    rows = np.arange(n) if keep is None else np.flatnonzero(keep)
    clusters, kinds = selection.clusters_of(n, keep), selection.several_of(n, keep)
    strata = selection.strata_of(n, keep)
    for group in present.tolist():
        mine = order[ends[group] - sizes[group] : ends[group]]
        several = None if kinds is None else kinds.of(mine)
        own = several.clusters if several else None if clusters is None else clusters.of(mine)
        yield rows[mine], own, several, None if strata is None else strata.of(mine)
