"""The columns of an argument: one, several side by side, or several by name."""

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
    """Refuse names that are the same text, such as 1 and "1": results are found by that text."""
    seen: dict[str, Any] = {}
    for name in names:
        if str(name) in seen:
            raise value_error(of, "names that differ as text", f"{seen[str(name)]!r} and {name!r}")
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


def only_column(found: Columns, word: str) -> tuple[str, Array]:
    """The single column that a call with the row word ``word`` takes."""
    if found.many:
        raise value_error("x", f"one column with {word}=", "several", "estimate one column at a time")
    return next(found.items)


def _of_table(table: Array, name: str) -> Iterator[tuple[str, Array]]:
    for first in range(0, table.shape[1], TOGETHER):
        block = np.ascontiguousarray(table[:, first : first + TOGETHER].T)
        yield from ((f"{name}[:, {first + j}]", column) for j, column in enumerate(block))
