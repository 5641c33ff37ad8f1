"""A table as data: made once, drawn as plain text, HTML or Markdown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from .._numbers import plural
from .._text import in_markdown

GAP = 2
NARROWEST = 10


@dataclass(frozen=True)
class Column:
    """A column: its heading, and whether it holds numbers, which are aligned to the right.

    A column that is not ``brief`` is left out of the terminal, which has 80 characters per line. ``note`` explains the
    column and is printed below every table that shows it. The text of a column that ``wraps`` is broken into lines.
    """

    title: str
    number: bool = False
    brief: bool = True
    note: str = ""
    wraps: bool = False


@dataclass(frozen=True)
class Table:
    """Headings and rows of text. The first column names the row; ``notes`` say how the numbers were made."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = field(default=())
    more: tuple[tuple[str, ...], ...] = field(default=())
    """Rows that the page folds; terminal and Markdown say how many there are."""

    def notes_of(self, columns: Iterable[Column]) -> tuple[str, ...]:
        """The notes to print where these columns are shown."""
        notes = (*(column.note for column in columns if column.note), *self.notes)
        return (*notes, f"{plural(len(self.more), 'further row')}: on the page and in JSON.") if self.more else notes

    @property
    def page_notes(self) -> tuple[str, ...]:
        """The notes below the table on the page, which shows all its rows and columns."""
        return replace(self, more=()).notes_of(self.columns)


def width_of(text: str) -> int:
    """How wide a terminal shows the text: a wide East Asian character takes two columns, a combining one none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pad(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - width_of(text))
    return space + text if right else text + space


def fold(text: str, width: int) -> list[str]:
    """Break a name into pieces of at most ``width`` columns, after a separator if it has one. Nothing is lost."""
    lines, line = [], ""
    for c in text:
        if line and width_of(line + c) > width:
            at = max(line.rfind(mark) for mark in " -_/.:,") + 1
            at = at if at > len(line) // 2 else len(line)
            lines.append(line[:at])
            line = line[at:]
        line += c
    return [*lines, line]


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """A sentence in lines of at most ``width`` columns, broken at spaces (and inside a word that is too long)."""
    lines = [""]
    for word in text.split(" "):
        for piece in fold(word, width - len(indent)):
            joined = f"{lines[-1]} {piece}" if lines[-1].strip() else lines[-1] + piece
            if width_of(joined) <= width:
                lines[-1] = joined
            else:
                lines.append(indent + piece)
    return lines


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The width of each column. If the table is too wide the first column gets narrower: its names are folded."""
    natural = [max(map(width_of, column)) for column in zip(*rows, strict=True)]
    excess = sum(natural) + GAP * (len(natural) - 1) - width
    if excess > 0:
        natural[0] = max(natural[0] - excess, min(natural[0], NARROWEST))
    return natural


def text_lines(table: Table, width: int = 80) -> Iterator[str]:
    """The table as lines of plain text: title, headings, rule, rows, notes."""
    keep = [i for i, column in enumerate(table.columns) if column.brief]
    head = [table.columns[i].title for i in keep]
    rows = [[row[i] for i in keep] for row in table.rows]
    widths = _widths([head, *rows], width)
    right = [table.columns[i].number for i in keep]
    yield from wrap(table.title, width)
    for row in [head, ["-" * w for w in widths], *rows]:
        first = fold(row[0], widths[0])
        for k, piece in enumerate(first):
            cells = [piece, *(row[1:] if k == 0 else [""] * (len(row) - 1))]
            yield (" " * GAP).join(_pad(c, w, right=r) for c, w, r in zip(cells, widths, right, strict=True)).rstrip()
    for note in table.notes_of(table.columns[i] for i in keep):
        yield from wrap(note, width, indent="  ")


def markdown_lines(table: Table) -> Iterator[str]:
    """The table in Markdown, as GitHub shows it."""
    yield f"### {in_markdown(table.title)}"
    yield ""
    yield "| " + " | ".join(in_markdown(c.title, starts_line=False) for c in table.columns) + " |"
    yield "|" + "|".join("---:" if c.number else "---" for c in table.columns) + "|"
    for row in table.rows:
        yield "| " + " | ".join(in_markdown(cell, starts_line=False) for cell in row) + " |"
    for note in table.notes_of(table.columns):
        yield ""
        yield in_markdown(note)
    yield ""
