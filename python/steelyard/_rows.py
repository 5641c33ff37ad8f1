"""Columns and the rows of them that count: what every call that takes rows asks first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arrays
from ._options import omits_nan
from ._text import listed_counts
from .errors import type_error, value_error

Array = NDArray[Any]
Mask = NDArray[np.bool_]
# Columns of a row-major table are copied so many at a time: each cache line is read once for all of them.
TOGETHER = 16


class Columns(NamedTuple):
    """The columns of an argument: each contiguous, one-dimensional, floats (bfloat16 as uint16) or booleans."""

    items: Iterator[tuple[str, Array]]
    """What the caller would call the column, and its values."""
    names: tuple[str, ...] | None
    many: bool
    left_out: dict[str, int]
    """What a mapping says of rows that it could not match."""


def _numbers(x: Any, name: str, ndim: int | tuple[int, ...]) -> Array:
    """Floats and booleans as they are, integers as float64, NaN where there is none; strides stay."""
    return _arrays.floats(x, name, ndim=ndim, contiguous=False, numbers=True, bits=True)


def one_column(x: Any, name: str) -> Array:
    """A single column, contiguous."""
    return np.ascontiguousarray(_numbers(x, name, 1))


def frame(x: Any, name: str = "new") -> Mapping[str, Any] | None:
    """``x`` as a mapping where it is one, or where it is a frame or an Arrow table."""
    names = None if type(x) is np.ndarray else _arrays.names_of(x)
    if names is None:
        return None
    if not names and not isinstance(x, Mapping):
        raise _arrays.one_of(x, names, name)
    _differ(names)
    return x if isinstance(x, Mapping) else {str(name): x[name] for name in names}


def _differ(names: Iterable[Any]) -> None:
    """Refuse names that are the same text, such as 1 and "1": results are told by it."""
    seen: dict[str, Any] = {}
    for name in names:
        if str(name) in seen:
            raise value_error("columns", "names that differ as text", f"{seen[str(name)]!r} and {name!r}")
        seen[str(name)] = name


def columns(x: Any, name: str) -> Columns:
    """Split ``x`` into columns: an array ``[n]`` or ``[n, M]``, a mapping from name to ``[n]``, or a frame."""
    if isinstance(x, tuple):
        raise type_error(
            name, "an array, a list or a mapping", "a tuple", "a tuple is columns of one problem, which the mean lacks"
        )
    named = frame(x, name)
    if named is None:
        table = _numbers(x, name, (1, 2))
        if table.ndim == 1:
            return Columns(iter([(name, np.ascontiguousarray(table))]), None, False, {})
        if table.shape[1] == 0:
            raise value_error(name, "at least one column", f"shape {table.shape}")
        return Columns(_of_table(table, name), None, True, {})
    if not named:
        raise value_error(name, "at least one column", "an empty mapping")
    items = ((f"{name}[{key!r}]", one_column(value, f"{name}[{key!r}]")) for key, value in named.items())
    return Columns(items, tuple(map(str, named)), True, dict(getattr(x, "left_out", {})))


def _of_table(table: Array, name: str) -> Iterator[tuple[str, Array]]:
    for first in range(0, table.shape[1], TOGETHER):
        block = np.ascontiguousarray(table[:, first : first + TOGETHER].T)
        yield from ((f"{name}[:, {first + j}]", column) for j, column in enumerate(block))


def is_nan(x: Array) -> Mask:
    """Where an array is NaN; bfloat16 by its bits."""
    if x.dtype == np.uint16:
        nan: Mask = (x & np.uint16(0x7FFF)) > np.uint16(0x7F80)
        return nan
    return np.zeros(x.shape, np.bool_) if x.dtype == np.bool_ else np.isnan(x)


def less(keep: Mask | None, rows: Mask) -> tuple[Mask | None, int]:
    """The rows that count (None: all) without those of ``rows``, and how many fewer they are."""
    gone = rows if keep is None else rows & keep
    count = int(np.count_nonzero(gone))
    return (~gone if keep is None else keep & ~gone) if count else keep, count


class Clusters(NamedTuple):
    """Rows by cluster: ``codes[i]`` in ``range(total)``."""

    codes: NDArray[np.int64]
    total: int


class Rows(NamedTuple):
    """Which rows of a column (or of several columns side by side) count, and how."""

    keep: Mask | None
    """None: all."""
    clusters: Clusters | None
    """Of the rows that count."""
    left_out: dict[str, int]
    """Why rows do not count, and how many."""
    weights: NDArray[np.float64] | None = None
    """Of the rows that count, all above 0."""

    def of(self, x: Array) -> Array:
        """The values that count."""
        return x if self.keep is None else x[self.keep]

    def place(self, i: int) -> int:
        """The caller's index of the ``i``-th row that counts."""
        return i if self.keep is None else int(np.flatnonzero(self.keep)[i])


ALL_ROWS = Rows(None, None, {})


def _weights(x: Any) -> NDArray[np.float64]:
    """Weights as float64 of our own: they are looked at more than once."""
    column = one_column(x, "weights")
    if column.dtype == np.bool_:
        raise type_error("weights", "numbers", "booleans", "where= says which rows count")
    return np.array(_arrays.to_float64(column))


def nothing_counts(name: str, unit: str, left_out: Mapping[str, int], n: int | None = None) -> ValueError:
    """The refusal of data of which no row (or token, or pair) counts."""
    why = listed_counts(left_out) or "nothing"
    return value_error(
        name, f"at least one {unit} that counts", f"none{'' if n is None else f' of {n}'} (left out: {why})"
    )


class Selection:
    """The row options of a call, checked once and applied to each column.

    Parameters
    ----------
    where : boolean array [n], optional
        Rows that count.
    clusters : array of ids [n], optional
        What rows have in common.
    nan_policy : {"raise", "omit"}
    left_out : mapping
        What was left out before.
    weights : array of numbers [n], optional
        What rows count for; one of weight 0 does not count.
    unit : str
        What a row is called in sentences.
    """

    def __init__(
        self,
        where: Any,
        clusters: Any,
        nan_policy: str,
        left_out: Mapping[str, int] | None = None,
        weights: Any = None,
        *,
        unit: str = "row",
    ) -> None:
        self.omit = omits_nan(nan_policy)
        self.where = None if where is None else _arrays.booleans(where, "where")
        self.weights = None if weights is None else _weights(weights)
        if isinstance(clusters, tuple):
            raise type_error("clusters", "an array or a list of ids", "a tuple")
        self.clusters = clusters
        self.left_out = dict(left_out or {})
        self.unit = unit
        self._all: Clusters | None = None

    def rows(self, name: str, *columns: Array) -> Rows:
        """The rows of one column, or of several columns of one length, that count."""
        n = len(columns[0])
        if n == 0:
            raise value_error(name, "at least one value", "none")
        keep, left_out = self.mask(name, (n,)), dict(self.left_out)
        if keep is not None:
            left_out["where"] = n - int(np.count_nonzero(keep))
        if self.weights is not None:
            keep, left_out["zero weight"] = less(keep, self._without_weight(n, name, keep))
        if self.omit:
            keep, left_out["nan"] = less(keep, reduce(np.logical_or, map(is_nan, columns)))
        if keep is not None and keep.all():
            keep = None
        counts = {why: count for why, count in left_out.items() if count}
        if keep is not None and not keep.any():
            raise nothing_counts(name, self.unit, counts, n)
        weights = self.weights if keep is None or self.weights is None else self.weights[keep]
        return Rows(keep, self._clusters(n, keep), counts, weights)

    def mask(self, name: str, shape: tuple[int, ...]) -> Mask | None:
        """The entries of an array of this shape that ``where`` lets count (None: all)."""
        if self.where is not None and self.where.shape != shape:
            expected = f"shape {shape}, one entry a {self.unit} of {name}"
            raise value_error("where", expected, f"shape {self.where.shape}")
        return self.where

    def _without_weight(self, n: int, name: str, keep: Mask | None) -> Mask:
        """The rows of weight 0 among those that count so far; what does not count may lack a weight."""
        weights = self.weights
        assert weights is not None
        if weights.shape != (n,):
            raise value_error("weights", f"shape ({n},), one weight a row of {name}", f"shape {weights.shape}")
        bad = ~((weights >= 0.0) & (weights < np.inf))
        zero: Mask = weights == 0.0
        if keep is not None:
            bad &= keep
            zero &= keep
        if bad.any():
            first, fix = int(np.flatnonzero(bad)[0]), "where= leaves rows out"
            raise value_error("weights", "finite numbers of at least 0", f"{weights[first]} at index {first}", fix)
        if zero.sum() == (n if keep is None else np.count_nonzero(keep)):
            raise value_error("weights", "a row that counts with a weight above 0", "none")
        return zero

    def _clusters(self, n: int, keep: Mask | None) -> Clusters | None:
        if self.clusters is None:
            return None
        if keep is None:
            # The same for every column.
            if self._all is None or len(self._all.codes) != n:
                codes, unique = _arrays.codes(self.clusters, "clusters", n)
                self._all = Clusters(codes, len(unique))
            return self._all
        codes, unique = _arrays.codes(self.clusters, "clusters", n, keep)
        return Clusters(codes, len(unique))
