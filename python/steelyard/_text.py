"""Making text from data safe to show, since the name of a model or file may hold any character."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["html_table", "in_markdown", "listed_counts", "printable"]


def printable(text: object) -> str:
    r"""A name that is safe to show on one line.

    Control characters, line breaks, characters without width, marks that turn the direction of writing and lone
    surrogates become escapes.

    >>> printable("base\x1b[31m\n")
    'base\\x1b[31m\\n'
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)


def listed_counts(counts: Mapping[str, int]) -> str:
    """List counts and what each one counts, on one line.

    >>> listed_counts({"no score": 1200, "no id": 3})
    '1,200 no score, 3 no id'
    """
    return ", ".join(f"{count:,} {printable(reason)}" for reason, count in counts.items())


def html_table(rows: Iterable[Iterable[str]], head: Iterable[str] = (), caption: str = "") -> str:
    """An HTML table, as notebooks show it. All text is escaped.

    >>> html_table([["a<b", "1"]], head=["name", "n"])
    '<table><tr><th>name</th><th>n</th></tr><tr><td>a&lt;b</td><td>1</td></tr></table>'
    """
    from html import escape  # imported here because only notebooks need it

    def row(cells: Iterable[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    titles = row(head, "th") if head else ""
    return f"<table>{above}{titles}{''.join(row(cells, 'td') for cells in rows)}</table>"


_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKS = re.compile(r"([\\`*_\[\]|~#])")
_BLOCK_START = re.compile(r"(\d{1,9})(?=[.)])|(?=[-+=])")  # what begins a list, a rule or the line below a heading
# GitHub turns these into links after it has processed the Markdown, so a backslash has no effect; an empty comment in
# the middle does.
_LINKS = re.compile(r"(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=\bwww)(?=\.)|(?<=\bGH)(?=-\d)", re.IGNORECASE)
_APART = "<!-- -->"


def in_markdown(text: object, *, starts_line: bool = True) -> str:
    r"""Escape text so that Markdown on GitHub shows it literally.

    Nothing in it becomes markup, HTML, a formula, a list, a link, a mention or a reference. With ``starts_line`` the
    text may be placed at the beginning of a line or list entry, where more characters have a meaning.

    >>> in_markdown("1. *new* for @octocat, #12")
    '1\\. \\*new\\* for @<!-- -->octocat, \\#<!-- -->12'
    """
    shown = printable(text)
    start = ""
    if starts_line:
        body = shown.lstrip(" ")
        start = "&#32;" * (len(shown) - len(body))  # four blanks would begin a code block
        if mark := _BLOCK_START.match(body):
            start += f"{mark[1] or ''}\\"
        shown = body[mark.end() if mark else 0 :]
    pieces = (_MARKS.sub(r"\\\1", piece.translate(_ENTITIES)) for piece in _LINKS.split(shown))
    return start + _APART.join(pieces).replace("://", ":&#47;/").replace("$", "<span>$</span>")
