"""Bytes become a table: JSON Lines, a JSON array, CSV, TSV, Parquet, each plain or compressed.

The format is told by the first bytes, not by the name: lm-evaluation-harness writes JSON Lines into ``.json``.
JSON is read by the standard library, because faster readers refuse ``NaN`` or drop keys; so is CSV, because it
knows the line of every row. Parquet needs pyarrow.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from typing import IO, Any, TypeVar

from ..errors import while_at
from . import parquet
from .builder import TableBuilder
from .packing import without_suffix
from .source import LONGEST_LINE, Source, name_of, opened
from .table import LONGEST_TEXT, Table, record_error, shorten

Watch = Callable[[int], None]  # told how many bytes of the file have been read

Line = TypeVar("Line", str, bytes)

_BLOCK = 8192  # rows of CSV turned into columns at a time
_CELLS = 2_000_000  # and at most so many fields
_JSON_SPACE = " \t\n\r"
_OTHER_FORMATS = (
    (b"\x93NUMPY", "a NumPy array", "load it with np.load and use the calls of steelyard on it"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save the sheet as CSV in UTF-8"),
    (b"ARROW1", "an Arrow file", "write it as Parquet"),
    (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
    (b"{\0", "text in UTF-16", "save it as UTF-8"),
    (b"[\0", "text in UTF-16", "save it as UTF-8"),
    (b"\0{", "text in UTF-16", "save it as UTF-8"),
    (b"\0[", "text in UTF-16", "save it as UTF-8"),
)
_EXPECTED = "records as JSON Lines, a JSON array, CSV or Parquet"


class DuplicateKey(ValueError):
    """One JSON object has a key twice; which of its values is meant cannot be known."""


def read_table(path: str, watch: Watch, asked: Collection[str] = ()) -> Table:
    """Read one file whole; ``asked``: columns that an option names, which are kept whatever is around them."""
    name = name_of(path)
    with while_at(name), opened(path) as source:
        return _read(name, source, lambda: watch(source.done), asked)


def _read(name: str, source: Source, told: Callable[[], None], asked: Collection[str]) -> Table:
    head, file = source.head, source.file
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise record_error(name, _EXPECTED, "an empty file", "check how it was written")
    if head.startswith(b"version https://git-lfs"):
        raise record_error(name, _EXPECTED, "a git-lfs pointer", "run `git lfs pull` to fetch the data itself")
    if head.startswith(b"PK\x03\x04"):
        raise record_error(name, _EXPECTED, *_zip(name, head))
    for magic, kind, fix in _OTHER_FORMATS:
        if head.startswith(magic):
            raise record_error(name, _EXPECTED, kind, fix)
    if head.startswith(b"PAR1"):
        return parquet.read(name, file.read() if source.packing or not source.is_regular else source.path)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    stem = without_suffix(name).lower()
    if start.startswith(b"["):
        return _json_array(name, file, asked)
    if start.startswith(b"{"):
        return _json_lines(name, file, told, asked)
    if stem.endswith((".json", ".jsonl", ".ndjson")):
        raise record_error(f"{name}, line 1", "a JSON object or array", _shown(start), "write one JSON object a line")
    if stem.endswith(".parquet"):
        raise record_error(name, "a Parquet file", _shown(start), "write it again")
    return _csv(name, file, told)


def _zip(name: str, head: bytes) -> tuple[str, str]:
    """What a zip archive seems to be, by the name of the first file in it, and what to do with it."""
    first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if b"[Content_Types].xml" in head or b"xl/" in head:
        return "an Excel workbook", "save the sheet as CSV in UTF-8"
    if first.endswith(b".npy"):
        return "NumPy arrays", "load them with np.load and use the calls of steelyard on them"
    if name.lower().endswith(".eval") or first.startswith((b"_journal/", b"samples/", b"header.json")):
        return "an Inspect log", f"convert it with `inspect log dump`, and then {_one_a_line('samples')}"
    return "a zip archive", "unpack it"


def _one_a_line(key: str) -> str:
    """How to make records of the list that one JSON object holds."""
    command = f": `jq -c '.{key}[]'`" if key.isascii() and key.isidentifier() else ""
    return f"write what is under {shorten(key)!r} one record a line{command}"


def _shown(text: bytes | str) -> str:
    """The beginning of what came, short and safe to print."""
    whole = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    first = whole.splitlines()[0] if whole.strip() else whole
    return ascii(first[:40]) + ("..." if len(first) > 40 else "") if first else "nothing"


def _lines(name: str, readline: Callable[[int], Line]) -> Iterator[Line]:
    """Line by line; none is longer than a sane one."""
    line = 0
    while text := readline(LONGEST_LINE):
        line += 1
        if len(text) >= LONGEST_LINE:
            raise record_error(
                f"{name}, line {line}", f"a line of less than {LONGEST_LINE:,} bytes", "a longer one", "check the file"
            )
        yield text


# ---- JSON


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKey(key)
            seen.add(key)
    return record


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _json_lines(name: str, file: IO[bytes], told: Callable[[], None], asked: Collection[str]) -> Table:
    table = TableBuilder(name, asked)
    for line, raw in enumerate(_lines(name, file.readline), 1):
        data = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
        if line % _BLOCK == 0:
            told()
        try:
            record = _one_value(data.decode().strip(_JSON_SPACE))
        except (ValueError, RecursionError) as error:
            if not data.strip():
                continue  # a blank line holds nothing
            if line == 1 and data.endswith(b"\n") and not data.rstrip().endswith(b"}"):
                return _whole_object(name, data + file.read())
            raise _bad_json(name, line, data, error) from error
        if type(record) is not dict:
            raise record_error(f"{name}, line {line}", "a JSON object", _kind(record), "write one JSON object a line")
        if line == 1:
            _check_no_log(name, record)
        table.append(record, line)
    return table.finish()


def _one_value(text: str) -> Any:
    """A text that is one JSON value; ``decode`` does the same at twice the time, spent looking for blanks."""
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _bad_json(name: str, line: int, data: bytes, error: Exception) -> Exception:
    where = f"{name}, line {line}"
    if isinstance(error, UnicodeDecodeError):
        found = f"the byte {data[error.start]:#04x} at position {error.start + 1} of the line"
        return record_error(where, "text in UTF-8", found, "save the file as UTF-8")
    if isinstance(error, DuplicateKey):
        return record_error(where, "each key once", f"the key {str(error)!r} twice", "write each key once")
    if isinstance(error, RecursionError):
        return record_error(where, "a flat record", "a JSON object nested too deeply", "flatten it")
    reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
    if not data.endswith(b"\n"):
        return record_error(
            where, "a whole JSON object", f"a last line that is cut off ({reason})", "write or fetch the file again"
        )
    return record_error(where, "a JSON object", f"text that is not JSON ({reason})", "correct the line")


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _whole_object(name: str, data: bytes) -> Table:
    """One object spread over several lines is no file of records: say what it seems to be."""
    text = _decoded(name, data)
    try:
        record = _DECODER.decode(text)
    except DuplicateKey as error:
        raise record_error(name, "each key once", f"the key {str(error)!r} twice", "write each key once") from error
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        found = f"text that is not JSON ({getattr(error, 'msg', error)})"
        raise record_error(f"{name}, line {line}", "a JSON object a line", found, "correct the file") from error
    _check_no_log(name, record)
    keys = ", ".join(repr(shorten(key)) for key in list(record)[:5])
    lists = [key for key, value in record.items() if _holds_records(value)]
    fix = _one_a_line(lists[0]) if len(lists) == 1 else "write one record a line"
    raise record_error(name, _EXPECTED, f"one JSON object (keys {keys})", f"{fix}, or an array")


def _holds_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _check_no_log(name: str, record: dict[str, Any]) -> None:
    """A whole log is one object, on one line or many: its records are inside, or beside it."""
    if isinstance(record.get("results"), dict) and ("configs" in record or "versions" in record):
        raise record_error(
            name, _EXPECTED, "an lm-evaluation-harness results file", "give the samples_*.jsonl beside it"
        )
    if isinstance(record.get("eval"), dict) and _holds_records(record.get("samples")):
        raise record_error(name, _EXPECTED, "an Inspect log", _one_a_line("samples"))


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte {data[error.start]:#04x}"
        raise record_error(f"{name}, line {line}", "text in UTF-8", found, "save the file as UTF-8") from error


def _json_array(name: str, file: IO[bytes], asked: Collection[str]) -> Table:
    """Element by element, so that only the columns are kept and every row knows its line."""
    text = _decoded(name, file.read())
    table = TableBuilder(name, asked)
    at = _skip(text, text.index("[") + 1)
    line, counted = 1, 0
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        where = f"{name}, line {line}"
        try:
            record, at = _DECODER.raw_decode(text, at)
        except DuplicateKey as error:
            raise record_error(where, "each key once", f"the key {str(error)!r} twice", "write it once") from error
        except (ValueError, RecursionError) as error:
            found = "the end of the file" if at >= len(text) else f"text that is not JSON ({error})"
            raise record_error(where, "a JSON array of records", found, "write or fetch the file again") from error
        if type(record) is not dict:
            raise record_error(where, "a JSON object", _kind(record), "write an array of objects")
        table.append(record, line)
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            found = "the end of the file" if at >= len(text) else repr(text[at])
            raise record_error(where, "',' or ']' after a record", found, "write or fetch the file again")
    after = _skip(text, at + 1)
    if after < len(text):
        line += text.count("\n", counted, after)
        raise record_error(f"{name}, line {line}", "one JSON array", "more text after it", "write one array of objects")
    return table.finish()


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _JSON_SPACE:
        at += 1
    return at


# ---- CSV


def _csv(name: str, file: IO[bytes], told: Callable[[], None]) -> Table:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    limit = csv.field_size_limit(2**31 - 1)  # completions are longer than the module's 131,072 characters
    try:
        lines = _lines(name, text.readline)
        first = next(lines)
        return _csv_rows(name, csv.reader(chain([first], lines), delimiter=_delimiter(first), strict=True), told)
    except UnicodeDecodeError as error:
        found = f"the byte {error.object[error.start]:#04x}"
        raise record_error(name, "text in UTF-8", found, "save the file as UTF-8") from error
    finally:
        csv.field_size_limit(limit)
        text.detach()


def _delimiter(header: str) -> str:
    """The separator that the header has most of; a comma where it has none."""
    return max(",\t;", key=header.count)


def _csv_rows(name: str, reader: Any, told: Callable[[], None]) -> Table:
    table = TableBuilder(name, has_null=False)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []

    def flush() -> None:
        if rows:  # of no rows there are no columns to be paired with the header
            columns = zip(header, zip(*rows, strict=True), strict=True)
            table.extend({key: _shortened(column) for key, column in columns}, lines)
        rows.clear()
        lines.clear()
        told()

    try:
        for row in reader:
            if not row:
                continue  # a blank line holds nothing
            if not header:
                header = _header(name, row)
                table.columns = {key: [] for key in header}
                continue
            if len(row) != len(header):
                raise record_error(
                    f"{name}, line {reader.line_num}",
                    f"{len(header)} field{'s' * (len(header) != 1)} as in the header",
                    str(len(row)),
                    "quote fields that hold the separator, and complete the row",
                )
            rows.append(row)
            lines.append(reader.line_num)
            if len(rows) == _BLOCK or len(rows) * len(header) >= _CELLS:
                flush()
        flush()
    except csv.Error as error:
        raise record_error(
            f"{name}, line {reader.line_num}", "CSV", f"a malformed row ({error})", "correct the row"
        ) from error
    return table.finish()


def _header(name: str, row: list[str]) -> list[str]:
    header = [field.strip() for field in row]
    where = f"{name}, line 1"
    for field, times in Counter(header).items():
        if times > 1:
            found = f"{shorten(field)!r} twice" if field else "several without a name"
            raise record_error(where, "a header of different column names", found, "rename the columns")
    if "\0" in "".join(header) or not any(header):
        raise record_error(name, _EXPECTED, f"something else, beginning {_shown(''.join(header))}", "check the file")
    return header


def _shortened(column: tuple[str, ...]) -> list[str | None]:
    return [shorten(value) if len(value) > LONGEST_TEXT else value or None for value in column]
