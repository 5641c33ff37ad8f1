"""The values of a column as a state takes them, and their kind, which must be the same in all parts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np

from .._frames import column as of_library
from .._frames import library
from ..errors import shown, type_error, value_error
from .batch import Batch

__all__ = ["Kinds", "array_of", "values_of"]

# By the letter of a NumPy dtype. Truth values are numbers: True is the id 1.
KINDS = {**dict.fromkeys("biufV", "numbers"), **dict.fromkeys("UST", "texts"), **dict.fromkeys("Mm", "times")}
# By the type of a Python object.
OBJECTS = (
    ((str, bytes), "texts"),
    ((bool, int, float, Decimal, np.number, np.bool_), "numbers"),
    ((date, time), "times"),
)


class Kinds:
    """What each column has held so far: ids of 5 in one part and "5" in another would be two clusters."""

    def __init__(self) -> None:
        self.first: dict[str, tuple[str, str]] = {}
        """For each column its kind, and the part in which that was seen first."""

    def check(self, batch: Batch, part: str) -> None:
        """Refuse a column whose kind differs from that of the first part."""
        for name in batch.names:
            kind = _kind(batch[name])
            if kind is None:
                continue
            first, where = self.first.setdefault(name, (kind, part))
            if kind != first:
                place = "" if where == part else f" of {where}"
                raise value_error(f"column {name!r}", f"{first}, as in the first rows{place}", kind)


def _kind(values: Any) -> str | None:
    """What a column holds; None where that cannot be told from its rows, as where all are null."""
    if isinstance(values, list):
        return _of_objects(np.asarray(values, object))
    if isinstance(values, np.ndarray):
        kind = _of_objects(values) if values.dtype.kind == "O" else KINDS.get(values.dtype.kind)
        return f"lists of {kind}" if values.ndim > 1 else kind
    return None if values.null_count == len(values) else _of_type(values.type)


def _of_type(kind: Any) -> str:
    """What an Arrow type is of."""
    import pyarrow as pa

    is_of = pa.types
    if is_of.is_dictionary(kind):
        return _of_type(kind.value_type)
    if _is_list(kind):
        return f"lists of {_of_type(kind.value_type)}"
    if is_of.is_boolean(kind) or is_of.is_integer(kind) or is_of.is_floating(kind) or is_of.is_decimal(kind):
        return "numbers"
    if is_of.is_temporal(kind):
        return "times"
    texts = (is_of.is_string, is_of.is_large_string, is_of.is_string_view, is_of.is_binary, is_of.is_large_binary)
    return "texts" if any(is_text(kind) for is_text in texts) else str(kind)


def _of_objects(values: Any) -> str | None:
    """What Python's objects are; None and NaN alone do not tell."""
    objects = values.ravel().tolist()
    types = set(map(type, objects)) - {type(None)}
    if float in types and all(x != x for x in objects if type(x) is float):
        types.discard(float)  # pandas writes NaN for a text that is missing
    kinds = {next((kind for of, kind in OBJECTS if issubclass(one, of)), one.__name__) for one in types}
    return " and ".join(sorted(kinds)) or None


def array_of(column: Any, name: str) -> Any:
    """A column of a mapping, as an array or a list that can be taken apart by rows."""
    if isinstance(column, list | np.ndarray):
        return column
    if library(column):
        values, null = of_library(column)
        if null is None or not null.any():
            return values
        spread = values.astype(object)  # as floats, whole numbers with gaps would lose digits
        spread[null] = None
        return spread
    if not hasattr(column, "__len__") or isinstance(column, str | bytes | Mapping):
        raise type_error(f"column {name!r}", "an array or a list", shown(column))
    return np.asarray(column)


def values_of(column: Any, name: str) -> Any:
    """A column as a state takes it. Of Arrow's, lists of equal lengths are a table, and texts are objects."""
    if isinstance(column, list | np.ndarray):
        return column
    import pyarrow as pa

    kind = column.type
    if _is_list(kind):
        return _table(column, name)
    if pa.types.is_null(kind):
        return column.cast(pa.float64())
    if column.null_count == 0 and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return _numbers(column)
    if pa.types.is_decimal(kind) and kind.scale == 0:
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:  # a number beyond int64
            return column
    if column.null_count == 0 and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        # Making one Python text for each distinct value takes a tenth of the time of one for each row.
        coded = column.combine_chunks().dictionary_encode()
        return np.asarray(coded.dictionary, object)[np.asarray(coded.indices)]
    return column


def _numbers(column: Any) -> Any:
    """A column of numbers without nulls as NumPy's, which is not copied where it is of one piece."""
    if not hasattr(column, "num_chunks"):
        return column.to_numpy()
    return column.chunk(0).to_numpy() if column.num_chunks == 1 else column.to_numpy()


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return any(is_of(kind) for is_of in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _table(column: Any, name: str) -> Any:
    """A column of lists as ``[n, K]``."""
    import pyarrow.compute as pc

    if column.null_count:
        raise value_error(f"column {name!r}", "a list in each row", f"{column.null_count} nulls")
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(lengths) > 1:
        raise value_error(
            f"column {name!r}", "lists of one length", f"lengths {', '.join(map(str, sorted(lengths)[:4]))}"
        )
    flat = pc.list_flatten(column)
    if flat.null_count:
        raise value_error(f"column {name!r}", "lists without nulls", f"{flat.null_count} nulls in them")
    return np.asarray(flat).reshape(len(column), -1)
