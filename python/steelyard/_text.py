"""Text that comes from data, made safe to show: a name may hold anything."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["in_markdown", "listed_counts", "printable"]


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
    """What was counted, by reason, in one line.

    >>> listed_counts({"no score": 1200, "no id": 3})
    '1,200 no score, 3 no id'
    """
    return ", ".join(f"{count:,} {printable(reason)}" for reason, count in counts.items())


_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKS = re.compile(r"([\\`*_\[\]|~#])")
_BLOCK_START = re.compile(r"(\d{1,9})(?=[.)])|(?=[-+=])")  # of a list, a rule, the line below a heading
# GitHub makes these links after Markdown is done, so that no backslash helps; an empty comment parts them.
_LINKS = re.compile(r"(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=\bwww)(?=\.)|(?<=\bGH)(?=-\d)", re.IGNORECASE)
_APART = "<!-- -->"


def in_markdown(text: object, *, starts_line: bool = True) -> str:
    r"""Text that Markdown on GitHub shows as it is; ``starts_line``: or may start a line, or what a list mark begins.

    A name cannot become markup, HTML, a formula, a list, a link, a mention or a reference.

    >>> in_markdown("1. *new* for @octocat, #12")
    '1\\. \\*new\\* for @<!-- -->octocat, \\#<!-- -->12'
    """
    shown = printable(text)
    start = ""
    if starts_line:
        body = shown.lstrip(" ")
        start = "&#32;" * (len(shown) - len(body))  # four blanks would be code
        if mark := _BLOCK_START.match(body):
            start += f"{mark[1] or ''}\\"
        shown = body[mark.end() if mark else 0 :]
    pieces = (_MARKS.sub(r"\\\1", piece.translate(_ENTITIES)) for piece in _LINKS.split(shown))
    return start + _APART.join(pieces).replace("://", ":&#47;/").replace("$", "<span>$</span>")
