"""What tables of Estimates have in common: their columns, a row per Estimate, and the notes below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..._estimate import Estimate
from ..._numbers import count
from ..._text import printable
from ..results import FEW_CLUSTERS
from ..tables import Column, Table
from ..words import MISSING, capital, clusters, error, interval, limits, number, size

NAME = Column("model")
INTERVAL = Column("interval", number=True)
ERROR = Column("std. error", number=True, brief=False)
METHOD = Column("method", brief=False)


def table(title: str, first: Column, value: str, entries: Sequence[tuple[str, Estimate | None, int]]) -> Table:
    """A row per entry: its name, its Estimate (None where no record counts) and the decimal places to show.

    ``first`` is the column of the names and ``value`` the title of the values' column.
    """
    known = [(name, e) for name, e, _ in entries if e is not None]
    rows = tuple((printable(name), *_cells(e, digits)) for name, e, digits in entries)
    columns = (first, size_column([e for _, e in known]), Column(value, number=True), INTERVAL, ERROR, METHOD)
    return Table(title, columns, rows, notes(known))


def _cells(e: Estimate | None, digits: int) -> tuple[str, ...]:
    if e is None:
        return (count(0), MISSING, MISSING, MISSING, MISSING)
    return (size(e), number(float(e), digits), interval(e, digits), error(e, digits), _method(e))


def size_column(estimates: Iterable[Estimate]) -> Column:
    """The column of :func:`size`."""
    return Column("n in clusters" if any(clusters(e) is not None for e in estimates) else "n", number=True)


def notes(entries: Sequence[tuple[str, Estimate]]) -> tuple[str, ...]:
    """How the intervals of named Estimates were made, which of them are rough, and what was left out."""
    estimates = [e for _, e in entries]
    return (*made_by(estimates), *rough(entries), *left_out(estimates))


def made_by(estimates: Iterable[Estimate]) -> tuple[str, ...]:
    """How the intervals were made and why so, each distinct sentence once."""
    said: dict[str, None] = {}
    for e in estimates:
        how = f"{capital(_method(e))} interval" if limits(e) is not None and e.method else "No interval"
        said.setdefault(f"{how}: {e.reason}." if e.reason else f"{how}.")
    return tuple(said)


def _method(e: Estimate) -> str:
    """The name of the method as a sentence or a cell has it."""
    return "Student's t" if e.method == "t" else str(e.method)


def rough(entries: Iterable[tuple[str, Estimate]]) -> Iterator[str]:
    """Which intervals rest on few clusters."""
    known = [(name, clusters(e)) for name, e in entries if limits(e) is not None]
    few = [f"{printable(name)}: {count(n)}" for name, n in known if n is not None and n < FEW_CLUSTERS]
    if few:
        yield f"Fewer than {FEW_CLUSTERS} clusters ({', '.join(few)}): such an interval is rough."


def left_out(estimates: Iterable[Estimate]) -> tuple[str, ...]:
    """What was left out of all of them together, a sentence per reason."""
    counts: dict[str, int] = {}
    for e in estimates:
        for why, n in e.left_out.items():
            counts[why] = counts.get(why, 0) + n
    return tuple(f"Left out: {count(n)} {printable(why)}." for why, n in counts.items() if n)
