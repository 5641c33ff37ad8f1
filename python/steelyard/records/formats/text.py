"""What the readers of text formats share: lines of a sane length, and the words of their errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from ..source import LONGEST_LINE
from ..table import record_error, shorten

Line = TypeVar("Line", str, bytes)

OUT_OF_A_COPY = "fetch or export the file again, or take the line out of a copy"  # what a reader of the file can do

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def lines(name: str, readline: Callable[[int], Line]) -> Iterator[Line]:
    """Line by line."""
    line = 1
    while text := next_line(name, readline, line):
        line += 1
        yield text


def next_line(name: str, readline: Callable[[int], Line], line: int) -> Line:
    """The ``line``-th line, empty at the end; an error where it is so long that reading it would fill the memory."""
    text = readline(LONGEST_LINE)
    if len(text) >= LONGEST_LINE:
        expected = f"a line of less than {LONGEST_LINE:,} bytes"
        raise record_error(f"{name}, line {line}", expected, "a longer one", "check the file")
    return text


def not_utf8(where: str, error: UnicodeDecodeError, at: str = "", encoding: str = "utf-8") -> Exception:
    """The error for a byte that is no text in the encoding; ``at`` is where it stands, where that can be said."""
    found = f"the byte {error.object[error.start]:#04x}{at}"
    kind = encoding.removesuffix("-sig").upper()
    return record_error(where, f"text in {kind}", found, "save the file as UTF-8")


def beginning(text: bytes | str) -> str:
    """The beginning of what came, short and safe to print."""
    whole = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    first = whole.splitlines()[0] if whole.strip() else whole
    return ascii(first[:40]) + ("..." if len(first) > 40 else "") if first else "nothing"


def one_a_line(key: str) -> str:
    """How to make records of the list that one JSON object holds."""
    command = f": `jq -c '.{key}[]'`" if key.isascii() and key.isidentifier() else ""
    return f"write what is under {shorten(key)!r} one record per line{command}"
