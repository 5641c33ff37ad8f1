"""Some rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Batch"]


class Batch:
    """Some rows: the columns that are wanted, by name."""

    def __init__(self, rows: int, columns: Mapping[str, Any]) -> None:
        self._rows, self._columns = rows, columns

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]

    def read(self, values: Callable[[Any, str], Any]) -> Batch:
        """These rows with every column as ``values`` of it and its name."""
        return Batch(self._rows, {name: values(column, name) for name, column in self._columns.items()})

    @property
    def names(self) -> list[str]:
        return list(self._columns)
