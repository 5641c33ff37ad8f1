"""Selection of rows: which rows count under ``where``, ``nan_policy`` and ``weights``, and which clusters they form.

Every public call that works on rows uses this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arrays
from ._columns import Array, Mask
from ._levels import Clusters, Crossed, CrossedIds, Nested, level_ids
from ._options import omits_nan
from ._strata import Strata, StratumIds
from ._text import listed_counts
from ._weights import weight_column, weightless
from .errors import type_error, value_error

__all__ = [
    "ALL_ROWS", "Clusters", "Rows", "Selection", "is_nan", "less", "nonzero", "nothing_counts",
]  # fmt: skip


def is_nan(x: Array) -> Mask:
    """The mask of the NaNs of an array; uint16 holds the bits of bfloat16."""
    if x.dtype == np.uint16:
        nan: Mask = (x & np.uint16(0x7FFF)) > np.uint16(0x7F80)
        return nan
    return np.zeros(x.shape, np.bool_) if x.dtype == np.bool_ else np.isnan(x)


def less(keep: Mask | None, gone: Mask) -> tuple[Mask | None, Mask]:
    """Remove the rows ``gone`` from those that count (None: all rows count).

    Returns the rows that still count, and those of ``gone`` that had counted before, so that each row is attributed to
    the first reason that leaves it out.
    """
    gone = gone if keep is None else gone & keep
    return (~gone if keep is None else keep & ~gone) if gone.any() else keep, gone


def nonzero(left_out: Mapping[str, Any]) -> dict[str, int]:
    """The reasons that left out at least one row, and how many each."""
    return {why: int(count) for why, count in left_out.items() if count}


class Rows(NamedTuple):
    """The rows of a column (or of several columns of one length) that count, with their clusters and weights."""

    keep: Mask | None
    """The mask of the rows that count; None where all do."""
    clusters: Clusters | None
    """The clusters of the rows that count; where they nest the outermost ones, where they cross their pairs."""
    left_out: dict[str, int]
    """For each reason why rows do not count, how many."""
    weights: NDArray[np.float64] | None = None
    """The weights of the rows that count, all above 0."""
    group: NDArray[np.int64] | None = None
    """Where these are the rows of one group: the indices of the rows that count, used instead of ``keep``."""
    strata: Strata | None = None
    """The strata of the rows that count."""
    several: Nested | Crossed | None = None
    """All levels or kinds of their clusters, where these are several."""

    @property
    def n_clusters(self) -> int | None:
        """The number of independent clusters; of two kinds, of the one that has fewer."""
        if self.several is not None:
            return self.several.fewest
        return None if self.clusters is None else self.clusters.total

    def of(self, x: Array) -> Array:
        """The values of ``x`` in the rows that count."""
        if self.group is not None:
            return x[self.group]
        return x if self.keep is None else x[self.keep]

    def count(self, x: Array) -> int:
        """How many rows of ``x`` count."""
        if self.group is not None:
            return len(self.group)
        return len(x) if self.keep is None else int(np.count_nonzero(self.keep))

    def place(self, i: int) -> int:
        """The index in the caller's array of the ``i``-th row that counts."""
        if self.group is not None:
            return int(self.group[i])
        return i if self.keep is None else int(np.flatnonzero(self.keep)[i])


ALL_ROWS = Rows(None, None, {})


def nothing_counts(name: str, unit: str, left_out: Mapping[str, int], n: int | None = None) -> ValueError:
    """The error for data of which no row (or token, or pair) counts."""
    found = "none" if n is None else f"none of {n}"
    why = listed_counts(left_out) or "nothing"
    return value_error(name, f"at least one {unit} that counts", f"{found} (left out: {why})")


class Selection:
    """The options of a call that concern rows, checked once and applied to each column.

    Parameters
    ----------
    where : boolean array [n], optional
        The rows that count.
    clusters : array of ids [n], optional
        The cluster of each row.
    nan_policy : {"raise", "omit"}
    left_out : mapping
        Rows that were already left out before, by reason.
    weights : array of numbers [n], optional
        The sampling weight of each row; a row of weight 0 does not count.
    by : array of ids [n], optional
        The group of each row; :func:`steelyard._groups.groups` splits the rows by it.
    strata : StratumIds, optional
        The stratum of each row.
    levels : bool
        Whether the call takes clusters of several levels, or of two kinds.
    unit : str
        The word for a row in error messages, such as "token" or "pair".
    """

    def __init__(
        self,
        where: Any,
        clusters: Any,
        nan_policy: str,
        left_out: Mapping[str, int] | None = None,
        weights: Any = None,
        *,
        by: Any = None,
        strata: StratumIds | None = None,
        levels: bool = False,
        unit: str = "row",
    ) -> None:
        self.omit = omits_nan(nan_policy)
        self.where = None if where is None else _arrays.booleans(where, "where")
        self.weights = None if weights is None else weight_column(weights)
        self.clusters, self.several = level_ids(clusters) if levels else (clusters, None)
        if isinstance(self.several, CrossedIds) and strata is not None:
            fix = "weights of 1/(rows of the stratum) give every stratum the same weight"
            raise value_error("strata", "None with clusters of two kinds", "strata", fix)
        if isinstance(self.clusters, tuple) or isinstance(by, tuple):
            name = "clusters" if isinstance(self.clusters, tuple) else "by"
            raise type_error(name, "an array or a list of ids", "a tuple")
        self.by: Array | None = None
        self.nameless: Mask | None = None
        if by is not None:
            self.by, self.nameless = _arrays.id_column(by, "by")
        self.strata = strata
        self.left_out = dict(left_out or {})
        self.unit = unit
        self._all: Clusters | None = None

    def rows(self, name: str, *columns: Array, some: bool = True) -> Rows:
        """The rows of one column, or of several columns of one length, that count.

        With ``some`` it is an error if none counts, of all rows or of those of a stratum.
        """
        keep, gone = self.counted(name, *columns, some=some)
        weights = self.weights if keep is None or self.weights is None else self.weights[keep]
        n = len(columns[0])
        several = self.several_of(n, keep)
        clusters = self.clusters_of(n, keep) if several is None else several.clusters
        strata = self.strata_of(n, keep, some=some)
        return Rows(keep, clusters, self._counts(gone), weights, strata=strata, several=several)

    def counted(self, name: str, *columns: Array, some: bool = True) -> tuple[Mask | None, dict[str, Mask]]:
        """The mask of the rows that count (None: all), and for each reason the mask of the rows that it leaves out.

        A row that several reasons leave out is attributed to the first of them.
        """
        n = len(columns[0])
        if n == 0:
            raise value_error(name, "at least one value", "none")
        keep, gone = self.mask(name, (n,)), {}
        if keep is not None:
            gone["where"] = ~keep
        if self.omit:
            keep, gone["nan"] = less(keep, reduce(np.logical_or, map(is_nan, columns)))
        if self.weights is not None:
            keep, gone["zero weight"] = less(keep, self._without_weight(n, name, keep, some=some))
        if self.by is not None:
            keep, gone["no group"] = less(keep, self._without_id("by", self.by, self.nameless, n, keep))
        if self.strata is not None:
            lost = self._without_id("strata", self.strata.ids, self.strata.nameless, n, keep)
            keep, gone["no stratum"] = less(keep, lost)
        if some and keep is not None and not keep.any():
            raise nothing_counts(name, self.unit, self._counts(gone), n)
        return None if keep is None or keep.all() else keep, gone

    def _counts(self, gone: Mapping[str, Mask]) -> dict[str, int]:
        """How many rows are left out, by reason."""
        if not gone and not self.left_out:
            return {}
        return nonzero(self.left_out | {why: int(np.count_nonzero(rows)) for why, rows in gone.items()})

    def mask(self, name: str, shape: tuple[int, ...]) -> Mask | None:
        """The entries of an array of this shape that ``where`` lets count (None: all)."""
        if self.where is not None and self.where.shape != shape:
            expected = f"shape {shape}, one entry per {self.unit} of {name}"
            raise value_error("where", expected, f"shape {self.where.shape}")
        return self.where

    def with_ids(self) -> Mask | None:
        """The rows of ``where`` that have a group and a stratum (None: all), where these were asked for."""
        keep = self.where
        for nameless in (self.nameless, None if self.strata is None else self.strata.nameless):
            if nameless is not None:
                keep, _ = less(keep, nameless)
        return keep

    def _without_weight(self, n: int, name: str, keep: Mask | None, *, some: bool) -> Mask:
        """The rows of weight 0 among those that count so far; with ``some`` an error if all of them have it."""
        assert self.weights is not None
        zero = weightless(self.weights, n, name, keep)
        if some and zero.any() and zero.sum() == (n if keep is None else np.count_nonzero(keep)):
            raise value_error("weights", "a row that counts with a weight above 0", "none")
        return zero

    def _without_id(self, name: str, ids: Array, nameless: Mask | None, n: int, keep: Mask | None) -> Mask:
        """The rows that count so far but have no group or stratum: left out with ``nan_policy="omit"``, else an error.

        ``name`` is the argument of the ``ids``.
        """
        if ids.shape != (n,):
            raise value_error(name, f"one id per {self.unit}, shape ({n},)", f"shape {ids.shape}")
        none = np.zeros(n, np.bool_) if nameless is None else nameless
        lost = none if keep is None else none & keep
        if lost.any() and not self.omit:
            fix = 'drop those rows with where=, or pass nan_policy="omit" to leave them out'
            raise value_error(name, "an id for every row", f"none at index {int(np.argmax(lost))}", fix)
        return lost

    def strata_of(self, n: int, keep: Mask | None, *, some: bool = True) -> Strata | None:
        """The strata of the rows that count, where there are strata."""
        return None if self.strata is None else self.strata.strata(n, self.where, keep, some=some)

    def several_of(self, n: int, keep: Mask | None) -> Nested | Crossed | None:
        """The clusters of the rows that count, where these are of several levels or kinds."""
        return None if self.several is None else self.several.of(n, keep)

    def clusters_of(self, n: int, keep: Mask | None) -> Clusters | None:
        """The clusters of the rows that count, where there are clusters."""
        if self.clusters is None:
            return None
        if keep is None:
            # Without a mask the clusters are the same for every column, so they are encoded once.
            if self._all is None or len(self._all.codes) != n:
                codes, unique = _arrays.codes(self.clusters, "clusters", n)
                self._all = Clusters(codes, len(unique))
            return self._all
        codes, unique = _arrays.codes(self.clusters, "clusters", n, keep)
        return Clusters(codes, len(unique))
