"""Which records are read: conditions such as ``split==test and length<100``.

A condition is a column, one of ``== != < <= > >=`` and a value; ``and`` joins several, as several strings do. A name or
a value that holds an operator or the word ``and`` stands in quotes. Values are equal as the two columns of a score
``a==b`` are: 1, 1.0, ``"1"`` and true are one, and so is text but for the blanks around it. ``<`` and ``>`` compare
numbers. A record without a value meets no condition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import numpy as np

from ..errors import keyword, type_error, value_error
from .finder import missing_column
from .labels import says
from .roles import Rows
from .table import LIST, Selected, Table, first_of, record_error, shorten
from .values import number, numbers

_COMPARED: Mapping[str, Callable[[Any, Any], Any]] = {"==": eq, "!=": ne, "<=": le, ">=": ge, "<": lt, ">": gt}
_QUOTED = r"\"[^\"]*\"|'[^']*'"
_CONDITION = re.compile(
    rf"\s*(?P<column>{_QUOTED}|[^=!<>]+?)\s*(?P<operator>[=!<>]=|[<>])(?![=<>])"
    rf"\s*(?P<value>{_QUOTED}|[^=!<>]*?)\s*(?:\s(?:and|AND)\s|$)"
)
_MOST_SHOWN = 5  # values that an error lists


@dataclass(frozen=True)
class Condition:
    """One comparison."""

    column: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{self.value}"

    @property
    def reason(self) -> str:
        """Why a record is left out that does not meet it."""
        words = {"==": "is not", "!=": "is"}
        return f"where {self.column} {words.get(self.operator, f'is not {self.operator}')} {self.value}"

    def met(self, table: Table) -> tuple[Rows, Rows]:
        """The rows that meet it, and those that lack a value."""
        column = _column(table, self.column)
        values = [None if value is LIST else value for value in table.columns[column]]
        if LIST in table.columns[column] and not any(value is not None for value in values):
            raise record_error(table.file, f"one value per record in {column!r}", "lists", "choose another column")
        compare = _COMPARED[self.operator]
        if self.operator in ("==", "!="):
            (wanted,) = says([self.value])
            found = says(values)
            lacking = np.array([one is None for one in found], dtype=bool)
            return np.array([compare(one, wanted) for one in found], dtype=bool) & ~lacking, lacking
        fix = f"compare it with == or != in {keyword('where')}"
        found_numbers, lacking = numbers(values, repr(column), table.where, fix)
        return compare(found_numbers, float(self.value)) & ~lacking, lacking


def _column(table: Table, name: str) -> str:
    if name in table.columns:
        return name
    raise missing_column(table, keyword("where"), name)


def conditions(where: object) -> tuple[Condition, ...]:
    """The conditions that a caller wrote: one string, or several."""
    several = [where] if isinstance(where, str) else where
    if not isinstance(several, Sequence) or not all(isinstance(one, str) for one in several):
        raise type_error("where", "conditions such as 'split==test'", repr(where))
    return tuple(one for text in several for one in _parsed(text))


def _parsed(text: str) -> list[Condition]:
    found: list[Condition] = []
    at = 0
    while at < len(text) or not found:
        match = _CONDITION.match(text, at)
        if match is None:
            expected = f"a column, one of {' '.join(_COMPARED)} and a value, as in 'split==test'"
            fix = "several are joined by 'and'; put a name or a value that holds such a word or mark in quotes"
            raise value_error("where", expected, repr(text[at:]), fix)
        column, operator, value = map(_unquoted, match.group("column", "operator", "value"))
        if operator not in ("==", "!=") and number(value) is None:
            raise value_error("where", f"a number after {operator}", repr(value), f"in {text!r}")
        if not value.strip():
            fix = "records without a value are left out by every condition"
            raise value_error("where", f"a value after {column}{operator}", repr(value), fix)
        found.append(Condition(column, operator, value.strip()))
        at = match.end()
    return found


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def selected(table: Table, wanted: Sequence[Condition]) -> Table:
    """The records of a table that meet all conditions; the others are counted by the first that they do not meet."""
    if not wanted or not len(table):
        return table
    keep = np.ones(len(table), dtype=bool)
    left_out = dict(table.left_out)
    for condition in wanted:
        met, lacking = condition.met(table)
        for reason, gone in ((f"without {condition.column}", lacking), (condition.reason, ~met & ~lacking)):
            if count := int(np.count_nonzero(keep & gone)):
                left_out[reason] = left_out.get(reason, 0) + count
        keep &= met
    rows = np.flatnonzero(keep).tolist()
    if len(rows) == len(table):
        return table
    return replace(
        table,
        columns=Selected(table.columns, rows),
        lines=[table.lines[row] for row in rows],
        left_out=left_out,
        whole=len(table),
        numbers=[row + 1 for row in rows],
    )


def none_left(tables: Sequence[Table], wanted: Sequence[Condition]) -> Exception:
    """The error where no record of any file meets the conditions; it gives the values that there are."""
    said = " and ".join(map(str, wanted))
    there = [f"{column!r} is {_values(tables, column)}" for column in dict.fromkeys(one.column for one in wanted)]
    files = first_of([table.file for table in tables])
    return record_error(
        files, f"records where {said}", f"none, since {' and '.join(there)}", f"change {keyword('where')}"
    )


def _values(tables: Sequence[Table], column: str) -> str:
    """The first values of a column, before any rows were selected."""
    columns = [table.columns.whole if isinstance(table.columns, Selected) else table.columns for table in tables]
    values = dict.fromkeys(label for one in columns for label in says(one[column]) if label is not None)
    more = f" and {len(values) - _MOST_SHOWN:,} more" if len(values) > _MOST_SHOWN else ""
    return ", ".join(repr(shorten(value)) for value in [*values][:_MOST_SHOWN]) + more or "empty"
