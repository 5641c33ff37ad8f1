"""Plain lines of JSON as columns of Python values, by the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from . import _core


class PlainLines(NamedTuple):
    """The plain lines at the beginning of some bytes."""

    rows: int
    bytes: int
    columns: Sequence[list[Any] | None]
    """The values of each column, None where no row has it."""
    met: Sequence[int]
    """In how many rows each dictionary is."""


def plain_lines(
    data: bytes, columns: list[str], dictionaries: list[str], *, list_mark: object, longest: int, beginning: int
) -> PlainLines:
    """Read lines with one JSON object each, up to the first that needs care (``rust/kernels/src/json_lines``).

    Parameters
    ----------
    data : whole lines; what is after the last line's end is not read
    columns, dictionaries : the dotted paths that are known; a line with another key is not plain
    list_mark : stands in the place of lists
    longest, beginning : text of more characters than ``longest`` becomes ``beginning`` of them and a digest
    """
    found = _core.json_lines(
        data,
        columns=columns,
        dictionaries=dictionaries,
        list_mark=list_mark,
        longest=longest,
        beginning=beginning,
    )
    return PlainLines(found["rows"], found["bytes"], found["columns"], found["met"])
