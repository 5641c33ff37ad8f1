"""What one file holds: its columns by dotted path, one Python value a row, and where each row stood."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import RecordError, sentence

LONGEST_TEXT = 200  # characters kept whole; prompts and completions beyond it become a beginning and a digest
MOST_COLUMNS = 10_000


class _List:
    """Stands in a column where the file has a list: it is counted, never read as a number."""

    def __repr__(self) -> str:
        return "a list"


LIST = _List()


def shorten(text: str) -> str:
    """Long text as its first characters and a digest: enough to match, group and compare, in bounded memory."""
    if len(text) <= LONGEST_TEXT:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{text[:40]}...#{digest}"


@dataclass
class Table:
    """Columns of one file. A missing or null value is None, a list is ``LIST``."""

    file: str
    unit: str = "line"  # what ``lines`` counts: lines of a text file, rows of a Parquet file
    columns: dict[str, list[Any]] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """``file, line 7``: how an error names a row."""
        return f"{self.file}, {self.unit} {self.lines[row]}"

    def append(self, record: Mapping[str, Any], line: int) -> None:
        """Add one record; dictionaries inside it become dotted paths."""
        self._walk(record, "", len(self.lines), line)
        self.lines.append(line)

    def extend(self, columns: Mapping[str, Sequence[Any]], lines: Iterable[int]) -> None:
        """Add many rows, column by column; every block of a file has the same columns."""
        for name, values in columns.items():
            self.columns.setdefault(name, []).extend(values)
        self.lines.extend(lines)

    def finish(self) -> Table:
        """Fill the columns that ended early."""
        for column in self.columns.values():
            column.extend([None] * (len(self.lines) - len(column)))
        return self

    def _walk(self, record: Mapping[str, Any], prefix: str, row: int, line: int) -> None:
        columns = self.columns
        for name, value in record.items():
            key = prefix + name if prefix else name
            kind = type(value)
            if kind is dict:
                self._walk(value, key + ".", row, line)
                continue
            column = columns.get(key)
            if column is None:
                column = self._new_column(key, line)
            if len(column) != row:
                if len(column) > row:
                    raise record_error(
                        f"{self.file}, line {line}",
                        f"one value for {key!r}",
                        "both a key of that name and a nested one",
                        "rename one of the two",
                    )
                column.extend([None] * (row - len(column)))
            if kind is list:
                column.append(LIST)
            elif kind is str and len(value) > LONGEST_TEXT:
                column.append(shorten(value))
            else:
                column.append(value)

    def _new_column(self, key: str, line: int) -> list[Any]:
        if len(self.columns) >= MOST_COLUMNS:
            raise record_error(
                f"{self.file}, line {line}",
                f"records that share their keys, at most {MOST_COLUMNS:,} different ones",
                f"another one ({shorten(key)!r})",
                "give one record a line, not a dictionary of records",
            )
        column: list[Any] = []
        self.columns[key] = column
        return column


def record_error(where: str, expected: str, got: str, fix: str) -> RecordError:
    """The error of every reader: the file and line, what was expected, what came, what to do."""
    return RecordError(sentence(where, expected, got, fix))
