"""JSON Lines, JSON arrays, and logs that are JSON, by the standard library."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from typing import IO, Any

from ...errors import sentence
from .. import logs
from ..builder import LEAST_AT_ONCE, TableBuilder
from ..json_values import BYTE_ORDER_MARK, DECODER, DuplicateKey
from ..table import EXPECTED, NotRecords, Table, record_error, shorten
from .text import OUT_OF_A_COPY, next_line, not_utf8, one_a_line

LINES = 8192  # between two reports of progress
MANY = 32  # plain lines, from which on it pays to look for more at once
_BLANKS = " \t\n\r"


# ---- one record per line


def read_lines(name: str, file: io.BufferedReader[Any], progress: Callable[[], None], asked: Collection[str]) -> Table:
    """Read a file with one JSON object per line; one object over several lines may be a log."""
    lines = _Lines(name, file, progress)
    return _table(name, iter(lines), lambda: not file.peek(1), asked, lines.look_ahead)


def objects(
    name: str, file: io.BufferedReader[Any], progress: Callable[[], None]
) -> Iterator[tuple[dict[str, Any], int]]:
    """Every object of a file of JSON Lines, whole, with the number of its line."""
    return iter(_Lines(name, file, progress))


def _table(
    name: str,
    records: Iterator[tuple[dict[str, Any], int]],
    alone: Callable[[], bool],
    asked: Collection[str],
    look_ahead: Callable[[TableBuilder], None] | None = None,
) -> Table:
    """The table of plain records, or of the log that the first object shows; ``alone``: it is the file's only one.

    ``look_ahead`` is called after each record, and may add the next ones itself.
    """
    first = next(records, None)
    records = records if first is None else chain([first], records)
    log = None if first is None else logs.log_of(first[0], alone=alone())
    if log is not None:
        return logs.read(log, name, records, asked)
    table = TableBuilder(name, asked)
    for record, line in records:
        table.append(record, line)
        if look_ahead is not None:
            look_ahead(table)
    return table.finish()


class _Lines:
    """The object on each line, with the line's number; the only one of a file may be spread over several lines."""

    def __init__(self, name: str, file: io.BufferedReader[Any], progress: Callable[[], None]) -> None:
        self.name = name
        self.file = file
        self.progress = progress
        self.line = 0
        self._pause = 0  # lines that are read one by one between two looks
        self._wait = 0  # how many are left of them

    def __iter__(self) -> Iterator[tuple[dict[str, Any], int]]:
        while raw := next_line(self.name, self.file.readline, self.line + 1):
            self.line += 1
            line = self.line
            data = raw.removeprefix(BYTE_ORDER_MARK) if line == 1 else raw
            if line % LINES == 0:
                self.progress()
            where = f"{self.name}, line {line}"
            try:
                record = _one_value(data.decode().strip(_BLANKS))
            except (ValueError, RecursionError) as error:
                if not data.strip():
                    continue  # a blank line holds nothing
                if line == 1 and data.endswith(b"\n") and not data.rstrip().endswith(b"}"):
                    yield _one_object(self.name, data + self.file.read()), 1
                    return
                raise _bad_line(where, data, error) from error
            if type(record) is not dict:
                raise record_error(where, "a JSON object", _kind(record), "write one JSON object per line")
            yield record, line

    def look_ahead(self, table: TableBuilder) -> None:
        """Add the next lines that are plain to the table, as far as they are at hand.

        Where there are few of them, to look for them costs more than to read each line; so the number of lines that are
        read before the next look doubles each time.
        """
        self._wait -= 1
        if self._wait >= 0:
            return
        at_hand = self.file.peek()
        found = table.extend_plain(at_hand, self.line + 1)
        self.file.read(found.bytes)
        self.line += found.rows
        self.progress()
        many = found.rows >= MANY or 2 * found.bytes > min(len(at_hand), LEAST_AT_ONCE)
        self._pause = 0 if many else min(2 * self._pause + 1, LINES)
        self._wait = self._pause


def _one_value(text: str) -> Any:
    """A text that is one JSON value. ``decode`` takes twice the time, since it looks for blanks around the value."""
    value, end = DECODER.raw_decode(text)
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
        return record_error(where, "a JSON object", f"text that is not JSON ({reason})", OUT_OF_A_COPY)
    found = f"a last line that is cut off ({reason})"
    return record_error(where, "a whole JSON object", found, "write or fetch the file again")


def _twice(where: str, key: DuplicateKey, fix: str = "write each key once") -> Exception:
    return record_error(where, "each key once", f"the key {str(key)!r} twice", fix)


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


# ---- one object over several lines


def _one_object(name: str, data: bytes) -> dict[str, Any]:
    """One object that is spread over several lines: a log, since it is no file of records otherwise."""
    text = _decoded(name, data)
    try:
        record: dict[str, Any] = DECODER.decode(text)
    except DuplicateKey as error:
        raise _twice(name, error) from error
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        found = f"text that is not JSON ({getattr(error, 'msg', error)})"
        raise record_error(
            f"{name}, line {line}", "a JSON object per line", found, "fetch or export the file again"
        ) from error
    if logs.log_of(record, alone=True) is None:
        raise _no_log(name, record)
    return record


def _no_log(name: str, record: dict[str, Any]) -> Exception:
    """The error for an object that no kind of log knows."""
    keys = ", ".join(repr(shorten(key)) for key in list(record)[:5])
    lists = [key for key, value in record.items() if _holds_records(value)]
    if not lists:
        fix = "write one record per line, or an array"
        return NotRecords(sentence(name, EXPECTED, f"one JSON object (keys {keys})", fix))
    fix = one_a_line(lists[0]) if len(lists) == 1 else "write one record per line"
    return record_error(name, EXPECTED, f"one JSON object (keys {keys})", f"{fix}, or an array")


def _holds_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise not_utf8(f"{name}, line {line}", error) from error


# ---- one array


def read_array(name: str, file: IO[bytes], asked: Collection[str]) -> Table:
    """Read a file that is one JSON array, element by element: only the columns are kept, and every row has a line."""
    return _table(name, objects_of_array(name, file), lambda: False, asked)


def objects_of_array(name: str, file: IO[bytes]) -> Iterator[tuple[dict[str, Any], int]]:
    """Each element of an array, which has to be an object."""
    for record, line in _elements(name, _decoded(name, file.read())):
        if type(record) is not dict:
            raise record_error(f"{name}, line {line}", "a JSON object", _kind(record), "write an array of objects")
        yield record, line


def _elements(name: str, text: str) -> Iterator[tuple[Any, int]]:
    """Each element of an array, with the line on which it begins."""
    at = _skip(text, text.index("[") + 1)
    line, counted = 1, 0
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        where = f"{name}, line {line}"
        try:
            record, at = DECODER.raw_decode(text, at)
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
