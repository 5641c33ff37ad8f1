"""How a CSV file is written: its separator, Excel's first line ``sep=;``, and numbers with a decimal comma."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..finder import some_of
from ..values import MISSING

_SEPARATORS = ",\t;"
_SEPARATOR_LINE = re.compile(r'"?sep=([,\t;|])"?\s*', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*(?:"|$)')
_NUMBER = re.compile(r"\s*[+-]?[0-9]+(?:,[0-9]+)?(?:[eE][+-]?[0-9]+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9][0-9]{0,2},[0-9]{3}\s*")


class Dialect(NamedTuple):
    """The separator, and whether the first line only names it."""

    separator: str
    is_named: bool


def dialect_of(first: str) -> Dialect:
    """The dialect of a file, by its first line.

    Excel reads a first line ``sep=;`` as the name of the separator, and many exporters write it. Otherwise the
    separator is the one that the header has most of outside quotes; a comma where it has none.
    """
    if named := _SEPARATOR_LINE.fullmatch(first):
        return Dialect(named[1], True)
    unquoted = _QUOTED.sub("", first)
    return Dialect(max(_SEPARATORS, key=unquoted.count), False)


def read_decimal_commas(columns: Mapping[str, Any]) -> list[str]:
    """Write the numbers of columns with decimal commas with points, in place; return what is said about it.

    Only for files in which the comma does not separate. Every value of the column has to be a number of that kind (or
    missing), and at least one cannot be anything else: ``1,234`` alone may be a thousand.
    """
    changed = []
    for name, values in columns.items():
        if _has_decimal_commas(values):
            values[:] = [value and value.replace(",", ".") for value in values]
            changed.append(name)
    return [f"numbers with a decimal comma are read in {some_of(changed)}"] if changed else []


def _has_decimal_commas(values: Sequence[str | None]) -> bool:
    found = False
    for value in values:
        if value is None:
            continue
        if _NUMBER.fullmatch(value):
            found = found or ("," in value and not _THOUSANDS.fullmatch(value))
        elif value.strip().lower() not in MISSING:
            return False
    return found
