"""What one file holds: its columns by dotted path, with one Python value per row, and the line of each row."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import RecordError, sentence

EXPECTED = "records as JSON Lines, a JSON array, CSV or Parquet"  # what a file has to be, in every refusal
LONGEST_TEXT = 200  # characters kept whole; prompts and completions beyond it become a beginning and a digest
BEGINNING = 40  # characters of a longer text that are kept
_WHOLE = re.compile(r"-?[0-9]+\.0+|-0")


class _List:
    """Takes the place of a list in a column: lists are counted, but what is in them is not read."""

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


def find_name(name: str, names: Collection[str]) -> str | None:
    """The one of ``names`` that is equal, else the only one that is equal but for the blanks around it."""
    if name in names:
        return name
    alike = [one for one in names if one.strip() == name.strip()]
    return alike[0] if len(alike) == 1 else None


def shorten(text: str) -> str:
    """Long text as its first characters and a digest of the whole: enough to match, group and compare by."""
    if len(text) <= LONGEST_TEXT:
        return text
    text = plain(text)
    if len(text) <= LONGEST_TEXT:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{text[:BEGINNING]}...#{digest}"


class ColumnStore(Mapping[str, list[Any]]):
    """The columns of a file by dotted path, one value per row; a missing or null value is None, a list is ``LIST``."""

    def values_of(self, key: str) -> Iterable[Any]:
        """What a column holds; empty cells may be among it."""
        return self[key]

    def kind(self, key: str) -> str:
        """``scalar`` where a column has a value that is no list, else ``list``, or ``empty`` where it has none."""
        found = "empty"
        for value in self.values_of(key):
            if value is LIST:
                found = "list"
            elif value is not None:
                return "scalar"
        return found

    def narrow(self, key: str) -> type[np.floating[Any]]:
        """The narrowest type that a column's numbers may have been kept in: JSON is often written from float32."""
        return np.float32

    def elements(self, key: str) -> Sequence[list[Any] | None] | None:
        """The lists of a column, None in rows without one; None where they were not kept, or the column has none.

        Text formats keep the lists of columns that an option names.
        """
        return None

    def lists(self, key: str) -> int:
        """How many rows have a list in a column."""
        values = self.values_of(key)
        return values.count(LIST) if isinstance(values, list) else sum(value is LIST for value in values)


class WithColumn(ColumnStore):
    """Other columns, and one of text that is made of something else: a file's name, or several columns."""

    def __init__(self, columns: ColumnStore, key: str, values: list[Any]) -> None:
        self._columns = columns
        self._key = key
        self._values = values

    def __getitem__(self, key: str) -> list[Any]:
        return self._values if key == self._key else self._columns[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._columns
        yield self._key

    def __len__(self) -> int:
        return len(self._columns) + 1

    def __contains__(self, key: object) -> bool:
        return key == self._key or key in self._columns

    def values_of(self, key: str) -> Iterable[Any]:
        """What a column holds; empty cells may be among it."""
        return self._values if key == self._key else self._columns.values_of(key)

    def kind(self, key: str) -> str:
        """What the rows have in a column."""
        return super().kind(key) if key == self._key else self._columns.kind(key)

    def narrow(self, key: str) -> type[np.floating[Any]]:
        """The narrowest type that a column's numbers may have been kept in."""
        return self._columns.narrow(key)


class Selected(ColumnStore):
    """Some rows of other columns."""

    def __init__(self, columns: ColumnStore, rows: Sequence[int]) -> None:
        self._columns = columns
        self._rows = rows
        self._selected: dict[str, list[Any]] = {}

    @property
    def whole(self) -> ColumnStore:
        """All rows."""
        return self._columns

    def __getitem__(self, key: str) -> list[Any]:
        if key not in self._selected:
            self._selected[key] = list(self.values_of(key))
        return self._selected[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __contains__(self, key: object) -> bool:
        return key in self._columns

    def values_of(self, key: str) -> Iterable[Any]:
        """What a column holds; empty cells may be among it."""
        whole = self._columns[key]
        return (whole[row] for row in self._rows)

    def kind(self, key: str) -> str:
        """What the rows have in a column."""
        of_all = self._columns.kind(key)
        return super().kind(key) if of_all == "scalar" else of_all

    def narrow(self, key: str) -> type[np.floating[Any]]:
        """The narrowest type that a column's numbers may have been kept in."""
        return self._columns.narrow(key)


@dataclass
class Table:
    """Columns of one file."""

    file: str
    columns: ColumnStore
    lines: Sequence[int]
    unit: str = "line"  # what ``lines`` counts: lines of a text file, rows of a Parquet file, samples
    has_null: bool = True  # whether the format can say null: CSV cannot, and has words for it
    left_out: dict[str, int] = field(default_factory=dict)
    whole: int = 0  # how many records the file has, where only some of them are selected
    numbers: Sequence[int] | None = None  # for each of those its number among all
    scores: tuple[str, ...] = ()  # the columns that can be the score, where the kind of file says which
    ids: tuple[str, ...] = ()  # the columns that can be the id, where the kind of file says which
    apart: tuple[str, ...] = ()  # columns whose values are never mixed: the caller chooses where there are several
    notes: tuple[str, ...] = ()  # sentences about the file that stand beside the results

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """``file, line 7``: how an error names a row."""
        return f"{self.file}, {self.unit} {self.lines[row]}"

    def kind(self, column: str) -> str:
        """What a column holds: ``scalar``, ``list`` or ``empty``."""
        return self.columns.kind(column)

    def lists(self, column: str) -> int:
        """How many rows have a list in a column."""
        return self.columns.lists(column)


class NotRecords(RecordError):
    """A file holds something else than records, such as settings: in a directory it is passed over."""


class Summary(NotRecords):
    """A file holds the results of an evaluation whose records are in another file."""


def first_of(files: Sequence[str]) -> str:
    """One of several files, and how many more there are."""
    more = len(files) - 1
    return files[0] + (f" and {more:,} more file{'s' * (more > 1)}" if more else "")


def no_pyarrow(file: str, kind: str) -> RecordError:
    """The error for a file of a kind that pyarrow reads, where it is not installed."""
    return record_error(
        file, f"pyarrow to read a {kind} file", "none installed", "install it with `pip install 'steelyard[cli]'`"
    )


def record_error(where: str, expected: str, got: str, fix: str) -> RecordError:
    """The error of every reader: the file and line, what was expected, what came, what to do."""
    return RecordError(sentence(where, expected, got, fix))
