"""What one file holds: its columns by dotted path, one Python value a row, and where each row stood."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ..errors import RecordError, sentence

LONGEST_TEXT = 200  # characters kept whole; prompts and completions beyond it become a beginning and a digest
MOST_COLUMNS = 10_000
FEWEST_KEYS = 100  # a dictionary with fewer is not what makes a file sparse
MOST_PADDING = 20_000_000  # empty cells before a row's first value, from which on it is asked whether a file is sparse
MOST_EMPTY = 20  # empty cells for one that is filled
_WHOLE = re.compile(r"-?[0-9]+\.0+|-0")
DEEPEST = 100  # dictionaries inside one another


class _List:
    """Stands in a column where the file has a list: it is counted, never read as a number."""

    def __repr__(self) -> str:
        return "a list"


LIST = _List()


def plain(text: str) -> str:
    """Text as it is compared: without blanks around it, and 7.0 as 7."""
    text = text.strip()
    if text.endswith("0") and _WHOLE.fullmatch(text):
        text = text.partition(".")[0]
        return "0" if text == "-0" else text
    return text


def shorten(text: str) -> str:
    """Long text as its first characters and a digest of all it says: enough to match, group and compare by."""
    if len(text) <= LONGEST_TEXT:
        return text
    text = plain(text)
    if len(text) <= LONGEST_TEXT:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{text[:40]}...#{digest}"


@dataclass
class Table:
    """Columns of one file. A missing or null value is None, a list is ``LIST``."""

    file: str
    unit: str = "line"  # what ``lines`` counts: lines of a text file, rows of a Parquet file
    columns: Mapping[str, list[Any]] = field(default_factory=dict)
    lines: Sequence[int] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """``file, line 7``: how an error names a row."""
        return f"{self.file}, {self.unit} {self.lines[row]}"

    def kind(self, column: str) -> str:
        """``scalar`` where a column has a value that is no list, else ``list``, or ``empty`` where it has none."""
        found = "empty"
        for value in self.columns[column]:
            if value is LIST:
                found = "list"
            elif value is not None:
                return "scalar"
        return found

    def lists(self, column: str) -> int:
        """How many rows have a list in a column."""
        return sum(value is LIST for value in self.columns[column])


class TableBuilder:
    """Makes a table of a text file's records, one by one or many rows at once."""

    def __init__(self, file: str, asked: Container[str] = ()) -> None:
        self.columns: dict[str, list[Any]] = {}
        self._file = file
        self._lines: list[int] = []
        self._dictionaries = Dictionaries(file, asked)
        self._inside: dict[str, Inside] = {}
        self._padding = 0
        self._most_padding = MOST_PADDING

    def append(self, record: Mapping[str, Any], line: int) -> None:
        """Add one record; dictionaries inside it become dotted paths."""
        self._walk(record, ("",), len(self._lines), line)
        self._lines.append(line)
        if self._padding > self._most_padding:
            self._thin_out(line)

    def extend(self, columns: Mapping[str, Sequence[Any]], lines: Iterable[int]) -> None:
        """Add many rows, column by column; every block of a file has the same columns."""
        for name, values in columns.items():
            self.columns.setdefault(name, []).extend(values)
        self._lines.extend(lines)

    def finish(self) -> Table:
        """Fill the columns that ended early."""
        n = len(self._lines)
        self._padding += sum(n - len(column) for column in self.columns.values())
        if self._padding > self._most_padding:
            self._thin_out(self._lines[-1])
        for column in self.columns.values():
            column.extend([None] * (n - len(column)))
        left_out = {
            f"dictionaries {shorten(path)!r} of too many different keys": self._inside[path].met
            for path in self._dictionaries.closed
        }
        return Table(self._file, columns=self.columns, lines=self._lines, left_out=left_out)

    def _walk(self, record: Mapping[str, Any], parents: tuple[str, ...], row: int, line: int) -> None:
        columns, prefix = self.columns, parents[-1]
        for name, value in record.items():
            key = prefix + name if prefix else name
            kind = type(value)
            if kind is dict:
                inside = self._inside.get(key)
                if inside is None:
                    inside = self._open(key, parents, line)
                inside.met += 1
                self._walk(value, inside.parents, row, line)
                continue
            column = columns.get(key)
            if column is None:
                column = self._new_column(key, parents, line)
                if column is None:
                    continue
            if len(column) != row:
                if len(column) > row:
                    raise record_error(
                        f"{self._file}, line {line}",
                        f"one value for {key!r}",
                        "both a key of that name and a nested one",
                        "rename one of the two",
                    )
                self._padding += row - len(column)
                column.extend([None] * (row - len(column)))
            if kind is list:
                column.append(LIST)
            elif kind is str and len(value) > LONGEST_TEXT:
                column.append(shorten(value))
            else:
                column.append(value)

    def _open(self, key: str, parents: tuple[str, ...], line: int) -> Inside:
        """A dictionary inside the records, met for the first time."""
        if len(parents) >= DEEPEST:
            where = f"{self._file}, line {line}"
            raise record_error(where, "a flat record", "a JSON object nested too deeply", "flatten it")
        self._inside[key] = inside = Inside((*parents, f"{key}."))
        return inside

    def _new_column(self, key: str, parents: tuple[str, ...], line: int) -> list[Any] | None:
        """An empty column; None in a dictionary that is not opened any more."""
        if len(self.columns) >= MOST_COLUMNS and not self._dictionaries.closes(key, parents):
            self._close(line, key)
        if self._dictionaries.closes(key, parents):
            return None
        self._dictionaries.add(key, parents)
        column: list[Any] = []
        self.columns[key] = column
        return column

    def _thin_out(self, line: int) -> None:
        """Where nearly all cells are empty, close the dictionary that has most keys."""
        filled = sum(map(len, self.columns.values())) - self._padding
        if self._padding > MOST_EMPTY * filled:
            self._close(line, next(reversed(self.columns)))
        self._most_padding = max(MOST_PADDING, 2 * self._padding)

    def _close(self, line: int, key: str) -> None:
        gone = self._dictionaries.close_widest(line, key)
        for name in [name for name in self.columns if gone(name)]:
            self._padding -= sum(value is None for value in self.columns.pop(name))


@dataclass
class Inside:
    """A dictionary inside the records: its path, each part with a dot, after those around it; how often it was met."""

    parents: tuple[str, ...]
    met: int = 0


class Dictionaries:
    """How many keys the dictionaries inside records have, and which are not opened any more.

    A dictionary with keys of their own in every record (votes by answer, results by question) would become a column a
    key. The widest is closed when there are too many: its keys are no columns any more, but for those asked for.
    """

    def __init__(self, file: str, asked: Container[str]) -> None:
        self._file = file
        self._asked = asked
        self._known: set[str] = set()
        self._keys: Counter[str] = Counter()
        self._closed: set[str] = set()

    def add(self, key: str, parents: tuple[str, ...]) -> None:
        """Count a new column in the dictionaries around it."""
        for parent, child in pairwise((*parents, key)):
            if child not in self._known:
                self._known.add(child)
                self._keys[parent] += 1

    def closes(self, key: str, parents: tuple[str, ...]) -> bool:
        """Whether a key is inside a closed dictionary, and nobody asked for it."""
        return bool(self._closed) and key not in self._asked and not self._closed.isdisjoint(parents)

    def close_widest(self, line: int, key: str) -> Callable[[str], bool]:
        """Open the dictionary with the most keys no more; return which columns go with it."""
        many = len(self._known) >= MOST_COLUMNS
        path, keys = max(self._keys.items(), key=lambda item: item[1])
        if not path or keys < FEWEST_KEYS:
            raise record_error(
                f"{self._file}, line {line}",
                f"records that share their keys, at most {MOST_COLUMNS:,} different ones",
                f"another one ({shorten(key)!r})" if many else f"{keys:,}, most of them missing in most records",
                "give one record a line, not a dictionary of records",
            )
        self._closed.add(path)
        for inside in [one for one in self._keys if one.startswith(path)]:
            del self._keys[inside]
        return lambda name: name.startswith(path) and name not in self._asked

    @property
    def closed(self) -> list[str]:
        """The paths of the closed dictionaries."""
        return sorted(path.removesuffix(".") for path in self._closed)


def record_error(where: str, expected: str, got: str, fix: str) -> RecordError:
    """The error of every reader: the file and line, what was expected, what came, what to do."""
    return RecordError(sentence(where, expected, got, fix))
