"""Some rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

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

    def taken(self, rows: Any) -> Batch:
        """The rows at some positions."""
        return Batch(len(rows), {name: _taken(column, rows) for name, column in self._columns.items()})

    @property
    def names(self) -> list[str]:
        return list(self._columns)


def _taken(column: Any, rows: Any) -> Any:
    """The values of a column at some positions: of a list, an array or a column of Arrow."""
    if isinstance(column, list):
        return [column[i] for i in rows.tolist()]
    return column[rows] if isinstance(column, np.ndarray) else column.take(rows)
