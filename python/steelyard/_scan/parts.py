"""The parts of a source (files, or one stream), each of which gives its rows some at a time."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._text import printable
from ..errors import did_you_mean, shown, type_error, value_error
from .batch import Batch
from .values import array_of

__all__ = ["Part", "named", "parts_of"]

# By the end of a file's name, after that of its compression.
FORMATS = {
    ".parquet": "parquet", ".pq": "parquet", ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc",
    ".csv": "csv", ".tsv": "tsv", ".jsonl": "json", ".ndjson": "json", ".json": "json",
}  # fmt: skip
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
WITHOUT_TYPES = ("csv", "tsv", "json")
FIRST_BLOCK = (
    "its columns and types are those of its first rows: pass pyarrow.dataset.dataset(..., schema=...) to say them"
)
ANYTHING = "paths, an Arrow table or stream, a frame, or a mapping from names to arrays"


class Part(NamedTuple):
    """A file or a stream."""

    name: str
    rows: int | None
    """How many it has, where that can be known without reading them."""
    batches: Callable[[int], Iterator[Batch]]
    """Its rows, at most so many at a time."""


def parts_of(source: Any, wanted: list[str], name: str = "source") -> list[Part]:
    """The parts of anything that :func:`~steelyard.scan` takes, with the columns that are wanted.

    ``name`` is what messages call a mapping of arrays or a stream.
    """
    if isinstance(source, str | os.PathLike):
        return _of_paths([source], wanted)
    if isinstance(source, list | tuple) and source and all(isinstance(one, str | os.PathLike) for one in source):
        return _of_paths(source, wanted)
    if isinstance(source, Mapping):
        return [_of_arrays(source, wanted, name)]
    arrow = _arrow(source)
    if hasattr(source, "get_fragments"):
        return _of_given(source, wanted)
    if hasattr(source, "collect_batches"):  # a lazy frame of polars
        named(source.collect_schema().names(), wanted, "source")
        return [Part("source", None, lambda size: _joined(_tables(_of_lazy(source, wanted, size)), wanted, size))]
    if type(source).__name__ == "Scanner" and hasattr(source, "to_reader"):  # of a data set of Arrow
        return [_of_stream(arrow, source.to_reader(), wanted)]
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        return [_of_stream(arrow, source, wanted, name)]
    if isinstance(source, Iterable) and not isinstance(source, str | bytes | np.ndarray):
        return [Part("source", None, lambda size: _of_each(source, wanted, size))]
    raise type_error("source", ANYTHING, shown(source))


def _arrow(of: Any) -> Any:
    """The library pyarrow, which reads everything but NumPy's arrays."""
    try:
        import pyarrow
    except ImportError:
        fix = "install it with `pip install 'steelyard[cli]'`"
        raise type_error(
            "source", "pyarrow for all but mappings of arrays", f"{shown(of)}, and none installed", fix
        ) from None
    return pyarrow


# -- arrays ------------------------------------------------------------------------------------------------------------


def _of_arrays(source: Mapping[Any, Any], wanted: list[str], part: str) -> Part:
    named(list(source), wanted, part)
    columns = {name: array_of(source[name], name) for name in wanted}
    rows = {name: len(column) for name, column in columns.items()}
    first, n = next(iter(rows.items()))
    for name, length in rows.items():
        if length != n:
            raise value_error(f"column {name!r}", f"{n:,} rows, as {first!r} has", f"{length:,}")

    def batches(size: int) -> Iterator[Batch]:
        for start in range(0, n, size):
            yield Batch(min(size, n - start), {name: column[start : start + size] for name, column in columns.items()})

    return Part(part, n, batches)


def named(have: list[Any], wanted: list[str], part: str, otherwise: str = "") -> None:
    """Refuse names that a part does not have; ``otherwise`` is what to do where none is like the one wanted."""
    for name in wanted:
        if have.count(name) > 1:
            raise value_error("columns", f"one column {name!r} in {part}", f"{have.count(name)} of that name")
        if name not in have:
            listed = ", ".join(repr(str(one)) for one in have[:8]) + (", ..." if len(have) > 8 else "")
            fix = did_you_mean(name, map(str, have)) or otherwise
            raise value_error("columns", f"columns of {part}", f"{name!r}, and it has {listed or 'none'}", fix)


# -- files -------------------------------------------------------------------------------------------------------------


def _of_paths(paths: Iterable[str | os.PathLike[str]], wanted: list[str]) -> list[Part]:
    _arrow(paths)
    return [part for path in paths for part in _of_path(os.fspath(path), wanted)]


def _of_path(path: str, wanted: list[str]) -> list[Part]:
    """The files of a path, a pattern or a folder; those of one format are one data set, whose folders' names agree."""
    if os.path.exists(path):
        found = [path]
    else:
        found = [one for one in sorted(glob.glob(path, recursive=True)) if "**" not in path or not os.path.isdir(one)]
    files: dict[str, list[str]] = {}
    for one in (file for hit in found for file in _files(hit)):
        kind = _format(one)
        some = files.setdefault(kind, [])
        if kind != "json" or os.path.getsize(one):  # Arrow takes JSON lines of no bytes for an error
            some.append(one)
    if not files:
        raise value_error("source", "files that exist", repr(path))
    if len(files) > 1 and os.path.isdir(path):
        listed = ", ".join(sorted(files))
        raise value_error("source", f"a folder of files of one format, or a pattern such as {path}/*.csv", listed)
    return [part for kind, some in files.items() if some for part in _of_data_set(some, kind, wanted)]


def _files(path: str) -> list[str]:
    """A file, or those inside a folder whose names do not begin with a point or an underscore."""
    if not os.path.isdir(path):
        return [path]
    return [str(one) for one in sorted(Path(path).rglob("*")) if one.is_file() and one.name[0] not in "._"]


def _format(path: str) -> str:
    """The format of a file by its name."""
    stem, end = os.path.splitext(path.lower())
    if end in COMPRESSED:
        end = os.path.splitext(stem)[1]
    if end not in FORMATS:
        raise value_error("source", f"a file whose name ends in {', '.join(FORMATS)}", repr(path))
    return FORMATS[end]


def _of_data_set(files: list[str], kind: str, wanted: list[str]) -> list[Part]:
    import pyarrow.csv
    import pyarrow.dataset as ds

    tabs: Any = ds.CsvFileFormat(pyarrow.csv.ParseOptions(delimiter="\t"))
    try:
        found = ds.dataset(
            files, format=tabs if kind == "tsv" else kind, partitioning="hive", partition_base_dir=_base(files[0])
        )
        return [_of_fragment(fragment, found.schema, wanted, kind) for fragment in found.get_fragments()]
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(files[0], kind, error) from error


def _base(path: str) -> str:
    """The path before the first folder whose name is a column and its value."""
    folders = os.path.dirname(path).split(os.sep)
    named = [i for i, folder in enumerate(folders) if "=" in folder]
    return os.sep.join(folders[: named[0]] if named else folders)


def _of_given(source: Any, wanted: list[str]) -> list[Part]:
    """The files of a data set that the caller made, which says the types of its columns."""
    import pyarrow as pa

    named(source.schema.names, wanted, "source")
    try:
        fragments = list(source.get_fragments())
    except ValueError:  # a data set with a filter has none
        return [_of_stream(pa, source.scanner(columns=wanted).to_reader(), wanted)]
    return [_of_fragment(fragment, source.schema, wanted) for fragment in fragments]


def _damaged(path: str, kind: str, error: Exception) -> ValueError:
    fix = "" if kind not in WITHOUT_TYPES else FIRST_BLOCK
    return value_error("source", "files that Arrow can read", f"{printable(repr(path))} ({error})", fix)


def _of_fragment(fragment: Any, schema: Any, wanted: list[str], kind: str = "") -> Part:
    """A file; ``kind`` is the format of one whose columns have the file's own types, not those of ``schema``."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    path = str(getattr(fragment, "path", "") or "source")
    name = repr(path) if path != "source" else path
    own, folders = fragment.physical_schema, ds.get_partition_keys(fragment.partition_expression)
    if kind or fragment.format.default_extname != "json":  # a key may be absent from the first rows
        have = [*own.names, *(one for one in folders if one not in own.names)]
        named(have, wanted, name, FIRST_BLOCK if kind == "json" else "")
    for one in wanted:
        if one in own.names and one in folders:
            raise value_error("columns", f"one column {one!r} in {name}", "one in the file and one by its folder")
    # The types of a data set of several files would turn the texts of one file into the numbers of another.
    read = pa.schema([own.field(one) if kind and one in own.names else schema.field(one) for one in wanted])

    def batches(size: int) -> Iterator[Batch]:
        try:
            found = fragment.to_batches(schema=read, columns=wanted, batch_size=size, batch_readahead=2)
            tables = (pa.Table.from_batches([one]) for one in found)
            yield from _joined(map(_without_blanks, tables) if kind in ("csv", "tsv") else tables, wanted, size)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, kind, error) from error

    counted = type(fragment).__name__ == "ParquetFileFragment"
    return Part(name, fragment.count_rows() if counted else None, batches)


def _without_blanks(table: Any) -> Any:
    """A table of a CSV file, whose empty cells are missing values in columns of texts too."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table.column(i)
            table = table.set_column(i, field, pc.if_else(pc.equal(column, ""), pa.scalar(None, field.type), column))
    return table


# -- streams -----------------------------------------------------------------------------------------------------------


def _of_stream(arrow: Any, source: Any, wanted: list[str], name: str = "source") -> Part:
    rows = source.num_rows if isinstance(source, arrow.Table | arrow.RecordBatch) else None
    if hasattr(source, "__arrow_c_stream__"):
        reader = arrow.RecordBatchReader.from_stream(source)
    else:
        reader = arrow.Table.from_batches([arrow.record_batch(source)]).to_reader()
    named(reader.schema.names, wanted, name)
    return Part(name, rows, lambda size: _joined(_tables(reader), wanted, size))


def _of_lazy(frame: Any, wanted: list[str], size: int) -> Iterator[Any]:
    yield from frame.select(wanted).collect_batches(chunk_size=size)


def _tables(batches: Iterable[Any]) -> Iterator[Any]:
    import pyarrow as pa

    for batch in batches:
        yield pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else pa.table(batch)


def _of_each(source: Iterable[Any], wanted: list[str], size: int) -> Iterator[Batch]:
    """The rows of one table after the other."""
    for one in source:
        for part in parts_of(one, wanted):
            yield from part.batches(size)


def _joined(tables: Iterable[Any], wanted: list[str], size: int) -> Iterator[Batch]:
    """The rows of small tables together, and of larger ones some at a time."""
    held: list[Any] = []
    rows = 0
    for table in tables:
        here = table.select(wanted)
        if held and rows + here.num_rows > size:
            yield from _cut(held, wanted, size)
            held, rows = [], 0
        if here.num_rows:
            held.append(here)
            rows += here.num_rows
    if held:
        yield from _cut(held, wanted, size)


def _cut(tables: list[Any], wanted: list[str], size: int) -> Iterator[Batch]:
    import pyarrow as pa

    whole = pa.concat_tables(tables)
    for start in range(0, whole.num_rows, size):
        rows = whole.slice(start, size)
        yield Batch(rows.num_rows, {name: rows[name] for name in wanted})
