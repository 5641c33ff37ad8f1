"""Ids and clusters of several columns: ``id="subject,number"`` is one key, joined of the values of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..errors import keyword
from .finder import missing_column
from .table import Table, WithColumn
from .values import texts

JOINED = ("id", "cluster")  # the roles whose option may name several columns


def parts(option: str) -> list[str]:
    """The columns that an option names; one alone where there is no comma in it."""
    return [part.strip() for part in option.split(",")]


def named(option: str | None) -> set[str]:
    """All columns that an option may mean: that of its name, and those that it names together."""
    return set() if option is None else {option, *parts(option)}


def with_keys(table: Table, options: Mapping[str, str | None]) -> Table:
    """The table with a column for each option that names several. A column may have a comma in its own name."""
    for role in JOINED:
        option = options[role]
        if option is not None and "," in option and not {option, option.strip()} & {*table.columns}:
            table = _with_key(table, role, option)
    return table


def _with_key(table: Table, role: str, option: str) -> Table:
    names = parts(option)
    for name in names:
        if name not in table.columns:
            raise missing_column(table, keyword(role, option), name)
    columns = [texts(table.columns[name], f"{role} {name!r}", table.where) for name in names]
    values = [_joined(row) for row in zip(*columns, strict=True)]
    return replace(table, columns=WithColumn(table.columns, option, values))


def _joined(values: Sequence[str | None]) -> str | None:
    """``history,7``; as CSV writes it, so that no two keys look alike. None where a part has no value."""
    there = [value for value in values if value is not None]
    return ",".join(map(_quoted, there)) if len(there) == len(values) else None


def _quoted(value: str) -> str:
    doubled = value.replace('"', '""')
    return f'"{doubled}"' if "," in value or '"' in value else value
