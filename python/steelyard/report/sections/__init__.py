"""What a report says, as data: its sections in the order in which they are read, and the sentences around them.

Every form of the report (terminal, page, Markdown) shows these blocks. A section that the records give is a file here
and an entry of ``SECTIONS``: a function that makes the :class:`Block`, or None where the records have no data for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from ..._numbers import count, percent, plural
from ..._text import listed_counts
from ..results import Contents
from ..tables import Table
from ..words import span
from . import board, calibration, comparisons, groups, items, metrics, perplexity, proper, repeats, scores, supplied
from .block import MOST_FINDINGS, Block, Finding
from .notices import asked, cautions, remarks

__all__ = ["SECTIONS", "Block", "Finding", "asked", "blocks", "cautions", "findings", "headline", "remarks"]

MOST_ROWS, SHOWN_ROWS = 30, 10  # beside a leaderboard, of a table with more rows than that so many are shown

SECTIONS: tuple[Callable[[Contents], Block | None], ...] = (
    board.block,
    scores.block,
    comparisons.block,
    metrics.block,
    groups.block,
    items.block,
    repeats.block,
    calibration.block,
    proper.block,
    perplexity.block,
    perplexity.by_document,
    perplexity.documents,
)


def blocks(report: Contents) -> list[Block]:
    """The sections that the records have data for, then the caller's own."""
    found = [made for section in SECTIONS if (made := section(report)) is not None]
    if report.leaderboard is not None:
        found = [made if made.title == board.TITLE else _folded(made) for made in found]
    return found + [supplied.block(section, k) for k, section in enumerate(report.sections)]


def _folded(block: Block) -> Block:
    """The section with its long tables folded: the leaderboard says of each model what most readers look for."""

    def folded(table: Table) -> Table:
        if len(table.rows) <= MOST_ROWS:
            return table
        return replace(table, rows=table.rows[:SHOWN_ROWS], more=table.rows[SHOWN_ROWS:] + table.more)

    return replace(block, tables=tuple(folded(table) for table in block.tables))


def headline(report: Contents) -> str:
    """One line: how many models, how many records, which level."""
    models = plural(len(report.models), "model")
    records = span([model.n for model in report.models])
    noun = "record" if records == "1" else "records"
    each = " each" if len(report.models) > 1 else ""
    return f"{models}, {records} {noun}{each}, {percent(report.options.confidence_level)} intervals"


def findings(report: Contents) -> list[Finding]:
    """The report in sentences, for someone who reads nothing else: all of them, or ten where models are many."""
    groups = {"Cautions": [Finding("caution", text) for text in cautions(report)]}
    groups |= {block.title: list(block.findings) for block in blocks(report)}
    if report.leaderboard is not None:
        rooms = _rooms([len(found) for found in groups.values()], MOST_FINDINGS)
        groups = {title: _shortened(title, groups[title], room) for title, room in zip(groups, rooms, strict=True)}
    return [finding for found in groups.values() for finding in found]


def _rooms(lengths: list[int], most: int) -> list[int]:
    """How many lines each group gets, one after the other in turn, so that all together get at most ``most``."""
    rooms = [0] * len(lengths)
    while sum(rooms) < min(most, sum(lengths)):
        for k, length in enumerate(lengths):
            if rooms[k] < length and sum(rooms) < most:
                rooms[k] += 1
    return rooms


def _shortened(title: str, found: list[Finding], room: int) -> list[Finding]:
    """The first findings of a group; the last line counts the others."""
    if len(found) <= room or not room:
        return found[:room]
    others = found[room - 1 :]
    words = listed_counts(Counter(finding.word for finding in others))
    return [*found[: room - 1], Finding("more", f"{title}: {count(len(others))} more ({words}).")]
