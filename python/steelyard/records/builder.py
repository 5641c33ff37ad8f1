"""The records of a text file become columns.

A column is a list with one value per row. Where nearly all of them would be None it is a dictionary from row to value
instead: a file of records with different keys would otherwise need (rows x keys) cells, far more than it has values.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .._json_lines import PlainLines, plain_lines
from .table import BEGINNING, LIST, LONGEST_TEXT, ColumnStore, Table, record_error, shorten

MOST_COLUMNS = 10_000
LEAST_AT_ONCE = 1 << 15  # bytes of plain lines that are read at once, at least
CELLS_AT_ONCE = 8_000_000  # with many columns fewer bytes: this many, divided by the number of columns
MOST_OF_PLAIN_LINES = 1_000  # columns; with more, each line goes through the dictionaries' limits one by one
FEWEST_KEYS = 100  # a dictionary with fewer is not what makes a file too wide
DEEPEST = 100  # dictionaries inside one another
GAP = 16  # so many empty cells in a row are filled without a thought about a dictionary
SPARSE = 16  # with more cells than this for each value a list becomes a dictionary
DENSE = 8  # with fewer a dictionary becomes a list again

Column = list[Any] | dict[int, Any]


class TextColumns(ColumnStore):
    """The columns of a text file; a dictionary becomes a list when its column is asked for."""

    def __init__(self, columns: Mapping[str, Column], rows: int, kept: Mapping[str, dict[int, list[Any]]]) -> None:
        self._columns = columns
        self._rows = rows
        self._kept = kept

    def __getitem__(self, key: str) -> list[Any]:
        column = self._columns[key]
        return _filled(column, self._rows) if isinstance(column, dict) else column

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __contains__(self, key: object) -> bool:
        return key in self._columns

    def elements(self, key: str) -> Sequence[list[Any] | None] | None:
        """The lists of a column that an option names; None where it has none."""
        return _filled(self._kept[key], self._rows) if key in self._kept else None

    def values_of(self, key: str) -> Iterable[Any]:
        """What a column holds; empty cells may be among it."""
        column = self._columns[key]
        return column.values() if isinstance(column, dict) else column


class TableBuilder:
    """Makes a table of the records of a text file, which are added one by one or many rows at once."""

    def __init__(self, file: str, asked: Collection[str] = (), *, has_null: bool = True) -> None:
        self.columns: dict[str, Column] = {}
        self._has_null = has_null
        self._file = file
        self._lines = array("q")
        self._dictionaries = Dictionaries(file, asked)
        self._asked = frozenset(asked)
        self._kept: dict[str, dict[int, list[Any]]] = {}
        self._with_lists: set[str] = set()
        self._inside: dict[str, Inside] = {}
        self._counted: dict[str, int] = {}

    def append(self, record: Mapping[str, Any], line: int) -> None:
        """Add one record; dictionaries inside it become dotted paths."""
        self._walk(record, ("",), len(self._lines), line)
        self._lines.append(line)

    def extend(self, columns: Mapping[str, Sequence[Any]], lines: Iterable[int]) -> None:
        """Add many rows, column by column; every block of a file has the same columns."""
        for name, values in columns.items():
            column = self.columns.setdefault(name, [])
            assert isinstance(column, list)
            column.extend(values)
        self._lines.extend(lines)

    def extend_plain(self, data: bytes, line: int) -> PlainLines:
        """Add the plain lines at the beginning of some bytes, the first of which is a file's ``line``-th.

        What is a plain line depends on the columns that there are. A line that is none has to be appended.
        """
        columns = self._whole_columns() if len(self.columns) <= MOST_OF_PLAIN_LINES else []
        dictionaries = list(filter(_is_unicode, self._inside)) if columns else []
        found = plain_lines(
            data[: max(LEAST_AT_ONCE, CELLS_AT_ONCE // len(columns))] if columns else b"",
            columns,
            dictionaries,
            list_mark=LIST,
            longest=LONGEST_TEXT,
            beginning=BEGINNING,
        )
        lists = {name for name, values in zip(columns, found.columns, strict=True) if self._keeps(name, values)}
        if lists:
            self._with_lists |= lists
            return PlainLines(0, 0, [], [])
        row = len(self._lines)
        for name, values in zip(columns, found.columns, strict=True):
            if values is None:
                continue
            if (len(values) - values.count(None)) * SPARSE >= len(values):
                self.columns[name].extend(values)  # type: ignore[union-attr]
                continue
            for at, value in enumerate(values):
                if value is not None:
                    self._place(name, value, (), row + at, line + at)
        for path, met in zip(dictionaries, found.met, strict=True):
            self._inside[path].met += met
        self._lines.extend(range(line, line + found.rows))
        return found

    def _keeps(self, name: str, values: list[Any] | None) -> bool:
        """Whether values are lists that have to be kept, which only :meth:`append` does."""
        return name in self._asked and values is not None and LIST in values

    def _whole_columns(self) -> list[str]:
        """The columns that have a cell for every row, without those whose lists are kept."""
        n = len(self._lines)
        for name, column in self.columns.items():
            if isinstance(column, list) and len(column) < n:
                self.columns[name] = self._reaching(name, column, n)
        names = [name for name, column in self.columns.items() if isinstance(column, list) and _is_unicode(name)]
        return [name for name in names if name not in self._with_lists]

    def finish(self) -> Table:
        """Fill the columns that ended early."""
        n = len(self._lines)
        for name, column in self.columns.items():
            if isinstance(column, list) and len(column) < n:
                self.columns[name] = self._reaching(name, column, n)
        left_out = {
            f"dictionaries {shorten(path)!r} of too many different keys": self._inside[path].met
            for path in self._dictionaries.closed
        }
        columns = TextColumns(self.columns, n, self._kept)
        return Table(self._file, columns=columns, lines=self._lines, left_out=left_out, has_null=self._has_null)

    def _walk(self, record: Mapping[str, Any], parents: tuple[str, ...], row: int, line: int) -> None:
        columns, prefix = self.columns, parents[-1]
        for name, value in record.items():
            key = prefix + name if prefix else name
            kind = type(value)
            if kind is dict:
                inside = self._inside.get(key)
                if inside is None:
                    inside = self._open(key, parents, line)
                    if inside is None:
                        continue
                inside.met += 1
                self._walk(value, inside.parents, row, line)
                continue
            if kind is list and key in self._asked:
                self._kept.setdefault(key, {})[row] = value
            cell = LIST if kind is list else shorten(value) if kind is str and len(value) > LONGEST_TEXT else value
            column = columns.get(key)
            if column is not None and len(column) == row:  # never a dictionary's length
                column.append(cell)  # type: ignore[union-attr]
            else:
                self._place(key, cell, parents, row, line)

    def _place(self, key: str, value: Any, parents: tuple[str, ...], row: int, line: int) -> None:
        """Add a value where the row before has none: the column is new, has a gap, or is a dictionary."""
        column = self.columns.get(key)
        if column is None:
            column = self._new_column(key, parents, row, line)
            if column is None:
                return
        if len(column) > row or (isinstance(column, dict) and row in column):
            raise record_error(
                f"{self._file}, line {line}",
                f"one value for {key!r}",
                "both a key of that name and a nested one",
                "rename one of the two",
            )
        if isinstance(column, list):
            column = self._reaching(key, column, row)
        if isinstance(column, list):
            column.append(value)
        elif value is not None:
            column[row] = value
            if len(column) * DENSE > row:
                column = _filled(column, row + 1)
        self.columns[key] = column

    def _reaching(self, key: str, column: list[Any], row: int) -> Column:
        """The column with a cell for every row before this one; a dictionary where nearly all would be empty.

        All cells are looked at to count the empty ones, so that is done only when the column has doubled since the last
        time.
        """
        gap = row - len(column)
        if gap > GAP and row >= 2 * self._counted.get(key, 0):
            self._counted[key] = row
            if (len(column) - column.count(None)) * SPARSE < row:
                return {at: value for at, value in enumerate(column) if value is not None}
        column.extend([None] * gap)
        return column

    def _open(self, key: str, parents: tuple[str, ...], line: int) -> Inside | None:
        """A dictionary that is met for the first time; None inside one that is closed."""
        if len(parents) >= DEEPEST:
            where = f"{self._file}, line {line}"
            raise record_error(where, "a flat record", "a JSON object nested too deeply", "flatten it")
        if self._dictionaries.closes(f"{key}.", parents):
            return None
        self._inside[key] = inside = Inside((*parents, f"{key}."))
        return inside

    def _new_column(self, key: str, parents: tuple[str, ...], row: int, line: int) -> Column | None:
        """An empty column; None for a key of a closed dictionary."""
        if len(self.columns) >= MOST_COLUMNS and not self._dictionaries.closes(key, parents):
            gone = self._dictionaries.close_widest(line, key)
            for name in [name for name in self.columns if gone(name)]:
                del self.columns[name]
        if self._dictionaries.closes(key, parents):
            return None
        self._dictionaries.add(key, parents)
        return [] if row <= GAP else {}


def _is_unicode(text: str) -> bool:
    """Whether text has no surrogate without its other half."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _filled(column: Mapping[int, Any], rows: int) -> list[Any]:
    whole = [None] * rows
    for row, value in column.items():
        whole[row] = value
    return whole


@dataclass
class Inside:
    """A dictionary inside the records.

    ``parents`` are the paths (each with a dot at its end) of the dictionaries around it and its own; ``met`` is the
    number of records that have it.
    """

    parents: tuple[str, ...]
    met: int = 0


class Dictionaries:
    """How many keys the dictionaries inside records have, and which are not opened any more.

    A dictionary with other keys in every record (votes by answer, results by question) would become one column per
    key. When there are too many columns, the dictionary with the most keys is closed: its keys are no columns any more,
    except for those that an option names.
    """

    def __init__(self, file: str, asked: Collection[str]) -> None:
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
        """Whether a key, or a dictionary with all its keys, is inside a closed one and nobody asked for it."""
        if not self._closed or self._closed.isdisjoint(parents):
            return False
        return not (any(one.startswith(key) for one in self._asked) if key.endswith(".") else key in self._asked)

    def close_widest(self, line: int, key: str) -> Callable[[str], bool]:
        """Close the dictionary with the most keys; return a function that says which columns go with it."""
        inside = {path: keys for path, keys in self._keys.items() if path}
        path = max(inside, key=lambda one: inside[one], default="")
        if inside.get(path, 0) < FEWEST_KEYS:
            raise record_error(
                f"{self._file}, line {line}",
                f"records that share their keys, at most {MOST_COLUMNS:,} different ones",
                f"another one ({shorten(key)!r})",
                "give one record per line, not a dictionary of records",
            )
        self._closed.add(path)
        for gone in [one for one in self._keys if one.startswith(path)]:
            del self._keys[gone]
        self._known = {one for one in self._known if not one.startswith(path)}
        return lambda name: name.startswith(path) and name not in self._asked

    @property
    def closed(self) -> list[str]:
        """The paths of the closed dictionaries."""
        return sorted(path.removesuffix(".") for path in self._closed)
