"""JSON Lines and JSON arrays, by the standard library: faster readers refuse ``NaN`` or drop keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import IO, Any

from ...errors import sentence
from ..builder import TableBuilder
from ..table import NotRecords, Summary, Table, record_error, shorten
from .text import BYTE_ORDER_MARK, EXPECTED, lines, not_utf8, one_a_line

LINES = 8192  # between two reports of progress
_BLANKS = " \t\n\r"


class DuplicateKey(ValueError):
    """One JSON object has a key twice; which of its values is meant cannot be known."""


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


# ---- one record per line


def read_lines(name: str, file: IO[bytes], progress: Callable[[], None], asked: Collection[str]) -> Table:
    """Read a file with one JSON object per line."""
    table = TableBuilder(name, asked)
    for line, raw in enumerate(lines(name, file.readline), 1):
        data = raw.removeprefix(BYTE_ORDER_MARK) if line == 1 else raw
        if line % LINES == 0:
            progress()
        try:
            record = _one_value(data.decode().strip(_BLANKS))
        except (ValueError, RecursionError) as error:
            if not data.strip():
                continue  # a blank line holds nothing
            if line == 1 and data.endswith(b"\n") and not data.rstrip().endswith(b"}"):
                raise _one_object(name, data + file.read()) from error
            raise _bad_line(f"{name}, line {line}", data, error) from error
        if type(record) is not dict:
            raise record_error(f"{name}, line {line}", "a JSON object", _kind(record), "write one JSON object per line")
        if line == 1:
            _check_no_log(name, record)
        table.append(record, line)
    return table.finish()


def _one_value(text: str) -> Any:
    """A text that is one JSON value. ``decode`` takes twice the time, since it looks for blanks around the value."""
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _bad_line(where: str, data: bytes, error: Exception) -> Exception:
    if isinstance(error, UnicodeDecodeError):
        return not_utf8(where, error, f" at position {error.start + 1} of the line")
    if isinstance(error, DuplicateKey):
        return _twice(where, error)
    if isinstance(error, RecursionError):
        return record_error(where, "a flat record", "a JSON object nested too deeply", "flatten it")
    reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
    if data.endswith(b"\n"):
        return record_error(where, "a JSON object", f"text that is not JSON ({reason})", "correct the line")
    found = f"a last line that is cut off ({reason})"
    return record_error(where, "a whole JSON object", found, "write or fetch the file again")


def _twice(where: str, key: DuplicateKey, fix: str = "write each key once") -> Exception:
    return record_error(where, "each key once", f"the key {str(key)!r} twice", fix)


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


# ---- one object over several lines


def _one_object(name: str, data: bytes) -> Exception:
    """The error for one object spread over several lines, which is no file of records: what it seems to be."""
    text = _decoded(name, data)
    try:
        record = _DECODER.decode(text)
    except DuplicateKey as error:
        return _twice(name, error)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        found = f"text that is not JSON ({getattr(error, 'msg', error)})"
        return record_error(f"{name}, line {line}", "a JSON object per line", found, "correct the file")
    _check_no_log(name, record)
    keys = ", ".join(repr(shorten(key)) for key in list(record)[:5])
    lists = [key for key, value in record.items() if _holds_records(value)]
    if not lists:
        fix = "write one record per line, or an array"
        raise NotRecords(sentence(name, EXPECTED, f"one JSON object (keys {keys})", fix))
    fix = one_a_line(lists[0]) if len(lists) == 1 else "write one record per line"
    return record_error(name, EXPECTED, f"one JSON object (keys {keys})", f"{fix}, or an array")


def _holds_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _check_no_log(name: str, record: dict[str, Any]) -> None:
    """Raise the error for a log that is one object, on one line or many: its records are inside, or beside it."""
    if isinstance(record.get("results"), dict) and ("configs" in record or "versions" in record):
        found, fix = "an lm-evaluation-harness results file", "give the samples_*.jsonl beside it"
        raise Summary(sentence(name, EXPECTED, found, fix))
    if isinstance(record.get("eval"), dict) and _holds_records(record.get("samples")):
        raise record_error(name, EXPECTED, "an Inspect log", one_a_line("samples"))


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise not_utf8(f"{name}, line {line}", error) from error


# ---- one array


def read_array(name: str, file: IO[bytes], asked: Collection[str]) -> Table:
    """Read a file that is one JSON array, element by element: only the columns are kept, and every row has a line."""
    table = TableBuilder(name, asked)
    for record, line in _elements(name, _decoded(name, file.read())):
        if type(record) is not dict:
            raise record_error(f"{name}, line {line}", "a JSON object", _kind(record), "write an array of objects")
        table.append(record, line)
    return table.finish()


def _elements(name: str, text: str) -> Iterator[tuple[Any, int]]:
    """Each element of an array, with the line on which it begins."""
    at = _skip(text, text.index("[") + 1)
    line, counted = 1, 0
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        where = f"{name}, line {line}"
        try:
            record, at = _DECODER.raw_decode(text, at)
        except DuplicateKey as error:
            raise _twice(where, error, "write it once") from error
        except (ValueError, RecursionError) as error:
            found = "the end of the file" if at >= len(text) else f"text that is not JSON ({error})"
            raise record_error(where, "a JSON array of records", found, "write or fetch the file again") from error
        yield record, line
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


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at
