"""The columns of an argument, which may be one array, a table ``[n, M]``, a mapping or a frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _arrays
from .errors import type_error, value_error

__all__ = ["Array", "Columns", "Mask", "columns", "differ", "frame", "one_column", "only_column"]

Array = NDArray[Any]
Mask = NDArray[np.bool_]
# A row-major table is transposed this many columns at a time, so that each cache line is read once for all of them.
TOGETHER = 16


class Columns(NamedTuple):
    """The columns of an argument: each contiguous, one-dimensional, floats (bfloat16 as uint16) or booleans."""

    items: Iterator[tuple[str, Array]]
    """The caller's expression for the column, such as ``x["a"]``, and its values."""
    names: tuple[str, ...] | None
    many: bool
    left_out: dict[str, int]
    """Where ``x`` is a mapping made by ``records``: why rows could not be matched, and how many."""


def _numbers(x: Any, name: str, ndim: int | tuple[int, ...]) -> Array:
    """Floats and booleans as they are, integers as float64, NaN where a value is missing; not made contiguous."""
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
    differ(names)
    return x if isinstance(x, Mapping) else {str(name): x[name] for name in names}


def differ(names: Iterable[Any], of: str = "columns") -> None:
    """Refuse names that are equal as text, such as 1 and "1": results are looked up by the text of a name."""
    seen: dict[str, Any] = {}
    for name in names:
        if str(name) in seen:
            raise value_error(of, "names that differ as text", f"{seen[str(name)]!r} and {name!r}")
        seen[str(name)] = name


def columns(x: Any, name: str) -> Columns:
    """Split ``x`` into columns: an array ``[n]`` or ``[n, M]``, a mapping from name to ``[n]``, or a frame."""
    if isinstance(x, tuple):
        fix = "a tuple means several columns of one problem, and a mean has one column"
        raise type_error(name, "an array, a list or a mapping", "a tuple", fix)
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


def only_column(found: Columns, word: str) -> tuple[str, Array]:
    """The only column, for a call whose keyword ``word`` (such as ``by``) allows just one; else an error."""
    if found.many:
        raise value_error("x", f"one column with {word}=", "several", "estimate one column at a time")
    return next(found.items)


def _of_table(table: Array, name: str) -> Iterator[tuple[str, Array]]:
    for first in range(0, table.shape[1], TOGETHER):
        block = np.ascontiguousarray(table[:, first : first + TOGETHER].T)
        yield from ((f"{name}[:, {first + j}]", column) for j, column in enumerate(block))
