"""Bytes become a table: JSON Lines, a JSON array, CSV, TSV, Parquet, each plain or compressed, and logs of tools.

The first bytes tell the format, not the name: lm-evaluation-harness writes JSON Lines into ``.json``. Each format has a
file of its own here; what is no such file gets a sentence about what it seems to be.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Sequence

from ...errors import while_at
from .. import logs
from ..json_values import BYTE_ORDER_MARK
from ..packing import without_suffix
from ..source import Source, name_of, opened
from ..table import EXPECTED, Table, record_error
from . import csv_records, json_records, llama_perplexity, parquet, whole
from .text import UTF16_MARKS, beginning

_OTHER_FORMATS = (
    (b"\x93NUMPY", "a NumPy array", "load it with np.load and use the calls of steelyard on it"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save the sheet as CSV in UTF-8"),
    (b"ARROW1", "an Arrow file", "write it as Parquet"),
    (b"{\0", "text in UTF-16", "save it as UTF-8"),
    (b"[\0", "text in UTF-16", "save it as UTF-8"),
    (b"\0{", "text in UTF-16", "save it as UTF-8"),
    (b"\0[", "text in UTF-16", "save it as UTF-8"),
)


def read_table(path: str, progress: Callable[[int], None], asked: Collection[str] = ()) -> Table:
    """Read one file whole.

    ``progress`` is told how many bytes of the file have been read. ``asked`` are the columns that options name: they
    are kept even inside a dictionary that has too many keys to make columns of.
    """
    name = name_of(path)
    with while_at(name), opened(path) as source:
        return _read(name, source, lambda: progress(source.done), asked)


def _read(name: str, source: Source, progress: Callable[[], None], asked: Collection[str]) -> Table:
    head, file = source.head, source.file
    _check_known(name, head)
    if head.startswith(b"PK\x03\x04"):
        return _archive(name, source, asked)
    if head.startswith(b"PAR1"):
        return parquet.read(name, file.read() if source.packing or not source.is_regular else source.path)
    if head.startswith(UTF16_MARKS):
        return _read_utf16(name, source, progress)
    if llama_perplexity.recognised(head):
        return llama_perplexity.read(name, file)
    start = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if start.startswith(b"["):
        return json_records.read_array(name, file, asked)
    if start.startswith(b"{"):
        return json_records.read_lines(name, file, progress, asked)
    stem = without_suffix(name).lower()
    if stem.endswith((".json", ".jsonl", ".ndjson")):
        found = beginning(start)
        raise record_error(f"{name}, line 1", "a JSON object or array", found, "write one JSON object per line")
    if stem.endswith(".parquet"):
        raise record_error(name, "a Parquet file", beginning(start), "write it again")
    return csv_records.read(name, file, progress)


def read_whole(path: str, progress: Callable[[int], None]) -> Table:
    """Read one file of JSON or Parquet, whose columns have ``whole(key)``: texts in full, lists with their contents."""
    name = name_of(path)
    with while_at(name), opened(path) as source:
        head, file = source.head, source.file
        _check_known(name, head)
        if head.startswith(b"PAR1"):
            return parquet.read(name, file.read() if source.packing or not source.is_regular else source.path)
        start = head.removeprefix(BYTE_ORDER_MARK).lstrip()
        if start.startswith(b"["):
            return whole.table_of(name, json_records.objects_of_array(name, file))
        if start.startswith(b"{"):
            return whole.table_of(name, json_records.objects(name, file, lambda: progress(source.done)))
    expected = "pairs as JSON Lines, a JSON array or Parquet"
    raise record_error(name, expected, beginning(start), "write one JSON object per line")


def _read_utf16(name: str, source: Source, progress: Callable[[], None]) -> Table:
    """Read the table that Excel saves as "Unicode text"; JSON is UTF-8 by its standard."""
    start = source.head.decode("utf-16", "ignore").lstrip()
    if not start:
        raise record_error(name, EXPECTED, "an empty file", "check how it was written")
    if start.startswith(("{", "[")):
        raise record_error(name, EXPECTED, "text in UTF-16", "save it as UTF-8")
    return csv_records.read(name, source.file, progress, "utf-16")


def _check_known(name: str, head: bytes) -> None:
    """Raise the error for a file whose first bytes are those of something else than records."""
    if not head.strip(BYTE_ORDER_MARK + b" \t\r\n"):
        raise record_error(name, EXPECTED, "an empty file", "check how it was written")
    if head.startswith(b"version https://git-lfs"):
        raise record_error(name, EXPECTED, "a git-lfs pointer", "run `git lfs pull` to fetch the data itself")
    for first_bytes, kind, fix in _OTHER_FORMATS:
        if head.startswith(first_bytes):
            raise record_error(name, EXPECTED, kind, fix)


def _archive(name: str, source: Source, asked: Collection[str]) -> Table:
    """A zip archive: a log, or something that is no file of records."""
    plain = source.is_regular and not source.packing
    with open(source.path, "rb") if plain else io.BytesIO(source.file.read()) as file:
        archive = logs.Archive(name, file)
        table = logs.read_archive(archive, asked)
    if table is None:
        raise record_error(name, EXPECTED, *_other_archive(archive.names))
    return table


def _other_archive(names: Sequence[str]) -> tuple[str, str]:
    """What a zip archive seems to be, by the names of its members, and what to do with it."""
    if any(one == "[Content_Types].xml" or one.startswith("xl/") for one in names):
        return "an Excel workbook", "save the sheet as CSV in UTF-8"
    if names and all(one.endswith(".npy") for one in names):
        return "NumPy arrays", "load them with np.load and use the calls of steelyard on them"
    return "a zip archive", "unpack it"
