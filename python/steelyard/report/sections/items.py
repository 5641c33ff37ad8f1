"""The items on which two models differ, losses first, for the page alone: a terminal has no room for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._numbers import count
from ..._text import printable
from ..item_results import Items
from ..results import Contents, PairResult
from ..tables import Column, Table
from ..words import number, places
from .block import Block

LEAD = "The items that one model answered better than the other: first those that were lost, the largest loss first."
MOST = 50  # items of one pair
ALL_PAIRS = 200  # items of all pairs together, but for FEW of each
FEW = 5
DIGEST = re.compile(r"\.\.\.#[0-9a-f]{32}$")  # how records end a text that is too long to be kept


def block(report: Contents) -> Block | None:
    """A folded table for each pair whose models differ on some item."""
    pairs = [(pair, pair.items) for pair in report.pairs if pair.items is not None and len(pair.items)]
    if not pairs:
        return None
    most = max(FEW, min(MOST, ALL_PAIRS // len(pairs)))
    folded = report.leaderboard is not None and report.options.baseline is None
    tables = tuple(_table(pair, items, most) for pair, items in pairs)
    return Block("Items", LEAD, tables, page_only=True, folded=folded)


def _table(pair: PairResult, items: Items, most: int) -> Table:
    texts = {**items.groups, **items.shown}
    first = [items.new[:most].tolist(), items.baseline[:most].tolist(), items.difference[:most].tolist()]
    digits = 0 if all(float(x).is_integer() for x in first[0] + first[1]) else places([], map(abs, first[2]))
    rows = [
        (
            printable(items.id[at]),
            number(base, digits),
            number(new, digits),
            number(difference, digits, signed=True),
            *(printable(DIGEST.sub("…", str(values[at]))) for values in texts.values()),
        )
        for at, (new, base, difference) in enumerate(zip(*first, strict=True))
    ]
    columns = [Column("id"), *(Column(printable(name), number=True) for name in (pair.baseline, pair.model))]
    columns += [Column("diff", number=True), *(Column(printable(name), wraps=True) for name in texts)]
    lost = f"{count(items.losses)} lost, {count(len(items) - items.losses)} won"
    title = f"{printable(pair.model)} against {printable(pair.baseline)}: {lost}"
    return Table(title, tuple(columns), (), tuple(_notes(items, most)), tuple(rows))


def _notes(items: Items, most: int) -> Iterator[str]:
    if len(items) > most:
        yield f"The first {most} of {count(len(items))}; --errors FILE writes all of them."
