"""Which columns of a table the arguments of a state's ``update`` are."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .._options import choice
from .._state import State
from ..errors import shown, type_error, value_error
from .batch import Batch

__all__ = ["Asked", "asked_of"]

NOT_COLUMNS = ("self", "progress", "first_row")


class Asked(NamedTuple):
    """The columns of each argument: a name, a tuple of names, or a list of names for a table of them."""

    of: Mapping[str, Any]
    numbered: bool = False
    """Whether ``update`` is told the number of the first row, since no column has the rows' ids."""

    @property
    def names(self) -> list[str]:
        return [name for columns in self.of.values() for name in ([columns] if isinstance(columns, str) else columns)]

    @property
    def called(self) -> dict[str, str]:
        """What messages about the arguments call them."""
        return {argument: f"column {columns!r}" for argument, columns in self.of.items()}

    def arguments(self, batch: Batch) -> dict[str, Any]:
        """The arguments of ``update`` for some rows."""
        return {argument: _values(batch, columns) for argument, columns in self.of.items()}


def _values(batch: Batch, columns: Any) -> Any:
    if isinstance(columns, str):
        return batch[columns]
    found = [batch[name] for name in columns]
    return tuple(found) if isinstance(columns, tuple) else np.stack([np.asarray(one) for one in found], axis=1)


def asked_of(columns: Any, state: State, name: str) -> Asked:
    """Check the columns for the ``update`` of a state."""
    update = inspect.signature(type(state).update).parameters  # type: ignore[attr-defined]
    takes = [
        one
        for one, of in update.items()
        if one not in NOT_COLUMNS and of.kind not in (of.VAR_POSITIONAL, of.VAR_KEYWORD)
    ]
    of = columns if isinstance(columns, Mapping) else {takes[0]: columns}
    if not of:
        raise value_error(name, "at least one column", "an empty mapping")
    for argument, asked in of.items():
        choice(argument, name, tuple(takes))
        several = isinstance(asked, tuple | list) and len(asked) > 0
        if not isinstance(asked, str) and not (several and all(isinstance(one, str) for one in asked)):
            where = f"{name}[{argument!r}]" if isinstance(columns, Mapping) else name
            raise type_error(where, "the name of a column, or a tuple or list of names", shown(asked))
    for argument in takes:
        if update[argument].default is inspect.Parameter.empty and argument not in of:
            raise value_error(name, f"a column for {argument}", f"columns for {', '.join(of)} alone")
    return Asked(of, "first_row" in update and "clusters" not in of)
