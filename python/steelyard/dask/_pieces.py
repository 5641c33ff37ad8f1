"""The partitions of dask's collections as delayed pieces, and the columns that they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from dask.array import Array
from dask.dataframe import DataFrame, Series
from dask.delayed import Delayed

from .._scan.parts import named
from ..errors import shown, type_error, value_error

__all__ = ["Pieces", "arguments_of", "first_of", "pieces_of", "two_of"]

ARRAYS = "dask arrays or columns of one length and partition"


class Pieces(NamedTuple):
    """For each partition the delayed pieces of it: one frame, or one array for each of ``names``."""

    parts: list[list[Delayed]]
    names: tuple[str, ...] | None


def is_frame(source: Any) -> bool:
    """Whether the columns are to be named, rather than given."""
    return isinstance(source, DataFrame)


def first_of(source: Any, column: Any, name: str) -> Any:
    """The argument that the state takes first: a column of a frame, or the array that stands in the frame's place."""
    if is_frame(source):
        if column is None:
            raise value_error(name, "the name of a column of the frame", "none")
        return column
    if not isinstance(source, Array | Series | tuple):
        got = f"{type(source).__module__.partition('.')[0]} {type(source).__name__}"
        raise type_error("source", "a dask DataFrame, array or Series", got)
    if column is not None:
        raise type_error(name, "none beside an array, which is the data itself", shown(column))
    return source


def two_of(source: Any, given: tuple[Any, Any], names: tuple[str, str]) -> tuple[Any, Any]:
    """The two first arguments: two columns of a frame, or two arrays, of which the first stands in its place."""
    first, second = given
    if not is_frame(source):
        if second is not None:
            raise type_error(names[1], f"two arguments beside arrays, {' and '.join(names)}", "three")
        first, second = None, first
    found = first_of(source, first, names[0])
    if second is None:
        raise value_error(names[1], "the name of a column of the frame, or an array beside arrays", "none")
    return found, second


def arguments_of(source: Any, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What to read from, and the column of each argument of ``update``.

    Beside a frame the arguments are names of its columns. Beside arrays they are arrays, and get names.
    """
    asked = {name: value for name, value in given.items() if value is not None}
    if is_frame(source):
        return source, asked
    arrays: dict[str, Any] = {}
    columns = {name: _placed(value, name, arrays) for name, value in asked.items()}
    return arrays, columns


def _placed(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    """Put the array or the tuple of arrays of an argument among the others; its column, or the tuple of them."""
    if isinstance(value, tuple):
        return tuple(_placed(one, f"{name}[{i}]", arrays) for i, one in enumerate(value))
    if not isinstance(value, Array | Series):
        raise type_error(name, "a dask array or a column of a dask frame", shown(value))
    arrays[name] = value
    return name


def pieces_of(source: Any, wanted: list[str]) -> Pieces:
    """The pieces of a dask frame, or of a mapping from names to arrays, with the columns that are wanted."""
    if is_frame(source):
        named(list(source.columns), wanted, "source")
        return Pieces([[part] for part in _projected(source, wanted).to_delayed()], None)
    if not isinstance(source, Mapping):
        raise type_error("source", "a dask DataFrame, or a mapping from names to dask arrays", shown(source))
    named(list(source), wanted, "source")
    columns = {name: _blocks(source[name], name) for name in wanted}
    first, count = next((name, len(blocks)) for name, blocks in columns.items())
    for name, blocks in columns.items():
        if len(blocks) != count:
            fix = "rechunk or repartition one of them"
            raise value_error(name, f"{count} partitions, as {first} has", str(len(blocks)), fix)
    return Pieces([list(blocks) for blocks in zip(*columns.values(), strict=True)], tuple(columns))


def _projected(frame: Any, wanted: list[str]) -> Any:
    """The frame with the wanted columns alone, where dask then reads no others.

    Otherwise it stays whole: pandas' selection would fail for a partition without one of the columns, and could not
    say which partition that is.
    """
    few = frame[wanted]
    left = few.optimize(fuse=False).expr
    while type(left).__name__ == "ArrowStringConversion":
        left = left.frame
    return frame if type(left).__name__ == "Projection" else few


def _blocks(column: Any, name: str) -> list[Delayed]:
    """The blocks of rows of an array, or the partitions of a column."""
    if isinstance(column, Series):
        return list(column.to_delayed())
    if not isinstance(column, Array):
        raise type_error(name, ARRAYS, shown(column))
    if column.ndim == 0:
        raise value_error(name, "an array with an axis of rows", "one of no axes")
    whole = column.rechunk(dict.fromkeys(range(1, column.ndim), -1)) if column.ndim > 1 else column
    return list(np.ravel(whole.to_delayed()))
