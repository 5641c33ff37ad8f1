"""Parquet: a column is read when it is first asked for, and the others never are."""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...errors import RecordError
from ..table import LIST, ColumnStore, Table, no_pyarrow, record_error, shorten
from . import lighteval

_BLOCK = 8192  # rows turned into Python values at a time
_NO_FRACTION = re.compile(r"\.0+(?=Z|$)")


def read(name: str, source: str | bytes) -> Table:
    """The table of a file by its path, or of its bytes."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise no_pyarrow(name, "Parquet") from error
    columns = Columns(name, source)
    return lighteval.described(Table(name, unit="row", columns=columns, lines=range(1, columns.rows + 1)))


class Columns(ColumnStore):
    """The columns by dotted path; one is read when it is first looked at."""

    def __init__(self, name: str, source: str | bytes) -> None:
        self._name = name
        self._source = source
        self._as_read = None if isinstance(source, bytes) else _version(source)
        self._read: dict[str, list[Any]] = {}
        with _reading(name), self._opened() as file:
            self.rows = file.metadata.num_rows
            self._types = {key: column.type for key, column in _flat(name, file.schema_arrow.empty_table()).items()}
            self._empty = _empty_columns(file.metadata)

    def __getitem__(self, key: str) -> list[Any]:
        if key not in self._read:
            if key not in self._types:
                raise KeyError(key)
            self._read[key] = self._values(key)
        return self._read[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def __contains__(self, key: object) -> bool:
        return key in self._types

    def kind(self, key: str) -> str:
        """What a column holds, without reading it."""
        import pyarrow as pa

        if key in self._empty:
            return "empty"
        return "list" if pa.types.is_nested(_kind(self._types[key])) else "scalar"

    def narrow(self, key: str) -> type[np.floating[Any]]:
        """The narrowest type that a column's numbers may have been kept in."""
        import pyarrow as pa

        return np.float16 if pa.types.is_float16(_kind(self._types[key])) else super().narrow(key)

    def lists(self, key: str) -> int:
        """How many rows have a list in a column; a column of another type is not read for that."""
        return super().lists(key) if self.kind(key) == "list" else 0

    def elements(self, key: str) -> list[list[Any] | None] | None:
        """The lists of a column, None in rows without one; None for a column of another type."""
        import pyarrow as pa

        kind = _kind(self._types[key])
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
            return None
        return self._values(key, elements=True)

    def whole(self, key: str) -> list[Any]:
        """What a column holds as Python's values: texts in full, and lists with what is in them."""
        return self._values(key, elements=True)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        import pyarrow.parquet as pq

        # By the file, not by its path: Arrow takes no path that is not UTF-8.
        with io.BytesIO(self._source) if isinstance(self._source, bytes) else open(self._source, "rb") as file:
            yield pq.ParquetFile(file)

    def _values(self, key: str, *, elements: bool = False) -> list[Any]:
        import pyarrow as pa

        if self._as_read is not None and _version(str(self._source)) != self._as_read:
            raise record_error(self._name, "the file as it was when it was opened", "a changed one", "read it again")
        values: list[Any] = []
        with _reading(self._name), self._opened() as file:
            for batch in file.iter_batches(_BLOCK, columns=[key]):
                column = _flat(self._name, pa.Table.from_batches([batch]))[key]
                values += column.to_pylist() if elements else _python(column)
        if len(values) != self.rows:
            raise record_error(self._name, f"{self.rows:,} values of {key!r}", f"{len(values):,}", "write it again")
        return values


class _reading:
    """Inside the block, whatever Arrow raises becomes an error about the file."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, MemoryError | RecordError):
            raise record_error(
                self._name, "a whole Parquet file", f"a damaged or truncated one ({error})", "fetch it again"
            ) from error


def _version(path: str) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _flat(name: str, table: Any) -> dict[str, Any]:
    """Columns with structs opened into dotted names."""
    import pyarrow as pa

    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    for key, times in Counter(table.column_names).items():
        if times > 1:
            raise record_error(name, f"one column {key!r}", "several of that name", "rename them")
    return dict(zip(table.column_names, table.columns, strict=True))


def _empty_columns(metadata: Any) -> set[str]:
    """The columns of which the file's statistics say that they hold nulls alone."""
    full: set[str] = set()
    paths: dict[int, str] = {}
    for group in range(metadata.num_row_groups):
        columns = metadata.row_group(group)
        for index in range(columns.num_columns):
            column = columns.column(index)
            paths[index] = column.path_in_schema
            counted = column.statistics if column.is_stats_set else None
            if counted is None or not counted.has_null_count or counted.null_count < column.num_values:
                full.add(column.path_in_schema)
    return set(paths.values()) - full


def _kind(kind: Any) -> Any:
    """The type of the values: of a dictionary's entries, of what an extension type is stored as."""
    import pyarrow as pa

    while True:
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        elif isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        else:
            return kind


def _python(column: Any) -> list[Any]:
    """Python values of one column: numbers, bools and text as they are, times and the rest as text."""
    import pyarrow as pa

    kind = _kind(column.type)
    if pa.types.is_nested(kind):
        return [LIST if there else None for there in column.is_valid().to_pylist()]
    if column.type != kind:
        column = column.cast(kind)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        values: list[Any] = column.to_pylist()
        return values
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _each(float, column)
    if pa.types.is_duration(kind):
        return _each(str, column.cast(pa.int64()))  # in the file's unit
    if pa.types.is_temporal(kind):
        return _each(lambda text: _NO_FRACTION.sub("", text), column.cast(pa.string()))
    return _each(lambda value: shorten(str(value)), column)


def _each(of: Callable[[Any], Any], column: Any) -> list[Any]:
    return [None if value is None else of(value) for value in column.to_pylist()]
