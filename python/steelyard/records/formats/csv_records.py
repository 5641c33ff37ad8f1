"""CSV and TSV, by the standard library: it knows the line of every row.

Every value is text; what is a number is decided where a role needs one.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import IO, Any

from ..builder import TableBuilder
from ..table import EXPECTED, LONGEST_TEXT, Table, record_error, shorten
from . import promptfoo_csv
from .csv_dialect import dialect_of, read_decimal_commas
from .text import OUT_OF_A_COPY, beginning, lines, not_utf8

ROWS = 8192  # turned into columns at a time
FIELDS = 2_000_000  # and at most so many fields of them


def read(name: str, file: IO[bytes], progress: Callable[[], None], encoding: str = "utf-8-sig") -> Table:
    """Read a file whose first line names the columns, or, as Excel writes it, the separator."""
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    limit = csv.field_size_limit(2**31 - 1)  # completions are longer than the module's 131,072 characters
    try:
        rest = lines(name, text.readline)
        first = next(rest, "")
        dialect = dialect_of(first)
        first = "\n" if dialect.is_named else first  # a blank line, so that the rows keep the numbers of their lines
        table = _table(name, csv.reader(chain([first], rest), delimiter=dialect.separator, strict=True), progress)
    except UnicodeDecodeError as error:
        raise not_utf8(name, error, encoding=encoding) from error
    finally:
        csv.field_size_limit(limit)
        text.detach()
    if dialect.separator != ",":
        said = read_decimal_commas(table.columns)
        table.notes = tuple(f"{name}: {one}" for one in said)
    return table


def _table(name: str, reader: Any, progress: Callable[[], None]) -> Table:
    table = TableBuilder(name, has_null=False)
    try:
        header = _header(name, next(filter(None, reader), []), reader.line_num)
        table.columns = {key: [] for key in header}
        most = min(ROWS, FIELDS // len(header) + 1)
        while True:
            rows, numbers = _block(name, reader, len(header), most)
            if not rows:
                break
            columns = zip(header, zip(*rows, strict=True), strict=True)
            table.extend({key: _shortened(column) for key, column in columns}, numbers)
            progress()
    except csv.Error as error:
        where = f"{name}, line {reader.line_num}"
        raise record_error(where, "CSV", f"a malformed row ({error})", OUT_OF_A_COPY) from error
    table.columns = promptfoo_csv.with_scores(table.columns)
    return table.finish()


def _block(name: str, reader: Any, width: int, most: int) -> tuple[list[list[str]], list[int]]:
    """The next rows, ``most`` or what is left, with the numbers of their lines; blank lines hold nothing."""
    rows: list[list[str]] = []
    numbers: list[int] = []
    for row in reader:
        if not row:
            continue
        if len(row) != width:
            raise record_error(
                f"{name}, line {reader.line_num}",
                f"{width} field{'s' * (width != 1)} as in the header",
                str(len(row)),
                "export it again with quotes around fields that hold the separator, or take the line out of a copy",
            )
        rows.append(row)
        numbers.append(reader.line_num)
        if len(rows) == most:
            break
    return rows, numbers


def _header(name: str, row: list[str], line: int) -> list[str]:
    header = promptfoo_csv.with_models([field.strip() for field in row])
    where = f"{name}, line {line}"
    for field, times in Counter(header).items():
        if times > 1:
            found = f"{shorten(field)!r} twice" if field else "several without a name"
            raise record_error(where, "a header of different column names", found, "rename the columns")
    if "\0" in "".join(header) or not any(header):
        raise record_error(name, EXPECTED, f"something else, beginning {beginning(''.join(header))}", "check the file")
    return header


def _shortened(column: tuple[str, ...]) -> list[str | None]:
    """The values of a column with long ones shortened; an empty field is a missing value."""
    return [shorten(value) if len(value) > LONGEST_TEXT else value or None for value in column]
