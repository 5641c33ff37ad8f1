"""Columns and tables of pandas, polars and Arrow, recognised by class name so that no library need be imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._strides import strides
from .errors import type_error, value_error

__all__ = ["aligned", "column", "library", "names_of", "one_of"]

Array = NDArray[Any]
Mask = NDArray[np.bool_]

LIBRARIES = ("pandas", "polars", "pyarrow")
TABLES = ("DataFrame", "LazyFrame", "Table", "RecordBatch")
# Polars types that NumPy lacks, or would convert to a second axis: they are read as Python objects.
AS_OBJECTS = ("Int128", "UInt128", "Struct")


def library(x: Any) -> str:
    """The frame library that the class of ``x`` or one of its bases comes from; an empty text for other objects."""
    for kind in type(x).__mro__:
        top = kind.__module__.partition(".")[0]
        if top in LIBRARIES:
            return top
    return ""


def names_of(x: Any) -> list[Any] | None:
    """The names of the columns where ``x`` is a table or a mapping, else None."""
    if isinstance(x, list | tuple | str | np.ndarray):
        return None
    if isinstance(x, Mapping):
        return list(x)
    if library(x):
        classes = {kind.__name__ for kind in type(x).__mro__}
        if classes.isdisjoint(TABLES) or "LazyFrame" in classes:  # the columns of a LazyFrame cost a query
            return [] if "LazyFrame" in classes else None
    names = getattr(x, "column_names", None)
    if names is None and hasattr(x, "columns") and hasattr(x, "__getitem__"):
        names = x.columns
    return None if names is None else list(names)


def one_of(x: Any, names: list[Any], name: str) -> TypeError:
    """The error for a table where one column is expected."""
    kind = type(x).__name__
    if kind == "LazyFrame":
        return type_error(name, "one column", "a LazyFrame", f"collect() it, and pass {name}[...] of that")
    if not names:
        return type_error(name, "one column", f"a {kind} without columns")
    shown = ", ".join(map(repr, names[:4])) + (", ..." if len(names) > 4 else "")
    of = f"{len(names)} columns: " if len(names) > 1 else "one column: "
    return type_error(name, "one column", f"a {kind} of {of}{shown}", f"pass one, as in {name}[{names[0]!r}]")


def column(x: Any) -> tuple[Any, Mask | None]:
    """The values of a column as a NumPy array, and a mask of its nulls (None: there are none).

    The entry at a null is arbitrary. The other values keep their type: integers with gaps do not become floats here.
    A column without nulls is copied only where the library cannot share its memory.
    """
    return {"pandas": _pandas, "polars": _polars, "pyarrow": _arrow}[library(x)](x)


def _pandas(x: Any) -> tuple[Any, Mask | None]:
    kind = getattr(x, "dtype", None)
    zone = getattr(kind, "tz", None)
    if zone is not None:  # points in time: the zone affects only how they are shown
        return x.to_numpy(f"M8[{getattr(kind, 'unit', 'ns')}]"), None
    if not hasattr(x, "isna") or not hasattr(x, "dropna") or isinstance(kind, np.dtype):
        return np.asarray(x), None
    null = np.asarray(x.isna())
    return _spread(np.asarray(x.dropna()), null) if null.any() else (np.asarray(x), None)


def _polars(x: Any) -> tuple[Any, Mask | None]:
    def values(part: Any) -> Any:
        if not str(part.dtype).startswith(AS_OBJECTS):
            return part.to_numpy()
        return np.fromiter(part.to_list(), object, len(part))

    if not x.null_count():
        return values(x), None
    return _spread(values(x.drop_nulls()), np.asarray(x.is_null().to_numpy()))


def _arrow(x: Any) -> tuple[Any, Mask | None]:
    storage = getattr(getattr(x, "type", None), "storage_type", None)  # only extension types have one
    if storage is not None:
        x = x.cast(storage)
    of = getattr(x.type, "value_type", None)
    if of is not None and str(x.type).startswith("dictionary"):
        try:
            x = x.cast(of)
        except NotImplementedError:  # Arrow lacks this cast for string views, which polars writes
            return np.fromiter(x.to_pylist(), object, len(x)), None
    if not x.null_count:
        return np.asarray(x), None
    try:
        present = x.drop_null()
    except NotImplementedError:  # Arrow lacks drop_null for a few types, such as string views
        return np.fromiter(x.to_pylist(), object, len(x)), None
    return _spread(np.asarray(present), np.asarray(x.is_null()))


def _spread(present: Array, null: Mask) -> tuple[Array, Mask]:
    """Spread the values over a whole column, at the places that are not null, and return it with the mask."""
    whole = np.zeros((len(null), *present.shape[1:]), present.dtype)
    first = 0
    for step in strides(len(null)):
        here = ~null[step]
        n = int(np.count_nonzero(here))
        whole[step][here] = present[first : first + n]
        first += n
    return whole, null


def _index(x: Any) -> Any:
    """The pandas index of ``x``, which labels its rows; None where there is none."""
    if type(x) is np.ndarray or type(x) is list:
        return None
    index = getattr(x, "index", None)
    return index if hasattr(index, "equals") else None


def _labelled(name: str, x: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(x, Mapping):
        for key, value in x.items():
            yield f"{name}[{key!r}]", _index(value)
    elif type(x) is tuple:
        for i, column in enumerate(x):
            yield f"{name}[{i}]", _index(column)
    else:
        yield name, _index(x)


def aligned(**arguments: Any) -> None:
    """Refuse arguments whose pandas indices differ: their rows would be paired by position, against their labels.

    Arguments without an index (arrays, lists, polars, Arrow) are paired by position. Lengths are not checked here.
    """
    first, labels = "", None
    for argument, x in arguments.items():
        if x is None or type(x) is np.ndarray:
            continue
        for name, index in _labelled(argument, x):
            if index is None or index is labels:
                continue
            if labels is None:
                first, labels = name, index
            elif len(index) == len(labels) and (row := _differ(labels, index)) is not None:
                raise _misaligned(name, index, first, labels, row)


def _differ(a: Any, b: Any) -> int | None:
    """The first row whose labels differ."""
    for step in strides(len(a)):
        here, there = a[step], b[step]
        if not here.equals(there):
            rows = (i for i in range(len(here)) if not here[i : i + 1].equals(there[i : i + 1]))
            return int(step.start) + next(rows, 0)
    return None


def _misaligned(name: str, index: Any, first: str, labels: Any, row: int) -> ValueError:
    got, wanted = (label.item() if isinstance(label, np.generic) else label for label in (index[row], labels[row]))
    fix = f"align them first, as in {name}.reindex({first}.index), or pass .to_numpy() of both to pair by position"
    return value_error(name, f"the index of {first}", f"{got!r} for {wanted!r} in row {row}", fix)
