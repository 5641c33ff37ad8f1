"""Records of JSON that are kept as they are: texts in full, and lists with what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..table import LIST, ColumnStore, Table

DEEPEST = 8  # dictionaries inside one another whose keys are columns


def table_of(name: str, records: Iterable[tuple[dict[str, Any], int]]) -> Table:
    """The table of a file's records."""
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for record, line in records:
        rows.append(record)
        lines.append(line)
    return Table(name, WholeColumns(rows), lines)


class WholeColumns(ColumnStore):
    """The columns of records by dotted path: single values as they are, lists and messages as ``LIST``."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows
        self._names: dict[str, None] = {}
        for row in rows:
            self._names.update(dict.fromkeys(_paths(row)))

    def whole(self, key: str) -> list[Any]:
        """What a column holds as Python's values."""
        return [_at(row, key) for row in self._rows]

    def __getitem__(self, key: str) -> list[Any]:
        if key not in self._names:
            raise KeyError(key)
        return [LIST if isinstance(value, list | dict) else value for value in self.whole(key)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, key: object) -> bool:
        return key in self._names


def _paths(record: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[str]:
    """The paths of a record; a message with its role is one value."""
    for key, value in record.items():
        path = before + key
        if isinstance(value, dict) and value and "role" not in value and depth < DEEPEST:
            yield from _paths(value, f"{path}.", depth + 1)
        else:
            yield path


def _at(record: Any, path: str) -> Any:
    """The value at a path, of which a key itself may have dots; None where there is none."""
    if not isinstance(record, dict):
        return None
    if path in record:
        return record[path]
    for at in (k for k, mark in enumerate(path) if mark == "."):
        if path[:at] in record:
            return _at(record[path[:at]], path[at + 1 :])
    return None
