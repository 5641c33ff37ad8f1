"""Clusters of more than one kind: a tuple of ids nests, outermost first, and a mapping of two crosses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arrays
from ._columns import Mask
from ._lazy import lazy
from ._strides import coded, strides
from ._text import printable
from .errors import shown, type_error, value_error

__all__ = ["Clusters", "Crossed", "CrossedIds", "Nested", "NestedIds", "level_ids"]

Indices = NDArray[np.int64]


class Clusters(NamedTuple):
    """The clusters of rows: ``codes[i]`` in ``range(total)`` is the cluster of row ``i``."""

    codes: Indices
    total: int

    def of(self, rows: Indices) -> Clusters:
        """The clusters of some of the rows; those that have none of them are dropped."""
        codes, present = coded(self.codes[rows])
        return Clusters(codes, len(present))


class Nested(NamedTuple):
    """Clusters inside clusters: the clusters of each level, outermost first, those inside one side by side."""

    levels: tuple[Clusters, ...]

    @property
    def clusters(self) -> Clusters:
        """The outermost clusters, which are independent."""
        return self.levels[0]

    @property
    def fewest(self) -> int:
        """The number of independent clusters."""
        return self.clusters.total

    @property
    def words(self) -> str:
        return f"nested clusters ({', '.join(str(level.total) for level in self.levels)})"

    def of(self, rows: Indices) -> Nested:
        """Those of some of the rows."""
        return Nested(tuple(level.of(rows) for level in self.levels))

    def for_core(self) -> dict[str, Any]:
        """What the core is told: the innermost clusters, and for each level but the first the cluster around each."""
        parents = [_around(outer, inner) for outer, inner in zip(self.levels[:-1], self.levels[1:], strict=True)]
        codes, total = self.levels[-1]
        return {"codes": codes, "clusters": total, "outermost": self.fewest, "parents": parents}


@dataclass(frozen=True)
class Crossed:
    """Clusters of two kinds, such as items and judges; a pair of them that rows have is a cell."""

    names: tuple[str, str]
    kinds: tuple[Clusters, Clusters]

    @property
    def clusters(self) -> Clusters:
        """The cells."""
        return self.cells[0]

    @property
    def fewest(self) -> int:
        """The number of clusters of the kind that has fewer."""
        return min(kind.total for kind in self.kinds)

    @property
    def words(self) -> str:
        counts = (f"{kind.total} {printable(name)}" for name, kind in zip(self.names, self.kinds, strict=True))
        return f"crossed clusters ({', '.join(counts)})"

    def of(self, rows: Indices) -> Crossed:
        """Those of some of the rows."""
        a, b = self.kinds
        return Crossed(self.names, (a.of(rows), b.of(rows)))

    @lazy
    def cells(self) -> tuple[Clusters, Indices, Indices]:
        """The cells, and the cluster of each cell of either kind."""
        a, b = self.kinds
        codes, pairs = coded(a.codes * b.total + b.codes)
        return Clusters(codes, len(pairs)), *np.divmod(pairs, b.total)

    def for_core(self) -> dict[str, Any]:
        """What the core is told: the cells, and the cluster of each of either kind."""
        (codes, total), a, b = self.cells
        return {"codes": codes, "clusters": total, "crossed": [a, b], "kinds": [kind.total for kind in self.kinds]}


def _around(outer: Clusters, inner: Clusters) -> Indices:
    found = np.empty(inner.total, np.int64)
    for step in strides(len(inner.codes)):
        found[inner.codes[step]] = outer.codes[step]
    return found


class NestedIds(NamedTuple):
    """The argument ``clusters`` where it nests: the ids of each level."""

    ids: tuple[Any, ...]

    def of(self, n: int, keep: Mask | None) -> Nested:
        """The clusters of the rows ``keep`` (None: all) of ``n`` rows.

        An id that stands inside two outer clusters is two clusters.
        """
        found: list[Clusters] = []
        for place, ids in enumerate(self.ids):
            codes, unique = _arrays.codes(ids, f"clusters[{place}]", n, keep)
            if found:
                codes, unique = coded(found[-1].codes * len(unique) + codes)
            found.append(Clusters(codes, len(unique)))
        return Nested(tuple(found))


class CrossedIds(NamedTuple):
    """The argument ``clusters`` where it crosses: the ids of two kinds by their names."""

    ids: Mapping[str, Any]

    def of(self, n: int, keep: Mask | None) -> Crossed:
        """The clusters of the rows ``keep`` (None: all) of ``n`` rows."""
        found = []
        for name, ids in self.ids.items():
            codes, unique = _arrays.codes(ids, f"clusters[{name!r}]", n, keep)
            found.append(Clusters(codes, len(unique)))
        (a, b), (first, second) = self.ids, found
        return Crossed((a, b), (first, second))


def level_ids(clusters: Any) -> tuple[Any, NestedIds | CrossedIds | None]:
    """The ids of one kind of clusters, or those of several."""
    if isinstance(clusters, Mapping):
        return None, _crossed(clusters)
    if not isinstance(clusters, tuple):
        return clusters, None
    if not clusters:
        raise value_error("clusters", "the ids of one level at least", "an empty tuple")
    return (clusters[0], None) if len(clusters) == 1 else (None, NestedIds(clusters))


def _crossed(clusters: Mapping[Any, Any]) -> CrossedIds:
    """The ids of two kinds."""
    for name in clusters:
        if not isinstance(name, str):
            raise type_error("clusters", "names of the kinds of clusters in a mapping", shown(name))
    if len(clusters) != 2:
        got = f"{len(clusters)} ({', '.join(map(repr, clusters))})" if clusters else "none"
        fix = "a tuple nests clusters inside clusters" if len(clusters) > 2 else "pass the ids alone for one kind"
        raise value_error("clusters", "two kinds of clusters in a mapping", got, fix)
    return CrossedIds(dict(clusters))
