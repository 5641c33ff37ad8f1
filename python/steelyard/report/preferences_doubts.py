"""The pairs worth labelling again, as a table."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .._numbers import plural
from .._text import printable
from .sections import Block
from .tables import Column, Table
from .words import MISSING, number, places

if TYPE_CHECKING:
    from .preferences_results import PreferencesContents

SHOWN = 4  # of each kind; the page folds the others

TITLES = {
    "contradiction": "in both orders",
    "reward against": "reward against the label",
    "reward near tie": "rewards nearly equal",
    "score against": "scores against the label",
    "score near tie": "scores nearly equal",
}


def doubts(report: PreferencesContents) -> Block | None:
    """The pairs that contradict each other, that margins speak against, and whose margins are nearest to 0."""
    found = list(zip(report.audit.doubts, report.doubtful, strict=True))
    if not found:
        return None
    texts = any(doubt.chosen or doubt.rejected for doubt, _ in found)
    named = "id" in report.columns
    several = len(report.sources) > 1
    margins = [doubt.margin for doubt, _ in found if doubt.margin is not None]
    digits = min(places([], margins), 4)
    columns = [
        Column("why"),
        Column("row"),
        *([Column("id", brief=False)] if named else []),
        Column("margin", number=True),
    ]
    columns += [Column(name, brief=False, wraps=True) for name in ("prompt", "chosen", "rejected")] if texts else []
    first: list[tuple[str, ...]] = []
    more: list[tuple[str, ...]] = []
    seen: Counter[str] = Counter()
    for doubt, place in found:
        seen[doubt.why] += 1
        where = place if several else place.rpartition(", ")[2]
        margin = MISSING if doubt.margin is None else number(doubt.margin, digits, signed=True)
        single = doubt.why == "contradiction" and report.audit.desirable is not None
        cells = [
            "both labels" if single else TITLES[doubt.why],
            printable(where),
            *([printable(doubt.id)] if named else []),
            margin,
        ]
        cells += [printable(text) for text in (doubt.prompt, doubt.chosen, doubt.rejected)] if texts else []
        (first if seen[doubt.why] <= SHOWN else more).append(tuple(cells))
    lead = (
        "The pairs that may change most if they are labelled again: those that occur in both orders, those that the "
        "reward or the scores speak against most, and those for which they are nearly equal."
    )
    title = f"Worth labelling again: {plural(len(found), 'pair')}"
    return Block("Worth labelling again", lead, (Table(title, tuple(columns), tuple(first), (), tuple(more)),))
