"""What repeated answers say: pass@k, maj@k, and what the error is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..._estimate import Estimate
from ..._numbers import percent
from ..._text import printable
from .. import figures
from ..results import Contents, ModelResult, Repeats
from ..tables import Column, Table
from ..words import listed, number, places
from . import estimates
from .block import Block

LEAD = "Records of one id are several answers to the same question."
CHANCES = (
    " pass@k: the chance that at least one of k answers is right; maj@k: that the right answer has the most votes. "
    "Both are averages over all ways to choose k of the answers that there are."
)
NO_VOTES = (
    "No maj@k of {names}: it needs the answers themselves; compare them with the targets (--score target==answer)."
)
PARTS = (
    "Items: the standard error if every question had been answered endlessly often. Repeats: what the answers that "
    "happened to be drawn add to it (squares add up). The last two columns: the standard error with twice as many "
    "answers to each question, and with twice as many questions."
)


def block(report: Contents) -> Block | None:
    """The chances that were asked for, and for models with repeated ids where their error comes from."""
    known = [(m, m.repeats) for m in report.models if m.repeats is not None]
    chances = [(m, found) for m, found in known if found.pass_at]
    split = [(m, found) for m, found in known if found.of_repeats is not None]
    if not chances and not split:
        return None
    tables = [*([_chances(report, chances)] if chances else []), *([_parts(split)] if split else [])]
    return Block("Repeats", LEAD + (CHANCES if chances else ""), tuple(tables), pictures=_picture(chances))


def _chances(report: Contents, known: Sequence[tuple[ModelResult, Repeats]]) -> Table:
    entries = list(_rows(known))
    digits = places([float(e.standard_error) for _, _, e in entries if e.standard_error is not None])
    table = estimates.table(
        "pass@k and maj@k", estimates.NAME, "chance", [(f"{name}  {what}", e, digits) for name, what, e in entries]
    )
    without = [printable(m.name) for m, found in known if not found.majority_at]
    notes = (NO_VOTES.format(names=listed(without)),) if without else ()
    return Table(table.title, table.columns, table.rows, (*table.notes, *notes))


def _rows(known: Sequence[tuple[ModelResult, Repeats]]) -> Iterator[tuple[str, str, Estimate]]:
    for model, found in known:
        for word, of in _kinds(found):
            for k, estimate in of.items():
                yield model.name, f"{word}@{k}", estimate


def _kinds(found: Repeats) -> tuple[tuple[str, Mapping[int, Estimate]], ...]:
    return ("pass", found.pass_at), ("maj", found.majority_at)


def _parts(known: Sequence[tuple[ModelResult, Repeats]]) -> Table:
    digits = places([part for _, of in known for part in (of.standard_error, of.of_items, of.of_repeats)])
    titles = ("std. error", "items", "repeats", "2x repeats", "2x items")
    rows = tuple(
        (
            printable(model.name),
            _answers(of),
            *(
                number(part, digits)
                for part in (of.standard_error, of.of_items, of.of_repeats, of.twice_repeats, of.twice_items)
            ),
        )
        for model, of in known
    )
    columns = (estimates.NAME, Column("answers", number=True), *(Column(title, number=True) for title in titles))
    notes = [PARTS, *_advice(known)]
    return Table("What the standard error of the score is made of", columns, rows, tuple(notes))


def _answers(of: Repeats) -> str:
    return f"{of.fewest}" if of.fewest == of.most else f"{of.fewest} to {of.most}"


def _advice(known: Sequence[tuple[ModelResult, Repeats]]) -> Iterator[str]:
    """What would make the error smaller, for each model."""
    for model, of in known:
        if of.standard_error and of.of_items is not None:
            least = of.of_items / of.standard_error
            yield (
                f"{printable(model.name)}: more answers to the same questions can bring the standard error down to "
                f"{percent(round(least, 2))} of what it is, no further."
            )


def _picture(known: Sequence[tuple[ModelResult, Repeats]]) -> tuple[figures.Picture, ...]:
    bars = [figures.Bar.of(f"{name}  {what}", e) for name, what, e in _rows(known)]
    if not bars:
        return ()
    return figures.intervals(bars, "repeats", "pass@k and maj@k with their intervals", axis="chance")
